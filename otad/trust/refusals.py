"""Why metadata or a target is not believed, in words that name the attack and what else it may be.

Rules:
 1. A code names the attack or the state of the mirror; the sentences have the attack's name too, as The Update Framework has it.
    `origin` is the URL or file.
 2. Rejected: somebody signed, or serves, what must not be. RetryLater: a mirror or a clock that may be right next time.
    Corrupt: a document's bytes are not those that were signed, which says nothing against the release.
 3. The device can do nothing about any of them: who acts is the integrator.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from otad.errors import Corrupt, OtadError, Rejected, RetryLater, Who
from otad.trust.clock import Reading, stamp

_Kind = TypeVar("_Kind", bound=OtadError)


class Unsigned(Rejected):
    """Not signed as its delegator demands. A root that the mirror has not shown yet may name other keys."""


class StaleMirror(RetryLater):
    """This mirror is behind what is trusted already; another may not be."""


def unsigned(origin: str, role: str, good: int, threshold: int) -> Unsigned:
    """Fewer than `threshold` good signatures by the keys of `role`."""
    return _made(
        Unsigned,
        "wrong-threshold" if good else "wrong-key",
        f"{origin} has {good} of the {threshold} signatures that the {role} role needs, and no newer root allows other keys",
        "If the repository's keys were changed, publish the root that says so; if not, it is forged (arbitrary software attack)",
        role=role,
        signatures=f"{good} of {threshold}",
    )


def expired(origin: str, expires: datetime, reading: Reading, *, online: bool) -> RetryLater:
    """Past its date by `reading`: a freeze attack, a forgotten signature or a wrong clock look alike. `online`: its key is."""
    sign = "Sign it again (otarepo refresh)" if online else "Sign it again with the offline keys (otarepo publish)"
    look = "" if reading.synchronised else "; give the device a time source (timedatectl)"
    return _made(
        RetryLater,
        "expired",
        f"{origin} expired at {stamp(expires)}: {reading}. Either it was not signed again in time, or an old copy is being "
        "served to keep this device where it is (freeze attack)",
        f"{sign}; check that mirrors and proxies serve the newest files{look}",
        expires=stamp(expires),
        now=stamp(reading.now),
        system=stamp(reading.system),
        clock=reading.basis,
    )


def stale(origin: str, found: int, trusted: int) -> StaleMirror:
    """A timestamp that is well signed and older than the trusted one."""
    return _made(
        StaleMirror,
        "stale-mirror",
        f"{origin} is version {found}, but this device has seen version {trusted} already: the mirror is behind",
        "It is tried again by itself. If it stays so, the mirror is not updated, or it replays old files (rollback attack)",
        found=str(found),
        trusted=str(trusted),
    )


def rollback(origin: str, detail: str) -> Rejected:
    """Newer metadata that leads back to something older than what was trusted."""
    return _made(
        Rejected,
        "rollback-attack",
        f"{origin} leads back to older metadata than this device has trusted (rollback attack): {detail}",
        "If the repository was restored from a backup, publish everything once more with higher versions; "
        "if not, its online keys are in wrong hands: rotate them (otarepo key)",
        detail=detail,
    )


def mixed(origin: str, detail: str) -> Rejected:
    """A file that is not the one that the metadata above it names."""
    return _made(
        Rejected,
        "mix-and-match",
        f"{origin} is not the file that the metadata above it names: {detail}",
        "Publish again, with timestamp.json copied last; if that was done, something on the way exchanges files "
        "(mix-and-match attack)",
        detail=detail,
    )


def not_metadata(origin: str, detail: str) -> RetryLater:
    """Not even metadata: a log-in page, an error page served as 200, half a file."""
    return _made(
        RetryLater,
        "not-metadata",
        f"{origin} is not TUF metadata: {detail}",
        "Look at what that address gives: a proxy's log-in page, or a server that says 200 in place of 404 for a missing file",
        detail=detail,
    )


def missing(origin: str, named_by: str) -> RetryLater:
    """Named by trusted metadata, and not there."""
    return _made(
        RetryLater,
        "incomplete-mirror",
        f"{named_by} names {origin}, which the server does not have",
        "It is tried again by itself. If it stays so, copy the whole repository again, timestamp.json last",
    )


def undelegated(role: str, by: str) -> Rejected:
    """The trusted metadata `by` does not provide for a role that every repository of otad has."""
    return _made(
        Rejected,
        "role-missing",
        f"{by} says nothing of the role {role!r}",
        "Make the repository with otarepo init: its roles are fixed",
    )


def arbitrary_target(role: str, path: str) -> Rejected:
    """A role that lists what it was not given."""
    return _made(
        Rejected,
        "arbitrary-target",
        f"the role {role!r} lists {path}, which it may not sign (arbitrary software attack)",
        f"Nothing of it is used. Find out who signed {path}: the keys of {role!r} may be in wrong hands (otarepo key)",
        role=role,
        path=path,
    )


def exchanged(origin: str, detail: str) -> Corrupt:
    """A target file whose bytes are not those that were signed: the server's fault, and none of the release."""
    return _made(
        Corrupt,
        "arbitrary-target",
        f"{origin} is not the file that was signed: {detail}",
        "Copy the repository's files to the server again; if that was done, something on the way exchanges files "
        "(arbitrary software attack)",
        detail=detail,
    )


def altered(origin: str, detail: str) -> Rejected:
    """A target file that was signed, and says what its place contradicts."""
    return _made(
        Rejected,
        "arbitrary-target",
        f"{origin} is not what it should be: {detail}",
        "Publish it again with otarepo, under the name that it belongs to",
        detail=detail,
    )


def _made(kind: type[_Kind], code: str, what: str, remedy: str, **evidence: str) -> _Kind:
    return kind(code, what, remedy, who=Who.INTEGRATOR, evidence=evidence)
