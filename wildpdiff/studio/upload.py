"""What the page says of a condition that nobody trained on: a visitor's picture or words; no gradio."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..bundle import Bundle
from ..condition.clip import ClipCondition
from ..errors import UserError
from ..files import load_tensors
from ..network.folded import Adapter
from ..ood import Gauge
from ..picture import resized
from ..universal.universal import Universal
from ..weightspace import cosine
from ..worlds.base import Captioned, Images
from .description import checked, tile
from .ood import MEANING, compared, standing
from .pictures import HOUSE, Upload
from .results import picture_uri
from .setting import Setting
from .studio import Studio
from .trial import Arm, Score, plain_row, scores
from .universal import BOTH, Halves, Served, alike, expected, served, trusted
from .words import spoken

Json = dict[str, Any]
#: Photographs of the nearest known location that are named.
PHOTOGRAPHS = 64
#: Species named for the picture itself, and rows of the table of species.
BEST, ROWS = 3, 10
NOISE = "noise"
#: How the three adapters are called in the answers.
ARMS = ("pretrained", "generated", "noise")


@dataclass(frozen=True)
class Strangers:
    """Answers for one studio, for any number of threads; what its users bring is in `Studio.pictures`."""

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
        return [(name, self.caption(name)) for name in (seen[0], seen[len(seen) // 2], unseen[0], unseen[-1])]

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

    @cached_property
    def noise_id(self) -> str:
        """By which a setting names `noise`."""
        return self.studio.pictures.add(HOUSE, self.noise)

    def words(self, text: str) -> Upload:
        """A place described in words.

        Raises:
            UserError: if there are no words, too many, or none that the bundle's CLIP ever read; or if it has no CLIP.
        """
        condition = self._clip
        phrase = checked(text, condition.network, self.caption(self.bundle.seen[0]))
        embedding = condition.text([phrase.text])[0]
        nearest = self.gauge.read(embedding).nearest[:BEST]
        universal = self.bundle.universal
        known = None if universal is None else universal.told(phrase.text)
        return Upload("your words", embedding, tile(phrase.text), nearest, tuple(phrase.notes), known)

    def looked(self, name: str, gauge: Gauge, kind: str) -> Json:
        """What is known of a condition before its adapter is written.

        Args:
            name: the condition's id.
            gauge: `gauge` for a picture, `word_gauge` for words.
            kind: what that gauge was calibrated on, `pictures` or `captions`.

        Raises:
            UserError: if it is no longer there.
        """
        upload = self.studio.pictures.of(name)
        reading = gauge.read(upload.embedding)
        return {
            "stage": "looked",
            "name": upload.name,
            "place": _place(name, upload),
            "notes": list(upload.notes),
            "src": picture_uri(upload.picture, width=256),
            "distance": round(reading.distance, 4),
            "verdict": reading.verdict,
            "meaning": MEANING[reading.verdict],
            "said": standing(reading, gauge, kind),
            "nearest": [[name, round(similarity, 4)] for name, similarity in reading.nearest],
        }

    def adapted(self, alone: Setting, *, picture: bool, halves: Halves = BOTH) -> Iterator[Json]:
        """A condition's adapter in growing frames: what it is like, whether the condition mattered, what it says.

        Args:
            alone: the setting in which the condition's id is A and B, of one adapter.
            picture: whether it is a picture that can be named itself.
            halves: which halves of generator U's adapter are the place's own.

        Raises:
            UserError: as `Studio.write`.
        """
        if self.bundle.universal is not None:
            yield from self._by_universal(self.bundle.universal, alone, picture=picture, halves=halves)
            return
        began, upload = time.perf_counter(), self.studio.pictures.of(alone.a)
        near = upload.nearest[0][0]
        own = self.studio.write(alone)[0]
        frame = self._written(own, alone)
        yield frame
        noise, known = (self.studio.write(replace(alone, a=name, b=name))[0] for name in (self.noise_id, near))
        like_noise, like_near = cosine(own[None], torch.stack([noise, known]))[0].tolist()
        frame |= compared(like_noise, like_near, near)
        yield frame
        arms: dict[str, Adapter] = dict(zip(ARMS, (plain_row(self.studio), own, noise), strict=True))
        yield frame | self._measured(arms, upload, near, began, picture=picture)

    def _by_universal(self, universal: Universal, alone: Setting, *, picture: bool, halves: Halves) -> Iterator[Json]:
        """As `adapted`, by generator U, which neither regime nor seed nor steps concern."""
        began, upload = time.perf_counter(), self.studio.pictures.of(alone.a)
        near, told = upload.nearest[0][0], upload.known
        if told is None:
            raise UserError("This was brought before generator U was there; bring it again.")
        own, known = served(self.studio, universal, told, halves), self._known_by_universal
        ranked = sorted(zip(known, alike(own.beside, torch.stack(list(known.values()))), strict=True), key=_second)
        frame: Json = {"stage": "written", "by": "U", "rows": [[name, round(value, 4)] for name, value in ranked]}
        frame |= {"halves": asdict(halves), "trust": round(own.written.trust, 3)}
        frame["prior"] = expected(self.studio, universal, told)
        yield frame
        noise = self._noise_by_universal
        likes = alike(own.beside, torch.stack([noise.beside, known[near]]))
        frame["like"] = [["pure noise", round(likes[0], 4)], [near, round(likes[1], 4)]]
        frame["mattered"] = trusted(own, halves, picture=picture)
        yield frame
        arms = dict(zip(ARMS, (plain_row(self.studio), own.adapter, noise.adapter), strict=True))
        yield frame | self._measured(arms, upload, near, began, picture=picture)

    @cached_property
    def _known_by_universal(self) -> dict[str, Tensor]:
        """What generator U writes beside the joint row for a picture of each known location, `[D]` each."""
        return {name: self._served(self.bundle.pictures[name]).beside for name in self.bundle.seen}

    @cached_property
    def _noise_by_universal(self) -> Served:
        """What generator U writes for a picture of noise."""
        return self._served(self.noise.picture)

    def _served(self, picture: Tensor) -> Served:
        """What generator U writes for one picture, uint8 `[3, H, W]`."""
        universal = self._universal
        return served(self.studio, universal, universal.known(self.bundle.backbone, picture[None]))

    @property
    def _universal(self) -> Universal:
        universal = self.bundle.universal
        if universal is None:
            raise UserError("This bundle has no generator U.")
        return universal

    def _measured(self, arms: Mapping[str, Adapter], upload: Upload, near: str, began: float, *, picture: bool) -> Json:
        """What pretrained, the condition's adapter and that for noise say of the picture, and of photographs."""
        itself = {arm: self._named(arms[arm], upload.picture) for arm in ARMS[:2]} if picture else None
        images = self.studio.images(near, PHOTOGRAPHS)
        shown = Images(images.pixels[:PHOTOGRAPHS], images.labels[:PHOTOGRAPHS])
        [score] = scores(self.studio, [Arm(*arm) for arm in arms.items()], [shown])
        seconds = round(time.perf_counter() - began, 2)
        return {"stage": "measured", "itself": itself, "at": self._at(score, near), "seconds": seconds}

    def _written(self, own: Tensor, alone: Setting) -> Json:
        """What a row `[D]` was written for, and how much it is like the known locations' mean rows."""
        alike = cosine(own[None], self.studio.means(alone.regime))[0].tolist()
        ranked = sorted(zip(self.bundle.seen, alike, strict=True), key=lambda pair: -pair[1])
        about = {"m": alone.regime, "w": alone.way, "seed": alone.seed, "steps": alone.steps}
        return about | {"stage": "written", "rows": [[name, round(value, 4)] for name, value in ranked]}

    def _spoken(self, names: Sequence[str]) -> Tensor:
        return self._clip.text([self.caption(name) for name in names])

    @property
    def _clip(self) -> ClipCondition:
        condition = self.bundle.condition
        if not isinstance(condition, ClipCondition):
            raise UserError(f"Words mean nothing to {self.bundle.condition_words}; give a picture.")
        return condition

    def caption(self, name: str) -> str:
        """A location in words.

        Raises:
            UserError: if the world has none.
        """
        world = self.bundle.world
        if not isinstance(world, Captioned):
            raise UserError("This world has no words for its places; give a picture.")
        return world.caption(name)

    @torch.inference_mode()
    def _named(self, adapter: Adapter, picture: Tensor) -> list[list[Any]]:
        """The likeliest species of one picture, uint8 `[3, H, W]`, under an adapter, with the confidence in each."""
        side = self.bundle.world.size
        pixels = resized(picture, side, side)[None].to(self.bundle.device)
        with self.studio.wearing([adapter]) as [network]:
            best = network(network.standard.prepared(pixels))[0].softmax(dim=0).topk(BEST)
        names = [spoken(self.bundle.world.species[index]) for index in best.indices.tolist()]
        return [[name, round(share, 4)] for name, share in zip(names, best.values.tolist(), strict=True)]

    def _at(self, score: Score, location: str) -> Json:
        """What the adapters say of photographs of a known location, whose species are known."""
        shares = score.shares()
        return {
            "name": location,
            "count": len(score.labels),
            "right": {share.name: share.right for share in shares},
            "interval": {share.name: [round(share.low, 4), round(share.high, 4)] for share in shares},
            "species": self._tally([score.labels, *score.named[:2]]),
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


def _second(pair: tuple[str, float]) -> float:
    return -pair[1]


def _place(name: str, upload: Upload) -> Json:
    """A background as the bar names it when it stands for A or B."""
    near = ", ".join(f"{location} {similarity:.2f}" for location, similarity in upload.nearest)
    note = f"Looks most like {near} (cosine). No accuracy is claimed for a place without labelled photographs."
    if upload.known is not None:
        note += " The generator of this page knows the named locations alone; for a new place, use U under Unseen."
    return {"name": name, "short": "yours", "title": upload.name, "kind": "own", "note": note}


def _png(picture: Tensor) -> bytes:
    """A picture, uint8 `[3, H, W]`, as a file's bytes."""
    stream = BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(stream, "PNG")
    return stream.getvalue()
