"""Pictures by class in three parts: to train on, to select on, and to report on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import UserError
from ..worlds.base import Images

#: Shares of the selection part and, where a set has no test part of its own, of the test part.
SELECTION, TEST = 0.15, 0.2


@dataclass(frozen=True)
class Pictures:
    """A set of labelled pictures, uint8 `[M, 3, S, S]` with labels `[M]`, in three parts that share no picture.

    Attributes:
        name: of the set.
        classes: names of its K classes.
        train: what the base network and its checkpoints learn from.
        selection: what a best checkpoint is chosen on.
        test: what is reported.
        flips: whether a mirrored picture is one of the same class.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    selection: Images
    test: Images
    flips: bool = True

    @property
    def size(self) -> int:
        """The side of a picture in pixels."""
        return int(self.train.pixels.shape[-1])

    def at_most(self, selection: int, test: int) -> Pictures:
        """The same pictures with fewer to select and to report on; the first ones, which were shuffled."""
        return replace(self, selection=_first(self.selection, selection), test=_first(self.test, test))

    def about(self) -> dict[str, object]:
        """Name, classes and numbers of pictures, as JSON."""
        parts = {part: len(getattr(self, part)) for part in ("train", "selection", "test")}
        return {"name": self.name, "classes": list(self.classes), "size": self.size, **parts}


def parted(
    name: str,
    classes: Sequence[str],
    pixels: Tensor,
    labels: Tensor,
    *,
    test: Images | None = None,
    flips: bool = True,
) -> Pictures:
    """Part pictures `[M, 3, S, S]` by a fixed shuffle within each class, the same at every call.

    Args:
        name: of the set.
        classes: names of the K classes.
        pixels: of all pictures, without a test part that the set brings.
        labels: 0..K-1.
        test: the test part that the set brings; None: one is taken.
        flips: see `Pictures`.

    Raises:
        UserError: if there are fewer than two classes, or one has too few pictures for the parts.
    """
    if len(classes) < 2:
        raise UserError(f"'{name}' has {len(classes)} classes, but a classifier needs at least 2.")
    parts = 2 if test is not None else 3
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    for label, count in zip(classes, counts, strict=True):
        if count < parts:
            raise UserError(f"Class '{label}' has {count} picture{'s'[: count != 1]}, but {parts} parts need {parts}.")
    rng, taken = torch.Generator().manual_seed(20_241), [[], [], []]  # type: ignore[var-annotated]
    for place, count in enumerate(counts):
        own = (labels == place).nonzero()[:, 0][torch.randperm(count, generator=rng)]
        first = max(1, round(SELECTION * count))
        second = first + (max(1, round(TEST * count)) if test is None else 0)
        for part, some in zip(taken, (own[second:], own[:first], own[first:second]), strict=True):
            part.append(some)
    chosen = [torch.cat(part) for part in taken]
    chosen = [part[torch.randperm(len(part), generator=rng)] for part in chosen]
    own_test = Images(pixels[chosen[2]], labels[chosen[2]]) if test is None else _shuffled(test, rng)
    train, selection = (Images(pixels[part], labels[part]) for part in chosen[:2])
    return Pictures(name, tuple(classes), train, selection, own_test, flips)


def _shuffled(images: Images, rng: torch.Generator) -> Images:
    order = torch.randperm(len(images), generator=rng)
    return Images(images.pixels[order], images.labels[order])


def _first(images: Images, count: int) -> Images:
    return Images(images.pixels[:count], images.labels[:count])


def augmented(pixels: Tensor, rng: torch.Generator, *, flips: bool, shift: int) -> Tensor:
    """Pictures `[B, 3, S, S]` moved by up to `shift` pixels each way, and half of them mirrored if `flips`."""
    if flips:
        turned = torch.rand(len(pixels), generator=rng) < 0.5
        pixels = torch.where(turned[:, None, None, None], pixels.flip(3), pixels)
    if not shift:
        return pixels
    size = pixels.shape[-1]
    y, x = torch.randint(-shift, shift + 1, (2, len(pixels), 1), generator=rng)
    along = torch.arange(size)
    rows, columns = ((along + move).clamp(0, size - 1) for move in (y, x))
    return pixels[torch.arange(len(pixels))[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def zoomed(pixels: Tensor, rng: torch.Generator, *, flips: bool) -> Tensor:
    """Random parts of pictures, of 8% to 100% of the area, resized (the paper's augmentation); half are mirrored."""
    count, size = len(pixels), pixels.shape[-1]
    area = 0.08 + 0.92 * torch.rand(count, generator=rng)
    ratio = ((torch.rand(count, generator=rng) * 2 - 1) * 0.2877).exp()
    wide, high = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    move = (torch.rand(2, count, generator=rng) * 2 - 1) * (1 - torch.stack([wide, high]))
    turn = torch.where(torch.rand(count, generator=rng) < 0.5, -1.0, 1.0) if flips else torch.ones(count)
    zero = torch.zeros(count)
    frames = torch.stack([torch.stack([wide * turn, zero, move[0]], 1), torch.stack([zero, high, move[1]], 1)], 1)
    grid = torch.nn.functional.affine_grid(frames, [count, 3, size, size], align_corners=False)
    drawn = torch.nn.functional.grid_sample(pixels.float(), grid, padding_mode="reflection", align_corners=False)
    return drawn.round().clamp(0, 255).to(torch.uint8)
