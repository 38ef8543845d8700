"""One target under atheris: `python -m tests.fuzz.guided NAME LIBFUZZER-OPTIONS`. libFuzzer ends the process."""

import sys

import atheris

with atheris.instrument_imports(include=["otad"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Never returns."""
    program, name, *options = sys.argv
    atheris.Setup([program, *options], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
