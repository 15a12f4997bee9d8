"""A frozen classifier with its batch norms folded into the convolutions: twice as fast on a CPU, also to tune rows."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import UserError
from .backbone import Backbone
from .standard import Standard

#: Convolutions and the batch-norms behind them, by the names that timm gives them in each kind of block.
_PAIRS = {
    "EfficientNet": (("conv_stem", "bn1"), ("conv_head", "bn2")),
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}


#: A raw row `[D]`, or what to add to each weight by its name, as `LoRA.products` gives it, and to the last layer's
#: biases (see `Backbone.head_bias`); nothing leaves the network as it is.
Adapter = Tensor | Mapping[str, Tensor]


class Folded:
    """A private copy of a backbone that takes one adapter after the other; the backbone stays as it is.

    In evaluation mode a batch norm only scales and shifts what its convolution gives, so the scale can be multiplied
    into the convolution's weights and the shift become its bias: the logits are the same but for rounding. Batch norms
    that the backbone's subset adapts are not folded, nor those of networks whose blocks are not in the table above.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.subset, self.standard, self._shared = backbone.subset, backbone.standard, backbone.network
        names = set(self.subset.names(backbone.network))
        self.network = copy.deepcopy(backbone.network).eval().requires_grad_(False)
        self._scale: dict[str, Tensor] = {}
        for path, block in list(self.network.named_modules()):
            at = f"{path}." if path else ""
            for conv, norm in _PAIRS.get(type(block).__name__, ()):
                if not names & {f"{at}{conv}.bias", f"{at}{norm}.weight", f"{at}{norm}.bias"}:
                    self._scale[f"{at}{conv}.weight"] = _fold(block, conv, norm)
        self.network.to(memory_format=torch.channels_last)
        self._device = next(self._shared.parameters()).device
        names |= {backbone.head_bias} - {""}
        self._plain = {name: self._shared.get_parameter(name).detach() for name in names}
        self._own = {name: self.network.get_parameter(name) for name in names}

    @torch.inference_mode()
    def set_adapter(self, adapter: Adapter) -> Folded:
        """Take on one adapter in place of the earlier one; returns itself.

        Raises:
            UserError: if D is not the layout's.
        """
        if isinstance(adapter, Tensor):
            weights = self._plain | self.subset.weights(self._shared, adapter.to(self._device))
        else:
            added = {name: adapter[name].to(self._device) for name in self._plain.keys() & adapter.keys()}
            weights = {name: plain + added.get(name, 0) for name, plain in self._plain.items()}
        for name, weight in self._folded(weights).items():
            self._own[name].copy_(weight)
        return self

    def logits(self, row: Tensor, pixels: Tensor) -> Tensor:
        """Logits `[M, K]` of prepared pixels under one raw row `[D]`, differentiable in the row; nothing is changed.

        Batch-norm statistics are frozen, so none leak out of the row.
        """
        weights = self._folded(self.subset.weights(self._shared, row))
        logits: Tensor = functional_call(self.network, weights, (pixels,))
        return logits

    def _folded(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: weight * self._scale[name] if name in self._scale else weight for name, weight in weights.items()}

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Logits `[M, K]` of prepared pixels (see `Standard.prepared`)."""
        logits: Tensor = self.network(pixels)
        return logits

    def predictions(self, batches: Iterable[Tensor]) -> Tensor:
        """The classes of prepared images, int64 `[M]`, on the CPU.

        Raises:
            UserError: if the adapter's weights are so large that the logits are not finite, and so name nothing.
        """
        logits = torch.cat([self(batch).cpu() for batch in batches])
        if not bool(logits.isfinite().all()):
            raise UserError("The adapter is not usable: its outputs are not finite, as its weights are too large.")
        return logits.argmax(dim=1)


def prepared_batches(pixels: Tensor, size: int, device: torch.device, standard: Standard) -> list[Tensor]:
    """Images uint8 `[M, 3, H, W]` as a network of this standard takes them, `size` at once."""
    return [standard.prepared(batch.to(device)) for batch in pixels.split(size)]


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
