"""Numbers and bytes of the delta format. Pure.

Rules:
 1. A number is LEB128: seven bits a byte, the lowest first, the top bit says that more follow; at most 63 bits.
 2. A signed number is zigzag: 0, -1, 1, -2 are 0, 1, 2, 3.
 3. What is not well-formed is Malformed, in words.
"""

from __future__ import annotations

from collections.abc import Iterator

from otad.delta.faults import Malformed

_MORE, _REST, _BITS = 0x80, 0x7F, 63
_NO_NUMBER = "a number is cut off, or longer than 63 bits"


def varint(value: int) -> bytes:
    """An unsigned number."""
    out = bytearray()
    while value > _REST:
        out.append(value & _REST | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> bytes:
    """A signed number."""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def signed(value: int) -> int:
    """What zigzag made a number of."""
    return value >> 1 if not value & 1 else -(value >> 1) - 1


def numbers(data: bytes) -> Iterator[int]:
    """The unsigned numbers that `data` is made of. Raises Malformed when the last is cut off. Quicker than Reader."""
    value = shift = 0
    for byte in data:
        if byte < _MORE:
            yield value | byte << shift
            value = shift = 0
        else:
            value |= (byte & _REST) << shift
            shift += 7
            if shift >= _BITS:
                raise Malformed(_NO_NUMBER)
    if shift:
        raise Malformed(_NO_NUMBER)


class Reader:
    """Takes `data` apart from its start. Every call raises Malformed when it ends too early."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that nobody took yet."""
        return len(self._data) - self._at

    def varint(self) -> int:
        """An unsigned number."""
        data, at, value, shift = self._data, self._at, 0, 0
        if at < len(data) and data[at] < _MORE:  # as most are
            self._at = at + 1
            return data[at]
        while at < len(data) and shift < _BITS:
            byte = data[at]
            at += 1
            value |= (byte & _REST) << shift
            if byte < _MORE:
                self._at = at
                return value
            shift += 7
        raise Malformed(_NO_NUMBER)

    def number(self, what: str, least: int, most: int) -> int:
        """An unsigned number that cannot be any."""
        if not least <= (value := self.varint()) <= most:
            raise Malformed(f"a {what} is {value}, and {least} to {most} may be")
        return value

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise Malformed(f"{count} bytes are promised, and {self.left} are there")
        self._at += count
        return self._data[self._at - count : self._at]

    def end(self, what: str) -> None:
        """Nothing may be left."""
        if self.left:
            raise Malformed(f"{self.left} bytes follow the {what}")
