"""What shapes a generator: layout, codec, denoiser and condition, as plain values and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import UserError
from ..network.adapter import AdapterLayout
from .codec import LinearCodecConfig
from .denoiser import DenoiserConfig
from .residual import ResidualConfig
from .vae import VAEConfig

CONFIG = "config.json"

#: How large the networks of the paper's form are.
Widths = Literal["ours", "paper"]
#: The paper's (appendix B.2): channels of the UNet by level; what differs in the autoencoder.
PAPER_UNET = (64, 128, 256, 512)
PAPER_VAE: dict[str, Any] = {"channels": 32, "width": 256}

CodecConfig = LinearCodecConfig | VAEConfig
AnyDenoiserConfig = ResidualConfig | DenoiserConfig
_KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (LinearCodecConfig, VAEConfig, ResidualConfig, DenoiserConfig)
}


@dataclass(frozen=True)
class ConditionConfig:
    """What a generator is told: the name of the condition (`Condition.name`), and E, numbers in an embedding."""

    name: str
    dim: int


@dataclass(frozen=True)
class GeneratorConfig:
    """All that shapes an `AdapterGenerator`, and what it was trained for.

    Attributes:
        layout: the adapters that it writes.
        codec: a linear codec, or the paper's autoencoder; its dim is the layout's.
        denoiser: a mean and a diffusion of what remains, or the paper's plain UNet; its latents are the codec's.
        condition: whose embeddings it understands; None: it takes none, and `generate` a `count` instead.
        backbone_fingerprint: the shared network that its adapters belong to.
    """

    layout: AdapterLayout
    codec: CodecConfig
    denoiser: AnyDenoiserConfig
    condition: ConditionConfig | None
    backbone_fingerprint: str

    def __post_init__(self) -> None:
        if self.codec.dim != self.layout.dim or self.latent_shape != _taken(self.denoiser):
            raise ValueError("the codec must fit the layout, and the denoiser the codec's latents")
        if self.condition is not None and self.condition.dim != self.denoiser.condition_dim:
            raise ValueError("the denoiser must read the condition's embeddings")

    @property
    def latent_shape(self) -> tuple[int, int]:
        """C and L of a latent."""
        codec = self.codec
        return (1, codec.components) if isinstance(codec, LinearCodecConfig) else (codec.channels, codec.chunks)

    @classmethod
    def of(
        cls,
        layout: AdapterLayout,
        *,
        condition: ConditionConfig | None,
        backbone_fingerprint: str,
        components: int = 64,
        width: int = 256,
    ) -> GeneratorConfig:
        """The default shapes, for a layout and a condition: a linear codec of `components` numbers, and a residual
        diffusion `width` numbers wide."""
        codec = LinearCodecConfig(layout.dim, components)
        denoiser = ResidualConfig(condition.dim if condition else 0, components, width=width)
        return cls(layout, codec, denoiser, condition, backbone_fingerprint)

    def plain(self, *, autoencoder: bool = False, widths: Widths = "ours") -> GeneratorConfig:
        """The paper's form: a UNet over latents of one scale; with `autoencoder`, its codec too.

        Of the paper's `widths`, the UNet has 64 to 512 channels, and an autoencoder latents of 2,048 numbers (appendix
        B.2); of ours it is an eighth as large, which is as good at our sizes.
        """
        wide = widths == "paper"
        vae = VAEConfig(self.layout.dim, **(PAPER_VAE if wide else {}))
        codec = vae if autoencoder else self.codec
        channels, length = (vae.channels, vae.chunks) if autoencoder else self.latent_shape
        unet = DenoiserConfig(self.denoiser.condition_dim, channels=channels, length=length)
        unet = dataclasses.replace(unet, widths=PAPER_UNET) if wide else unet
        return dataclasses.replace(self, codec=codec, denoiser=unet)

    def to_json(self) -> dict[str, Any]:
        """The configuration as a JSON value."""
        parts = {"codec": tagged(self.codec), "denoiser": tagged(self.denoiser)}
        return dataclasses.asdict(self) | parts | {"layout": self.layout.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GeneratorConfig:
        """The configuration that `to_json` wrote.

        Raises:
            UserError: if the value is no configuration.
        """
        try:
            told = value["condition"]
            return cls(
                AdapterLayout.from_json(value["layout"]),
                untagged(value["codec"]),
                untagged(value["denoiser"]),
                None if told is None else ConditionConfig(str(told["name"]), int(told["dim"])),
                str(value["backbone_fingerprint"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"'{CONFIG}' is damaged or of another version; fetch or make the generator anew."
            ) from error


def _taken(denoiser: AnyDenoiserConfig) -> tuple[int, int]:
    return (1, denoiser.length) if isinstance(denoiser, ResidualConfig) else (denoiser.channels, denoiser.length)


def tagged(config: CodecConfig | AnyDenoiserConfig) -> dict[str, Any]:
    """The configuration of a part, with its kind."""
    return {"kind": type(config).__name__} | dataclasses.asdict(config)


def untagged(value: Mapping[str, Any]) -> Any:
    """The configuration of a part that `tagged` wrote."""
    parts = {key: tuple(part) if isinstance(part, list) else part for key, part in value.items() if key != "kind"}
    return _KINDS[value["kind"]](**parts)
