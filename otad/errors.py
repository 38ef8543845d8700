"""What goes wrong, said so that the person who reads it can act.

Rules:
 1. Every failure is a `Cause`: what cannot be done and why, what to do next, and who has to do it.
 2. The code is a stable slug for machines and tests; the words may improve from one version to the next.
 3. Engines raise one of the exceptions below; states turn them into outcomes. Nothing else crosses that boundary.
 4. A user, a password and a query within a URL are in no cause, whoever raised it: causes are logged, kept, shown and reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_USERINFO = re.compile(r"(?<=://)[^/?#\s]+@")
_QUERY = re.compile(r"""(://[^?#\s'"]*\?)[^#\s'"]+""")  # a signed link carries its token there


def discreet(text: str) -> str:
    """`text`, and *** for the user and password, and for the query, of each URL in it."""
    return _QUERY.sub(r"\1***", _USERINFO.sub("***@", text))


class Who(str, Enum):
    """Who must act before this can succeed."""

    NOBODY = "nobody"  # the device tries again by itself
    FIELD = "field engineer"
    INTEGRATOR = "integrator"
    OS_BUILDER = "OS builder"


@dataclass(frozen=True)
class Cause:
    """Why something failed.

    `code` is a slug such as "disk-full"; `what` one sentence that names the thing and the reason; `remedy` the next step;
    `evidence` short named facts (exit status, last lines, expected and found values), each at most 4 KiB.
    """

    code: str
    what: str
    remedy: str
    who: Who = Who.FIELD
    evidence: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("what", "remedy"):
            object.__setattr__(self, name, discreet(getattr(self, name)))
        object.__setattr__(self, "evidence", {key: discreet(text) for key, text in self.evidence.items()})

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}" if self.remedy else self.what

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, as it stands in the journal and in reports."""
        return {
            "code": self.code,
            "what": self.what,
            "remedy": self.remedy,
            "who": self.who.value,
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Cause:
        """The cause of `to_dict`; further keys are ignored. Raises KeyError, TypeError or ValueError when it is not one."""
        code, what, remedy = (str(plain[key]) for key in ("code", "what", "remedy"))
        return cls(code, what, remedy, Who(plain["who"]), {str(k): str(v) for k, v in dict(plain["evidence"]).items()})


class OtadError(Exception):
    """A failure with its cause. Raise one of the kinds below; catch this one."""

    def __init__(
        self, code: str, what: str, remedy: str = "", *, who: Who = Who.FIELD, evidence: Mapping[str, str] | None = None
    ) -> None:
        self.cause = Cause(code, what, remedy, who, dict(evidence or {}))
        super().__init__(str(self.cause))


class RetryLater(OtadError):
    """Nothing is wrong with the release; the same step may succeed later (no link, server busy, disk full).

    `retry_after` is in seconds when the other side named a time, else None.
    """

    def __init__(
        self,
        code: str,
        what: str,
        remedy: str = "",
        *,
        who: Who = Who.NOBODY,
        evidence: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, what, remedy, who=who, evidence=evidence)
        self.retry_after = retry_after


class NotServed(RetryLater):
    """This one file is not on the server as it was signed: missing, or of another length. Another file may be."""


class Rejected(OtadError):
    """This release, document or bundle must not be used as it is: bad signature, wrong hardware, wrong device."""


class Corrupt(OtadError):
    """Bytes in the cache or in a slot are not those that were promised; fetching them again may help, once."""


class Undecodable(OtadError):
    """A payload cannot be had from this blob (SHA-256) on this device, and may be from another encoding."""

    def __init__(self, cause: Cause, blob: str) -> None:
        self.blob = blob
        super().__init__(cause.code, cause.what, cause.remedy, who=cause.who, evidence=cause.evidence)


class Tampered(OtadError):
    """A bundle changed boot variables itself."""


class BootEnvironmentError(OtadError):
    """The boot environment cannot be read, written, or does not hold what was written to it."""


class ConfigError(OtadError):
    """The settings cannot be used."""
