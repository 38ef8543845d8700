"""otarepo image: a signed bundle for both slots."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from otad.bootenv import Slot
from otad.errors import Rejected, Who
from otad.publisher import bundle, notation
from otad.publisher import image as images
from otad.publisher.cli.terminal import Dir, Version, bars, opened, said, warned
from otad.publisher.image import Identity
from otad.publisher.workspace import Workspace

Devices = Annotated[list[str], typer.Option(metavar="SLOT=PATH", help="Absolute device of a slot, twice: A=/dev/mmcblk0p2.")]


def image(
    folder: Dir,
    to: Annotated[Path, typer.Argument(metavar="OUT.swu", help="The bundle to write.")],
    *,
    version: Version,
    hardware: Annotated[list[str], typer.Option(help='Board and revision as in /etc/hwrevision: "jetson-nano 1.0". Repeatable.')],
    file: Annotated[
        Path | None, typer.Option("--image", exists=True, dir_okay=False, help="A finished file system image.")
    ] = None,
    root: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="A directory to make an ext4 image of.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the image made of --root: 64M, 2G.")] = None,
    device: Devices = [],  # noqa: B006
) -> None:
    """Pack and sign a bundle (.swu) from an image or a directory."""
    workspace = opened(folder)
    if (file is None) == (root is None) or (root is not None) != (size is not None):
        raise typer.BadParameter("give either --image FILE, or --root TREE with --size")
    system = bundle.System(version, hardware, _devices(device)) if device else bundle.System(version, hardware)
    wanted = notation.checked(Identity, "version", product=workspace.product, version=version)
    if file:
        _same(file, wanted)
        _pack(workspace, file, to, system)
    elif root and size:
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".image-") as scratch:
            made = Path(scratch) / bundle.IMAGE
            images.from_directory(root, made, wanted, images.Make(notation.size(size), images.source_date_epoch()))
            _pack(workspace, made, to, system)


def _pack(workspace: Workspace, file: Path, to: Path, system: bundle.System) -> None:
    with bars() as progress:
        bundle.pack(file, to, system, workspace.signer, progress)
    said(f"{to}: {system.version} for {', '.join(system.hardware)}, {to.stat().st_size} bytes")


def _same(file: Path, wanted: Identity) -> None:
    """An image that says it is another release would be installed again and again."""
    found = images.identity(file)
    if found is None:
        warned(f"{file} does not say what it is: put {wanted.model_dump_json()} into its {images.IDENTITY}")
    elif found != wanted:
        what = f"{file} says that it is {found.product} {found.version}, not {wanted.product} {wanted.version}"
        raise Rejected("image-identity", what, f"Correct its {images.IDENTITY}, or --version", who=Who.INTEGRATOR)


def _devices(given: list[str]) -> dict[Slot, str]:
    pairs = dict(text.split("=", 1) for text in given if "=" in text)
    if set(pairs) != {slot.value for slot in Slot} or not all(path.startswith("/") for path in pairs.values()):
        raise typer.BadParameter("--device takes A=/dev/... and B=/dev/..., both")
    return {Slot(name): path for name, path in pairs.items()}
