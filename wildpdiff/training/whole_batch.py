"""Batch norms that measure the whole batch, of which every process of a team has a part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from .team import Team


def whole_batch(team: Team) -> AbstractContextManager[Any]:
    """Within it, batch norms in training measure the whole batch of a team, whatever module asks for them.

    torch's own `SyncBatchNorm` does that on GPUs alone, and would take the place of modules that do more than it does,
    as timm's do. Statistics, gradients and running averages are those of one process that has the whole batch.
    """
    return nullcontext() if team.size == 1 else _WholeBatch(team)


class _WholeBatch(TorchFunctionMode):
    def __init__(self, team: Team) -> None:
        super().__init__()
        self.team = team

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is F.batch_norm:
            return _batch_norm(self.team, *args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _batch_norm(
    team: Team,
    inputs: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As `torch.nn.functional.batch_norm`, of a part `[B, C, ...]` of the batch."""
    if not training:
        return F.batch_norm(inputs, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, variance, count = _measured(team, inputs, running_mean)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)
    one = torch.ones_like(mean)
    scale, shift = one if weight is None else weight, torch.zeros_like(mean) if bias is None else bias
    normed: Tensor = _Normed.apply(inputs, scale, shift, mean, (variance + eps).rsqrt(), count, team)
    return normed


@torch.no_grad()
def _measured(team: Team, inputs: Tensor, running_mean: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance `[C]` of each channel over the whole batch, and how many numbers a channel has there.

    Sums are of differences from the running mean, so that no large numbers cancel.
    """
    axes = [axis for axis in range(inputs.ndim) if axis != 1]
    near = _full(inputs.new_zeros(inputs.shape[1])) if running_mean is None else running_mean
    off = _full(inputs) - _wide(near, inputs)
    count = off.new_full((1,), off.numel() / off.shape[1])
    sums = team.sum(torch.cat([off.sum(axes), off.square().sum(axes), count]))
    first, second, total = sums.split([off.shape[1], off.shape[1], 1])
    mean = first / total
    return mean + near, (second / total - mean.square()).clamp(min=0), total


class _Normed(torch.autograd.Function):
    """`(inputs - mean) * scale * rate + shift`, whose gradient knows that mean and rate are the whole batch's own."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, rate: Tensor, count: Tensor, team: Team
    ) -> Tensor:
        ctx.save_for_backward(inputs, scale, mean, rate, count)
        ctx.team = team
        gain = scale * rate
        return torch.addcmul(_wide(shift - mean * gain, inputs), inputs, _wide(gain, inputs)).to(inputs.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of scale and shift are of the own part, as those of all parameters are until they are added."""
        inputs, scale, mean, rate, count = ctx.saved_tensors
        (gradient,) = gradients
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        outer = _full(gradient)
        unit = (_full(inputs) - _wide(mean, inputs)) * _wide(rate, inputs)
        own = torch.cat([outer.sum(axes), (outer * unit).sum(axes)])
        plain, turned = (ctx.team.sum(own) / count).chunk(2)
        inner = outer - _wide(plain, inputs) - unit * _wide(turned, inputs)
        shift, slope = own.chunk(2)
        return (inner * _wide(scale * rate, inputs)).to(inputs.dtype), slope, shift, None, None, None, None


def _full(numbers: Tensor) -> Tensor:
    """Numbers in single precision or better."""
    return numbers.to(torch.promote_types(numbers.dtype, torch.float32))


def _wide(channels: Tensor, like: Tensor) -> Tensor:
    """Numbers of channels `[C]` as they fit to `[B, C, ...]`."""
    return channels.view(1, -1, *[1] * (like.ndim - 2))
