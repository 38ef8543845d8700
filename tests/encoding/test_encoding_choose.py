from __future__ import annotations

from otad.encoding import Means, choose, decoders
from otad.formats.encodings import Encoding


def encoding(kind: str, length: int, memory: int = 0, needs: tuple[str, ...] = ()) -> Encoding:
    return Encoding(type=kind, blob="0" * 64, length=length, memory=memory, needs=needs)


HERE = Means(decoders())
PLAIN = encoding("plain", 1000)
ZSTD = encoding("zstd", 400, 2**23)
SMALLER = encoding("zstd", 350, 2**25)
UNKNOWN = encoding("brotli", 100)


def test_the_decoders_are_found_by_listing_the_folder() -> None:
    found = decoders()
    assert {"plain", "zstd"} <= set(found)
    assert all(decoder.type == kind for kind, decoder in found.items())


def test_the_fewest_bytes_come_first() -> None:
    assert choose([PLAIN, ZSTD, SMALLER], HERE).usable == (SMALLER, ZSTD, PLAIN)


def test_of_equals_the_one_that_needs_less_memory() -> None:
    large = encoding("zstd", 400, 2**24)
    assert choose([large, ZSTD], HERE).usable == (ZSTD, large)


def test_why_not_the_others() -> None:
    strange = encoding("plain", 10, needs=("a-tool",))
    chosen = choose([PLAIN, ZSTD, SMALLER, UNKNOWN, strange], Means(decoders(), memory=2**24))
    assert chosen.usable == (ZSTD, PLAIN)
    reasons = dict(chosen.refused)
    assert "brotli" in reasons[UNKNOWN]
    assert str(2**25) in reasons[SMALLER]
    assert "a-tool" in reasons[strange]


def test_nothing_fits() -> None:
    assert choose([], HERE).usable == ()
    assert choose([UNKNOWN], HERE).usable == ()
