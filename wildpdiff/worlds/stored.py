"""A world that a bundle carries: some photographs of another one, so that its data set need not be at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..picture import packed, resized, unpacked
from .base import SPLITS, Images, Split, World, location_of

#: Evaluation photographs that are kept of a location.
PHOTOGRAPHS = 100
FILE = "photographs.safetensors"


class StoredWorld:
    """The first evaluation photographs and the backgrounds of some locations of another world.

    The file has, for each location, pictures as the bytes of lossless WebP files, named `LOCATION/eval/I` and
    `LOCATION/background/I`; `LOCATION/eval`, the labels of the kept photographs; and `LOCATION/labels/SPLIT`, those of
    all that the other world had, for further locations too.
    """

    kind = "stored"
    portable = False

    def __init__(self, spec: Mapping[str, Any], tensors: dict[str, Tensor]) -> None:
        self.species, self.locations = tuple(spec["species"]), tuple(spec["locations"])
        self.size, self.about, self.caution = int(spec["size"]), str(spec["about"]), str(spec["caution"])
        self._spec, self._tensors = dict(spec), tensors

    def to_json(self) -> dict[str, Any]:
        """The spec that it is opened again from."""
        return dict(self._spec)

    def images(self, location: str, split: Split, first: int | None = None) -> Images:
        """The stored photographs of a location, or the first of them: uint8 `[M, 3, size, size]`.

        Raises:
            UserError: if the location is not known, or training photographs are asked for.
        """
        location_of(location, self.locations)
        if split == "train":
            raise UserError("A bundle carries no training photographs of this world; train where its data set is.")
        pixels = self._pictures(f"{location}/eval", first)
        return Images(pixels, self._tensors[f"{location}/eval"][: len(pixels)].long())

    def labels(self, location: str, split: Split, first: int | None = None) -> Tensor:
        """Labels `[M]` of all photographs that the other world had.

        Raises:
            UserError: if nothing is known of the location.
        """
        known = [name.removesuffix("/labels/train") for name in self._tensors if name.endswith("/labels/train")]
        return self._tensors[f"{location_of(location, known)}/labels/{split}"][:first].long()

    def backgrounds(self, location: str) -> Tensor:
        """The backgrounds of a location, uint8 `[G, 3, size, size]`."""
        return self._pictures(f"{location_of(location, self.locations)}/background", None)

    def show(self, location: str, height: int) -> Tensor:
        """The first background, uint8 `[3, height, height]`."""
        return resized(self.backgrounds(location)[0], height, height)

    def _pictures(self, name: str, first: int | None) -> Tensor:
        count = sum(key.startswith(f"{name}/") for key in self._tensors)
        wanted = count if first is None else min(first, count)
        return torch.stack([unpacked(self._tensors[f"{name}/{place}"]) for place in range(wanted)])


def store(world: World, folder: Path, locations: Sequence[str], counted: Sequence[str] = ()) -> dict[str, Any]:
    """Write what a bundle keeps of a world into its folder.

    Args:
        world: any.
        folder: the bundle's.
        locations: whose pictures are kept.
        counted: further locations, whose labels alone are kept.

    Returns:
        The spec of the `StoredWorld`.
    """
    tensors: dict[str, Tensor] = {}
    for name in locations:
        images = world.images(name, "eval", first=PHOTOGRAPHS)
        for part, pictures in (("eval", images.pixels), ("background", world.backgrounds(name))):
            tensors |= {f"{name}/{part}/{place}": packed(picture) for place, picture in enumerate(pictures)}
        tensors[f"{name}/eval"] = images.labels.short()
    for name in (*locations, *counted):
        tensors |= {f"{name}/labels/{split}": world.labels(name, split).short() for split in SPLITS}
    save_tensors(folder / FILE, tensors)
    about = {"species": list(world.species), "locations": list(locations), "size": world.size}
    return {"kind": StoredWorld.kind, "of": world.kind, **about, "about": world.about, "caution": world.caution}


def open_world(spec: Mapping[str, Any], folder: Path) -> StoredWorld:
    """The world that `store` wrote into a bundle's folder.

    Raises:
        UserError: if the file or a part of the spec is missing, or the file is damaged.
    """
    try:
        return StoredWorld(spec, load_tensors(folder / FILE)[0])
    except (KeyError, TypeError) as error:
        raise UserError(f"The world's spec lacks a part ({error}); fetch or make the bundle anew.") from None
