"""Which bundles this device takes, by their head alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otad.bootenv import Slot
from otad.errors import Rejected
from otad.formats import swu
from otad.payload.bundle import Hardware, Plan, plan
from tests.support.bundles import Signer, bundle, same, with_key, with_section

IMAGE = b"image" * 1000
DEVICES = {"/dev/mmcblk0p3", "/dev/root-b"}
HERE = Hardware("jetson-nano", "1.0")


def judge(
    signer: Signer, before: Callable[[str], str] = same, room: int = len(IMAGE), here: Hardware = HERE, name: str = "rootfs.img"
) -> Plan:
    return plan(swu.head([bundle(signer, IMAGE, before=before, name=name)]), here, Slot.B, DEVICES, room)


def device(name: str) -> Callable[[str], str]:
    return lambda text: text.replace('"target"', f'"{name}"')


def test_a_good_bundle_is_planned(signer: Signer) -> None:
    planned = judge(signer)
    assert planned.length == len(IMAGE)
    assert planned.sha256 is not None


@pytest.mark.parametrize("name", ["target", *sorted(DEVICES)])
def test_the_target_may_be_named_as_it_is_here(signer: Signer, name: str) -> None:
    assert judge(signer, device(name)).length == len(IMAGE)


@pytest.mark.parametrize("name", ["", "/dev/mmcblk0p2", "/dev/mmcblk0p3/", "../target", "/dev/sda", "slot-a"])
def test_any_other_device_is_refused_and_both_are_named(signer: Signer, name: str) -> None:
    with pytest.raises(Rejected) as refused:
        judge(signer, device(name))
    assert refused.value.cause.code == "bundle-foreign-device"
    assert repr(name) in refused.value.cause.what
    assert "/dev/mmcblk0p3" in refused.value.cause.what


@pytest.mark.parametrize("here", [Hardware("jetson-nano", "2.0"), Hardware("raspberry", "1.0")])
def test_other_hardware_is_refused_and_named(signer: Signer, here: Hardware) -> None:
    with pytest.raises(Rejected) as refused:
        judge(signer, here=here)
    assert refused.value.cause.code == "bundle-hardware"
    assert here.board in refused.value.cause.what


def test_boot_variables_pass_because_install_compares_them(signer: Signer) -> None:
    assert judge(signer, with_section('bootenv = ({ name = "a"; value = "b"; });')).length == len(IMAGE)


@pytest.mark.parametrize(
    ("before", "code"),
    [
        (with_section('scripts = ({ filename = "x"; type = "shellscript"; });'), "bundle-section"),
        (with_section('partitions = ({ type = "diskpart"; device = "/dev/sda"; });'), "bundle-section"),
        (with_section('files = ({ filename = "x"; path = "/etc/passwd"; });'), "bundle-section"),
        (with_section('embedded-script = "os.execute()";'), "bundle-section"),
        (with_key('offset = "1M";'), "bundle-image"),
        (with_key('install-if-different = true; name = "a"; version = "1";'), "bundle-image"),
        (with_key('ref = "#./x";'), "bundle-image"),
        (with_key('hook = "f";'), "bundle-image"),
        (lambda text: text.replace('"raw"', '"diskpart"'), "bundle-handler"),
        (lambda text: text.replace("installed-directly = True;", ""), "bundle-not-streamed"),
        (lambda text: text.replace("images =", "pictures ="), "bundle-images"),
        (lambda text: text.replace("            }\n", '            }, { filename = "two"; }\n'), "bundle-images"),
    ],
)
def test_what_cannot_be_known_beforehand_is_refused(signer: Signer, before: Callable[[str], str], code: str) -> None:
    with pytest.raises(Rejected) as refused:
        judge(signer, before)
    assert refused.value.cause.code == code
    assert refused.value.cause.remedy


def test_an_image_larger_than_its_release_declares_is_refused(signer: Signer) -> None:
    with pytest.raises(Rejected) as refused:
        judge(signer, room=len(IMAGE) - 1)
    assert refused.value.cause.code == "bundle-larger"


def test_the_image_must_follow_its_signature(signer: Signer) -> None:
    with pytest.raises(Rejected) as refused:
        judge(signer, name="other.img")
    assert refused.value.cause.code == "bundle-order"


def test_a_compressed_image_is_planned_without_a_hash_of_what_it_becomes(signer: Signer) -> None:
    assert judge(signer, with_key('compressed = "zlib";'), room=99) == Plan(99, None)


def test_a_description_that_is_no_text_is_refused(tmp_path: Path) -> None:
    head = swu.Head(b"\xff\xfe\x00", b"", "x", 1, 0)
    with pytest.raises(Rejected) as refused:
        plan(head, HERE, Slot.A, DEVICES, 1)
    assert refused.value.cause.code == "bundle-description"
