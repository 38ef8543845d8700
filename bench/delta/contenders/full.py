"""No delta: the whole image, as the releases of the project carry it."""

from bench.delta.contenders import Contender

CONTENDERS = (
    Contender(
        "full",
        "whole image, zstd -19",
        'zstd -q -19 --long=25 "$new" -o patch',
        "zstd -q -d -c --long=25 patch",
        {"zstd": "zstd"},
    ),
)
