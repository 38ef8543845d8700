from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.errors import Corrupt, NotServed, OtadError, RetryLater
from otad.fetch.ranges import Ledger, Want, strong_etag

URL = "https://host/blobs/x"


def want(offset: int, etag: str | None = '"e"') -> Want:
    return Want(URL, 100, offset, etag)


@given(st.builds(Ledger, st.integers(0, 2**50), st.text(), st.none() | st.text()))
def test_the_ledger_comes_back(ledger: Ledger) -> None:
    assert Ledger.decode(ledger.encode()) == ledger


NOT_LEDGERS = [b"[]", b"{}", b'{"offset":-1,"sha256":"","etag":null}', b'{"offset":"1","sha256":"","etag":null}', bytes(64)]


@given(st.binary() | st.sampled_from(NOT_LEDGERS))
def test_a_damaged_ledger_claims_nothing(data: bytes) -> None:
    assert Ledger.decode(data) is None


def test_what_is_asked() -> None:
    assert want(0).headers() == {}
    assert want(10).headers() == {"Range": "bytes=10-", "If-Range": '"e"'}
    assert want(10, None).headers() == {"Range": "bytes=10-"}


def test_only_a_strong_etag_counts() -> None:
    assert strong_etag({"ETag": '"a"'}) == '"a"'
    assert strong_etag({"ETag": 'W/"a"'}) is None
    assert strong_etag({}) is None


@pytest.mark.parametrize(
    ("offset", "status", "headers", "start"),
    [
        (0, 200, {"Content-Length": "100"}, 0),
        (0, 200, {}, 0),
        (10, 200, {"Content-Length": "100"}, 0),
        (10, 206, {"Content-Range": "bytes 10-99/100", "ETag": '"e"'}, 10),
        (10, 206, {"Content-Range": "bytes 10-99/*"}, 10),
        (10, 206, {"Content-Range": "bytes 10-99/100", "ETag": '"other"'}, None),
        (10, 206, {"Content-Range": "bytes 9-99/100", "ETag": '"e"'}, None),
        (10, 206, {}, None),
        (10, 416, {"Content-Range": "bytes */100"}, None),
        (10, 206, {"Content-Range": f"bytes {'9' * 5000}-{'9' * 5000}/100"}, None),
    ],
)
def test_where_the_body_begins(offset: int, status: int, headers: dict[str, str], start: int | None) -> None:
    assert want(offset).start(status, headers) == start


@pytest.mark.parametrize(
    ("offset", "status", "headers", "kind", "code"),
    [
        (0, 200, {"Content-Length": "101"}, Corrupt, "blob-oversize"),
        (10, 206, {"Content-Range": "bytes 10-100/101"}, Corrupt, "blob-oversize"),
        (10, 416, {"Content-Range": "bytes */1" + "0" * 5000}, Corrupt, "blob-oversize"),  # found by the fuzzer
        (0, 200, {"Content-Length": "99"}, NotServed, "blob-incomplete"),
        (10, 416, {"Content-Range": "bytes */5"}, NotServed, "blob-incomplete"),
        (0, 200, {"Content-Encoding": "gzip"}, RetryLater, "server-recodes"),
        (0, 416, {}, RetryLater, "http-status"),
        (0, 404, {}, NotServed, "not-found"),
        (0, 503, {}, RetryLater, "server-busy"),
    ],
)
def test_what_is_refused(offset: int, status: int, headers: dict[str, str], kind: type[OtadError], code: str) -> None:
    with pytest.raises(kind) as caught:
        want(offset).start(status, headers)
    assert caught.value.cause.code == code
    assert URL in caught.value.cause.what
