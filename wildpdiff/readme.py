"""The README's results table, made from the stored experiments and a stored run of `wildpdiff bench --json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .bundle import Bundle
from .experiments.lab import Data
from .experiments.result import RESULTS, Result, stored_result
from .measure.statistics import points
from .own import held_out
from .paper import NUMBERS, column_means, table2
from .paper.figure7 import MEANING
from .pdiff.study import rows as pdiff
from .reproduce import EXPERIMENTS
from .unseen import study as unseen
from .unseen.told import rows as never_seen

Row = tuple[object, ...]
#: What else is typed for a study that trains.
LONG_OF = {
    held_out.STUDY: " --retrain --bundle runs/mine --run runs/mine",
    unseen.STUDY: " --retrain --run runs/unseen",
}
#: Generated adapters a cell where no other number is asked for.
FULL = 100


def results_table(bundle: Bundle, bench: dict[str, Any]) -> str:
    """Markdown: ours, the paper's, the command that measures it, and minutes on two CPU cores.

    Three figures with strokes between them stand for the regimes L / M / H; brackets hold 95% intervals.

    Raises:
        UserError: if a result that the bundle stores was measured on other parts than the bundle's.
    """
    lines = ["| what | ours | paper | command | minutes |", "|---|---|---|---|---|"]
    parts = {
        "table1": _unconditional,
        "figure5": _novelty,
        "table2": _seen,
        "fidelity": _samples,
        "slider": _path,
        "figure7": _middle,
        "figure6": _likeness,
        "table3": _unseen,
        unseen.STUDY: never_seen,
        held_out.STUDY: held_out.rows,
        "pdiff-table2": pdiff.systems,
        "pdiff-table2-slow": pdiff.systems,
        "pdiff-table2-slowest": pdiff.systems,
        "pdiff-table1": pdiff.systems,
        "pdiff-table1-slow": pdiff.systems,
        "pdiff-table1-slowest": pdiff.systems,
        "pdiff-recipe": pdiff.checkpoints,
        "pdiff-table13": pdiff.memory,
    }
    rows = [*_made(bundle.manifest)]
    for name, part in parts.items():
        if f"{RESULTS}/{name}.json" in bundle.manifest["files"]:
            result = stored_result(bundle, EXPERIMENTS[name])
            rows += _commanded(result, part(result.data))
    rows += _crossed(bundle.manifest)
    rows += _speed(bench)
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _commanded(result: Result, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows of one experiment, the first with its command and minutes."""
    some = "" if result.quick or result.samples == FULL else f" --samples {result.samples}"
    study = result.name.startswith("pdiff-")
    # Without these, it is only read.
    long = LONG_OF.get(result.name, " --retrain" if study else "")
    typed = f"`wildpdiff reproduce {result.name}{' --quick' if result.quick else long or some}`"
    minutes = pdiff.minutes(result.data, result.seconds) if study else result.seconds / 60
    command: tuple[object, object] = (typed, f"{minutes:.0f}")
    for row in rows:
        yield (*row, *command)
        command = ("same", "")


def _made(manifest: dict[str, Any]) -> list[Row]:
    minutes = sum(manifest["seconds"].values()) / 60
    return [
        (
            "the bundle, from nothing",
            "",
            "",
            f"`wildpdiff train --recipe {manifest['recipe']['name']}`",
            f"{minutes:.0f}",
        )
    ]


def _unconditional(data: Data) -> Iterator[Row]:
    for interval, cell in data["intervals"].items():
        tuned, made = NUMBERS["table1"]["interval"][interval]
        what = f"{data['location']} alone, no condition, interval {interval}: fine-tuned; generated"
        yield what, f"{points(cell['fine_tuned'])}; {points(cell['generated'])}", f"{tuned}; {made}"


def _novelty(data: Data) -> Iterator[Row]:
    found = data["intervals"]["100"]["generated"]
    cosine = sum(found["cosine"]) / len(found["cosine"])
    apart = sum(found["distance"]) / len(found["distance"])
    yield "interval 100: largest cosine to a training row", f"{cosine:.4f}", NUMBERS["figure5"]["cosine"]
    yield "the same, as distance over the mean distance of training rows", f"{apart:.2f}", ""


def _seen(data: Data) -> Iterator[Row]:
    regimes = data["regimes"]
    one = next(iter(regimes.values()))
    count, images = len(one["locations"]), next(iter(one["locations"].values()))["generated"]["images"]
    for way in ("pretrained", "fine_tuned", "codec", "generated", "ensemble", "joint"):
        paper = {"pretrained": f"{column_means(NUMBERS['table8'])[0]:.1f}"} | _paper()
        mark = "**" if way == "generated" else ""
        where = f", {count} seen locations, {images} images each" if way == "pretrained" else ""
        yield f"{mark}{table2.WAYS[way]}{mark}{where}", f"{mark}{_over(regimes, way)}{mark}", paper.get(way, "")
    gaps = " / ".join(points(part["mean"]["gap"], signed=True) for part in regimes.values())
    spreads = " / ".join(f"{_std_ratio(part):.2f}" for part in regimes.values())
    yield "standard deviation of accuracy, generated over fine-tuned", spreads, NUMBERS["spread"]["accuracy"]
    yield "generated minus fine-tuned, points", gaps, " / ".join(map(table2.paper_gap, NUMBERS["table2"]))


