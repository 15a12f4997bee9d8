"""What will go wrong before any diffusion: scale by layer, what the codec loses, accuracy through it, distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..fidelity import distances
from ..generator.codec import LinearCodec, LinearCodecConfig
from .patient import Patient, patient_in

Data = dict[str, Any]
#: Rows that accuracy is measured with.
MEASURED = 20
#: Share of answers in which two checkpoints should differ at least.
FEW = 0.002


def examine(folder: Path, *, root: Path | None = None, device: str = "cpu") -> Data:
    """All findings as JSON: `numbers`, `layers`, `codec`, `distances`, `accuracy` and `differ` (or None: of selection
    pictures, the share that two checkpoints answer differently, right and wrong), and `findings` in sentences.

    Raises:
        UserError: if the folder has no checkpoints, or they do not belong together.
    """
    patient = patient_in(Path(folder), root, device)
    right = rights(patient)
    found: Data = {
        "numbers": {"rows": len(patient.rows), "dim": patient.layout.dim, "runs": int(patient.run.unique().numel())},
        "layers": layers(patient),
        "codec": codec(patient),
        "distances": apart(patient),
        "accuracy": None if right is None else {name: float(own.float().mean()) for name, own in right.items()},
        "differ": None if right is None else disagreement(right["held_out"]),
        "missing": patient.missing,
    }
    return found | {"findings": findings(found)}


def layers(patient: Patient) -> list[Data]:
    """By layer: how far rows move there (root mean square over the rows), relative to its weights, and its share of all
    variance."""
    moved = (patient.rows - patient.rows.mean(dim=0)).square().mean(dim=0)
    total = float(moved.sum().clamp(min=1e-30))
    found = []
    for name, part in patient.layout.slices.items():
        own = float(patient.base[part].square().mean().sqrt()) if len(patient.base) else 0.0
        scale = float(moved[part].mean().sqrt())
        found.append(
            {
                "name": name,
                "numbers": part.stop - part.start,
                "scale": scale,
                "relative": scale / own if own > 0 else None,
                "share": float(moved[part].sum()) / total,
            }
        )
    return found


def codec(patient: Patient) -> Data:
    """What the codec loses of rows that it was fitted to, and of others: a share of their distance from the mean."""
    known, others = patient.rows[patient.shown], patient.rows[~patient.shown]
    made = LinearCodec(LinearCodecConfig(patient.layout.dim, min(patient.components, len(known) - 1)))
    made.fit(known)

    def lost(rows: Tensor) -> float:
        away = (rows - known.mean(dim=0)).norm(dim=1).clamp(min=1e-30)
        return float(((made.decode(made.encode(rows)) - rows).norm(dim=1) / away).mean())

    centred = known - known.mean(dim=0)
    squares = torch.linalg.eigvalsh((centred @ centred.mT).double()).clamp(min=0).flip(0)
    shares = squares.cumsum(0) / squares.sum().clamp(min=1e-30)
    return {
        "components": made.config.components,
        "known": lost(known),
        "held_out": lost(others),
        "for_90_percent": int((shares < 0.9).sum()) + 1,
    }


def apart(patient: Patient) -> Data:
    """Distances between rows: mean, to the nearest other, of held-out rows to the nearest known one, and between runs
    over within them."""
    gaps = distances(patient.rows, patient.rows)
    own = torch.eye(len(gaps), dtype=torch.bool)
    same = (patient.run[:, None] == patient.run) & ~own
    mean = float(gaps[~own].mean())
    between = gaps[patient.run[:, None] != patient.run]
    return {
        "mean": mean,
        "nearest": float(gaps.masked_fill(own, torch.inf).min(dim=1).values.mean()) / mean if mean else 0.0,
        "held_out": float(gaps[~patient.shown][:, patient.shown].min(dim=1).values.mean()) / mean if mean else 0.0,
        "between_runs": float(between.mean() / gaps[same].mean()) if len(between) and bool(same.any()) else None,
        "equal": int((gaps.masked_fill(own, torch.inf).min(dim=1).values == 0).sum()),
    }


def rights(patient: Patient) -> dict[str, Tensor] | None:
    """Which selection pictures are named correctly, bool `[N, M]`, by the base, by rows as they are, by held-out rows
    through the codec, and by the average; None if the network is not known."""
    system = patient.system
    if system is None:
        return None
    known, others = patient.rows[patient.shown], patient.rows[~patient.shown][:MEASURED]
    made = LinearCodec(LinearCodecConfig(patient.layout.dim, min(patient.components, len(known) - 1)))
    made.fit(known)
    images = system.measured_pictures.selection
    groups = {
        "base": torch.zeros(1, patient.layout.dim),
        "held_out": others,
        "codec": made.decode(made.encode(others)),
        "average": known.mean(dim=0, keepdim=True),
    }
    return {name: system.shared.correct(rows, images.pixels, images.labels) for name, rows in groups.items()}


def disagreement(right: Tensor) -> float:
    """Of M pictures, the share that one of two networks names correctly and the other does not; bool `[N, M]`, mean
    over all pairs."""
    share, count = right.double().mean(dim=0), len(right)
    return float((2 * share * (1 - share)).mean() * count / max(1, count - 1))


def findings(found: Data) -> list[str]:
    """What will go wrong, in sentences; one that says so if nothing will."""
    said = [*_of_layers(found["layers"]), *_of_codec(found["codec"]), *_of_distances(found["distances"])]
    if found["accuracy"] is not None:
        said += [*_of_accuracy(found["accuracy"]), *_of_answers(found["differ"])]
    if found["missing"]:
        said.append(found["missing"])
    return said or ["Nothing stands against learning from these checkpoints."]


def _of_layers(cells: list[Data]) -> list[str]:
    said, still = [], [cell["name"] for cell in cells if cell["scale"] == 0]
    if still:
        said.append(
            f"{len(still)} of {len(cells)} layers never move ({', '.join(still[:3])}); leave them out of a row."
        )
    top, total = max(cells, key=lambda cell: cell["share"]), sum(cell["numbers"] for cell in cells)
    if top["share"] > 0.5 and top["share"] > 10 * top["numbers"] / total:
        said.append(
            f"Layer '{top['name']}' has {top['numbers'] / total:.1%} of the numbers and {top['share']:.0%} of all "
            "variance; what the others do is lost on a codec that sees distances."
        )
    return said


def _of_codec(cell: Data) -> list[str]:
    if cell["held_out"] <= 0.5:
        return []
    return [
        f"Of held-out checkpoints the codec loses {cell['held_out']:.0%} of their distance from the mean: they lie in "
        "directions of their own, so take more checkpoints of fewer runs, or checkpoints of one start."
    ]


def _of_distances(cell: Data) -> list[str]:
    said = []
    if cell["equal"]:
        said.append(f"{cell['equal']} checkpoints have an equal one beside them; they add nothing.")
    elif cell["nearest"] < 0.05:
        said.append(
            f"Checkpoints lie {cell['nearest']:.3f} of their mean distance from the nearest other: near-copies; save "
            "at a longer interval, at a constant rate."
        )
    return said


def _of_accuracy(cell: Data) -> list[str]:
    said = []
    if cell["held_out"] - cell["codec"] > 0.01:
        said.append(
            f"Through the codec held-out checkpoints fall from {cell['held_out']:.1%} to {cell['codec']:.1%}: "
            "generated ones will not be better."
        )
    if cell["base"] - cell["held_out"] > 0.005:
        said.append(
            f"Checkpoints ({cell['held_out']:.1%}) are worse than the base that they started from ({cell['base']:.1%}"
            "): the rate of fine-tuning is too great."
        )
    if cell["held_out"] - cell["average"] > 0.1:
        said.append(
            f"The average of the checkpoints falls to {cell['average']:.1%}: they were not trained from one start, and "
            "what lies between them is no network."
        )
    return said


def _of_answers(differ: float) -> list[str]:
    if differ >= FEW:
        return []
    return [
        f"Two checkpoints differ in {differ:.2%} of their answers: whatever is generated will be as good as they are, "
        "and teach nothing; fine-tune at a greater rate, or for longer."
    ]


def as_text(found: Data) -> str:
    """For the terminal."""
    numbers, lost, gaps = found["numbers"], found["codec"], found["distances"]
    lines = [f"{numbers['rows']} checkpoints of {numbers['dim']:,} numbers from {numbers['runs']} runs"]
    lines += [f"{'layer':<40}{'numbers':>10}{'moves by':>12}{'of its size':>13}{'of variance':>13}"]
    for cell in found["layers"]:
        relative = "–" if cell["relative"] is None else f"{cell['relative']:.2%}"
        lines.append(
            f"{cell['name'][-40:]:<40}{cell['numbers']:>10,}{cell['scale']:>12.2e}{relative:>13}{cell['share']:>13.1%}"
        )
    lines.append(
        f"codec of {lost['components']}: loses {lost['known']:.1%} of known and {lost['held_out']:.1%} of held-out "
        f"checkpoints' distance from the mean; {lost['for_90_percent']} directions hold 90% of the variance"
    )
    lines.append(
        f"to the nearest other {gaps['nearest']:.3f}, of held-out to known {gaps['held_out']:.3f} of the mean distance"
        + ("" if gaps["between_runs"] is None else f"; between runs {gaps['between_runs']:.2f} of within them")
    )
    if (cell := found["accuracy"]) is not None:
        lines.append(
            "accuracy on the selection part: "
            + ", ".join(f"{name} {value:.1%}" for name, value in cell.items())
            + f"; two checkpoints differ in {found['differ']:.2%} of their answers"
        )
    return "\n".join([*lines, "", *found["findings"]])
