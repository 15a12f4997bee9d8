"""The protocol of a condition, and what those have in common that embed each picture by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..errors import UserError

#: Pictures or captions that go through a network at once.
BATCH = 64


class Condition(Protocol):
    """Turns background pictures of one place into one vector of E numbers."""

    @property
    def name(self) -> str:
        """Identifies the network and its weights; rows of two names must never meet."""

    @property
    def dim(self) -> int:
        """E, the numbers in one embedding."""

    def __call__(self, backgrounds: Tensor) -> Tensor:
        """Embedding `[E]` of length 1 of a place, from its backgrounds, uint8 `[G, 3, H, W]`."""

    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU."""


class OfViews(ABC):
    """A condition that embeds each picture by itself."""

    @abstractmethod
    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU."""

    def __call__(self, backgrounds: Tensor) -> Tensor:
        """Embedding of a place: the mean of its `views`, scaled to length 1.

        Args:
            backgrounds: uint8 `[G, 3, H, W]`, G at least 1.

        Returns:
            float32 `[E]`, on the CPU.
        """
        return F.normalize(self.views(backgrounds).mean(dim=0), dim=0)


def checked_backgrounds(backgrounds: Tensor) -> Tensor:
    """The same pictures, seen to be uint8 `[G, 3, H, W]`, G at least 1.

    Raises:
        ValueError: if they are not.
    """
    shape = list(backgrounds.shape)
    if len(shape) != 4 or shape[1] != 3 or not shape[0] or backgrounds.dtype != torch.uint8:
        raise ValueError(f"backgrounds must be uint8 [G, 3, H, W], not {backgrounds.dtype} {shape}")
    return backgrounds


def blend(a: Tensor, b: Tensor, weight: float) -> Tensor:
    """The condition `weight` of the way from embedding `a` to `b`, `[E]` (paper section 4.3, RQ2).

    Raises:
        UserError: if the weight lies outside 0..1.
    """
    if not 0 <= weight <= 1:
        raise UserError(f"The blend weight must lie in 0..1 (0 is the first location, 1 the second), not {weight:g}.")
    return a + (b - a) * weight
