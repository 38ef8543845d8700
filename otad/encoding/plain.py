"""plain: the blob is the payload."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from otad.encoding import Base, Decoder, Source
from otad.encoding.blob import reading
from otad.formats.encodings import Encoding

PIECE = 256 * 1024


class Plain:
    """Nothing to decode."""

    type = "plain"

    def refuses(self, encoding: Encoding, base: Base | None) -> str | None:
        """See Decoder."""
        del base
        return f"it needs {', '.join(encoding.needs)}, which this otad does not know" if encoding.needs else None

    def check(self, source: Source) -> Iterator[int]:
        """See Decoder. The blob's hash has been checked, and there is nothing else that could be wrong on this device."""
        del source
        return iter(())

    def stream(self, source: Source) -> Generator[bytes, None, None]:
        """See Decoder."""
        with reading(source.blob), source.blob.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                yield piece


DECODER: Decoder = Plain()
