"""Results and what is known beforehand as plain JSON for the browser; no gradio."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..experiments.result import stored_result
from ..paper.curves import CURVES, SEED, STEPS, WEIGHTS
from ..pdiff.stored import names as pdiff_names
from ..plots.common import SHAPES
from .setting import Live, Result

Json = dict[str, Any]
#: All tabs of the page, in their order.
TABS = ("play", "watch", "unseen", "probe", "pdiff", "learn")
#: Photographs by which a live count may differ from the stored one before the page says so: another order of additions
#: on another processor can turn a prediction that stands on the edge.
TOLERANCE = 1


def picture_uri(picture: Tensor, *, width: int, quality: int = 82) -> str:
    """A picture, uint8 `[3, H, W]`, as a JPEG data address at most `width` pixels wide."""
    image = Image.fromarray(picture.permute(1, 2, 0).to(torch.uint8).numpy())
    image.thumbnail((width, width))
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def answer(result: Result, stamp: float, seen: tuple[str, ...]) -> Json:
    """One frame for `wpd.receive`; `stamp` names the wish that it answers."""
    alike = {name: round(value, 5) for name, value in zip(seen, result.alike, strict=True)}
    live = {name: _counts(found) for name, found in result.live.items()}
    return {
        "stamp": stamp,
        "stage": result.stage,
        "live": live,
        "alike": alike,
        "seconds": round(result.seconds, 2),
        "note": result.note,
    }


def failure(text: str, stamp: float) -> Json:
    """A frame that says in one sentence what went wrong."""
    return {"stamp": stamp, "stage": "failed", "problem": text}


def _counts(live: Live) -> Json:
    shares = [round(share, 4) for share in live.shares]
    return {"right": live.right, "count": live.count, "shares": shares}


def table(bundle: Bundle, presets: list[Json]) -> Json:
    """All that the page shows before anything is computed: places with pictures, stored curves, measured figures."""
    stored = curves(bundle)
    return {
        "places": places(bundle),
        "regime": bundle.regime,
        "regimes": list(bundle.regimes),
        "ways": list(bundle.ways),
        "about": {own.regime: {"label": own.label, "note": own.note} for own in bundle.variants},
        "species": list(bundle.world.species),
        "shapes": list(SHAPES),
        "known": {regime: _figures(bundle, regime) for regime in bundle.regimes},
        "presets": presets,
        "tabs": list(tabs(bundle)),
        "tolerance": TOLERANCE,
    } | stored


def tabs(bundle: Bundle) -> tuple[str, ...]:
    """The tabs of the page: that of p-diff where the bundle has a system to show."""
    return tuple(tab for tab in TABS if tab != "pdiff" or pdiff_names(bundle))


def curves(bundle: Bundle) -> Json:
    """The stored counts along all blends (`paper.curves`); none, but a `problem` in words, if none can be shown."""
    try:
        return dict(stored_result(bundle, CURVES).data)
    except UserError as error:
        nothing = {"images": 0, "seed": SEED, "steps": STEPS, "pretrained": {}, "curves": {}}
        return {"weights": list(WEIGHTS), "problem": str(error)} | nothing


def places(bundle: Bundle) -> list[Json]:
    """All locations to choose from, seen ones first, as the page shows them."""
    names = (*bundle.seen, *bundle.unseen)
    return [_place(bundle, name, index) for index, name in enumerate(names)]


def _place(bundle: Bundle, name: str, index: int) -> Json:
    seen = name in bundle.seen
    note = "" if seen else "Unseen: no adapter was fine-tuned here."
    src = picture_uri(bundle.pictures[name], width=320, quality=76)
    return {
        "name": name,
        "short": name,
        "title": name if seen else f"{name} (unseen)",
        "kind": "seen" if seen else "unseen",
        "index": index,
        "src": src,
        "note": note,
    }


def _figures(bundle: Bundle, regime: str) -> Json:
    """Mean accuracies that were measured when the bundle was made, by location."""
    figures = bundle.figures(regime)
    found = {}
    for name, known in {**figures.get("locations", {}), **figures.get("unseen", {})}.items():
        tuned, own = known.get("fine_tuned") or {}, known.get("generated") or {}
        found[name] = {"images": known.get("images"), "pretrained": known.get("pretrained")}
        found[name] |= {"fine_tuned": tuned.get("mean"), "generated": own.get("mean"), "spread": _spread(figures, name)}
    return found


def _spread(figures: Json, name: str) -> Json:
    """How far samples lie apart over how far held-out rows do, by way; nothing where it was not measured."""
    kinds = figures.get("fidelity", {}).get("locations", {}).get(name, {}).get("held_out", {})
    return {
        way: kinds[kind]["spread_raw"] for way, kind in (("ours", "generated"), ("paper", "paper")) if kind in kinds
    }
