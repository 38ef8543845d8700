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
        ("[window]\nstart = '25:00'\n", 'window.start: must be a time of day from "00:00" to "23:59"'),
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


def test_a_mistake_of_a_whole_table_names_every_file_that_has_a_part_in_it(file):
    for name, text in (("10-soak", "soak = 599"), ("20-other", "interval = 5")):
        (file.parent / "conf.d" / f"{name}.toml").write_text(f"[health]\n{text}\n")
    (file.parent / "conf.d" / "30-check.toml").write_text("[check]\ninterval = 5\n")
    with pytest.raises(ConfigError) as raised:
        load(file)
    what = raised.value.cause.what
    assert ["10-soak" in what, "20-other" in what, "30-check" in what, "otad.toml" in what] == [True, True, False, False]
    (file.parent / "conf.d" / "10-soak.toml").write_text('[report]\nurl = "http://x"\n')
    with pytest.raises(ConfigError, match=r"10-soak.toml.*: report.url must be https"):
        load(file)


@pytest.mark.parametrize("table", ["paths = 3\n", "health = 3\n"])
def test_a_table_that_is_none_is_a_mistake(file, table):
    file.write_text(f"{table}{GOOD}")
    with pytest.raises(ConfigError, match=table.partition(" ")[0]):
        load(file)


@pytest.fixture
def unit(file, tmp_path):
    """What otad-deadline goes by."""
    file.write_text(file.read_text() + f'deadline = "{tmp_path}/deadline"\n')
    return tmp_path / "deadline"


def test_the_deadline_is_the_one_that_otad_deadline_goes_by(file, unit):
    assert load(file).health.deadline == 600
    unit.write_text("# in seconds\nOTAD_DEADLINE='900'\n")
    assert load(file).health.deadline == 900
    drop_in = file.parent / "conf.d" / "soak.toml"
    drop_in.write_text("[health]\nsoak = 841\n")
    with pytest.raises(ConfigError, match=f"{drop_in} and {unit}: health: soak"):
        load(file)
    drop_in.write_text("[health]\ndeadline = 800\n")  # gives up before it would be rebooted
    assert load(file).health.deadline == 800


def test_the_deadline_does_not_hide_a_mistake(file, unit):
    unit.write_text("OTAD_DEADLINE=900\n")
    file.write_text(f"health = 3\n{file.read_text()}")
    with pytest.raises(ConfigError, match="health: Input should be"):
        load(file)


@pytest.mark.parametrize(
    ("said", "toml", "words"),
    [
        ("", "[health]\ndeadline = 900\n", "health.deadline is 900 s, but otad-deadline reboots a trial 600 s after boot"),
        ("OTAD_FW_ENV=/x\n", "", "boot.fw_env is /etc/fw_env.config, but otad-deadline reads /x"),
        ("OTAD_DEADLINE=soon\n", "", "OTAD_DEADLINE is 'soon', not seconds"),
        ("OTAD_DEADLINE=9999999999\n", "", "OTAD_DEADLINE is '9999999999', not seconds"),
        (f"OTAD_DEADLINE={'9' * 5000}\n", "", "not seconds: otad-deadline takes 600"),
    ],
)
def test_what_otad_deadline_goes_by_must_agree(file, unit, said, toml, words):
    unit.write_text(said)
    (file.parent / "conf.d" / "10.toml").write_text(toml)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert words in raised.value.cause.what
    assert str(unit) in raised.value.cause.what


@pytest.mark.parametrize("url", ["http://updates.example.com", "http://127.0.0.1:8000", "ftp://x"])
def test_plain_http_is_refused(file, url):
    file.write_text(GOOD.replace("https://updates.example.com", url))
    with pytest.raises(ConfigError, match="url must be https"):
        load(file)


@pytest.mark.parametrize("end", ["?token=1", "#top"])
def test_a_base_that_nothing_can_be_appended_to_is_refused(file, end):
    file.write_text(GOOD.replace("https://updates.example.com", f"https://updates.example.com/{end}"))
    with pytest.raises(ConfigError, match=r"no \? and no #"):
        load(file)


def test_a_missing_or_broken_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    for text in ("[repository\n", f"[check]\ninterval = {'[' * 5000}\n"):
        broken.write_text(text)
        with pytest.raises(ConfigError, match="not valid TOML"):
            load(broken)
        assert salvage(broken) == Needs()


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
