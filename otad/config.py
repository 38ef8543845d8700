"""The settings: every table and key that there is. `config_files.py` reads them.

Rules:
 1. Every key has a type, a unit in its name or its comment, and a default that is right for a device in the field.
 2. An unknown key or a wrong type is an error: a misspelt setting must not be a silent default.
 3. They are frozen.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(ge=0)]
Command = Annotated[tuple[str, ...], Field(min_length=1)]


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError('must be a time of day from "00:00" to "23:59"')
    return text


LocalTime = Annotated[str, AfterValidator(_time_of_day)]


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _secure(url: str, development: bool) -> bool:
    """https, or plain http to this very machine while developing."""
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
    return scheme == "https" or (development and scheme == "http" and host in {"127.0.0.1", "localhost", "::1"})


class Repository(Section):
    """Where releases come from.

    url          base of the static repository; https, or http to loopback with `development`
    channel      whose roll-outs this device follows
    ca           PEM file of the authorities that may certify the server; None: the system's
    development  allow plain http, to loopback only
    """

    url: str
    channel: str = "stable"
    ca: Path | None = None
    development: bool = False

    @model_validator(mode="after")
    def _url_secure(self) -> Repository:
        if not _secure(self.url, self.development):
            raise ValueError("url must be https (plain http only to loopback, with development = true)")
        if urlsplit(self.url).query or urlsplit(self.url).fragment:
            raise ValueError("url is the base of all files there, so it ends with its path: no ? and no #")
        return self


class Device(Section):
    """What this device is.

    product     the product whose releases it takes
    id          its name in the fleet; None: made at first start and bound to the board
    attributes  what campaigns select by (region, network, ring, ...)
    hwrevision  file with "board revision", as SWUpdate reads it
    """

    product: str
    id: str | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    hwrevision: Path = Path("/etc/hwrevision")


class Paths(Section):
    """Where things are. Only a simulator or an unusual image changes these.

    data          folder of journal, trust, generations, evidence, identity and this device's own conf.d
    updates       folder of the cache: what was fetched and is not installed yet
    run           folder in tmpfs: socket, lock, facts of this boot, `current`
    trust_anchor  the repository's root metadata, as the image brings it
    release       what the image says that it is: {"product", "version"}
    cmdline       the kernel's command line, for otad.slot= and root=
    mounts        what is mounted; a slot that is, is not written
    boot_id       the kernel's id of this boot
    deadline      what the unit otad-deadline goes by (OTAD_DEADLINE, OTAD_FW_ENV)
    """

    data: Path = Path("/data/otad")
    updates: Path = Path("/data/updates")
    run: Path = Path("/run/otad")
    trust_anchor: Path = Path("/etc/otad/root.json")
    release: Path = Path("/usr/lib/otad/release.json")
    cmdline: Path = Path("/proc/cmdline")
    mounts: Path = Path("/proc/self/mountinfo")
    boot_id: Path = Path("/proc/sys/kernel/random/boot_id")
    deadline: Path = Path("/etc/otad/deadline")


class Slots(Section):
    """The two root file systems (block devices; plain files on a simulated board).

    a         device of slot A
    b         device of slot B
    readback  read the slot again and compare its SHA-256 before it is armed
    """

    a: Path = Path("/dev/mmcblk0p2")
    b: Path = Path("/dev/mmcblk0p3")
    readback: bool = True


class Boot(Section):
    """The boot environment.

    backend  the boot loader; uboot is the only one so far
    fw_env   where its environment is, as fw_printenv reads it
    """

    backend: Literal["uboot"] = "uboot"
    fw_env: Path = Path("/etc/fw_env.config")


class Swupdate(Section):
    """How SWUpdate is run.

    command  the program; its arguments are added
    ca       certificate (PEM) that must have signed a bundle, or its authority
    signer   common name that must have signed it; None: any that `ca` certified
    timeout  seconds after which an install is given up
    """

    command: Command = ("swupdate",)
    ca: Path = Path("/etc/otad/swupdate-ca.pem")
    signer: str | None = None
    timeout: Seconds = 3600


class Check(Section):
    """How often to look.

    interval  seconds from one check to the next
    jitter    spreads a fleet: each wait is interval +- jitter * interval
    """

    interval: Seconds = 4 * 3600
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.1


class Download(Section):
    """How to fetch.

    retries      tries of one blob before the step fails
    backoff      seconds before the first retry; doubles, with full jitter, up to backoff_max
    backoff_max  the longest of these waits
    reserve      bytes of the data partition that a download must leave free
    timeout      seconds without a byte after which a connection is given up
    delta        whether to take a delta of what runs where that is the smallest; else whole payloads only
    memory       bytes of memory that decoding may take; what needs more is not chosen (the largest zstd takes 33 MiB)
    """

    retries: Annotated[int, Field(ge=1)] = 8
    backoff: Seconds = 2
    backoff_max: Seconds = 300
    reserve: Annotated[int, Field(ge=0)] = 64 * 2**20
    timeout: Seconds = 60
    delta: bool = True
    memory: Annotated[int, Field(ge=2**20)] = 64 * 2**20


class Attempts(Section):
    """How often a release that could not be installed is tried again. One that failed its trial is not.

    limit    failures in one campaign after which it is refused
    backoff  seconds before the second try; doubles with each failure
    """

    limit: Annotated[int, Field(ge=1)] = 3
    backoff: Seconds = 900


class Window(Section):
    """When installing and rebooting may begin. A critical release, and one that a person asked for, do not wait.

    start  local time; later than `end`: the window goes over midnight
    end    local time; the same as `start`: always
    """

    start: LocalTime = "00:00"
    end: LocalTime = "00:00"


class Reboot(Section):
    """What happens before a reboot, and how the reboot is made.

    stop          units that are stopped, in this order
    stop_timeout  seconds for each of them; one that does not stop is left to the reboot
    systemctl     the program
    inhibitors    commands; a release waits until each of them exits 0
    """

    stop: tuple[str, ...] = ()
    stop_timeout: Seconds = 30
    systemctl: Command = ("systemctl",)
    inhibitors: tuple[Command, ...] = ()


class HealthCheck(Section):
    """One health check.

    type         its kind: command, unit, repository
    name         its name in findings and reports; each has its own
    timeout      seconds for one try
    retries      further tries before it has failed
    retry_delay  seconds between tries
    required     false: it is asked and told, and decides nothing
    options      the type's own
    """

    type: str
    name: str
    timeout: Seconds = 30
    retries: Annotated[int, Field(ge=0)] = 3
    retry_delay: Seconds = 5
    required: bool = True
    options: dict[str, Any] = Field(default_factory=dict)


class Health(Section):
    """How a release proves itself.

    soak        seconds through which every check must hold after it first passed
    interval    seconds between two rounds within the soak and in probation
    deadline    seconds after boot by which a release is proved or given up; better left to OTAD_DEADLINE in /etc/otad/deadline
    repository  whether "can still reach the repository" is checked by default
    probation   seconds after COMMIT during which failing checks undo the release; 0: none
    checks      the site's own checks
    """

    soak: Seconds = 60
    interval: Seconds = 10
    deadline: Seconds = 600
    repository: bool = True
    probation: Seconds = 0
    checks: tuple[HealthCheck, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Health:
        if self.soak > self.deadline - 60:
            raise ValueError(f"soak ({self.soak:.12g} s) must end 60 s before the deadline ({self.deadline:.12g} s)")
        return self


class Report(Section):
    """Where events go.

    url      where they are posted; https. None: they are only kept
    ca       PEM file of the authorities that may certify the server; None: the system's
    timeout  seconds for one request
    keep     events kept on the device
    """

    url: str | None = None
    ca: Path | None = None
    timeout: Seconds = 30
    keep: Annotated[int, Field(ge=100)] = 5000


class Daemon(Section):
    """The process and its local API.

    resident     stay although idle
    linger       idle seconds without a client before the process exits
    read_group   who may read through the local API
    admin_group  who may change what runs, besides root
    """

    resident: bool = False
    linger: Seconds = 10
    read_group: str = "otad"
    admin_group: str = "otad-admin"


class Config(Section):
    """All settings."""

    repository: Repository
    device: Device
    paths: Paths = Paths()
    slots: Slots = Slots()
    boot: Boot = Boot()
    swupdate: Swupdate = Swupdate()
    check: Check = Check()
    download: Download = Download()
    attempts: Attempts = Attempts()
    window: Window = Window()
    reboot: Reboot = Reboot()
    health: Health = Health()
    report: Report = Report()
    daemon: Daemon = Daemon()

    @model_validator(mode="after")
    def _reports_secure(self) -> Config:
        if self.report.url is not None and not _secure(self.report.url, self.repository.development):
            raise ValueError("report.url must be https (plain http only to loopback, with repository.development = true)")
        return self


class Needs(Section):
    """What marking a boot as proven needs."""

    paths: Paths = Paths()
    slots: Slots = Slots()
    boot: Boot = Boot()
