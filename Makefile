# Every target works from a bare checkout: it first brings what is missing (tools/bootstrap says what). `make` lists them.
.PHONY: help setup demo board test test-board test-qemu torture torture-qemu lint bench bench-delta fuzz sweep mutants graph settings failures schemas pictures lock hooks install install-python install-system clean

PY := .venv/bin/python

# Programs that are started hundreds of times need not be compiled each time.
unexport PYTHONDONTWRITEBYTECODE

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup:
	@tools/bootstrap

demo: setup  ## a good update and a bad one, live, on a simulated board
	@$(PY) -m simulator.demo

board: setup  ## a board in QEMU with the real U-Boot, its console here (ARGS=--new: as from the factory; --uboot, --root: your own)
	@tools/packages tools/packages-qemu.txt
	@$(PY) -m simulator.qemu $(ARGS)

test: setup  ## all tests that need no QEMU, with every Python here (PYTHONS= to choose, ARGS= for pytest)
	@tools/test $(ARGS)

test-board: setup  ## tests on the real U-Boot and on the board in QEMU (ARGS= for pytest)
	@tools/packages tools/packages-qemu.txt
	@$(PY) -m pytest -q -m board tests/board $(ARGS)

test-qemu: setup  ## the longer stories on the board in QEMU: hours (ARGS=-k panic: one of them)
	@tools/packages tools/packages-qemu.txt
	@$(PY) -m pytest -q -m qemu tests/board $(ARGS)

torture: setup  ## updates cut off at random: N boards (20), SEED= of the first (ARGS=--prove: is a missing fsync found?)
	@mkdir -p build
	@$(PY) -m simulator.torture -n $(or $(N),20) $(if $(SEED),--seed $(SEED)) $(ARGS)

torture-qemu: setup  ## the same on the board in QEMU: N devices (10), SEED= of the first, for at most T seconds (3600)
	@tools/packages tools/packages-qemu.txt
	@$(PY) -m simulator.qemu.torture -n $(or $(N),10) --seed $(or $(SEED),1) --seconds $(or $(T),3600)

lint: setup  ## ruff, mypy --strict, import-linter
	@tools/lint

bench: setup  ## measure; writes build/bench.json
	@mkdir -p build
	@$(PY) -m bench

bench-delta: setup  ## deltas of Debian images, ours beside xdelta3, zstd and others; docs/delta-bench.md (ARGS=--small: smaller images)
	@tools/packages tools/packages-bench.txt
	@nice -n 10 $(PY) -m bench.delta $(ARGS)

sweep: setup  ## everything that may happen to a device, in every state that it gets into; figures into build/bench.json
	@$(PY) -m simulator.sweep $(ARGS)

mutants: setup  ## deliberate faults of otad, each of which the sweep must see; figures into build/bench.json
	@$(PY) -m simulator.sweep.mutants $(ARGS)

fuzz: setup  ## every parser against mutants, T= seconds each (20); coverage-guided where atheris is installed; figures into build/bench.json
	@$(PY) -m tests.fuzz $(if $(T),--seconds $(T))

graph: setup  ## the state machine's diagram, from its table
	@$(PY) tools/graph.py

settings: setup  ## docs/settings.md, from the settings' models
	@$(PY) -m tools.settings

schemas: setup  ## docs/schema: JSON Schemas of the documents, and the golden file of admission
	@$(PY) -m tools.schemas
	@$(PY) -m tools.golden

failures: setup  ## docs/failures.md, from the tests of bad input (ARGS= for pytest: only those rows)
	@$(PY) -m tools.failures $(ARGS)

pictures: setup  ## docs/pictures, from a run of the demo
	@$(PY) -m tools.pictures

lock: setup  ## pin the Python packages anew
	@tools/lock

hooks: setup  ## run the lint before each commit
	@.venv/bin/pre-commit install

# -- install: what a package does. Everything below DESTDIR; the places as on a merged-/usr Linux with systemd -----------------
DESTDIR       ?=
PREFIX        ?= /usr
bindir        ?= $(PREFIX)/bin
libdir        ?= $(PREFIX)/lib/otad
datadir       ?= $(PREFIX)/share
mandir        ?= $(datadir)/man
sysconfdir    ?= /etc
systemddir    ?= $(PREFIX)/lib/systemd
unitdir       ?= $(systemddir)/system
tmpfilesdir   ?= $(PREFIX)/lib/tmpfiles.d
sysusersdir   ?= $(PREFIX)/lib/sysusers.d
# The interpreter on the device, and where it looks for packages (Debian: dist-packages).
PYTHON_TARGET ?= $(PREFIX)/bin/python3
pythondir     ?= $(shell $(PYTHON_TARGET) tools/pythondir.py $(PREFIX))

install: install-python install-system  ## put everything where a package would: DESTDIR=, PREFIX=, pythondir=, unitdir=, ...

install-python: setup
	@tools/install-python '$(DESTDIR)' '$(pythondir)' '$(bindir)' '$(PYTHON_TARGET)'

install-system: setup
	@DESTDIR='$(DESTDIR)' bindir='$(bindir)' libdir='$(libdir)' datadir='$(datadir)' mandir='$(mandir)' \
	sysconfdir='$(sysconfdir)' systemddir='$(systemddir)' unitdir='$(unitdir)' tmpfilesdir='$(tmpfilesdir)' \
	sysusersdir='$(sysusersdir)' tools/install-system

clean:  ## remove what was made here
	rm -rf build dist .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
