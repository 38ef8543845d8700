"""docs/settings.md: every key of otad.toml, from the settings' models. `make settings` writes it; a test holds it current.

The same facts as in otad.toml.5, which tools/manual.py makes; this is the page that is read on the web.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from otad import config, health
from otad.config import Config
from tools.manual import KINDS, described, shown

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """\
# Settings

Every key of `otad.toml`. Made from [`otad/config.py`](../otad/config.py) by `make settings`; `man otad.toml` says the same.

The files are read in this order, and the later one wins, key by key:

1. `/etc/otad/otad.toml`: what the image says. It is replaced with each slot.
2. `/etc/otad/conf.d/*.toml`, in the order of their names: the same.
3. `/data/otad/conf.d/*.toml`: this device's own. They outlive updates.

- Only `repository.url` and `device.product` are required.
- An unknown key or a wrong type is an error that names file and key. otad then ends with status 78; `systemctl status otad`
  shows the error. A stable boot is still marked as proven.
- otad reads its settings when it starts, and it starts for each check. `otactl config` shows what is in force.
- Times are seconds, sizes bytes.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts.append("\n".join(table(f"[{name}]", field.annotation)))
        if name == "health":
            parts.append("\n".join(table("[[health.checks]]", config.HealthCheck)))
            parts += ["\n".join(check(name)) for name in health.types()]
    return "\n".join(parts)


def table(title: str, model: type[BaseModel]) -> Iterator[str]:
    """One table of the file, as a table."""
    prose, known = described(model)
    yield from (f"## `{title}`", "", prose, "", "| key | type | default | |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        default = "**required**" if field.is_required() else f"`{shown(field.get_default(call_default_factory=True))}`"
        meaning = known.get(name, "").replace("None:", "unset:").replace("|", "\\|")
        yield f"| `{name}` | {kind(model, name)} | {default.replace('`none`', 'unset')} | {meaning} |"
    yield ""


def check(name: str) -> Iterator[str]:
    """One type of health check: what its module says, with the example that stands there."""
    module = importlib.import_module(f"otad.health.{name}")
    said, _, example = inspect.cleandoc(module.__doc__ or "").partition("\n\n")
    yield from (f'### `type = "{name}"`', "", said, "")
    names = ", ".join(f"`{option}`" for option in module.Options.model_fields) or "none"
    yield from (f"Options: {names}. {inspect.getdoc(module.Options)}", "")
    if example:
        yield from ("```toml", example, "```", "")


def kind(model: type[BaseModel], name: str) -> str:
    """What stands in the file, in words."""
    written = str(inspect.get_annotations(model)[name])
    return KINDS.get(written.removesuffix(" | None")) or ("integer" if "[int" in written else "number")


if __name__ == "__main__":
    PAGE.write_text(page())
