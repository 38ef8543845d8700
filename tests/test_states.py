# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, disable-error-code="union-attr"
"""What the states do when their neighbours fail: beside the power cuts of test_power_cuts.py, over the same world."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from otad.bootenv import Slot
from otad.errors import BootEnvironmentError, Cause, Rejected
from otad.loop import drive
from otad.ports import Generation, Hold
from otad.revert import revert
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step
from otad.states import reboot, rollback
from simulator.bootloader import DEFAULT
from simulator.world import Environment, Nature, Offered, World, ports, with_cuts

A, B = Slot.A, Slot.B
BAD = Cause("x", "it is so", "do something")
ATTEMPT = Attempt("1", Kind.UPDATE, "c", "1.1.0", "1.1.0", B, 1)


@dataclass
class Units:
    """A host whose applications can be seen."""

    running: bool = True
    told: list[str] = field(default_factory=list)

    async def stop(self):
        self.running = False

    async def start(self):
        self.running = True

    async def sync(self):
        self.told.append("sync")

    async def reboot(self):
        raise AssertionError("it must not reboot here")


def world(**env):
    made = with_cuts(World(Offered("1.1.0", Nature.GOOD)), {})
    made.booted, made.slots = A, {A: "1.0.0", B: "1.1.0"}
    made.env = DEFAULT._replace(otad_fallback="", **env)
    return made


def around(made, units, **more):
    return replace(ports(made, Environment(made).status()), host=units, **more)


class Held:
    async def still(self, attempt):
        return Hold(Outcome.HELD, BAD, 60)


async def test_applications_that_an_interrupted_reboot_stopped_run_again_when_it_is_held():
    made, units = world(), Units(running=False)
    step = await reboot.run(Record(State.REBOOT, A, "b", attempt=ATTEMPT), around(made, units, offers=Held()))
    assert (step.outcome, step.retry_after, units.running) == (Outcome.HELD, 60, True)
    assert made.env.upgrade_available == "0"


async def test_applications_run_again_although_the_environment_cannot_be_written():
    class Stuck(Environment):
        def rollback(self, goal):
            raise BootEnvironmentError("bootenv-write", "fw_setenv exited 1", "look")

    made, units = world(otad_rollback="B"), Units(running=False)
    record = Record(State.ROLLBACK, A, "b", attempt=ATTEMPT, goal=A, cause=BAD)
    step = await rollback.run(record, around(made, units, boot=Stuck(made)))
    assert (step.outcome, step.cause.code, units.running) == (Outcome.FAILED, "bootenv-write", True)


async def test_a_goal_that_cannot_be_selected_is_reached_by_the_boots_of_the_trial_running_out():
    class Stuck(Environment):
        def rollback(self, goal):
            raise BootEnvironmentError("bootenv-write", "fw_setenv exited 1", "look")

    class Reboots(Units):
        async def reboot(self):
            self.told.append("reboot")

    made, units = world(boot_partition="B", upgrade_available="1", bootcount="1"), Reboots()
    made.booted = B
    record = Record(State.ROLLBACK, A, "b", attempt=ATTEMPT, goal=A, cause=BAD)
    step = await rollback.run(record, around(made, units, boot=Stuck(made)))
    assert (step.outcome, units.told) == (Outcome.BOOT, ["sync", "reboot"])


async def test_applications_that_failed_do_not_cost_the_slot_its_fallback():
    """Found by the sweep: 1.0.1 runs in B, A is good; 1.1.0 without a system image fails; B rots; nothing was left."""
    made, units = world(), Units()
    made.env = made.env._replace(otad_fallback="B")
    live = replace(ATTEMPT, target=None)
    record = Record(State.ROLLBACK, A, "b", attempt=live, goal=A, cause=BAD)
    step = await rollback.run(record, around(made, units))
    assert (step.outcome, made.env.otad_fallback) == (Outcome.DONE, "B")


@pytest.mark.parametrize("applications", [False, True])
async def test_a_slot_that_nothing_was_installed_in_is_nothing_to_go_back_to(applications):
    """Found by the sweep: U-Boot's default names B, and on a new device B is empty; it was armed."""
    made = world()
    made.env, made.slots = DEFAULT, {A: "1.0.0", B: ""}
    if applications:
        made.generations, made.pointers = {1: Generation(1, "1.1.0", "1.1.0")}, {A: 1}
    with pytest.raises(Rejected) as refused:
        revert(around(made, Units()))
    assert refused.value.cause.code == "nothing-to-revert-to"


@pytest.mark.parametrize("state", [State.CHECK, State.DOWNLOAD, State.VERIFY, State.INSTALL])
async def test_a_fault_of_otads_own_ends_the_attempt_and_not_the_process(state):
    class Broken:
        def __getattr__(self, name):
            raise OSError(5, "Input/output error")

    turned: list[tuple[State, Step]] = []

    class Stop(Exception):
        pass

    class Book:
        def turn(self, before, step, after):
            turned.append((before.state, step))
            raise Stop

    made = world()
    attempt = None if state is State.CHECK else ATTEMPT if state is State.INSTALL else replace(ATTEMPT, generation=None)
    broken = around(made, Units(), offers=Broken(), delivery=Broken())
    with pytest.raises(Stop):
        await drive(Record(state, A, "b", attempt=attempt), broken, Book())
    [(before, step)] = turned
    assert (before, step.outcome, step.cause.code) == (state, Outcome.FAILED, "internal")
    assert "Input/output error" in step.cause.what


async def test_a_person_stops_a_state_at_an_await_and_nothing_of_it_runs_on():
    ended = asyncio.Event()

    class Slow:
        async def best(self, wanted):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    class Orders:
        async def interrupted(self, record):
            return Step(Outcome.CANCELLED, BAD)

        def wanted(self):
            return None

    class Stop(Exception):
        pass

    class Book:
        def turn(self, before, step, after):
            assert (before.state, step.outcome, after.state) == (State.CHECK, Outcome.CANCELLED, State.IDLE)
            raise Stop

    slow = around(world(), Units(), offers=Slow(), orders=Orders())
    with pytest.raises(Stop):
        await drive(Record(State.CHECK, A, "b"), slow, Book())
    assert ended.is_set()
