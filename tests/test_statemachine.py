# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""The table: closed, connected, and every way out of a state accounted for."""

import pytest

from otad.bootenv import Slot
from otad.errors import Cause
from otad.statemachine import TABLE, Attempt, Kind, Outcome, Record, State, Step, advance

BAD = Cause("x", "it broke", "mend it")


def attempt(target: Slot | None = Slot.B) -> Attempt:
    return Attempt("01", Kind.UPDATE, "c", "ab" * 32, "1.1.0", target)


def record(state: State, **more) -> Record:
    return Record(state, Slot.A, "boot-1", **({"attempt": attempt()} | more))


def test_every_state_has_a_row_and_a_way_back_to_idle():
    assert set(TABLE) == set(State)
    for state in State:
        reached, todo = set(), [state]
        while todo:
            for after in TABLE[todo.pop()].values():
                if after not in reached:
                    reached.add(after)
                    todo.append(after)
        assert State.IDLE in reached, state


def test_an_edge_that_is_not_in_the_table_cannot_be_taken():
    for state in State:
        for outcome in set(Outcome) - set(TABLE[state]):
            with pytest.raises(KeyError):
                advance(record(state), Step(outcome))


def test_nothing_is_armed_or_confirmed_without_the_states_before_it():
    into = {s: {before for before in State for after in TABLE[before].values() if after is s and before is not s} for s in State}
    assert into[State.COMMIT] == {State.VALIDATE}
    assert into[State.REBOOT] == {State.INSTALL, State.VERIFY}
    assert into[State.VALIDATE] == {State.INSTALL, State.VERIFY}
    assert into[State.INSTALL] == {State.VERIFY}


def test_idle_forgets_the_attempt_and_keeps_home():
    for state in State:
        for outcome, after in TABLE[state].items():
            if after is State.IDLE and outcome is not Outcome.DONE:
                idle = advance(record(state, goal=Slot.A, starts=3), Step(outcome, BAD))
                assert idle == Record(State.IDLE, Slot.A, "boot-1")


def test_home_moves_at_commit_and_at_the_end_of_a_rollback_only():
    assert advance(record(State.COMMIT), Step(Outcome.DONE)).home is Slot.B
    assert advance(record(State.COMMIT, attempt=attempt(None)), Step(Outcome.DONE)).home is Slot.A
    assert advance(record(State.ROLLBACK, goal=Slot.B), Step(Outcome.DONE)).home is Slot.B
    assert advance(record(State.ROLLBACK, goal=Slot.B), Step(Outcome.FAILED, BAD)).home is Slot.A


@pytest.mark.parametrize("state", [State.INSTALL, State.REBOOT, State.VALIDATE, State.COMMIT])
def test_a_rollback_makes_for_home_and_remembers_why(state):
    outcome = Outcome.TAMPERED if state is State.INSTALL else Outcome.FAILED
    after = advance(record(state), Step(outcome, BAD))
    assert (after.state, after.goal, after.cause, after.attempt) == (State.ROLLBACK, Slot.A, BAD, attempt())


def test_a_corrupt_cache_is_fetched_again_and_remembered():
    after = advance(record(State.VERIFY), Step(Outcome.CORRUPT, BAD))
    assert after.state is State.DOWNLOAD
    assert after.the_attempt.refetched


def test_a_reboot_leaves_the_record_as_it_is():
    for state in (State.REBOOT, State.ROLLBACK):
        before = record(state, goal=Slot.A if state is State.ROLLBACK else None)
        assert advance(before, Step(Outcome.BOOT)) == before
