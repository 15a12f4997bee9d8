"""A zoo whose rows do not hold their locations' priors: fine-tuned with balanced softmax, beside the usual one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..bundle import Bundle, opened_bundle
from ..evaluate import logits_by
from ..experiments.lab import Data, Experiment, Lab, Table
from ..files import load_tensors, save_tensors
from ..measure.statistics import over_units, points
from ..network.folded import Folded
from ..similarity import compare
from ..training.finetune import FinetuneRecipe, finetune
from ..training.loop import Step
from ..workers.pool import each
from ..worlds.base import Images
from .ways import ORACLE

#: What `wildpdiff reproduce` calls it.
BALANCED_STUDY = "unseen-balanced"
#: Photographs of a location that are named.
ASKED = 200
#: How rows are fine-tuned, and the same where it is to be quick; the photographs that are then trained on.
RECIPE, BRIEF, FEW = ORACLE, FinetuneRecipe(converge=2, rows=1, interval=1, batch_size=4), 16


@dataclass(frozen=True)
class Tuning:
    """One fine-tuning: at a seen location of a bundle, plain or balanced, into a file.

    Attributes:
        photographs: to train on; None: as many as the world's training part has.
    """

    bundle: Path
    location: str
    balanced: bool
    path: Path
    recipe: FinetuneRecipe
    photographs: int | None
    seed: int


def log_prior(labels: Tensor, classes: int) -> Tensor:
    """The log of the shares of labels, each counted half more, `[K]`."""
    counts = torch.bincount(labels, minlength=classes).float() + 0.5
    return (counts / counts.sum()).log()


def tune(job: Tuning) -> None:
    """Fine-tune from the start that all share, unless that was done.

    Balanced softmax adds the location's log prior to the logits while it trains, so that the row need not learn it.
    """
    if job.path.exists():
        return
    bundle = opened_bundle(job.bundle)
    images, backbone = bundle.world.images(job.location, "train", job.photographs), bundle.backbone
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(job.seed))
    prior = log_prior(images.labels, len(bundle.world.species))
    trained = backbone.biased(prior) if job.balanced else backbone
    *_, last = finetune(trained, start, images, job.recipe, seed=job.seed)
    save_tensors(job.path, {"row": last.row, "prior": prior})  # type: ignore[dict-item]


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Fine-tune both zoos, and ask rows at home and their means everywhere."""
    bundle, work = lab.bundle, lab.work / ("balanced-quick" if lab.quick else "balanced")
    recipe, photographs = (BRIEF, FEW) if lab.quick else (RECIPE, None)
    jobs = _jobs(bundle, work.resolve(), recipe, photographs, lab.seed)
    for count in each(tune, jobs, workers=lab.workers):
        yield Step(count, len(jobs) + 1, float("nan")), {}
    yield Step(len(jobs) + 1, len(jobs) + 1, float("nan")), _counted(bundle, jobs)


def _jobs(bundle: Bundle, work: Path, recipe: FinetuneRecipe, photographs: int | None, seed: int) -> list[Tuning]:
    folder = bundle.folder.resolve()
    return [
        Tuning(folder, name, word == "balanced", work / f"{name}-{word}.safetensors", recipe, photographs, seed)
        for name in bundle.seen
        for word in ("plain", "balanced")
    ]


def _counted(bundle: Bundle, jobs: Sequence[Tuning]) -> Data:
    told = {job.path.name: load_tensors(job.path)[0] for job in jobs}
    plain, balanced = (
        torch.stack([told[job.path.name]["row"] for job in jobs if job.balanced == kind]) for kind in (False, True)
    )
    priors = torch.stack([told[job.path.name]["prior"] for job in jobs if job.balanced])
    usual, none = priors.exp().mean(dim=0).log(), torch.zeros(priors.shape[1])
    places = {name: bundle.world.images(name, "eval", ASKED) for name in (*bundle.seen, *bundle.unseen)}
    folded = Folded(bundle.backbone)

    def right(row: Tensor, bias: Tensor, images: Images) -> float:
        return float(((logits_by(folded, row, images.pixels) + bias).argmax(dim=1) == images.labels).float().mean())

    at_home = {
        "plain": [right(row, none, places[name]) for row, name in zip(plain, bundle.seen, strict=True)],
        "balanced": [right(row, none, places[name]) for row, name in zip(balanced, bundle.seen, strict=True)],
        "balanced + own prior": [
            right(row, prior, places[name]) for row, prior, name in zip(balanced, priors, bundle.seen, strict=True)
        ],
    }
    means = {
        "mean of plain": (plain.mean(dim=0), none),
        "mean of balanced": (balanced.mean(dim=0), none),
        "mean of balanced + mean prior": (balanced.mean(dim=0), usual),
    }
    asked = {
        where: {way: over_units([right(*own, places[name]) for name in names]) for way, own in means.items()}
        for where, names in (("seen", bundle.seen), ("unseen", bundle.unseen))
    }
    return {
        "locations": len(bundle.seen),
        "photographs": ASKED,
        "home": {way: over_units(own) for way, own in at_home.items()},
        "means": asked,
        "cosines": {kind: _cosines(bundle, rows) for kind, rows in (("plain", plain), ("balanced", balanced))},
    }


def _cosines(bundle: Bundle, rows: Tensor) -> dict[str, float]:
    """Mean cosines between locations, of factors and of products."""
    found, pairs = compare(bundle.layout, rows, rows), torch.triu_indices(len(rows), len(rows), 1)
    return {
        "factors": float(found.whole_factors[pairs[0], pairs[1]].mean()),
        "products": float(found.whole_products[pairs[0], pairs[1]].mean()),
    }


def tables(data: Data) -> list[Table]:
    """Accuracies and cosines."""
    home = tuple((way, points(own)) for way, own in data["home"].items())
    means = tuple(
        (way, points(data["means"]["seen"][way]), points(data["means"]["unseen"][way])) for way in data["means"]["seen"]
    )
    cosines = tuple((kind, f"{own['factors']:.2f}", f"{own['products']:.2f}") for kind, own in data["cosines"].items())
    note = (
        f"{data['locations']} seen locations, one run each from a common start, {data['photographs']} photographs a "
        "location; 95% intervals over locations."
    )
    return [
        Table("At home", ("rows", "accuracy"), home, note),
        Table("One mean row everywhere", ("row", "seen locations", "unseen locations"), means),
        Table("Cosine between locations", ("rows", "factors", "products BA"), cosines),
    ]


def findings(data: Data) -> list[str]:
    """What the prior in the rows is worth, and what it costs a mean."""
    home, unseen, cosines = data["home"], data["means"]["unseen"], data["cosines"]
    return [
        f"At home plain rows name {points(home['plain'])}%, balanced ones {points(home['balanced'])}%, and with their "
        f"location's prior {points(home['balanced + own prior'])}%.",
        f"The mean row names {points(unseen['mean of plain'])}% at unseen locations; of balanced rows, with the mean "
        f"prior, {points(unseen['mean of balanced + mean prior'])}%.",
        f"Products of different locations have cosine {cosines['plain']['products']:.2f}; balanced, "
        f"{cosines['balanced']['products']:.2f}.",
    ]


EXPERIMENT = Experiment(
    BALANCED_STUDY,
    "Places never seen: a zoo without priors in its rows",
    "Do rows that were fine-tuned with balanced softmax, which do not hold their location's prior, average better?",
    measure,
    tables,
    lambda data: [],
    findings,
    trains=True,
    depends=("classifier", "world"),
)
