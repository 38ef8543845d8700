"""Assembly: a device's engines behind the ports, from its settings. The only place that knows them all."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import aiohttp

from otad import __version__
from otad.book import TransitionBook
from otad.bootenv import BootEnvironment, BootStatus
from otad.config import Config, Repository
from otad.delivery import CachedDelivery
from otad.desk import Counter
from otad.encoding import Means, decoders
from otad.errors import Cause, OtadError
from otad.evidence import Collector
from otad.examiner import CheckExaminer
from otad.fetch.cache import Cache
from otad.fetch.download import Download
from otad.fetch.session import open_session
from otad.formats.release import Payload
from otad.host import SystemdHost
from otad.journal import Journal
from otad.monitor import Monitor
from otad.offers import RepositoryOffers
from otad.orders import Orders
from otad.payload.generations import Generations
from otad.payload.swupdate import SwupdateHandler
from otad.ports import Ports
from otad.probation import Probation
from otad.report.outbox import Outbox, only
from otad.report.reporter import Reporter
from otad.report.sink_http import HttpSink
from otad.revert import revert
from otad.running import Running, bases, factory, running
from otad.slots import Slots
from otad.statemachine import Record
from otad.trust.client import Repository as TufRepository
from otad.trust.clock import Clock
from otad.trust.http import HttpFetch
from otad.trust.store import Store
from otad.witness import ReportingWitness

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """What is known of this boot before the engines are.

    found    the boot status as this boot began; None when nobody knows
    device   this device's name in the fleet
    refusal  why no update may begin in this boot
    """

    boot: BootEnvironment
    slots: Slots
    generations: Generations
    journal: Journal
    device: str
    found: BootStatus | None = None
    refusal: Cause | None = None


@dataclass(frozen=True)
class Assembly:
    """What the daemon drives."""

    config: Config
    orders: Orders
    monitor: Monitor
    book: TransitionBook
    ports: Ports
    desk: Counter
    host: SystemdHost
    reporter: Reporter | None

    async def report(self) -> None:
        """Tell the fleet what it is owed, until cancelled."""
        if self.reporter:
            await self.reporter.run()

    async def rest(self, seconds: float) -> bool:
        """Before the process ends: be woken for the next check, tell what can be told. False when an order came: it stays."""
        await self.host.wake(self.orders.left())
        telling = asyncio.ensure_future(self.ports.witness.say(seconds))
        order = asyncio.ensure_future(self.orders.disturbed())
        try:
            await asyncio.wait({telling, order}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, order):
                task.cancel()
            await asyncio.wait({telling, order})
        if not telling.cancelled():
            telling.result()
        return self.orders.quiet()

    def words(self, record: Record) -> str:
        """One line for `systemctl status`."""
        if self.ports.refusal:
            return f"updates are refused: {self.ports.refusal.what}"
        attempt = record.attempt
        return f"{record.state.value}: release {attempt.version}" if attempt else record.state.value


@asynccontextmanager
async def assembled(config: Config, origin: Origin, beat: Callable[[], None]) -> AsyncIterator[Assembly]:
    """Everything wired up; the network sessions are closed at the end. `beat` is called whenever something moves."""
    clock = Clock.of_image(config.paths.release)
    only(origin.journal, [HttpSink.name] if config.report.url else [])
    async with _session(config.repository, config.download.timeout, clock) as session:
        if config.report.url is None:
            yield _assemble(config, origin, beat, clock, session, None)
            return
        sink = config.repository.model_copy(update={"url": config.report.url, "ca": config.report.ca})
        async with _session(sink, config.report.timeout, clock) as told:
            http_sink = HttpSink(told, config.report.url, origin.device, config.report.timeout)
            reporter = Reporter(Outbox(origin.journal, HttpSink.name), http_sink)
            yield _assemble(config, origin, beat, clock, session, reporter)


def _session(at: Repository, timeout: float, clock: Clock) -> aiohttp.ClientSession:
    return open_session(at, dates=clock.synchronised, timeout=timeout, agent=f"otad/{__version__}")


def _assemble(
    config: Config,
    origin: Origin,
    beat: Callable[[], None],
    clock: Clock,
    session: aiohttp.ClientSession,
    reporter: Reporter | None,
) -> Assembly:
    paths, journal = config.paths, origin.journal

    def runs() -> Running:
        return running(origin.slots.booted(), origin.generations, paths.release)

    monitor = Monitor(journal, runs, beat)
    orders = Orders(journal, config, lambda: datetime.now(timezone.utc))
    http = HttpFetch(session, config.repository.url)
    health = CheckExaminer(config, orders, _reach(http), monitor.found)
    store = Store(paths.data / "trust", paths.trust_anchor)
    repository = TufRepository(http, store, clock, product=config.device.product, channel=config.repository.channel)
    host = SystemdHost(config.reboot)
    ports = Ports(
        boot=origin.boot,
        slots=origin.slots,
        generations=origin.generations,
        orders=orders,
        offers=RepositoryOffers(repository, config, origin.device, journal, origin.generations, runs),
        delivery=_delivery(config, origin, repository, session, monitor),
        health=health,
        host=host,
        witness=ReportingWitness(reporter, Collector(paths.data / "evidence")),
        found=origin.found,
        refusal=origin.refusal,
    )
    orders.probation = Probation(journal, config.health, orders.now, health.glances(), lambda: revert(ports))
    book = TransitionBook(journal, orders, config.attempts, origin.device, runs)
    book.watch(lambda _: monitor.turned())
    if reporter:
        book.watch(lambda _: reporter.wake())
    desk = Counter(config, journal, orders, ports, monitor, lambda: book.record)
    return Assembly(config, orders, monitor, book, ports, desk, host, reporter)


def _delivery(
    config: Config, origin: Origin, repository: TufRepository, session: aiohttp.ClientSession, monitor: Monitor
) -> CachedDelivery:
    cache = Cache(config.paths.updates, config.download.reserve)
    download = Download(session, config.repository.url, cache, config.download, random.Random())
    system = SwupdateHandler(
        config.swupdate, origin.slots, config.paths.run, config.device.hwrevision, readback=config.slots.readback
    )
    known = {kind: decoder for kind, decoder in decoders().items() if kind != "delta" or config.download.delta}

    async def left() -> Payload | None:
        try:
            release = await repository.listed(factory(config.paths.release))
        except OtadError as error:  # what it costs is the bytes of a whole image
            log.warning("which payload the factory's image is cannot be told: %s", error)
            return None
        return release.system if release else None

    async def means() -> Means:
        at_hand = await bases(origin.slots.booted(), origin.slots.device, origin.generations, left)
        return Means(known, at_hand, config.download.memory)

    return CachedDelivery(repository.encodings, cache, download, means, {system.kind: system}, monitor.advance)


def _reach(http: HttpFetch) -> Callable[[], Awaitable[None]]:
    """Ask the repository for its smallest file."""

    async def reach() -> None:
        await http.get("metadata/timestamp.json", 2**14, fresh=True)

    return reach
