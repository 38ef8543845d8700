"""The plan that the tree keeps: states are modules one to one, what is pure stays pure, and every module knows its side."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otad import states
from otad.statemachine import State

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TREE = Path(__file__).parents[1]
PURE = ["statemachine", "resume", "admission", "gate", "remedies", "schedule", "errors", "bootenv", "formats", "formats.*"]
PURE += [f"delta.{name}" for name in ("faults", "format", "ops", "streams", "wire")]
IMPURE = {
    "aiohttp",
    "asyncio",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
}
SHARED = {"durable", "admission", "bootenv", "delta", "errors", "formats"}
STATES_MAY_USE = {"otad.bootenv", "otad.errors", "otad.ports", "otad.statemachine"}


def files(*patterns: str) -> list[Path]:
    """Of the modules `a` and `a.*` (a package: its __init__)."""
    found: set[Path] = set()
    for pattern in patterns:
        place = TREE / "otad" / pattern.replace(".", "/")
        if pattern.endswith(".*"):
            found |= set(place.parent.rglob("*.py"))
        else:
            found.add(place / "__init__.py" if place.is_dir() else place.with_suffix(".py"))
    return sorted(found)


def imports(file: Path) -> Iterator[str]:
    """The modules that a file loads when it is imported or run; what stands under `if TYPE_CHECKING` is not loaded."""
    todo: list[ast.AST] = [ast.parse(file.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            yield node.module
        todo += ast.iter_child_nodes(node)


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(TREE).with_suffix("").parts).removesuffix(".__init__")


def test_states_and_modules_are_one_to_one() -> None:
    modules = {path.stem for path in (TREE / "otad/states").glob("*.py")} - {"__init__"}
    assert modules == {state.value for state in State}
    assert set(states.RUN) == set(State)
    for state, run in states.RUN.items():
        assert (run.__module__, run.__name__) == (f"otad.states.{state.value}", "run")


@pytest.mark.parametrize("state", State)
def test_a_state_shows_run_only_and_uses_ports_only(state: State) -> None:
    file = TREE / "otad/states" / f"{state.value}.py"
    body = ast.parse(file.read_text()).body
    defined = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    assert {name for name in defined if not name.startswith("_")} == {"run"}
    ours = {name for name in imports(file) if name.split(".")[0] == "otad" and not name.startswith("otad.formats")}
    assert ours <= STATES_MAY_USE


@pytest.mark.parametrize("file", [*files(*PURE), TREE / "simulator/bootloader.py"], ids=name_of)
def test_what_is_pure_loads_nothing_that_touches_the_world(file: Path) -> None:
    assert {name.split(".")[0] for name in imports(file)} & IMPURE == set()


@pytest.mark.parametrize("file", files(*PURE), ids=name_of)
def test_what_is_pure_loads_only_what_is_pure(file: Path) -> None:
    pure = {name_of(path) for path in files(*PURE)}
    assert {name for name in imports(file) if name.split(".")[0] == "otad"} <= pure


def test_a_wake_up_with_nothing_to_do_loads_none_of_tufs_libraries() -> None:
    """A tenth of its start, which only a look at metadata needs."""
    heavy = {"cryptography", "securesystemslib", "tuf", "urllib3"}
    code = f"import sys, otad.daemon; print(*sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_every_module_is_on_one_side() -> None:
    """A new module is named in the import contract of pyproject.toml, or is shared by design."""
    contracts = tomllib.loads((TREE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [sides] = [contract for contract in contracts if contract["id"] == "release-side"]
    device = {name.split(".")[1] for name in sides["forbidden_modules"]} - {"bootenv"}  # of which the back ends are the device's
    release = {name.split(".")[1] for name in sides["source_modules"]}
    there = {path.stem for path in (TREE / "otad").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    there -= {"__init__", "__main__"}
    assert there - device - release - SHARED == set(), "name it in the import contract of pyproject.toml"
    assert device | release <= there, "the import contract names what is gone"
    assert not device & release
    assert not (device | release) & SHARED
