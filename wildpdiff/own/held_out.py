"""Adapters at held-out cameras of one's own survey: every way beside the simplest, on real photographs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import UserError
from ..experiments.lab import Data, Experiment, Lab, Table
from ..generator.recipe import GeneratorRecipe
from ..measure.statistics import points, size
from ..plots import Figure
from ..plots.charts import Series, bars
from ..training.finetune import FinetuneRecipe
from ..training.loop import Step
from ..workers.pool import each
from ..worlds.base import World
from ..worlds.cameras import CameraWorld, open_world
from .advice import sentences
from .cell import FOLDS, Answers, Cell, Plan, together
from .frames import answer_frames, detector, differences, of_frames
from .measures import MEASURES, by_class, over_seeds, summary
from .methods import NAMES, NEEDS_TWO, answer

#: Seeds of a whole study, and of one that is to be quick.
SEEDS, FEW = 5, 1
#: Steps of everything where it is to be quick.
QUICK = Plan(
    joint=FinetuneRecipe(converge=120, rows=1, interval=1, learning_rate=1e-3),
    place=FinetuneRecipe(converge=12, rows=3, interval=2, learning_rate=1e-3),
    places=12,
    pasted=24,
    generator=GeneratorRecipe(mean_steps=300, denoiser_steps=800),
    samples=2,
)
#: What `wildpdiff reproduce` calls it.
STUDY = "cameras"
#: Ways of which each camera's measures are kept, for what an owner is told.
TOLD = ("joint", "generated", "labels")
#: The way that others are compared with.
BASE = "joint"


def cells_of(lab: Lab) -> list[Cell]:
    """Every fold of every seed.

    Raises:
        UserError: if the bundle is none of somebody's own cameras, or there is no folder to train in.
    """
    spec = dict(lab.recipe.world)
    spec = dict(spec.get("of", spec))
    if spec.get("kind") != "cameras" or lab.recipe.weights is None:
        raise UserError("This asks a survey of cameras; open a bundle that `wildpdiff train --recipe own` made.")
    plan, seeds = (QUICK, FEW) if lab.quick else (Plan(), SEEDS)
    work = lab.work / ("cameras-quick" if lab.quick else "cameras")
    return [
        Cell(fold, lab.seed + seed, spec, lab.recipe.architecture, lab.recipe.weights, work, plan)
        for seed in range(seeds)
        for fold in range(min(FOLDS, len(_whole(spec, lab).locations)))
    ]


def _whole(spec: Mapping[str, Any], lab: Lab) -> CameraWorld:
    """The survey with no camera held out."""
    return open_world(dict(spec) | {"held_out": []}, lab.work)


def steps_of(world: World, *, quick: bool) -> int:
    """Steps of fine-tuning of a whole study."""
    plan, seeds = (QUICK, FEW) if quick else (Plan(), SEEDS)
    cameras = len(world.locations)
    each_fold = plan.joint.steps + plan.place.steps * (plan.places + 6)
    return seeds * (FOLDS * each_fold + 2 * cameras * plan.place.steps)


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Train and ask every fold of every seed, those that are done already left as they are; then count."""
    cells = cells_of(lab)
    frames = [of_frames(cell) for cell in cells]
    total = 2 * len(cells)
    for count in each(answer, cells, workers=lab.workers):
        yield Step(count, total + 1, float("nan")), {}
    for count in each(answer_frames, frames, workers=lab.workers):
        yield Step(len(cells) + count, total + 1, float("nan")), {}
    yield Step(total + 1, total + 1, float("nan")), counted(cells, frames)


def counted(cells: Sequence[Cell], frames: Sequence[Cell]) -> Data:
    """All that is told, from the answers in the cells' files."""
    every, whole = _answers(cells), _answers(frames)
    world = open_world(dict(cells[0].world) | {"held_out": []}, cells[0].work)
    cameras = {way: over_seeds(every, way) for way in NAMES}
    data: Data = {
        "seeds": len(every),
        "cameras": len(every[0].names),
        "photographs": len(every[0].labels),
        "events": int(every[0].bursts.max()) + 1,
        "architecture": cells[0].architecture,
        "size": world.size,
        "ways": {way: _way(every, cameras, way, world.species) for way in NAMES},
        "frames": summary(over_seeds(whole, "head")),
        "difference": differences(world),
        "detector": detector(world),
        "by_camera": {way: cameras[way] for way in TOLD},
        "counts": _counts(every[0]),
    }
    for way in NEEDS_TWO:
        two = {name: cameras[BASE][name] for name in cameras[way]}
        data["ways"][way]["base"] = summary(two) if two else {}
    return data


def _answers(cells: Sequence[Cell]) -> list[Answers]:
    """The answers of each seed, its folds together."""
    seeds = sorted({cell.seed for cell in cells})
    return [together([Answers.load(cell.path) for cell in cells if cell.seed == seed]) for seed in seeds]


def _way(every: Sequence[Answers], cameras: dict[str, Any], way: str, species: Sequence[str]) -> dict[str, Any]:
    found = {"all": summary(cameras[way]), "minus": summary(cameras[way], cameras[BASE])}
    return found if way in NEEDS_TWO else found | {"classes": by_class(every, way, species)}


