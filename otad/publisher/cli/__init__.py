"""otarepo on the command line, one file a noun.

Rules:
 1. DIR, the workspace, is the first argument of every command that needs one.
 2. Exit statuses: 0 done (also when there was nothing to do), 1 failed, 2 wrong usage, 3 waits for signatures of others. Results
    go to standard output, progress, warnings and failures to standard error.
 3. Commands read options, call the library below `otad.publisher`, and say what came of it; they decide nothing.
"""

from __future__ import annotations

import errno
import sys

from otad.errors import OtadError, Who
from otad.publisher.cli.app import app
from otad.publisher.cli.terminal import failed

REMEDIES = {
    errno.ENOSPC: "Free space there, then do this again",
    errno.EDQUOT: "Free space there, or have your quota raised, then do this again",
    errno.EACCES: "Do this as a user who may, or change whose it is",
    errno.EPERM: "Do this as a user who may, or change whose it is",
    errno.EROFS: "Mount it so that it can be written, or name another place",
    errno.ENOENT: "Check the name",
    errno.ENOTDIR: "A part of that path is a file: name a folder",
    errno.EISDIR: "That is a folder: name a file",
}
"""errno -> the next step, where it is plain."""


def main() -> None:
    """The command `otarepo`."""
    try:
        app(prog_name="otarepo")
    except OtadError as error:
        failed(error)
        sys.exit(1)
    except OSError as error:  # a folder that cannot be written, a full disk: the machine's, and not ours to foresee one by one
        name = f"{error.filename}: " if error.filename else ""
        remedy = REMEDIES.get(error.errno or 0, "")
        failed(OtadError("os-error", f"{name}{error.strerror or error}", remedy, who=Who.INTEGRATOR))
        sys.exit(1)
