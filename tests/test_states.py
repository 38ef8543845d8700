# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, disable-error-code="union-attr"
"""What the states do when their neighbours fail: beside the power cuts of test_power_cuts.py, over the same world."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from otad.bootenv import Slot
from otad.errors import BootEnvironmentError, Cause, OtadError, Rejected
from otad.journal.record import encode
from otad.loop import drive
from otad.ports import Generation, Hold
from otad.revert import revert
from otad.statemachine import Attempt, Kind, Outcome, Record, State, Step
from otad.states import reboot, rollback
from simulator.bootloader import DEFAULT
from simulator.sweep.device import FRESH, Content, Made, Memory, Running
from simulator.sweep.environment import Environment
from simulator.sweep.life import live
from simulator.sweep.ports import Neighbours
from simulator.sweep.scenario import Nature, Scenario
from simulator.sweep.world import World

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


@pytest.fixture
def made():
    """A world in which A runs and B holds the release, not armed."""
    world = World(Scenario("", FRESH, Nature.GOOD))
    begin(world)
    yield world
    world.kept.close()


def begin(world, running=A, **env):
    calm = {"otad_fallback": "", "otad_boots": "1", **env}  # a boot that U-Boot has counted
    device = FRESH._replace(env=DEFAULT._replace(**calm)).holding(B, Content("1.1.0"))
    world.begin(device, Running(running, None), ())


def around(made, units, **more):
    life = live(made, made.kept.holding(Memory()), Environment(made).status(), None)
    return replace(life.ports, host=units, **more)


class Held:
    async def still(self, attempt):
        return Hold(Outcome.HELD, BAD, 60)


async def test_applications_that_an_interrupted_reboot_stopped_run_again_when_it_is_held(made):
    units = Units(running=False)
    step = await reboot.run(Record(State.REBOOT, A, "b", attempt=ATTEMPT), around(made, units, offers=Held()))
    assert (step.outcome, step.retry_after, units.running) == (Outcome.HELD, 60, True)
    assert made.device.env.upgrade_available == "0"


async def test_applications_run_again_although_the_environment_cannot_be_written(made):
    class Stuck(Environment):
        def rollback(self, goal, keep=None):
            raise BootEnvironmentError("bootenv-write", "fw_setenv exited 1", "look")

    begin(made, otad_rollback="B")
    units = Units(running=False)
    record = Record(State.ROLLBACK, A, "b", attempt=ATTEMPT, goal=A, cause=BAD)
    step = await rollback.run(record, around(made, units, boot=Stuck(made)))
    assert (step.outcome, step.cause.code, units.running) == (Outcome.FAILED, "bootenv-write", True)


async def test_applications_run_on_when_the_reboot_to_the_goal_never_comes(made):
    class Selects(Environment):
        def rollback(self, goal, keep=None):
            selected.append(goal)

    class Stays(Units):
        async def reboot(self):
            raise OtadError("reboot-failed", "the device cannot be rebooted", "reboot it by hand")

    selected: list[Slot] = []
    begin(made, B, boot_partition="B", upgrade_available="1", bootcount="1")
    units = Stays()
    record = Record(State.ROLLBACK, A, "b", attempt=ATTEMPT, goal=A, cause=BAD)
    step = await rollback.run(record, around(made, units, boot=Selects(made)))
    assert (step.outcome, step.cause.code, units.running) == (Outcome.FAILED, "reboot-failed", True)
    assert selected == [A]  # the next boot, whoever asks for it, goes there


@pytest.mark.parametrize(("kind", "bootcount", "kept"), [(Kind.REVERT, "0", "B"), (Kind.REVERT, "1", ""), (Kind.UPDATE, "0", "")])
async def test_a_revert_that_was_never_booted_leaves_its_slot_the_fallback(made, kind, bootcount, kept):
    """Its reboot did not come. Whoever asks for it again must still find a slot to go back to."""
    begin(made, upgrade_available="1", boot_partition="B", bootcount=bootcount, otad_fallback="A")
    made.device = made.device.holding(B, Content("1.0.0", proved=kind is Kind.REVERT))
    record = Record(State.ROLLBACK, A, "b", attempt=replace(ATTEMPT, kind=kind), goal=A, cause=BAD)
    made.device = made.device._replace(memory=Memory(encode(record)))
    step = await rollback.run(record, around(made, Units()))
    env = made.device.env
    assert (step.outcome, env.boot_partition, env.upgrade_available, env.otad_fallback) == (Outcome.DONE, "A", "0", kept)


async def test_a_goal_that_cannot_be_selected_is_reached_by_the_boots_of_the_trial_running_out(made):
    class Stuck(Environment):
        def rollback(self, goal, keep=None):
            raise BootEnvironmentError("bootenv-write", "fw_setenv exited 1", "look")

    class Reboots(Units):
        async def reboot(self):
            self.told.append("reboot")

    begin(made, B, boot_partition="B", upgrade_available="1", bootcount="1")
    units = Reboots()
    record = Record(State.ROLLBACK, A, "b", attempt=ATTEMPT, goal=A, cause=BAD)
    step = await rollback.run(record, around(made, units, boot=Stuck(made)))
    assert (step.outcome, units.told) == (Outcome.BOOT, ["sync", "reboot"])


async def test_applications_that_failed_do_not_cost_the_slot_its_fallback(made):
    """Found by the sweep: 1.0.1 runs in B, A is good; 1.1.0 without a system image fails; B rots; nothing was left."""
    begin(made, otad_fallback="B")
    record = Record(State.ROLLBACK, A, "b", attempt=replace(ATTEMPT, target=None), goal=A, cause=BAD)
    step = await rollback.run(record, around(made, Units()))
    assert (step.outcome, made.device.env.otad_fallback) == (Outcome.DONE, "B")


@pytest.mark.parametrize("applications", [False, True])
async def test_a_slot_that_nothing_was_installed_in_is_nothing_to_go_back_to(made, applications):
    """Found by the sweep: U-Boot's default names B, and on a new device B is empty; it was armed."""
    made.device = FRESH
    if applications:
        made.device = FRESH._replace(made=(Made("1", Generation(1, "1.1.0", "1.1.0")),)).pointing(A, 1)
    with pytest.raises(Rejected) as refused:
        revert(around(made, Units()))
    assert refused.value.cause.code == "nothing-to-revert-to"


