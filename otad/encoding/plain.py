"""plain: the blob is the payload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otad.encoding import Decoder
from otad.encoding.blob import reading
from otad.formats.encodings import Encoding

PIECE = 256 * 1024


class Plain:
    """Nothing to decode."""

    type = "plain"

    def refuses(self, encoding: Encoding) -> str | None:
        """See Decoder."""
        return f"it needs {', '.join(encoding.needs)}, which this otad does not know" if encoding.needs else None

    def stream(self, blob: Path) -> Iterator[bytes]:
        """See Decoder."""
        with reading(blob), blob.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                yield piece


DECODER: Decoder = Plain()
