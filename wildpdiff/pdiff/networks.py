"""A network by its name: one of p-diff's five small ones, any of timm's, or a function of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from ..errors import UserError
from ..files import is_file
from ..network.makers import timm_network
from .mini import MINI


def network_of(name: str, classes: int, size: int, *, seed: int = 0, pretrained: bool = False) -> nn.Module:
    """A new network that takes standardised pictures `[M, 3, S, S]` and gives logits `[M, K]`.

    Args:
        name: one of `MINI`, one of timm's, `package.module:function` or `file.py:function`; a function takes nothing.
        classes: K.
        size: S.
        seed: of the starting weights.
        pretrained: whether one of timm's starts from ImageNet weights.

    Raises:
        UserError: if there is no such network, or it does not give K logits of such pictures.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if ":" in name:
            network = _own(name)
        elif name.lower() in MINI:
            network = MINI[name.lower()](classes, size)
        else:
            network = _of_timm(name, classes, size, seed, pretrained)
    _try(network, name, classes, size)
    return network


def _of_timm(name: str, classes: int, size: int, seed: int, pretrained: bool) -> nn.Module:
    try:
        return timm_network(name, classes, size=size, seed=seed, pretrained=pretrained)
    except UserError:
        near = get_close_matches(name.lower(), MINI, n=2, cutoff=0.5)
        if near:
            raise UserError(f"There is no network '{name}'; did you mean {' or '.join(near)}?") from None
        raise


def _own(name: str) -> nn.Module:
    source, _, function = name.rpartition(":")
    module = _file(Path(source)) if source.endswith(".py") else _module(source)
    make = getattr(module, function, None)
    if not callable(make):
        raise UserError(f"'{source}' has no function '{function}' that could make a network.")
    try:
        network = make()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"'{name}' could not make a network ({_said(error)}); it is called without arguments."
        ) from error
    if not isinstance(network, nn.Module):
        raise UserError(f"'{name}' gave a {type(network).__name__}, but a network is a torch.nn.Module.")
    return network


def _module(source: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(source)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"Module '{source}' cannot be imported ({_said(error)}); run this where Python finds it, or name the file."
        ) from error


def _file(path: Path) -> ModuleType:
    if not is_file(path):
        raise UserError(f"There is no file '{path}' to take a network from.")
    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}", path)
    try:
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except (Exception, SystemExit) as error:
        raise UserError(f"'{path.name}' cannot be run ({_said(error)}); it has to be a Python module.") from error
    return module


@torch.no_grad()
def _try(network: nn.Module, name: str, classes: int, size: int) -> None:
    training = network.training
    try:
        found = network.eval()(torch.zeros(2, 3, size, size))
    except Exception as error:
        raise UserError(
            f"'{name}' does not take pictures of {size} x {size} ({_said(error)}); try another --size."
        ) from error
    network.train(training)
    if not isinstance(found, torch.Tensor) or found.shape != (2, classes):
        shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise UserError(f"'{name}' gives {shape} for 2 pictures, but these {classes} classes need [2, {classes}].")
    if not bool(found.isfinite().all()):
        raise UserError(
            f"'{name}' gives numbers that are not finite for grey pictures; give a network with other weights."
        )


def _said(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:120]}" if lines else type(error).__name__
