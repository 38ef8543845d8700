"""The journal of an otad that sleeps: what can be told from it needs no waking.

Imports nothing heavy at the top: `otactl status` stands on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otad.cli.places import Places
from otad.control import lock
from otad.control.unreachable import Unreachable, forbidden

if TYPE_CHECKING:
    from otad.journal.reader import Reader


def asleep(where: Places) -> bool:
    """True when no daemon is awake."""
    try:
        return not lock.held(where.run)
    except PermissionError:
        return False  # its folder is closed to this user: the socket says why, and to which group it is open


@contextmanager
def journal(where: Places) -> Iterator[Reader]:
    """Its journal. Raises Unreachable when there is none that may be read, JournalError."""
    path = where.data / "journal.db"
    try:
        path.open("rb").close()
    except FileNotFoundError as error:
        what = f"otad has never run on this device, or its data partition is not mounted: there is no {path}"
        raise Unreachable("no-journal", what, f"Check `systemctl status otad` and `findmnt -T {path.parent}`") from error
    except PermissionError as error:
        raise forbidden(path) from error
    except OSError as error:
        from otad.journal.connection import explain  # noqa: PLC0415

        raise explain(error, path) from error
    from otad.journal.reader import Reader  # noqa: PLC0415 - sqlite3, when it is needed

    reader = Reader(path)
    try:
        yield reader
    finally:
        reader.close()
