"""docs/failures.md, from the tests of bad input: `make failures` runs them all and writes the page anew.

With arguments for pytest (`make failures ARGS="-k torn"`) only the rows of the tests that ran are replaced.
"""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.failures import PAGE, PROPERTY, alike, rendered, rows

HEAD = """\
# When something is wrong

For field engineers: what can be wrong with a device or with what it is given, what the device does then, what `otactl status`
says, and who must act. `make failures` makes this page from [the tests of bad input](../tests/bad_input): each row was brought
about on a board with the real otad, SWUpdate and libubootenv, and the words are what otactl printed, with that board's numbers.
The slug below a fault is the code of its cause, as in the events (`otactl events --json`): look for it here.

In every row, because each of these tests asserts it: the running slot is untouched, and so is what others have on the data
partition; the journal is whole, or set aside and said; nothing half done is taken for done by the next boot. "Tries again" means
by itself.
"""


class Rows:
    """Gathers the rows of the tests that passed."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called for each phase of each test; with xdist too, where the tests ran elsewhere."""
        for name, value in report.user_properties if report.when == "call" and report.passed else ():
            if name == PROPERTY:
                place, what, line = json.loads(str(value))
                self.lines[place, what] = line


def main(arguments: list[str]) -> int:
    """Run the tests, write the page; pytest's exit status."""
    found = Rows()
    status = pytest.main(["-q", "-n", "2", "-m", "fault", "--write-failures", "tests/bad_input", *arguments], plugins=[found])
    before = rows(PAGE.read_text()) if PAGE.exists() else {}
    lines = {at: before[at] if alike(before.get(at, "")) == alike(line) else line for at, line in found.lines.items()}
    if arguments or status:  # not all were tried, or not all passed
        lines = before | lines
    PAGE.write_text(rendered(HEAD, lines))
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
