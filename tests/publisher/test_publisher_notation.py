"""How people write things, and what they are told when they write them wrongly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otad.errors import Rejected
from otad.formats.curve import Curve
from otad.publisher import notation


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("4h", 14400), ("2d", 172800), ("1w", 604800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert notation.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("64M", 64 << 20), ("1G", 1 << 30), ("3K", 3072)])
def test_sizes(text: str, size: int) -> None:
    assert notation.size(text) == size


@pytest.mark.parametrize(
    ("text", "ppm"), [("1%", 10_000), ("0.5%", 5_000), ("100%", 1_000_000), ("25000", 25_000), ("0.0001%", 1)]
)
def test_shares(text: str, ppm: int) -> None:
    assert notation.share(text) == ppm


def test_both_ways_to_write_a_curve() -> None:
    wanted = Curve(((0, 10_000), (3600, 100_000), (86400, 1_000_000)))
    assert notation.curve("0:1%,1h:10%,1d:100%") == notation.curve("0:10000,3600:100000,86400:1000000") == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0:10%,1h:1%", "ppm must never fall"),
        ("1h:1%,0:10%", "seconds must rise"),
        ("0:101%", "at most 100%"),
        ("10%", "points as time:share"),
        ("soon:1%", "is not a duration"),
        ("0:some", "is not a share"),
        ("", "points as time:share"),
    ],
)
def test_wrong_curves_are_explained(text: str, why: str) -> None:
    with pytest.raises(Rejected, match=why) as refused:
        notation.curve(text)
    assert refused.value.cause.code == "notation"


def test_matches() -> None:
    assert notation.match(["ring=test,lab", "region=eu"]).root == {"ring": ("test", "lab"), "region": ("eu",)}
    assert notation.match(["ring=test", "ring=lab"]).root == {"ring": ("test", "lab")}
    assert notation.match([]).root == {}


@pytest.mark.parametrize("word", ["ring", "=test", "ring=", "ring=a,,b"])
def test_wrong_matches_are_explained(word: str) -> None:
    with pytest.raises(Rejected, match="is not a match"):
        notation.match([word])


def test_a_stratum_is_a_match_and_a_curve() -> None:
    match, curve = notation.stratum("region=eu ring=lab;0:1%,1d:50%")
    assert match.root == {"region": ("eu",), "ring": ("lab",)}
    assert curve.root == ((0, 10_000), (86400, 500_000))
    with pytest.raises(Rejected, match="is not a stratum"):
        notation.stratum("region=eu")


@given(st.text(max_size=40))
@example("86400000000000")
@example("5201w")
def test_any_other_text_is_refused_not_crashed_on(text: str) -> None:
    for parse in (notation.curve, notation.share, notation.size, notation.duration, notation.stratum):
        try:
            parse(text)
        except Rejected as refused:
            assert refused.cause.code == "notation"  # noqa: PT017
