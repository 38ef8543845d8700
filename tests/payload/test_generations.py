"""Generations: made once an attempt, pointed at by one rename, unknown rather than wrong, bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from otad.bootenv import Slot
from otad.errors import RetryLater
from otad.formats.release import Payload, PayloadKind, Release
from otad.payload import Installed
from otad.payload.generations import Generations
from otad.statemachine import Attempt, Kind


def payload(kind: PayloadKind, name: str, digit: str) -> Payload:
    return Payload(kind=kind, name=name, sha256=digit * 64, length=10, disk=10)


IMAGE = payload(PayloadKind.SYSTEM, "system", "1")
IMAGE_2 = payload(PayloadKind.SYSTEM, "root", "2")
CAMERA = payload(PayloadKind.APP, "camera", "3")
CAMERA_2 = payload(PayloadKind.APP, "camera", "4")
FACES = payload(PayloadKind.MODEL, "faces", "5")


def release(version: str, *payloads: Payload) -> Release:
    return Release(product="cam", version=version, hardware=("jetson-nano 1.0",), payloads=payloads)


def attempt(name: str, target: Slot | None, version: str = "1.1.0") -> Attempt:
    return Attempt(name, Kind.UPDATE, "c", "a" * 64, version, target)


def installed(*payloads: Payload) -> list[Installed]:
    return [Installed(one.sha256, one.sha256[::-1], 7) for one in payloads]


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    return Generations(tmp_path / "data", tmp_path / "run")


def full(generations: Generations, name: str = "one", target: Slot = Slot.A) -> int:
    """A generation with everything, that `target` points at."""
    made = generations.create(attempt(name, target), release("1.0.0", IMAGE, CAMERA, FACES), installed(IMAGE, CAMERA, FACES))
    generations.point(target, made.number)
    return made.number


def test_nothing_is_known_of_an_empty_device(generations: Generations) -> None:
    assert generations.at(Slot.A) is None
    assert generations.current() is None
    assert generations.number(1) is None
    generations.unpoint(Slot.B)
    generations.collect()


def test_what_was_created_is_read_back_by_another_process(generations: Generations, tmp_path: Path) -> None:
    number = full(generations)
    again = Generations(tmp_path / "data", tmp_path / "run")
    found = again.at(Slot.A)
    assert found == again.number(number)
    assert found is not None
    assert found.system == Installed(IMAGE.sha256, IMAGE.sha256[::-1], 7)
    assert found.payloads == (IMAGE, CAMERA, FACES)
    assert again.at(Slot.B) is None


def test_an_attempt_has_one_generation_however_often_it_runs(generations: Generations, tmp_path: Path) -> None:
    first = full(generations)
    file = tmp_path / "data" / "generations" / str(first) / "generation.json"
    before = file.stat().st_ino
    assert full(generations) == first
    assert file.stat().st_ino == before  # what a pointer names is not written again
    assert full(generations, "two") != first


def test_what_a_release_does_not_name_is_carried_over_from_the_slot_that_runs(generations: Generations) -> None:
    full(generations)
    made = generations.create(attempt("two", Slot.B), release("1.1.0", IMAGE_2, CAMERA_2), installed(IMAGE_2, CAMERA_2))
    assert made.payloads == (IMAGE_2, CAMERA_2, FACES)
    assert made.system == Installed(IMAGE_2.sha256, IMAGE_2.sha256[::-1], 7)
    assert made.previous is None


def test_a_release_without_an_image_keeps_the_slots_image_and_knows_what_it_replaced(generations: Generations) -> None:
    number = full(generations)
    generations.activate(number)
    made = generations.create(attempt("two", None), release("1.0.1", CAMERA_2), installed(CAMERA_2))
    assert made.payloads == (CAMERA_2, IMAGE, FACES)
    assert made.system == Installed(IMAGE.sha256, IMAGE.sha256[::-1], 7)
    assert made.previous == number
    assert generations.at(Slot.A) == generations.number(number)  # no pointer has moved


def test_the_pointer_is_a_relative_link_that_the_boot_script_can_follow(generations: Generations, tmp_path: Path) -> None:
    number = full(generations)
    link = tmp_path / "data" / "slots" / "A"
    assert str(link.readlink()) == f"../generations/{number}"
    assert (link / "generation.json").is_file()


def test_a_slot_points_at_nothing_once_its_content_is_unknown(generations: Generations) -> None:
    full(generations)
    generations.unpoint(Slot.A)
    assert generations.at(Slot.A) is None


def test_a_slot_never_points_at_what_does_not_exist(generations: Generations) -> None:
    number = full(generations)
    with pytest.raises(RetryLater) as refused:
        generations.point(Slot.A, number + 1)
    assert refused.value.cause.code == "generation-missing"
    assert generations.at(Slot.A) == generations.number(number)


@pytest.mark.parametrize("rot", [b"", b"{", b"\xff\xfe", b"[]", b'{"attempt": "one", "generation": {"number": 99}}'])
def test_a_damaged_generation_is_unknown(generations: Generations, tmp_path: Path, rot: bytes) -> None:
    number = full(generations)
    (tmp_path / "data" / "generations" / str(number) / "generation.json").write_bytes(rot)
    assert generations.at(Slot.A) is None
    assert full(generations, "two", Slot.B) != number  # and its number is not used again


def test_a_generation_under_another_number_is_unknown(generations: Generations, tmp_path: Path) -> None:
    number = full(generations)
    (tmp_path / "data" / "generations" / str(number)).rename(tmp_path / "data" / "generations" / "7")
    assert generations.number(7) is None
    assert generations.at(Slot.A) is None


def test_keys_of_a_newer_otad_are_passed_over(generations: Generations, tmp_path: Path) -> None:
    number = full(generations)
    file = tmp_path / "data" / "generations" / str(number) / "generation.json"
    before = generations.number(number)
    file.write_bytes(file.read_bytes().replace(b'{"attempt"', b'{"colour":"red","attempt"', 1))
    assert generations.number(number) == before


def test_a_draft_left_by_a_cut_is_in_nobodys_way(generations: Generations, tmp_path: Path) -> None:
    number = full(generations)
    (tmp_path / "data" / "generations" / str(number) / ".generation.json").write_text("half")
    (tmp_path / "data" / "slots" / ".A").symlink_to("../generations/99")
    (tmp_path / "data" / "generations" / "5").mkdir()  # cut before its file was there
    assert generations.at(Slot.A) == generations.number(number)
    assert full(generations, "two", Slot.A) == 6


def test_only_what_a_slot_needs_or_can_be_reverted_to_is_kept(generations: Generations, tmp_path: Path) -> None:
    old = full(generations, "zero", Slot.A)
    a = full(generations, "one", Slot.A)
    b = full(generations, "two", Slot.B)
    generations.activate(a)
    derived = generations.create(attempt("three", None), release("1.0.1", CAMERA_2), installed(CAMERA_2)).number
    lost = generations.create(attempt("four", None), release("1.0.2", CAMERA), installed(CAMERA)).number
    generations.point(Slot.A, derived)
    generations.collect()
    left = {int(entry.name) for entry in (tmp_path / "data" / "generations").iterdir()}
    assert left == {a, b, derived}
    assert not left & {old, lost}


def test_a_folder_that_cannot_be_listed_is_logged_and_collected_the_next_time(
    generations: Generations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full(generations, "one")
    kept = full(generations, "two")

    def fails(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "iterdir", fails)
        generations.collect()
    assert "Input/output error" in caplog.text
    generations.collect()
    assert [entry.name for entry in (tmp_path / "data" / "generations").iterdir()] == [str(kept)]


@pytest.mark.parametrize("method", ["readlink", "read_bytes"])
def test_a_pointer_that_cannot_be_read_still_points(
    generations: Generations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """Bad blocks: what the slot needs is not known, so all of it may be needed."""
    lost, kept = full(generations, "one"), full(generations, "two")

    def fails(path: Path) -> Path:
        raise OSError(5, "Input/output error", str(path))

    with monkeypatch.context() as broken:
        broken.setattr(Path, method, fails)
        generations.collect()
    assert "Input/output error" in caplog.text
    assert generations.number(lost)
    assert generations.at(Slot.A) == generations.number(kept)


def test_a_read_only_or_full_data_partition_is_said_so(generations: Generations, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(RetryLater) as refused:
        full(generations)
    assert refused.value.cause.code == "data-unwritable"
    assert str(tmp_path / "data") in refused.value.cause.what
