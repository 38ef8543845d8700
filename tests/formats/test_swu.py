"""Bundles: packed so that cpio and SWUpdate read them, and read so that what one would write is known before it does."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import libconf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otad.bootenv import Slot
from otad.errors import Rejected
from otad.formats import swu
from otad.formats.swu import cpio

IMAGE = b"image" * 1001
SHA = hashlib.sha256(IMAGE).hexdigest()
TEXT = swu.describe("1.1.0", ["jetson-nano 1.0", "jetson-nano 1.1", "qemu 2"], "rootfs.img", SHA)
SIGNATURE = b"signature"


def packed(description: str = TEXT, image: bytes = IMAGE) -> bytes:
    out = BytesIO()
    swu.pack(description, SIGNATURE, [("rootfs.img", BytesIO(image), len(image))], out)
    return out.getvalue()


def test_cpio_itself_unpacks_a_bundle(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("needs cpio")
    subprocess.run(["cpio", "-i", "--quiet"], input=packed(), cwd=tmp_path, check=True)
    assert (tmp_path / "sw-description").read_text() == TEXT
    assert (tmp_path / "sw-description.sig").read_bytes() == SIGNATURE
    assert (tmp_path / "rootfs.img").read_bytes() == IMAGE


@pytest.mark.parametrize("form", ["newc", "crc"])
def test_a_bundle_that_cpio_packed_is_read(tmp_path: Path, form: str) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("needs cpio")
    for name, data in (("sw-description", TEXT.encode()), ("sw-description.sig", SIGNATURE), ("rootfs.img", IMAGE)):
        (tmp_path / name).write_bytes(data)
    names = b"sw-description\nsw-description.sig\nrootfs.img\n"
    made = subprocess.run(["cpio", "-o", "-H", form, "--quiet"], input=names, cwd=tmp_path, check=True, capture_output=True)
    assert swu.head([made.stdout]) == swu.Head(TEXT.encode(), SIGNATURE, "rootfs.img", len(IMAGE), made.stdout.index(IMAGE))


def test_the_same_input_packs_to_the_same_bytes() -> None:
    assert packed() == packed()
    assert len(packed()) % 512 == 0


def test_the_head_is_read_from_pieces_of_any_size_and_no_more_is_taken() -> None:
    data = packed(image=bytes([1]) * 100_000)
    pieces = iter([data[at : at + 100] for at in range(0, len(data), 100)])
    found = swu.head(pieces)
    assert (found.length, found.start) == (100_000, data.index(bytes([1]) * 100_000))
    assert len(list(pieces)) > 900


def test_a_head_alone_holds_description_and_signature_as_they_came() -> None:
    head = swu.head([packed()])
    alone = swu.head([swu.alone(head)])
    assert alone == swu.Head(head.description, head.signature, "TRAILER!!!", 0, alone.start)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 511, 512, 513])
def test_every_length_is_padded(length: int) -> None:
    data = packed(image=bytes(length))
    assert swu.head([data]).length == length
    assert data[data.index(b"rootfs.img\0") :].count(b"TRAILER!!!") == 1


def test_an_image_that_shrank_while_it_was_packed_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        swu.pack(TEXT, SIGNATURE, [("rootfs.img", BytesIO(IMAGE), len(IMAGE) + 1)], BytesIO())
    assert refused.value.cause.code == "bundle-image-short"


def test_an_image_of_4_gib_does_not_fit() -> None:
    with pytest.raises(Rejected) as refused:
        cpio.header("rootfs.img", 2**32, 1)
    assert refused.value.cause.code == "bundle-too-large"
    assert len(cpio.header("rootfs.img", 2**32 - 1, 1)) % 4 == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 1000,
        packed()[:50],
        packed()[:130],
        packed().replace(b"sw-description\0", b"sw-descriptioX\0"),
        packed().replace(b"sw-description.sig", b"sw-description.abc"),
        b"070701" + b"Z" * 104,
        packed()[:54] + b"7FFFFFFF" + packed()[62:],
        packed()[:94] + b"00000000" + packed()[102:],
        packed()[:94] + b"FFFFFFFF" + packed()[102:],
    ],
)
def test_what_is_no_bundle_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        swu.head([data])
    assert refused.value.cause.code == "bundle-malformed"


@given(st.binary(max_size=3000), st.integers(0, 400))
def test_damage_to_the_head_is_refused_or_seen(junk: bytes, at: int) -> None:
    data = packed()
    with suppress(Rejected):
        swu.head([data[:at] + junk + data[at + len(junk) :]])


def test_a_board_gets_what_it_was_described_for() -> None:
    found = swu.parse(TEXT, "jetson-nano", Slot.B)
    assert found == swu.Description("1.1.0", ("1.0", "1.1"), (swu.Image("rootfs.img", SHA),), ())
    assert found.accepts("1.1")
    assert not found.accepts("1.2")
    assert swu.parse(TEXT, "qemu", Slot.A).revisions == ("2",)


def test_another_board_gets_nothing() -> None:
    found = swu.parse(TEXT, "raspberry", Slot.A)
    assert not found.images
    assert not found.accepts("1.0")


def test_each_slot_has_its_device() -> None:
    text = swu.describe("1.0.0", ["b 1"], "i", SHA, {Slot.A: "/dev/mmcblk0p2", Slot.B: "/dev/mmcblk0p3"})
    assert [swu.parse(text, "b", slot).images[0].device for slot in Slot] == ["/dev/mmcblk0p2", "/dev/mmcblk0p3"]


@pytest.mark.parametrize("name", ["", "board", "a b c", "1board 1.0", "bo.ard 1.0", "version 1.0", "stable 1.0", 'x"; 1'])
def test_a_board_that_cannot_be_named_is_refused(name: str) -> None:
    with pytest.raises(Rejected) as refused:
        swu.describe("1.0.0", [name], "i", SHA)
    assert refused.value.cause.code == "hardware-name"


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_version_or_file_name_escapes_its_quotes(version: str, filename: str) -> None:
    text = swu.describe(version, ["b 1"], filename, SHA)
    assert set(libconf.loads(text)["software"]) == {"version", "b"}


@pytest.mark.parametrize(
    ("revisions", "revision", "taken"),
    [
        ('"#RE:^2\\\\.[0-9]+$"', "2.7", True),
        ('"#RE:^2\\\\.[0-9]+$"', "3.7", False),
        ('"#RE:("', "(", False),
        ('"1.0", "#RE:5"', "1.0", True),
        ('"1.0"', "1.00", False),
    ],
)
def test_revisions_match_as_swupdate_matches_them(revisions: str, revision: str, *, taken: bool) -> None:
    text = f'software = {{ version = "1"; hardware-compatibility: [{revisions}]; }};'
    assert swu.parse(text, "b", Slot.A).accepts(revision) is taken


def test_sections_are_found_where_swupdate_looks_for_them() -> None:
    text = """software = {
        version = "1"; hardware-compatibility = ["1"];
        scripts = ({ filename = "x.sh"; type = "shellscript"; });
        b = { bootenv = ({ name = "a"; value = "b"; }); stable = { A = { files = (); }; }; };
        stable = { B = { partitions = (); }; };
    };"""
    assert swu.parse(text, "b", Slot.A).sections == ("bootenv", "scripts", "files")
    assert swu.parse(text, "b", Slot.B).sections == ("bootenv", "scripts", "partitions")
    assert swu.parse(text, "other", Slot.A).sections == ("scripts",)


def test_what_an_image_says_beyond_the_known_is_named() -> None:
    text = TEXT.replace("type =", 'offset = "1M"; path = "/etc/passwd"; compressed = "zlib"; type =')
    (image,) = swu.parse(text, "qemu", Slot.A).images
    assert image.extra == ("offset", "path")
    assert image.compressed == "zlib"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "software",
        "software = 1;",
        "software = ();",
        'software = { version = "1"; stable = { ref = "#./x"; }; };',
        'software = { version = "1"; stable = { A = { ref = "#./x"; }; }; };',
        'software = { version = "1"; images = "x"; };',
        'software = { version = "1"; images = ("x"); };',
        'software = { version = "1"; hardware-compatibility = [1]; };',
        'software = { version = "1"; n = 010; };',
        'software = { version = "\\xzz"; };',
        "software = { a = .; };",
        "software = " + "{ a = " * 5000,
        '@include "/etc/passwd"',
    ],
)
def test_a_description_that_cannot_be_understood_is_refused_in_words(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        swu.parse(text, "b", Slot.A)
    assert refused.value.cause.code == "bundle-description"
    assert refused.value.cause.remedy


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(Rejected):
        swu.parse("software = {" + text + "};", "b", Slot.A)
