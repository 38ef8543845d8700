"""Assembly: a device's engines behind the ports, from its settings. The only place that knows them all."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from otad import __version__
from otad.book import TransitionBook
from otad.bootenv import BootEnvironment, BootStatus
from otad.config import Config, Repository
from otad.delivery import CachedDelivery
from otad.desk import Counter
from otad.encoding import decoders
from otad.errors import Cause
from otad.evidence import Collector
from otad.examiner import CheckExaminer
from otad.fetch.cache import Cache
from otad.fetch.download import Download
from otad.fetch.session import open_session
from otad.formats.release import PayloadKind
from otad.host import SystemdHost
from otad.journal import Journal
from otad.monitor import Monitor
from otad.offers import RepositoryOffers
from otad.orders import NEXT, Orders
from otad.payload.generations import Generations
from otad.payload.swupdate import SwupdateHandler
from otad.ports import Ports
from otad.probation import Probation
from otad.report.outbox import Outbox
from otad.report.reporter import Reporter
from otad.report.sink_http import HttpSink
from otad.revert import revert
from otad.running import Running, running
from otad.slots import Slots
from otad.statemachine import Record
from otad.trust import client
from otad.trust.clock import Clock
from otad.trust.http import HttpFetch
from otad.trust.store import Store
from otad.witness import ReportingWitness


@dataclass(frozen=True)
class Origin:
    """What is known of this boot before the engines are: the environment, the slots, and the status as found."""

    boot: BootEnvironment
    slots: Slots
    generations: Generations
    found: BootStatus | None


@dataclass
class Assembly:
    """What the daemon drives. `attached`: how many clients hold the local API's socket now."""

    config: Config
    journal: Journal
    orders: Orders
    monitor: Monitor
    book: TransitionBook
    ports: Ports
    desk: Counter
    reporter: Reporter | None
    host: SystemdHost
    attached: Callable[[], int] = lambda: 0

    async def report(self) -> None:
        """Tell the fleet what it is owed, until cancelled."""
        if self.reporter:
            await self.reporter.run()

    async def rest(self, seconds: float) -> None:
        """Before the process ends: tell what can be told, and be woken for a check that is sooner than otad.timer."""
        await self.ports.witness.say(seconds)
        next_ = self.journal.settings.time(NEXT)
        until = (next_ - datetime.now(timezone.utc)).total_seconds() if next_ else self.config.check.interval
        if until < self.config.check.interval * (1 - self.config.check.jitter) - seconds:
            await self.host.wake(until)

    def words(self, record: Record) -> str:
        """One line for `systemctl status`."""
        if self.ports.refusal:
            return f"updates are refused: {self.ports.refusal.what}"
        attempt = record.attempt
        return f"{record.state.value}: release {attempt.version}" if attempt else record.state.value


@asynccontextmanager
async def assembled(
    config: Config, origin: Origin, journal: Journal, device: str, refusal: Cause | None
) -> AsyncIterator[Assembly]:
    """Everything wired up; the network sessions are closed at the end."""
    paths = config.paths
    clock = Clock.of_image(paths.release)
    agent = f"otad/{__version__}"

    def runs() -> Running:
        return running(origin.slots.booted(), origin.generations, paths.release)

    monitor = Monitor(journal, runs)

    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"dates": clock.synchronised(), "agent": agent}
        session = await stack.enter_async_context(open_session(config.repository, timeout=config.download.timeout, **settings))
        http = HttpFetch(session, config.repository.url)
        repository = client.Repository(
            http,
            Store(paths.data / "trust", paths.trust_anchor),
            clock,
            product=config.device.product,
            channel=config.repository.channel,
        )
        reporter = None
        if config.report.url:
            sink = Repository(url=config.report.url, ca=config.report.ca, development=config.repository.development)
            told = await stack.enter_async_context(open_session(sink, timeout=config.report.timeout, **settings))
            outbox = Outbox(journal, HttpSink.name)
            reporter = Reporter(outbox, HttpSink(told, config.report.url, device, config.report.timeout))
        assembly: Assembly
        orders = Orders(journal, config, lambda: datetime.now(timezone.utc), lambda: assembly.attached())  # noqa: PLW0108  # it is known only later

        async def reach() -> None:
            await http.get("metadata/timestamp.json", 2**16, fresh=True)

        cache = Cache(paths.updates, config.download.reserve)
        handler = SwupdateHandler(
            config.swupdate, origin.slots, paths.run, config.device.hwrevision, readback=config.slots.readback
        )
        host = SystemdHost(config.reboot)
        health = CheckExaminer(config, orders, reach, monitor.found)
        ports = Ports(
            boot=origin.boot,
            slots=origin.slots,
            generations=origin.generations,
            orders=orders,
            offers=RepositoryOffers(repository, config, device, journal, origin.generations, runs),
            delivery=CachedDelivery(
                repository.encodings,
                cache,
                Download(session, config.repository.url, cache, config.download, random.Random()),
                decoders(),
                {PayloadKind.SYSTEM: handler},
                monitor.advance,
            ),
            health=health,
            host=host,
            witness=ReportingWitness(reporter, Collector(paths.data / "evidence")),
            found=origin.found,
            refusal=refusal,
        )
        orders.probation = Probation(journal, config.health, orders.now, health.glances(), lambda: revert(ports))
        book = TransitionBook(journal, orders, config.attempts, device, runs)
        book.watch(lambda _: monitor.turned())
        if reporter:
            wake = reporter.wake
            book.watch(lambda _: wake())
        desk = Counter(config, journal, orders, ports, monitor, lambda: book.record)
        assembly = Assembly(config, journal, orders, monitor, book, ports, desk, reporter, host)
        yield assembly
