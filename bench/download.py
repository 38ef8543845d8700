"""download_vs_curl: the rate of a real download, hashed and stored durably, over that of `curl -o f && sha256sum f`.

Both fetch the same file over TLS from the same nginx on loopback, in turn, `_ROUNDS` times; the figure is the median of the
ratios of one round. The download runs in a process of its own, whose peak memory is `download_peak_rss_mib`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from otad import config
from otad.fetch.cache import Cache
from otad.fetch.download import Download
from otad.fetch.session import open_session
from otad.formats.encodings import Encoding

_GIB = 2**30
_ROUNDS = 3
_MEBI = 2**20


def run(quick: bool) -> dict[str, float]:
    """The figures; `quick`: 64 MiB and one round. Raises FileNotFoundError when nginx or curl is missing."""
    from tests.support import certs, nginx  # noqa: PLC0415  # the process that is measured does not make certificates

    with tempfile.TemporaryDirectory(prefix="otad-bench-") as made:
        work = Path(made)
        blobs = work / "root" / "blobs"
        blobs.mkdir(parents=True)
        encoding = _blob(blobs, 64 * _MEBI if quick else _GIB)
        authority = certs.Authority.make(work)
        with nginx.serve(work / "root", work / "nginx", authority.certify(work / "server.pem")) as server:
            rounds = [_round(server.url, authority.file, encoding, work) for _ in range(1 if quick else _ROUNDS)]
    return {
        "download_vs_curl": round(statistics.median(curl / ours for curl, ours, _ in rounds), 3),
        "download_mib_per_s": round(encoding.length / _MEBI / statistics.median(ours for _, ours, _ in rounds), 1),
        "download_peak_rss_mib": round(max(rss for _, _, rss in rounds), 1),
    }


def _blob(folder: Path, size: int) -> Encoding:
    """Bytes that nothing can compress or guess."""
    digest = sha256()
    rng = random.Random(1)  # the same file in every run
    draft = folder / "draft"
    with draft.open("wb") as file:
        for _ in range(size // _MEBI):
            piece = rng.randbytes(_MEBI)
            digest.update(piece)
            file.write(piece)
    draft.rename(folder / digest.hexdigest())
    return Encoding(type="plain", blob=digest.hexdigest(), length=size)


def _round(url: str, ca: Path, encoding: Encoding, work: Path) -> tuple[float, float, float]:
    """Seconds of curl and sha256sum, seconds of ours, and our peak RSS in MiB."""
    got = work / "curl"
    begun = time.perf_counter()
    subprocess.run(["curl", "-sf", "--cacert", ca, "-o", got, f"{url}/blobs/{encoding.blob}"], check=True)
    subprocess.run(["sha256sum", got], check=True, stdout=subprocess.DEVNULL)
    curl = time.perf_counter() - begun
    got.unlink()
    os.sync()  # what one left to write must not slow the other
    given = (url, str(ca), str(work / "updates"), encoding.blob, str(encoding.length))
    told = subprocess.run(
        [sys.executable, "-m", "bench.download", *given], check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    ).stdout
    ours, rss = json.loads(told)
    (work / "updates" / encoding.blob).unlink()
    os.sync()
    return curl, ours, rss


async def _fetch(url: str, ca: Path, updates: Path, blob: str, length: int) -> None:
    """One download, as the daemon makes it; prints its seconds and the peak RSS of this process in MiB."""
    settings = config.Repository(url=url, ca=ca)
    cache = Cache(updates, 0)
    begun = time.perf_counter()
    async with open_session(settings, dates=lambda: True, timeout=60, agent="otad-bench") as session:
        download = Download(session, url, cache, config.Download(), random.Random(1))
        await download.fetch(Encoding(type="plain", blob=blob, length=length), lambda _at, _of: None)
    seconds = time.perf_counter() - begun
    sys.stdout.write(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noqa: PLR2004  # the process that is measured
        given = sys.argv[1:]
        asyncio.run(_fetch(given[0], Path(given[1]), Path(given[2]), given[3], int(given[4])))
    else:
        sys.stdout.write(json.dumps(run("--quick" in sys.argv)) + "\n")
