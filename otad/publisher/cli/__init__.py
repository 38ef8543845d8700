"""otarepo on the command line, one file a noun.

Rules:
 1. DIR, the workspace, is the first argument of every command that needs one.
 2. Exit statuses: 0 done (also when there was nothing to do), 1 failed, 2 wrong usage, 3 waits for signatures of others. Results
    go to standard output, progress, warnings and failures to standard error.
 3. Commands read options, call the library below `otad.publisher`, and say what came of it; they decide nothing.
"""

from __future__ import annotations

import sys

from otad.errors import OtadError, Who
from otad.publisher.cli.app import app
from otad.publisher.cli.terminal import failed


def main() -> None:
    """The command `otarepo`."""
    try:
        app(prog_name="otarepo")
    except OtadError as error:
        failed(error)
        sys.exit(1)
    except OSError as error:  # a folder that cannot be written, a full disk: the machine's, and not ours to foresee one by one
        name = f"{error.filename}: " if error.filename else ""
        failed(OtadError("os-error", f"{name}{error.strerror}", who=Who.INTEGRATOR))
        sys.exit(1)
