"""An install that stops until it may go on: SWUpdate itself, fed slowly, or asked late."""

from __future__ import annotations

from pathlib import Path

from simulator.fastboard import FastBoard
from simulator.settings import HERE
from tests.support.board import until

SCRIPT = """#!/bin/sh
# SWUpdate. A check begins, or an install gets the second half of its bundle, when `hold` is gone.
wait_here() {{ : > {folder}/halfway; while test -e {folder}/hold; do sleep 0.05; done; }}
case " $* " in
*" -c "*)
    {checks}
    exec {confine} "$@"
    ;;
esac
echo x >> {folder}/installs
{{ head -c 3000000; wait_here; cat; }} | {confine} "$@"
"""


class SlowInstall:
    """Makes `board` install that way from its next start on; `checks`: it stops before SWUpdate checks the bundle."""

    def __init__(self, board: FastBoard, *, checks: bool = False) -> None:
        self._folder = board.folder
        script = board.folder / "swupdate"
        script.write_text(SCRIPT.format(confine=HERE / "confine", folder=board.folder, checks="wait_here" if checks else ":"))
        script.chmod(0o755)
        self._hold.touch()
        board.configure("slow", f'[swupdate]\ncommand = ["{script}"]\n')

    @property
    def _hold(self) -> Path:
        return self._folder / "hold"

    async def halfway(self) -> None:
        """Wait until it stops: the first half of an install is on its way into the slot."""
        await until((self._folder / "halfway").exists, "the install begins")

    def go(self) -> None:
        """The second half may come."""
        self._hold.unlink()

    @property
    def count(self) -> int:
        """How often SWUpdate was run to install."""
        return len((self._folder / "installs").read_text().split())
