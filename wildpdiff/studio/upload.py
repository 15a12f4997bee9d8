"""What the page says of a condition that nobody trained on: a visitor's picture or words; no gradio."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

from ..backbone import prepared
from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import wilson
from ..files import load_tensors
from ..folded import Folded
from ..ood import Gauge
from ..weightspace import cosine
from ..worlds.savanna.caption import caption
from .description import checked, tile
from .ood import MEANING, compared, standing
from .results import picture_uri
from .setting import OWN, Setting, Upload
from .studio import Studio
from .words import spoken

Json = dict[str, Any]
#: Photographs of the nearest known location that are named.
PHOTOGRAPHS = 64
#: Species named for the picture itself, and rows of the table of species.
BEST, ROWS = 3, 10
NOISE = "noise"
#: Rows of other conditions that are kept for comparison, 260 KB each.
KEPT = 32
#: How the three adapters are called in the answers.
ARMS = ("pretrained", "generated", "noise")


@dataclass(frozen=True)
class Strangers:
    """Answers for one studio, for any number of threads; it holds nothing of its users."""

    studio: Studio

    @property
    def bundle(self) -> Bundle:
        """The studio's bundle."""
        return self.studio.bundle

    @cached_property
    def gauge(self) -> Gauge:
        """Calibrated on the single pictures of all named locations."""
        views = load_tensors(self.bundle.folder / "conditions.safetensors")[0]["views"]
        count = len(self.bundle.seen)
        return Gauge.of_views(self.bundle.seen, views[:count], views[count:])

    @property
    def strangers(self) -> tuple[str, ...]:
        """All locations of this world that the generator never met."""
        return tuple(name for name in self.bundle.world.locations if name not in self.bundle.seen)

    @cached_property
    def word_gauge(self) -> Gauge:
        """Calibrated on captions: those of the known locations, and those of all others of this world."""
        means = torch.stack([self.bundle.embedding(name) for name in self.bundle.seen])
        return Gauge.of_means(self.bundle.seen, means, self._spoken(self.bundle.seen), self._spoken(self.strangers))

    @property
    def examples(self) -> tuple[str, ...]:
        """What there is to try without a picture of one's own: a known location, an unseen one, and noise."""
        return (self.bundle.seen[0], self.bundle.unseen[0], NOISE)

    def captions(self) -> list[tuple[str, str]]:
        """Four locations with their own captions: two known ones, two unseen."""
        seen, unseen = self.bundle.seen, self.bundle.unseen
        return [(name, self._caption(name)) for name in (seen[0], seen[len(seen) // 2], unseen[0], unseen[-1])]

    def picture(self, data: bytes) -> Upload:
        """A visitor's picture.

        Raises:
            UserError: if it is not a usable one.
        """
        return self.studio.upload(data)

    def example(self, name: str) -> Upload:
        """One of `examples`.

        Raises:
            UserError: if it is none of them.
        """
        if name not in self.examples:
            raise UserError(f"There is no example of that name; choose one of: {', '.join(self.examples)}.")
        if name == NOISE:
            return self.noise
        return self.studio.upload(_png(self.bundle.pictures[name]), f"a picture of {name}")

    @cached_property
    def noise(self) -> Upload:
        """A picture that shows nothing: every pixel drawn by itself."""
        pixels = torch.randint(0, 256, (3, 256, 256), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        return self.studio.upload(_png(pixels), "pure noise")

    def words(self, text: str) -> tuple[Upload, list[str]]:
        """A place described in words, and what there is to know about how they were read.

        Raises:
            UserError: if there are no words, too many, or none that the bundle's CLIP ever read.
        """
        condition = self.bundle.condition
        phrase = checked(text, condition.network)
        embedding = condition.text([phrase.text])[0]
        nearest = self.gauge.read(embedding).nearest[:BEST]
        return Upload("your words", embedding, tile(phrase.text), nearest), phrase.notes

    def looked(self, upload: Upload, gauge: Gauge, kind: str) -> Json:
        """What is known of a condition before its adapter is written.

        Args:
            upload: the condition.
            gauge: `gauge` for a picture, `word_gauge` for words.
            kind: what that gauge was calibrated on, `pictures` or `captions`.
        """
        reading = gauge.read(upload.embedding)
        return {
            "stage": "looked",
            "name": upload.name,
            "src": picture_uri(upload.picture, width=256),
            "distance": round(reading.distance, 4),
            "verdict": reading.verdict,
            "meaning": MEANING[reading.verdict],
            "said": standing(reading, gauge, kind),
            "nearest": [[name, round(similarity, 4)] for name, similarity in reading.nearest],
        }

    def adapted(self, upload: Upload, setting: Setting, *, picture: bool) -> Iterator[Json]:
        """A condition's adapter in growing frames: what it is like, whether the condition mattered, what it says.

        Args:
            upload: the condition, with its `nearest` location.
            setting: regime, way, seed and steps; the rest is not looked at.
            picture: whether the upload is a picture that can be named itself.

        Raises:
            UserError: as `Studio.write`.
        """
        began, near = time.perf_counter(), upload.nearest[0][0]
        alone = replace(setting, a=OWN, b=OWN, weight=0.0, samples=1, upload_a=upload, upload_b=upload)
        own = self.studio.write(alone)[0]
        frame = self._written(own, alone)
        yield frame
        noise, known = self._control(NOISE, alone), self._control(near, alone)
        like_noise, like_near = cosine(own[None], torch.stack([noise, known]))[0].tolist()
        frame |= compared(like_noise, like_near, near)
        yield frame
        with self.studio.wearing(torch.stack([torch.zeros_like(own), own, noise])) as networks:
            itself = {arm: self._named(net, upload.picture) for arm, net in zip(ARMS[:2], networks, strict=False)}
            place = self._at(networks, near)
        seconds = round(time.perf_counter() - began, 2)
        yield frame | {"stage": "measured", "itself": itself if picture else None, "at": place, "seconds": seconds}

    def place(self, upload: Upload) -> Json:
        """An upload as the bar shows it when it stands for A or B."""
        near = ", ".join(f"{name} {similarity:.2f}" for name, similarity in upload.nearest)
        note = f"Looks most like {near} (cosine). No accuracy is claimed for a place without labelled photographs."
        src = picture_uri(upload.picture, width=256)
        return {"name": OWN, "short": "yours", "title": upload.name, "kind": "own", "src": src, "note": note}

    def _written(self, own: Tensor, alone: Setting) -> Json:
        """What a row `[D]` was written for, and how much it is like the known locations' mean rows."""
        alike = cosine(own[None], self.studio.means(alone.regime))[0].tolist()
        ranked = sorted(zip(self.bundle.seen, alike, strict=True), key=lambda pair: -pair[1])
        about = {"m": alone.regime, "w": alone.way, "seed": alone.seed, "steps": alone.steps}
        return about | {"stage": "written", "rows": [[name, round(value, 4)] for name, value in ranked]}

    def _control(self, name: str, alone: Setting) -> Tensor:
        """The row `[D]` that noise or a known location gives in the same setting, from the same noise of the sampler;
        some are kept for the next call."""
        key = (name, alone.regime, alone.way, alone.seed, alone.steps)
        row = self._rows.get(key)
        if row is None:
            own = self.noise if name == NOISE else None
            stand = OWN if own else name
            row = self.studio.write(replace(alone, a=stand, b=stand, upload_a=own, upload_b=own))[0]
            self._rows[key] = row
            if len(self._rows) > KEPT:
                self._rows.pop(next(iter(self._rows)), None)
        return row

    @cached_property
    def _rows(self) -> dict[tuple[Any, ...], Tensor]:
        return {}

    def _spoken(self, names: Sequence[str]) -> Tensor:
        return self.bundle.condition.text([self._caption(name) for name in names])

    def _caption(self, name: str) -> str:
        return caption(self.bundle.world.location(name))

    @torch.inference_mode()
    def _named(self, network: Folded, picture: Tensor) -> list[list[Any]]:
        """The likeliest species of one picture, uint8 `[3, H, W]`, with the network's confidence in each."""
        side = self.bundle.world.config.size
        small = F.interpolate(picture[None].float(), (side, side), mode="bicubic", antialias=True)
        pixels = small.round().clamp(0, 255).to(torch.uint8).to(self.bundle.device)
        best = network(prepared(pixels))[0].softmax(dim=0).topk(BEST)
        names = [spoken(self.bundle.world.species[index]) for index in best.indices.tolist()]
        return [[name, round(share, 4)] for name, share in zip(names, best.values.tolist(), strict=True)]

    @torch.inference_mode()
    def _at(self, networks: Sequence[Folded], location: str) -> Json:
        """What each network says of photographs of a known location, whose species are known."""
        images = self.studio.images(location, PHOTOGRAPHS)
        labels = images.labels[:PHOTOGRAPHS]
        pixels = prepared(images.pixels[:PHOTOGRAPHS].to(self.bundle.device))
        said = [network.predictions([pixels]) for network in networks]
        right = {arm: int((found == labels).sum()) for arm, found in zip(ARMS, said, strict=True)}
        return {
            "name": location,
            "count": len(labels),
            "right": right,
            "interval": {arm: [round(end, 4) for end in wilson(count, len(labels))] for arm, count in right.items()},
            "species": self._tally([labels, *said[:2]]),
        }

    def _tally(self, named: Sequence[Tensor]) -> list[list[Any]]:
        """How often each species stands in each list of labels `[M]`; the most frequent first, the rest summed up."""
        counts = [Counter(labels.tolist()) for labels in named]
        order = sorted(
            {label for count in counts for label in count}, key=lambda one: [-count[one] for count in counts]
        )
        species = self.bundle.world.species
        rows = [[spoken(species[label]), *(count[label] for count in counts)] for label in order[:ROWS]]
        rest = [sum(count[label] for label in order[ROWS:]) for count in counts]
        return [*rows, ["all others", *rest]] if any(rest) else rows


def _png(picture: Tensor) -> bytes:
    """A picture, uint8 `[3, H, W]`, as a file's bytes."""
    stream = BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(stream, "PNG")
    return stream.getvalue()
