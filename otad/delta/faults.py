"""Why a patch cannot be applied. Pure."""

from __future__ import annotations


class Fault(Exception):
    """This patch gives nothing here."""


class Malformed(Fault):
    """The patch: it is none of this format, contradicts itself, or asks for more than it may."""


class Changed(Fault):
    """The old image: it is not what the patch was made from, or cannot be read."""


class Unpackable(Fault):
    """A compressor or decompressor: it is not here, or does not do what the patch was made with."""


class NoRoom(Fault):
    """The spool: the disk has no room for it."""


class Unreadable(Fault):
    """The spool: the disk does not give back what it took."""
