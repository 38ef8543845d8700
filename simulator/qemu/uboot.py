"""U-Boot, built from Debian's source and the very files of `recipes/u-boot/files`: for the board, and as a program here.

Rules:
 1. What is built is named by a hash of the files, of this module and of Debian's release: other files, another build.
 2. A line of a configuration fragment that did not come to stand is an error: U-Boot drops unknown settings silently.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simulator.qemu import debian
from simulator.qemu.cache import Cache
from simulator.qemu.tools import NotReady, need, run

RECIPES = Path(__file__).parents[2] / "recipes" / "u-boot" / "files"
HERE = Path(__file__).parent
ROOM = 600 << 20  # bytes, for one build or for the source
TOOLS = {
    "make": "make",
    "gcc": "gcc",
    "bison": "bison",
    "flex": "flex",
    "bc": "bc",
    "dtc": "device-tree-compiler",
}


@dataclass(frozen=True)
class Build:
    """One way to build U-Boot.

    defconfig    U-Boot's own configuration, without `_defconfig`
    fragments    configuration on top of it, the later the stronger
    environment  files of the built-in default environment
    product      the file that is wanted, as make calls it
    arguments    of make
    tools        {program: Debian package} beside `TOOLS`
    """

    name: str
    defconfig: str
    fragments: tuple[Path, ...]
    environment: tuple[Path, ...]
    product: str
    arguments: tuple[str, ...]
    tools: tuple[tuple[str, str], ...] = ()

    def made(self, cache: Cache) -> Path:
        """The product; built if it is not there. Raises NotReady."""
        texts = [file.read_bytes() for file in (*self.fragments, *self.environment, Path(__file__))]
        how = repr((self.defconfig, self.product, self.arguments, debian.origins())).encode()
        entry = cache.entry(f"u-boot-{self.name}", [how, *texts], lambda part: self._make(cache, part), room=ROOM)
        return entry / self.product

    def _make(self, cache: Cache, part: Path) -> None:
        need({**TOOLS, **dict(self.tools)})
        tree, out, log = source(cache), part / "out", part / "build.log"
        out.mkdir()
        default = part / "default.env"
        default.write_text("".join(file.read_text() for file in self.environment))
        own = part / "environment.cfg"
        own.write_text(f'CONFIG_DEFAULT_ENV_FILE="{default}"\n')
        fragments = (*self.fragments, own)
        make = ("make", f"O={out}", "PYTHON3=/usr/bin/python3", "DTC=dtc", *self.arguments)
        run([*make, f"{self.defconfig}_defconfig"], tree, log)
        run(["scripts/kconfig/merge_config.sh", "-m", "-O", out, out / ".config", *fragments], tree, log)
        run([*make, "olddefconfig"], tree, log)
        _stands((out / ".config").read_text(), fragments)
        run([*make, "-j2", self.product], tree, log)
        (out / self.product).rename(part / self.product)
        shutil.rmtree(out)


BOARD = Build(
    "qemu",
    "qemu_arm64",
    (RECIPES / "bootcount.cfg", RECIPES / "boards" / "qemu.cfg"),
    (RECIPES / "otad-data.env", RECIPES / "otad-scripts.env", RECIPES / "boards" / "qemu.env"),
    "u-boot.bin",
    ("CROSS_COMPILE=aarch64-linux-gnu-", "KCFLAGS=-DCONFIG_SYS_EARLY_PCI_INIT"),
    (("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),),
)
"""What `make board` boots."""

SANDBOX = Build(
    "sandbox",
    "tools-only",
    (RECIPES / "bootcount.cfg", HERE / "sandbox.cfg"),
    (RECIPES / "otad-data.env", RECIPES / "otad-scripts.env"),
    "u-boot",
    ("NO_SDL=1",),
)
"""What the parity tests run."""


def source(cache: Cache) -> Path:
    """Debian's source of U-Boot, unpacked."""
    made_of = [Path(__file__).read_bytes(), *(origin.encode() for origin in debian.origins())]
    return cache.entry("u-boot-source", made_of, _unpack, room=ROOM) / "tree"


def _unpack(part: Path) -> None:
    tree = debian.source("u-boot", part, part / "build.log")
    # U-Boot's sandbox looks for its environment in nothing, in ext4 and in FAT: here on the card, as the board does.
    board = tree / "board" / "sandbox" / "sandbox.c"
    text, found = re.subn(
        r"\tENVL_NOWHERE,\n\tENVL_EXT4,", "#ifdef CONFIG_ENV_IS_NOWHERE\n\tENVL_NOWHERE,\n#endif\n\tENVL_MMC,", board.read_text()
    )
    if not found:
        raise NotReady(f"{board} is not as in U-Boot 2023.01: its list of places for the environment must be patched anew")
    board.write_text(text)


def _stands(config: str, fragments: tuple[Path, ...]) -> None:
    """Raises NotReady unless all that the fragments say stands in `config`; of two that differ, the later counts."""
    wanted = {name: line for fragment in fragments for name, line in _settings(fragment.read_text())}
    given = dict(_settings(config))
    lost = [line for name, line in wanted.items() if given.get(name, f"# {name} is not set") != line]
    if lost:
        raise NotReady(f"U-Boot's configuration did not take: {'; '.join(lost)}; see what they depend on in its Kconfig files")


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """(CONFIG_NAME, its line) of each setting."""
    for line in text.splitlines():
        if found := re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set$)", line):
            yield found[1], line
