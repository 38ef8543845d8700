"""Mutants of a document, by dice: bits, slices, repetitions, and the numbers and words that parsers stumble over."""

from __future__ import annotations

import random
import re

WORDS = (
    b"0",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"null",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"NaN",
)
NESTS = (b"[", b"{", b"(", b'{"a":', b"\\")
LONGEST = 1 << 20


def mutant(seed: bytes, dice: random.Random) -> bytes:
    """`seed`, changed in one to six ways."""
    data = seed
    for _ in range(dice.randint(1, 6)):
        data = dice.choice((_flip, _drop, _repeat, _word, _token, _nest, _cut))(data, dice)[:LONGEST]
    return data


def _span(data: bytes, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(data) + 1)
    return start, min(len(data), start + dice.choice((1, 2, 4, 16, 64, 512)))


def _flip(data: bytes, dice: random.Random) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _drop(data: bytes, dice: random.Random) -> bytes:
    start, end = _span(data, dice)
    return data[:start] + data[end:]


def _repeat(data: bytes, dice: random.Random) -> bytes:
    start, end = _span(data, dice)
    return data[:end] + data[start:end] * dice.choice((1, 2, 50)) + data[end:]


def _word(data: bytes, dice: random.Random) -> bytes:
    start, end = _span(data, dice)
    return data[:start] + dice.choice(WORDS) + data[end:]


def _token(data: bytes, dice: random.Random) -> bytes:
    """Another word in the place of a whole one."""
    tokens = list(re.finditer(rb"[\w.+-]+", data[:65536]))
    if not tokens:
        return data
    found = dice.choice(tokens)
    return data[: found.start()] + dice.choice(WORDS) + data[found.end() :]


def _nest(data: bytes, dice: random.Random) -> bytes:
    start, _ = _span(data, dice)
    return data[:start] + dice.choice(NESTS) * dice.choice((1, 100, 3000)) + data[start:]


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data) + 1)]
