"""An adapter is a row of numbers: which number of the row belongs to which weight."""

import hashlib
import json
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import UserError


@dataclass(frozen=True)
class AdapterLayout:
    """Names and shapes of an adapter's weights, in network order; together they define the row `[D]`."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.shapes) or len(set(self.names)) != len(self.names) or not self.names:
            raise UserError("An adapter layout needs at least one weight, distinct names and one shape for each name.")

    @classmethod
    def of(cls, named: Mapping[str, Tensor]) -> "AdapterLayout":
        """The layout of one adapter's weights; the mapping's order is the row's order."""
        return cls(tuple(named), tuple(tuple(tensor.shape) for tensor in named.values()))

    @cached_property
    def dim(self) -> int:
        """D, the numbers in a row."""
        return sum(math.prod(shape) for shape in self.shapes)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where in the row each weight lies, by name."""
        slices, start = {}, 0
        for name, shape in zip(self.names, self.shapes, strict=True):
            slices[name] = slice(start, start := start + math.prod(shape))
        return slices

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ between layouts; saved beside every row."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:12]

    def pack(self, named: Mapping[str, Tensor]) -> Tensor:
        """Named weights `[..., *shape]` as rows `[..., D]`, float32; the leading axes are the same for every weight.

        Raises:
            UserError: if a weight is missing or has another shape.
        """
        flat = [self._flat(name, shape, named) for name, shape in zip(self.names, self.shapes, strict=True)]
        if len({part.shape[:-1] for part in flat}) > 1:
            raise UserError("The adapter's weights must all have the same leading axes, or none.")
        return torch.cat(flat, dim=-1)

    def unpack(self, rows: Tensor) -> dict[str, Tensor]:
        """Rows `[..., D]` as named weights `[..., *shape]`, views of the rows where possible.

        Raises:
            UserError: if the rows have another D.
        """
        self.check(rows)
        parts = zip(self.slices.items(), self.shapes, strict=True)
        return {name: rows[..., part].reshape((*rows.shape[:-1], *shape)) for (name, part), shape in parts}

    def check(self, rows: Tensor) -> None:
        """Refuse rows that do not fit.

        Raises:
            UserError: if the rows have another D.
        """
        found = rows.shape[-1] if rows.ndim else 0
        if found != self.dim:
            raise UserError(f"The row has {found:,} numbers, but this layout needs {self.dim:,}.")

    def to_json(self) -> dict[str, Any]:
        """The layout as a JSON value."""
        return {"names": list(self.names), "shapes": [list(shape) for shape in self.shapes]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "AdapterLayout":
        """The layout that `to_json` wrote.

        Raises:
            UserError: if the value is no layout.
        """
        try:
            shapes = tuple(tuple(int(size) for size in shape) for shape in value["shapes"])
            return cls(tuple(str(name) for name in value["names"]), shapes)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("The adapter layout is damaged; it needs a list of names and a list of shapes.") from error

    def _flat(self, name: str, shape: tuple[int, ...], named: Mapping[str, Tensor]) -> Tensor:
        if name not in named:
            raise UserError(f"The adapter has no weight '{name}'; it belongs to another layout.")
        tensor = named[name]
        lead = tensor.ndim - len(shape)
        if lead < 0 or tuple(tensor.shape[lead:]) != shape:
            raise UserError(f"Weight '{name}' has shape {list(tensor.shape)}, but this layout needs {list(shape)}.")
        return tensor.reshape((*tensor.shape[:lead], math.prod(shape))).float()


Choice = TypeVar("Choice", bound=Hashable)


def once(layout: Callable[[Choice, nn.Module], AdapterLayout]) -> Callable[[Choice, nn.Module], AdapterLayout]:
    """Let a layout be worked out once for each choice and network, as merging asks for it every time; it is forgotten
    with the network."""
    known: WeakKeyDictionary[nn.Module, dict[Choice, AdapterLayout]] = WeakKeyDictionary()

    @wraps(layout)
    def remembered(choice: Choice, network: nn.Module) -> AdapterLayout:
        own = known.setdefault(network, {})
        if choice not in own:
            own[choice] = layout(choice, network)
        return own[choice]

    return remembered
