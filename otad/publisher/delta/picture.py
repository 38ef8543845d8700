"""Where the bytes of a delta go, as a picture: an SVG of its own, for a browser or a document. Pure.

Each rectangle is a place, as large as what it costs; its colour is the operation that costs most there; pointing at it tells the
rest. It loads nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from otad.publisher.delta.explain import Explained, Share
from otad.publisher.delta.treemap import Rectangle, laid_out

WIDTH, HEIGHT, TOP = 960, 540, 56
LETTER, LINE = 7, 16  # of a label, in the units of the picture
COLOURS = {"delta": "#4c78a8", "raw": "#e45756", "copy": "#72b7b2", "pack": "#b279a2", "unpack": "#b279a2", "zero": "#bab0ac"}
OTHER = "#9d9d9d"
MEANING = {"delta": "changed", "raw": "new", "copy": "moved", "pack": "compressed again"}


def svg(what: Explained, title: str) -> str:
    """A treemap of its places."""
    shares = [share for share in what.places if share.costs > 0]
    whole = Rectangle(0, TOP, WIDTH, HEIGHT - TOP)
    cells = zip(shares, laid_out([share.costs for share in shares], whole), strict=True)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="4" y="20" font-size="16">{escape(title)}: {what.length:,} bytes</text>',
            *_legend(shares),
            *(line for share, place in cells for line in _cell(share, place, what.length)),
            "</svg>\n",
        ]
    )


def _legend(shares: list[Share]) -> Iterator[str]:
    used = [name for name in MEANING if name in {share.mostly for share in shares}]
    for number, name in enumerate(used):
        x = 4 + 190 * number
        yield f'<rect x="{x}" y="32" width="12" height="12" fill="{COLOURS[name]}"/>'
        yield f'<text x="{x + 18}" y="42">mostly {MEANING[name]} ({name})</text>'


def _cell(share: Share, place: Rectangle, length: int) -> Iterator[str]:
    told = f"{share.name}: {share.costs:,} bytes, {share.costs / length:.1%}, mostly {share.mostly}"
    at = f'x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}"'
    yield f'<g><title>{escape(told)}</title><rect {at} fill="{COLOURS.get(share.mostly, OTHER)}" stroke="#fff"/>'
    room = int(place.width / LETTER) - 1
    name = share.name if len(share.name) <= room else f"…{share.name[1 - room :]}"
    labels = [name, f"{share.costs / length:.1%}"][: int(place.height / LINE)] if room > LETTER else []
    for number, label in enumerate(labels, start=1):
        yield f'<text x="{place.x + 4:.1f}" y="{place.y + LINE * number:.1f}" fill="#fff">{escape(label)}</text>'
    yield "</g>"
