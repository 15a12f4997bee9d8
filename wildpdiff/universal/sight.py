"""What U knows a place by: an embedding of pictures and of words that was trained on places drawn anew.

Pictures go through the frozen classifier; the means and spreads of its channels at several depths are what a small
network, the eye, turns into an embedding. Words are counted, alone and in pairs, and the ear adds up what each means.
Both learn to agree (as CLIP's two towers do), and the numbers that a world drew for a place are to be read from it.

Instead of a larger CLIP: trained on the same 5,000 places, a CLIP with a MobileNet as its picture tower put the caption
of a new place first in 25% after five minutes, this one in 45% after one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..condition.base import BATCH, OfViews, checked_backgrounds
from ..condition.preprocess import Preprocess
from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..network.backbone import Backbone

#: Horizontal bands in which features are averaged.
BANDS = 4
#: Standard deviations beyond which a feature is no stranger.
STRANGEST = 6.0
#: Words count alone and in pairs.
LONGEST = 2


class Sight(OfViews):
    """A `Condition` of pictures and words; see the module."""

    def __init__(self, backbone: Backbone, net: SightNet, *, size: int) -> None:
        """Put a trained network beside the classifier.

        Args:
            backbone: whose features are seen; left as it is.
            net: eye and ear.
            size: pixels a side at which pictures enter.
        """
        self.backbone, self.net, self.size, self.dim = backbone, net.eval(), size, net.dim
        self.preprocess = Preprocess(size, backbone.standard.mean, backbone.standard.std)
        digest = hashlib.sha256(f"{backbone.fingerprint} {size}".encode())
        for name, value in net.state_dict().items():
            digest.update(name.encode() + value.float().cpu().contiguous().numpy().tobytes())
        self.name = f"sight/{digest.hexdigest()[:12]}"

    @torch.no_grad()
    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU.

        Raises:
            ValueError: if the pictures have another form or there are none.
        """
        return self.looked(backgrounds)[0]

    @torch.no_grad()
    def looked(self, backgrounds: Tensor) -> tuple[Tensor, Tensor]:
        """`views`, and how unlike those of training places each picture's features are, `[G]`: about 1 for one of them.

        The latter is the mean square of the features' distance from their mean there, in standard deviations, of which
        none counts more than `STRANGEST`.
        """
        features = seen_by(self.backbone, self.preprocess, backgrounds)
        away = (features - self.net.centre) / self.net.spread
        return self.net.seen(features), away.square().clamp(max=STRANGEST**2).mean(dim=1)

    @torch.no_grad()
    def text(self, captions: Sequence[str]) -> Tensor:
        """One embedding of length 1 for each caption, comparable with `views`: float32 `[G, E]`, on the CPU.

        Raises:
            UserError: if a caption has no word that it knows.
        """
        return self.net.heard(captions)

    @torch.no_grad()
    def numbers(self, embedding: Tensor) -> dict[str, float]:
        """What it reads in an embedding `[E]`: the world's numbers of the place, in the world's units."""
        return dict(zip(self.net.names, self.net.read(embedding[None])[0].tolist(), strict=True))

    def save(self, path: Path) -> None:
        """Write eye and ear as one file, in half precision; the classifier is the bundle's."""
        about = {"config": json.dumps([self.net.features, self.net.dim, self.net.hidden, self.size])}
        about |= {"words": json.dumps(self.net.words), "names": json.dumps(self.net.names)}
        save_tensors(path, {name: value.half() for name, value in self.net.state_dict().items()}, about)

    @classmethod
    def load(cls, path: Path, backbone: Backbone) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing or damaged.
        """
        tensors, about = load_tensors(path)
        try:
            features, dim, hidden, size = json.loads(about["config"])
            net = SightNet(features, dim, hidden, json.loads(about["words"]), json.loads(about["names"]))
            net.load_state_dict({name: value.float() for name, value in tensors.items()})
        except (ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"'{path.name}' is damaged or of another version; fetch or make it anew.") from error
        return cls(backbone, net, size=size)


class SightNet(nn.Module):
    """The eye and the ear."""

    centre: Tensor
    spread: Tensor
    middle: Tensor
    range: Tensor

    def __init__(
        self, features: int, dim: int, hidden: int, words: Sequence[str], names: Sequence[str], dropout: float = 0.0
    ) -> None:
        """Fresh weights; see `learn_sight`.

        Args:
            features: numbers of a picture.
            dim: E.
            hidden: width of the eye.
            words: what the ear knows, single words and pairs.
            names: of the world's numbers.
            dropout: while it learns.
        """
        super().__init__()
        self.features, self.dim, self.hidden = features, dim, hidden
        self.words, self.names = list(words), list(names)
        self._places = {word: place for place, word in enumerate(self.words)}
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.register_buffer("middle", torch.zeros(len(names)))
        self.register_buffer("range", torch.ones(len(names)))
        drop = nn.Dropout(dropout)
        hide = (nn.Linear(features, hidden), nn.SiLU(), drop, nn.Linear(hidden, hidden), nn.SiLU(), drop)
        self.eye = nn.Sequential(*hide, nn.Linear(hidden, dim))
        self.ear = nn.Linear(len(words), dim)
        self.reader = nn.Linear(dim, len(names))
        self.scale = nn.Parameter(torch.tensor(2.6))

    def seen(self, features: Tensor) -> Tensor:
        """Embeddings `[G, E]` of pictures' features."""
        return normalize(self.eye(((features - self.centre) / self.spread).clamp(-6, 6)), dim=1)

    def heard(self, captions: Sequence[str]) -> Tensor:
        """Embeddings `[G, E]` of captions."""
        return normalize(self.ear(torch.stack([self.counted(caption) for caption in captions])), dim=1)

    def read_share(self, caption: str) -> float:
        """The share of a caption's words that it knows."""
        words = [part for part in parts(caption) if " " not in part]
        return sum(word in self._places for word in words) / max(1, len(words))

    def counted(self, caption: str) -> Tensor:
        """Which of the words and pairs a caption has, `[W]`, 0 or 1.

        Raises:
            UserError: if it has none.
        """
        found = [self._places[part] for part in parts(caption) if part in self._places]
        if not found:
            raise UserError(
                "None of these words is known here; describe the place as its captions do, for example: "
                f"{', '.join(word for word in self.words if ' ' in word)[:60]}."
            )
        counts = torch.zeros(len(self.words))
        counts[found] = 1
        return counts

    def read(self, embeddings: Tensor) -> Tensor:
        """The world's numbers `[G, N]` in embeddings `[G, E]`."""
        read: Tensor = self.reader(embeddings * self.dim**0.5)
        return read * self.range + self.middle


