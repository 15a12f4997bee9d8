"""p-diff systems as a bundle keeps them: small enough to ship, and all that sampling and measuring needs.

`pdiff/NAME/` of a bundle holds `about.json` (what it is made of), `base.safetensors` (the shared network),
`generator/`, `results.json` (as the system measured them) and `live.safetensors`: which test pictures each original
names correctly (`right`, bool `[N, M]`), and where a latent lies in the originals' plane (`centre + latent @ turn`).
The originals themselves are not kept. The pictures are scikit-learn's digits, which are always there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import most_alike
from ..files import load_json, load_tensors, save_json, save_tensors
from ..generator import AdapterGenerator
from ..manifest import seal
from ..worlds.base import Images
from .choice import subset_of
from .groups import STEPS
from .mini import MINI
from .networks import network_of
from .order import ABOUT, Order
from .results import Plane
from .shared import WAYS, Shared, load_state
from .sources import pictures_of
from .system import BASE, FORMAT, GENERATOR, MEASURED, RESULTS, System

FOLDER, LIVE = "pdiff", "live.safetensors"
#: What a system may be called in a bundle.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def names(bundle: Bundle) -> tuple[str, ...]:
    """The p-diff systems of a bundle, by name."""
    parts = [name.split("/") for name in bundle.manifest["files"]]
    return tuple(sorted({part[1] for part in parts if part[0] == FOLDER and len(part) > 2}))


def keep(system: System, bundle: Bundle, name: str) -> Path:
    """Keep a measured system in a bundle and seal that anew; returns the folder.

    Raises:
        UserError: as `check_shippable`.
    """
    check_shippable(system.order, name)
    folder = bundle.folder / FOLDER / name
    results, generator = load_json(system.out / RESULTS), system.generator
    system.shared.save(folder / BASE)
    generator.save_pretrained(folder / GENERATOR)
    save_tensors(folder / LIVE, _live(system))
    save_json(folder / RESULTS, results, close=True)
    save_json(folder / ABOUT, {"format": FORMAT, "order": system.order.public() | {"root": None}})
    seal(bundle.folder, bundle.manifest)
    return folder


def check_shippable(order: Order, name: str) -> None:
    """Refuse a system that somebody else could not sample and measure from a bundle, or that cannot be called so.

    Raises:
        UserError: if the name, the pictures or the network will not do.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"A stored system is called by small letters, digits and hyphens, not '{name[:40]}'.")
    if order.data != "digits":
        raise UserError(f"Only systems on digits are stored, which everybody has; this one is on '{order.data}'.")
    if order.network.lower() not in MINI:
        raise UserError(f"Only p-diff's small networks are stored ({', '.join(MINI)}), not '{order.network}'.")


def _live(system: System) -> dict[str, Tensor]:
    """What placing and comparing a new sample needs of the originals."""
    plane, codec = Plane.of(system.checkpoints.known), system.generator.codec
    count = system.generator.config.latent_shape[1]
    corners = torch.cat([torch.zeros(1, 1, count), torch.eye(count)[:, None]])
    with torch.no_grad():
        places = plane.place(codec.decode(corners).cpu())
    right = load_tensors(system.out / MEASURED / "originals.safetensors")[0]["test"]
    return {"right": right, "centre": places[0], "turn": places[1:] - places[0]}


@dataclass(frozen=True)
class Walked:
    """The estimates of one step of the denoising: rows `[N, D]` and their places in the originals' plane `[N, 2]`."""

    step: int
    rows: Tensor
    places: Tensor


class Stored:
    """A p-diff system of a bundle; its parts are loaded when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name

    @classmethod
    def of(cls, bundle: Bundle, name: str) -> Stored:
        """A system by its name.

        Raises:
            UserError: naming those that the bundle has.
        """
        known = names(bundle)
        if name not in known:
            raise UserError(f"There is no p-diff system '{name[:40]}'; choose one of: {', '.join(known)}.")
        return cls(bundle.folder / FOLDER / name)

    @cached_property
    def results(self) -> dict[str, Any]:
        """The numbers as they were measured, see `results.numbers`."""
        return dict(load_json(self.folder / RESULTS))

    @cached_property
    def order(self) -> Order:
        """What it is made of.

        Raises:
            UserError: as `check_shippable`: a bundle may be a stranger's, and a network of one's own is code that runs.
        """
        order = Order.from_json(load_json(self.folder / ABOUT)["order"])
        check_shippable(order, self.name)
        return order

    @cached_property
    def shared(self) -> Shared:
        """The shared network."""
        network = network_of(self.order.network, len(self.results["data"]["classes"]), self.order.size)
        load_state(network, self.folder / BASE)
        return Shared(network, subset_of(network, self.order.parameters), way=WAYS[1])

    @cached_property
    def generator(self) -> AdapterGenerator:
        """The generator, checked to fit the network."""
        generator = AdapterGenerator.from_pretrained(self.folder / GENERATOR)
        generator.check(layout=self.shared.layout, backbone_fingerprint=self.shared.fingerprint)
        return generator

    @cached_property
    def images(self) -> Images:
        """The test pictures that the stored numbers were measured on."""
        recipe = self.order.recipe
        return pictures_of(self.order.data, self.order.size).at_most(recipe.selection, recipe.test).test

    @cached_property
    def base_says(self) -> Tensor:
        """What the base network sees in the test pictures, `[M]`."""
        return self.shared.predicted(torch.zeros(1, self.shared.layout.dim), self.images.pixels)[0]

    @cached_property
    def _originals(self) -> dict[str, Tensor]:
        return load_tensors(self.folder / LIVE)[0]

    def walk(self, count: int, seed: int) -> Iterator[Walked]:
        """The estimates of `count` samples, step by step; the last are the samples. Errors as the generator's."""
        path = self.generator.path(count=count, steps=STEPS, seed=seed)
        for step, latents in enumerate(path, start=1):
            yield Walked(step, self.generator.decode(latents).cpu(), self._place(latents))

    def _place(self, latents: Tensor) -> Tensor:
        return self._originals["centre"] + latents[:, 0].cpu() @ self._originals["turn"]

    def likeness(self, right: Tensor) -> Tensor:
        """The highest overlap of wrong predictions of samples `[N, M]` with an original, `[N]`."""
        return most_alike(right, self._originals["right"], same=False)
