"""The live bar on a terminal (rich)."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text
from typing_extensions import Self

from otad.cli import paint, say, watch, words
from otad.control.status import ended, failed

Document = Mapping[str, Any]


class Bar:
    """What happened above, what goes on below."""

    def __init__(self, console: Console | None = None) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[measures]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("", total=None, visible=False, measures="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, doing: str) -> None:
        """A bar that only moves."""
        self._progress.update(self._task, description=doing, total=None, completed=0, measures="", visible=bool(doing))

    def answered(self, what: str) -> None:
        """Above the bar."""
        self._progress.console.print(Text(say.sentence(what)))

    def happened(self, event: Document) -> None:
        """Above the bar; below it, what comes next."""
        style = "red" if failed(event) else "green" if ended(event) else ""
        self._progress.console.print(Text(watch.line(event), style=style))
        coming = words.next_state(event)
        about = {"version": event.get("version"), "target": event.get("slot")}
        self.begin("" if ended(event) or coming is None else words.doing({"state": coming.value, "attempt": about}))

    def progress(self, told: Document) -> None:
        """Move the bar."""
        total = told["total"] or None
        shown = paint.measures(told)
        self._progress.update(
            self._task, description=told["step"], total=total, completed=told["done"], measures=shown, visible=True
        )
