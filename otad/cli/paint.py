"""Plain text that is easy on the eye: colour, wrapping, sizes, times. No rich here: `status` must start fast.

Rules:
 1. Colour only on a terminal that wants it (https://no-color.org), and never the only bearer of a meaning.
 2. On a terminal nothing is wider than it, nor than WIDEST. In a pipe a paragraph is one line: to be searched, to be copied.
 3. Times are shown in the device's local time, with how long ago, because its clock may be wrong.
 4. What others wrote (a server, a roll-out, a tool) never moves the cursor or colours the terminal.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

WIDEST = 100
UNKNOWN = 80
"""Columns of a terminal that does not tell: a serial console says 0."""

LABEL = 12
"""Columns of the label in front of a text."""

_CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33}


def colourful() -> bool:
    """True when standard output may have colours."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def width() -> int | None:
    """Columns of the terminal that may be used; None without a terminal."""
    if not sys.stdout.isatty():
        return None
    return min(os.get_terminal_size(sys.stdout.fileno()).columns or UNKNOWN, WIDEST)


def paint(text: str, *styles: str) -> str:
    """`text` in the styles named, where colours are shown."""
    if not styles or not colourful():
        return text
    return f"\033[{';'.join(str(_CODES[style]) for style in styles)}m{text}\033[0m"


def labelled(label: str, text: str, *styles: str) -> str:
    """A paragraph with its label in front, the text (in `styles`) wrapped and aligned."""
    first = paint(f"  {label:{LABEL}}", "dim")
    lines = _lines(text, LABEL + 2)
    return "\n".join((" " * (LABEL + 2) if n else first) + paint(line, *styles) for n, line in enumerate(lines))


def paragraph(text: str) -> str:
    """`text`, wrapped."""
    return "\n".join(_lines(text, 0))


def _lines(text: str, indent: int) -> list[str]:
    text = "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)
    columns = width()
    if columns is None:
        return [text]
    return textwrap.wrap(text, max(UNKNOWN // 4, columns - indent), break_on_hyphens=False) or [""]


def size(count: float) -> str:
    """Bytes for people: 999 B, 4.1 MB, 512 MB (powers of ten, as download sizes are told)."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":  # noqa: PLR2004 - 999.5 would be shown as 1000
            return f"{count:.1f} {unit}" if count < 10 and unit != "B" else f"{count:.0f} {unit}"  # noqa: PLR2004
        count /= 1000
    raise AssertionError


def span(seconds: float) -> str:
    """A duration in its two largest units: 3 s, 12 min 5 s, 2 h, 3 days 4 h."""
    whole = round(abs(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "day" if days == 1 else "days"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    first = next((n for n, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def moment(text: str, now: datetime | None = None) -> str:
    """An ISO 8601 time in local time, with its distance: "14:32 (2 h ago)", "2026-11-22 14:32 (in 3 days)"."""
    when = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    now = (now or datetime.now(timezone.utc)).astimezone()
    away = (now - when).total_seconds()
    shown = f"{when:%H:%M}" if when.date() == now.date() else f"{when:%Y-%m-%d %H:%M}"
    return f"{shown} ({coarse(away)} ago)" if away >= 0 else f"{shown} (in {coarse(away)})"


def coarse(seconds: float) -> str:
    """A duration as one would say it: 40 s, 56 min, 3 h 50 min, 2 days."""
    units = 2 if 3600 <= abs(seconds) < 86400 else 1  # noqa: PLR2004 - an hour, a day
    return " ".join(span(seconds).split()[: 2 * units])


def bar(done: float, total: float, columns: int = 24) -> str:
    """A progress bar of plain characters."""
    filled = round(columns * min(1.0, done / total))
    return "[" + "#" * filled + "." * (columns - filled) + "]"


def measures(told: Mapping[str, Any]) -> str:
    """Percentage, amount, rate and ETA of a progress document, as far as they are known."""
    if not told["total"]:
        return size(told["done"])
    parts = [
        f"{told['done'] / told['total']:.0%} of {size(told['total'])}",
        f"{size(told['rate'])}/s" if told["rate"] else "",
        f"{span(told['eta'])} to go" if told["eta"] else "",
    ]
    return ", ".join(part for part in parts if part)
