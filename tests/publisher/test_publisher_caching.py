"""Cache headers: what is right, and what is said of what is not."""

from __future__ import annotations

import pytest

from otad.publisher.caching import complaint
from otad.publisher.serve import BRIEFLY, FOREVER, NEVER

FILE, TIMESTAMP = "metadata/1.root.json", "metadata/timestamp.json"


@pytest.mark.parametrize(
    ("path", "status", "header"),
    [
        (TIMESTAMP, 200, NEVER),
        (TIMESTAMP, 200, "max-age=0, must-revalidate"),
        (TIMESTAMP, 200, "No-Store"),
        (TIMESTAMP, 404, BRIEFLY),
        (FILE, 200, FOREVER),
        (FILE, 206, FOREVER),
        (FILE, 404, BRIEFLY),
        (FILE, 403, "no-store"),
        (FILE, 404, "max-age=1, s-maxage=60"),
    ],
)
def test_right(path: str, status: int, header: str) -> None:
    assert complaint(path, status, {"Cache-Control": header}) is None


@pytest.mark.parametrize(
    ("path", "status", "header", "says"),
    [
        (TIMESTAMP, 200, FOREVER, "an old timestamp may be kept"),
        (TIMESTAMP, 200, "", "there is no Cache-Control"),
        (TIMESTAMP, 200, "max-age=0, s-maxage=300", "an old timestamp may be kept"),
        (FILE, 200, "", "caches are not told: there is no"),
        (FILE, 200, "no-cache", "caches are not told: Cache-Control is 'no-cache'"),
        (FILE, 200, "immutable, no-cache", "caches are not told"),
        (FILE, 404, "", "a 404 may be kept for more than 60 s: there is no Cache-Control"),
        (FILE, 404, "max-age=61", "a 404 may be kept for more than 60 s"),
        (FILE, 403, "max-age=5, s-maxage=3600", "a 403 may be kept for more than 60 s"),
        (FILE, 404, "max-age=often", "a 404 may be kept"),
        (FILE, 404, "max-age=1" + "0" * 5000, "a 404 may be kept"),
    ],
)
def test_wrong(path: str, status: int, header: str, says: str) -> None:
    assert says in str(complaint(path, status, {"Cache-Control": header} if header else {}))
