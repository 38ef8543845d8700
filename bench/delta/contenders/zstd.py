"""zstd with the old image as its dictionary; --long=30 reaches all of a 1 GiB image."""

from bench.delta.contenders import Contender


def _at(level: int) -> Contender:
    return Contender(
        f"zstd_patch_from_{level}",
        f"zstd -{level} --long=30 --patch-from",
        f'zstd -q -{level} --long=30 --patch-from="$old" "$new" -o patch',
        'zstd -q -d -c --long=30 --patch-from="$old" patch',
        {"zstd": "zstd"},
    )


CONTENDERS = (_at(3), _at(19))
