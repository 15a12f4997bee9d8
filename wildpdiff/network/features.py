"""What a network sees in a picture before it names it: pooled features, of networks of timm's."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UserError
from .backbone import Backbone

BATCH = 64
"""Pictures that go through the network at once."""


@torch.no_grad()
def pooled(backbone: Backbone, pixels: Tensor) -> Tensor:
    """The numbers before the last layer of the shared network, `[M, F]` on the CPU, of pictures uint8 `[M, 3, H, W]`.

    Raises:
        UserError: if the network is none of timm's.
    """
    network = backbone.network
    if not hasattr(network, "forward_head"):
        raise UserError(f"'{backbone.architecture}' has no pooled features; choose one of timm's networks.")
    network.eval()
    device = next(network.parameters()).device
    batches = (backbone.prepared(batch.to(device)) for batch in pixels.split(BATCH))
    return torch.cat([network.forward_head(network.forward_features(one), pre_logits=True).cpu() for one in batches])
