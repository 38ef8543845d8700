"""otactl's side of the local API. Standard library only: it must start fast on a slow device.

Rules:
 1. Connecting wakes a sleeping daemon (socket activation); whoever must not wake it asks `lock.held` first.
 2. A daemon that ends while we connect hangs up unread; it is asked once more, which wakes it again. What it may have read is
    never sent twice: it may be an order.
 3. A daemon that cannot be reached is `Unreachable`, with the reason and what to do about it.
 4. An event stream that is cut is taken up again after the last event that was seen: nothing is lost or told twice.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from otad.control import Exit, Reply, Verb, ending, listener
from otad.control.unreachable import Unreachable, forbidden
from otad.errors import OtadError

PATIENCE = 30.0
"""Seconds that a daemon, woken or restarted, gets to answer; and the longest silence of an event stream (it has a comment
every 5 s)."""

ORDER_PATIENCE = 900.0
"""Seconds for an order: `check` answers only when the repository was asked, and that has its own, shorter limits."""

_LOOK = "See what it says: systemctl status otad; journalctl -u otad -n 50"

_UNREAD = (errno.EPIPE, errno.ECONNRESET)
"""What a unix socket says when the other side hung up with our bytes unread; after it read them it is a mere end of file."""


class Refused(OtadError):
    """The daemon answered that it will not."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("otad", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


class Client:
    """Talks to the daemon whose run-time folder is `run`. Every method raises Unreachable or Refused."""

    def __init__(self, run: Path) -> None:
        self._path = run / listener.NAME

    def get(self, what: str) -> Any:
        """The JSON document `/v1/<what>`."""
        return self._ask("GET", what, PATIENCE)

    def order(self, verb: Verb, version: str | None = None) -> Reply:
        """Give an order and wait for the reply."""
        body = json.dumps({} if version is None else {"version": version})
        answer = self._ask("POST", verb.value, ORDER_PATIENCE, body)
        return Reply(Exit(answer["exit"]), answer["words"], answer["remedy"], answer["data"])

    def events(self, after: int) -> Iterator[dict[str, Any]]:
        """One stream: stored events from number `after` on, then live ones with progress in between, until it is cut."""
        with self._answer("GET", f"events?after={after}", PATIENCE) as response:
            if response.status != http.HTTPStatus.OK:
                raise _refused(json.loads(response.read()))
            with suppress(OSError, http.client.HTTPException):  # a reboot, a restart: `follow` goes on
                yield from _frames(response)

    def follow(self, after: int) -> Iterator[dict[str, Any] | None]:
        """As `events`, across restarts of the daemon. None tells of a cut, before the stream is taken up again."""
        while True:
            for event in self.events(after):
                after = event.get("seq", after)
                yield event
            yield None
            self._wait()

    def _wait(self) -> None:
        """Until the daemon can be reached again. Raises Unreachable when that does not come."""
        until, pause = time.monotonic() + PATIENCE, 0.1
        while time.monotonic() < until:
            with suppress(Unreachable):
                self.get("openapi.json")
                return
            time.sleep(pause)
            pause = min(2.0, pause * 2)
        self.get("openapi.json")

    def _ask(self, method: str, what: str, timeout: float, body: str | None = None) -> Any:
        with self._answer(method, what, timeout, body) as response:
            try:
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._unreachable(error) from error
        if response.status >= http.HTTPStatus.BAD_REQUEST and "code" in answer:
            raise _refused(answer)
        return answer

    @contextmanager
    def _answer(self, method: str, what: str, timeout: float, body: str | None = None) -> Iterator[http.client.HTTPResponse]:
        with closing(_Connection(self._path, timeout)) as connection:
            try:
                response = _asked(connection, method, f"/v1/{what}", body)
            except (OSError, http.client.HTTPException) as error:
                raise self._unreachable(error) from error
            with response:
                if response.status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise Refused("internal-error", f"otad stumbled over {what} ({response.status} {response.reason})", _LOOK)
                yield response

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, FileNotFoundError):
            remedy = "otad is not installed or not started: systemctl status otad.socket"
            return Unreachable("no-socket", f"cannot reach otad: there is no {self._path}", remedy)
        if isinstance(error, PermissionError):
            return forbidden(self._path)
        if isinstance(error, ConnectionRefusedError):
            return Unreachable("not-listening", f"cannot reach otad: nobody listens on {self._path}", _LOOK)
        if isinstance(error, TimeoutError):
            return Unreachable("no-answer", "otad took the connection and gives no answer", _LOOK)
        if isinstance(error, OSError) and not isinstance(error, ConnectionError):
            return Unreachable("no-connection", f"cannot reach otad through {self._path}: {error}", _LOOK)
        if why := ending.read(self._path.parent):  # it cannot start, and systemd hung up for it
            return Unreachable(why.code, f"otad does not run: {why.what}", why.remedy)
        return Unreachable("cut-off", f"otad ended in the middle of its answer ({error or type(error).__name__})", _LOOK)


def _asked(connection: _Connection, method: str, path: str, body: str | None) -> http.client.HTTPResponse:
    """The answer, to the second request if the first one was certainly not read."""
    try:
        connection.request(method, path, body)
        return connection.getresponse()
    except ConnectionError as error:
        if error.errno not in _UNREAD:
            raise
    connection.close()  # the request opens it anew
    connection.request(method, path, body)
    return connection.getresponse()


def _refused(cause: dict[str, str]) -> Refused:
    return Refused(cause["code"], cause["what"], cause["remedy"])


def _frames(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The events of a stream (HTML standard, section 9.2). Raises Refused for one of type "error"."""
    kind = ""
    for raw in response:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data" and kind == "error":
            raise _refused(json.loads(value))
        elif name == "data":
            yield json.loads(value)
            kind = ""
