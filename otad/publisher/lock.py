"""One writer to a folder.

Rules:
 1. The lock is the kernel's (flock): it ends with the process that holds it, however that ends.
 2. Who is refused learns who holds it. The file is readable by its owner only, so no web server serves it.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otad import durable
from otad.errors import RetryLater, Who

NAME = ".otarepo.lock"


@contextmanager
def one_writer(folder: Path, task: str) -> Iterator[None]:
    """Hold `folder` for `task` ("publish"). Raises RetryLater("locked") naming the holder when another process has it."""
    durable.folder(folder)
    with os.fdopen(os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = file.read().strip() or "another process"
            raise RetryLater(
                "locked",
                f"cannot {task}: {folder} is being written by {holder}",
                "Wait until it has ended, then do this again",
                who=Who.INTEGRATOR,
            ) from error
        file.truncate()
        file.write(f"otarepo {task} (process {os.getpid()} on {socket.gethostname()})\n")
        file.flush()
        yield
