"""p-diff's ablations, measured: codec noise, checkpoints, sampling steps, prediction overlap, path, guidance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ..evaluate import among, most_alike, overlap
from ..experiments.baselines import noisy
from ..experiments.lab import NO_GENERATOR, Data, Experiment, Lab
from ..fidelity import mean_distance
from ..generator.normalize import Standardizer
from ..measure.statistics import difference, estimate, mean_of, over_units
from ..training.loop import Step
from ..weightspace import nearest
from . import QUESTIONS
from .figures import figures
from .runs import COUNTS, GENERATED, NOISES, REGIME, Place, even, own_nearest, train_all, variants
from .tables import findings, tables

STEPS = (10, 20, 50, 100, 200, 1000)
GUIDANCE = (0.0, 1.0, 2.0, 3.0)
#: Sampling steps of a traced path, and after which of them its estimate is measured.
PATH_STEPS, PATH_AT = 50, (1, 2, 5, 10, 20, 35, 50)
#: Gaussian noise on fine-tuned rows, in multiples of the distance of generated rows to their nearest checkpoint.
DISTANCES = (0.5, 1.0, 2.0)
#: Adapters of a location: through the codec; compared with; with noise; traced along the path.
CODED, KNOWN, NOISY, TRACED = 2, 10, 2, 2


def noise(place: Place) -> Data:
    """Noise on rows and on latents while the codec trains (p-diff, Table 3a)."""
    whole, known = place.made("both").right, even(place.tuned, CODED)
    return {
        name: {
            "codec": estimate(place.correct(place.generators[name].reconstruct(known).cpu())),
            "generated": estimate(place.made(name).right),
            "against_both": difference(place.made(name).right, whole),
            "spread": mean_distance(place.made(name).rows) / place.spread,
        }
        for name in NOISES
    }


def checkpoints(place: Place) -> Data:
    """Fewer checkpoints a location (p-diff, Table 3e), and how near generated rows come to those that were known."""
    most = max(place.counts)
    found = {}
    for count in place.counts:
        made, known = place.made("both" if count == most else str(count)), even(place.tuned, count)
        reach, usual = float(nearest(made.rows, known)[1].mean()) / place.spread, own_nearest(known) / place.spread
        found[str(count)] = {
            "generated": estimate(made.right),
            "against_all": difference(made.right, place.made("both").right),
            "nearest": reach,
            "known_nearest": usual,
            "nearest_difference": reach - usual,
        }
    return found


def steps(place: Place) -> Data:
    """Sampling steps of the bundle's generator, from the same noise (p-diff, Table 9)."""
    finest = place.made("ours", steps=STEPS[-1])
    found = {}
    for count in STEPS:
        made = place.made("ours", steps=count)
        found[str(count)] = {
            "generated": estimate(made.right),
            "against_finest": difference(made.right, finest.right),
            "seconds": made.seconds,
            "distance": float((made.rows - finest.rows).norm(dim=1).mean()) / place.spread,
        }
    return found


def likeness(place: Place) -> Data:
    """Whether adapters err on the same images: fine-tuned, generated, and fine-tuned with noise (p-diff, Figure 4)."""
    known, made = even(place.tuned, KNOWN), place.made("ours")
    distance = float(nearest(made.rows, place.tuned)[1].mean())
    scale = Standardizer.fit(place.tuned, place.generators["ours"].layout).scale
    right = {"fine_tuned": place.correct(known), "generated": made.right}
    origins = even(known, NOISY)
    for factor in DISTANCES:
        reach = torch.full((len(origins),), factor * distance)
        right[f"noise_{factor:g}"] = place.correct(noisy(origins, reach, place.lab.seed, scale=scale))
    highest = {kind: most_alike(table, right["fine_tuned"], same=kind == "fine_tuned") for kind, table in right.items()}
    usual = float(right["fine_tuned"].double().mean())
    return {
        kind: {
            "accuracy": estimate(table),
            "against_fine_tuned": difference(table, right["fine_tuned"]),
            "among": among(table),
            "to_fine_tuned": among(table)
            if kind == "fine_tuned"
            else float(overlap(table, right["fine_tuned"]).mean()),
            "highest": float(highest[kind].mean()),
            "highest_difference": float(highest[kind].mean() - highest["fine_tuned"].mean()),
            "points": torch.stack([highest[kind], table.double().mean(dim=1) - usual], dim=1).tolist(),
        }
        for kind, table in right.items()
    }


