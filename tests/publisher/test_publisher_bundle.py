"""Bundles: what the real SWUpdate thinks of them, and what a release may be made of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otad.bootenv import Slot
from otad.errors import Rejected
from otad.formats import swu
from otad.payload.swupdate import UNSENDABLE
from otad.publisher import bundle
from otad.publisher.keys import KeyType
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.bundles import CONFINE, unavailable
from tests.support.published import BOARD, NOW, image, packed


def checkable(ws: Workspace) -> Path:
    """A bundle that SWUpdate's main thread cannot hand on before its installer is at work: see UNSENDABLE."""
    return packed(ws, "1.0.0", zeros=UNSENDABLE)


def swupdate_says(ws: Workspace, file: Path, slot: str = "B", board: str = "jetson-nano:1.0") -> tuple[int, str]:
    """Exit status and log of SWUpdate's check of a bundle, which writes nothing."""
    if why := unavailable():
        pytest.skip(why)
    room = ws.path.parent / "room"
    room.mkdir(exist_ok=True)
    command = [str(CONFINE), "-c", "-v", "-k", str(ws.signer.authority), "-e", f"stable,{slot}", "-H", board, "-i", str(file)]
    environment = {**os.environ, "TMPDIR": str(room)}
    done = subprocess.run(command, env=environment, cwd=room, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("slot", ["A", "B"])
def test_swupdate_takes_it_for_both_slots(ws: Workspace, slot: str) -> None:
    status, log = swupdate_says(ws, checkable(ws), slot)
    assert status == 0, log


def test_swupdate_refuses_what_is_not_for_it(ws: Workspace, tmp_path: Path) -> None:
    good = checkable(ws)
    status, log = swupdate_says(ws, good, board="jetson-nano:2.0")
    assert status == 1, log
    assert "not compatible with hardware" in log
    status, log = swupdate_says(ws, good, board="jetson-xavier:1.0")
    assert status == 1
    changed = tmp_path / "changed.swu"
    changed.write_bytes(good.read_bytes().replace(b"raw", b"rAw", 1))
    status, log = swupdate_says(ws, changed)
    assert status == 1
    assert "Signature verification failed" in log


def test_swupdate_refuses_another_workspace_signer(ws: Workspace, tmp_path: Path) -> None:
    other = Workspace.create(tmp_path / "other", "camera", Ceremony(bundle_type=KeyType.EC), now=NOW)
    status, log = swupdate_says(ws, checkable(other))
    assert status == 1
    assert "Authentication of all signatures failed" in log


@pytest.mark.slow
def test_rsa_bundles_can_be_built_again(tmp_path: Path) -> None:
    rsa = Workspace.create(tmp_path / "ws", "camera", Ceremony(threshold=1), now=NOW)
    first = packed(rsa, "1.0.0").read_bytes()
    assert packed(rsa, "1.0.0").read_bytes() == first
    status, log = swupdate_says(rsa, checkable(rsa))
    assert status == 0, log


def test_it_holds_one_raw_image_that_goes_to_the_target(ws: Workspace) -> None:
    file = packed(ws, "1.0.0")
    head = swu.head([file.read_bytes()])
    for slot in Slot:
        (found,) = swu.parse(head.description.decode(), "jetson-nano", slot).images
        assert (found.device, found.type, found.direct, found.compressed) == ("target", "raw", True, None)
    assert bundle.check(file, [BOARD]) == image(ws.path.parent).stat().st_size


def test_devices_can_be_named(ws: Workspace, tmp_path: Path) -> None:
    devices = {Slot.A: "/dev/mmcblk0p2", Slot.B: "/dev/mmcblk0p3"}
    bundle.pack(image(tmp_path), tmp_path / "x.swu", bundle.System("1.0.0", [BOARD], devices), ws.signer)
    text = swu.head([(tmp_path / "x.swu").read_bytes()]).description.decode()
    assert {slot: swu.parse(text, "jetson-nano", slot).images[0].device for slot in Slot} == devices


def test_a_release_names_only_hardware_that_its_bundle_takes(ws: Workspace) -> None:
    with pytest.raises(Rejected, match=r"does not take the hardware 'jetson-nano 2\.0'") as refused:
        bundle.check(packed(ws, "1.0.0"), [BOARD, "jetson-nano 2.0"])
    assert refused.value.cause.code == "bundle-hardware"


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.swu").write_bytes(b"ext4, perhaps" * 1000)
    with pytest.raises(Rejected) as refused:
        bundle.check(tmp_path / "x.swu", [BOARD])
    assert refused.value.cause.code == "bundle-malformed"


def test_a_failed_pack_leaves_no_file(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="cannot be named"):
        bundle.pack(image(tmp_path), tmp_path / "to" / "x.swu", bundle.System("1.0.0", ["no revision given"]), ws.signer)
    assert not (tmp_path / "to").exists()
