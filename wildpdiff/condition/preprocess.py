"""How pixels enter a network that embeds pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..errors import UserError


@dataclass(frozen=True)
class Preprocess:
    """How pixels enter a CLIP network; equal to open_clip's own transform of Pillow images, but on tensors."""

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """What a network of open_clip asks for.

        Raises:
            UserError: if it wants a form of input that is not offered here.
        """
        import open_clip

        config = open_clip.get_model_preprocess_cfg(network)
        sides, mode = config["size"], config.get("resize_mode", "shortest")
        height, width = (sides, sides) if isinstance(sides, int) else tuple(sides)
        if height != width or mode not in ("shortest", "squash"):
            raise UserError(
                f"CLIP models with '{mode}' input of {height}x{width} pixels do not fit; choose a square one."
            )
        mean, std = tuple(config["mean"]), tuple(config["std"])
        interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
        return cls(height, mean, std, interpolation, mode)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Resize, crop the middle and normalise: uint8 `[B, 3, H, W]` to float32 `[B, 3, size, size]`."""
        height, width = self._resized(*pixels.shape[-2:])
        images = self._resize(self._resize(pixels.float(), (pixels.shape[-2], width)), (height, width))
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        images = images[..., top : top + self.size, left : left + self.size]
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images / 255 - mean) / std

    def _resize(self, images: Tensor, sides: tuple[int, int]) -> Tensor:
        """Resize along one axis and round half up to whole levels, as Pillow does after each of its two passes."""
        if sides == tuple(images.shape[-2:]):
            return images
        return F.interpolate(images, sides, mode=self.interpolation, antialias=True).add(0.5).floor().clamp(0, 255)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize_mode == "squash":
            return self.size, self.size
        short = min(height, width)
        return int(self.size * height / short), int(self.size * width / short)
