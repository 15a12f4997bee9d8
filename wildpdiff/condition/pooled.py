"""What a place looks like, as numbers, where there is no CLIP: pooled ImageNet features of its background pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors
from ..network.backbone import Backbone, full, half
from ..network.features import features
from ..network.makers import imagenet_network, standard_of, timm_network
from .base import BATCH, OfViews, checked_backgrounds
from .preprocess import Preprocess

#: The files of a folder: what network it is, the centre, and the network's weights if no classifier has them.
ABOUT, CENTRE, TRUNK = "pooled.json", "centre.safetensors", "trunk.safetensors"
#: Pixels a side at which pictures enter, as the networks were trained.
SIZE = 224


class PooledCondition(OfViews):
    """A `Condition`: the direction in which a place's pooled ImageNet features differ from those of known places.

    The features are those of the network's last layer before the classifier, averaged over the picture. Of all places
    they point nearly the same way, so what all have in common, the centre, is taken off. It knows no words.
    """

    def __init__(self, network: nn.Module, architecture: str, centre: Tensor, *, size: int = SIZE) -> None:
        """Take a ready network.

        Args:
            network: one of timm's, of any head, with ImageNet weights; left as it is.
            architecture: its name in timm.
            centre: what is taken off each picture's features, `[E]`.
            size: pixels a side at which pictures enter.

        Raises:
            UserError: if the network has another number of features.
        """
        self.network, self.architecture, self.centre, self.size = network.eval(), architecture, centre.float(), size
        self.device = next(network.parameters()).device
        standard = standard_of(architecture)
        self.preprocess = Preprocess(size, standard.mean, standard.std)
        self.dim = len(centre)
        if features(network, self._entering(torch.zeros(1, 3, size, size, dtype=torch.uint8))).shape[1] != self.dim:
            raise UserError(f"The centre of the pooled features is not one of {architecture}; make the bundle anew.")
        self.name = f"pooled-{architecture}/{self._digest()}"

    @classmethod
    def of_imagenet(
        cls, architecture: str, known: Iterable[Tensor], *, size: int = SIZE, device: torch.device | str = "cpu"
    ) -> Self:
        """A new one: ImageNet's own weights (see `imagenet_network`), centred on known places.

        Args:
            architecture: what timm calls the network.
            known: backgrounds of each known place, uint8 `[G, 3, H, W]`; every place counts alike.
            size: pixels a side at which pictures enter.
            device: where it computes.

        Raises:
            UserError: as `imagenet_network`, or if there are fewer than two places.
        """
        network = Backbone(imagenet_network(architecture), ("none",), architecture=architecture).round_to_half().network
        network = network.to(device).eval().requires_grad_(False)
        raw = cls(network, architecture, torch.zeros(_width(network)), size=size)
        places = [raw.pooled(pictures).mean(dim=0) for pictures in known]
        if len(places) < 2:
            raise UserError("Pooled features need the backgrounds of at least two known places.")
        return cls(network, architecture, torch.stack(places).mean(dim=0), size=size)

    @classmethod
    def load(cls, folder: Path, classifier: Backbone) -> Self:
        """Read what `save` wrote; `classifier` is the one that it was saved beside, and lends its weights.

        Raises:
            UserError: if a part is missing or damaged, or the classifier is another one.
        """
        about = load_json(folder / ABOUT)
        centre = load_tensors(folder / CENTRE)[0]["centre"]
        try:
            architecture, size, digest = str(about["architecture"]), int(about["size"]), str(about["trunk"])
        except (KeyError, TypeError, ValueError):
            raise UserError(f"'{ABOUT}' is damaged or of another version; fetch it again or make it anew.") from None
        if centre.ndim != 1 or not bool(centre.isfinite().all()) or not 8 <= size <= 1024:
            raise UserError(f"'{ABOUT}' and '{CENTRE}' do not fit together; fetch them again or make them anew.")
        network = _stored(folder, architecture, classifier)
        if _trunk_digest(network) != digest:
            raise UserError("The pooled features belong to another classifier's weights; fetch or make them anew.")
        return cls(network, architecture, centre, size=size)

    def save(self, folder: Path, classifier: Backbone) -> None:
        """Write the centre and which network it is; the network's weights only if `classifier` has others."""
        digest = _trunk_digest(self.network)
        if classifier.architecture != self.architecture or _trunk_digest(classifier.network) != digest:
            save_tensors(folder / TRUNK, {name: half(value) for name, value in _trunk(self.network).items()})
        save_tensors(folder / CENTRE, {"centre": self.centre})
        save_json(folder / ABOUT, {"architecture": self.architecture, "size": self.size, "trunk": digest})

    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU.

        Raises:
            ValueError: if the pictures have another form or there are none.
        """
        return F.normalize(self.pooled(backgrounds) - self.centre.cpu(), dim=1)

    @torch.no_grad()
    def pooled(self, backgrounds: Tensor) -> Tensor:
        """The features as they are, neither centred nor scaled (arguments as for `views`)."""
        batches = checked_backgrounds(backgrounds).split(BATCH)
        return torch.cat([features(self.network, self._entering(batch)).float().cpu() for batch in batches])

    def _entering(self, pixels: Tensor) -> Tensor:
        """Pixels as the network takes them, `[G, 3, size, size]`."""
        return self.preprocess(pixels.to(self.device)).contiguous(memory_format=torch.channels_last)

    def _digest(self) -> str:
        """Twelve hexadecimal digits that name weights, centre and size."""
        digest = hashlib.sha256(f"{_trunk_digest(self.network)} {self.size}".encode())
        digest.update(self.centre.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]


def described(folder: Path) -> str:
    """What the condition of a folder is, in words, without loading it.

    Raises:
        UserError: if the folder does not say it.
    """
    about = load_json(folder / ABOUT)
    if not isinstance(about, dict) or not isinstance(about.get("architecture"), str):
        raise UserError(f"'{ABOUT}' is damaged or of another version; fetch it again or make it anew.")
    return f"pooled ImageNet features of {about['architecture']}"


def _width(network: nn.Module) -> int:
    """E."""
    net: Any = network
    return int(net.head_hidden_size if hasattr(net, "head_hidden_size") else net.num_features)


def _stored(folder: Path, architecture: str, classifier: Backbone) -> nn.Module:
    """The network with its own weights, or the classifier's network where those are the same.

    Raises:
        UserError: if its own weights are damaged.
    """
    if not (folder / TRUNK).exists():
        return classifier.network
    network = timm_network(architecture, 0)
    tensors, _ = load_tensors(folder / TRUNK)
    try:
        network.load_state_dict({name: full(value) for name, value in tensors.items()})
    except RuntimeError as error:
        raise UserError(f"'{TRUNK}' is no trunk of {architecture}; fetch it again or make it anew.") from error
    device = next(classifier.network.parameters()).device
    return network.to(device).to(memory_format=torch.channels_last).requires_grad_(False)


def _trunk(network: nn.Module) -> dict[str, Tensor]:
    """Weights and statistics but for those of the head."""
    net: Any = network
    head = {id(value) for value in net.get_classifier().state_dict(keep_vars=True).values()}
    return {name: value.detach() for name, value in network.state_dict(keep_vars=True).items() if id(value) not in head}


def _trunk_digest(network: nn.Module) -> str:
    """Twelve hexadecimal digits that name the weights before the head, in half precision as files hold them."""
    digest = hashlib.sha256()
    for name, value in _trunk(network).items():
        digest.update(name.encode() + half(value).cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
