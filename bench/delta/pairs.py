"""The pairs of releases whose delta is measured, and the packages that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.delta.release import Release, Size, Suite
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady

SMALL = Size(
    192,
    (
        *(
            "base-files",
            "bash",
            "busybox-static",
            "ca-certificates",
            "coreutils",
            "dash",
            "e2fsprogs",
            "kmod",
            "libc6",
            "liblzma5",
        ),
        *("linux-image-arm64", "mount", "openssl", "perl-base", "python3", "rsync", "sed", "tar", "tzdata", "util-linux"),
    ),
    without=("perl_", "perl-modules", "libperl", "udev"),
    modules=(
        "crypto",
        "drivers/mmc",
        "drivers/net/phy",
        "drivers/usb",
        "fs/ext4",
        "fs/nfs",
        "fs/overlayfs",
        "net/ipv",
        "net/netfilter",
    ),
)
FULL = Size(
    1024,
    (
        *(
            "base-files",
            "base-passwd",
            "bash",
            "bluez",
            "busybox-static",
            "ca-certificates",
            "containerd",
            "coreutils",
            "curl",
            "dash",
        ),
        *("dbus", "e2fsprogs", "gawk", "grep", "gstreamer1.0-plugins-bad", "gstreamer1.0-plugins-good", "gstreamer1.0-tools"),
        *("iproute2", "kmod", "libubootenv-tool", "linux-image-arm64", "login", "mosquitto", "mount", "netbase"),
        *("nginx", "openssh-server", "openssl", "perl", "procps", "python3", "python3-aiohttp", "python3-cryptography"),
        *("python3-django", "python3-pydantic", "rsync", "sed", "sqlite3", "swupdate", "systemd", "systemd-sysv", "tar"),
        *("tcpdump", "udev", "util-linux", "wpasupplicant"),
    ),
    without=(
        "adwaita-icon-theme",
        "iso-codes",
        "libcodec2",
        "libflite",
        "libgl1-mesa",
        "libgtk",
        "libllvm",
        "libz3",
    ),  # a desktop's
)

_POINT = Suite("bookworm", updates=False)
_TODAY = Suite("bookworm", updates=True)
_NEXT = Suite("trixie", updates=True)
_KERNEL = ("linux-image",)
_APPLICATIONS = ("gstreamer1.0", "libgstreamer", "mosquitto", "nginx", "python3-", "rsync", "swupdate", "libswupdate")

_FACTORY = Release("factory", _POINT)
_UPDATED = Release("updated", _TODAY, edition=2)


@dataclass(frozen=True)
class Pair:
    """What a device runs, what it is to run, and the change in words. `against`: contenders; none: all that there are."""

    name: str
    old: Release
    new: Release
    about: str
    against: tuple[str, ...] = ("otad", "xdelta3", "zstd_patch_from_3")

    def made(self, cache: Cache, size: Size) -> tuple[Path, Path]:
        """Both images. Raises NotReady, also when they are of the same packages."""
        old, new = self.old.made(cache, size), self.new.made(cache, size)
        if packages(old) == packages(new):
            raise NotReady(
                f"both images of the pair {self.name} are of the same packages, so a delta of them says nothing: apt knows no "
                "updates here. Run apt-get update, with Debian's security updates among its sources"
            )
        return old, new


def packages(image: Path) -> list[str]:
    """The Debian packages that an image was made of."""
    return (image.parent / "packages.txt").read_text().split()


PAIRS = (
    Pair(
        "minor",
        _FACTORY,
        _UPDATED,
        "Debian 12 as last released, and with all updates since, a kernel among them; settings and programs edited",
        against=(),
    ),
    Pair(
        "plain",
        Release("plain-factory", _POINT, compressed=False),
        Release("plain-updated", _TODAY, edition=2, compressed=False),
        "the same with no compressed file in either image",
    ),
    Pair(
        "application",
        _FACTORY,
        Release("application", _POINT, 2, _TODAY, _APPLICATIONS),
        "application packages updated, settings and programs edited; the system below stays",
    ),
    Pair("kernel", _FACTORY, Release("kernel", _POINT, 1, _TODAY, _KERNEL), "a kernel update: modules and initrd, nothing else"),
    Pair("major", _UPDATED, Release("next", _NEXT, edition=3), "Debian 12 to Debian 13", against=("full", "otad")),
)
