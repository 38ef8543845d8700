"""Deltas: a payload as the difference to one that is at hand. Shared by who makes them and the devices that apply them.

The format is `docs/delta-format.md`; `format.py` and `index.py` are the beginning of a patch,
`ops.py` and `streams.py` one of its segments.
"""
