"""Who may do what, asked by processes of other users: the kernel tells the server who they are."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import sys
from pathlib import Path

import pytest

from otad import config
from otad.control.listener import NAME
from otad.control.server import Server
from tests.control.fake_desk import FakeDesk

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")
# Groups and a user that every Debian has, in place of otad's own.
READ, ADMIN, OTHER = "adm", "staff", "games"
NOBODY = 65534

CLIENT = """
import json, os, socket, sys
uid, gid, groups, method, path = json.loads(sys.argv[2])
os.chdir(sys.argv[1]); os.setgroups(groups); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
with socket.socket(socket.AF_UNIX) as s:
    s.connect("otad.sock")
    head = "Host: otad", "Content-Length: 0", "Connection: close", "X-User: root"
    s.sendall("\\r\\n".join((f"{method} {path} HTTP/1.1", *head, "", "")).encode())
    with s.makefile("rb") as answer:
        print(answer.read().decode())
"""


async def asked(at: Path, uid: int, group: str, method: str, path: str) -> tuple[int, str]:
    """Status and body of an answer to a process of that user and group."""
    who = json.dumps([uid, grp.getgrnam(group).gr_gid, [], method, path])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, at.parent, who, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    head, _, body = out.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("uid", "group", "read", "change"),
    [(0, "root", 200, 200), (NOBODY, ADMIN, 200, 200), (NOBODY, READ, 200, 403), (NOBODY, OTHER, 403, 403)],
    ids=["root", "admin group", "read group", "nobody"],
)
async def test_peer_credentials_decide(tmp_path: Path, uid: int, group: str, read: int, change: int) -> None:
    desk = FakeDesk()
    at = tmp_path / "run" / NAME
    server = Server(desk, config.Daemon(read_group=READ, admin_group=ADMIN), at)
    await server.start()
    at.chmod(0o666)  # whoever comes as far as the server
    try:
        for path in ("status", "slots", "health", "config", "history", "openapi.json"):
            assert (await asked(at, uid, group, "GET", f"/v1/{path}"))[0] == read
        status, body = await asked(at, uid, group, "POST", "/v1/pause")
        assert status == change
        assert len(desk.orders) == (change == 200)
        assert ("not-permitted" in body) is (change == 403)
    finally:
        await server.stop()


async def test_the_socket_itself_is_closed_to_others(tmp_path: Path) -> None:
    server = Server(FakeDesk(), config.Daemon(read_group=READ), tmp_path / "run" / NAME)
    await server.start()
    try:
        made = (tmp_path / "run" / NAME).stat()
        assert made.st_mode & 0o777 == 0o660
        assert grp.getgrgid(made.st_gid).gr_name == READ
    finally:
        await server.stop()
