from __future__ import annotations

from dataclasses import replace

from otad.bootenv import Slot
from otad.control import openapi
from otad.control.history import attempts
from otad.control.progress import Progress
from otad.control.status import Facts, describe, ended
from otad.errors import Cause, Who
from otad.statemachine import Attempt, Kind, Record, State
from tests.control.fake_desk import A_CAUSE, event, of_attempt

IDLE = Record(State.IDLE, Slot.A, "b1")
ATTEMPT = Attempt("01A", Kind.UPDATE, "c7", "ab" * 32, "1.1.0", Slot.B)
NOT_YET = {"code": "not-yet", "what": "not in phase 2 yet (bucket 0.43 > 0.10)", "remedy": "", "who": "nobody", "evidence": {}}


def test_a_device_that_has_never_run() -> None:
    told = describe(None, [], {}, Facts(image="1.0.0", slot="A"))
    assert (told["state"], told["seq"], told["attempt"], told["cause"], told["check"]) == ("idle", 0, None, None, None)
    assert told["running"] == {"version": "1.0.0", "slot": "A", "release": None}


def test_its_keys_are_those_of_the_published_schema() -> None:
    told = describe(IDLE, [event(1, "check", "nothing", cause=NOT_YET)], {}, Facts())
    failed = describe(IDLE, [of_attempt(2, "install", "failed", cause=A_CAUSE)], {}, Facts())
    schemas = openapi.document()["components"]["schemas"]
    assert set(told) == set(schemas["Status"]["properties"])
    assert set(failed["cause"]) == set(schemas["Status"]["properties"]["cause"]["oneOf"][0]["properties"])
    assert set(told["check"]) == set(schemas["Status"]["properties"]["check"]["oneOf"][0]["properties"])


def test_an_update_under_way() -> None:
    record = Record(State.DOWNLOAD, Slot.A, "b1", attempt=ATTEMPT)
    told = describe(
        record, [of_attempt(4, "check", "admitted")], {}, Facts(awake=True, progress=Progress("download", 5, 10, 0.0, 2.5))
    )
    assert told["attempt"] == {"id": "01A", "kind": "update", "version": "1.1.0", "campaign": "c7", "target": "B"}
    assert told["progress"] == {"step": "download", "done": 5, "total": 10, "rate": 2.5, "eta": 2.0}
    assert told["since"] == "2026-11-22T10:00:04.000Z"
    assert told["check"]["result"] == "admitted"


def test_the_last_failure_stands_until_a_commit() -> None:
    failure = of_attempt(2, "rollback", "done", cause=A_CAUSE)
    assert describe(IDLE, [failure, event(3, "check", "nothing", cause=NOT_YET)], {}, Facts())["cause"] == {
        **A_CAUSE,
        "version": "1.1.0",
        "time": failure["time"],
    }
    assert describe(IDLE, [failure, of_attempt(3, "commit", "done")], {}, Facts())["cause"] is None


def test_a_failing_check_is_no_failing_update() -> None:
    told = describe(IDLE, [event(1, "check", "failed", cause=A_CAUSE)], {}, Facts())
    assert told["cause"] is None
    assert (told["check"]["result"], told["check"]["reason"]) == ("failed", A_CAUSE["what"])


def test_a_rollback_under_way_tells_its_cause() -> None:
    cause = Cause("fell-back", "slot B did not boot 3 times", "Look at its console", Who.INTEGRATOR)
    record = Record(State.ROLLBACK, Slot.A, "b1", attempt=ATTEMPT, goal=Slot.A, cause=cause)
    assert describe(record, [], {}, Facts())["cause"]["what"] == cause.what


def test_a_hold_lasts_until_the_attempt_goes_on() -> None:
    held = of_attempt(2, "install", "held", cause=NOT_YET)
    assert describe(IDLE, [held, event(3, "check", "nothing", cause=NOT_YET)], {}, Facts())["held"]["what"] == NOT_YET["what"]
    assert describe(IDLE, [held, of_attempt(4, "download", "done")], {}, Facts())["held"] is None
    assert describe(IDLE, [held], {}, Facts())["cause"] is None


def test_what_runs_is_known_from_the_slots_own_events_first_then_from_the_image() -> None:
    events = [event(1, "check", "nothing"), event(2, "commit", "done", running="1.1.0", booted="B")]
    assert describe(IDLE, events, {}, Facts(image="0.9.0", slot="A"))["running"]["version"] == "1.0.0"
    assert describe(IDLE, events, {}, Facts(image="0.9.0"))["running"] == {"version": "1.1.0", "slot": "B", "release": None}
    assert describe(IDLE, events[:1], {}, Facts(image="0.9.0", slot="B"))["running"]["version"] == "0.9.0"
    assert describe(IDLE, events, {}, Facts(version="2.0.0", slot="A"))["running"]["version"] == "2.0.0"


def test_settings_are_shown() -> None:
    settings = {"paused": {"by": "ada", "since": "2026-11-22T10:00:00+00:00"}, "next_check": "2026-11-22T14:00:00+00:00"}
    told = describe(IDLE, [], settings, Facts(unsent=3))
    assert (told["paused"], told["next_check"], told["unsent"]) == (settings["paused"], settings["next_check"], 3)


def test_which_events_end_an_attempt() -> None:
    assert ended(event(1, "check", "nothing"))
    assert ended(event(1, "commit", "done"))
    assert ended(event(1, "rollback", "done"))
    assert not ended(event(1, "reboot", "boot"))
    assert not ended(event(1, "idle", "sleep"))


def test_history_tells_attempts_newest_first_with_the_first_cause_and_sums() -> None:
    told = attempts(
        [
            event(1, "check", "nothing"),
            of_attempt(2, "download", "done", durations={"state": 60.0}, bytes={"fetched": 500}),
            of_attempt(3, "download", "done", durations={"state": 1.5}, bytes={"fetched": 20}),
            of_attempt(4, "validate", "failed", cause=A_CAUSE),
            of_attempt(5, "rollback", "done", cause={**A_CAUSE, "what": "fell back"}),
            {**of_attempt(6, "download", "done"), "attempt": "01B", "version": "1.2.0"},
        ]
    )
    assert [(one["id"], one["result"]) for one in told] == [("01B", None), ("01A", "failed")]
    assert told[1]["cause"] == A_CAUSE
    assert told[1]["durations"] == {"download": 61.5}
    assert told[1]["bytes"] == {"fetched": 520}
    assert (told[1]["started"], told[1]["ended"]) == ("2026-11-22T10:00:02.000Z", "2026-11-22T10:00:05.000Z")


def test_history_tells_committed_held_and_cancelled_apart() -> None:
    ends = {("commit", "done"): "committed", ("install", "held"): "held", ("verify", "cancelled"): "cancelled"}
    for (state, outcome), result in ends.items():
        assert attempts([of_attempt(1, state, outcome)])[0]["result"] == result


def test_an_attempt_without_a_system_image_has_no_target() -> None:
    record = Record(State.VERIFY, Slot.A, "b1", attempt=replace(ATTEMPT, target=None))
    assert describe(record, [], {}, Facts())["attempt"]["target"] is None
