"""otarepo publish and otarepo refresh: from the workspace to the world."""

from __future__ import annotations

from otad.publisher import publish as publishing
from otad.publisher.cli.terminal import Dir, Out, bars, now, opened, said, warned


def publish(folder: Dir, out: Out) -> None:
    """Make all that is staged public, in an order in which a reader never sees half of it."""
    with bars() as progress:
        done = publishing.publish(opened(folder), out, now=now(), progress=progress)
    _told(done)


def refresh(folder: Dir, out: Out) -> None:
    """Sign the timestamp anew (run it every 4 hours); publishes nothing that is staged. Online keys only."""
    with bars() as progress:
        done = publishing.refresh(opened(folder), out, now=now(), progress=progress)
    _told(done)


def _told(done: publishing.Published) -> None:
    said(f"timestamp {done.timestamp} is public; {done.files} new files")
    for role, expires in done.expiring:
        warned(f"the signature of {role} runs out on {expires:%Y-%m-%d}: otarepo key renew DIR {role}, then publish")
