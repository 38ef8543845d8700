"""Health: whether a release is good. And the one Protocol of every check.

Rules:
 1. A check is one file of this folder, named after its type, with `make(settings, around)`. `load` finds it by that name.
 2. A check looks and changes nothing; it may be asked any number of times, and says what it saw in words.
 3. `examination.py` decides when and how often; a check knows neither soak nor retries.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from otad.config import Health, HealthCheck, Section
from otad.errors import Cause, ConfigError

EVIDENCE_BYTES = 4096  # of each piece of evidence; its end is kept


@dataclass(frozen=True)
class Finding:
    """What a check saw once: `words` is one sentence; `evidence` short named facts (exit status, last lines)."""

    name: str
    ok: bool
    words: str
    evidence: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"name": self.name, "ok": self.ok, "words": self.words, "evidence": dict(self.evidence)}


class Check(Protocol):
    """Looks at one thing. It may remember what it saw first (a unit's restarts); `load` makes a new one each time."""

    name: str

    async def run(self) -> Finding:
        """Look once. Raises OtadError for what went wrong; when cancelled it leaves no process behind."""


@dataclass(frozen=True)
class Around:
    """What checks may use of the system: the systemctl command, and a way to reach the repository (raises OtadError)."""

    systemctl: tuple[str, ...]
    reach: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Plan:
    """A check and how it is to be asked (time-out, retries, whether it is required)."""

    settings: HealthCheck
    check: Check


@dataclass(frozen=True)
class HealthVerdict:
    """The last finding of each check, and why the release is not good; no cause: it is."""

    findings: tuple[Finding, ...]
    cause: Cause | None


def types() -> list[str]:
    """The types of check that there are."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [name for name in names if hasattr(importlib.import_module(f"{__name__}.{name}"), "make")]


def load(settings: Health, around: Around, *, reachable: bool = True) -> list[Plan]:
    """The checks of the settings, made anew.

    "Can still reach the repository" is added by default; it is required when the repository was `reachable` before the
    update. Raises ConfigError for an unknown type, unknown or wrong options, and for two checks of one name.
    """
    wanted = list(settings.checks)
    if settings.repository and not any(check.type == "repository" for check in wanted):
        wanted.append(HealthCheck(type="repository", name="repository", required=reachable))
    names = [check.name for check in wanted]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(name, "two checks have this name", "Give each check a name of its own")
    return [Plan(check, _make(check, around)) for check in wanted]


def _make(settings: HealthCheck, around: Around) -> Check:
    if settings.type not in types():
        raise _invalid(settings.name, f"there is no type {settings.type!r}", f"Use one of {', '.join(types())}")
    check: Check = importlib.import_module(f"{__name__}.{settings.type}").make(settings, around)
    return check


OptionsT = TypeVar("OptionsT", bound=Section)


def options(settings: HealthCheck, model: type[OptionsT]) -> OptionsT:
    """The check's own options, as `model`. Raises ConfigError naming check and key."""
    try:
        return model.model_validate(settings.options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        said = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise _invalid(settings.name, f"options.{key}: {said}", "Correct it and start otad again") from error


def _invalid(name: str, what: str, remedy: str) -> ConfigError:
    return ConfigError("config-invalid", f"health.checks: {name}: {what}", remedy)
