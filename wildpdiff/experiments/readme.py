"""The README's results table, made from the bundle's figures and a stored run of `wildpdiff bench --json`."""

from __future__ import annotations

from typing import Any

from ..evaluate import mean_interval

#: The paper's figures beside ours, percent: Tables 2 (regime H) and 3; and the size that section 4.3 gives.
PAPER = {"pretrained": 71.0, "fine_tuned": 96.2, "generated": 95.4, "gap": -0.86}
PAPER_UNSEEN = {"pretrained": 86.6, "generated": 85.3}
PAPER_SIZE = "282.42M"


def results_table(manifest: dict[str, Any], bench: dict[str, Any]) -> str:
    """Markdown: ours, the paper's, the command that measures it, and minutes on two CPU cores.

    Intervals are 95% bootstrap intervals of a mean over locations.
    """
    lines = ["| what | ours | paper | command | minutes |", "|---|---|---|---|---|"]
    rows = [*_made(manifest), *_seen(manifest["figures"]), *_at_unseen(manifest["figures"]), *_speed(bench)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def _made(manifest: dict[str, Any]) -> list[tuple[object, ...]]:
    minutes = sum(manifest["seconds"].values()) / 60
    return [
        (
            "the bundle, from nothing",
            "",
            "",
            f"`wildpdiff train --recipe {manifest['recipe']} --out DIR`",
            f"{minutes:.0f}",
        )
    ]


def _seen(figures: dict[str, Any]) -> list[tuple[object, ...]]:
    rows = figures["locations"]
    images = sorted({row["images"] for row in rows.values()})
    adapters = sum(row["generated"]["n"] for row in rows.values())
    command, crossed = "`wildpdiff evaluate --crossed`", figures["crossed"]
    first = f"pretrained, mean of {len(rows)} seen locations, {images[0]} images each"
    return [
        (first, _mean(rows, "pretrained"), PAPER["pretrained"], command, 3),
        ("fine-tuned there", _mean(rows, "fine_tuned"), PAPER["fine_tuned"], "same", ""),
        ("fine-tuned, through our codec alone", _mean(rows, "codec"), "", "same", ""),
        ("fine-tuned, through a PCA codec of the same size", _mean(rows, "pca_codec"), "", "same", ""),
        (f"**generated**, {adapters} adapters", f"**{_mean(rows, 'generated')}**", PAPER["generated"], "same", ""),
        ("generated from one new picture of the place each", _mean(rows, "one_picture"), "", "same", ""),
        ("generated minus fine-tuned, points", _gap(rows, "fine_tuned"), PAPER["gap"], "same", ""),
        ("generated minus pretrained, points", _gap(rows, "pretrained"), "", "same", ""),
        (
            "another location's condition costs, points",
            _signed(crossed["mean_drop"], crossed["interval"]),
            "",
            "same",
            "",
        ),
    ]


def _at_unseen(figures: dict[str, Any]) -> list[tuple[object, ...]]:
    rows = figures["unseen"]
    first, command = f"pretrained, {len(rows)} unseen locations", "`wildpdiff evaluate --locations unseen`"
    return [
        (first, _mean(rows, "pretrained"), PAPER_UNSEEN["pretrained"], command, 1),
        ("generated, the same locations", _mean(rows, "generated"), PAPER_UNSEEN["generated"], "same", ""),
    ]


def _speed(bench: dict[str, Any]) -> list[tuple[object, ...]]:
    step, swapped = bench["generate_over_fine_tune_step"], bench["evaluate"]["ratio"]
    numbers = f"{bench['generator_parameters'] / 1e6:.2f}M"
    return [
        ("numbers in the generator", numbers, PAPER_SIZE, "`wildpdiff bench`", 1),
        ("one adapter (DDIM, 50 steps) over one fine-tuning step of batch 16", f"{step:.2f}", "", "same", ""),
        ("images a second with a swapped adapter over plain timm", f"{swapped:.2f}", "", "same", ""),
    ]


def _values(rows: dict[str, Any], column: str) -> list[float]:
    return [100 * (row[column]["mean"] if isinstance(row[column], dict) else row[column]) for row in rows.values()]


def _with_interval(values: list[float], form: str) -> str:
    low, high = mean_interval(values)
    return f"{sum(values) / len(values):{form}} ({low:{form}} to {high:{form}})"


def _mean(rows: dict[str, Any], column: str) -> str:
    return _with_interval(_values(rows, column), ".1f")


def _gap(rows: dict[str, Any], column: str) -> str:
    pairs = zip(_values(rows, "generated"), _values(rows, column), strict=True)
    return _with_interval([generated - other for generated, other in pairs], "+.2f")


def _signed(value: float, interval: list[float]) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
