"""p-diff's tables and figures as experiments that `wildpdiff reproduce` knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ...experiments.lab import Data, Experiment, Lab
from ...training.loop import Step
from .. import QUESTIONS
from . import memory, plans, told
from .cells import Cell, brief, grow
from .plans import Plan
from .pooled import pooled


@dataclass(frozen=True)
class Study:
    """Systems that are grown, measured and told side by side.

    Attributes:
        cells: which, by the size of the study.
        first: what distinguishes them, the head of a table's first column.
        published: the paper's own figures (`numbers.toml`), by a row's name.
        note: what the paper's column says, or what else the reader needs.
        seeds: of a whole study.
        likeness: whether each system has a figure of accuracy against likeness.
        counts: whether systems differ in their number of checkpoints.
    """

    cells: Callable[[Plan], list[Cell]]
    first: str
    published: str = ""
    note: str = ""
    seeds: int = plans.SEEDS
    likeness: bool = False
    counts: bool = False

    def measure(self, lab: Lab) -> Iterator[tuple[Step, Data]]:
        """Grow what is missing in the training folder's `work/pdiff`, then read it all.

        Data: `setting`, and `rows[name]` (see `pooled`).

        Raises:
            UserError: if there is no training folder, or the pictures cannot be had.
        """
        plan = Plan.of(quick=lab.quick, seed=lab.seed, seeds=self.seeds)
        cells = self.cells(plan)
        for step in grow(cells, lab.work, workers=lab.workers):
            yield step, {}
        by_name: dict[str, list[Data]] = {}
        for cell in cells:
            by_name.setdefault(cell.name, []).append(brief(cell, lab.work, points=self.likeness))
        setting = {
            "first": self.first, "data": plan.data, "published": self.published, "note": self.note,
            "quick": lab.quick, "test": plan.recipe.test, "likeness": self.likeness, "counts": self.counts,
        }  # fmt: skip
        yield (
            Step(1, 1, float("nan")),
            {
                "setting": setting,
                "rows": {name: pooled(briefs) for name, briefs in by_name.items()},
            },
        )


_TABLE1 = "p-diff's column: its best of 200 on CIFAR-100 (it has no row for CIFAR-10): originals/ensemble/p-diff."
_TABLE2 = "p-diff's column: its best of 200 on CIFAR-10: originals/ensemble/p-diff."
_AVERAGE = "p-diff's column: average accuracy, ResNet-18 on CIFAR-100."
STUDIES = {
    "pdiff-table1": Study(
        plans.partial, "network, its last two norms", "table1",
        _TABLE1, seeds=plans.ABLATION_SEEDS,
    ),
    "pdiff-table1-slow": Study(
        partial(plans.partial, networks=plans.PARTIAL_SLOW), "network, its last two norms", "table1", _TABLE1,
        seeds=plans.ABLATION_SEEDS,
    ),
    "pdiff-table1-slowest": Study(
        partial(plans.partial, networks=plans.PARTIAL_SLOWEST), "network, its last two norms", "table1", _TABLE1,
        seeds=plans.ABLATION_SEEDS,
    ),
    "pdiff-table2": Study(
        plans.whole, "network, whole", "table2", _TABLE2, likeness=True
    ),
    "pdiff-table2-slow": Study(
        partial(plans.whole, networks=plans.WHOLE_SLOW), "network, whole", "table2", _TABLE2, likeness=True
    ),
    "pdiff-table2-slowest": Study(
        partial(plans.whole, networks=plans.WHOLE_SLOWEST), "network, whole", "table2", _TABLE2, likeness=True
    ),
    "pdiff-recipe": Study(plans.papers, "checkpoints", seeds=plans.ABLATION_SEEDS),
    "pdiff-table3a": Study(plans.noise, "noise on", "table3a", _AVERAGE, seeds=plans.ABLATION_SEEDS, likeness=True),
    "pdiff-table3d": Study(
        plans.optimisers, "optimiser", "table3d",
        f"{_AVERAGE} Without weight decay, as in our recipe, Adam and AdamW are one.", seeds=plans.ABLATION_SEEDS,
    ),
    "pdiff-table3e": Study(
        plans.counts, "checkpoints", "table3e", _AVERAGE, seeds=plans.ABLATION_SEEDS, likeness=True, counts=True
    ),
    "pdiff-table3f": Study(plans.places, "parameters", seeds=plans.ABLATION_SEEDS),
    "pdiff-figure3": Study(plans.undertrained, "base trained for", seeds=plans.ABLATION_SEEDS, likeness=True),
    "pdiff-figure4": Study(plans.rates, "rate of fine-tuning", seeds=plans.ABLATION_SEEDS, likeness=True),
    "pdiff-table9": Study(plans.sampling, "network, whole", seeds=plans.ABLATION_SEEDS),
}  # fmt: skip
EXPERIMENTS = (
    *(
        Experiment(
            name, *QUESTIONS[name], study.measure, told.tables, told.figures, told.findings, trains=True, depends=()
        )
        for name, study in STUDIES.items()
    ),
    Experiment(
        "pdiff-table13", *QUESTIONS["pdiff-table13"], memory.measure, memory.tables, memory.figures, memory.findings,
        trains=True, depends=(),
    ),
)  # fmt: skip
#: Tables and figures that are parts of another's.
SAME = {
    "pdiff-table3b": "pdiff-table3a", "pdiff-table3c": "pdiff-table3a", "pdiff-table4": "pdiff-table3a",
    "pdiff-table8": "pdiff-table3a", "pdiff-figure5a": "pdiff-table3a", "pdiff-figure5b": "pdiff-table9",
    "pdiff-figure5c": "pdiff-table3e",
}  # fmt: skip
