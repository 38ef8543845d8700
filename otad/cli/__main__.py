"""`python -m otad.cli` is `otactl`."""

from __future__ import annotations

from otad.cli import main

main()
