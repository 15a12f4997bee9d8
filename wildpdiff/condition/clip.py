"""CLIP embeddings of a place's background pictures, and of captions, as a condition.

open_clip is imported when it is first needed: with what it brings along it takes as long as the rest of the page.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from ..errors import UserError
from .base import BATCH, OfViews, checked_backgrounds
from .packed import packed_in, unpack_clip
from .preprocess import Preprocess
from .source import LOCAL, source_of

if TYPE_CHECKING:
    from open_clip import CLIP, ClipLoss, SimpleTokenizer

__all__ = ["CLIP", "ClipCondition", "ClipLoss", "SimpleTokenizer", "create_clip"]


def __getattr__(name: str) -> Any:
    """open_clip's own classes, through its only door."""
    if name not in ("CLIP", "ClipLoss", "SimpleTokenizer"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import open_clip

    return getattr(open_clip, name)


class ClipCondition(OfViews):
    """A `Condition`: the direction of the mean CLIP embedding of a place's backgrounds."""

    def __init__(self, name: str, dim: int, network: CLIP, *, model: str, device: torch.device | str = "cpu") -> None:
        """Take a ready network; `model` is the name under which open_clip finds its tokenizer."""
        self.name, self.dim, self.device, self._model = name, dim, torch.device(device), model
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.preprocess = Preprocess.of(network)

    @classmethod
    def load(cls, model: str, pretrained: str | None = None, device: torch.device | str = "cpu") -> Self:
        """Open a CLIP with its weights; never one with random weights.

        Args:
            model: an architecture of open_clip ("ViT-B-32"), "hf-hub:owner/repository", or "local-dir:folder" for a
                folder with `open_clip_config.json` and `open_clip_model.safetensors`.
            pretrained: for an architecture: a tag of open_clip ("openai") or a .safetensors file.
            device: where it computes.

        Raises:
            UserError: if the model is unknown, or its weights are missing, damaged or of another architecture.
        """
        import open_clip

        if packed_in(model):
            with tempfile.TemporaryDirectory() as whole:
                unpack_clip(Path(model.removeprefix(LOCAL)), Path(whole))
                condition = cls.load(f"{LOCAL}{whole}", pretrained, device)
            condition._model = model
            return condition
        source = source_of(model, pretrained)
        try:
            network: Any = open_clip.create_model(
                source.model, source.pretrained, force_quick_gelu=source.quick_gelu, require_pretrained=True
            )
            dim = open_clip.get_model_config(source.model)["embed_dim"]
        except Exception as error:  # open_clip, the hub and safetensors each raise errors of their own
            raise UserError(
                f"The CLIP model '{source.name}' could not be loaded: its weights are damaged, of another "
                "architecture or out of reach; fetch them again or choose another model."
            ) from error
        return cls(source.name, dim, network, model=source.model, device=device)

    @classmethod
    def untrained(cls, model: str) -> Self:
        """An architecture of open_clip with random weights, to time: its embeddings say nothing.

        Raises:
            UserError: if open_clip does not know it.
        """
        import open_clip

        if model not in open_clip.list_models():
            raise UserError(
                f"open_clip knows no such model as '{model}', so it cannot be timed; name one that it knows."
            )
        config: Any = open_clip.get_model_config(model)
        half = (0.5, 0.5, 0.5)
        network = create_clip(config, Preprocess(config["vision_cfg"]["image_size"], half, half))
        return cls("untrained", config["embed_dim"], network, model=model)

    @torch.no_grad()
    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU.

        Raises:
            ValueError: if the pictures have another form or there are none.
        """
        batches = (self.preprocess(batch.to(self.device)) for batch in checked_backgrounds(backgrounds).split(BATCH))
        return torch.cat([self.network.encode_image(batch, normalize=True).float().cpu() for batch in batches])

    @torch.no_grad()
    def text(self, captions: list[str]) -> Tensor:
        """One embedding of length 1 for each caption, comparable with `views`: float32 `[G, E]`, on the CPU.

        Raises:
            UserError: if the model's tokenizer cannot be had.
        """
        batches = self._tokenizer(captions).to(self.device).split(BATCH)
        return torch.cat([self.network.encode_text(batch, normalize=True).float().cpu() for batch in batches])

    @cached_property
    def _tokenizer(self) -> Any:
        import open_clip

        try:
            return open_clip.get_tokenizer(self._model)
        except Exception as error:  # as in load
            raise UserError(
                f"The tokenizer of '{self.name}' could not be loaded; connect to the internet once."
            ) from error


def create_clip(model_config: dict[str, Any], preprocess: Preprocess) -> CLIP:
    """A CLIP of open_clip with fresh random weights that knows its own preprocessing."""
    import open_clip

    network = open_clip.CLIP(**model_config)
    open_clip.set_model_preprocess_cfg(network, asdict(preprocess))
    return network
