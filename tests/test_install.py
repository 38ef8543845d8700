"""What `make install` puts where, and whether systemd accepts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otad import __version__
from otad.config import Config, Section
from otad.config_files import load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("install")]  # the same with every Python; installed once
TREE = Path(__file__).parents[1]
UNITS = sorted(path.name for path in (TREE / "systemd").iterdir() if path.suffix in {".service", ".socket", ".timer", ".mount"})


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


def need(tool: str) -> str:
    found = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with only otad in it."""
    root = tmp_path_factory.mktemp("root")
    done = run(
        "make", "install", f"DESTDIR={root}", "PYTHON_TARGET=/usr/bin/python3", "pythondir=/usr/lib/python3/packages", cwd=TREE
    )
    assert done.returncode == 0, done.stderr
    return root


def test_everything_is_where_a_package_puts_it(root: Path) -> None:
    expected = [
        "usr/bin/otad",
        "usr/bin/otactl",
        "usr/bin/otarepo",
        "usr/lib/python3/packages/otad/daemon.py",
        f"usr/lib/python3/packages/otad-{__version__}.dist-info/METADATA",
        "usr/lib/otad/otad-deadline",
        "usr/lib/otad/otad-current",
        "usr/lib/otad/data.conf",
        "usr/lib/systemd/system-preset/80-otad.preset",
        "usr/lib/systemd/journald.conf.d/80-otad.conf",
        "usr/lib/systemd/system.conf.d/80-otad.conf",
        "usr/lib/tmpfiles.d/otad.conf",
        "usr/lib/sysusers.d/otad.conf",
        "etc/otad/otad.toml",
        "usr/share/bash-completion/completions/otactl",
        "usr/share/man/man8/otad.8",
        "usr/share/man/man1/otactl.1",
        "usr/share/man/man1/otarepo.1",
        "usr/share/man/man5/otad.toml.5",
        *(f"usr/lib/systemd/system/{unit}" for unit in UNITS),
    ]
    assert [place for place in expected if not (root / place).is_file()] == []
    assert [str(p) for p in root.rglob("*") if p.is_file() and str(root).encode() in p.read_bytes()] == []
    assert [str(p) for p in root.rglob("*") if p.is_file() and str(TREE).encode() in p.read_bytes()] == []


def test_the_commands_run_with_the_devices_python(root: Path) -> None:
    for command in ("otad", "otactl", "otarepo"):
        file = root / "usr/bin" / command
        assert file.read_text().startswith("#!/usr/bin/python3\n")
        assert os.access(file, os.X_OK)
        environ = {**os.environ, "PYTHONPATH": str(root / "usr/lib/python3/packages")}
        done = run(sys.executable, file, "--help", env=environ, cwd=root)
        assert done.returncode == 0, done.stderr
        assert "usage" in done.stdout.lower()


def test_other_places_are_followed_and_a_sites_settings_stay(tmp_path: Path) -> None:
    settings = tmp_path / "etc/otad/otad.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("# ours\n")
    places = ("PREFIX=/opt/x", "libdir=/opt/x/libexec/otad", "unitdir=/units", "systemddir=/etc/systemd")
    done = run("make", "install-system", f"DESTDIR={tmp_path}", *places, cwd=TREE)
    assert done.returncode == 0, done.stderr
    assert "ExecStart=/opt/x/bin/otad\n" in (tmp_path / "units/otad.service").read_text()
    assert "ExecStart=/opt/x/libexec/otad/otad-deadline\n" in (tmp_path / "units/otad-deadline.service").read_text()
    assert (tmp_path / "opt/x/libexec/otad/data.conf").is_file()
    assert not (tmp_path / "usr").exists()
    assert settings.read_text() == "# ours\n"


def test_systemd_accepts_the_units(root: Path, tmp_path: Path) -> None:
    """With the distribution's own units around them, so that every name they order against is looked at."""
    analyze = need("systemd-analyze")
    place = root / "usr/lib/systemd/system"
    for unit in place.iterdir():  # systemd looks for the programs in the real root
        (tmp_path / unit.name).write_text(re.sub(r"=/usr/(bin/otad|lib/otad/)", f"={root}/usr/\\1", unit.read_text()))
    done = run(
        analyze,
        "verify",
        "--man=no",
        "--recursive-errors=one",
        *(tmp_path / unit for unit in UNITS),
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_makes_the_groups_and_folders(root: Path) -> None:
    """As a package's first boot does it, in a root of its own."""
    sysusers, tmpfiles = need("systemd-sysusers"), need("systemd-tmpfiles")
    if os.geteuid() != 0:
        pytest.skip("folders with other owners need root")
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/group").write_text("root:x:0:\nsystemd-journal:x:101:\n")
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    done = run(sysusers, f"--root={root}")
    assert done.returncode == 0, done.stderr
    groups = {line.split(":")[0]: int(line.split(":")[2]) for line in (root / "etc/group").read_text().splitlines()}
    done = run(tmpfiles, f"--root={root}", "--create", root / "usr/lib/tmpfiles.d/otad.conf", root / "usr/lib/otad/data.conf")
    assert done.returncode == 0, done.stderr
    for folder, mode, group in (
        ("run/otad", 0o755, "otad"),
        ("data/otad", 0o2750, "otad"),
        ("data/otad/conf.d", 0o755, "root"),
        ("data/updates", 0o750, "otad"),
        ("data/log/journal", 0o2755, "systemd-journal"),
    ):
        status = (root / folder).stat()
        assert (folder, status.st_mode & 0o7777, status.st_gid) == (folder, mode, groups[group])
    assert "otad-admin" in groups


def test_every_unit_that_can_be_enabled_is(root: Path) -> None:
    preset = (root / "usr/lib/systemd/system-preset/80-otad.preset").read_text().splitlines()
    enabled = {line.split()[1] for line in preset if line.startswith("enable ")}
    installable = {unit for unit in UNITS if "[Install]" in (TREE / "systemd" / unit).read_text()}
    assert enabled == installable


def test_the_shipped_settings_are_valid_and_show_the_defaults(tmp_path: Path) -> None:
    """Each `# key = value` is taken at its word."""
    shipped = (TREE / "systemd/otad.toml").read_text()
    (tmp_path / "otad.toml").write_text(re.sub(r"(?m)^# (?=\w+ = |\[\[)", "", shipped))
    shown = load(tmp_path / "otad.toml")
    (tmp_path / "otad.toml").write_text('repository.url = "https://updates.example.com"\ndevice.product = "camera"\n')
    default = load(tmp_path / "otad.toml")
    assert shown.health.checks[0].type == "unit"
    examples = {"id", "attributes", "start", "end", "stop", "checks", "url"}
    for name in type(shown).model_fields:
        theirs, ours = getattr(shown, name).model_dump(exclude=examples), getattr(default, name).model_dump(exclude=examples)
        assert theirs == ours, name


def test_the_manual_names_every_setting(root: Path) -> None:
    text = (root / "usr/share/man/man5/otad.toml.5").read_text().replace("\\-", "-")
    sections = dict(re.findall(r"(?ms)^\.SS \[+([\w.]+)\]+$(.*?)(?=^\.S|\Z)", text))
    assert list(Config.model_fields) == [name for name in sections if "." not in name]
    for name, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section)
        assert re.findall(r"(?m)^\\fB(\w+)\\fR \(", sections[name]) == list(field.annotation.model_fields)


SCRIPTS = [path for folder in ("systemd", "tools") for path in (TREE / folder).iterdir() if path.is_file() and not path.suffix]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_plain_posix_shell(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    assert run(need("dash"), "-n", script).stderr == ""
