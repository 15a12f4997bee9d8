"""Results as the sentences and figures of the page; no gradio."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import plots
from .setting import Bar, Known, Live, Result, Upload
from .studio import Studio

OWN = "own"
"""The picker's name for an uploaded background."""


def picture_uri(picture: Tensor, *, width: int) -> str:
    """A picture, uint8 `[3, H, W]`, as a JPEG data address at most `width` pixels wide."""
    image = Image.fromarray(picture.permute(1, 2, 0).to(torch.uint8).numpy())
    image.thumbnail((width, width))
    stream = BytesIO()
    image.save(stream, "JPEG", quality=84)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def places(studio: Studio) -> list[dict[str, str]]:
    """All locations, as the picker shows them."""
    shown = []
    for name in studio.locations:
        kind = "seen" if name in studio.bundle.seen else "unseen"
        note = (
            ""
            if kind == "seen"
            else "Unseen: the generator never met this location; expect about the pretrained accuracy."
        )
        title = name if kind == "seen" else f"{name} (unseen)"
        src = picture_uri(studio.bundle.pictures[name], width=420)
        shown.append(
            {"name": name, "short": name, "label": title, "title": title, "kind": kind, "src": src, "note": note}
        )
    return shown


def own_place(upload: Upload) -> dict[str, str]:
    """An upload, as the picker shows it."""
    near = ", ".join(f"{name} {similarity:.2f}" for name, similarity in upload.nearest)
    note = (
        f"Looks most like {near} (cosine of the pictures). No accuracy is claimed for a place without labelled photos."
    )
    src = picture_uri(upload.picture, width=256)
    return {
        "name": OWN,
        "short": "yours",
        "label": upload.name,
        "title": upload.name,
        "kind": "own",
        "src": src,
        "note": note,
    }


def bars_figure(result: Result) -> dict[str, Any]:
    """The accuracy bars."""
    columns = [
        plots.Column(bar.location, bar.pretrained, bar.fine_tuned, bar.own, _measured(bar)) for bar in result.bars
    ]
    chosen = _chosen(result)
    return plots.accuracy_bars(columns, chosen, live=result.rows is not None) | {"stage": result.stage}


def map_figure(known: Known, result: Result, trail: list[plots.Point]) -> dict[str, Any]:
    """The map with this session's trail."""
    figure = plots.weight_map(known.locations, known.points, known.index, result.points, trail, _chosen(result))
    return figure | {"stage": result.stage}


def heat_figure(known: Known, result: Result) -> dict[str, Any]:
    """The cosine heat map."""
    return plots.alike_heat(known.locations, known.alike, result.alike) | {"stage": result.stage}


def sentence(studio: Studio, result: Result) -> dict[str, Any]:
    """The result in one sentence, for `ResultLine`."""
    if result.rows is None:
        return _known_sentence(studio)
    setting, (a, b) = result.setting, result.setting.names
    parts = [_part(a if a == b else f"{a} → {b}, weight {setting.weight:.2f}", strong=True)]
    parts += [_part(_share(bar), strong=True) for bar in result.bars if bar.live and bar.location in _chosen(result)]
    parts += [_part(text) for text in _cosines(studio, result)]
    if setting.upload_a or setting.upload_b:
        parts.append(_part("no accuracy is claimed for your picture itself"))
    more = f"{setting.samples} samples from seed {setting.seed}" if setting.samples > 1 else f"seed {setting.seed}"
    parts += [_part(more), _part(f"{result.seconds:.1f} s")]
    done = result.stage == "done"
    return {"badge": "live" if done else "measuring …", "kind": "live", "parts": parts, "final": done}


def waiting() -> dict[str, Any]:
    """What `ResultLine` says while the bundle is being opened."""
    return {
        "badge": "opening",
        "kind": "known",
        "parts": [_part("The classifier and the generator are being opened …")],
    }


def problem(text: str) -> dict[str, Any]:
    """A sentence that says what went wrong, for `ResultLine`."""
    return {"badge": "not done", "kind": "problem", "parts": [_part(text)], "final": True}


def _known_sentence(studio: Studio) -> dict[str, Any]:
    mean = studio.bundle.figures(studio.bundle.regime).get("mean", {})
    parts = [_part("Each location's own generated adapter, measured when this bundle was made", strong=True)]
    named = (("pretrained", "pretrained"), ("fine_tuned", "fine-tuned"), ("generated", "generated"))
    parts += [_part(f"{word} {mean[key]:.0%}") for key, word in named if isinstance(mean.get(key), float)]
    parts.append(_part("move the slider to have a new one written now"))
    return {"badge": "precomputed", "kind": "known", "parts": parts, "final": True}


def _part(text: str, *, strong: bool = False) -> dict[str, Any]:
    return {"text": text, "strong": strong}


def _chosen(result: Result) -> list[str]:
    setting = result.setting
    return [setting.a] * (setting.upload_a is None) + [setting.b] * (setting.upload_b is None)


def _share(bar: Bar) -> str:
    live: Live | None = bar.live
    return f"{bar.location} {live.share:.0%} ({live.right}/{live.count})" if live else bar.location


def _cosines(studio: Studio, result: Result) -> list[str]:
    seen = studio.bundle.seen
    chosen = [name for name in dict.fromkeys(_chosen(result)) if name in seen]
    return [f"cosine to {name} {result.alike[seen.index(name)]:.3f}" for name in chosen]


def _measured(bar: Bar) -> plots.Measured | None:
    live = bar.live
    if live is None:
        return None
    low, high = live.interval
    return plots.Measured(live.share, min(low, live.share), max(high, live.share), live.right, live.count, live.shares)
