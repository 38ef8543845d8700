"""What to do about a release that is not taken now, and who has to: verdicts and obstacles as causes. Pure.

Rules:
 1. Every reason, attack and obstacle has its next step here.
 2. A mistake and an attack with the roll-outs' key look the same from here. The cause names both, the mistake's remedy first, and
    has the attack's name in its evidence.
"""

from __future__ import annotations

from otad.admission import Attack, Reason, Verdict
from otad.errors import Cause, Who
from otad.gate import Closed, Obstacle

_BY_REASON = {
    Reason.STOPPED: ("Nothing to do: the integrator ended this roll-out", Who.INTEGRATOR),
    Reason.PAUSED: ("Nothing to do: it goes on when the integrator resumes the roll-out", Who.INTEGRATOR),
    Reason.CURRENT: ("", Who.NOBODY),
    Reason.REFUSED: ("`otactl history` says why it failed; `otactl retry` lets it come again", Who.FIELD),
    Reason.NOT_SELECTED: ("Compare the roll-out's selection with [device.attributes]", Who.INTEGRATOR),
    Reason.INCOMPATIBLE: ("Compare /etc/hwrevision and [device] product with the release", Who.INTEGRATOR),
    Reason.NEEDS_STEP: ("Keep the roll-out of the release between open", Who.INTEGRATOR),
    Reason.NOT_YET: ("Nothing to do: its turn comes by itself", Who.NOBODY),
}
"""NOT_GRANTED and OLDER have the remedy of the attack that they would be."""

_BY_ATTACK = {
    Attack.ARBITRARY_SOFTWARE: ("Publish the release (`otarepo publish`), or roll out one that is published", Who.INTEGRATOR),
    Attack.REVOKED_SOFTWARE: ("Stop its roll-out: what is withdrawn stays so. Publish a higher version", Who.INTEGRATOR),
    Attack.CHANNEL_CROSSING: ("Open the channel to the release (`otarepo open`), or roll out another one", Who.INTEGRATOR),
    Attack.ROLLBACK: (
        "Allow it with `otarepo allow --version RUNNING --back-to OLDER`, or publish a higher version",
        Who.INTEGRATOR,
    ),
    Attack.SKIPPED_PACE: _BY_REASON[Reason.NOT_YET],
}

_BY_OBSTACLE = {
    Obstacle.PAUSED: ("`otactl resume` ends the pause", Who.FIELD),
    Obstacle.INHIBITED: (
        "Nothing to do: it is asked again at the next check; [reboot] inhibitors names the commands",
        Who.NOBODY,
    ),
    Obstacle.WINDOW: ("Nothing to do: it waits for the window; `otactl install VERSION` does not", Who.NOBODY),
}


def of_verdict(verdict: Verdict) -> Cause:
    """The cause of a verdict that does not admit."""
    code, what, attack = verdict.reason.value, verdict.detail, verdict.attack
    if attack is None:
        return Cause(code, what, *_BY_REASON[verdict.reason])
    remedy, who = _BY_ATTACK[attack]
    meant = f"If nobody meant it, this is an attack ({attack.value}): the roll-outs' key is in wrong hands (`otarepo key rotate`)"
    return Cause(code, what, f"{remedy}. {meant}", who, {"attack": attack.value})


def of_obstacle(closed: Closed) -> Cause:
    """The cause of what holds a release back on the device itself."""
    return Cause(closed.obstacle.value, closed.detail, *_BY_OBSTACLE[closed.obstacle])
