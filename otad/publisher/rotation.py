"""Who signs what, changed: a key added, a key replaced, a signature renewed.

Rules:
 1. The delegator is signed first (root for top-level roles, targets for releases and roll-outs), then the role itself, by the
    keys it has now: what is staged is always acceptable as a whole.
 2. The replaced key is retired when nothing names it any more, and not while the change waits for signatures of others.
 3. A new root takes the old root's signatures too, so devices follow it without a visit.
 4. Who signed until now signs once more beside the successor, so that a device is never between the two.
"""

from __future__ import annotations

from datetime import datetime

from securesystemslib.signer import Key

from otad.errors import Rejected, Who
from otad.publisher.roles import DELEGATED, ROLES, ROLLOUTS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from otad.publisher.workspace import Workspace

AT_PUBLISHING = (SNAPSHOT, TIMESTAMP)  # signed by every `publish`, so not here


def rotate(ws: Workspace, role: str, replaced: str | None = None, *, now: datetime) -> tuple[str, str]:
    """Replace a key of `role` by a new one of its type: (its name, the new one's). No name: the role's first key.

    Raises Rejected("key-unknown"), and OtadError("keys-missing") when an online key is not here.
    """
    with ws.writing("key rotate"):
        old = _holder(ws, role, replaced)
        name, key = ws.keys.make_like(old)
        _change(ws, role, key, ws.keys.public()[old].keyid, now)
        return old, name


def add(ws: Workspace, role: str, *, now: datetime) -> str:
    """Let one more new key sign for `role`; its threshold stays. The new key's name."""
    with ws.writing("key add"):
        name, key = ws.keys.make_like(_holder(ws, role, None))
        _change(ws, role, key, None, now)
        return name


def renew(ws: Workspace, role: str, *, now: datetime) -> None:
    """Sign `role` again as it is, for another lifetime. Raises Rejected("role-unknown") for those that `refresh` signs."""
    if role not in ROLES or role in AT_PUBLISHING:
        what = f"{role} cannot be renewed here"
        raise Rejected("role-unknown", what, "Snapshot and timestamp are signed by `otarepo refresh`", who=Who.INTEGRATOR)
    with ws.writing("key renew"):
        signed = ws.roles.next_root() if role == ROOT else ws.roles.next_targets(role)
        ws.roles.save(role, signed, now=now)


def _holder(ws: Workspace, role: str, wanted: str | None) -> str:
    if role not in ROLES:
        raise Rejected("role-unknown", f"there is no role {role}", f"The roles are {', '.join(ROLES)}", who=Who.INTEGRATOR)
    ids = ws.roles.holders(role).keyids
    names = [name for name, key in ws.keys.public().items() if key.keyid in ids]
    if not names or wanted not in (None, *names):
        what = f"{wanted or 'no key here'} is not a key of {role} (those are: {', '.join(names) or 'elsewhere'})"
        raise Rejected("key-unknown", what, "See `otarepo key list`", who=Who.INTEGRATOR)
    return wanted or names[0]


def _change(ws: Workspace, role: str, new: Key, old: str | None, now: datetime) -> None:
    above = TARGETS if role in DELEGATED else ROOT
    delegator = ws.roles.next_targets(TARGETS) if role in DELEGATED else ws.roles.next_root()
    if old is not None:
        delegator.revoke_key(old, role)
    delegator.add_key(new, role)
    ws.roles.save(above, delegator, now=now)
    if role == ROLLOUTS and ws.roles.proposal(above):
        return  # until the new key counts, the old one signs; `publish` then signs anew
    if role in (TARGETS, *DELEGATED):
        ws.roles.save(role, ws.roles.next_targets(role), now=now, also=ws.roles.signed_by(role))