def _counts(answers: Answers) -> dict[str, dict[str, int]]:
    """Photographs and events measured at each camera."""
    return {
        name: {
            "photographs": int((answers.cameras == place).sum()),
            "events": len(answers.bursts[answers.cameras == place].unique()),
        }
        for place, name in enumerate(answers.names)
    }


def tables(data: Data) -> list[Table]:
    """Every way, its differences to the shared adapter, by class, and what needs no adapter."""
    ways = [way for way in NAMES if data["ways"][way]["all"]]
    head = ("held-out cameras, percent (95% interval over cameras)", *MEASURES.values(), "mean over classes")
    rows = [(NAMES[way], *_row(data["ways"][way]["all"]), _classes(data, way)) for way in ways]
    frames = ("whole frames: frozen features, a new last layer", *_row(data["frames"]), "–")
    minus = [(NAMES[way], *_row(data["ways"][way]["minus"], signed=True)) for way in ways if way != BASE]
    about = (
        f"{data['cameras']} cameras in {FOLDS} folds, {data['photographs']:,} real photographs of {data['events']} "
        f"events, {data['seeds']} seed(s); {data['architecture']} at {data['size']} pixels. Animals are cropped by "
        "their boxes, and empties by a box borrowed from an animal. Every camera counts alike."
    )
    two = data["ways"]["labels"]["minus"].get("accuracy", {}).get("n", 0)
    return [
        Table("Every way at cameras that nothing was learned from", head, (*rows, frames), about),
        Table(
            f"The same minus {NAMES[BASE]}, points",
            ("way", *MEASURES.values()),
            tuple(minus),
            f"Labelled photographs were tried at the {two} cameras with two events: half of the events labelled, the "
            "other half named.",
        ),
        _others(data),
    ]


def _row(found: dict[str, Any], *, signed: bool = False) -> tuple[str, ...]:
    """Every measure as text; a dash where there is none."""
    return tuple(points(found[what], signed=signed) if what in found else "–" for what in MEASURES)


def _classes(data: Data, way: str) -> str:
    found = data["ways"][way].get("classes")
    return f"{100 * found['mean']:.1f} ({100 * found['low']:.1f} to {100 * found['high']:.1f})" if found else "–"


def _others(data: Data) -> Table:
    """The detector's errors, and the image difference."""
    own = data["detector"]
    rows = [
        ("animals without a box, frames", f"{own['missed']:,} of {own['animals']:,}"),
        ("empties with a box, frames", f"{own['false']:,} of {own['empties']:,}"),
    ]
    for where, found in data["difference"].items():
        shown = f"{found['mean']:.2f} ({found['low']:.2f} to {found['high']:.2f}), {found['n']} cameras"
        rows.append((f"animal or not, by difference to an empty of {where}: area under the curve", shown))
    return Table(
        "What needs no classifier", ("what", "found"), tuple(rows), "Boxes that people drew have no errors here."
    )


def rows(data: Data) -> Iterator[tuple[str, str, str]]:
    """What README's table says: what, ours, the paper's, which has nothing of the kind."""
    ways, what = data["ways"], "accuracy"
    where = f"{data['cameras']} real cameras, each held out, {data['photographs']:,} photographs, {data['seeds']} seeds"
    yield f"{where}: {NAMES['head']}", points(ways["head"]["all"][what]), ""
    for way in ("joint", "paste", "generated"):
        yield NAMES[way], points(ways[way]["all"][what]), ""
    yield f"generated minus {NAMES[BASE]}, points", points(ways["generated"]["minus"][what], signed=True), ""
    if what in ways["labels"]["minus"]:
        found = ways["labels"]["minus"][what]
        told = f"up to twenty labels of the camera minus {NAMES[BASE]}, points ({found['n']} cameras with two events)"
        yield told, points(found, signed=True), ""


def figures(data: Data) -> list[Figure]:
    """Accuracy and species by event for each way."""
    ways = [way for way in NAMES if way not in NEEDS_TWO]
    names = [NAMES[way] for way in ways]
    series = [
        Series.of(words, names, [data["ways"][way]["all"][what] for way in ways])
        for what, words in MEASURES.items()
        if what in ("accuracy", "event")
    ]
    return [bars("Cameras that nothing was learned from", names, series, y="right", percent=True)]


def findings(data: Data) -> list[str]:
    """Whether an adapter helps at a new camera, and what else would."""
    found = []
    for way in ("generated", "paste", "pasted", "empties", "prior", "head"):
        minus = data["ways"][way]["minus"]
        for what in ("accuracy", "event"):
            if what in minus:
                found.append(_verdict(NAMES[way], MEASURES[what], minus[what]))
    return [*found, *sentences(data)]


def _verdict(way: str, what: str, minus: dict[str, Any]) -> str:
    if minus["real"]:
        word = "gains" if minus["mean"] > 0 else "costs"
        return f"{way[0].upper()}{way[1:]}: {word} {size(minus)} points of {what} against {NAMES[BASE]}."
    shown = points(minus, signed=True)
    return f"{way[0].upper()}{way[1:]}: no difference to {NAMES[BASE]} is shown, {what}: {shown} points."


EXPERIMENTS = (
    Experiment(
        STUDY,
        "Your own cameras",
        "Photographs of held-out cameras, named after everything was learned at the others: does an adapter that is "
        "written from a camera's empty pictures help, and what else would?",
        measure,
        tables,
        figures,
        findings,
        trains=True,
        depends=(),
    ),
)
