"""The metadata client as a command, by TUF's own protocol for a client under test: any test suite can drive it.

    python -m otad.trust --metadata-dir DIR init ROOT
    python -m otad.trust --metadata-dir DIR --metadata-url URL refresh
    python -m otad.trust --metadata-dir DIR --metadata-url URL --target-name NAME --target-base-url URL --target-dir DIR download

The protocol is CLIENT-CLI.md of theupdateframework/tuf-conformance; `--target-name` may be repeated.

Rules:
 1. It is the device's own workflow, verifier, store and HTTP. It differs in three things: it takes a repository of any shape, it
    keeps each role as it is accepted (a device keeps a refresh as a whole), and it believes the system clock.
 2. `root.json` in the metadata folder is what it trusts: ROOT at first, then the newest root that was accepted.
 3. Exit status 0: done; 1: refused or out of reach, and standard error says why. Plain http is for loopback only.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError
from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import TargetFile, Targets

from otad import __version__, config, durable
from otad.errors import OtadError, Rejected, RetryLater, Who
from otad.fetch.session import open_session
from otad.trust import Fetch, NotFound, refusals
from otad.trust.anchor import begin
from otad.trust.client import persistent
from otad.trust.clock import Clock, timeless
from otad.trust.http import HttpFetch
from otad.trust.search import find
from otad.trust.store import Store
from otad.trust.verifier import Verifier
from otad.trust.workflow import TOP, Workflow

_TIMEOUT = 30.0  # seconds without a byte
_CLOCK = Clock(synchronised=lambda: True)
_NEEDS = {
    "init": (),
    "refresh": ("metadata_url",),
    "download": ("metadata_url", "target_name", "target_base_url", "target_dir"),
}


def main() -> None:
    """The command."""
    arguments = _parse()
    logging.basicConfig(format="%(message)s")
    try:
        if arguments.verb == "init":
            _init(arguments.metadata_dir, arguments.trusted_root)
        else:
            asyncio.run(_online(arguments))
    except (OtadError, OSError, ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error


def _init(folder: Path, root: Path) -> None:
    data = root.read_bytes()
    try:
        Verifier(data, timeless)
    except RepositoryError as error:
        why, remedy = f"{root} cannot be trusted: {error}", "Take the root.json that the repository's owner hands out"
        raise Rejected("no-anchor", why, remedy, who=Who.INTEGRATOR) from error
    durable.write(folder / "root.json", data)


def _store(folder: Path) -> Store:
    return Store(folder, folder / "root.json")


async def _online(arguments: argparse.Namespace) -> None:
    urls = [url for url in (arguments.metadata_url, arguments.target_base_url) if url]
    where, *_ = [config.Repository(url=url, development=True) for url in urls]  # each has to be one that may be asked
    async with open_session(where, dates=_CLOCK.synchronised, timeout=_TIMEOUT, agent=f"otad/{__version__}") as session:
        client = Client(HttpFetch(session, arguments.metadata_url), arguments.metadata_dir)
        workflow = await persistent(client.refresh)
        if arguments.verb == "download":
            artifacts = HttpFetch(session, arguments.target_base_url)
            for name in arguments.target_name:
                await client.download(workflow, name, artifacts, arguments.target_dir)


class Client:
    """One TUF repository: its metadata at `http`, what is trusted of it in `folder`. Methods raise OtadError and OSError."""

    def __init__(self, http: Fetch, folder: Path) -> None:
        self._http = http
        self._folder = folder
        self._store = _store(folder)

    async def refresh(self, *, fresh: bool) -> Workflow:
        """Take up the top-level roles."""
        try:
            workflow = await Workflow.begin(self._http, self._store, _CLOCK.read, fresh=fresh, folder="")
        finally:  # also those before one that is refused
            durable.write(self._folder / "root.json", begin(self._store, timeless).root_bytes)
        for role, by in TOP.items():
            await self._take(workflow, role, by)
        return workflow

    async def download(self, workflow: Workflow, name: str, artifacts: Fetch, to: Path) -> None:
        """Have the target `name` in the folder `to`."""

        async def load(role: str, by: str) -> Targets:
            if not workflow.verifier.has(role, by):
                await self._take(workflow, role, by)
            return workflow.verifier.targets(role)

        target = await find(name, load)
        if target is None:
            why = f"no role of {self._http.base} lists the target {name}"
            raise RetryLater("not-listed", why, "Publish it, or look at its name", who=Who.INTEGRATOR)
        file = to / quote(name, safe="")
        if not file.exists() or _mismatch(target, file.read_bytes()):
            durable.write(file, await _fetch(artifacts, target))

    async def _take(self, workflow: Workflow, role: str, by: str) -> None:
        data = await workflow.take(role, by)
        if data is not None:
            self._store.keep_role(role, data)
            self._store.keep_floor(workflow.floor)


async def _fetch(artifacts: Fetch, target: TargetFile) -> bytes:
    folder, slash, name = target.path.rpartition("/")
    path = quote(f"{folder}{slash}{next(iter(target.hashes.values()))}.{name}")
    try:
        data = await artifacts.get(path, target.length)
    except NotFound as error:
        raise refusals.missing(artifacts.base + path, "signed metadata") from error
    mismatch = _mismatch(target, data)
    if mismatch:
        raise refusals.exchanged(artifacts.base + path, mismatch)
    return data


def _mismatch(target: TargetFile, data: bytes) -> str:
    """How `data` differs from what was signed; empty when it does not."""
    try:
        target.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        return str(error)
    return ""


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m otad.trust", description="A TUF client: the one that otad is built on.")
    parser.add_argument("--metadata-dir", type=Path, required=True, help="what is trusted")
    parser.add_argument("--metadata-url", help="where the repository's metadata is")
    parser.add_argument("--target-name", action="append", default=[], help="path of a target; may be repeated")
    parser.add_argument("--target-base-url", help="where the repository's targets are")
    parser.add_argument("--target-dir", type=Path, help="where verified targets go")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("init", help="trust a root").add_argument("trusted_root", type=Path)
    verbs.add_parser("refresh", help="take up the newest metadata")
    verbs.add_parser("download", help="refresh, and have the named targets")
    arguments = parser.parse_args()
    for name in _NEEDS[arguments.verb]:
        if not getattr(arguments, name):
            parser.error(f"{arguments.verb} needs --{name.replace('_', '-')}")
    return arguments


if __name__ == "__main__":
    main()
