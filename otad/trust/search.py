"""Which role answers for a target in a repository of any shape: the walk over delegations (client workflow, 5.6.7).

Rules:
 1. Depth first, in the order of the delegations; a role is visited once; a terminating delegation ends the search beside it.
 2. At most MAX_ROLES roles are visited: what lies beyond is not found.

otad's own repositories need none of it: the device asks its two roles by name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tuf.api.metadata import TargetFile, Targets

MAX_ROLES = 32


async def find(path: str, load: Callable[[str, str], Awaitable[Targets]]) -> TargetFile | None:
    """The target at `path`; None when nobody lists it. `load(role, by)` gives the metadata of a role that `by` delegates."""
    todo = [("targets", "root")]
    seen: set[str] = set()
    while todo and len(seen) < MAX_ROLES:
        role, by = todo.pop()
        if role in seen:
            continue
        seen.add(role)
        targets = await load(role, by)
        if path in targets.targets:
            return targets.targets[path]
        delegated, last = _delegated(targets, path)
        if last:
            todo.clear()
        todo += [(name, role) for name in reversed(delegated)]
    return None


def _delegated(targets: Targets, path: str) -> tuple[list[str], bool]:
    """The roles that `path` is delegated to, and whether the last of them terminates the search."""
    names: list[str] = []
    for name, terminating in targets.delegations.get_roles_for_target(path) if targets.delegations else ():
        names.append(name)
        if terminating:
            return names, True
    return names, False
