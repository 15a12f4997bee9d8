"""What a network sees in a picture before it names it: pooled features, of networks of timm's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .backbone import Backbone

BATCH = 64
"""Pictures that go through the network at once."""


@torch.no_grad()
def features(network: nn.Module, pixels: Tensor) -> Tensor:
    """What a network of timm's hands to its classifier, `[M, E]`, of prepared pixels `[M, 3, H, W]`."""
    net: Any = network
    handed: Tensor = net.forward_head(net.forward_features(pixels), pre_logits=True)
    return handed


def pooled(backbone: Backbone, pixels: Tensor) -> Tensor:
    """The features of pictures uint8 `[M, 3, H, W]` in the shared network, `[M, E]` on the CPU.

    Raises:
        UserError: if the network is none of timm's.
    """
    network = backbone.network.eval()
    if not hasattr(network, "forward_head"):
        raise UserError(f"'{backbone.architecture}' has no pooled features; choose one of timm's networks.")
    device = next(network.parameters()).device
    return torch.cat([features(network, backbone.prepared(batch.to(device))).cpu() for batch in pixels.split(BATCH)])
