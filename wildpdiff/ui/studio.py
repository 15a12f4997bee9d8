"""Every number that the app shows, without a user interface: settings in, results out, frame by frame."""

from __future__ import annotations

import importlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..backbone import prepared
from ..bundle import Bundle, blend
from ..errors import UserError
from ..folded import Folded
from ..generator import AdapterGenerator
from ..picture import load_picture
from ..weightspace import Map, cosine
from ..worlds.base import Images
from .setting import Bar, Known, Live, Result, Setting, Stage, Upload

MAX_SAMPLES, MAX_STEPS = 16, 200
#: Photographs rendered and kept for each location.
KEPT = 96
#: How many of them are named at the first look: at the two chosen locations, and at each of the others.
CHOSEN_FIRST, OTHERS_FIRST = 24, 24
#: How many locations share one frame after the chosen ones.
GROUP = 4
#: Copies of the classifier that wait for the next adapter.
SPARE = 4


class Studio:
    """Answers settings from one bundle, for any number of threads at once; it holds nothing of its users."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._images: dict[str, Images] = {}
        self._locks = {name: threading.Lock() for name in (*bundle.seen, *bundle.unseen)}
        self._condition_lock = threading.Lock()
        self._spare: list[Folded] = []

    @classmethod
    def open(cls, folder: Path, device: str = "cpu") -> Studio:
        """Open a bundle.

        Raises:
            UserError: as `Bundle.open`.
        """
        studio = cls(Bundle.open(folder, device))
        studio.known, studio._means  # noqa: B018 - load them before several threads ask
        return studio

    @property
    def device(self) -> str:
        """Where it computes, in capitals."""
        return self.bundle.device.type.upper()

    @property
    def locations(self) -> tuple[str, ...]:
        """Names of all locations to choose from, seen ones first."""
        return (*self.bundle.seen, *self.bundle.unseen)

    def first(self, setting: Setting) -> Result:
        """What is known before anything is computed.

        Raises:
            UserError: if a location is unknown or a number out of range.
        """
        self.check(setting)
        chosen = [name for name in self._measured(setting) if name not in self.bundle.seen]
        return Result(setting, "known", tuple(self._bar(name) for name in (*self.bundle.seen, *chosen)))

    def results(self, setting: Setting, wanted: Callable[[], bool] = lambda: True) -> Iterator[Result]:
        """Write adapters for a setting and measure them, in growing frames.

        Stop asking to stop the work; `wanted` is asked between the frames too, and ends the frames when it says no.

        Raises:
            UserError: as `first`, at the first frame.
        """
        began = time.perf_counter()
        frame = self.first(setting)
        rows = self._written(setting, wanted)
        if rows is None:
            return
        points = tuple((float(x), float(y)) for x, y in self._map.place(rows))
        alike = tuple(cosine(rows, self._means).mean(dim=0).tolist())
        frame = replace(frame, stage="written", rows=rows, points=points, alike=alike)
        yield replace(frame, seconds=time.perf_counter() - began)
        plan = self._looks(setting)
        with self._merged(rows) as networks:
            for place, looks in enumerate(plan, start=1):
                for name, count in looks:
                    if not wanted():
                        return
                    frame = _with(frame, name, self._look(networks, name, count, frame.bar(name)))
                stage: Stage = "done" if place == len(plan) else "measuring"
                frame = replace(frame, stage=stage, seconds=time.perf_counter() - began)
                yield frame

    def write(self, setting: Setting) -> Tensor:
        """The raw rows `[N, D]` of a setting, on the CPU; sample i starts from the noise of seed + i.

        Raises:
            UserError: if a location is unknown or a number out of range, or a row is not finite.
        """
        rows = self._written(setting, lambda: True)
        if rows is None:
            raise RuntimeError("the sampler stopped although it was wanted")
        return rows

    def _written(self, setting: Setting, wanted: Callable[[], bool]) -> Tensor | None:
        """As `write`; None if `wanted`, asked at every step of the sampler, says no."""
        self.check(setting)
        condition = blend(
            self._embedding(setting.a, setting.upload_a), self._embedding(setting.b, setting.upload_b), setting.weight
        )
        batch = condition.expand(setting.samples, -1)
        estimates = self._generator.path(batch, steps=setting.steps, seed=setting.seed)
        latents = next(estimates)
        for later in estimates:
            if not wanted():
                return None
            latents = later
        rows = self._generator.decode(latents).cpu()
        if not bool(rows.isfinite().all()):
            raise UserError("This sample is not usable (some of its weights are not finite); choose another seed.")
        return rows

    def check(self, setting: Setting) -> None:
        """Refuse what cannot be answered.

        Raises:
            UserError: if a location is unknown or a number out of range.
        """
        for name, upload in ((setting.a, setting.upload_a), (setting.b, setting.upload_b)):
            if upload is None:
                self.bundle.embedding(name)
        if not 0 <= setting.weight <= 1:
            raise UserError(f"The blend weight must lie in 0..1 (0 is A, 1 is B), not {setting.weight:g}.")
        if not 1 <= setting.samples <= MAX_SAMPLES:
            raise UserError(f"Between 1 and {MAX_SAMPLES} adapters can be written at once, not {setting.samples}.")
        if not 1 <= setting.steps <= MAX_STEPS:
            raise UserError(f"The sampler takes 1 to {MAX_STEPS} steps, not {setting.steps}.")
        if not 0 <= setting.seed < 2**31:
            raise UserError(f"The seed must be a whole number from 0 to {2**31 - 1}, not {setting.seed}.")

    def upload(self, data: bytes, name: str = "your picture") -> Upload:
        """Read a user's own background; nothing of the file but the pixels' middle square is kept.

        Raises:
            UserError: if it is not a usable picture.
        """
        picture = load_picture(data, size=256)
        with self._condition_lock:
            embedding = self.bundle.condition(picture[None])
        seen = torch.stack([self.bundle.embedding(location) for location in self.bundle.seen])
        similar = cosine(embedding[None], seen)[0]
        order = similar.argsort(descending=True)[:3].tolist()
        nearest = tuple((self.bundle.seen[place], float(similar[place])) for place in order)
        return Upload(name, embedding, picture, nearest)

    def save(self, setting: Setting, folder: Path) -> Path:
        """Write a setting's first adapter as a zipped PEFT folder into `folder`.

        Raises:
            UserError: as `write`, or if the disk is full.
        """
        from ..lora import save_peft

        row = self.write(replace(setting, samples=1))[0]
        (a, b), weight = setting.names, setting.weight
        card = {"condition": f"{1 - weight:.2f} of {a}, {weight:.2f} of {b}", "seed": str(setting.seed)}
        card |= {"steps": str(setting.steps), "generator": self._fingerprint, "world": "procedural savanna"}
        name = f"adapter-{setting.a}-{setting.b}-{weight:.2f}-seed{setting.seed}"
        save_peft(self.bundle.backbone, row, folder / name, card=card)
        return Path(shutil.make_archive(str(folder / name), "zip", root_dir=folder, base_dir=name))

    def warm(self, first: tuple[str, ...] = ()) -> None:
        """Load the networks and render the photographs, those of `first` before the others."""
        names = (*first, *(name for name in self.locations if name not in first))
        self._generator, self.bundle.backbone  # noqa: B018 - loads them
        for name in names[: len(self.bundle.seen)]:
            self.images(name, CHOSEN_FIRST)
        self.write(Setting(names[0], names[0], steps=2))
        for name in names:
            self.images(name, KEPT)
        with self._condition_lock:
            self.bundle.condition  # noqa: B018 - loads it
        self._fingerprint  # noqa: B018
        importlib.import_module("wildpdiff.lora")

    def images(self, location: str, count: int) -> Images:
        """At least the first `count` photographs of a location's evaluation split; kept for the next call."""
        with self._locks[location]:
            kept = self._images.get(location)
            if kept is None or len(kept) < count:
                world = self.bundle.world
                kept = self._images[location] = world.photograph(world.location(location), "eval", count)
            return kept

    @cached_property
    def known(self) -> Known:
        """What the map and the heat map show before anything is generated."""
        points = tuple((float(x), float(y)) for x, y in self._map.points)
        alike = tuple(tuple(row) for row in cosine(self._means, self._means).tolist())
        return Known(self.bundle.seen, points, tuple(self._map.index.tolist()), alike)

    @property
    def _generator(self) -> AdapterGenerator:
        return self.bundle.generator(self.bundle.regime)

    @cached_property
    def _map(self) -> Map:
        return self.bundle.map(self.bundle.regime)

    @cached_property
    def _means(self) -> Tensor:
        """The mean fine-tuned row of each seen location, `[10, D]`."""
        return torch.stack(
            [self.bundle.zoo(self.bundle.regime).of(location)[0].mean(dim=0) for location in self.bundle.seen]
        )

    @cached_property
    def _fingerprint(self) -> str:
        return self._generator.fingerprint

    def _embedding(self, name: str, upload: Upload | None) -> Tensor:
        return upload.embedding if upload else self.bundle.embedding(name)

    def _measured(self, setting: Setting) -> tuple[str, ...]:
        """The chosen locations whose species are known: no upload, none twice."""
        chosen = [setting.a] * (setting.upload_a is None) + [setting.b] * (setting.upload_b is None)
        return tuple(dict.fromkeys(chosen))

    def _bar(self, name: str) -> Bar:
        figures = self.bundle.figures(self.bundle.regime)
        known = figures.get("locations", {}).get(name) or figures.get("unseen", {}).get(name) or {}
        tuned, own = known.get("fine_tuned") or {}, known.get("generated") or {}
        return Bar(name, int(known.get("images", 0)), known.get("pretrained"), tuned.get("mean"), own.get("mean"))

    def _looks(self, setting: Setting) -> list[list[tuple[str, int]]]:
        """Which locations to measure in each frame, on how many images: A and B, the others, A and B again."""
        chosen = self._measured(setting)
        others = [name for name in self.bundle.seen if name not in chosen]
        groups = [[(name, OTHERS_FIRST) for name in others[at : at + GROUP]] for at in range(0, len(others), GROUP)]
        first, again = [(name, CHOSEN_FIRST) for name in chosen], _again(chosen)
        return [frame for frame in (first, *groups, again) if frame]

    @contextmanager
    def _merged(self, rows: Tensor) -> Iterator[list[Folded]]:
        """A private network for each row, with the row merged in; the copies serve again afterwards."""
        backbone = self.bundle.backbone
        networks = [_taken(self._spare) or Folded(backbone) for _ in rows]
        try:
            for network, row in zip(networks, rows, strict=True):
                network.wear(row.to(self.bundle.device))
            yield networks
        finally:
            self._spare.extend(networks[: max(0, SPARE - len(self._spare))])

    @torch.inference_mode()
    def _look(self, networks: list[Folded], name: str, count: int, bar: Bar | None) -> Live:
        """Measure each merged network on the first `count` images of a location, going on from what the bar has."""
        images, before = self.images(name, count), bar.live if bar else None
        start = before.count if before else 0
        pixels = prepared(images.pixels[start:count].to(self.bundle.device))
        right = [int((network(pixels).argmax(dim=1).cpu() == images.labels[start:count]).sum()) for network in networks]
        earlier = [round(share * start) for share in before.shares] if before else [0] * len(networks)
        total = max(start, count)
        return Live(tuple((new + old) / total for new, old in zip(right, earlier, strict=True)), total)


def _again(chosen: Sequence[str]) -> list[tuple[str, int]]:
    """Looks that take the chosen locations from their first photographs to all kept ones, in small bites."""
    counts = [*range(CHOSEN_FIRST + OTHERS_FIRST, KEPT, OTHERS_FIRST), KEPT]
    return [(name, count) for count in counts for name in chosen]


def _taken(spare: list[Folded]) -> Folded | None:
    """One of the spare networks; popping a list is safe between threads, asking for its length first is not."""
    try:
        return spare.pop()
    except IndexError:
        return None


def _with(frame: Result, name: str, live: Live) -> Result:
    bars = tuple(replace(bar, live=live) if bar.location == name else bar for bar in frame.bars)
    return replace(frame, bars=bars)
