"""The clock rule, by itself and through whole refreshes of devices whose clock cannot be believed."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from otad.errors import Rejected, RetryLater
from otad.trust.clock import EPOCH, Clock, Reading, kernel_synchronised, tell
from tests.support.trust_device import Device
from tests.support.tuf_repository import DAY, NOW, TufRepository

LATEST = NOW + 395 * DAY
WRONG = EPOCH + DAY
Y2038 = EPOCH + timedelta(seconds=2**31)


def read(**changed: object) -> Reading:
    facts: dict[str, object] = {"system": NOW, "synchronised": False, "build": EPOCH, "issued": None, "latest": LATEST}
    return tell(**{**facts, **changed})  # type: ignore[arg-type]


class TestTell:
    def test_a_synchronised_clock_is_believed_whatever_else_is_known(self) -> None:
        assert read(synchronised=True, system=WRONG, build=NOW, issued=NOW).now == WRONG
        assert read(synchronised=True, system=LATEST + DAY).now == LATEST + DAY

    def test_floor_is_the_latest_of_build_and_issued(self) -> None:
        assert read(build=NOW, issued=NOW - DAY).now == NOW
        assert read(build=NOW - DAY, issued=NOW).now == NOW
        assert read(build=NOW).now == NOW
        assert read(system=NOW, build=EPOCH).now == EPOCH

    def test_an_unsynchronised_clock_never_counts(self) -> None:
        assert read(system=NOW + DAY, build=NOW).now == NOW
        assert read(system=WRONG, build=NOW).now == NOW

    @pytest.mark.parametrize("known", ["build", "issued"])
    def test_clamped_just_before_root_or_targets_expire(self, known: str) -> None:
        found = read(**{known: LATEST + 1000 * DAY})
        assert found.now == LATEST - timedelta(seconds=1)
        assert "just before root or targets expire" in found.basis
        assert read(**{known: LATEST}).now < LATEST

    def test_age_counts_an_unsynchronised_clock_that_is_ahead(self) -> None:
        assert read(system=NOW + 3 * DAY, issued=NOW).age(NOW) == 3 * DAY
        assert read(system=WRONG, issued=NOW + DAY).age(NOW) == DAY
        assert read(synchronised=True, system=WRONG).age(NOW) == timedelta(0)

    def test_it_says_which_clock(self) -> None:
        assert str(read(synchronised=True)) == "the system clock, synchronised, says 2026-11-22T12:00:00Z"
        assert "not synchronised (it says 1970-01-02T00:00:00Z)" in str(read(system=WRONG, build=NOW))
        assert "2026-11-22T12:00:00Z, when this image was built" in str(read(system=WRONG, build=NOW))
        assert "when the last accepted timestamp.json was issued" in str(read(issued=NOW))


def test_build_time_is_that_of_the_image(tmp_path: Path) -> None:
    file = tmp_path / "release.json"
    assert Clock.of_image(file).build == EPOCH
    file.write_text("{}")
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    assert Clock.of_image(file).build == NOW


def test_the_kernel_answers() -> None:
    assert kernel_synchronised() in (True, False)
    reading = Clock().read(None, LATEST)
    assert reading.synchronised == kernel_synchronised()


@pytest.mark.parametrize("system", [EPOCH, Y2038])
async def test_a_clock_that_nothing_steers_may_say_what_it_wants(device: Device, system: datetime) -> None:
    device.synchronised, device.time = False, system
    assert (await device.repository().refresh()).reading.now == NOW


async def test_a_clock_that_was_synchronised_to_1970_strands_nobody(device: Device) -> None:
    device.time = EPOCH
    assert (await device.repository().refresh()).reading.now == EPOCH


async def test_in_2038_everything_has_expired_and_the_message_names_the_clock(device: Device, repo: TufRepository) -> None:
    device.time = Y2038
    with pytest.raises(RetryLater, match=r"root\.json, version 1, expired.*synchronised, says 2038-01-19T03:14:08Z") as caught:
        await device.repository().refresh()
    assert caught.value.cause.code == "expired"
    repo.time = Y2038
    repo.publish_root()
    repo.publish("targets", "releases", "rollouts")
    assert (await device.repository().refresh()).as_of == Y2038


class TestWithoutTime:
    """A device that woke in 1970 and has no time source."""

    @pytest.fixture
    def device(self, device: Device) -> Device:
        device.synchronised = False
        device.time = WRONG
        return device

    async def test_it_updates_like_any_other(self, device: Device) -> None:
        found = await device.repository().refresh()
        assert (found.reading.now, found.age) == (NOW, timedelta(0))

    async def test_accepted_timestamps_move_time_on(self, device: Device, repo: TufRepository) -> None:
        await device.repository().refresh()
        repo.time = NOW + 6 * DAY  # rollouts and snapshot were signed at NOW for 7 days
        repo.publish_timestamp()
        assert (await device.repository().refresh()).reading.now == NOW + 6 * DAY
        repo.time = NOW + 8 * DAY
        repo.publish_timestamp()
        with pytest.raises(RetryLater, match=r"snapshot\.json expired at 2026-11-29.*not synchronised \(it says 1970") as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "expired"
        assert "time source" in caught.value.cause.remedy

    async def test_the_floor_does_not_go_back(self, device: Device, repo: TufRepository) -> None:
        repo.time = NOW + DAY
        repo.publish_timestamp()
        await device.repository().refresh()
        repo.time = NOW - 10 * DAY
        repo.publish_timestamp()  # newer by version, issued and expired earlier
        with pytest.raises(RetryLater, match=r"timestamp\.json expired at 2026-11-14.*2026-11-23T12:00:00Z"):
            await device.repository().refresh()

    async def test_an_old_mirror_cannot_take_an_old_image_back(self, device: Device) -> None:
        device.build = NOW + 3 * DAY
        with pytest.raises(RetryLater, match=r"timestamp\.json expired.*when this image was built"):
            await device.repository().refresh()

    async def test_a_stolen_online_key_cannot_expire_root_and_targets(self, device: Device, repo: TufRepository) -> None:
        """It can freeze; rotating it by root ends that, and drops the floor that it set."""
        repo.time = NOW + 4000 * DAY
        root, targets = repo.root.expires, repo.targets("targets").expires
        repo.timestamp.version += 1
        repo.sign("timestamp")
        with pytest.raises(RetryLater) as caught:  # snapshot, 7 days: an online signature
            await device.repository().refresh()
        assert "snapshot.json" in caught.value.cause.what
        repo.publish("releases", "rollouts")
        found = await device.repository().refresh()
        assert found.reading.now == min(root, targets) - timedelta(seconds=1)

        repo.time = NOW + DAY
        repo.publish("releases", "rollouts")
        with pytest.raises(RetryLater) as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "expired"
        repo.rotate("timestamp")
        repo.publish_root()
        repo.publish_timestamp()
        found = await device.repository().refresh()
        assert found.reading.now == NOW + DAY
        assert (await device.repository().refresh()).reading.now == NOW + DAY  # and it is not kept anywhere

    @pytest.mark.parametrize("issued", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
    async def test_a_time_outside_of_the_calendar_is_no_time(self, device: Device, repo: TufRepository, issued: str) -> None:
        repo.timestamp.unrecognized_fields["x-issued"] = issued
        repo.seal("timestamp")
        with pytest.raises(Rejected) as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "timestamp-invalid"

    async def test_the_last_second_of_the_calendar_is_ended_by_a_rotation(self, device: Device, repo: TufRepository) -> None:
        """The farthest that the online keys can poison the floor of a device without time."""
        for role in ("timestamp", "snapshot", "rollouts"):
            repo.signed[role].expires = repo.root.expires
            repo.seal(role)
        repo.signed["releases"].expires = repo.root.expires  # signed offline, for long
        repo.seal("releases")
        repo.timestamp.unrecognized_fields["x-issued"] = "9999-12-31T23:59:59Z"
        repo.seal("timestamp")
        found = await device.repository().refresh()
        assert found.reading.now == repo.root.expires - timedelta(seconds=1)
        repo.rotate("snapshot")
        repo.publish_root()
        repo.publish("releases", "rollouts")
        assert (await device.repository().refresh()).reading.now == NOW

    async def test_targets_that_expire_first_are_the_clamp(self, device: Device, repo: TufRepository) -> None:
        repo.signed["targets"].expires = NOW + 10 * DAY
        repo.seal("targets")
        device.build = NOW + 100 * DAY
        for role in ("timestamp", "snapshot", "rollouts"):
            repo.signed[role].expires = NOW + 395 * DAY
            repo.seal(role)
        found = await device.repository().refresh()
        assert found.reading.now == NOW + 10 * DAY - timedelta(seconds=1)

    async def test_other_root_keys_leave_the_floor(self, device: Device, repo: TufRepository) -> None:
        repo.time = NOW + DAY
        repo.publish_timestamp()
        await device.repository().refresh()
        repo.rotate_root()
        repo.time = NOW - 10 * DAY
        repo.publish_timestamp()
        with pytest.raises(RetryLater) as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "expired"

    async def test_cached_ages_by_the_clock_there_is(self, device: Device) -> None:
        await device.repository().refresh()
        found = device.repository().cached()
        assert found is not None
        assert found.age == timedelta(0)
        device.time = NOW + 2 * DAY
        found = device.repository().cached()
        assert found is not None
        assert found.age == 2 * DAY
