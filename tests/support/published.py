"""Small releases, and a reader of what is published that is not ours: python-tuf's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, PrivateFormat, load_pem_private_key
from cryptography.hazmat.primitives.serialization import Encoding as KeyEncoding
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import TargetFile
from tuf.ngclient import FetcherInterface, Updater

from otad.publisher import bundle, grants, notation, release, rollout
from otad.publisher.encode import Coding
from otad.publisher.workspace import Workspace

NOW = datetime.now(timezone.utc).replace(microsecond=0)
BOARD = "jetson-nano 1.0"
FAST = Coding(level=1)
SMALL = 200_000


class Folder(FetcherInterface):
    """Reads the published folder as a web server would serve it."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def _fetch(self, url: str) -> Iterator[bytes]:
        file = self._out / unquote(urlsplit(url).path).lstrip("/")
        if not file.is_file():
            raise DownloadHTTPError(f"{url} is not there", 404)
        yield file.read_bytes()


class Reader:
    """A device's view, by python-tuf, from the trust anchor on."""

    def __init__(self, out: Path, anchor: Path, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.updater = Updater(
            str(folder), "http://x/metadata/", str(folder), "http://x/targets/", Folder(out), bootstrap=anchor.read_bytes()
        )
        self.updater.refresh()

    def target(self, path: str) -> TargetFile | None:
        return self.updater.get_targetinfo(path)

    def read(self, path: str) -> bytes:
        info = self.target(path)
        assert info is not None, f"{path} is not listed"
        return Path(self.updater.download_target(info)).read_bytes()


def image(folder: Path, content: bytes = b"system", zeros: int = SMALL) -> Path:
    """An image that can be compressed."""
    file = folder / f"{content.decode()}.img"
    file.write_bytes(content + bytes(zeros))
    return file


def packed(ws: Workspace, version: str, content: bytes = b"system", hardware: str = BOARD, zeros: int = SMALL) -> Path:
    """A signed bundle."""
    to = ws.path.parent / f"{version}-{content.decode()}.swu"
    bundle.pack(image(ws.path.parent, content, zeros), to, bundle.System(version, [hardware]), ws.signer)
    return to


def added(ws: Workspace, version: str, **more: object) -> Path:
    """A signed release; its bundle."""
    swu = packed(ws, version)
    release.add(ws, release.NewRelease(version, [BOARD], swu, **more), FAST, now=NOW)  # type: ignore[arg-type]
    return swu


def rolled_out(ws: Workspace, version: str, channel: str = "stable") -> None:
    """A release that is opened to a channel, and has a campaign there."""
    added(ws, version)
    grants.open_channel(ws, channel, version, notation.curve("0:100%"), None, now=NOW)
    rollout.start(ws, channel, rollout.NewCampaign(version), now=NOW)


def encrypted(file: Path, passphrase: bytes) -> bytes:
    """The private key in `file`, locked."""
    key = load_pem_private_key(file.read_bytes(), None)
    return key.private_bytes(KeyEncoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
