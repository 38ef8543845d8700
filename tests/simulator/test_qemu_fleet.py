"""The repository of the board in QEMU, before any board asks."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from simulator.depot import Depot, now
from simulator.qemu.fleet import Fleet
from simulator.qemu.tools import NotReady


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet.create(tmp_path / "fleet", tmp_path / "no-root.img")


def test_a_port_that_somebody_has_is_told(fleet: Fleet) -> None:
    with (
        socket.create_server(("127.0.0.1", fleet.port)),
        pytest.raises(NotReady, match=r"repository cannot be served .* end the other board first"),
        fleet.serving(),
    ):
        pytest.fail("it serves all the same")


def test_what_fails_before_it_serves_is_told_and_nobody_waits(fleet: Fleet) -> None:
    (fleet.folder / "tls").write_text("no folder")
    with pytest.raises(NotReady, match="tls"), fleet.serving():
        pytest.fail("it serves all the same")


def test_a_card_of_years_ago_trusts_it_still(fleet: Fleet) -> None:
    with fleet.serving():
        pass
    made = x509.load_pem_x509_certificate((fleet.folder / "tls" / "ca.pem").read_bytes())
    assert made.not_valid_after_utc - now() > timedelta(days=9 * 365)
    assert Depot.open(fleet.folder / "depot").out.is_dir()
