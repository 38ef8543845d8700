"""Reading a blob of the cache, and what is said when the medium will not have it.

Rules:
 1. A blob that is gone or cannot be read is Corrupt, like one with wrong bytes: nothing is wrong with the release.
 2. What a decoder needs besides its blob, it says itself. The needs of a newer otad's encoding are not guessed: refused.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otad.encoding import Base, Source
from otad.errors import Corrupt, Who
from otad.formats.encodings import Encoding


class Alone:
    """What decoders have in common that need nothing but the blob."""

    proves = False

    def refuses(self, encoding: Encoding, base: Base | None) -> str | None:
        """See Decoder."""
        del base
        return f"it needs {', '.join(encoding.needs)}, which this otad does not know" if encoding.needs else None

    def check(self, source: Source) -> Iterator[int]:
        """See Decoder. The blob's hash has been checked, and there is nothing else that could be wrong on this device."""
        del source
        return iter(())


@contextmanager
def reading(blob: Path) -> Iterator[None]:
    """Turn an OSError of opening or reading `blob` into Corrupt "blob-unreadable". What else is done inside tells its own."""
    try:
        yield
    except OSError as error:
        raise Corrupt(
            "blob-unreadable",
            f"the blob {blob} cannot be read: {error.strerror or error}",
            "It is fetched again; if that repeats, check the data partition's medium (`journalctl -k`)",
            who=Who.FIELD,
            evidence={"blob": blob.name, "errno": errno.errorcode.get(error.errno or 0, str(error.errno))},
        ) from error
