"""Every number that the app shows, without a user interface: settings in, results out, frame by frame."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..bundle import Bundle
from ..condition.base import blend
from ..errors import UserError
from ..generator import AdapterGenerator
from ..network.folded import Adapter, Folded
from ..picture import read_picture, sentence_of
from ..universal.map import Known
from ..weightspace import Map, cosine
from ..worlds.base import Images
from . import looks
from .looks import joined, looks_of
from .pictures import Pictures, Upload
from .setting import IMAGES, Live, Result, Setting, Stage, is_own
from .zero import Writer

#: Answers whose rows are kept.
ANSWERS = 16
#: Seeds whose adapters the map shows beside the one that was asked for.
CLOUD = 8
#: Copies of the classifier that wait for the next adapter.
SPARE = 4


class Studio:
    """Answers settings from one bundle, for any number of threads at once.

    Of its users it holds their own backgrounds and what was written for them, until their session ends (`forget`).
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.pictures = Pictures()
        self._images: dict[str, tuple[int, Images]] = {}
        self._locks = {name: threading.Lock() for name in (*bundle.seen, *bundle.unseen)}
        self._lock = threading.RLock()
        self._spare: list[Folded] = []
        self._means: dict[str, Tensor] = {}
        self._maps: dict[str, Map] = {}
        self._kept: dict[Setting, tuple[Tensor, str]] = {}
        #: Writes elsewhere than here, where that is worth it (see `studio.zero`); None: always here.
        self.writer: Writer | None = None

    @classmethod
    def open(cls, folder: Path, device: str = "cpu") -> Studio:
        """Open a bundle.

        Raises:
            UserError: as `Bundle.open`.
        """
        return cls(Bundle.open(folder, device))

    @property
    def device(self) -> str:
        """Where it computes, in capitals."""
        return self.bundle.device.type.upper()

    @property
    def locations(self) -> tuple[str, ...]:
        """Names of all locations to choose from, seen ones first."""
        return (*self.bundle.seen, *self.bundle.unseen)

    def results(self, setting: Setting, wanted: Callable[[], bool] = lambda: True) -> Iterator[Result]:
        """Write adapters for a setting and measure them, in growing frames.

        Stop asking to stop the work; `wanted` is asked between the frames too, and ends the frames when it says no.

        Raises:
            UserError: as `check`, at the first frame.
        """
        began = time.perf_counter()
        # What was just written for a background of one's own is measured here, not written again.
        written = (self._kept.get(_as_written(setting)) if setting.own else None) or self._written(setting, wanted)
        if written is None:
            return
        rows, note = written
        self._remember(setting, written)
        alike = tuple(cosine(rows, self.means(setting.regime)).mean(dim=0).tolist())
        frame = Result(setting, "written", {}, rows, alike, time.perf_counter() - began, note, self.cloud(setting))
        yield frame
        plan = looks_of(setting, self.bundle.seen)
        with self.wearing(rows) as networks:
            for place, asked in enumerate(plan, start=1):
                live = dict(frame.live)
                for name, count in asked:
                    if not wanted():
                        return
                    live[name] = self._look(networks, name, count, live.get(name))
                stage: Stage = "done" if place == len(plan) else "measuring"
                frame = replace(frame, stage=stage, live=live, seconds=time.perf_counter() - began)
                yield frame

    def write(self, setting: Setting) -> Tensor:
        """The raw rows `[N, D]` of a setting, on the CPU; sample i starts from the noise of seed + i.

        Raises:
            UserError: as `check`, or if a row is not finite.
        """
        return self.write_noting(setting)[0]

    def write_noting(self, setting: Setting, wanted: Callable[[], bool] = lambda: True) -> tuple[Tensor, str]:
        """As `write`, with a sentence on how it was done, or nothing.

        Raises:
            UserError: as `write`, or if `wanted`, asked at every step of the sampler, says no.
        """
        kept = self._kept.get(_as_written(setting))
        if kept is not None:
            return kept
        written = self._written(setting, wanted)
        if written is None:
            raise UserError("Nobody waited for this answer, so it was not finished; ask again.")
        self._remember(setting, written)
        return written

    def cloud(self, setting: Setting) -> Tensor:
        """The raw rows `[8, D]` of a setting's first seeds, for the map; nobody measures them."""
        first, last = (end.expand(CLOUD, -1) for end in self.ends(setting))
        options = {"weight": setting.weight, "steps": setting.steps, "seed": setting.seed}
        return self.generator(setting).generate(first, other=last, **options).cpu()

    def condition(self, setting: Setting) -> Tensor:
        """The blended embedding `[E]` of a setting.

        Raises:
            UserError: as `check`.
        """
        return blend(*self.ends(setting), setting.weight)

    def ends(self, setting: Setting) -> tuple[Tensor, Tensor]:
        """The embeddings `[E]` of A and of B.

        Raises:
            UserError: as `check`.
        """
        self.check(setting)
        return self._embedding(setting.a), self._embedding(setting.b)

    def _written(self, setting: Setting, wanted: Callable[[], bool]) -> tuple[Tensor, str] | None:
        """As `write`, with a sentence on how it was done; None if `wanted`, asked at every step, says no."""
        ends, note = self.ends(setting), ""
        rows: Tensor | None = None
        if self.writer is not None:
            made, note = self.writer(
                torch.stack(ends).cpu().numpy(),
                setting.weight,
                setting.steps,
                setting.samples,
                setting.seed,
                setting.regime,
                setting.way,
            )
            rows = None if made is None else torch.from_numpy(made)
        if rows is None:
            rows = self._sampled(ends, setting, wanted)
        if rows is None:
            return None
        if not bool(rows.isfinite().all()):
            raise UserError("This sample is not usable (some of its weights are not finite); choose another seed.")
        return rows, note

    def _sampled(self, ends: tuple[Tensor, Tensor], setting: Setting, wanted: Callable[[], bool]) -> Tensor | None:
        generator, (first, last) = self.generator(setting), (end.expand(setting.samples, -1) for end in ends)
        estimates = generator.path(first, other=last, weight=setting.weight, steps=setting.steps, seed=setting.seed)
        latents = next(estimates)
        for later in estimates:
            if not wanted():
                return None
            latents = later
        return generator.decode(latents).cpu()

    def _remember(self, setting: Setting, written: tuple[Tensor, str]) -> None:
        """Keep rows and note of the newest answers for what follows, as the download."""
        with self._lock:
            self._kept[_as_written(setting)] = written
            while len(self._kept) > ANSWERS:
                del self._kept[next(iter(self._kept))]

    def check(self, setting: Setting) -> None:
        """Refuse what this bundle cannot answer.

        Raises:
            UserError: if a location, the regime or the way is not in it, or a background of the user's own is not here.
        """
        for name in (setting.a, setting.b):
            self._embedding(name)
        self.bundle.variant(setting.regime, setting.way)

    def upload(self, data: bytes, name: str = "your picture") -> Upload:
        """Read a user's own background; nothing of the file but the pixels' middle square is kept.

        Raises:
            UserError: if it is not a usable picture.
        """
        picture, note = read_picture(data)
        with self._lock:
            embedding, known = self.bundle.condition(picture[None]), self.known(picture[None])
        seen = torch.stack([self.bundle.embedding(location) for location in self.bundle.seen])
        similar = cosine(embedding[None], seen)[0]
        order = similar.argsort(descending=True)[:3].tolist()
        nearest = tuple((self.bundle.seen[place], float(similar[place])) for place in order)
        return Upload(name, embedding, picture, nearest, (sentence_of(note),) if note else (), known)

    def known(self, pictures: Tensor) -> Known | None:
        """What generator U knows of a place by pictures of it, uint8 `[G, 3, H, W]`; None if the bundle has no U."""
        universal = self.bundle.universal
        return None if universal is None else universal.known(self.bundle.backbone, pictures)

    def forget(self, session: str, name: str | None = None) -> None:
        """Forget one of a session's backgrounds, or all, with what was written for them."""
        gone = set(self.pictures.forget(session, name))
        with self._lock:
            self._kept = {key: value for key, value in self._kept.items() if not gone.intersection(key.own)}

    def names(self, setting: Setting) -> tuple[str, str]:
        """What the page calls A and B."""
        a, b = (self.pictures.of(name).name if is_own(name) else name for name in (setting.a, setting.b))
        return a, b

    def warm(self, first: tuple[str, ...] = ()) -> None:
        """Load the networks and render the photographs: first what an answer about the locations `first` needs."""
        names = (*first, *(name for name in self.locations if name not in first))
        regimes = (self.bundle.regime, *(own for own in self.bundle.regimes if own != self.bundle.regime))
        with self._lock:
            self.bundle.backbone  # noqa: B018 - loads it
        for name in first:
            self.images(name, looks.CHOSEN_FIRST)
        for regime in regimes:
            self.means(regime), self.map(regime)
            for way in self.bundle.ways:
                self.write(Setting(names[0], names[0], steps=1, regime=regime, way=way))
        for name in names[: len(self.bundle.seen)]:
            self.images(name, looks.CHOSEN_FIRST)
        for name in names:
            self.images(name, IMAGES[-1])
        with self._lock:
            self.bundle.condition, self.bundle.universal  # noqa: B018 - loads them
        importlib.import_module("wildpdiff.network.peft_folder")

    def images(self, location: str, count: int) -> Images:
        """At least the first `count` photographs of a location's evaluation split, if there are so many; they are kept
        for the next call."""
        with self._locks[location]:
            asked, kept = self._images.get(location, (0, None))
            if kept is None or asked < count:
                kept = self.bundle.world.images(location, "eval", first=count)
                self._images[location] = (count, kept)
            return kept

    def generator(self, setting: Setting) -> AdapterGenerator:
        """The generator that a setting asks for."""
        with self._lock:
            return self.bundle.generator(setting.regime, way=setting.way)

    def means(self, regime: str) -> Tensor:
        """The mean fine-tuned row of each seen location in a regime, `[P, D]`."""
        with self._lock:
            if regime not in self._means:
                self._means[regime] = self.bundle.means(regime)
            return self._means[regime]

    def map(self, regime: str) -> Map:
        """The flat map of a regime, kept for the next call."""
        with self._lock:
            if regime not in self._maps:
                self._maps[regime] = self.bundle.map(regime)
            return self._maps[regime]

    @contextmanager
    def wearing(self, adapters: Tensor | Sequence[Adapter]) -> Iterator[list[Folded]]:
        """A private network for each of N adapters (raw rows `[N, D]`, or any form), with it merged in; the copies
        serve again afterwards."""
        with self._lock:
            backbone = self.bundle.backbone
        networks = [_taken(self._spare) or Folded(backbone) for _ in adapters]
        try:
            for network, adapter in zip(networks, adapters, strict=True):
                network.set_adapter(adapter)
            yield networks
        finally:
            self._spare.extend(networks[: max(0, SPARE - len(self._spare))])

    def predictions(self, networks: Sequence[Folded], pixels: Tensor) -> Tensor:
        """The class that each of N networks gives to each photograph, uint8 `[M, 3, H, W]`: int64 `[N, M]`, CPU."""
        shown = networks[0].standard.prepared(pixels.to(self.bundle.device))
        return torch.stack([network.predictions([shown]) for network in networks])

    def _embedding(self, name: str) -> Tensor:
        return self.pictures.of(name).embedding if is_own(name) else self.bundle.embedding(name)

    def _look(self, networks: Sequence[Folded], name: str, count: int, before: Live | None) -> Live:
        """Measure each merged network on the first `count` images of a location, going on from what is known."""
        images, start = self.images(name, count), before.count if before else 0
        if before and start >= len(images):
            return before
        right = self.predictions(networks, images.pixels[start:count]) == images.labels[start:count]
        return joined(before, right, max(start, min(count, len(images))))


def _as_written(setting: Setting) -> Setting:
    """The setting without what its rows do not depend on: how many photographs are named, and B at weight 0."""
    return replace(setting, images=IMAGES[-1], b=setting.a if setting.weight == 0 else setting.b)


def _taken(spare: list[Folded]) -> Folded | None:
    """One of the spare networks; popping a list is safe between threads, asking for its length first is not."""
    try:
        return spare.pop()
    except IndexError:
        return None
