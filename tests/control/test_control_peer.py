from __future__ import annotations

import os
import pwd
import socket

import pytest

from otad import config
from otad.control import peer
from otad.control.peer import Peer

SETTINGS = config.Daemon()
OWN = 990


@pytest.mark.parametrize(
    ("who", "read", "change"),
    [
        (Peer(0, "root", frozenset()), True, True),
        (Peer(OWN, "otad", frozenset()), True, True),
        (Peer(1000, "ada", frozenset({"otad-admin"})), True, True),
        (Peer(1000, "ada", frozenset({"otad", "users"})), True, False),
        (Peer(1000, "ada", frozenset({"users"})), False, False),
    ],
)
def test_who_may_what(who: Peer, read: bool, change: bool) -> None:
    assert (peer.refusal(who, SETTINGS, OWN, change=False) is None) is read
    assert (peer.refusal(who, SETTINGS, OWN, change=True) is None) is change


def test_a_refusal_names_the_group_and_the_way_into_it() -> None:
    refused = peer.refusal(Peer(1000, "ada", frozenset({"otad"})), SETTINGS, OWN, change=True)
    assert refused
    assert "otad-admin" in refused.what
    assert "usermod -aG otad-admin ada" in refused.remedy


def test_the_groups_are_those_of_the_settings() -> None:
    settings = config.Daemon(read_group="staff", admin_group="wheel")
    assert peer.refusal(Peer(1000, "ada", frozenset({"wheel"})), settings, OWN, change=True) is None
    assert peer.refusal(Peer(1000, "ada", frozenset({"otad-admin"})), settings, OWN, change=True) is not None


def test_the_kernel_tells_who_is_there() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        who = peer.of(ours)
    assert who.uid == os.getuid()
    assert who.user == pwd.getpwuid(os.getuid()).pw_name