def parts(caption: str) -> list[str]:
    """The words of a caption, and its pairs of neighbouring words."""
    words = re.findall(r"[a-z0-9-]+", caption.lower())
    return [" ".join(words[at : at + size]) for size in range(1, LONGEST + 1) for at in range(len(words) - size + 1)]


@torch.no_grad()
def seen_by(backbone: Backbone, preprocess: Preprocess, pictures: Tensor) -> Tensor:
    """Pictures' features `[G, F]`: of the pixels and of each stage of the network, each channel's mean and spread, and
    its means in horizontal bands.

    Args:
        backbone: the frozen classifier.
        preprocess: how pictures enter.
        pictures: uint8 `[G, 3, H, W]`.
    """
    network: Any = backbone.network
    device = next(backbone.parameters()).device
    found = []
    for batch in checked_backgrounds(pictures).split(BATCH):
        pixels = preprocess(batch.to(device)).contiguous(memory_format=torch.channels_last)
        stages = [pixels, *network.forward_intermediates(pixels, intermediates_only=True)]
        told = [
            torch.cat([x.mean((2, 3)), x.std((2, 3)), nn.functional.adaptive_avg_pool2d(x, (BANDS, 1)).flatten(1)], 1)
            for x in stages
        ]
        found.append(torch.cat(told, dim=1).float().cpu())
    return torch.cat(found)
