"""The resume ledger, and what is asked and answered with it. Pure: headers in, offsets out (RFC 9110, sections 13.1.5 and 14).

Rules:
 1. The ledger claims only bytes that were fsynced: after a power cut the rest of the file may be zeros, or missing.
 2. A range counts only if it begins where we asked, of the same file (strong ETag) and of the promised length.
 3. A blob's name is its SHA-256, so a server without strong ETags may still resume: the hash at the end decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from otad.errors import Corrupt, NotServed, RetryLater, Who
from otad.fetch import faults

_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_DIGITS = 19  # of an offset or a length: more is too long anyhow, and Python refuses to convert thousands
_CONTENT_RANGE = re.compile(rf"bytes (?:(\d{{1,{_DIGITS}}})-\d+|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Ledger:
    """What of a partial blob is durable: its first `offset` bytes, whose SHA-256 (hex) is `sha256`; from a file with `etag`."""

    offset: int
    sha256: str
    etag: str | None

    def encode(self) -> bytes:
        """As it stands on the disk."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Ledger | None:
        """None when it is damaged: then nothing is claimed."""
        try:
            found = cls(**json.loads(data))
        except (ValueError, TypeError, RecursionError):
            return None
        types = isinstance(found.offset, int) and isinstance(found.sha256, str) and isinstance(found.etag, (str, type(None)))
        return found if types and found.offset >= 0 else None


@dataclass(frozen=True)
class Want:
    """The rest of a blob of `length` bytes of which `offset` are here, from a file whose ETag was `etag`."""

    url: str
    length: int
    offset: int
    etag: str | None

    def headers(self) -> dict[str, str]:
        """What to send: nothing for the whole, else Range, with If-Range where the ETag allows it."""
        if self.offset == 0:
            return {}
        condition = {"If-Range": self.etag} if self.etag else {}
        return {"Range": f"bytes={self.offset}-", **condition}

    def start(self, status: int, headers: Mapping[str, str]) -> int | None:
        """The offset at which the answer's body begins; None when it does not go on from what is here: begin anew.

        Raises:
            Corrupt: "blob-oversize", the server's file is longer than what was signed.
            NotServed: "blob-incomplete", it is shorter.
            RetryLater: "server-recodes", or what `faults.refuse` says of the status.
        """
        if status == _OK:
            self._same_length(headers.get("Content-Length", "*"))
            self._plain(headers)
            return 0
        first, total = _content_range(headers)
        if status == _PARTIAL:
            self._same_length(total)
            self._plain(headers)
            etag = strong_etag(headers)
            changed = self.etag is not None and etag is not None and etag != self.etag
            return self.offset if first == self.offset and not changed else None
        if status == _UNSATISFIABLE and self.offset > 0:
            self._same_length(total)
            return None
        raise faults.refuse(status, headers, self.url)

    def _same_length(self, total: str) -> None:
        if not total.isdecimal():
            return
        offered = int(total.lstrip("0")[:_DIGITS] or "0")
        if offered == self.length:
            return
        evidence = {"url": self.url, "offered": str(offered), "signed": str(self.length)}
        host = faults.host(self.url)
        if offered > self.length:
            raise self.oversize(str(offered))
        raise NotServed(
            "blob-incomplete",
            f"{host} has {offered} bytes of {self.url}, and {self.length} were signed",
            "Wait until publishing has ended, or publish the release again",
            who=Who.INTEGRATOR,
            evidence=evidence,
        )

    def oversize(self, offered: str) -> Corrupt:
        """The server gives more than was signed; `offered` bytes, as far as is known."""
        return Corrupt(
            "blob-oversize",
            f"{faults.host(self.url)} gives {offered} bytes for {self.url}, and {self.length} were signed",
            "Publish the release again: what the server has is not what was signed",
            who=Who.INTEGRATOR,
            evidence={"url": self.url, "offered": offered, "signed": str(self.length)},
        )

    def _plain(self, headers: Mapping[str, str]) -> None:
        coding = headers.get("Content-Encoding", "identity")
        if coding != "identity":
            raise RetryLater(
                "server-recodes",
                f"{faults.host(self.url)} sends {self.url} as {coding}, although the plain bytes were asked for",
                "Switch compression off for blobs/ in the web server",
                who=Who.INTEGRATOR,
                evidence={"url": self.url, "content-encoding": coding},
            )


def strong_etag(headers: Mapping[str, str]) -> str | None:
    """The ETag, if a range may depend on it (weak ones may not: RFC 9110, 8.8.3)."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else None


def _content_range(headers: Mapping[str, str]) -> tuple[int | None, str]:
    """(first byte or None, length of the whole as text or "*")."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if found is None:
        return None, "*"
    return int(found[1]) if found[1] else None, found[2]
