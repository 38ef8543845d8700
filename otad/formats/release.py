"""Release: what a release is. Immutable once published; its SHA-256 is its name everywhere."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from pydantic import Field

from otad.formats import Document, Model, Name, SemVer, Sha256


class PayloadKind(str, Enum):
    """What handles the payload on the device."""

    SYSTEM = "system"
    APP = "app"
    MODEL = "model"


class Payload(Model):
    """One thing that a release brings.

    sha256, length  of the decoded bytes (for a system: the `.swu`)
    disk            bytes that it takes where it ends up (for a system: the raw image)
    options         the kind's own settings, read by its handler
    """

    kind: PayloadKind
    name: Name
    sha256: Sha256
    length: int = Field(ge=1)
    disk: int = Field(ge=0)
    options: dict[str, Any] = Field(default_factory=dict)


class Release(Document):
    """`targets/releases/<product>/<version>.json`.

    hardware     boards that it runs on, as in /etc/hwrevision ("jetson-nano 1.0"); any of them
    min_version  oldest version that can step to it; None: any
    critical     overrides the device's maintenance window
    """

    schema_: Literal[1] = 1
    product: Name
    version: SemVer
    hardware: tuple[str, ...] = Field(min_length=1)
    min_version: SemVer | None = None
    critical: bool = False
    notes: str = ""
    payloads: tuple[Payload, ...] = Field(min_length=1)

    @property
    def system(self) -> Payload | None:
        """The system image, if this release brings one."""
        return next((p for p in self.payloads if p.kind is PayloadKind.SYSTEM), None)
