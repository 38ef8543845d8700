"""What an integrator changes between two releases beside packages: a few settings, a few lines of many programs."""

from __future__ import annotations

from pathlib import Path

EACH_SETTING = 7
EACH_PROGRAM = 40


def apply(tree: Path, edition: int) -> None:
    """Nothing in edition 1; later ones change every 7th file of settings and every 40th Python program."""
    if edition == 1:
        return
    for file in sorted((tree / "etc").glob("**/*.conf"))[::EACH_SETTING]:
        _insert(file, f"# Site settings, edition {edition}\n")
    for file in sorted((tree / "usr" / "lib").glob("python3*/**/*.py"))[::EACH_PROGRAM]:
        _insert(file, f"# Checked for edition {edition} of the application.\n")


def _insert(file: Path, line: str) -> None:
    """After the middle line: what follows moves."""
    if file.is_symlink():
        return
    lines = file.read_bytes().splitlines(keepends=True)
    lines.insert(len(lines) // 2, line.encode())
    file.write_bytes(b"".join(lines))
