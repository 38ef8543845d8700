"""Whatever holds a release back has its next step, and says who takes it."""

from __future__ import annotations

import pytest

from otad.admission import Attack, Reason, Verdict
from otad.errors import Who
from otad.gate import Closed, Obstacle
from otad.remedies import of_obstacle, of_verdict

BY_ATTACK = {Reason.NOT_GRANTED, Reason.OLDER}


@pytest.mark.parametrize("reason", sorted(set(Reason) - BY_ATTACK - {Reason.ADMITTED}))
def test_every_reason_has_its_next_step(reason: Reason) -> None:
    cause = of_verdict(Verdict(reason, "so it is"))
    assert (cause.code, cause.what, dict(cause.evidence)) == (reason.value, "so it is", {})
    assert cause.remedy or reason is Reason.CURRENT


@pytest.mark.parametrize("attack", Attack)
def test_every_attack_has_the_next_step_of_a_mistake_and_its_own_name(attack: Attack) -> None:
    cause = of_verdict(Verdict(Reason.NOT_GRANTED, "so it is", attack=attack))
    assert cause.evidence == {"attack": attack.value}
    assert f"If nobody meant it, this is an attack ({attack.value})" in cause.remedy
    assert cause.remedy.index("If nobody") > 0


@pytest.mark.parametrize("obstacle", Obstacle)
def test_every_obstacle_has_its_next_step(obstacle: Obstacle) -> None:
    cause = of_obstacle(Closed(obstacle, "so it is"))
    assert (cause.code, cause.what, bool(cause.remedy)) == (obstacle.value, "so it is", True)


def test_a_pause_of_the_roll_out_is_not_a_pause_on_the_device() -> None:
    assert of_verdict(Verdict(Reason.PAUSED, "")).who is Who.INTEGRATOR
    assert of_obstacle(Closed(Obstacle.PAUSED, "")).who is Who.FIELD
