"""A frozen classifier whose batch-norms are folded into its convolutions: twice as fast on a CPU, also to tune rows."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .backbone import Backbone, deltas, prepared, weight_of

#: Convolutions and the batch-norms behind them, by the names that timm gives them in each kind of block.
_PAIRS = {
    "EfficientNet": (("conv_stem", "bn1"), ("conv_head", "bn2")),
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}


class Folded:
    """A private copy of a backbone that takes one adapter after the other; the backbone stays as it is.

    In evaluation mode a batch-norm only scales and shifts what its convolution gives, so the scale can be multiplied
    into the convolution's weights and the shift become its bias: the logits are the same but for rounding.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.layout = backbone.layout
        self.network = copy.deepcopy(backbone.network).eval().requires_grad_(False)
        self._plain = {name: weight_of(backbone.network, name).detach() for name in backbone.adapted}
        self._scale: dict[str, Tensor] = {}
        for path, block in list(self.network.named_modules()):
            for conv, norm in _PAIRS.get(type(block).__name__, ()):
                self._scale[f"{path}.{conv}".lstrip(".")] = _fold(block, conv, norm)
        self.network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def wear(self, adapter: Tensor | Mapping[str, Tensor]) -> Folded:
        """Take on one raw row `[D]`, or weights to add by convolution as `backbone.deltas` gives them; returns itself.

        Raises:
            UserError: if D is not the layout's.
        """
        added = deltas(self.layout, adapter) if isinstance(adapter, Tensor) else adapter
        for name, weight in self._weights(added).items():
            weight_of(self.network, name).copy_(weight)
        return self

    def logits(self, row: Tensor, pixels: Tensor) -> Tensor:
        """Logits `[M, K]` of prepared pixels under one raw row `[D]`, differentiable in the row; nothing is changed.

        Batch-norm statistics are frozen by the folding, so none leak out of the row.
        """
        weights = {f"{name}.weight": weight for name, weight in self._weights(deltas(self.layout, row)).items()}
        logits: Tensor = functional_call(self.network, weights, (pixels,))
        return logits

    def _weights(self, added: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The adapted convolutions' folded weights with what is to be added to each."""
        weights = {}
        for name, plain in self._plain.items():
            weight = plain + added[name].to(plain.device) if name in added else plain
            weights[name] = weight * self._scale[name] if name in self._scale else weight
        return weights

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Logits `[M, K]` of prepared pixels (see `backbone.prepared`)."""
        logits: Tensor = self.network(pixels)
        return logits

    def named(self, batches: Iterator[Tensor] | list[Tensor]) -> Tensor:
        """The species of prepared images, `[M]`, on the CPU."""
        return torch.cat([self(batch).argmax(dim=1).cpu() for batch in batches])


def prepared_batches(pixels: Tensor, size: int, device: torch.device) -> list[Tensor]:
    """Images uint8 `[M, 3, H, W]` as the network takes them, `size` at once."""
    return [prepared(batch.to(device)) for batch in pixels.split(size)]


def _fold(block: nn.Module, conv: str, norm: str) -> Tensor:
    """Fold a batch-norm of a block into its convolution; returns the scale of each output, `[out, 1, 1, 1]`."""
    convolution, batch_norm = block.get_submodule(conv), block.get_submodule(norm)
    if not isinstance(convolution, nn.Conv2d) or not isinstance(batch_norm, nn.BatchNorm2d):
        raise TypeError(f"{conv} and {norm} cannot be folded")
    setattr(block, conv, fuse_conv_bn_eval(convolution, batch_norm).requires_grad_(False))
    setattr(block, norm, batch_norm.get_submodule("act"))
    variance, weight = batch_norm.running_var, batch_norm.weight
    if variance is None:
        raise TypeError(f"{norm} has no statistics")
    return (weight.detach() / (variance + batch_norm.eps).sqrt())[:, None, None, None]
