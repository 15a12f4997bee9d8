"""Which parameters of a network one row of numbers stands for: LoRA factors, or chosen parameters as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UserError
from .adapter import AdapterLayout, once
from .lora import LoRA


class Subset(Protocol):
    """A choice of parameters. Buffers, such as the statistics of batch norms, never travel in a row: they stay those of
    the shared network, which is always run in evaluation mode."""

    def names(self, network: nn.Module) -> tuple[str, ...]:
        """The network's parameters that a row changes, in network order."""

    def layout(self, network: nn.Module) -> AdapterLayout:
        """Which number of a row `[D]` belongs to what."""

    def initial(self, network: nn.Module, rng: torch.Generator) -> Tensor:
        """A row `[D]` to begin fine-tuning with, which changes nothing."""

    def weights(self, network: nn.Module, row: Tensor) -> dict[str, Tensor]:
        """The parameters of `names` as a row `[D]` makes them, whole; differentiable in the row."""

    def to_json(self) -> dict[str, Any]:
        """The choice as a JSON value that `subset_from_json` reads."""


@dataclass(frozen=True)
class Parameters:
    """A row is the difference of chosen parameters from those of the shared network, so zeros change nothing.

    Attributes:
        pattern: regular expression that is searched in parameters' names: `r"bn\\d\\.(weight|bias)$"`, `r""` for all.
    """

    pattern: str

    def names(self, network: nn.Module) -> tuple[str, ...]:
        """The parameters whose names hold the pattern, in network order."""
        return tuple(name for name, _ in network.named_parameters() if re.search(self.pattern, name))

    @once
    def layout(self, network: nn.Module) -> AdapterLayout:
        """Names and shapes of the chosen parameters.

        Raises:
            UserError: if the pattern is in no parameter's name.
        """
        names = self.names(network)
        if not names:
            raise UserError(f"No parameter of the network has '{self.pattern}' in its name.")
        return AdapterLayout(names, tuple(tuple(network.get_parameter(name).shape) for name in names))

    def initial(self, network: nn.Module, rng: torch.Generator) -> Tensor:
        """Zeros `[D]`."""
        del rng
        return torch.zeros(self.layout(network).dim)

    def weights(self, network: nn.Module, row: Tensor) -> dict[str, Tensor]:
        """The chosen parameters with a row's `[D]` differences added, by name; differentiable in the row.

        Raises:
            UserError: if D is not the layout's.
        """
        added = self.layout(network).unpack(row)
        return {name: network.get_parameter(name).detach() + value for name, value in added.items()}

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"kind": "Parameters", "pattern": self.pattern}


def subset_from_json(value: Mapping[str, Any]) -> Subset:
    """The choice that `to_json` wrote.

    Raises:
        UserError: if the value is none.
    """
    try:
        options = {key: part for key, part in value.items() if key != "kind"}
        return {"LoRA": LoRA, "Parameters": Parameters}[value["kind"]](**options)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError("The choice of adapted parameters is damaged or of another version; fetch it anew.") from error
