"""What is fuzzed: each parser as a function of bytes that returns, or raises what it documents and nothing else.

Rules:
 1. A seed is a real document, so that mutants get past the first check.
 2. A target asserts what its parser promises of memory: pieces, counts, lengths. The runner bounds time.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import zstandard
from pydantic import ValidationError

from otad import config_files, identity, mounts
from otad.bootenv import Slot, uboot
from otad.delta.faults import Fault
from otad.encoding import Source
from otad.encoding.zstd import DECODER
from otad.errors import OtadError
from otad.fetch.faults import LONGEST, retry_after
from otad.fetch.ranges import Ledger, Want
from otad.formats import swu
from otad.formats.campaign import Rollouts
from otad.formats.encodings import Encodings
from otad.formats.event import Event
from otad.formats.grant import Grant
from otad.formats.release import Release
from otad.formats.swu import description
from otad.health import unit
from otad.journal import Journal
from otad.journal.reader import Reader
from otad.payload import messages
from otad.payload.progress import NATIVE, Message
from otad.payload.progress import Reader as Progress
from simulator.envfile import RECIPES
from tests.fuzz import delta

SHA = "ab" * 32
PIECES = 64  # of a decoded stream that are looked at
PIECE = 256 * 1024


@dataclass(frozen=True)
class Target:
    """One parser. `run` raises only what is a finding."""

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


def _expects(parse: Callable[[bytes], object], *documented: type[Exception]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            parse(data)
        except documented as error:
            assert str(error)  # noqa: PT017 - it need not be raised

    return run


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _json(**document: object) -> bytes:
    return json.dumps(document).encode()


# -- documents ----------------------------------------------------------------------------------------------------------------

_PAYLOAD = {"kind": "system", "name": "system", "sha256": SHA, "length": 9, "disk": 9, "options": {}}
_RELEASE = _json(
    schema=1, product="demo", version="1.1.0-rc.1+b2", hardware=["b 1"], critical=True, notes="n", payloads=[_PAYLOAD]
)
_ENCODING = {"type": "delta", "blob": SHA, "length": 9, "base": SHA, "memory": 1, "needs": ["x"]}
_ENCODINGS = _json(schema=1, release=SHA, of={SHA: [_ENCODING]})
_CURVE = [[0, 1000], [86400, 1000000]]
_OPENING = {"opened": "2026-01-01T00:00:00Z", "curve": _CURVE, "free": {"ring": ["test"]}}
_GRANT = _json(channels={"stable": _OPENING}, back_to=["1.0.0"], withdrawn=False)
_CAMPAIGN = {
    "id": "c1",
    "version": "1.1.0",
    "sha256": SHA,
    "action": "update",
    "state": "running",
    "started": "2026-01-01T00:00:00Z",
    "phase": "p",
    "curve": _CURVE,
    "strata": [[{"region": ["eu"]}, _CURVE]],
    "only": {"version": ["1.0.0"]},
    "devices": ["ab" * 8],
}
_ROLLOUTS = _json(schema=1, channel="stable", campaigns=[_CAMPAIGN])
_EVENT = _json(
    id="01M810Y7YBYF0CMW8CVCF8F3DV",
    device="d",
    boot="b",
    time="2026-11-22T07:27:23.412Z",
    state="install",
    outcome="failed",
    running="1.0.0",
    booted="A",
    cause={"code": "c", "what": "w", "remedy": "r", "who": "nobody", "evidence": {"k": "v"}},
    durations={"state": 0.1},
    bytes={"download": 9},
)


# -- bundles and blobs --------------------------------------------------------------------------------------------------------

_DESCRIPTION = description.describe("1.1.0", ["fast-board 1.0"], "system.img", SHA)


def _bundle() -> bytes:
    out = io.BytesIO()
    swu.pack(_DESCRIPTION, b"signature", [("system.img", io.BytesIO(b"image"), 5)], out)
    return out.getvalue()


def _frames() -> tuple[bytes, ...]:
    plain = zstandard.ZstdCompressor(level=1, write_checksum=True).compress(b"otad" * 100_000)
    return plain, zstandard.ZstdCompressor(level=19).compress(bytes(3_000_000))


def _head(data: bytes) -> None:
    found = swu.head(data[i : i + 700] for i in range(0, len(data), 700))
    assert len(found.description) <= len(data)


def _zstd(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as blob:
        blob.write(data)
        blob.flush()
        for piece in islice(Source(Path(blob.name), DECODER, SHA, 1).stream(), PIECES):
            assert len(piece) <= PIECE


# -- the device ---------------------------------------------------------------------------------------------------------------

_ENV = b"".join((RECIPES / name).read_bytes() for name in ("otad-data.env", "otad-scripts.env"))
_MOUNTINFO = b"""21 1 179:2 / / ro,relatime shared:1 - ext4 /dev/mmcblk0p2 ro
30 21 0:26 / /data/a\\040b rw master:2 - ext4 /dev/mmcblk0p4 rw
"""
_TOML = (Path(__file__).parents[2] / "systemd" / "otad.toml").read_bytes().replace(b"# ", b"")


def _environment(data: bytes) -> None:
    env = uboot.parse(_text(data))
    uboot.env_problems(env, uboot.boot_status(env, Slot.A))


def _arguments(data: bytes) -> None:
    for name in ("root", "otad.slot"):
        if value := mounts.boot_argument(_text(data), name):
            mounts.root_path(value)


def _settings(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "otad.toml")
        file.write_bytes(data)
        config_files.salvage(file)
        config_files.load(file)


def _journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "journal.db")
        with closing(Journal.open(file)) as journal, journal.transaction():
            journal.events.append(Event.from_json(_EVENT.decode()))
        with closing(sqlite3.connect(file)) as plain:
            plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes()


def _damaged(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "journal.db")
        file.write_bytes(data)
        with closing(Reader(file)) as reader:
            reader.load()
            reader.events.latest(1000)


def _identity(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "identity")
        file.write_bytes(data)
        known = identity.device_id(None, file, Path(folder))
        assert identity.device_id(None, file, Path(folder)) == identity.DeviceId(known.name)


def _units(data: bytes) -> None:
    for shown in unit.parse(_text(data)):
        unit.judge(shown, 0)


# -- the network, and SWUpdate ------------------------------------------------------------------------------------------------


def _retry(data: bytes) -> None:
    wait = retry_after(
        {"Retry-After": _text(data), "Date": datetime(2026, 1, 1, tzinfo=timezone.utc).strftime("%a, %d %b %Y %T GMT")}
    )
    assert wait is None or 0 < wait <= LONGEST


def _range(data: bytes) -> None:
    headers = {"Content-Range": _text(data), "ETag": '"e"', "Content-Length": _text(data)}
    for status in (200, 206, 416):
        try:
            start = Want("https://h/b", 1000, 500, '"e"').start(status, headers)
        except OtadError as error:
            assert str(error)  # noqa: PT017 - each status is asked
        else:
            assert start in (None, 0, 500)


def _progress(data: bytes) -> None:
    reader, told = Progress(), list[Message]()
    for i in range(0, len(data), 999):
        told += reader.feed(data[i : i + 999])
    assert len(told) <= len(data) // 2000


TARGETS: dict[str, Target] = {
    "release": Target(_expects(lambda data: Release.decode(data, "r.json"), OtadError), (_RELEASE,)),
    "encodings": Target(_expects(lambda data: Encodings.decode(data, "e.json"), OtadError), (_ENCODINGS,)),
    "grant": Target(_expects(Grant.model_validate_json, ValidationError), (_GRANT,)),
    "rollouts": Target(_expects(lambda data: Rollouts.decode(data, "c.json"), OtadError), (_ROLLOUTS,)),
    "event": Target(_expects(lambda data: Event.from_json(_text(data)), OtadError), (_EVENT,)),
    "swu": Target(_expects(_head, OtadError), (_bundle(),)),
    "sw-description": Target(
        _expects(lambda data: description.parse(data.decode("utf-8", "replace"), "fast-board", Slot.B), OtadError),
        (_DESCRIPTION.encode(),),
    ),
    "zstd": Target(_expects(_zstd, OtadError), _frames()),
    "delta": Target(_expects(delta.applied, Fault), delta.patches()),
    "ledger": Target(_expects(Ledger.decode), (Ledger(500, SHA, '"e"').encode(),)),
    "content-range": Target(_range, (b"bytes 500-999/1000", b"bytes */1000", b"500")),
    "retry-after": Target(_retry, (b"120", b"Thu, 01 Jan 2026 00:02:00 GMT")),
    "swupdate-progress": Target(_progress, (bytes(2 * NATIVE.size), b"\2\0\2\0ACK\0" + b"\2\0\2\0" * 1300)),
    "swupdate-log": Target(
        _expects(lambda data: messages.explain(data.decode("utf-8", "replace"), data[0] if data else 1, "system")),
        (b"[ERROR] : SWUPDATE failed [0] ERROR core/parser.c : Compatible SW not found",),
    ),
    "fw_printenv": Target(_expects(_environment), (_ENV,)),
    "cmdline": Target(_expects(_arguments), (b'root=PARTUUID=ab-01 ro "dyndbg=file a +p" otad.slot=A',)),
    "mountinfo": Target(_expects(lambda data: mounts.parse_mounts(_text(data)), ValueError), (_MOUNTINFO,)),
    "systemctl-show": Target(_expects(_units), (b"Id=a.service\nLoadState=loaded\nActiveState=active\nNRestarts=3\n\nId=b",)),
    "settings": Target(_expects(_settings, OtadError), (_TOML, b'[repository]\nurl = "https://h"\n[device]\nproduct = "p"\n')),
    "identity": Target(_identity, (_json(id="ab" * 16, board={"serial": "1", "emmc": "2"}),)),
    "journal": Target(_expects(_damaged, OtadError), (_journal(),)),
}
