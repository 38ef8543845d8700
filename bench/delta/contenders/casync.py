"""casync: content-defined chunks of 64 KiB on average, each compressed by zstd.

What is sent: the index, and the chunks that the old image has not. The old image's own chunks are neither sent nor counted: they
are on the server since that release, and the device has the image.
"""

from bench.delta.contenders import Contender

_MAKE = "casync make --compression=zstd --chunk-size=65536"

CONTENDERS = (
    Contender(
        "casync",
        "casync, chunks of 64 KiB, zstd",
        f"""
            {_MAKE} --store=known.castr known.caibx "$old" > /dev/null
            mkdir patch
            {_MAKE} --store=patch/sent.castr patch/index.caibx "$new" > /dev/null
            (cd known.castr && find . -type f -print0) | (cd patch/sent.castr && xargs -0 rm -f)
        """,
        'casync extract --store=patch/sent.castr --seed="$old" patch/index.caibx out && cat out',
        {"casync": "casync"},
        checks_old=True,
    ),
)
