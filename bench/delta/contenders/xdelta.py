"""xdelta3 with a source window as large as the image, and secondary compression.

By Huffman codes, as most use it: ours is held against that, and what ours costs to make is told as a ratio to it, so both are
made anew together. By LZMA it is smaller, and takes longer to apply.
"""

from pathlib import Path

from bench.delta.contenders import Contender
from bench.delta.contenders.otad import GENERATOR


def _by(secondary: str, name: str, made_of: tuple[Path, ...] = ()) -> Contender:
    return Contender(
        name,
        f"xdelta3 -9 -S {secondary} -B 1 GiB",
        f'xdelta3 -9 -S {secondary} -B 1073741824 -e -s "$old" "$new" patch',
        'xdelta3 -B 1073741824 -d -c -s "$old" patch',
        {"xdelta3": "xdelta3"},
        made_of=made_of,
    )


CONTENDERS = (_by("djw", "xdelta3", GENERATOR), _by("lzma", "xdelta3_lzma"))
