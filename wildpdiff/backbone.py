"""The wildlife classifier: timm's EfficientNet-B0 as a function of (pixels, adapter). The only door to timm."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from .adapter import AdapterLayout
from .errors import UserError
from .files import load_tensors, save_tensors

ARCHITECTURE = "efficientnet_b0"
#: The ungrouped convolutions of the stem and of stages 0 to 4 (the paper's first six layers): 44 of them.
TARGETS = r"conv_stem|blocks\.[0-4]\..*(conv_pw|conv_pwl|conv_reduce|conv_expand)"
RANK = 4
#: LoRA's scale is alpha / rank, here 1.
ALPHA = 4
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """EfficientNet-B0 with K outputs whose 44 adapted convolutions take a row of LoRA numbers beside the pixels.

    The network is never changed by a forward pass: merging happens in a copy that shares all other tensors, so threads
    may use one backbone at the same time.
    """

    def __init__(self, network: nn.Module, species: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.species = species
        self.adapted = tuple(adapted_names(network))
        self.layout = layout_of(network)

    @classmethod
    def build(cls, species: tuple[str, ...], *, pretrained: bool = False, seed: int = 0) -> Backbone:
        """A new classifier; `pretrained` starts from timm's ImageNet weights (needs a network), else from scratch.

        Raises:
            UserError: if the ImageNet weights cannot be fetched.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                network = timm.create_model(ARCHITECTURE, pretrained=pretrained, num_classes=len(species))
            except Exception as error:
                if not pretrained:
                    raise
                raise UserError(
                    "The ImageNet weights could not be fetched; go online once, or train from scratch."
                ) from error
        return cls(network, species)

    @classmethod
    def load(cls, path: Path) -> Backbone:
        """Read a classifier that `save` wrote.

        Raises:
            UserError: if the file is missing, damaged or of another architecture.
        """
        tensors, metadata = load_tensors(path)
        try:
            species = tuple(json.loads(metadata["species"]))
        except (KeyError, ValueError):
            raise UserError(f"'{path.name}' does not say its species; fetch or make it anew.") from None
        backbone = cls.build(species)
        try:
            backbone.network.load_state_dict({name: _full(value) for name, value in tensors.items()})
        except RuntimeError as error:
            raise UserError(f"'{path.name}' does not hold an {ARCHITECTURE} of {len(species)} classes.") from error
        return backbone.eval()

    def save(self, path: Path) -> None:
        """Write the network as plain timm state dict, safetensors, in half precision (see `round_to_half`)."""
        tensors = {name: _half(value) for name, value in self.network.state_dict().items()}
        save_tensors(path, tensors, {"species": json.dumps(self.species), "architecture": ARCHITECTURE})

    def round_to_half(self) -> Backbone:
        """Round every weight to half precision, so that what is saved is what was measured."""
        self.network.load_state_dict({name: _full(_half(value)) for name, value in self.network.state_dict().items()})
        return self

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that name these weights."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode() + _half(value).cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def forward(self, pixels: Tensor, adapter: Tensor | None = None) -> Tensor:
        """Logits `[M, K]` of images (uint8 `[M, 3, H, W]`) under one raw row `[D]`; None is the pretrained network."""
        network = self.network if adapter is None else self.merged(adapter)
        return network(prepared(pixels))

    def merged(self, adapter: Tensor) -> nn.Module:
        """A copy of the network with one raw row `[D]` merged in; everything but the 44 weights is shared."""
        network = self.copy()
        for name, delta in deltas(self.layout, adapter).items():
            weight = (weight_of(self.network, name).detach() + delta).contiguous(memory_format=torch.channels_last)
            network.get_submodule(name).weight = nn.Parameter(weight, requires_grad=False)
        return network

    def copy(self) -> nn.Module:
        """A second, untrainable module tree over the same numbers: giving it other weights leaves this one as it is."""
        shared: dict[int, Tensor] = {id(buffer): buffer for buffer in self.network.buffers()}
        for weight in self.network.parameters():
            shared[id(weight)] = nn.Parameter(weight.detach(), requires_grad=False)
        return copy.deepcopy(self.network, shared)


def prepared(pixels: Tensor) -> Tensor:
    """Pixels as the network takes them: uint8 `[M, 3, H, W]` to standardised float32, channels last."""
    mean = torch.tensor(_MEAN, device=pixels.device).mul(255)[:, None, None]
    std = torch.tensor(_STD, device=pixels.device).mul(255)[:, None, None]
    return (pixels.float() - mean).div_(std).contiguous(memory_format=torch.channels_last)


def adapted_names(network: nn.Module) -> list[str]:
    """Names of the adapted convolutions, in network order."""
    import re

    return [
        name
        for name, module in network.named_modules()
        if re.fullmatch(TARGETS, name) and isinstance(module, nn.Conv2d)
    ]


def weight_of(network: nn.Module, name: str) -> Tensor:
    """The weight of a named convolution."""
    weight = network.get_submodule(name).weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{name} has no weight")
    return weight


def layout_of(network: nn.Module) -> AdapterLayout:
    """Names and shapes of the LoRA factors in network order: A `[R, in, k, k]` before B `[out, R, 1, 1]`."""
    named: dict[str, Tensor] = {}
    for name in adapted_names(network):
        out, inner, *kernel = weight_of(network, name).shape
        named[f"{name}.lora_A"] = torch.empty(RANK, inner, *kernel, device="meta")
        named[f"{name}.lora_B"] = torch.empty(out, RANK, 1, 1, device="meta")
    return AdapterLayout.of(named)


def initial_row(layout: AdapterLayout, rng: torch.Generator) -> Tensor:
    """A fresh LoRA row `[D]` that changes nothing: A uniform within 1/sqrt(fan in), as peft draws it, and B zero."""
    named = {}
    for name, shape in zip(layout.names, layout.shapes, strict=True):
        fan_in = shape[1] * shape[2] * shape[3]
        values = (torch.rand(shape, generator=rng) * 2 - 1) / fan_in**0.5
        named[name] = values if name.endswith("lora_A") else torch.zeros(shape)
    return layout.pack(named)


def deltas(layout: AdapterLayout, adapter: Tensor) -> dict[str, Tensor]:
    """What one row `[D]` adds to each adapted weight: name of the convolution -> alpha / rank * B A."""
    factors = layout.unpack(adapter)
    added = {}
    for name in (name.removesuffix(".lora_A") for name in layout.names[::2]):
        a, b = factors[f"{name}.lora_A"], factors[f"{name}.lora_B"]
        added[name] = (b.flatten(1) @ a.flatten(1)).view(b.shape[0], *a.shape[1:]) * (ALPHA / RANK)
    return added


def _half(value: Tensor) -> Tensor:
    return value.detach().half() if value.is_floating_point() else value.detach()


def _full(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
