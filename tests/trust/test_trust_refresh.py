"""A good repository, from the first contact on, and what happens to what the device keeps."""

from __future__ import annotations

import hashlib
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from otad.errors import Rejected, RetryLater
from otad.formats.encodings import Encodings
from otad.trust.store import DOCUMENTS, Store
from tests.support.trust_device import Device
from tests.support.tuf_repository import DAY, NOW, TufRepository, TufServer, grant, release

KEPT = {"timestamp.json", "snapshot.json", "targets.json", "releases.json", "rollouts.json", "floor"}


async def test_first_refresh_from_the_anchor(device: Device, repo: TufRepository) -> None:
    found = await device.repository().refresh()

    assert found.as_of == NOW
    assert found.age == timedelta(0)
    assert found.rollouts.channel == "stable"
    document = release("1.0.0").encode()
    listed = found.releases["1.0.0"]
    assert (listed.path, listed.grant) == ("releases/cam/1.0.0.json", grant())
    assert (listed.sha256, listed.length) == (hashlib.sha256(document).hexdigest(), len(document))
    assert set(found.encodings) == {"1.0.0"}
    assert KEPT | {"roots/1.root.json"} <= device.names()
    assert {repo.files[f"metadata/{n}"] for n in ("timestamp.json", "1.snapshot.json")} == {
        (device.data / f"{n}.json").read_bytes() for n in ("timestamp", "snapshot")
    }


async def test_a_quiet_repository_costs_two_requests(device: Device, server: TufServer) -> None:
    await device.repository().refresh()
    server.paths()
    await device.repository().refresh()
    assert server.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]


async def test_only_what_changed_is_fetched(device: Device, repo: TufRepository, server: TufServer) -> None:
    await device.repository().refresh()
    repo.add_release("1.1.0")
    repo.publish("releases")
    server.paths()
    found = await device.repository().refresh()
    assert set(found.releases) == {"1.0.0", "1.1.0"}
    assert server.paths() == [
        "metadata/2.root.json",
        "metadata/timestamp.json",
        "metadata/2.snapshot.json",
        "metadata/2.releases.json",
    ]


async def test_documents_come_once(device: Device, server: TufServer) -> None:
    repository = device.repository()
    found = await repository.refresh()
    sha256 = found.releases["1.0.0"].sha256
    assert await repository.release("1.0.0", sha256) == release("1.0.0")
    assert (await repository.encodings("1.0.0", sha256)).release == sha256
    server.paths()
    again = device.repository()  # after a restart, without asking anything
    assert await again.release("1.0.0", sha256) == release("1.0.0")
    assert (await again.encodings("1.0.0", sha256)).release == sha256
    assert server.paths() == []


async def test_documents_that_are_not_listed(device: Device) -> None:
    repository = device.repository()
    found = await repository.refresh()
    for version, sha256 in (("1.0.0", "0" * 64), ("9.0.0", found.releases["1.0.0"].sha256)):
        with pytest.raises(Rejected) as caught:
            await repository.release(version, sha256)
        assert caught.value.cause.code == "not-listed"
    with pytest.raises(Rejected) as caught:
        await repository.encodings("9.0.0", "0" * 64)
    assert caught.value.cause.code == "not-listed"


async def test_encodings_of_another_release(device: Device, repo: TufRepository) -> None:
    other = Encodings(release="0" * 64, of={})
    repo.add("releases", "encodings/cam/1.0.0.json", other.encode())
    repo.publish("releases")
    repository = device.repository()
    found = await repository.refresh()
    with pytest.raises(Rejected) as caught:
        await repository.encodings("1.0.0", found.releases["1.0.0"].sha256)
    assert caught.value.cause.code == "arbitrary-target"


async def test_a_release_document_of_another_version(device: Device, repo: TufRepository) -> None:
    sha256 = repo.add("releases", "releases/cam/2.0.0.json", release("1.0.0").encode(), grant().model_dump(mode="json"))
    repo.publish("releases")
    repository = device.repository()
    await repository.refresh()
    with pytest.raises(Rejected) as caught:
        await repository.release("2.0.0", sha256)
    assert caught.value.cause.code == "arbitrary-target"


async def test_what_this_otad_cannot_read_stands_in_nobodys_way(device: Device, repo: TufRepository) -> None:
    repo.add("releases", "releases/cam/2.0.0.json", b"{}", {"a word of tomorrow": 1})
    repo.add("releases", "releases/cam/newest.json", b"{}", {})
    repo.add("releases", "releases/other/1.0.0.json", b"{}", {})
    repo.publish("releases")
    assert set((await device.repository().refresh()).releases) == {"1.0.0"}


