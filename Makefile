# Every target works from a bare checkout: it first brings what is missing (tools/bootstrap says what). `make` lists them.
.PHONY: help setup demo test lint bench graph lock hooks install install-python install-system clean

PREFIX     ?= /usr
DESTDIR    ?=
bindir     ?= $(PREFIX)/bin
libexecdir ?= $(PREFIX)/lib
PY         := .venv/bin/python

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup:
	@tools/bootstrap

demo: setup  ## a good update and a bad one, live, on a simulated board
	@$(PY) -m simulator.demo

test: setup  ## all tests that need no QEMU, with every Python here (PYTHONS= to choose, ARGS= for pytest)
	@tools/test $(ARGS)

lint: setup  ## ruff, mypy --strict, import-linter
	@tools/lint

bench: setup  ## measure; writes build/bench.json
	@mkdir -p build
	@$(PY) -m simulator.bench

graph: setup  ## the state machine's diagram, from its table
	@$(PY) tools/graph.py

lock: setup  ## pin the Python packages anew
	@tools/lock

hooks: setup  ## run the lint before each commit
	@.venv/bin/pre-commit install

clean:  ## remove what was made here
	rm -rf build dist .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
