"""Which parameters a row stands for, from what was typed: all, norms, last layers, LoRA, or a pattern."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from torch import nn

from ..errors import UserError
from ..network.lora import LoRA
from ..network.subset import Parameters, Subset

#: Layers or ranks that can be asked for.
MOST = 1_024
GRAMMAR = "all, norms, norms:N (the last N), last, last:N (the last N layers), lora, lora:RANK, or a pattern"


def subset_of(network: nn.Module, text: str) -> Subset:
    """The choice that a text stands for (see `GRAMMAR`); a pattern is a regular expression, searched in names.

    Raises:
        UserError: if it chooses nothing, chooses everything without saying `all`, or cannot be read.
    """
    kind, _, number = text.strip().partition(":")
    if kind == "all" and not number:
        return Parameters("")
    if kind == "norms":
        return _layers(network, norms(network), number, "normalisation layers")
    if kind == "last":
        return _layers(network, leaves(network), number or "1", "layers")
    if kind == "lora":
        return LoRA(_exactly(_adaptable(network)), rank=_count(number or "4"), alpha=_count(number or "4"))
    return _pattern(network, text.strip())


def norms(network: nn.Module) -> list[str]:
    """Names of the normalisation layers that have parameters of their own, in network order."""
    return [name for name in leaves(network) if "norm" in type(network.get_submodule(name)).__name__.lower()]


def leaves(network: nn.Module) -> list[str]:
    """Names of the modules that hold parameters themselves, in network order; the network's own are left out."""
    return [name for name, module in network.named_modules() if name and any(True for _ in module.parameters(False))]


def nearest_names(network: nn.Module, pattern: str) -> list[str]:
    """The parameters whose names are most like a pattern; the first ones if none is."""
    names = [name for name, _ in network.named_parameters()]
    plain = re.sub(r"[\\^$.*+?()|\[\]{}]+", ".", pattern).strip(".")
    return get_close_matches(plain, names, n=3, cutoff=0.3) or names[:3]


def _pattern(network: nn.Module, pattern: str) -> Parameters:
    try:
        re.compile(pattern)
    except re.error as error:
        raise UserError(f"'{pattern}' is no regular expression ({error}); choose {GRAMMAR}.") from error
    subset = Parameters(pattern)
    found, every = subset.names(network), [name for name, _ in network.named_parameters()]
    if not found:
        near = ", ".join(nearest_names(network, pattern))
        raise UserError(f"No parameter of the network has '{pattern}' in its name; the nearest are {near}.")
    if len(found) == len(every):
        raise UserError(
            f"'{pattern}' chooses every parameter of the network; if that is meant, ask for it with --parameters all."
        )
    return subset


def _layers(network: nn.Module, names: Sequence[str], number: str, what: str) -> Parameters:
    if not names:
        raise UserError(f"The network has no {what} with parameters of their own; choose {GRAMMAR}.")
    wanted = _count(number) if number else len(names)
    if wanted > len(names):
        raise UserError(f"The network has {len(names)} {what}, not {wanted}.")
    return Parameters(rf"^({_exactly(names[-wanted:])})\.[^.]+$")


def _adaptable(network: nn.Module) -> list[str]:
    """Layers that LoRA can adapt: linear ones and convolutions without groups, but for the last of them."""
    found = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
    ]
    if not found:
        raise UserError("The network has no linear layer or convolution that LoRA could adapt; choose a pattern.")
    return found[:-1] or found


def _exactly(names: Sequence[str]) -> str:
    return "|".join(re.escape(name) for name in names)


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= MOST:
        raise UserError(f"'{text}' is no number of layers or rank (1 to {MOST:,}); choose {GRAMMAR}.")
    return int(text)