def path(place: Place) -> Data:
    """The estimates along the sampling trajectory, decoded and measured (p-diff, Figure 5b)."""
    generator, condition = place.generators["ours"], place.condition(min(place.lab.samples, TRACED))
    estimates = generator.path(condition, steps=PATH_STEPS, seed=place.lab.seed)
    kept = {step: generator.decode(latents).cpu() for step, latents in enumerate(estimates, start=1) if step in PATH_AT}
    right = {step: place.correct(rows) for step, rows in kept.items()}
    return {
        str(step): {
            "accuracy": estimate(table),
            "against_last": difference(table, right[PATH_STEPS]),
            "distance": float((kept[step] - kept[PATH_STEPS]).norm(dim=1).mean()) / place.spread,
            "by_noise": {str(number): float(own) for number, own in enumerate(table.double().mean(dim=1))},
        }
        for step, table in right.items()
    }


def guidance(place: Place) -> Data:
    """How far the condition is followed: 0 ignores it, 1 is as trained."""
    trained = place.made("ours").right
    return {
        f"{value:g}": {
            "generated": estimate(place.made("ours", guidance=value).right),
            "against_1": difference(place.made("ours", guidance=value).right, trained),
        }
        for value in GUIDANCE
    }


PARTS: dict[str, Callable[[Place], Data]] = {
    "noise": noise,
    "checkpoints": checkpoints,
    "steps": steps,
    "likeness": likeness,
    "path": path,
    "guidance": guidance,
}


def over_locations(trees: Sequence[Any]) -> Any:
    """Several locations' findings as one of the same shape: cells and numbers become means, lists are joined."""
    first = trees[0]
    if isinstance(first, dict) and "se" in first:
        return mean_of(trees) | {"adapters": first["n"], "images": sum(tree["images"] for tree in trees)}
    if isinstance(first, dict):
        return {key: over_locations([tree[key] for tree in trees]) for key in first}
    return [item for tree in trees for item in tree] if isinstance(first, list) else over_units(trees)


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Train the variants that are missing, then measure location after location.

    Data: `setting`, `locations[location][ablation]` and `mean[ablation]`, a tree of the same shape.
    """
    wanted = variants(lab)
    whole = wanted["both"]
    setting = {
        "checkpoints": whole.checkpoints,
        "missing": [count for count in COUNTS if count > whole.checkpoints],
        "generated": min(lab.samples, GENERATED),
        "training_steps": whole.steps,
    }
    training = sum(variant.finished() is None for variant in wanted.values())
    total = training + len(PARTS) * len(whole.locations)
    data: Data = {"setting": setting, "locations": {}, "mean": {}}
    for step in train_all(list(wanted.values()), workers=lab.workers):
        yield Step(step.index, total, step.loss), data
    trained = {name: generator for name, variant in wanted.items() if (generator := variant.finished())}
    counts = [variant.checkpoints for name, variant in wanted.items() if name.isdigit()] + [whole.checkpoints]
    for number, location in enumerate(whole.locations):
        place = Place(lab, trained | {"ours": lab.bundle.generator(REGIME)}, counts, location)
        tree: Data = {}
        for part, (name, look) in enumerate(PARTS.items(), start=1):
            tree[name] = look(place)
            if part == len(PARTS):
                data["locations"][location] = tree
                data["mean"] = over_locations(list(data["locations"].values()))
            yield Step(training + len(PARTS) * number + part, total, float("nan")), data


EXPERIMENTS = (
    Experiment(
        "ablations",
        *QUESTIONS["ablations"],
        measure,
        tables,
        figures,
        findings,
        trains=True,
        depends=(*NO_GENERATOR, "condition", f"generator-{REGIME}"),
    ),
)
