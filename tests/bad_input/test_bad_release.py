# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""A release that is signed as it should be, and must not run here all the same."""

import hashlib
from io import BytesIO

import pytest

from otad.formats import swu
from otad.publisher import bundle
from simulator.settings import HARDWARE
from simulator.system import System
from tests.support.board import REAL_PARTS, A, B, chain, check_again, goes_on, journal, refused, stays
from tests.support.bundles import Signer, same, with_section
from tests.support.failures import Place, fault

pytestmark = [*REAL_PARTS, pytest.mark.slow]  # a whole update each; with one Python

ARMS = with_section('bootenv = ( { name = "upgrade_available"; value = "1"; }, { name = "boot_partition"; value = "B"; } );')


@pytest.fixture(scope="session")
def bad(depot, tmp_path_factory):
    """The depot with one bad release more in each of these channels."""
    image = depot.image(System("1.1.0", noise=4 << 20))
    stranger = Signer.make(tmp_path_factory.mktemp("stranger"))

    def pack(version, signer, change=same):
        data = image.read_bytes()
        text = change(swu.describe(version, [HARDWARE], bundle.IMAGE, hashlib.sha256(data).hexdigest()))
        to = depot.folder / f"{version}.swu"
        with to.open("wb") as out:
            swu.pack(text, signer.sign(text), [(bundle.IMAGE, BytesIO(data), len(data))], out)
        return to

    ours = depot.workspace.signer
    bundles = {
        "stranger": ("2.0.1", pack("2.0.1", stranger)),
        "foreign": ("2.0.2", pack("2.0.2", ours, lambda text: text.replace('"target"', '"/dev/sda1"'))),
        "arms": ("2.0.3", pack("2.0.3", ours, ARMS)),
        "scripts": ("2.0.4", pack("2.0.4", ours, with_section('scripts = ( { filename = "rootfs.img"; type = "lua"; } );'))),
        "hash": (
            "2.0.5",
            pack("2.0.5", ours, lambda text: text.replace(hashlib.sha256(image.read_bytes()).hexdigest(), "1" * 64)),
        ),
        "older": ("0.9.0", pack("0.9.0", ours)),
    }
    for channel, (version, packed) in bundles.items():
        depot.add(version, packed)
        depot.roll_out(version, channel)
    depot.add("2.0.6", depot.pack("2.0.6", image, "other-board 1.0"), hardware="other-board 1.0")
    depot.roll_out("2.0.6", "hardware")
    return depot


async def followed(board):
    """The device is put into the channel of a good release."""
    (board.folder / "conf.d" / "channel.toml").unlink()
    await goes_on(board)


@pytest.mark.parametrize(
    ("channel", "code", "words"),
    [
        pytest.param(
            "hardware",
            "incompatible",
            ("other-board 1.0", HARDWARE),
            marks=fault(Place.RELEASE, "For other hardware", "Does not take it, and fetches nothing"),
        ),
        pytest.param(
            "older",
            "older",
            ("0.9.0", "1.0.0"),
            marks=fault(Place.RELEASE, "Older than what runs", "Does not take it, and fetches nothing"),
        ),
    ],
)
async def test_a_release_that_is_not_for_this_device(bad, bench, channel, code, words):
    async with bad.served() as repository, bench.board(repository, channel) as board:
        await refused(board, code, *words)
        assert chain(board) == [("idle", "due"), ("check", "nothing")]
        assert not list((board.folder / "data" / "updates").iterdir())
        await followed(board)


@pytest.mark.parametrize(
    ("channel", "code", "words"),
    [
        pytest.param(
            "stranger",
            "bundle-signature",
            "signer",
            marks=fault(
                Place.RELEASE, "Bundle: signed by another key", "Refuses it for this campaign, before the slot is touched"
            ),
        ),
        pytest.param(
            "foreign",
            "bundle-foreign-device",
            "/dev/sda1",
            marks=fault(
                Place.RELEASE, "Bundle: writes another device", "Refuses it for this campaign, before the slot is touched"
            ),
        ),
        pytest.param(
            "scripts",
            "bundle-section",
            "scripts",
            marks=fault(Place.RELEASE, "Bundle: brings scripts", "Refuses it for this campaign, before the slot is touched"),
        ),
    ],
)
async def test_a_bundle_that_is_refused_before_anything_is_written(bad, bench, channel, code, words):
    async with bad.served() as repository, bench.board(repository, channel) as board:
        event = await refused(board, code, words)
        assert (event["state"], event["outcome"]) == ("verify", "rejected")
        assert not any(board.slots[B].read_bytes())
        assert board.env.load().otad_fallback == "B"  # the slot was not given up either
        await stays(board)
        await followed(board)


@fault(
    Place.RELEASE,
    "Bundle: the image is not the one that sw-description promises",
    "Leaves the slot unarmed; tries again, later each time, 3 times in a campaign",
)
async def test_an_image_that_is_not_the_one_promised(bad, bench):
    async with bad.served() as repository, bench.board(repository, "hash") as board:
        event = await refused(board, "bundle-hash", "sw-description")
        assert (event["state"], event["outcome"]) == ("install", "failed")
        await followed(board)


@fault(
    Place.RELEASE,
    "Bundle: changes the boot environment",
    "Undoes the change before anything boots it, and refuses the release for this campaign",
)
async def test_a_bundle_that_arms_itself(bad, bench):
    """SWUpdate selects the new slot by the bundle's own will: undone before anything boots it, and never tried again."""
    async with bad.served() as repository, bench.board(repository, "arms") as board:
        await refused(board, "bundle-arms", "boot environment")
        assert chain(board)[-2:] == [("install", "tampered"), ("rollback", "done")]
        assert board.boots == [A]
        await check_again(board)
        assert journal(board)[1][-1]["cause"]["code"] == "refused"
        await stays(board)
        await followed(board)
