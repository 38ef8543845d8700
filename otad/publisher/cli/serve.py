"""otarepo serve: the published folder over HTTPS, for trying things."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from otad.errors import OtadError, Who
from otad.publisher import serve as serving
from otad.publisher import tls
from otad.publisher.cli.terminal import Out, now, said


def serve(
    out: Out,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8443,
    bind: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    cert: Annotated[Path | None, typer.Option(exists=True, help="Your own certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(exists=True, help="Its key (PEM).")] = None,
    tls_dir: Annotated[Path | None, typer.Option("--tls", help="Where a made certificate is kept and used again.")] = None,
) -> None:
    """Serve OUT until interrupted. Without --cert and --key a certificate is made, and its authority's file printed."""
    if (cert is None) != (key is None):
        raise typer.BadParameter("--cert and --key go together")
    with tempfile.TemporaryDirectory(prefix="otarepo-serve-") as scratch:
        made = cert is None or key is None
        names = tuple(dict.fromkeys((bind, *tls.LOCAL)))
        own = tls.made(tls_dir or Path(scratch), names, now=now()) if cert is None or key is None else tls.Certificate(cert, key)
        if made:
            said(f"Authority for [repository] ca: {own.ca}")
        try:
            asyncio.run(_serve(out, own, serving.Bind(bind, port)))
        except OSError as error:
            what = f"cannot listen on {bind} port {port}: {error.strerror}"
            raise OtadError("serve-listen", what, "Choose another --port or --bind", who=Who.INTEGRATOR) from error


async def _serve(out: Path, certificate: tls.Certificate, bind: serving.Bind) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with serving.running(out, certificate, bind) as url:
        said(f"Serving {out} at {url}")
        await over.wait()
