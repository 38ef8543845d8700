"""What commands share: the options, the clock, the passphrase, and how things are said."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from otad.errors import OtadError
from otad.publisher import encode, signing
from otad.publisher.keys import no_passphrase
from otad.publisher.workspace import Workspace

PASSPHRASE = "OTAREPO_PASSPHRASE"  # noqa: S105  the variable's name

UNSIGNED = 3  # exit status: done as far as it can be here

out = Console(soft_wrap=True, highlight=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

_shown: ContextVar[Progress | None] = ContextVar("shown", default=None)

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="The workspace: keys and staged repository. Private.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="The folder that the web server serves.")]
Version = Annotated[str, typer.Option("--version", help="Version of the release (SemVer).")]
Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="Whose devices, for instance stable.")]


def now() -> datetime:
    """This second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def opened(folder: Path) -> Workspace:
    """The workspace, its passphrase asked for when it is needed."""
    return Workspace.open(folder, passphrase)


@cache
def passphrase(name: str) -> bytes:
    """From OTAREPO_PASSPHRASE, else typed in."""
    if (given := os.environ.get(PASSPHRASE)) is not None:
        return given.encode()
    if not sys.stdin.isatty():
        return no_passphrase(name)
    with _set_aside():
        return str(typer.prompt(f"Passphrase of the key {name}", hide_input=True, err=True)).encode()


def new_passphrase(ask: bool) -> bytes | None:
    """For keys that are being made: from OTAREPO_PASSPHRASE, else typed twice when asked for, else none."""
    if given := os.environ.get(PASSPHRASE):
        return given.encode()
    return str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)).encode() if ask else None


def said(text: str) -> None:
    """A result, as it is: the names of files may look like markup."""
    out.print(text, markup=False)


def warned(text: str) -> None:
    """What is done all the same, but should be known."""
    err.print(f"[yellow]warning:[/] {escape(text)}")


def awaited(workspace: Workspace) -> None:
    """Ends the command with status 3 when something waits for signatures of others."""
    waits = signing.waiting(workspace)
    for one in waits:
        err.print(f"[yellow]not yet:[/] {escape(str(one))}")
        err.print(f"[dim]next step:[/] {escape(f'otarepo sign export {workspace.path} {one.role} FILE')}")
    if waits:
        raise typer.Exit(UNSIGNED)


def failed(error: OtadError) -> None:
    """Why it cannot be done, and the next step."""
    err.print(f"[red]cannot do this:[/] {escape(error.cause.what)}")
    if error.cause.remedy:
        err.print(f"[dim]next step:[/] {escape(error.cause.remedy)}")


@contextmanager
def bars() -> Iterator[encode.Progress]:
    """Progress bars on standard error, one for each thing that is done."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    shown = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)

    def progress(what: str, done: int, total: int) -> None:
        if what not in tasks:
            shown.start()
            tasks[what] = shown.add_task(what)
        shown.update(tasks[what], completed=done, total=total)

    before = _shown.set(shown)
    try:
        yield progress
    finally:
        _shown.reset(before)
        shown.stop()


@contextmanager
def _set_aside() -> Iterator[None]:
    """No bar is painted over what somebody is asked."""
    if (shown := _shown.get()) is None:
        yield
        return
    shown.stop()
    try:
        yield
    finally:
        shown.start()
