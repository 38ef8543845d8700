"""otarepo sign: signatures of those whose keys are elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otad.publisher import drafts, signing
from otad.publisher.cli.terminal import Dir, awaited, opened, passphrase, said
from otad.publisher.keys import signer_of
from otad.publisher.request import Request
from otad.publisher.roles import OFFLINE

app = typer.Typer(help="Have signed what needs keys that are elsewhere.", no_args_is_help=True)
Role = Annotated[str, typer.Argument(metavar="ROLE", help=", ".join(OFFLINE))]
File = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="From `sign export`.")]


@app.command("list")
def list_(folder: Dir) -> None:
    """What waits for signatures, and for whose."""
    waits = signing.waiting(opened(folder))
    said("\n".join(map(str, waits)) if waits else "Nothing waits for signatures.")


@app.command()
def export(
    folder: Dir, role: Role, to: Annotated[Path, typer.Argument(metavar="FILE", help="To write; take it to those who sign.")]
) -> None:
    """Write what is to be signed of ROLE, for those who hold the keys."""
    request = signing.request(opened(folder), role)
    drafts.write(to, request.encode())
    said(f"{to}: {role} {request.version} {request.lacks()}. They run: otarepo sign add {to} --key KEY.pem")


@app.command()
def add(
    file: File,
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, metavar="KEY.pem", help="Your private key (PEM).")],
) -> None:
    """Show what FILE changes, and sign it. Needs no workspace."""
    request, signer = Request.read(file), signer_of(key, passphrase)
    said(f"{request.role} {request.version}, SHA-256 {request.fingerprint}:")
    for line in request.changes():
        said(f"  {line}")
    signed = signing.add(request, signer, key.name)
    drafts.write(file, signed.encode())
    said(f"{file} has the signature of {key.name}. It {signed.lacks() or 'has all that it needs'}.")
    said(f"Bring it back: otarepo sign take DIR {file}")


@app.command()
def take(folder: Dir, files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False)]) -> None:
    """Take in signatures. With the last one, what waited is staged: publish it."""
    workspace = opened(folder)
    for file in files:
        request = Request.read(file)
        signing.take(workspace, request)
        said(f"{file}: taken")
    awaited(workspace)
    said("Nothing waits for signatures any more. Publish to make it so.")


@app.command()
def drop(folder: Dir, role: Role) -> None:
    """Give up what waits for signatures of ROLE."""
    signing.drop(opened(folder), role)
    said(f"What waited for signatures of {role} is given up.")
