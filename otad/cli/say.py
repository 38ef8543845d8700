"""How a verb ends on the terminal: words, the next step, the exit status; or one JSON document.

Rules:
 1. Causes always come with their next step.
 2. With --json standard output has exactly one JSON document (`events`: one a line), for failures too.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

from otad.cli.paint import labelled, paint, paragraph
from otad.control import Exit, Reply
from otad.control.unreachable import Unreachable
from otad.errors import OtadError

_STYLE = {Exit.DONE: ("green",), Exit.NOTHING: (), Exit.FAILED: ("red",), Exit.USAGE: ("red",), Exit.UNREACHABLE: ("red",)}


def document(value: Any) -> None:
    """Print JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201


def line(text: str = "", to: TextIO | None = None) -> None:
    """Print a line (to standard output), at once: somebody may be watching through a pipe."""
    print(text, file=to, flush=True)


def reply(answer: Reply, *, as_json: bool) -> Exit:
    """Print the daemon's answer."""
    if as_json:
        document({"exit": int(answer.exit), "words": answer.words, "remedy": answer.remedy, "data": answer.data})
    else:
        line(paint(paragraph(sentence(answer.words)), *_STYLE[answer.exit]))
        cause = answer.data.get("cause")
        if cause:
            line(because(cause))
        if answer.remedy and answer.remedy != (cause or {}).get("remedy"):
            line(labelled("Next step", sentence(answer.remedy)))
    return answer.exit


def failed(error: OtadError, *, as_json: bool) -> Exit:
    """Print why it cannot be done."""
    status = Exit.UNREACHABLE if isinstance(error, Unreachable) else Exit.FAILED
    cause = error.cause
    if as_json:
        document({"exit": int(status), "code": cause.code, "what": cause.what, "remedy": cause.remedy, "who": cause.who.value})
    else:
        line(paint(paragraph(sentence(cause.what)), "red"), to=sys.stderr)
        line(labelled("Next step", sentence(cause.remedy or "See `journalctl -u otad -n 50`")), to=sys.stderr)
    return status


def because(cause: dict[str, Any]) -> str:
    """The paragraphs of a cause: why, next step, and who takes it when it is not the reader."""
    told = [labelled("Why", sentence(cause["what"]), "bold"), labelled("Next step", sentence(cause["remedy"]))]
    if cause.get("who") not in (None, "", "field engineer"):
        told.append(labelled("Who", "nobody: it tries again by itself" if cause["who"] == "nobody" else f"the {cause['who']}"))
    return "\n".join(told)


def sentence(text: str) -> str:
    """`text` with a capital, unless it begins with a name or a command; a full stop would be copied with a command at the end."""
    first = text.split(maxsplit=1)[0] if text else ""
    return text[0].upper() + text[1:] if first.isalpha() and first not in ("otad", "otactl") else text