async def test_unknown_channel_names_the_known_ones(device: Device) -> None:
    with pytest.raises(RetryLater, match=r"'stabel'.*it has: stable") as caught:
        await device.repository("stabel").refresh()
    assert caught.value.cause.code == "channel-unknown"


async def test_cached_needs_no_network_and_does_not_look_at_expiry(device: Device, server: TufServer) -> None:
    assert device.repository().cached() is None
    fresh = await device.repository().refresh()
    server.paths()
    device.time = NOW + 300 * DAY
    found = device.repository().cached()
    assert found is not None
    assert found.age == 300 * DAY
    assert (found.rollouts, found.releases, found.encodings) == (fresh.rollouts, fresh.releases, fresh.encodings)
    assert server.paths() == []


async def test_nothing_trusted_yet(device: Device) -> None:
    with pytest.raises(RetryLater) as caught:
        await device.repository().release("1.0.0", "0" * 64)
    assert caught.value.cause.code == "no-metadata"


class TestDamage:
    """Whatever is found on the data partition, a refresh makes it good, and `cached` is whole or None."""

    @pytest.mark.parametrize("rot", [b"", b"\x00" * 400, b'{"signed": {', None], ids=["empty", "zeros", "torn", "huge"])
    async def test_any_file(self, device: Device, rot: bytes | None) -> None:
        good = await device.repository().refresh()
        for name in sorted(device.names()):
            before = (device.data / name).read_bytes()
            (device.data / name).write_bytes(b"x" * (3 * 2**20) if rot is None else rot)
            cached = device.repository().cached()
            assert cached is None or cached.releases == good.releases, name
            assert (await device.repository().refresh()).releases == good.releases, name
            assert (device.data / name).read_bytes() == before, name
            assert device.repository().cached() is not None, name

    async def test_a_flipped_bit_in_a_signed_file(self, device: Device) -> None:
        await device.repository().refresh()
        for name in sorted(KEPT - {"floor"}):
            before = (device.data / name).read_bytes()
            rotten = (
                before.replace(b'"version"', b'"versioN"', 1) if name != "timestamp.json" else before.replace(b"2026", b"2027")
            )
            assert rotten != before
            (device.data / name).write_bytes(rotten)
            assert device.repository().cached() is None
            await device.repository().refresh()
            assert (device.data / name).read_bytes() == before

    async def test_a_damaged_floor_keeps_the_rollback_protection(self, device: Device, repo: TufRepository) -> None:
        old = repo.files["metadata/timestamp.json"]
        repo.publish_timestamp()
        await device.repository().refresh()
        (device.data / "floor").write_bytes(b"?")
        repo.files["metadata/timestamp.json"] = old
        with pytest.raises(RetryLater) as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "stale-mirror"

    async def test_cut_between_any_two_writes(
        self, device: Device, repo: TufRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = await device.repository().refresh()
        shutil.copytree(device.data, tmp_path / "before")
        repo.rotate_root()
        repo.add_release("1.1.0")
        repo.publish("targets", "releases", "rollouts")
        write = Store._write
        for allowed in range(100):
            shutil.rmtree(device.data)
            shutil.copytree(tmp_path / "before", device.data)
            left = [allowed]

            def cut(store: Store, name: str, data: bytes, left: list[int] = left) -> None:
                if not left[0]:
                    raise ConnectionAbortedError(name)
                left[0] -= 1
                write(store, name, data)

            monkeypatch.setattr(Store, "_write", cut)
            try:
                await device.repository().refresh()
            except ConnectionAbortedError:
                finished = False
            else:
                finished = True
            monkeypatch.setattr(Store, "_write", write)
            cached = device.repository().cached()
            assert cached is None or cached.releases == old.releases or finished
            new = await device.repository().refresh()
            assert set(new.releases) == {"1.0.0", "1.1.0"}
            if finished:
                break
        assert allowed == 6  # 2.root, rollouts, releases, targets, snapshot, timestamp; the floor stays (same x-issued)

    async def test_leftovers_of_a_cut_write_are_ignored(self, device: Device) -> None:
        await device.repository().refresh()
        (device.data / ".timestamp.json.new").write_bytes(b"{half")
        (device.data / "roots" / ".2.root.json.new").write_bytes(b"{half")
        assert device.repository().cached() is not None
        await device.repository().refresh()

    async def test_full_or_read_only(self, device: Device, tmp_path: Path) -> None:
        device.data = tmp_path / "not mounted" / "trust"
        with pytest.raises(RetryLater) as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "data-unwritable"
        assert str(device.data) in caught.value.cause.what
        assert not (tmp_path / "not mounted").exists()


class TestRoots:
    async def test_several_rotations_at_once_and_one_by_one(self, device: Device, repo: TufRepository, server: TufServer) -> None:
        for _ in range(4):  # the anchor's keys are all gone after three
            repo.rotate_root()
        await device.repository().refresh()
        assert {f"roots/{n}.root.json" for n in range(1, 6)} <= device.names()
        repo.rotate_root()
        await device.repository().refresh()
        server.paths()
        await device.repository().refresh()
        assert server.paths()[0] == "metadata/7.root.json"

    async def test_newer_anchor_in_the_image(self, device: Device, repo: TufRepository, server: TufServer) -> None:
        await device.repository().refresh()
        for _ in range(4):
            repo.rotate_root()
        device.anchor.write_bytes(repo.files["metadata/5.root.json"])
        server.paths()
        await device.repository().refresh()
        assert server.paths()[0] == "metadata/6.root.json"

    async def test_newer_chain_on_the_data_partition(self, device: Device, repo: TufRepository, server: TufServer) -> None:
        repo.rotate_root()
        repo.rotate_root()
        await device.repository().refresh()
        assert device.anchor.read_bytes() == repo.anchor  # an older image is back
        server.paths()
        await device.repository().refresh()
        assert server.paths()[0] == "metadata/4.root.json"

    async def test_a_gap_is_fetched(self, device: Device, repo: TufRepository, server: TufServer) -> None:
        for _ in range(3):
            repo.rotate_root()
        await device.repository().refresh()
        (device.data / "roots/3.root.json").unlink()
        server.paths()
        await device.repository().refresh()
        assert server.paths()[:3] == [f"metadata/{n}.root.json" for n in (3, 4, 5)]

    async def test_a_stored_root_that_does_not_follow_is_set_aside(self, device: Device, repo: TufRepository) -> None:
        await device.repository().refresh()
        (device.data / "roots/2.root.json").write_bytes(TufRepository().anchor)
        await device.repository().refresh()
        assert "roots/2.root.json.aside" in device.names()
        repo.rotate_root()
        await device.repository().refresh()
        assert (device.data / "roots/2.root.json").read_bytes() == repo.files["metadata/2.root.json"]

    @pytest.mark.parametrize("anchor", [b"", b"rot", None])
    async def test_a_damaged_anchor_does_not_end_the_device(
        self, device: Device, repo: TufRepository, anchor: bytes | None
    ) -> None:
        repo.rotate_root()
        await device.repository().refresh()
        device.anchor.unlink()
        if anchor is not None:
            device.anchor.write_bytes(anchor)
        (device.data / "roots/2.root.json").write_bytes(b"rot")
        await device.repository().refresh()
        assert device.repository().cached() is not None

    async def test_no_anchor_anywhere(self, device: Device) -> None:
        device.anchor.unlink()
        with pytest.raises(Rejected) as caught:
            await device.repository().refresh()
        assert caught.value.cause.code == "no-anchor"


def test_documents_are_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path / "root.json")
    for number in range(DOCUMENTS + 10):
        store.keep_document(f"{number:064x}", b"")
    assert len(list((tmp_path / "documents").iterdir())) == DOCUMENTS


async def test_a_rotation_that_a_mirror_shows_half_of_leaves_what_was_trusted(device: Device, repo: TufRepository) -> None:
    """The stored releases are not signed by the new key, and the new ones are not there yet."""
    before = await device.repository().refresh()
    repo.signers["releases"] = [CryptoSigner.generate_ed25519()]
    repo.delegate(releases=["releases/*/*", "encodings/*/*"], rollouts=["rollouts/*"])
    repo.publish("targets", "releases")
    new = repo.files.pop("metadata/2.releases.json")
    with pytest.raises(RetryLater) as caught:
        await device.repository().refresh()
    assert caught.value.cause.code == "incomplete-mirror"
    cached = device.repository().cached()
    assert cached is not None
    assert cached.releases == before.releases
    repo.files["metadata/2.releases.json"] = new
    await device.repository().refresh()