@pytest.mark.parametrize("state", [State.CHECK, State.DOWNLOAD, State.VERIFY, State.INSTALL])
async def test_a_fault_of_otads_own_ends_the_attempt_and_not_the_process(made, state):
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

    attempt = None if state is State.CHECK else ATTEMPT if state is State.INSTALL else replace(ATTEMPT, generation=None)
    broken = around(made, Units(), offers=Broken(), delivery=Broken())
    with pytest.raises(Stop):
        await drive(Record(state, A, "b", attempt=attempt), broken, Book())
    [(before, step)] = turned
    assert (before, step.outcome, step.cause.code) == (state, Outcome.FAILED, "internal")
    assert "Input/output error" in step.cause.what


class Turn:
    """A book of one transition: the next one is not run."""

    class Over(Exception):
        pass

    def turn(self, before, step, after):
        self.before, self.step, self.after = before.state, step, after.state
        raise self.Over


@pytest.mark.parametrize("fault", [None, OSError(5, "Input/output error"), MemoryError()])
async def test_what_a_bundle_has_armed_is_disarmed_however_the_install_ends(made, fault):
    """None: a person cancels it. The slot of a failed or cancelled install must not boot."""
    armed = asyncio.Event()

    class Arms(Neighbours):
        async def install(self, attempt, release, slot):
            env = {"boot_partition": "B", "upgrade_available": "1", "bootcount": "0"}
            self.world.device = self.world.device.storing(env)
            if fault:
                raise fault
            armed.set()
            await asyncio.Event().wait()

    class Orders:
        async def interrupted(self, record):
            await armed.wait()
            return Step(Outcome.CANCELLED, BAD)

    record = Record(State.INSTALL, A, "b", attempt=replace(ATTEMPT, generation=None))
    made.device = made.device._replace(memory=Memory(encode(record)))
    book = Turn()
    with pytest.raises(Turn.Over):
        await drive(record, around(made, Units(), delivery=Arms(made), orders=Orders()), book)
    assert (book.step.outcome, book.step.cause.code, book.after) == (Outcome.TAMPERED, "bundle-arms", State.ROLLBACK)


async def test_a_person_stops_a_state_at_an_await_and_nothing_of_it_runs_on(made):
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

    slow = around(made, Units(), offers=Slow(), orders=Orders())
    with pytest.raises(Stop):
        await drive(Record(State.CHECK, A, "b"), slow, Book())
    assert ended.is_set()
