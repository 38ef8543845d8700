"""Check "repository": this release can still reach the repository, so that the next one can replace it. There by default."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from otad.config import HealthCheck, Section
from otad.errors import OtadError
from otad.health import Around, Finding, options


class Options(Section):
    """It has none of its own: [repository] says where."""


class RepositoryCheck:
    """See `make`."""

    def __init__(self, name: str, reach: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self._reach = reach

    async def run(self) -> Finding:
        """Reach it once."""
        try:
            await self._reach()
        except OtadError as error:
            return Finding(
                self.name, ok=False, words=error.cause.what, evidence={"cause": error.cause.code, **error.cause.evidence}
            )
        return Finding(self.name, ok=True, words="the repository can be reached")


def make(settings: HealthCheck, around: Around) -> RepositoryCheck:
    """The check of these settings. Raises ConfigError."""
    options(settings, Options)
    return RepositoryCheck(settings.name, around.reach)
