"""The README's picture of the machine is the table's."""

from pathlib import Path

from tools.graph import mermaid

README = Path(__file__).parent.parent / "README.md"


def test_the_readme_shows_the_table() -> None:
    assert mermaid() in README.read_text(), "the machine has changed: put the text of `make graph` into README.md"
