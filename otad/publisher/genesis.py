"""The first metadata of a workspace: who may sign what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Root, Targets

from otad.publisher.roles import DELEGATED, ROOT, SNAPSHOT, TARGETS, TIMESTAMP


def first_root(keys: Mapping[str, list[Key]], thresholds: Mapping[str, int], now: datetime) -> Root:
    """Version 1 of root; `keys` and `thresholds` by top-level role. A role without a threshold has 1."""
    root = Root(expires=now, consistent_snapshot=True)
    for role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
        for key in keys[role]:
            root.add_key(key, role)
        root.roles[role].threshold = thresholds.get(role, 1)
    return root


def first_targets(keys: Mapping[str, list[Key]], now: datetime) -> Targets:
    """Version 1 of targets: nothing but the two delegations."""
    held = {key.keyid: key for role in DELEGATED for key in keys[role]}
    roles = {
        role: DelegatedRole(role, [key.keyid for key in keys[role]], threshold=1, terminating=True, paths=list(paths))
        for role, paths in DELEGATED.items()
    }
    return Targets(expires=now, delegations=Delegations(held, roles))
