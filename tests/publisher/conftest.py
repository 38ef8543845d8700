"""A workspace that is cheap to have, alone and published."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otad.publisher.keys import KeyType
from otad.publisher.publish import publish
from otad.publisher.workspace import Ceremony, Workspace
from tests.support.published import NOW, rolled_out


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "ws"
    Workspace.create(folder, "camera", Ceremony(bundle_type=KeyType.EC), now=NOW)
    return folder


@pytest.fixture
def ws(made: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(made, tmp_path / "ws")
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "public"


@pytest.fixture
def published(ws: Workspace, out: Path) -> Path:
    """1.0.0 for everyone in stable."""
    rolled_out(ws, "1.0.0")
    publish(ws, out, now=NOW)
    return out
