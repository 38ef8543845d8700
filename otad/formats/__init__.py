"""The documents that cross the boundary between the publisher, the repository and the device. Pure: bytes in, models out.

Rules:
 1. Parse, don't validate later: a model that exists is well-formed. Unknown keys are kept out of `schema` 1 and refused.
 2. Documents are canonical JSON (`Document.encode`), so that the same content has the same SHA-256 everywhere.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError, WithJsonSchema
from semver import Version
from typing_extensions import Self

from otad.errors import Rejected, Who

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]


_NUMBER, _WORD = "(0|[1-9][0-9]*)", "[0-9A-Za-z-]*"
_PRE = f"({_NUMBER}|[0-9]*[A-Za-z-]{_WORD})"
SEMVER = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
"""As semver.org suggests it, in words that every implementation of JSON Schema knows."""


def _semver(text: str) -> str:
    if str(Version.parse(text)) != text:  # it takes the digits of every script, and a line's end; others do not
        raise ValueError(f"{text!r} is not valid SemVer string")
    return text


SemVer = Annotated[str, AfterValidator(_semver), WithJsonSchema({"type": "string", "pattern": SEMVER})]
"""Semantic Versioning 2.0.0, kept as text; order it with `newer`."""


def newer(version: str, than: str) -> bool:
    """True when `version` comes after `than` in SemVer's order (build metadata does not count)."""
    return Version.parse(version).compare(than) > 0


class Model(BaseModel):
    """A frozen part of a document; an unknown or wrongly typed key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(Model):
    """A whole document as it stands in the repository."""

    schema_: int

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, alias_generator=lambda n: n.rstrip("_"))

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no white space, UTF-8."""
        return encode(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def decode(cls, data: bytes, name: str) -> Self:
        """Parse `data`. Raises Rejected naming the document `name`, the field and what is wrong with it."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise Rejected(
                "document-invalid",
                f"{name} is not a valid {cls.__name__.lower()} document: {where}: {first['msg']}",
                "Publish it again with an otarepo that matches the devices' otad",
                who=Who.INTEGRATOR,
            ) from error


def encode(value: Any) -> bytes:
    """Canonical JSON of plain data: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
