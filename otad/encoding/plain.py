"""plain: the blob is the payload."""

from __future__ import annotations

from collections.abc import Generator

from otad.encoding import Decoder, Source
from otad.encoding.blob import Alone, reading

PIECE = 256 * 1024


class Plain(Alone):
    """Nothing to decode."""

    type = "plain"

    def stream(self, source: Source) -> Generator[bytes, None, None]:
        """See Decoder."""
        with reading(source.blob), source.blob.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                yield piece


DECODER: Decoder = Plain()
