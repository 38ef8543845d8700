"""What torture shows: a line for each board, tables at the end, and the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from simulator.torture.plan import Mode
from simulator.torture.run import Result


def line(result: Result) -> str:
    """One board."""
    plan = result.plan
    fell = " ".join(struck.state for struck in result.struck)
    end = f"[red]{'BRICK' if result.brick else 'BROKEN'}: {escape(result.why)}[/]" if result.broken else result.outcome
    what = f"{plan.mode.value:<5} {plan.start.value:<7} {plan.nature.value:<10}"
    return f"[dim]{plan.seed:>8}[/] {what} {result.seconds:5.1f} s  [cyan]{fell}[/]  {end}"


def tables(results: Sequence[Result], wall: float) -> Iterator[Table]:
    """Where the strikes fell, and how the boards ended."""
    where = Table(title="Where the strikes fell", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("state", *(mode.value for mode in Mode), "power", "otad alone"):
        where.add_column(name, justify="left" if name == "state" else "right")
    struck = [(result.plan.mode, one) for result in results for one in result.struck]
    for state in sorted({one.state for _, one in struck}):
        here = [(mode, one) for mode, one in struck if one.state == state]
        modes = Counter(mode for mode, _ in here)
        power = sum(one.power for _, one in here)
        where.add_row(state, *(str(modes[mode]) for mode in Mode), str(power), str(len(here) - power))
    yield where
    ends = Table(title=f"How {len(results)} boards ended, in {wall:.0f} s", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("release", "mode", "boards", "outcomes", "bricks", "broken"):
        ends.add_column(name)
    kinds = sorted({(result.plan.nature.value, result.plan.mode.value) for result in results})
    for nature, mode in kinds:
        here_ = [r for r in results if (r.plan.nature.value, r.plan.mode.value) == (nature, mode)]
        outcomes = Counter(result.outcome or "broken" for result in here_)
        words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        ends.add_row(
            nature, mode, str(len(here_)), words, str(sum(r.brick for r in here_)), str(sum(bool(r.broken) for r in here_))
        )
    yield ends


def figures(results: Sequence[Result]) -> dict[str, float]:
    """For build/bench.json."""
    return {
        "torture_runs": len(results),
        "torture_cuts": sum(struck.power for result in results for struck in result.struck),
        "torture_bricks": sum(result.brick for result in results),
        "torture_broken": sum(bool(result.broken) for result in results),
    }
