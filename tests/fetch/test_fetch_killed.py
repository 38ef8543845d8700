"""kill -9 at random moments, several times over, then the rest: the blob is whole, and nothing durable came twice."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from otad.fetch.cache import Cache
from otad.fetch.ranges import Ledger
from tests.fetch.conftest import Seen, blob, downloading, encoding_of
from tests.support import certs, nginx

DATA = blob(24_000_000, seed=5)
ENCODING = encoding_of(DATA)
CHUNK = 1_000_000

CHILD = f"""
import asyncio, sys
from pathlib import Path
from otad.fetch import partial
from otad.fetch.cache import Cache
from tests.fetch.conftest import downloading, encoding_of
from otad.formats.encodings import Encoding

partial.CHUNK = {CHUNK}

def told(done, total):
    print(done, flush=True)

async def main(url, ca, updates, sha256, length):
    async with downloading(url, Cache(Path(updates), 0), ca=Path(ca)) as download:
        await download.fetch(Encoding(type="plain", blob=sha256, length=int(length)), told)

asyncio.run(main(*sys.argv[1:]))
"""


async def killed(url: str, ca: Path, updates: Path, at: int) -> None:
    """Run a download in a process of its own, and kill it once it says that `at` bytes came."""
    arguments = (url, str(ca), str(updates), ENCODING.blob, str(ENCODING.length))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, *arguments, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert child.stdout is not None
    async for line in child.stdout:
        if int(line) >= at:
            child.kill()
            break
    await child.stdout.read()
    await child.wait()


def claimed(cache: Cache) -> int:
    try:
        found = Ledger.decode(cache.path(f"{ENCODING.blob}.ledger").read_bytes())
    except FileNotFoundError:
        return 0
    assert found is not None, "a kill leaves the old ledger or the new one, never a torn one"
    return found.offset


@pytest.mark.slow
async def test_killed_again_and_again(server: nginx.Nginx, authority: certs.Authority, cache: Cache) -> None:
    (server.root / "blobs" / ENCODING.blob).write_bytes(DATA)
    rng = random.Random()
    durable = 0
    for _ in range(4):
        at = durable + rng.randrange(6_000_000)
        await killed(server.url, authority.file, cache.path("x").parent, at)
        assert claimed(cache) >= durable, f"killed at {at}"
        durable = claimed(cache)
    assert durable > 0
    assert not cache.has(ENCODING.blob, ENCODING.length)
    seen = Seen()
    async with downloading(server.url, cache, ca=authority.file) as download:
        assert (await download.fetch(ENCODING, seen)).read_bytes() == DATA
    assert seen.calls[0] == (durable, len(DATA))
