"""docs/schema/: JSON Schemas of the documents, for other implementations. `make schemas` writes them; a test holds them current.

They are made from the models that otarepo writes with and devices read with, and say in `description` what a schema cannot check.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from otad import errors
from otad.formats import campaign, curve, encodings, event, grant, release

FOLDER = Path(__file__).parents[1] / "docs" / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: dict[str, Any] = {
    "release": release.Release,
    "encodings": encodings.Encodings,
    "grant": grant.Grant,
    "rollouts": campaign.Rollouts,
    "event": event.Event,
}
MODULES = (errors, campaign, curve, encodings, event, grant, release)
FIELDS = re.compile(r"((?:\w+(?:, )?)+) {2,}(.+)")


def schema(name: str) -> dict[str, Any]:
    """The schema of the document `name`."""
    made = TypeAdapter(DOCUMENTS[name]).json_schema(by_alias=True)
    close(made)
    for title, part in {made["title"]: made, **made.get("$defs", {})}.items():
        explain(part, inspect.getdoc(classes()[title]) or "")
    return {"$schema": DIALECT, **made}


def close(part: Any) -> None:
    """A name that does not fit its pattern is as wrong here as it is to the models."""
    if isinstance(part, dict):
        if "patternProperties" in part:
            part["additionalProperties"] = False
        for below in part.values():
            close(below)
    elif isinstance(part, list):
        for below in part:
            close(below)


def classes() -> dict[str, type]:
    """The classes of the documents, by name."""
    return {name: kind for module in MODULES for name, kind in vars(module).items() if inspect.isclass(kind)}


def explain(part: dict[str, Any], doc: str) -> None:
    """Take a docstring apart: the lines that begin with a field's name become that field's description."""
    properties = part.get("properties", {})
    prose: list[str] = []
    named: list[str] = []
    for field in properties.values():
        field.pop("title", None)
    for line in doc.splitlines():
        found = FIELDS.fullmatch(line)
        if found and set(found[1].split(", ")) <= set(properties):
            named = found[1].split(", ")
            for name in named:
                properties[name]["description"] = found[2]
        elif named and line.startswith(" "):
            for name in named:
                properties[name]["description"] += f" {line.strip()}"
        else:
            prose.append(line)
    part["description"] = "\n".join(prose).strip()


def text(name: str) -> str:
    """The file of the document `name`."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for document in DOCUMENTS:
        (FOLDER / f"{document}.json").write_text(text(document))
