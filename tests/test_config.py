# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls
"""Settings: what is right, what is merged, and that every mistake names its file and key."""

import pytest

from otad.config import Needs
from otad.config_files import load, salvage
from otad.errors import ConfigError

GOOD = """
[repository]
url = "https://updates.example.com"
[device]
product = "robot"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "etc" / "otad.toml"
    (path.parent / "conf.d").mkdir(parents=True)
    path.write_text(GOOD + f'[paths]\ndata = "{tmp_path}/data"\n')
    return path


def test_two_tables_are_enough(file):
    config = load(file)
    assert config.repository.channel == "stable"
    assert config.health.deadline == 600


def test_later_files_win_key_by_key(file, tmp_path):
    (file.parent / "conf.d" / "10.toml").write_text('[repository]\nchannel = "beta"\n[check]\ninterval = 60\n')
    own = tmp_path / "data" / "conf.d"
    own.mkdir(parents=True)
    (own / "site.toml").write_text('[repository]\nchannel = "site"\n[device.attributes]\nring = "test"\n')
    config = load(file)
    assert (config.repository.channel, config.repository.url) == ("site", "https://updates.example.com")
    assert config.check.interval == 60
    assert config.device.attributes == {"ring": "test"}


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("[download]\nretrys = 3\n", "download.retrys: unknown key"),
        ("[download]\nretries = 'many'\n", "download.retries: Input should be a valid integer"),
        ("[healthy]\n", "healthy: unknown key"),
        ("[health]\nsoak = 599\n", "health: soak (599 s) must end 60 s before the deadline (600 s)"),
        ("[window]\nstart = '25:00'\n", "window.start: String should match pattern"),
    ],
)
def test_a_mistake_names_file_and_key(file, added, words):
    drop_in = file.parent / "conf.d" / "20-mine.toml"
    drop_in.write_text(added)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert str(drop_in) in raised.value.cause.what
    assert words in raised.value.cause.what
    assert raised.value.cause.remedy


@pytest.mark.parametrize("url", ["http://updates.example.com", "http://127.0.0.1:8000", "ftp://x"])
def test_plain_http_is_refused(file, url):
    file.write_text(GOOD.replace("https://updates.example.com", url))
    with pytest.raises(ConfigError, match="url must be https"):
        load(file)


def test_a_missing_or_broken_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[repository\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(broken)


def test_the_boot_environment_is_found_in_a_file_that_is_broken_elsewhere(file, tmp_path):
    file.write_text(file.read_text() + '[boot]\nfw_env = "/x/fw_env.config"\n[nonsense]\nkey = 1\n')
    assert str(salvage(file).boot.fw_env) == "/x/fw_env.config"
    own = tmp_path / "data" / "conf.d"
    own.mkdir(parents=True)
    (own / "board.toml").write_text('[boot]\nfw_env = "/y/fw_env.config"\n')
    assert str(salvage(file).boot.fw_env) == "/y/fw_env.config"
    file.write_text("[boot\n")
    assert salvage(file) == Needs()
    file.write_text("[boot]\nfw_env = 3\n[slots]\na = '/x/a'\n")
    assert str(salvage(file).slots.a) == "/x/a"


def test_the_boot_environment_is_found_in_a_file_that_is_no_toml_elsewhere(file):
    file.write_text('[download\n[boot]\nfw_env = "/x/fw_env.config"\nnonsense\n[slots]\na = "/x/a"\n')
    found = salvage(file)
    assert str(found.slots.a) == "/x/a"
    assert found.boot == Needs().boot  # its own table is broken


def test_the_boot_environment_may_be_set_beside_the_main_file(file):
    (file.parent / "conf.d").mkdir(exist_ok=True)
    (file.parent / "conf.d" / "10-board.toml").write_text('[slots]\nb = "/x/b"\n')
    file.write_text('[slots]\na = "/x/a"\n')
    assert (str(salvage(file).slots.a), str(salvage(file).slots.b)) == ("/x/a", "/x/b")
