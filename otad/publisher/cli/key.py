"""otarepo key: who signs what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from otad.errors import Rejected, Who
from otad.publisher import drafts, rotation
from otad.publisher.cli.terminal import Dir, awaited, now, opened, out, said
from otad.publisher.roles import ROLES

app = typer.Typer(help="List, add, replace and export keys; sign again what runs out.", no_args_is_help=True)
Role = Annotated[str, typer.Argument(metavar="ROLE", help=", ".join(ROLES))]


@app.command("list")
def list_(folder: Dir) -> None:
    """The keys here, and the roles they sign."""
    workspace = opened(folder)
    holders = {role: workspace.roles.holders(role) for role in ROLES}
    table = Table("key", "signs", "type", "private key", "key id", box=None, pad_edge=False)
    for name, key in workspace.keys.public().items():
        signs = [f"{role} ({held.threshold} of {len(held.keyids)})" for role, held in holders.items() if key.keyid in held.keyids]
        here = (workspace.keys.path / f"{name}.pem").exists()
        private = "encrypted" if workspace.keys.locked(name) else "here" if here else "elsewhere"
        use = ", ".join(signs) or ("bundles" if name.startswith("swupdate") else "nothing")
        table.add_row(name, use, key.keytype, private, key.keyid[:16])
    out.print(table)


@app.command()
def rotate(
    folder: Dir,
    role: Role,
    replace: Annotated[str | None, typer.Option("--replace", metavar="KEY", help="Which key; else the role's first.")] = None,
) -> None:
    """Replace a key of ROLE by a new one. Effective when published."""
    workspace = opened(folder)
    old, new = rotation.rotate(workspace, role, replace, now=now())
    said(f"{new} signs {role} in place of {old}, which goes to keys/retired. Publish to make it so.")
    awaited(workspace)


@app.command()
def add(folder: Dir, role: Role) -> None:
    """Let one more new key sign for ROLE. Effective when published."""
    workspace = opened(folder)
    said(f"{rotation.add(workspace, role, now=now())} signs {role} too. Publish to make it so.")
    awaited(workspace)


@app.command()
def renew(folder: Dir, role: Role) -> None:
    """Sign ROLE again as it is, for another lifetime. Effective when published."""
    workspace = opened(folder)
    rotation.renew(workspace, role, now=now())
    said(f"{role} is staged for another lifetime. Publish to make it so.")
    awaited(workspace)


@app.command()
def export(
    folder: Dir,
    name: Annotated[str, typer.Argument(metavar="KEY")],
    to: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else standard output.")] = None,
) -> None:
    """The public key, as PEM."""
    file = opened(folder).keys.path / f"{name}.pub"
    if not file.exists():
        raise Rejected("key-unknown", f"there is no key {name}", "See `otarepo key list`", who=Who.INTEGRATOR)
    if to:
        drafts.copy(file, to)
    else:
        out.out(file.read_text(), end="")