def _std_ratio(part: Data) -> float:
    """Mean over locations of the standard deviation over adapters, generated over that of fine-tuned ones."""
    made, tuned = (sum(cell[way]["std"] for cell in part["locations"].values()) for way in ("generated", "fine_tuned"))
    return made / tuned if tuned else 0.0


def _paper() -> dict[str, str]:
    columns = zip(*map(column_means, NUMBERS["table2"].values()), strict=True)
    shown = (" / ".join(f"{mean:.1f}" for mean in means) for means in columns)
    return dict(zip(("fine_tuned", "generated"), shown, strict=True))


def _over(regimes: Data, way: str) -> str:
    return " / ".join(f"{100 * part['mean'][way]['mean']:.1f}" for part in regimes.values())


def _samples(data: Data) -> Iterator[Row]:
    count = data["samples"]

    def cells(kind: str, key: str, group: str = "held_out") -> str:
        return " / ".join(f"{part['mean'][group][kind][key]:.2f}" for part in data["regimes"].values())

    def worst(key: str, pick: Callable[[list[float]], float]) -> str:
        parts = data["regimes"].values()
        each = ([cell["held_out"]["generated"][key] for cell in part["locations"].values()] for part in parts)
        return " / ".join(f"{pick(values):.2f}" for values in each)

    yield f"spread of {count} samples a location over that of held-out rows", cells("generated", "spread_raw"), ""
    yield "the same, least and most by location", f"{worst('spread_raw', min)}; {worst('spread_raw', max)}", ""
    yield "the same of the paper's plain form, as we train it", cells("paper", "spread_raw"), ""
    yield (
        "energy distance to held-out rows; its floor",
        f"{cells('generated', 'energy')}; {cells('floor', 'energy')}",
        "",
    )
    yield "nearest training row, over that of held-out rows", cells("generated", "nearest"), ""
    tests = f"{cells('generated', 'one_nn')}; {cells('generated', 'logistic')}"
    yield "told apart from held-out rows by 1-NN; by logistic regression (0.5: not)", tests, ""
    floor = f"{cells('generated', 'energy', 'other_runs')}; {cells('floor', 'energy', 'other_runs')}"
    yield "energy distance to runs never seen; that of the training runs", floor, ""
    kept = ([cell["codec"]["held_out"] for cell in part["locations"].values()] for part in data["regimes"].values())
    yield (
        "share of held-out rows' mean distance that the codec keeps",
        " / ".join(f"{sum(values) / len(values):.2f}" for values in kept),
        "",
    )


def _path(data: Data) -> Iterator[Row]:
    for way, words in (("ours", "generated"), ("paper", "the paper's plain form")):
        for key, what in (("largest", "largest of 20 steps"), ("length", "path")):
            shown = []
            for regime in dict.fromkeys(cell["regime"] for cell in data["cells"]):
                cells = [cell for cell in data["cells"] if (cell["regime"], cell["way"]) == (regime, way)]
                shown.append(f"{max(cell[key] for cell in cells):.2f}")
            yield f"slider, {words}: {what} over the distance of its ends, worst of 45 pairs", " / ".join(shown), ""


def _middle(data: Data) -> Iterator[Row]:
    parts = [part for part in data["summary"] if part["group"] == "held out"]
    for way in ("ours", "curve", "paper", "weights", "products", "joint", "own"):
        shares = " / ".join(f"{100 * part['weaker'][way]['mean']:.1f}" for part in parts)
        yield f"half-way, weaker of both, 15 held-out pairs: {MEANING[way]}", shares, ""
    gains = " / ".join(points(part["ours_minus"][part["best"]], signed=True) for part in parts)
    yield "ours minus the best of ensemble, products and the paper's plain form, points", gains, ""


def _likeness(data: Data) -> Iterator[Row]:
    for what, paper in (("factors", " / ".join(NUMBERS["figure6"].values())), ("products", "")):
        shown = " / ".join(f"{part['across'][what]['mean']:.2f}" for part in data["regimes"].values())
        yield f"cosine of {what} across locations", shown, paper


def _unseen(data: Data) -> Iterator[Row]:
    means = column_means(NUMBERS["table3"])
    yield f"pretrained, {len(data['shared'])} unseen locations", points(data["mean"]["pretrained"]), f"{means[0]:.1f}"
    paper = " / ".join(f"{mean:.1f}" for mean in means[1:])
    yield "generated, the same locations", _over(data["regimes"], "generated"), paper
    yield "one adapter trained on all ten, unchanged", points(data["mean"]["joint"]), ""


def _crossed(manifest: dict[str, Any]) -> list[Row]:
    crossed = manifest["figures"]["H"]["crossed"]
    low, high = (100 * value for value in crossed["interval"])
    cost = f"{100 * crossed['mean_drop']:.1f} ({low:.1f} to {high:.1f})"
    return [("another location's condition costs, points, H", cost, "", "`wildpdiff evaluate --crossed`", 2)]


def _speed(bench: dict[str, Any]) -> list[Row]:
    step, swapped = bench["generate_over_fine_tune_step"], bench["evaluate"]["ratio"]
    numbers = f"{bench['generator_parameters'] / 1e6:.2f}M"
    return [
        ("numbers in a generator", numbers, NUMBERS["generator"]["size"], "`wildpdiff bench`", 1),
        ("one adapter (DDIM, 50 steps) over one fine-tuning step of batch 16", f"{step:.2f}", "", "same", ""),
        ("images a second with a swapped adapter over plain timm", f"{swapped:.2f}", "", "same", ""),
    ]
