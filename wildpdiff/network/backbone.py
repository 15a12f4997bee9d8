"""The wildlife classifier: a network as a function of (pixels, adapter), by default EfficientNet-B0."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import header, load_tensors, save_tensors
from .lora import LoRA
from .makers import standard_of, timm_network
from .standard import IMAGENET, Standard
from .subset import Subset, subset_from_json

ARCHITECTURE = "efficientnet_b0"
#: Of `ARCHITECTURE` the ungrouped convolutions of the stem and of stages 0 to 4 (the paper's first six layers).
ADAPTED = LoRA(r"conv_stem|blocks\.[0-4]\..*(conv_pw|conv_pwl|conv_reduce|conv_expand)", rank=4, alpha=4)
#: Word for ImageNet weights where a checkpoint may be named.
IMAGENET_WEIGHTS = "imagenet"
#: Buffers of batch norms.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Described:
    """What a classifier's file says of it, to be read without loading timm or the weights.

    Attributes:
        species: names of the K classes.
        architecture: what timm calls the network.
        subset: what a row stands for.
        numbers: the network's weights and biases, without the statistics of batch norms.
        standard: how its pixels are prepared.
    """

    species: tuple[str, ...]
    architecture: str
    subset: Subset
    numbers: int
    standard: Standard = IMAGENET

    @classmethod
    def of(cls, path: Path) -> Described:
        """Read the head of a file that `Backbone.save` wrote; what it does not name has the defaults.

        Raises:
            UserError: if it is missing or damaged, or names no species.
        """
        shapes, metadata = header(path)
        try:
            species = tuple(json.loads(metadata["species"]))
        except (KeyError, ValueError):
            raise UserError(f"'{path.name}' does not say its species; fetch or make it anew.") from None
        subset = subset_from_json(json.loads(metadata["subset"])) if "subset" in metadata else ADAPTED
        weights = [shape for name, shape in shapes.items() if not name.endswith(STATISTICS)]
        standard = Standard.read(metadata, path.name)
        return cls(species, metadata.get("architecture", ARCHITECTURE), subset, sum(map(math.prod, weights)), standard)

    @property
    def lora(self) -> LoRA:
        """As `Backbone.lora`."""
        return _lora(self.subset)


class Backbone(nn.Module):
    """A classifier of K classes that takes a row of numbers beside the pixels; `subset` says what the row stands for.

    The network is never changed by a forward pass: merging happens in a copy that shares all other tensors, so threads
    may use one backbone at the same time.
    """

    def __init__(
        self,
        network: nn.Module,
        species: tuple[str, ...],
        *,
        subset: Subset = ADAPTED,
        architecture: str = ARCHITECTURE,
        standard: Standard = IMAGENET,
    ) -> None:
        """A classifier of any network.

        Args:
            network: takes prepared pixels `[M, 3, H, W]` and gives logits `[M, K]`.
            species: names of the K classes.
            subset: which of the network's parameters a row stands for.
            architecture: what timm calls the network; of another network a name that timm does not know.
            standard: how its pixels are prepared.

        Raises:
            UserError: if the network has none of the subset's parameters.
        """
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.species, self.subset, self.architecture, self.standard = species, subset, architecture, standard
        self.layout = subset.layout(network)

    @classmethod
    def build(
        cls,
        species: tuple[str, ...],
        *,
        architecture: str = ARCHITECTURE,
        subset: Subset | None = None,
        pretrained: bool = False,
        seed: int = 0,
    ) -> Backbone:
        """A new network of timm's; `pretrained` starts from ImageNet weights (see `timm_network`), else from scratch.

        Of no `subset` given, rows are LoRA's of `adapted_in`. Pixels are prepared as timm says of the architecture's
        published weights.

        Raises:
            UserError: if timm does not know the architecture, or the ImageNet weights cannot be had.
        """
        network = timm_network(architecture, len(species), pretrained=pretrained, seed=seed)
        chosen = adapted_in(network) if subset is None else subset
        return cls(network, species, subset=chosen, architecture=architecture, standard=standard_of(architecture))

    @classmethod
    def with_weights(
        cls, weights: str | None, species: tuple[str, ...], *, architecture: str = ARCHITECTURE, seed: int = 0
    ) -> Backbone:
        """A network before it learned its classes.

        Args:
            weights: None from scratch; `imagenet`; or the file of a checkpoint (see `of_checkpoint`).
            species: names of the K classes.
            architecture: what timm calls the network.
            seed: of what is drawn.

        Raises:
            UserError: if timm does not know the network, or the weights cannot be had or are of another one.
        """
        if weights in (None, IMAGENET_WEIGHTS):
            return cls.build(species, architecture=architecture, pretrained=weights is not None, seed=seed)
        return cls.of_checkpoint(Path(str(weights)), species, architecture=architecture)

    @classmethod
    def of_checkpoint(cls, path: Path, species: tuple[str, ...], *, architecture: str = ARCHITECTURE) -> Backbone:
        """A network of timm's with the weights of a checkpoint, but for its last layer, which is new.

        Args:
            path: a state dict (safetensors) of the architecture, of any number of classes.
            species: names of the K classes.
            architecture: what timm calls the network.

        Raises:
            UserError: if the file is missing, damaged or of another architecture.
        """
        tensors, backbone = load_tensors(path)[0], cls.build(species, architecture=architecture)
        network: Any = backbone.network
        own = {id(value) for value in network.get_classifier().state_dict(keep_vars=True).values()}
        head = {name for name, value in network.state_dict(keep_vars=True).items() if id(value) in own}
        try:
            found = network.load_state_dict(
                {name: full(value) for name, value in tensors.items() if name not in head}, strict=False
            )
        except RuntimeError as error:
            raise UserError(f"'{path.name}' holds weights of other shapes than {architecture}'s.") from error
        if set(found.missing_keys) - head or found.unexpected_keys:
            raise UserError(f"'{path.name}' is no {architecture} of timm's; name the network that it is of.")
        return backbone.eval()

    @classmethod
    def load(cls, path: Path, make: Callable[[], nn.Module] | None = None) -> Backbone:
        """Read a classifier that `save` wrote.

        Args:
            path: the file; one that names no architecture, subset or both has the defaults.
            make: gives a network of the right shapes if it is none of timm's.

        Raises:
            UserError: if the file is missing, damaged or of another architecture.
        """
        tensors, _ = load_tensors(path)
        about = Described.of(path)
        network = make() if make is not None else timm_network(about.architecture, len(about.species))
        options: dict[str, Any] = {"subset": about.subset, "architecture": about.architecture}
        backbone = cls(network, about.species, standard=about.standard, **options)
        try:
            backbone.network.load_state_dict({name: full(value) for name, value in tensors.items()})
        except RuntimeError as error:
            raise UserError(
                f"'{path.name}' does not hold an {about.architecture} of {len(about.species)} classes."
            ) from error
        return backbone.eval()

    def save(self, path: Path) -> None:
        """Write the network as plain state dict, safetensors, in half precision (see `round_to_half`)."""
        tensors = {name: half(value) for name, value in self.network.state_dict().items()}
        about = {"species": json.dumps(self.species), "architecture": self.architecture}
        about |= {"subset": json.dumps(self.subset.to_json())}
        save_tensors(path, tensors, about | self.standard.metadata())

    def adapting(self, subset: Subset) -> Backbone:
        """The same network, not a copy of it, whose rows stand for other parameters.

        Raises:
            UserError: if the network has none of them.
        """
        network, architecture, standard = self.network, self.architecture, self.standard
        return Backbone(network, self.species, subset=subset, architecture=architecture, standard=standard)

    @property
    def lora(self) -> LoRA:
        """The subset, for what only LoRA has: factors, their products, PEFT folders.

        Raises:
            UserError: if rows stand for other parameters.
        """
        return _lora(self.subset)

    @property
    def head_bias(self) -> str:
        """Name of the biases `[K]` of the last layer; empty if timm does not tell it or it has none."""
        layers = getattr(self.network, "get_classifier", lambda: None)()
        own = getattr(layers, "bias", None)
        return next((name for name, value in self.network.named_parameters() if value is own), "")

    def biased(self, bias: Tensor) -> Backbone:
        """A copy with numbers `[K]` added to the last layer's biases; all other tensors are shared."""
        network = self.copy()
        module, _, leaf = self.head_bias.rpartition(".")
        whole = network.get_parameter(self.head_bias) + bias.to(next(self.parameters()).device)
        setattr(network.get_submodule(module), leaf, nn.Parameter(whole, requires_grad=False))
        architecture, standard = self.architecture, self.standard
        return Backbone(network, self.species, subset=self.subset, architecture=architecture, standard=standard).eval()

    def round_to_half(self) -> Backbone:
        """Round every weight to half precision, so that what is saved is what was measured."""
        self.network.load_state_dict({name: full(half(value)) for name, value in self.network.state_dict().items()})
        return self

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that name these weights, and how pixels are prepared if not as most."""
        digest = hashlib.sha256("".join(self.standard.metadata().values()).encode())
        for name, value in self.network.state_dict().items():
            digest.update(name.encode() + half(value).cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def forward(self, pixels: Tensor, adapter: Tensor | None = None) -> Tensor:
        """Logits `[M, K]` of images (uint8 `[M, 3, H, W]`) under one raw row `[D]`; None is the shared network."""
        network = self.network if adapter is None else self.merged(adapter)
        return network(self.prepared(pixels))

    def prepared(self, pixels: Tensor) -> Tensor:
        """Pixels as the network takes them (see `Standard.prepared`)."""
        return self.standard.prepared(pixels)

    def merged(self, adapter: Tensor) -> nn.Module:
        """A copy of the network with one raw row `[D]` merged in; all but the parameters that it changes is shared."""
        network = self.copy()
        for name, weight in self.subset.weights(self.network, adapter).items():
            module, _, leaf = name.rpartition(".")
            fast = weight.contiguous(memory_format=torch.channels_last) if weight.ndim == 4 else weight
            setattr(network.get_submodule(module), leaf, nn.Parameter(fast, requires_grad=False))
        return network

    def copy(self) -> nn.Module:
        """A second, untrainable module tree over the same numbers: giving it other weights leaves this one as it is."""
        shared: dict[int, Tensor] = {id(buffer): buffer for buffer in self.network.buffers()}
        for weight in self.network.parameters():
            shared[id(weight)] = nn.Parameter(weight.detach(), requires_grad=False)
        return copy.deepcopy(self.network, shared)


def adapted_in(network: nn.Module) -> LoRA:
    """What LoRA adapts of a network: `ADAPTED` of an EfficientNet; of any other all convolutions without groups and all
    linear layers but the last."""
    if ADAPTED.names(network):
        return ADAPTED
    layers = {name: part for name, part in network.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}
    inner = [name for name, part in layers.items() if getattr(part, "groups", 1) == 1][:-1]
    return LoRA("|".join(map(re.escape, inner)), rank=ADAPTED.rank, alpha=ADAPTED.alpha)


def _lora(subset: Subset) -> LoRA:
    if not isinstance(subset, LoRA):
        raise UserError("This needs LoRA adapters, but the rows of this classifier stand for other parameters.")
    return subset


def half(value: Tensor) -> Tensor:
    """A weight as files hold it; whole numbers stay what they are."""
    return value.detach().half() if value.is_floating_point() else value.detach()


def full(value: Tensor) -> Tensor:
    """A weight as networks compute with it; whole numbers stay what they are."""
    return value.float() if value.is_floating_point() else value
