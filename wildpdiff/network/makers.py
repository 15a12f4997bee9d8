"""Networks of timm's, fresh or with ImageNet weights, and how they want their pixels. The only door to timm, which is
imported when a network is first made: it takes as long as the rest of the page."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..errors import UserError
from . import lite
from .standard import IMAGENET, Standard

#: Spread of the weights in a head that is yet to be trained.
_HEAD = 0.01


def timm_network(
    architecture: str, classes: int, *, size: int | None = None, pretrained: bool = False, seed: int = 0
) -> nn.Module:
    """A network of timm's for K = `classes`.

    Args:
        architecture: its name in timm.
        classes: K.
        size: side of its pictures in pixels, which those that know positions have to be told.
        pretrained: start from ImageNet weights (see `imagenet_network`) under a head of small random numbers, which
            names nothing yet; else from scratch.
        seed: of what is random.

    Raises:
        UserError: if timm does not know the architecture, or the ImageNet weights cannot be had.
    """
    import timm

    known = _known(architecture)
    sized: dict[str, Any] = (
        {"img_size": size} if size is not None and known is not None and known.fixed_input_size else {}
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if not pretrained:
            network: Any = timm.create_model(architecture, num_classes=classes, **sized)
            return network
        network = imagenet_network(architecture, **sized)
        network.reset_classifier(classes)
        head = network.get_classifier()
        if isinstance(head, nn.Linear):
            nn.init.normal_(head.weight, std=_HEAD)
            nn.init.zeros_(head.bias)
    return network


def imagenet_network(architecture: str = lite.ARCHITECTURE, **options: Any) -> nn.Module:
    """A network of timm's with ImageNet weights and ImageNet's 1,000 classes.

    Those of `lite.ARCHITECTURE` are read from its package if that is installed, which asks no network; all others, and
    these without the package, are what timm has fetched or fetches now.

    Raises:
        UserError: if timm does not know the architecture, or the weights cannot be had.
    """
    import timm

    _known(architecture)
    if architecture == lite.ARCHITECTURE and lite.weights_file() is not None:
        network: nn.Module = timm.create_model(architecture, **options)
        network.load_state_dict(lite.read_weights())
        return network
    try:
        return timm.create_model(architecture, pretrained=True, **options)
    except Exception as error:  # timm's and the hub's client raise errors of several libraries
        raise UserError(
            f"The ImageNet weights of {architecture} could not be fetched; go online once, run `{lite.INSTALL}` and "
            f"choose {lite.ARCHITECTURE}, or train from scratch."
        ) from error


def published_name(architecture: str) -> str | None:
    """The hub's name of an architecture's published weights, `owner/name`; None if timm knows none."""
    known = _known(architecture)
    return str(known.hf_hub_id) if known is not None and known.hf_hub_id else None


def standard_of(architecture: str) -> Standard:
    """How timm says that pixels are prepared for an architecture's published weights; ImageNet's if it says nothing."""
    import timm

    known = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture) else None
    return IMAGENET if known is None else Standard(tuple(known.mean), tuple(known.std))


def _known(architecture: str) -> Any:
    """What timm knows of an architecture's published weights; None if there are none."""
    import timm

    if not timm.is_model(architecture):
        raise UserError(f"timm has no network '{architecture}'; choose one that it lists, or give your own.")
    return timm.get_pretrained_cfg(architecture)
