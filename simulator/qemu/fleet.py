"""The other side of the board in QEMU: a repository over HTTPS on this machine's loopback, and the events that devices tell.

Rules:
 1. The address is chosen once and kept: it stands in every image that is made here.
 2. Images differ from the one that they are made of in a few files, put in without mounting anything.
 3. It serves from a thread of its own, so that packing a release holds up nobody.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from otad.formats import encode
from otad.publisher import image, serve, tls
from otad.publisher.delta import release
from simulator.depot import Depot, now
from simulator.qemu import card
from simulator.qemu.card import Files
from simulator.qemu.tools import NotReady
from simulator.settings import PRODUCT

HOST = "10.0.2.2"  # this machine, as QEMU's user network shows it to the board
BOARD = "qemu-arm64 1.0"  # as in /etc/hwrevision
PORT = "port"
YEARS = 10  # a card that was made long ago still trusts it


@dataclass
class Fleet:
    """Everything below `folder`. `with fleet.serving():` while devices may ask.

    root    the image of the root file system that all images are made of
    events  what devices told, in the order in which it came first
    """

    folder: Path
    root: Path
    depot: Depot
    port: int
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def create(cls, folder: Path, root: Path) -> Fleet:
        """New keys, nothing on offer."""
        folder.mkdir(parents=True)
        (folder / PORT).write_text(str(_free()))
        Depot.create(folder / "depot").publish()
        return cls.open(folder, root)

    @classmethod
    def open(cls, folder: Path, root: Path) -> Fleet:
        """What was made there before."""
        return cls(folder, root, Depot.open(folder / "depot"), int((folder / PORT).read_text()))

    def moved(self) -> Fleet:
        """The same at an address of its own, for a device that is told so: beside the one that it was copied from."""
        return replace(self, port=_free())

    @property
    def settings(self) -> bytes:
        """Where a device finds it, for otad's conf.d."""
        url = f"https://{HOST}:{self.port}/"
        return f'[repository]\nurl = "{url}"\n\n[report]\nurl = "{url}events"\nca = "/etc/otad/repository-ca.pem"\n'.encode()

    def image(self, version: str, files: Files) -> Path:
        """The image of a release: `root`, with what this fleet's devices must know, and `files`."""
        identity = image.Identity(product=PRODUCT, version=version)
        named = {image.IDENTITY: encode(identity.model_dump()) + b"\n"}
        return card.personal(self.folder / f"{version}.img", self.root, {**self._site(), **named, **files})

    def offer(self, version: str, files: Files | None = None) -> None:
        """Build, pack, sign, roll out and publish a release."""
        image = self.image(version, files or {})
        bundle = self.depot.pack(version, image, BOARD)
        image.unlink()
        self.depot.add(version, bundle, hardware=BOARD)
        bundle.unlink()
        self.depot.roll_out(version)

    def difference(self, base: str, version: str) -> None:
        """Publish a delta between two releases."""
        release.add(self.depot.workspace, base, version, now=now())
        self.depot.publish()

    def told(self, state: str, version: str = "") -> list[dict[str, Any]]:
        """The events of a state, the oldest first; of one release, when it is named."""
        return [event for event in self.events if event["state"] == state and version in {"", event.get("version")}]

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer devices while the context lasts. Raises NotReady when the port is taken."""
        ready, over = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1) as thread:
            served = thread.submit(asyncio.run, self._serve(ready, over))
            served.add_done_callback(lambda _: ready.set())
            ready.wait()
            try:
                if not served.done():
                    yield
            finally:
                over.set()
                _ended(served)

    async def _serve(self, ready: threading.Event, over: threading.Event) -> None:
        certificate = self._certificate()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.cert, certificate.key)
        app = serve.make_app(self.depot.out)
        app.router.add_post("/events", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context).start()
            ready.set()
            await asyncio.to_thread(over.wait)
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        known = {event["id"] for event in self.events}
        batch = json.loads(await request.read())["events"]
        self.events += [event for event in batch if event["id"] not in known]
        return web.Response(status=204)

    def _certificate(self) -> tls.Certificate:
        return tls.made(self.folder / "tls", [HOST], now=now(), days=YEARS * 365)

    def _site(self) -> dict[str, bytes]:
        certificate = self._certificate()
        assert certificate.ca
        return {
            "/etc/otad/root.json": self.depot.anchor().read_bytes(),
            "/etc/otad/swupdate-ca.pem": self.depot.workspace.signer.authority.read_bytes(),
            "/etc/otad/repository-ca.pem": certificate.ca.read_bytes(),
            "/etc/otad/conf.d/site.toml": self.settings,
        }


def _ended(served: Future[None]) -> None:
    try:
        served.result()
    except OSError as error:
        raise NotReady(f"the board's repository cannot be served ({error}): end the other board first") from error


def _free() -> int:
    """A port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
