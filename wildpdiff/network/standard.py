"""How pixels become what a network was trained on: each channel less a mean, divided by a spread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ..errors import UserError


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of red, green and blue, as shares of the brightest value."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def prepared(self, pixels: Tensor) -> Tensor:
        """Pixels as the network takes them: uint8 `[M, 3, H, W]` to standardised float32, channels last."""
        mean = torch.tensor(self.mean, device=pixels.device).mul(255)[:, None, None]
        std = torch.tensor(self.std, device=pixels.device).mul(255)[:, None, None]
        return (pixels.float() - mean).div_(std).contiguous(memory_format=torch.channels_last)

    def metadata(self) -> dict[str, str]:
        """What a network's file says of it: nothing if it is ImageNet's."""
        return {} if self == IMAGENET else {"standard": json.dumps(asdict(self))}

    @classmethod
    def read(cls, metadata: Mapping[str, str], source: str) -> Standard:
        """What `metadata` wrote; ImageNet's where it wrote nothing.

        Args:
            metadata: of the network's file.
            source: the file's name.

        Raises:
            UserError: if it is damaged.
        """
        if "standard" not in metadata:
            return IMAGENET
        try:
            said = json.loads(metadata["standard"])
            mean, std = (tuple(float(value) for value in said[name]) for name in ("mean", "std"))
        except (ValueError, KeyError, TypeError):
            mean, std = (), ()
        if (
            len(mean) != 3
            or len(std) != 3
            or not all(-10 < value < 10 for value in mean)
            or not all(0 < value < 10 for value in std)
        ):
            raise UserError(f"'{source}' has a damaged mean and spread of its pixels; fetch or make it anew.")
        return cls(mean, std)


#: Of the photographs of ImageNet; what most networks were trained on, and ours from scratch.
IMAGENET = Standard((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
