"""Pictures that show none of this world's places, and what the adapters that are written for them cost elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..evaluate import NONE, logits_by
from ..network.backbone import Backbone
from ..network.folded import Folded
from ..picture import read_picture, resized
from ..universal.gate import far_conditions
from ..universal.universal import Universal
from .site import Place

#: Pictures of a folder that count, and photographs of each place that they are held against.
MOST, PHOTOGRAPHS = 34, 40


def far_pictures(folder: Path, size: int) -> Tensor:
    """Noise, colours, stripes and ramps; and the first real photographs of a folder: uint8 `[F, 3, size, size]`."""
    found = [far_conditions(size)]
    for path in sorted(folder.glob("*"))[:MOST] if folder.is_dir() else ():
        try:
            found.append(resized(read_picture(path)[0], size, size)[None])
        except UserError:
            continue
    return torch.cat(found)


def far_gain(backbone: Backbone, universal: Universal, places: Sequence[Place], pictures: Tensor) -> Mapping[str, Any]:
    """What adapters for far pictures gain over pretrained, on average over places: points as shares.

    Args:
        backbone: the classifier.
        universal: what writes for them.
        places: to be served by mistake.
        pictures: uint8 `[F, 3, H, W]`.
    """
    shown = torch.cat([place.asked.pixels[:PHOTOGRAPHS] for place in places])
    labels = torch.cat([place.asked.labels[:PHOTOGRAPHS] for place in places])
    folded = Folded(backbone)
    plain = _right(logits_by(folded, NONE, shown), labels)
    joint = universal.model.joint.detach()
    closed = _right(logits_by(folded, joint, shown) + universal.model.usual, labels) - plain
    gains, trusts = [], []
    for picture in pictures:
        written = universal.write(universal.known(backbone, picture[None]))
        trusts.append(round(written.trust, 3))
        scores = None if written.trust == 0 else logits_by(folded, written.rows[0].detach(), shown)
        gains.append(closed if scores is None else _right(scores + written.log_prior[0], labels) - plain)
    return {
        "count": len(pictures), "places": len(places), "photographs": len(labels), "closed": trusts.count(0.0),
        "worst": min(gains), "mean": sum(gains) / len(gains), "trusts": trusts, "gains": [round(g, 4) for g in gains],
    }  # fmt: skip


def _right(scores: Tensor, labels: Tensor) -> float:
    return float((scores.argmax(dim=1) == labels).float().mean())
