"""Where images come from: the `World` protocol, one of the two seams of the project."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..errors import UserError

Split = Literal["train", "eval"]
SPLITS: tuple[Split, ...] = ("train", "eval")
EMPTY = "empty"
Pairs = Callable[[torch.Generator, int], tuple[Tensor, list[str]]]
"""`pairs(rng, B)` draws B pictures, uint8 `[B, 3, H, W]`, and the caption of each."""


@dataclass(frozen=True)
class Images:
    """Labelled photographs: pixels uint8 `[M, 3, H, W]`, labels int64 `[M]` (an index into the world's `species`)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


class World(Protocol):
    """A set of camera-trap locations, each with labelled photographs and pictures of the empty place.

    Attributes:
        kind: the module of `worlds` that opens it again (see `open_world`).
        species: names of the K classes, `empty` among them; a label is an index into it.
        locations: names of all camera sites.
        size: H and W of photographs and backgrounds in pixels.
        about: what the photographs are, in one sentence.
        caution: what figures that are measured on them do not say, in one sentence.
        portable: whether its spec alone opens it on any machine, without files elsewhere.
    """

    @property
    def kind(self) -> str: ...
    @property
    def species(self) -> tuple[str, ...]: ...
    @property
    def locations(self) -> tuple[str, ...]: ...
    @property
    def size(self) -> int: ...
    @property
    def about(self) -> str: ...
    @property
    def caution(self) -> str: ...
    @property
    def portable(self) -> bool: ...

    def __hash__(self) -> int: ...

    def to_json(self) -> dict[str, Any]:
        """The spec that `open_world` opens this world from."""

    def images(self, location: str, split: Split, first: int | None = None) -> Images:
        """Photographs of one location; the two splits are disjoint.

        `first` asks for the first ones only, and fewer where there are not so many; picture i is the same for any.
        """

    def labels(self, location: str, split: Split, first: int | None = None) -> Tensor:
        """The labels alone, int64 `[M]`, as they are listed, without opening a photograph."""

    def backgrounds(self, location: str) -> Tensor:
        """Pictures of the place without animals, uint8 `[G, 3, H, W]`, none of them in the eval split."""

    def show(self, location: str, height: int) -> Tensor:
        """A background to look at, uint8 `[3, height, W]`, W as the world's own pictures are shaped."""


@runtime_checkable
class Captioned(Protocol):
    """A world that describes its locations, so that a CLIP can be trained on it."""

    def caption(self, location: str) -> str:
        """What a person would say of the empty place."""

    def captioned(self, locations: Sequence[str]) -> Pairs:
        """Backgrounds of named locations with their captions."""

    def captioned_others(self, count: int, seed: int) -> Pairs:
        """Backgrounds with captions of `count` places that are none of the world's locations."""


@runtime_checkable
class Freshening(Protocol):
    """A world that has any number of backgrounds of a location."""

    def fresh_backgrounds(self, location: str, count: int) -> Tensor:
        """`count` pictures of the empty place that are none of `backgrounds`, uint8 `[count, 3, H, W]`."""


@runtime_checkable
class Enlarging(Protocol):
    """A world that draws an evaluation photograph again with more pixels."""

    def enlarged(self, location: str, index: int, size: int) -> Tensor:
        """Evaluation photograph `index` of a location, uint8 `[3, size, size]`."""


@runtime_checkable
class Enriched(Protocol):
    """A world whose training photographs are partly made up."""

    @property
    def real(self) -> World:
        """The world without what was made up."""


@runtime_checkable
class Noting(Protocol):
    """A world that has something to say of how its data set was read."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences."""


class Inventing(Protocol):
    """How a visitor invents a location: a place of the world's own kind, made of numbers that the page's sliders set.

    The same numbers give the same pictures, photographs and labels.
    """

    def sliders(self) -> list[dict[str, Any]]:
        """Groups for the page: `heading`, `note`, and `numbers` with key, label, form, hint, low and high."""

    def place_of(self, values: Mapping[str, Any]) -> Any:
        """The page's numbers as a place.

        Raises:
            UserError: if one is missing, no finite number, or out of its bounds.
        """

    def values_of(self, place: Any) -> dict[str, Any]:
        """A place as the page's numbers; `place_of` turns them back."""

    def like(self, location: str) -> Any:
        """The place that begins as a named location is."""

    def surprise(self, seed: int) -> Any:
        """A place drawn as the world draws its own locations."""

    def scene(self, place: Any, height: int, width: int) -> Tensor:
        """The empty place to look at, uint8 `[3, height, width]`."""

    def empty_place(self, place: Any) -> Tensor:
        """The pictures that a condition is made of, as `backgrounds`: uint8 `[G, 3, H, W]`."""

    def empties(self, place: Any, count: int) -> Tensor:
        """`count` pictures of the empty place, which begin as `empty_place` does: uint8 `[count, 3, H, W]`."""

    def pasted(self, grounds: Tensor, labels: Sequence[int], *, seed: int, others: Tensor | None = None) -> Images:
        """Labelled photographs of an empty place, uint8 `[G, 3, H, W]`, with animals pasted on; cut out of `others` by
        rough masks if there are any, otherwise along their outlines."""

    def caption(self, place: Any) -> str:
        """What a person would say of the empty place."""

    def shares(self, place: Any) -> list[float]:
        """Share of each of the K classes among a place's photographs; they sum up to 1."""

    def photographs(self, place: Any, count: int) -> Iterator[Images]:
        """The first `count` labelled photographs of a place in batches; number i is the same whatever the count."""


@runtime_checkable
class Inventive(Protocol):
    """A world in which a visitor can invent a location."""

    def inventing(self) -> Inventing:
        """The way to do it."""


def location_of(name: str, known: Sequence[str]) -> str:
    """Check a location's name.

    Raises:
        UserError: naming the known ones.
    """
    if name not in known:
        shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
        raise UserError(f"Location '{name}' is not known; choose one of: {shown}.")
    return name
