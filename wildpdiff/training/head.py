"""A classifier's last layer on frozen features: for sets that are too small to train a whole network on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..network.backbone import Backbone
from ..network.features import pooled
from ..worlds.base import Images
from .pretrain import class_chances

#: Of a class that no picture shows: so far below the others that it is never named.
_NEVER = -30.0


@dataclass(frozen=True)
class HeadRecipe:
    """Logistic regression on features of pictures and of their mirror images.

    `strength` is the inverse of the penalty on weights, of features of variance 1. `balance`: 1 gives every class the
    same weight, 0 leaves the frequencies as they are.
    """

    strength: float = 0.01
    balance: float = 0.5


def fit_head(backbone: Backbone, images: Images, recipe: HeadRecipe) -> None:
    """Fit the network's last layer to pictures in place; all else is left as it is, and the network in evaluation mode.

    Args:
        backbone: a network of timm's with a linear classifier behind pooled features.
        images: pixels uint8 `[M, 3, H, W]` and labels; of at least two classes.
        recipe: how strong.

    Raises:
        UserError: if the network has no linear classifier, or the pictures show one class alone.
    """
    features = torch.cat([pooled(backbone, images.pixels), pooled(backbone, images.pixels.flip(-1))])
    set_head(backbone, *fitted(features, images.labels.repeat(2), len(backbone.species), recipe))


def fitted(features: Tensor, labels: Tensor, classes: int, recipe: HeadRecipe) -> tuple[Tensor, Tensor]:
    """Weight `[K, F]` and bias `[K]` of a linear layer on features `[M, F]`.

    Raises:
        UserError: if the labels are of one class alone.
    """
    from sklearn.linear_model import LogisticRegression

    if len(labels.unique()) < 2:
        raise UserError("The photographs to learn from show one class alone; label photographs of a second one.")
    mean, scale = features.mean(dim=0), features.std(dim=0).clamp(min=1e-4)
    scaled: Any = ((features - mean) / scale).double().numpy()
    weights = class_chances(labels, recipe.balance)
    model = LogisticRegression(C=recipe.strength, max_iter=500)
    model.fit(scaled, labels.numpy(), sample_weight=(weights / weights.mean()).numpy())
    coefficients, offsets = torch.tensor(model.coef_).float(), torch.tensor(model.intercept_).float()
    if len(model.classes_) == 2:  # one row for both
        coefficients, offsets = torch.cat([-coefficients, coefficients]) / 2, torch.cat([-offsets, offsets]) / 2
    weight, bias = torch.zeros(classes, features.shape[1]), torch.full((classes,), _NEVER)
    weight[model.classes_] = coefficients / scale
    bias[model.classes_] = offsets - (coefficients / scale) @ mean
    return weight, bias


def set_head(backbone: Backbone, weight: Tensor, bias: Tensor) -> None:
    """Put a linear layer's numbers into the network.

    Raises:
        UserError: if the network has no linear classifier of that shape.
    """
    network: Any = backbone.network
    head = network.get_classifier() if hasattr(network, "get_classifier") else None
    if not isinstance(head, nn.Linear) or head.weight.shape != weight.shape:
        raise UserError(
            f"'{backbone.architecture}' has no linear classifier to fit; choose another of timm's networks."
        )
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(bias)
    backbone.eval()
