"""One life of the process: the product's orders, probation and book over a world, as `otad.assembly` makes them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from otad.book import TransitionBook
from otad.bootenv import BootStatus
from otad.config import Check, Config, Daemon, Health
from otad.errors import Cause, OtadError
from otad.journal import Journal, Pause
from otad.orders import Orders
from otad.ports import Ports
from otad.probation import Probation
from otad.revert import revert
from otad.running import Running as Runs
from simulator.sweep import properties
from simulator.sweep.environment import Environment
from simulator.sweep.generations import Generations
from simulator.sweep.kept import NOW, PROBATION
from simulator.sweep.ports import Neighbours, Witness
from simulator.sweep.world import World

CONFIG = Config.model_validate(
    {
        "repository": {"url": "https://x"},
        "device": {"product": "p"},
        "check": Check(jitter=0),
        "health": Health(probation=PROBATION),
        "daemon": Daemon(linger=0),
    }
)


@dataclass(frozen=True)
class Life:
    """What a daemon drives; and what the desk does when a person gives an order."""

    journal: Journal
    orders: Orders
    book: TransitionBook
    ports: Ports

    def revert(self) -> None:
        """`otactl rollback` in IDLE."""
        with suppress(OtadError):  # it is told why not
            self.orders.revert(revert(self.ports), Cause("asked", "", ""))

    def cancel(self) -> None:
        """`otactl cancel`."""
        self.orders.cancel(Cause("cancelled", "", ""))

    def hold(self) -> None:
        """`otactl pause`."""
        self.journal.settings.put_paused(Pause("somebody", NOW))
        self.orders.hold()


def live(world: World, journal: Journal, found: BootStatus | None, refusal: Cause | None) -> Life:
    """A life that begins."""
    orders, all_ = Orders(journal, CONFIG, lambda: NOW), Neighbours(world)
    ports = Ports(
        boot=Environment(world),
        slots=all_,
        generations=Generations(world),
        orders=orders,
        offers=all_,
        delivery=all_,
        health=all_,
        host=all_,
        witness=Witness(world),
        found=found,
        refusal=refusal,
    )
    orders.probation = Probation(journal, CONFIG.health, orders.now, all_.glance, lambda: revert(ports))
    return Life(journal, orders, TransitionBook(journal, orders, CONFIG.attempts, "device", lambda: _runs(world)), ports)


def _runs(world: World) -> Runs:
    """As `otad.running` says it."""
    generation = world.device.generation(world.running.current)
    return Runs(properties.runs(world.device, world.running), generation.release if generation else None, world.running.slot)
