"""Signatures of several people, on several machines.

Rules:
 1. What is to be signed travels as one file (`request.py`): a signer needs that and a key, and no workspace.
 2. Each key signs once. A key that the role does not name, and a signature that does not verify, are refused by name.
 3. What was proposed is what is signed: when the proposal changed meanwhile, signatures of the old one do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import Metadata

from otad.errors import Rejected, Who
from otad.publisher.proposal import Judge, lacks
from otad.publisher.request import Request
from otad.publisher.roles import OFFLINE, RELEASES, ROOT, TARGETS
from otad.publisher.workspace import Workspace


@dataclass(frozen=True)
class Waiting:
    """One role's next version, and what it lacks."""

    role: str
    version: int
    lacks: str

    def __str__(self) -> str:
        return f"{self.role} {self.version} {self.lacks}"


def waiting(ws: Workspace) -> list[Waiting]:
    """All that waits for signatures in `ws`."""
    found = []
    for role in OFFLINE:
        if proposal := ws.roles.proposal(role):
            words = lacks(_judges(ws, role, proposal), role, proposal, ws.roles.name)
            found.append(Waiting(role, proposal.signed.version, words or f"waits for the {_above(role)} that names its keys"))
    return found


def request(ws: Workspace, role: str) -> Request:
    """What is to be signed of `role`. Raises Rejected("nothing-waits")."""
    proposal = _proposal(ws, role)
    judges = [ws.roles.metadata(ROOT)] if role == ROOT else [ws.roles.proposal(_above(role)) or ws.roles.metadata(_above(role))]
    holders = {keyid for judge in _judges(ws, role, proposal) for keyid in judge.get_delegated_role(role).keyids}
    named = holders | {key.keyid for key in ws.keys.public().values()}
    return Request(
        role=role,
        metadata=proposal.to_dict(),
        before=ws.roles.metadata(role).to_dict(),
        judges=tuple(judge.to_dict() for judge in judges),
        names={keyid: ws.roles.name(keyid) for keyid in sorted(named)},
    )


def add(request: Request, signer: CryptoSigner, name: str) -> Request:
    """The request with one more signature. `name` is what the key's owner calls it.

    Raises Rejected("key-not-asked") for a key that does not count, Rejected("key-signed") for one that has signed.
    """
    metadata, judges = request.opened()
    keyid = signer.public_key.keyid
    _asked(request, judges, keyid, name)
    if keyid in metadata.signatures:
        what = f"{name} ({request.name(keyid)}) has signed this {request.role} already"
        raise Rejected("key-signed", what, f"Another key has to sign: it {request.lacks()}", who=Who.INTEGRATOR)
    metadata.sign(signer, append=True)
    return request.model_copy(update={"metadata": metadata.to_dict()})


def take(ws: Workspace, request: Request) -> None:
    """Add the signatures of `request` to what waits in `ws`; it takes its place when it has them all.

    Raises Rejected("nothing-waits"), Rejected("request-differs"), Rejected("key-not-asked"), Rejected("signature-wrong"),
    Rejected("signature-known").
    """
    with ws.writing("sign take"):
        signed, _ = request.opened()
        proposal = _proposal(ws, request.role)
        if signed.signed_bytes != proposal.signed_bytes:
            what = f"this is not the {request.role} {proposal.signed.version} that waits in {ws.path}: that has changed since"
            raise Rejected("request-differs", what, "Export it again and have that signed", who=Who.INTEGRATOR)
        new = {keyid: one for keyid, one in signed.signatures.items() if keyid not in proposal.signatures}
        if not new:
            what = f"no signature of {request.role} {proposal.signed.version} is new"
            raise Rejected("signature-known", what, f"It {request.lacks()}", who=Who.INTEGRATOR)
        judges = _judges(ws, request.role, proposal)
        for keyid, signature in new.items():
            key = _asked(request, judges, keyid, "the key")
            try:
                key.verify_signature(signature, proposal.signed_bytes)
            except UnverifiedSignatureError as error:
                what = f"the signature of {request.name(keyid)} is not over this {request.role}"
                raise Rejected("signature-wrong", what, "Have it signed again", who=Who.INTEGRATOR) from error
        proposal.signatures.update(new)
        ws.roles.proposals.write(request.role, proposal)
        ws.roles.settle()


def drop(ws: Workspace, role: str) -> None:
    """Give up what waits for signatures of `role`. Raises Rejected("nothing-waits")."""
    with ws.writing("sign drop"):
        _proposal(ws, role)
        ws.roles.proposals.drop(role)
        ws.roles.settle()


def _proposal(ws: Workspace, role: str) -> Metadata[Any]:
    proposal = ws.roles.proposal(role) if role in OFFLINE else None
    if proposal is None:
        names = ", ".join(one.role for one in waiting(ws)) or "nothing"
        what = f"no {role} waits for signatures in {ws.path} (there waits: {names})"
        raise Rejected("nothing-waits", what, "See `otarepo sign list`", who=Who.INTEGRATOR)
    return proposal


def _above(role: str) -> str:
    return TARGETS if role == RELEASES else ROOT


def _judges(ws: Workspace, role: str, proposal: Metadata[Any]) -> list[Judge]:
    """Whose signatures count in the end: what is proposed above it counts as well."""
    if role == ROOT:
        return ws.roles.judges(ROOT, proposal.signed)
    return [ws.roles.next_targets(TARGETS) if role == RELEASES else ws.roles.next_root()]


def _asked(request: Request, judges: list[Judge], keyid: str, name: str) -> Key:
    """The key `keyid`, as one of `judges` names it for the role."""
    for judge in judges:
        if keyid in judge.get_delegated_role(request.role).keyids:
            return judge.get_key(keyid)
    holders = {one for judge in judges for one in judge.get_delegated_role(request.role).keyids}
    what = f"{name} ({keyid[:16]}) is none of the keys that sign {request.role}: {', '.join(sorted(map(request.name, holders)))}"
    raise Rejected("key-not-asked", what, "Sign with one of those", who=Who.INTEGRATOR)
