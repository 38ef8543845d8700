"""The two root file systems: which one runs, whether the other may be written, and what is really on it.

Rules:
 1. The booted slot is told twice, by `otad.slot=` and by the root device. When they disagree, nobody knows: None.
 2. A target is refused unless every check says that nothing stands on it: SWUpdate overwrites a mounted file system with exit 0.
 3. A read-back reads the medium: what is only in memory would prove nothing after a power cut.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from otad import blocking, config
from otad.bootenv import BootStatus, Slot
from otad.errors import Corrupt, Rejected, RetryLater, Who
from otad.mounts import Identity, Mount, boot_argument, identity_of, loops_over, parse_mounts, root_path
from otad.payload import Installed

PIECE = 1 << 20  # bytes read at a time


class Slots:
    """The slots of the settings. `root` is where the running root file system is mounted."""

    def __init__(self, slots: config.Slots, paths: config.Paths, root: Path = Path("/")) -> None:
        self._devices = {Slot.A: slots.a, Slot.B: slots.b}
        self._paths = paths
        self._root = root

    def device(self, slot: Slot) -> Path:
        """Block device (or plain file) of a slot, as configured."""
        return self._devices[slot]

    def booted(self) -> Slot | None:
        """The slot that runs, or None when the command line and the root device do not agree."""
        named = self._argument("otad.slot")
        mounted = self._mounted_root()
        return mounted if mounted and mounted.value == named else None

    def guard(self, target: Slot, status: BootStatus, need: int) -> None:
        """Refuse a target that must not be written, or that is smaller than `need` bytes.

        Raises RetryLater: target-missing, target-booted, target-selected, target-mounted, target-in-use; and Rejected:
        target-too-small.
        """
        device = self._devices[target]
        identity = identity_of(device)
        if identity is None:
            why = "it does not exist, or is neither a block device nor a plain file"
            raise _refused("missing", target, device, why, "Compare [slots] in otad.toml with the partitions of this board")
        self._guard_boot(target, device, identity, status)
        self._guard_use(target, device, identity)
        with _opened(target, device) as fd:
            size = os.lseek(fd, 0, os.SEEK_END)
        if size < need:
            raise Rejected(
                "target-too-small",
                f"slot {target.value} ({device}) holds {size} bytes, the image needs {need}",
                "Publish an image that fits, or enlarge the partition",
                who=Who.INTEGRATOR,
                evidence={"size": str(size), "need": str(need)},
            )

    def sync(self, slot: Slot) -> None:
        """What was written to the slot is on the medium when this returns. Raises RetryLater when it cannot be."""
        with _opened(slot, self._devices[slot]) as fd:
            os.fsync(fd)

    def digest(
        self,
        slot: Slot,
        length: int,
        progress: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> str:
        """SHA-256 (hex) of the slot's first `length` bytes, read from the medium. Blocks.

        Raises Corrupt when the slot is shorter, RetryLater when it cannot be read, Stopped when asked to stop.
        """
        device = self._devices[slot]
        digest, done = hashlib.sha256(), 0
        # past the page cache (man 2 open); memory from mmap is aligned as that needs. Plain files are simulated: best effort.
        direct = os.O_DIRECT if device.is_block_device() else 0
        with mmap.mmap(-1, PIECE) as piece, memoryview(piece) as view, _opened(slot, device, direct) as fd:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            while done < length:
                if stop and stop.is_set():
                    raise blocking.Stopped
                got = min(os.readv(fd, [piece]), length - done)
                if got == 0:
                    what = f"slot {slot.value} ends after {done} bytes, {length} were installed"
                    raise Corrupt("slot-short", what, "Nothing to do: it is installed again", who=Who.NOBODY)
                digest.update(view[:got])
                done += got
                if progress:
                    progress(done, length)
        return digest.hexdigest()

    async def holds(self, slot: Slot, image: Installed) -> bool:
        """Whether the slot still holds what was installed there."""
        stop = threading.Event()
        try:
            return await blocking.finish(blocking.start(self.digest, slot, image.length, stop=stop), stop) == image.sha256
        except Corrupt:
            return False

    def _argument(self, name: str) -> str | None:
        try:
            return boot_argument(self._paths.cmdline.read_text(), name)
        except (OSError, UnicodeDecodeError):
            return None

    def _mounted_root(self) -> Slot | None:
        """The slot that the root file system is on: by its device; for an overlay or a simulated board by `root=`."""
        identities = {identity_of(device): slot for slot, device in self._devices.items()}
        argument = self._argument("root")
        named = identity_of(root_path(argument)) if argument else None
        candidates = (Identity(self._root.stat().st_dev), named)
        return next((identities[one] for one in candidates if one in identities and one is not None), None)

    def _guard_boot(self, target: Slot, device: Path, identity: Identity, status: BootStatus) -> None:
        running = {slot for slot in (status.booted, self._mounted_root()) if slot}
        if status.booted is None:
            why = "nobody can tell which slot runs now"
            raise _refused("booted", target, device, why, "Compare otad.slot= and root= in /proc/cmdline with [slots]")
        if identity in {identity_of(self._devices[slot]) for slot in running}:
            raise _refused(
                "booted", target, device, "the running system is on it", "Compare [slots] in otad.toml with /proc/cmdline"
            )
        if status.trial:
            why = f"slot {status.selected.value} is on trial, and only the other one could save it"
            raise _refused("selected", target, device, why, "Wait for the trial to end")
        if target is status.selected:
            raise _refused(
                "selected", target, device, "the boot loader takes it at the next boot", "Reboot, or select the other slot"
            )

    def _mounts(self) -> list[Mount]:
        try:
            return parse_mounts(self._paths.mounts.read_text(errors="surrogateescape"))
        except (OSError, ValueError) as error:
            what = f"cannot tell what is mounted: {self._paths.mounts} cannot be read: {error}"
            raise RetryLater("mounts-unreadable", what, "Check that /proc is mounted", who=Who.FIELD) from error

    def _guard_use(self, target: Slot, device: Path, identity: Identity) -> None:
        loops = {} if identity.is_block else dict(loops_over(identity))
        numbers = {identity.number} if identity.is_block else set(loops)
        for mount in self._mounts():
            if mount.device in numbers or (mount.source.startswith("/") and identity_of(Path(mount.source)) == identity):
                raise _refused(
                    "mounted", target, device, f"it is mounted on {mount.point}", f"Unmount it: `umount {mount.point}`"
                )
        if loops:
            why = f"it is attached to {', '.join(loops.values())}"
            raise _refused("in-use", target, device, why, "Detach it: `losetup -d`")
        if identity.is_block:
            with _opened(target, device, os.O_EXCL):
                pass  # the kernel refuses this to what swap, device mapper or RAID holds


def _refused(code: str, slot: Slot, device: Path, why: str, remedy: str) -> RetryLater:
    return RetryLater(f"target-{code}", f"slot {slot.value} ({device}) is not written: {why}", remedy, who=Who.FIELD)


@contextmanager
def _opened(slot: Slot, device: Path, flags: int = 0) -> Iterator[int]:
    """The device, open for reading; its I/O errors as RetryLater."""
    try:
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC | flags)
        try:
            yield fd
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno == errno.EBUSY:
            why = "something holds it (swap, device mapper, RAID)"
            raise _refused("in-use", slot, device, why, f"`lsblk {device}` shows what") from error
        raise RetryLater(
            "slot-unreadable",
            f"slot {slot.value} ({device}) cannot be read: {error.strerror}",
            "Look for errors of the storage: `dmesg`",
            who=Who.FIELD,
            evidence={"errno": errno.errorcode.get(error.errno or 0, "?")},
        ) from error
