"""Commands of ours on a real terminal, answered as a person would."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import suppress

from otad.publisher.cli import terminal

QUIET = 0.5  # s: a bar is painted ten times in a second


def answered(words: list[str], question: bytes, answer: bytes) -> tuple[bytes, bytes]:
    """Run `otarepo`; what stood there when it had asked `question` and half a second had passed, and what came after `answer`."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "otad.publisher", *words]
    environment = {name: text for name, text in os.environ.items() if name != terminal.PASSPHRASE} | {"TERM": "xterm"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as running:
        os.close(theirs)
        try:
            asked = b""
            while question not in asked:
                asked += os.read(ours, 4096)
            while select.select([ours], [], [], QUIET)[0]:
                asked += os.read(ours, 4096)
            os.write(ours, answer + b"\n")
            said = b""
            with suppress(OSError):  # EIO: it has ended
                while piece := os.read(ours, 4096):
                    said += piece
        finally:
            running.kill()
            os.close(ours)
    return asked, said
