"""Every parser against bytes that nobody meant: `targets.py` names them, `test_fuzz_parsers.py` tries some, `make fuzz` many."""
