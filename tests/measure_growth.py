"""What grows with what: `python tests/measure_growth.py` prints README's table of growth, from some timed steps at the
paper's shapes (224 pixels, rank 22). A reckoning, not a run: what `wildpdiff train --dry-run` does for one recipe.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

from wildpdiff.build.pace import Pace, pace
from wildpdiff.build.plan import of_pace, told_size, told_time
from wildpdiff.build.recipes import PAPER, Recipe

#: Rows a location, as runs of 12.
RUNS = 25


def grown(locations: int, runs: int = RUNS, rank: int = 22) -> Recipe:
    """The paper's recipe in one regime, at so many locations; names beyond the drawn world's stand for others."""
    names = (*PAPER.seen, *(f"P{number}" for number in range(locations - len(PAPER.seen))))
    return replace(PAPER, seen=names[:locations], regimes=("H",), runs=runs, alone=False, rank=rank)


CASES = {
    "10 locations, the paper's": (10, RUNS, 22),
    "110 locations": (110, RUNS, 22),
    "1,000 locations": (1000, RUNS, 22),
    "10,000 locations": (10_000, RUNS, 22),
    "10 locations, ten times the rows": (10, 10 * RUNS, 22),
    "10 locations, a quarter of D": (10, RUNS, 4),
}


def lines(found: Pace) -> Iterator[str]:
    yield "| what | rows | D | rows: one core | 64 workers | generator: one core | its memory | disk |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, (locations, runs, rank) in CASES.items():
        recipe = grown(locations, runs, rank)
        plan = of_pace(recipe, replace(found, dim=found.dim * rank // 22, codec_square=found.codec_square * rank / 22))
        stages = {stage.name: stage for stage in plan.stages}
        rows, generators = stages["rows"], stages["generators"]
        count = locations * runs * recipe.run.rows
        yield " | ".join(
            [
                f"| {name}",
                f"{count:,}",
                f"{plan.dim:,}",
                told_time(rows.span(1)),
                told_time(rows.span(64)),
                told_time(generators.span(1)),
                told_size(generators.memory),
                f"{told_size(plan.disk)} |",
            ]
        )


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    *_, (_, found) = pace(PAPER)
    assert found is not None
    print("\n".join(lines(found)))
    print(found)


if __name__ == "__main__":
    main()
