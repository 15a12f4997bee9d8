"""A p-diff system from nothing: base, checkpoints, generator, samples, numbers; every stage goes on after a kill."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..build.claim import claimed
from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors
from ..generator import AdapterGenerator, GeneratorConfig
from ..generator.recipe import PLAIN, GeneratorRecipe
from ..generator.train import train_generator
from ..generator.vae import VAEConfig
from ..training.loop import Step
from .base import train_base
from .checkpoints import Checkpoints, gentle_rate, grow, usable
from .choice import subset_of
from .groups import STEPS, Groups
from .networks import network_of
from .order import ABOUT, Order, but_root
from .own import read_zoo, zoo_files
from .pictures import Pictures
from .recipe import Recipe
from .shared import Shared, load_state
from .sources import pictures_of

FORMAT = 1
BASE, ROWS, GENERATOR = "base.safetensors", "rows.safetensors", "generator"
SAMPLES, RESULTS, REPORT, WORK, MEASURED = "samples.safetensors", "results.json", "report.html", "work", "measured"
Progress = Iterator[tuple[str, Step]]


class System:
    """A folder that a p-diff system grows in: what is there is read, what is not is made."""

    def __init__(self, order: Order, out: Path, *, device: str = "cpu") -> None:
        """Check all that can be checked before anything is written; networks are trained and measured on `device`.

        Raises:
            UserError: if network, parameters, data, checkpoint, zoo and folder do not go together.
        """
        self.order, self.out, self.work, self.device = order, Path(out), Path(out) / WORK, device
        self.pictures: Pictures = pictures_of(order.data, order.size, root=order.root)
        network = network_of(
            order.network, len(self.pictures.classes), order.size, seed=order.seed, pretrained=order.pretrained
        )
        self.subset = subset_of(network, order.parameters)
        if order.zoo is not None:
            files = zoo_files(order.zoo)
            load_state(network, order.checkpoint or files[0])
        elif order.checkpoint is not None:
            load_state(network, order.checkpoint)
        network.to(device)
        self.network, self._shared = network, None if self.trains_base else Shared(network, self.subset)
        if order.zoo is not None:
            usable(self._read_zoo().rows, self._base_norm)
        self._check_folder()

    @property
    def trains_base(self) -> bool:
        """Whether the base network is trained here."""
        return self.order.checkpoint is None and self.order.zoo is None

    @property
    def _base_norm(self) -> float:
        names = self.subset.names(self.network)
        return float(sum(self.network.get_parameter(name).square().sum() for name in names)) ** 0.5

    def _check_folder(self) -> None:
        path = self.out / ABOUT
        if path.exists() and but_root(_ordered(path)) != but_root(self.order.to_json()):
            raise UserError(f"'{self.out.name}' holds another p-diff system; name another --out, or the same options.")
        if not path.exists() and self.out.exists() and any(self.out.iterdir()):
            raise UserError(f"'{self.out.name}' is not empty and holds no p-diff system; name another --out.")

    @property
    def measured_pictures(self) -> Pictures:
        """The pictures that are measured on."""
        return self.pictures.at_most(self.order.recipe.selection, self.order.recipe.test)

    @property
    def shared(self) -> Shared:
        """The shared network, once it is trained.

        Raises:
            UserError: if it is not.
        """
        if self._shared is None:
            load_state(self.network, self.out / BASE)
            self._shared = Shared(self.network, self.subset)
        return self._shared

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The rows, once they are there.

        Raises:
            UserError: if they are not.
        """
        return Checkpoints.load(self.out / ROWS, self.shared).thinned(self.order.recipe.known)

    @cached_property
    def generator(self) -> AdapterGenerator:
        """The generator, once it is trained.

        Raises:
            UserError: if it is not.
        """
        return AdapterGenerator.from_pretrained(self.out / GENERATOR, self.device)

    @cached_property
    def samples(self) -> Tensor:
        """Generated rows `[N, D]`, once there are any."""
        return load_tensors(self.out / SAMPLES)[0]["rows"]

    @property
    def groups(self) -> Groups:
        """All rows that are compared."""
        return Groups.of(self.checkpoints, self.generator, self.samples)

    def begin(self) -> None:
        """Claim the folder: from here on it is this system's."""
        if not (self.out / ABOUT).exists():
            about = {
                "format": FORMAT,
                "order": self.order.to_json(),
                "layout": self.subset.layout(self.network).to_json(),
            }
            save_json(self.out / ABOUT, about)

    def run(self) -> Progress:
        """Every stage that is not there yet; the report is another module's (`chapter`).

        Raises:
            UserError: if another run is at work in the folder.
        """
        self.begin()
        with claimed(self.work, self.out.name):
            yield from self._stages()
        shutil.rmtree(self.work, ignore_errors=True)

    def _stages(self) -> Progress:
        yield from self._stage("base", self.out / BASE, self._base)
        yield from self._stage("rows", self.out / ROWS, self._rows)
        yield from self._stage("generator", self.out / GENERATOR / "config.json", self._generator)
        yield from self._stage("samples", self.out / SAMPLES, self._samples)
        yield from self._stage("measure", self.out / RESULTS, self._measure)

    def _stage(self, name: str, path: Path, make: Any) -> Progress:
        """A stage, unless its file is there; its seconds are counted over kills."""
        if path.exists():
            return
        begun, kept = time.monotonic(), self.work / f"{name}-seconds.json"
        earlier = load_json(kept) if kept.exists() else 0.0
        shown_at = begun
        for item in make():
            if time.monotonic() - shown_at > 5:
                shown_at = time.monotonic()
                save_json(kept, earlier + shown_at - begun)
            yield item
        save_json(kept, earlier + time.monotonic() - begun)

    def _base(self) -> Progress:
        if self.trains_base:
            part = self.work / "base-part.safetensors"
            steps = train_base(
                self.network, self.pictures, self.order.recipe.base, seed=self.order.seed, checkpoint=part
            )
            yield from (("base", step) for step in steps)
            self._shared = Shared(self.network, self.subset)
            self.shared.save(self.out / BASE)
            part.unlink(missing_ok=True)
        else:
            self.shared.save(self.out / BASE)

    def _rows(self) -> Progress:
        found: Checkpoints | None = None
        if self.order.zoo is not None:
            found = self._read_zoo()
        else:
            rate = self.order.recipe.rows.rate
            if rate is None:
                rate = yield from self._rate()
            steps = grow(self.shared, self.pictures, self.order.recipe.rows, rate, seed=self.order.seed, work=self.work)
            for step, every in steps:
                found = every
                yield "rows", step
        if found is not None:
            usable(found.rows, self._base_norm)
            found.save(self.out / ROWS, self.shared)

    def _rate(self) -> Generator[tuple[str, Step], None, float]:
        """The greatest gentle rate, found once."""
        kept, found = self.work / "rate.json", 0.0
        if not kept.exists():
            rows, seed = self.order.recipe.rows, self.order.seed
            for step, rate in gentle_rate(self.shared, self.pictures, rows, seed=seed, work=self.work):
                found = rate
                yield "rate", step
            save_json(kept, found)
        return float(load_json(kept))

    def _read_zoo(self) -> Checkpoints:
        if self.order.zoo is None:
            raise UserError("There is no folder of checkpoints to read.")
        shared = self._shared or Shared(self.network, self.subset)
        return read_zoo(shared, self.order.zoo, self.order.recipe.rows.held_out)

    def _generator(self) -> Progress:
        recipe, known = self.order.recipe, self.checkpoints.known
        made = untrained(self.shared, len(known), recipe, self.order.seed).to(self.device)
        yield from train_generator(made, known, None, None, generator_recipe(recipe, self.order.seed), folder=self.work)
        made.save_pretrained(self.out / GENERATOR)

    def _samples(self) -> Progress:
        count = self.order.recipe.samples
        with torch.no_grad():
            rows = self.generator.generate(count=count, steps=STEPS, seed=self.order.seed).cpu()
        save_tensors(self.out / SAMPLES, {"rows": rows})
        yield "samples", Step(count, count, float("nan"))

    def _measure(self) -> Progress:
        from .measuring import measure

        yield from measure(self)


def untrained(shared: Shared, known: int, recipe: Recipe, seed: int) -> AdapterGenerator:
    """The generator to train: unconditional, with no more directions than `known` rows can span."""
    config = GeneratorConfig.of(
        shared.layout,
        condition=None,
        backbone_fingerprint=shared.fingerprint,
        components=max(1, min(recipe.components, known - 1)),
        width=recipe.width,
    )
    if recipe.way == "paper":
        config = config.plain(autoencoder=True)
        vae = VAEConfig(shared.layout.dim, input_noise=recipe.input_noise, latent_noise=recipe.latent_noise)
        config = replace(config, codec=vae)
    return AdapterGenerator.untrained(config, seed=seed)


def generator_recipe(recipe: Recipe, seed: int) -> GeneratorRecipe:
    """How the generator of a p-diff system is trained."""
    if recipe.way == "paper":
        return replace(PLAIN, denoiser_steps=recipe.denoiser_steps, seed=seed)
    return GeneratorRecipe(denoiser_steps=recipe.denoiser_steps, seed=seed)


def _ordered(path: Path) -> dict[str, Any]:
    """The order in a system's folder; what an earlier version did not know is as it was then."""
    return Order.from_json(load_json(path).get("order", {})).to_json()
