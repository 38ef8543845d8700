"""All commands."""

from __future__ import annotations

import typer

from otad.publisher.cli import delta, export, gc, image, init, key, publish, release, rollout, serve, sign, verify

app = typer.Typer(
    help="Build, sign, publish and roll out releases as static files.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.command("init")(init.init)
app.add_typer(key.app, name="key")
app.command("image")(image.image)
app.command("release")(release.release)
app.command("delta")(delta.delta)
app.command("open")(release.open_)
app.command("allow")(release.allow)
app.command("withdraw")(release.withdraw)
app.add_typer(rollout.app, name="rollout")
app.add_typer(sign.app, name="sign")
app.command("publish")(publish.publish)
app.command("refresh")(publish.refresh)
app.command("export")(export.export)
app.command("gc")(gc.gc)
app.command("verify")(verify.verify)
app.command("serve")(serve.serve)
