"""Memory of training a generator against the size of a row (p-diff, table 13): one fresh process for each size."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from ...errors import UserError
from ...experiments.lab import Data, Lab, Table
from ...files import load_json, save_json
from ...generator import AdapterGenerator, GeneratorConfig
from ...generator.recipe import GeneratorRecipe
from ...generator.train import train_generator
from ...measure.statistics import number
from ...network.adapter import AdapterLayout
from ...plots import Figure
from ...plots.charts import lines
from ...plots.series import Series
from ...training.loop import Step
from ...workers.pool import ONE, each
from .. import NUMBERS

#: D, numbers in a row: those of the paper, and on to four million.
SIZES = (2048, 30016, 100288, 300288, 1_000_000, 4_000_000)
#: Rows to learn from, and rows of a batch.
ROWS, BATCH = 300, 50
#: Steps: memory no longer grows after a few.
STEPS = 20


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """The most memory that a process held, by size. Data: `sizes[D]`, each `before`, `after` in MB, and the slope.

    Raises:
        UserError: if a process ended without an answer, for want of memory, or there is no training folder.
    """
    sizes = SIZES[:3] if lab.quick else SIZES
    found: Data = {}
    for place, size in enumerate(sizes, start=1):
        found[str(size)] = _in_process(size, lab.work / "pdiff" / f"memory-{size}.json")
        yield Step(place, len(sizes), float("nan")), {"sizes": found, "slope": slope(found)}


def slope(found: Data) -> float:
    """Bytes that one more number in a row costs, between the two largest sizes; 0 if there is only one."""
    sizes = sorted(map(int, found))
    if len(sizes) < 2:
        return 0.0
    grown = found[str(sizes[-1])]["after"] - found[str(sizes[-2])]["after"]
    return float(grown * 2**20 / (sizes[-1] - sizes[-2]))


def _in_process(size: int, path: Path) -> Data:
    """What a process of its own found, kept in a file."""
    if not path.exists():
        try:
            list(each(_keep, [(size, path)], workers=ONE))
        except (UserError, MemoryError) as error:
            raise UserError(
                f"Training on rows of {size:,} numbers did not come to its end; it needs more memory."
            ) from error
    return dict(load_json(path))


def _keep(job: tuple[int, Path]) -> None:
    size, path = job
    save_json(path, train(size))


def train(size: int) -> Data:
    """Train a generator on random rows in this process; the most memory (MB) before and after, on CUDA the card's."""
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    layout = AdapterLayout(("row",), ((size,),))
    config = GeneratorConfig.of(layout, condition=None, backbone_fingerprint="none")
    generator = AdapterGenerator.untrained(config).to(device)
    before = _megabytes(cuda)
    rows = torch.randn(ROWS, size, generator=torch.Generator().manual_seed(0))
    recipe = GeneratorRecipe(denoiser_steps=STEPS, denoiser_batch=BATCH)
    for _ in train_generator(generator, rows, None, None, recipe):
        pass
    return {"before": before, "after": _megabytes(cuda), "rows": rows.nbytes / 2**20, "device": device}


def _megabytes(cuda: bool) -> float:
    """The most memory held so far, of the card or of this process (as Linux tells it, which forgets the parent's)."""
    if cuda:
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        line = next(own for own in status.read_text(encoding="utf-8").splitlines() if own.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def tables(data: Data) -> list[Table]:
    """Ours beside the paper's two stages."""
    published = NUMBERS["table13"]
    rows = tuple(
        (f"{int(size):,}", f"{cell['rows']:,.0f}", f"{cell['before']:,.0f}", f"{cell['after']:,.0f}",
         f"{published[size]:,}" if size in published else "–")
        for size, cell in data["sizes"].items()
    )  # fmt: skip
    head = ("numbers in a row", "all rows, MB", "before training, MB", "most, MB", "p-diff, both stages, MB")
    note = (
        f"{ROWS} rows, batches of {BATCH}, codec and diffusion. The most memory that the process held, libraries and "
        f"rows counted; each further number costs {number(data['slope'], '.0f')} bytes ({4 * ROWS} are the rows)."
    )
    return [Table("Memory", head, rows, note)]


def figures(data: Data) -> list[Figure]:
    """Memory against size."""
    published, sizes = NUMBERS["table13"], list(data["sizes"])
    across = [float(size) for size in sizes]
    ours = Series("ours", across, [cell["after"] / 1024 for cell in data["sizes"].values()])
    theirs = Series("p-diff", [float(size) for size in published], [value / 1024 for value in published.values()])
    return [lines("Memory of training", [ours, theirs], x="numbers in a row", y="GB")]


def findings(data: Data) -> list[str]:
    """What the largest size took, and what a number costs."""
    size, cell = list(data["sizes"].items())[-1]
    return [
        f"{int(size):,} numbers a row train in {cell['after'] / 1024:.1f} GB ({cell['device']}); each further number "
        f"costs {number(data['slope'], '.0f')} bytes, of which {4 * ROWS} are the {ROWS} rows themselves."
    ]
