"""What U-Boot may find when the power comes: the ordinary, the odd, and what Hypothesis makes of it."""

from __future__ import annotations

from hypothesis import strategies as st

from otad.bootenv import Slot
from simulator.bootloader import Env
from simulator.qemu.parity import Start

BOTH, NEITHER, ONLY_A, ONLY_B = frozenset(Slot), frozenset[Slot](), frozenset({Slot.A}), frozenset({Slot.B})
LOADS = (BOTH, ONLY_A, ONLY_B, NEITHER)
UNSET = None
ODD = st.sampled_from(
    [UNSET, "", "0", "1", "2", "3", "4", "7", "8", "9", "a", "f", "10", "0x1", "0xa", "01", "1x", "A", "B", "C"]
)
ODDER = st.one_of(ODD, st.integers(0, 0xFFFFFFFF).map("{:x}".format), st.text("0123456789abcdefABxX-+.", max_size=6))
STARTS = st.builds(
    lambda values, loads, recovery: Start(set_only(Env(*values)._asdict()), loads, recovery),
    st.tuples(*[ODDER] * len(Env._fields)),
    st.sampled_from(LOADS),
    st.booleans(),
)


def set_only(data: dict[str, str | None]) -> dict[str, str]:
    """Without the variables that are unset."""
    return {name: value for name, value in data.items() if value is not UNSET}
