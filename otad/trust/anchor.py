"""Where trust begins: the newer of the image's root and the device's own chain of roots.

Rules:
 1. The image's anchor is trusted as it is: it came with the image, which was verified. Stored roots are taken up from there one
    by one, each signed by the one before it and by itself; the first that is absent or does not hold ends the chain. So an
    older image on the other slot finds its way to the newest root, and a newer image is not held back by what /data has.
 2. An anchor that cannot be read does not end the device: the newest stored root that its own keys signed stands in for it.
    Every stored root was reached from an anchor when it was accepted; who can write /data can do worse than this.
 3. Reading the chain needs no network; going on from its end does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from tuf.api.exceptions import RepositoryError

from otad.errors import OtadError, Rejected, Who
from otad.trust.store import Store
from otad.trust.verifier import Tell, Verifier

_log = logging.getLogger(__name__)


def begin(store: Store, tell: Tell) -> Verifier:
    """A verifier at the newest root that the device has. Raises Rejected("no-anchor") when it has none at all."""
    verifier = next(_starts(store, tell), None)
    if verifier is None:
        raise Rejected(
            "no-anchor",
            "this device has no root of trust: neither the image's root.json nor a stored root can be used",
            "Put the repository's root.json into the image as /etc/otad/root.json (paths.trust_anchor)",
            who=Who.OS_BUILDER,
        )
    while (data := store.root(verifier.root.version + 1)) is not None:
        if not _extended(store, verifier, data):
            break
    return verifier


def _extended(store: Store, verifier: Verifier, data: bytes) -> bool:
    version = verifier.root.version + 1
    try:
        verifier.accept_root(data, f"the stored root {version}")
    except OtadError as error:
        store.set_aside_root(version, error.cause.what)
        return False
    return True


def _starts(store: Store, tell: Tell) -> Iterator[Verifier]:
    anchor = store.anchor()
    if anchor is not None:
        try:
            yield Verifier(anchor, tell)
        except RepositoryError as error:
            _log.warning("the image's root.json cannot be used, the stored roots stand in for it: %s", error)
    for version in reversed(store.roots()):
        data = store.root(version)
        if data is None:
            continue
        try:
            yield Verifier(data, tell)
        except RepositoryError as error:
            store.set_aside_root(version, str(error))
