"""Publishing that is killed before its n-th file operation: `python -m tests.support.interrupted`, one order a line on stdin.

An order is JSON: {"workspace", "out", "now", "before": n}. The answer is "killed", or "done" when there were fewer operations.
What counts is what Python tells its audit hooks (PEP 578) of the two folders: every open that may change something, rename, link,
remove and mkdir. The order is carried out in a fork that ends itself by SIGKILL: nothing is tidied up, and nothing imported anew.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from otad.publisher.publish import publish
from otad.publisher.workspace import Workspace

WATCHED = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.chmod", "os.truncate"}


def carry_out(order: dict[str, Any]) -> None:
    """Publish, and die on the way."""
    folders = (order["workspace"], order["out"])
    left = int(order["before"])

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in WATCHED and str(arguments[0]).startswith(folders) and not (event == "open" and reads(arguments)):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    workspace = Workspace.open(Path(order["workspace"]))
    sys.addaudithook(watch)
    publish(workspace, Path(order["out"]), now=datetime.fromisoformat(order["now"]))


def reads(arguments: tuple[Any, ...]) -> bool:
    """Whether an open changes nothing."""
    return not int(arguments[2]) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)


def main() -> None:
    """Take orders until stdin ends."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            carry_out(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        answer = {0: "done", signal.SIGKILL: "killed"}.get(os.waitstatus_to_exitcode(status) * -1, f"status {status}")
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
