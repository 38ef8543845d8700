"""xdelta3 as it does best here: secondary compression, and a source window as large as the image.

What ours costs to make is told as a ratio to this one: both are made anew together.
"""

from bench.delta.contenders import Contender
from bench.delta.contenders.otad import GENERATOR

CONTENDERS = (
    Contender(
        "xdelta3",
        "xdelta3 -9 -S djw -B 1 GiB",
        'xdelta3 -9 -S djw -B 1073741824 -e -s "$old" "$new" patch',
        'xdelta3 -B 1073741824 -d -c -s "$old" patch',
        {"xdelta3": "xdelta3"},
        made_of=GENERATOR,
    ),
)
