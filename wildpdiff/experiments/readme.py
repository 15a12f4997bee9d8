"""The README's results table, made from the bundle's figures and a stored run of `wildpdiff bench --json`."""

from __future__ import annotations

from typing import Any

from ..evaluate import mean_interval

#: The paper's figures beside ours: Tables 2 (regime H) and 3, and the size that section 4.3 gives; percent and numbers.
PAPER = {"pretrained": 71.0, "fine_tuned": 96.2, "generated": 95.4, "gap": -0.86, "unseen": 86.6, "unseen_generated": 85.3}
PAPER_SIZE = "282.42M"


def results_table(manifest: dict[str, Any], bench: dict[str, Any]) -> str:
    """Markdown: ours, the paper's, the command that measures it, and minutes on two CPU cores.

    Intervals are 95% bootstrap intervals of a mean over locations.
    """
    figures = manifest["figures"]
    count = len(figures["locations"])
    train = f"`wildpdiff train --recipe {manifest['recipe']} --out DIR`"
    seen, unseen = "`wildpdiff evaluate --locations seen --crossed`", "`wildpdiff evaluate --locations unseen`"
    adapters = sum(row["generated"]["n"] for row in figures["locations"].values())
    crossed = figures["crossed"]
    lines = [
        "| what | ours | paper | command | minutes |",
        "|---|---|---|---|---|",
        f"| the bundle, from nothing | | | {train} | {sum(manifest['seconds'].values()) / 60:.0f} |",
        f"| pretrained, mean of {count} seen locations | {_mean(figures, 'pretrained')} | {PAPER['pretrained']} | {seen} | 4 |",
        f"| fine-tuned | {_mean(figures, 'fine_tuned')} | {PAPER['fine_tuned']} | same | |",
        f"| fine-tuned, through the codec alone | {_mean(figures, 'codec')} | | same | |",
        f"| the same through a PCA codec of the same size | {_mean(figures, 'pca_codec')} | | same | |",
        f"| **generated** ({adapters} adapters, no training) | **{_mean(figures, 'generated')}** | {PAPER['generated']} | same | |",
        f"| generated minus fine-tuned, points | {_gap(figures, 'fine_tuned')} | {PAPER['gap']} | same | |",
        f"| generated minus pretrained, points | {_gap(figures, 'pretrained')} | | same | |",
        f"| another location's condition costs, points | {_signed(crossed['mean_drop'], crossed['interval'])} | | same | |",
        f"| {len(figures['unseen'])} unseen locations, pretrained | {_unseen(figures, 'pretrained')} | {PAPER['unseen']} | {unseen} | 1 |",
        f"| {len(figures['unseen'])} unseen locations, generated | {_unseen(figures, 'generated')} | {PAPER['unseen_generated']} | same | |",
        f"| numbers in the generator | {bench['generator_parameters'] / 1e6:.2f}M | {PAPER_SIZE} | `wildpdiff bench` | 1 |",
        f"| one adapter (DDIM, 50 steps) over one fine-tuning step of batch 16 | {bench['generate_over_fine_tune_step']:.2f} | | same | |",
        f"| images a second with a swapped adapter over plain timm | {bench['evaluate']['ratio']:.2f} | | same | |",
    ]  # fmt: skip
    return "\n".join(lines)


def _values(rows: dict[str, Any], column: str) -> list[float]:
    return [100 * (row[column]["mean"] if isinstance(row[column], dict) else row[column]) for row in rows.values()]


def _with_interval(values: list[float], form: str) -> str:
    low, high = mean_interval(values)
    return f"{sum(values) / len(values):{form}} ({low:{form}} to {high:{form}})"


def _mean(figures: dict[str, Any], column: str) -> str:
    return _with_interval(_values(figures["locations"], column), ".1f")


def _unseen(figures: dict[str, Any], column: str) -> str:
    return _with_interval(_values(figures["unseen"], column), ".1f")


def _gap(figures: dict[str, Any], column: str) -> str:
    pairs = zip(_values(figures["locations"], "generated"), _values(figures["locations"], column), strict=True)
    return _with_interval([generated - other for generated, other in pairs], "+.2f")


def _signed(value: float, interval: list[float]) -> str:
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
