"""What time it is, as far as trust is concerned: a wrong clock must neither strand a device nor hide a freeze.

Rules:
 1. now = the system clock when it is synchronised, else the floor.
 2. The floor = the latest of the image's build time and every `x-issued` of an accepted timestamp: time was at least that.
 3. `x-issued` is signed by an online key, so the floor is held one second before the earlier expiry of root and targets: a
    stolen online key cannot make offline signatures look expired. It is dropped when root rotates the online keys.
 4. Build time is the mtime of the image's release.json, which is written when the image is made and lies in the slot with it.
    A missing one counts as 1970; one in the future is held back by rule 3 until the clock is synchronised.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pydantic import AwareDatetime

from otad.errors import Rejected, Who
from otad.formats import Model

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
_log = logging.getLogger(__name__)
_SYNCED_ERROR = 16_000_000
"""Microseconds: the kernel's NTP_PHASE_LIMIT (include/linux/timex.h), its error estimate while nothing steers the clock."""


class Floor(Model):
    """What `floor` holds: the latest accepted `x-issued`, if any, and the ids of the online keys under which it was accepted."""

    issued: AwareDatetime | None
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """What time it is taken to be (aware, UTC), and on whose word.

    system        what the system clock says, believed or not
    synchronised  it is believed
    basis         where `now` comes from, in words
    """

    now: datetime
    system: datetime
    synchronised: bool
    basis: str

    def age(self, since: datetime) -> timedelta:
        """Time since `since`, at least zero. An unsynchronised clock counts where it is ahead: too old is the safe side."""
        return max(self.now, self.system, since) - since

    def __str__(self) -> str:
        if self.synchronised:
            return f"the system clock, synchronised, says {stamp(self.now)}"
        return (
            f"the system clock is not synchronised (it says {stamp(self.system)}), so the time is taken to be {stamp(self.now)}, "
            f"{self.basis}"
        )


def tell(system: datetime, *, synchronised: bool, build: datetime, issued: datetime | None, latest: datetime) -> Reading:
    """Rules 1 to 3. `issued`: the latest accepted `x-issued`; `latest`: the earlier expiry of root and targets."""
    if synchronised:
        return Reading(system, system, synchronised, "the system clock")
    floor, basis = build, "when this image was built"
    if issued is not None and issued > build:
        floor, basis = issued, "when the last accepted timestamp.json was issued"
    if floor >= latest:
        floor, basis = latest - _SECOND, f"just before root or targets expire ({basis}: {stamp(floor)})"
    return Reading(floor, system, synchronised, basis)


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)); `rest` is larger than what follows on any ABI."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_synchronised() -> bool:
    """Whether something steers the system clock, by systemd's own measure (ntp_synced() in src/basic/time-util.c).

    STA_UNSYNC is not looked at: chrony and timesyncd set it to keep the kernel away from the real-time clock.
    """
    state = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state)) < 0:
        _log.warning("the clock is taken as not synchronised: adjtimex: %s", os.strerror(ctypes.get_errno()))
        return False
    return bool(state.maxerror < _SYNCED_ERROR)


def system_time() -> datetime:
    """The system clock (aware, UTC)."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Clock:
    """The device's clock by the rules above."""

    build: datetime = EPOCH
    synchronised: Callable[[], bool] = kernel_synchronised
    system: Callable[[], datetime] = system_time

    @classmethod
    def of_image(cls, release: Path) -> Clock:
        """The clock of an image whose release.json is at `release` (rule 4)."""
        try:
            return cls(datetime.fromtimestamp(release.stat().st_mtime, timezone.utc))
        except FileNotFoundError:
            return cls()

    def read(self, issued: datetime | None, latest: datetime) -> Reading:
        """What time it is now; see `tell`."""
        return tell(self.system(), synchronised=self.synchronised(), build=self.build, issued=issued, latest=latest)


def timeless(_issued: datetime | None, _latest: datetime) -> Reading:
    """The clock for what was verified before: nothing expires by it."""
    return Reading(EPOCH, EPOCH, synchronised=False, basis="not asked")


def parse_issued(value: object, name: str) -> datetime | None:
    """`x-issued` of the timestamp file `name`: RFC 3339 with an offset; None when it has none.

    Raises Rejected("timestamp-invalid").
    """
    if value is None:
        return None
    try:
        issued = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        if issued.tzinfo is not None:
            return issued.astimezone(timezone.utc)
    except (ValueError, OverflowError):  # OverflowError: year 1 or 9999, and an offset that leads out of them
        pass
    raise not_issued(name, f"x-issued is {value!r}, not a date with its time zone")


def not_issued(name: str, why: str) -> Rejected:
    """A timestamp file that must say when it was issued, and does not."""
    return Rejected(
        "timestamp-invalid",
        f"{name} does not say when it was issued: {why}",
        "Sign it again with an otarepo that matches the devices' otad",
        who=Who.INTEGRATOR,
    )


def stamp(time: datetime) -> str:
    """A time as messages show it: to the second, UTC."""
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
