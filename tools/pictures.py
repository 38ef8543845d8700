"""docs/pictures: what `make demo` and `otactl status` show, as terminals drawn in SVG. `make pictures` makes them anew."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

TREE = Path(__file__).parents[1]
FOLDER = TREE / "docs" / "pictures"
COLUMNS, LINES = 100, 50


def said(*command: str) -> str:
    """What a command writes to a colour terminal. It must fit into a pty's buffer (4 KiB)."""
    ours, its = os.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        subprocess.run(command, stdin=its, stdout=its, stderr=its, check=True, env={**os.environ, "TERM": "xterm-256color"})
        return os.read(ours, 1 << 16).decode().replace("\r\n", "\n").rstrip()
    finally:
        os.close(its)
        os.close(ours)


def drawn(title: str, prompt: str, shown: str, picture: Path) -> None:
    """A terminal in which `prompt` was typed."""
    console = Console(record=True, file=io.StringIO(), width=COLUMNS, highlight=False)
    console.print(f"[bold green]$[/] {prompt}")
    console.print(Text.from_ansi(shown))
    console.save_svg(str(picture), title=title)


def finished(picture: Path) -> None:
    """Load nothing from elsewhere (fonts are the reader's own), and keep leading spaces in every viewer."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", picture.read_text(), flags=re.DOTALL)
    picture.write_text(svg.replace("<svg ", '<svg xml:space="preserve" ', 1))


def main() -> None:
    """All pictures."""
    FOLDER.mkdir(exist_ok=True)
    demo, status = FOLDER / "demo.svg", FOLDER / "otactl-status.svg"
    subprocess.run([sys.executable, "-m", "simulator.demo", "--svg", str(demo)], check=True, cwd=TREE)
    settings = TREE / "build" / "demo" / "board" / "otad.toml"
    told = said(sys.executable, "-m", "otad.cli", "status", "--config", str(settings))
    drawn("a device that came back", "otactl status", told, status)
    for picture in (demo, status):
        finished(picture)


if __name__ == "__main__":
    main()
