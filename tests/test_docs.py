"""What the documents say is so: links lead somewhere, commands parse, tables and examples are the code's."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import typer
from aiohttp.test_utils import TestServer
from pydantic import BaseModel

from otad.cli.app import app as otactl
from otad.config import Config, HealthCheck
from otad.formats.event import Event
from otad.publisher.cli.app import app as otarepo
from otad.report import Batch
from otad.report.sink_http import HttpSink
from tests.support import failures
from tools import settings
from tools.manual import described

TREE = Path(__file__).parents[1]
PAGES = [TREE / "README.md", TREE / "CHANGELOG.md", *sorted((TREE / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")
PROGRAMS: dict[str, Any] = {
    "otactl": typer.main.get_command(otactl),
    "otarepo": typer.main.get_command(otarepo),
}


def name_of(page: Path) -> str:
    return str(page.relative_to(TREE))


def commands(text: str) -> list[str]:
    """The otactl and otarepo command lines of the code blocks and of `quoted` words."""
    blocks = re.findall(r"(?ms)^```(?:sh|console|text)?\n(.*?)^```", text)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    quoted = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"(?ms)^```.*?^```", "", text))
    starts = re.compile(r"^(?:\$ |# )?(?:sudo )?(?:\.venv/bin/)?((?:otactl|otarepo) .*)")
    return [found[1] for line in (*lines, *quoted) if (found := starts.match(line.strip()))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_anchors_are_headings(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        there = (page.parent / target).resolve()
        if anchor and there.suffix == ".md":
            headings = re.findall(r"(?m)^#+ (.*)$", there.read_text())
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in anchors, f"{name_of(page)} links to {target}{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_command_lines_parse(page: Path) -> None:
    for line in commands(page.read_text()):
        program, *words = shlex.split(line, comments=True)
        parses(PROGRAMS[program], words, line)


def parses(command: Any, words: list[str], line: str) -> None:
    """Follow the verbs, then look every option up; values are examples. Typed loosely: see tools/manual.py."""
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        verb, *words = words
        if verb.isupper() or verb == "...":
            return  # a placeholder: `otactl VERB`
        assert verb in command.commands, f"no verb {verb}: {line}"
        command = command.commands[verb]
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
    given = {word.split("=")[0] for word in words if word.startswith("-")}
    assert given <= known, f"unknown option: {line}"


def test_a_wrong_command_line_is_found() -> None:
    assert commands("```sh\notarepo rollout start D stable\n```\nand `otactl status --json`, `not otactl x`") == [
        "otarepo rollout start D stable",
        "otactl status --json",
    ]
    for line in ("otactl stat", "otactl status --jsn", "otarepo rollout begin D"):
        program, *words = line.split()
        with pytest.raises(AssertionError):
            parses(PROGRAMS[program], words, line)


def test_the_settings_page_is_current() -> None:
    assert settings.PAGE.read_text() == settings.page(), "otad/config.py has changed: run `make settings`"


def test_every_row_of_the_failures_page_has_its_test() -> None:
    """Each of those tests looks for its own row; so a row too many is one that no test stands behind any more."""
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "fault", "tests/bad_input"]
    said = subprocess.run(collect, cwd=TREE, capture_output=True, text=True, check=True).stdout
    tests = [line for line in said.splitlines() if "::" in line]
    assert len(failures.rows(failures.PAGE.read_text())) == len(tests), "run `make failures`"


def test_every_setting_is_explained() -> None:
    models = [field.annotation for field in Config.model_fields.values()] + [HealthCheck]
    for model in models:
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        known = described(model)[1]
        assert set(model.model_fields) == set(known), f"{model.__name__}: a key has no line in its docstring"


def test_the_rules_of_resume_are_all_told() -> None:
    text = (TREE / "docs" / "boot.md").read_text()
    table = text.split("## The rules of resume()")[1].split("\n## ")[0]
    assert [int(row) for row in re.findall(r"(?m)^\| (\d+) \|", table)] == list(range(15))


def examples(page: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", (TREE / "docs" / page).read_text())


def test_the_events_in_the_reports_page_are_events() -> None:
    whole, *runs = examples("reports.md", "json")
    texts = [whole, *(line for run in runs for line in run.splitlines())]
    events = [Event.from_json(text) for text in texts]
    assert [(event.state, event.outcome) for event in events[-2:]] == [("validate", "failed"), ("rollback", "done")]
    fields = re.findall(
        r"(?m)^\| ((?:`\w+`(?:, )?)+) \|", (TREE / "docs" / "reports.md").read_text().split("field of `cause`")[0]
    )
    assert [name for row in fields for name in re.findall(r"\w+", row)] == [
        *(name for name in Event.__dataclass_fields__ if name not in {"evidence", "durations", "bytes"}),
        *("durations", "evidence", "bytes"),
    ]


async def test_the_sink_of_the_reports_page_takes_a_batch_once(tmp_path: Path) -> None:
    scope: dict[str, Any] = {"__name__": "sink"}
    exec(compile(examples("reports.md", "python")[0], "sink.py", "exec"), scope)  # noqa: S102  # the page's own words
    texts = tuple(examples("reports.md", "json")[1].splitlines())
    app = scope["make_app"](str(tmp_path / "events.db"))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        sink = HttpSink(session, str(server.make_url("/events")), "camera-1", 10)
        for _ in range(2):
            await sink.send(Batch(texts, 3, 7))
    app[scope["STORE"]].close()
    with closing(sqlite3.connect(tmp_path / "events.db")) as store:
        assert store.execute("SELECT count(*) FROM events").fetchone() == (len(texts),)
        assert store.execute("SELECT count FROM lost").fetchall() == [(3,)]


def rows(page: str) -> list[str]:
    """Rows of the tables of a page, that name a place in the tree."""
    return [line for line in (TREE / "docs" / page).read_text().splitlines() if line.startswith("|") and "`otad/" in line]


@pytest.mark.parametrize("row", rows("architecture.md"))
def test_places_in_the_tree_are_there(row: str) -> None:
    place, seen = TREE, 0
    for word in re.findall(r"`([^`]+)`", row.split("|", 2)[2]):
        if re.match(r"(otad|tests|tools|recipes|simulator|systemd)/", word) and "<" not in word:
            place, seen = TREE / word, seen + 1
            assert place.exists(), f"{word} is not there: {row}"
        elif place.is_file() and re.fullmatch(r"\w+", word):
            assert word in place.read_text(), f"{place} has no {word}: {row}"
    assert seen or "<" in row
