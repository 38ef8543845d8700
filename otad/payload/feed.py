"""A payload on the standard input of another program.

Rules:
 1. A plain blob is handed over as the file that it is: the program reads it, and costs us nothing.
 2. Anything else is decoded in a thread into a pipe. When the bytes are not the payload's, the program never sees the last of
    them: it fails, and the reason raised is ours.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from otad.blocking import finish, start
from otad.encoding import Source
from otad.errors import Corrupt

PLAIN = "plain"


@asynccontextmanager
async def feed(source: Source) -> AsyncIterator[int]:
    """A file descriptor to read the payload from. Leave it when the program has ended.

    Raises Corrupt at the end when what was decoded is not the payload.
    """
    if source.decoder.type == PLAIN:
        with source.blob.open("rb") as file:
            yield file.fileno()
        return
    readable, writable = os.pipe()
    job = start(_pump, source, writable)
    try:
        yield readable
    finally:
        os.close(readable)  # a thread that still writes is told so by EPIPE
        await finish(job)


def _pump(source: Source, into: int) -> None:
    """Decode into the descriptor and close it. The last piece goes only when the whole is proved."""
    digest, length, held = sha256(), 0, b""
    try:
        with open(into, "wb") as out:
            for piece in source.decoder.stream(source.blob):
                out.write(held)
                digest.update(piece)
                length += len(piece)
                held = piece
            if (digest.hexdigest(), length) != (source.sha256, source.length):
                raise Corrupt("payload-differs", f"{source.blob.name} does not decode to the payload {source.sha256}", "")
            out.write(held)
    except BrokenPipeError:
        return  # the program ended first, and says why
