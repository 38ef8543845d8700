"""otarepo init: a new workspace."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from otad.errors import Rejected, Who
from otad.publisher import notation
from otad.publisher.cli.terminal import Dir, new_passphrase, now, said
from otad.publisher.keys import KeyType
from otad.publisher.workspace import Ceremony, Workspace


def init(
    folder: Dir,
    product: Annotated[str, typer.Option(help="Name of the product whose devices these releases are for.")],
    threshold: Annotated[int, typer.Option(help="Signatures that root and targets need.")] = 2,
    root_keys: Annotated[int, typer.Option(help="Keys of root.")] = 3,
    targets_keys: Annotated[int, typer.Option(help="Keys of targets.")] = 3,
    key_type: Annotated[KeyType, typer.Option("--type", help="ed25519, or rsa (4096 bits, PSS).")] = KeyType.ED25519,
    expiry: Annotated[list[str], typer.Option(help="How long a role's signature is good for: timestamp=2d. Repeatable.")] = [],  # noqa: B006
    ask: Annotated[bool, typer.Option("--passphrase", help="Ask for a passphrase; else OTAREPO_PASSPHRASE, or none.")] = False,
) -> None:
    """Make keys, SWUpdate's certificates and the first signed metadata."""
    if key_type is KeyType.EC:
        raise Rejected("key-type", "ec keys are for SWUpdate's certificate only", "Use ed25519 or rsa", who=Who.INTEGRATOR)
    ceremony = Ceremony(
        type=key_type,
        threshold=threshold,
        root_keys=root_keys,
        targets_keys=targets_keys,
        passphrase=new_passphrase(ask),
        lifetimes=dict(_lifetime(text) for text in expiry),
    )
    workspace = Workspace.create(folder, product, ceremony, now=now())
    said(f"Workspace  {workspace.path}")
    said(f"For images /etc/otad/root.json          {workspace.anchor}")
    said(f"           /etc/otad/swupdate-ca.pem    {workspace.signer.authority}")
    said(f"Keys       {workspace.keys.path}: keep root and targets keys offline and apart; back them up")


def _lifetime(text: str) -> tuple[str, timedelta]:
    role, _, life = text.partition("=")
    return role, notation.duration(life)
