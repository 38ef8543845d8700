"""The generations of the sweep are those of the product: the same calls lead to the same answers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otad.bootenv import Slot
from otad.errors import RetryLater
from otad.formats.release import Payload, PayloadKind, Release
from otad.payload import Installed, generations
from otad.ports import Generation, Generations
from otad.statemachine import Attempt, Kind
from simulator.sweep.device import FRESH, Running
from simulator.sweep.generations import Generations as Modelled
from simulator.sweep.scenario import Nature, Scenario
from simulator.sweep.world import World

A, B = Slot.A, Slot.B
IMAGE = Installed("1" * 64, "2" * 64, 1)
SLOTS, NUMBERS = st.sampled_from(list(Slot)), st.integers(1, 4)
CALLS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from("123"), st.sampled_from([None, B])),
    st.tuples(st.just("point"), st.just(B), NUMBERS),
    st.tuples(st.just("unpoint"), SLOTS),
    st.tuples(st.just("activate"), st.one_of(st.none(), NUMBERS)),
    st.tuples(st.just("collect")),
    st.tuples(st.just("at"), SLOTS),
    st.tuples(st.just("number"), NUMBERS),
)


def release(*, system: bool) -> Release:
    kind = PayloadKind.SYSTEM if system else PayloadKind.APP
    payload = Payload(kind=kind, name="x", sha256=IMAGE.payload, length=1, disk=1)
    return Release(product="p", version="1.1.0", hardware=("b 1",), payloads=(payload,))


def called(port: Generations, name: str, *arguments: object) -> object:
    """What a call answers; of a generation, what the model knows: not its payloads."""
    if name == "create":
        identity, target = arguments
        attempt = Attempt(str(identity), Kind.UPDATE, "c", "r", "1.1.0", target if isinstance(target, Slot) else None)
        arguments = (attempt, release(system=target is not None), (IMAGE,) if target else ())
    try:
        found = getattr(port, name)(*arguments)
    except RetryLater as error:
        return error.cause.code
    return (found.number, found.system, found.previous) if isinstance(found, Generation) else found


@given(st.lists(CALLS, max_size=15))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_calls_lead_to_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[object, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("g")
    (folder / "run").mkdir()
    real = generations.Generations(folder / "data", folder / "run")
    world = World(Scenario("", FRESH, Nature.GOOD))
    with closing(world.kept):
        world.begin(FRESH, Running(A, None, apps=False), ())  # without applications nothing is asked of what is current
        for name, *arguments in calls:
            wanted = called(real, str(name), *arguments)
            assert called(Modelled(world), str(name), *arguments) == wanted, (name, arguments)
        assert numbers(folder / "data") == [made.generation.number for made in world.device.made]


def numbers(data: Path) -> list[int]:
    folder = data / "generations"
    return sorted(int(entry.name) for entry in folder.iterdir()) if folder.is_dir() else []
