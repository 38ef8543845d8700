"""One SWUpdate process, from start to end.

Rules:
 1. One at a time: two at once write the same slot and both report success. The lock is handed down to SWUpdate, so that one
    which outlived a killed daemon still holds it.
 2. Its temporary files and sockets are in a folder of its own, made anew each time: a killed one leaves stale ones behind.
 3. Whatever ends `run` (success, time-out, cancellation), no process of its group is left when it returns.
 4. What it says is kept up to 64 KiB, the last of it; the truth is its exit status.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from otad.blocking import finish, start
from otad.children import environment, kill, spawn
from otad.errors import RetryLater, Who
from otad.formats.swu import TARGET
from otad.payload import progress

LOG = 1 << 16  # bytes
PIECE = 1 << 14
LONGEST = 107  # bytes of a unix socket's path, sockaddr_un less its end; SWUpdate cuts what is longer without a word


@dataclass(frozen=True)
class Ended:
    """status: exit status, negative the signal that killed it; log: the last of what it wrote."""

    status: int
    log: str


@dataclass(frozen=True)
class Room:
    """Where one SWUpdate may run: its working folder, in which `target` is the device that it writes, and the lock."""

    folder: Path
    lock: int

    @property
    def temporary(self) -> Path:
        """Its TMPDIR."""
        return self.folder / "tmp"

    def put(self, name: str, content: bytes, size: int) -> Path:
        """A file of `size` bytes in the working folder: `content`, then a hole. Raises RetryLater when there is no room."""
        file = self.folder / name
        with _working(self.folder):
            file.write_bytes(content)
            os.truncate(file, size)
        return file


@contextmanager
def room(run: Path, device: Path) -> Iterator[Room]:
    """The one room below `run` (a tmpfs). Raises RetryLater when another SWUpdate is in it."""
    made = Room(run / "swupdate", _lock(run / "swupdate.lock"))
    try:
        _fits(made.temporary / progress.SOCKET)
        _make(made, device)
        yield made
    finally:
        shutil.rmtree(made.folder, ignore_errors=True)  # what stays is removed before the next one
        os.close(made.lock)


def untold(_message: progress.Message) -> None:
    """Nobody watches; the socket is drained all the same."""


async def run(
    command: Sequence[str], stdin: int, where: Room, timeout: float, tell: Callable[[progress.Message], None] = untold
) -> Ended:
    """Run `command` with `stdin` (a file descriptor) and wait for its end, at most `timeout` seconds.

    Raises RetryLater when it cannot be started or does not end in time.
    """
    said, says = os.pipe()  # ours, not asyncio's: its wait() also waits for whoever else holds the pipe
    log = start(_last, said)
    try:
        process = await _spawn(command, stdin, says, where)
        try:
            async with _followed(where, tell):
                await asyncio.wait_for(asyncio.shield(process.wait()), timeout)
        except asyncio.TimeoutError as error:
            raise _too_slow(timeout) from error
        finally:  # it writes a slot that nothing boots: no need to ask first
            kill(process)
            await asyncio.shield(process.wait())
    finally:
        os.close(says)
        text = await finish(log)
    return Ended(await process.wait(), text)


async def _spawn(command: Sequence[str], stdin: int, stdout: int, where: Room) -> asyncio.subprocess.Process:
    places = {"TMPDIR": str(where.temporary), "RUNTIME_DIRECTORY": str(where.temporary)}  # newer ones prefer the second
    streams = {"stdin": stdin, "stdout": stdout, "stderr": stdout}
    try:
        return await spawn(command, **streams, cwd=where.folder, env=environment(**places), pass_fds=(where.lock,))
    except OSError as error:
        raise _not_started(command[0], error) from error


@asynccontextmanager
async def _followed(where: Room, tell: Callable[[progress.Message], None]) -> AsyncIterator[None]:
    follower = asyncio.create_task(progress.follow(where.temporary, tell))
    try:
        yield
    finally:
        follower.cancel()
        await asyncio.wait({follower})


def _last(descriptor: int) -> str:
    """The last of what comes out of a pipe until everybody has closed it."""
    kept = b""
    with open(descriptor, "rb", buffering=0) as pipe:
        while piece := pipe.read(PIECE):
            kept = (kept + piece)[-LOG:]
    return kept.decode("utf-8", "replace")


def _lock(path: Path) -> int:
    """A descriptor that holds the lock; closed everywhere, it is free again."""
    with _working(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RetryLater(
            "install-running",
            "cannot install: another SWUpdate is at work on this device",
            "It is tried again when that one ended",
        ) from error
    return descriptor


def _make(made: Room, device: Path) -> None:
    with _working(made.folder):
        shutil.rmtree(made.folder, ignore_errors=True)
        made.temporary.mkdir(mode=0o700, parents=True)
        (made.folder / TARGET).symlink_to(device.absolute())


@contextmanager
def _working(where: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RetryLater(
            "run-folder",
            f"cannot make SWUpdate's working folder: {where}: {error.strerror}",
            "Look at the file system that [paths].run is on",
            who=Who.FIELD,
        ) from error


def _fits(socket: Path) -> None:
    if len(os.fsencode(socket)) > LONGEST:
        raise RetryLater(
            "run-path-too-long",
            f"SWUpdate cannot make its socket {socket}: the path is longer than {LONGEST} bytes",
            "Choose a shorter [paths].run",
            who=Who.OS_BUILDER,
        )


def _not_started(program: str, error: OSError) -> RetryLater:
    return RetryLater(
        "swupdate-missing",
        f"cannot start {program}: {error.strerror}",
        "Add swupdate to the image, or correct [swupdate].command",
        who=Who.OS_BUILDER,
    )


def _too_slow(timeout: float) -> RetryLater:
    return RetryLater(
        "swupdate-timeout",
        f"SWUpdate was killed: it had not ended after {timeout:g} s",
        "It is tried again; if the slot's device is that slow, raise [swupdate].timeout",
    )
