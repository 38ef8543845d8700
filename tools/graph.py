"""The state machine's diagram as Mermaid text, from its table. `make graph` prints it; the README holds the same text."""

from __future__ import annotations

from collections import defaultdict

from otad.statemachine import TABLE, Outcome, State


def mermaid() -> str:
    """One arrow per pair of states, labelled with the outcomes that lead there; a reboot is drawn as a state of its own."""
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for state, edges in TABLE.items():
        for outcome, after in edges.items():
            there = "new_boot" if outcome is Outcome.BOOT else after.value
            arrows[state.value, there].append(outcome.value)
    lines = ["stateDiagram-v2", "    [*] --> idle", '    state "a new boot: resume() decides" as new_boot']
    lines += [f"    {here} --> {there}: {', '.join(outcomes)}" for (here, there), outcomes in arrows.items() if here != there]
    lines += [f"    new_boot --> {state.value}" for state in (State.VALIDATE, State.ROLLBACK)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(mermaid())
