"""bsdiff, whose suffix array takes 8 bytes, and whose sorting as many again, for each byte of the old image."""

from bench.delta.contenders import Contender

CONTENDERS = (
    Contender(
        "bsdiff",
        "bsdiff",
        'bsdiff "$old" "$new" patch',
        'bspatch "$old" /dev/stdout patch',
        {"bsdiff": "bsdiff"},
        memory=18,
        limit=900,  # all the others together take less
    ),
)
