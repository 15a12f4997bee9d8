"""The card of a bundle: what it is, how good it is and where, what it does not say, and whose data it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import wilson
from ..experiments.result import stored_result
from ..files import header
from ..measure.statistics import points
from ..network.makers import published_name
from ..own import held_out
from ..own.held_out import rows as cameras
from ..reproduce import EXPERIMENTS
from ..unseen import study as unseen
from ..unseen.told import rows as places
from ..worlds.stored import FILE as PHOTOGRAPHS

#: Columns of the table of accuracies, by their names in a bundle's figures.
WAYS = {"pretrained": "pretrained", "fine_tuned": "fine-tuned there", "generated": "generated"}
#: The hub's own names of licences that data may have; any other text is one that the hub calls `other`.
LICENCES = ("apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-sa-4.0", "cc0-1.0")
TAGS = ["lora", "diffusion", "weight-space", "camera-trap", "wildpdiff"]
#: Of the pictures that the program draws, and of whatever learned from them alone.
DRAWN = "apache-2.0"


def card_of(bundle: Bundle, address: str, *, data_licence: str = "") -> str:
    """The card of a bundle: front matter as the hub reads it, then Markdown.

    Args:
        bundle: whose card it is.
        address: `hf-hub:owner/name`, by which it can be opened.
        data_licence: of the photographs that it learned from, in the owner's words; a world that a program draws needs
            none.

    Raises:
        UserError: if the licence is missing or takes more than one line.
    """
    licence = _licence(bundle, data_licence)
    text = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    cells = _cells(bundle)
    body = text.format(
        title=address.rpartition("/")[2].partition("@")[0],
        address=address,
        architecture=bundle.described.architecture,
        classes=len(bundle.described.species),
        seen=len(bundle.seen),
        accuracy=_accuracy(bundle, cells),
        never_seen=_never_seen(bundle),
        about=" ".join((bundle.world.about, *_carried(bundle))),
        caution=bundle.world.caution,
        images=_span(cell["images"] for cell in cells.values()),
        licence=_owned(bundle, licence),
    )
    return f"---\n{_front(bundle, address, licence, cells)}\n---\n{body}"


def _licence(bundle: Bundle, told: str) -> str:
    if bundle.world.portable and not told:
        return DRAWN
    if not told.strip() or "\n" in told or len(told) > 200:
        raise UserError(
            "This bundle learned from somebody's photographs; say in one line what may be done with them, "
            "as in --data-licence CC-BY-4.0."
        )
    return told.strip()


def _owned(bundle: Bundle, licence: str) -> str:
    """The licence in a sentence."""
    if bundle.world.portable and licence == DRAWN:
        return "The program drew all of its photographs; the bundle is under Apache-2.0, like the program."
    return f"Its owner says of the photographs that it learned from: {licence}"


def _front(bundle: Bundle, address: str, licence: str, cells: Mapping[str, Any]) -> str:
    """The card's metadata as YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    kind, known = bundle.world.kind, licence.lower() if licence.lower() in LICENCES else None
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type=kind,
            dataset_name=f"{kind}, location {name}",
            dataset_config=name,
            dataset_split="evaluation",
            metric_type="accuracy",
            metric_name=f"mean of generated adapters, {cell['images']} photographs",
            metric_value=round(cell["generated"]["mean"], 4),
        )
        for name, cell in cells.items()
        if "generated" in cell
    ]
    data = ModelCardData(
        license=known or "other",
        license_name=None if known else re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-"),
        library_name="wildpdiff",
        pipeline_tag="image-classification",
        tags=TAGS,
        base_model=_base(bundle),
        model_name=address.rpartition("/")[2].partition("@")[0] if results else None,
        eval_results=results or None,
    )
    return data.to_yaml()


def _base(bundle: Bundle) -> str | None:
    """The published weights that the classifier started from; None if it learned from nothing, or from a file."""
    weights = (bundle.manifest.get("recipe") or {}).get("weights")
    return published_name(bundle.described.architecture) if weights == "imagenet" else None


def _cells(bundle: Bundle) -> dict[str, Any]:
    """Accuracies by location, of the regime that the bundle begins with: those of a stored table 2, which has
    intervals, else those that were measured when it was made."""
    stored = _stored(bundle, "table2")
    own = (stored or {}).get("regimes", {}).get(bundle.regime)
    if own:
        return {name: cell | {"images": cell["generated"]["images"]} for name, cell in own["locations"].items()}
    return dict(bundle.figures(bundle.regime).get("locations", {}))


def _stored(bundle: Bundle, name: str) -> dict[str, Any] | None:
    """The data of a result that the bundle stores; None if there is none, or it is of other parts than the bundle's."""
    try:
        return stored_result(bundle, EXPERIMENTS[name]).data
    except UserError:
        return None


def _accuracy(bundle: Bundle, cells: Mapping[str, Any]) -> str:
    if not cells:
        return "Nothing was measured of it."
    rows = [
        (name, cell["images"], *(_share(cell.get(way), cell["images"]) for way in WAYS)) for name, cell in cells.items()
    ]
    table = _table(("location", "photographs", *WAYS.values()), rows)
    note = bundle.variant(bundle.regime).note
    return f"Percent of photographs named rightly, with 95% intervals (regime {bundle.regime}: {note})\n\n{table}"


def _share(cell: Any, images: int) -> str:
    """An accuracy as text: with the interval that it was stored with, or else that of its photographs alone."""
    if cell is None:
        return "–"
    if not isinstance(cell, dict):
        cell = {"mean": cell, "n": 1}
    if "low" not in cell:
        low, high = wilson(round(cell["mean"] * images), images)
        cell = cell | {"low": low, "high": high}
    return points(cell) + (f", {cell['n']} adapters" if cell["n"] > 1 else "")


def _never_seen(bundle: Bundle) -> str:
    """What was measured at places that nothing was trained at: of a drawn world's, and of an owner's own cameras."""
    name, rows = (unseen.STUDY, places) if bundle.world.portable else (held_out.STUDY, cameras)
    data = _stored(bundle, name)
    if data is None:
        return "Nothing was measured at other places than the locations above."
    return _table(("what", "percent, with 95% intervals"), ((what, ours) for what, ours, _ in rows(data)))


def _carried(bundle: Bundle) -> Iterator[str]:
    """What of somebody's photographs lies in the bundle, for all to see who may read it."""
    if kept := photographs(bundle):
        yield f"The bundle holds {kept:,} of the photographs."


def photographs(bundle: Bundle) -> int:
    """How many photographs of somebody's cameras lie in the bundle."""
    if PHOTOGRAPHS not in bundle.manifest["files"]:
        return 0
    return sum(bool(re.search(r"/(eval|background)/\d+$", name)) for name in header(bundle.folder / PHOTOGRAPHS)[0])


def _span(counts: Iterable[int]) -> str:
    own = sorted(set(counts)) or [0]
    return f"{own[0]}" if len(own) == 1 else f"{own[0]} to {own[-1]}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    return "\n".join(_lines(head, rows))


def _lines(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |"
