"""What a place looks like, as numbers: `Condition`, one of the two seams of the project, and CLIP embeddings of a
place's background pictures as the usual one. The only door to open_clip.

open_clip is imported when it is first needed: with what it brings along it takes as long as the rest of the page.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .errors import UserError
from .files import header, is_file, load_json, load_tensors, save_json, save_tensors, sha256, told

if TYPE_CHECKING:
    from open_clip import CLIP, ClipLoss, SimpleTokenizer

__all__ = ["CLIP", "ClipCondition", "ClipLoss", "Condition", "Preprocess", "SimpleTokenizer", "create_clip"]

#: Names of a packed CLIP's tokens and of the rows of its table that are kept (see `pack_clip`).
TOKENS, KEPT = "token_embedding.weight", "token_embedding.rows"
LOCAL, HUB = "local-dir:", "hf-hub:"
CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"
BATCH = 64
"""Pictures or captions that go through the network at once."""


def __getattr__(name: str) -> Any:
    """open_clip's own classes, through its only door."""
    if name not in ("CLIP", "ClipLoss", "SimpleTokenizer"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import open_clip

    return getattr(open_clip, name)


class Condition(Protocol):
    """Turns background pictures of one place into one vector of E numbers."""

    @property
    def name(self) -> str:
        """Identifies the network and its weights; rows of two names must never meet."""

    @property
    def dim(self) -> int:
        """E, the numbers in one embedding."""

    def __call__(self, backgrounds: Tensor) -> Tensor:
        """Embedding `[E]` of length 1 of a place, from its backgrounds, uint8 `[G, 3, H, W]`."""

    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU."""


@dataclass(frozen=True)
class Preprocess:
    """How pixels enter a CLIP network; equal to open_clip's own transform of Pillow images, but on tensors."""

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """What a network of open_clip asks for.

        Raises:
            UserError: if it wants a form of input that is not offered here.
        """
        import open_clip

        config = open_clip.get_model_preprocess_cfg(network)
        sides, mode = config["size"], config.get("resize_mode", "shortest")
        height, width = (sides, sides) if isinstance(sides, int) else tuple(sides)
        if height != width or mode not in ("shortest", "squash"):
            raise UserError(
                f"CLIP models with '{mode}' input of {height}x{width} pixels do not fit; choose a square one."
            )
        mean, std = tuple(config["mean"]), tuple(config["std"])
        interpolation = "bilinear" if config.get("interpolation") == "bilinear" else "bicubic"
        return cls(height, mean, std, interpolation, mode)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Resize, crop the middle and normalise: uint8 `[B, 3, H, W]` to float32 `[B, 3, size, size]`."""
        height, width = self._resized(*pixels.shape[-2:])
        images = self._resize(self._resize(pixels.float(), (pixels.shape[-2], width)), (height, width))
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        images = images[..., top : top + self.size, left : left + self.size]
        mean, std = (images.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (images / 255 - mean) / std

    def _resize(self, images: Tensor, sides: tuple[int, int]) -> Tensor:
        """Resize along one axis and round half up to whole levels, as Pillow does after each of its two passes."""
        if sides == tuple(images.shape[-2:]):
            return images
        return F.interpolate(images, sides, mode=self.interpolation, antialias=True).add(0.5).floor().clamp(0, 255)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        if self.resize_mode == "squash":
            return self.size, self.size
        short = min(height, width)
        return int(self.size * height / short), int(self.size * width / short)


class OfViews(ABC):
    """A condition that embeds each picture by itself."""

    @abstractmethod
    def views(self, backgrounds: Tensor) -> Tensor:
        """One embedding of length 1 for each picture: uint8 `[G, 3, H, W]` to float32 `[G, E]`, on the CPU."""

    def __call__(self, backgrounds: Tensor) -> Tensor:
        """Embedding of a place: the mean of its `views`, scaled to length 1.

        Args:
            backgrounds: uint8 `[G, 3, H, W]`, G at least 1.

        Returns:
            float32 `[E]`, on the CPU.
        """
        return F.normalize(self.views(backgrounds).mean(dim=0), dim=0)


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
        source = _source(model, pretrained)
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


def checked_backgrounds(backgrounds: Tensor) -> Tensor:
    """The same pictures, seen to be uint8 `[G, 3, H, W]`, G at least 1.

    Raises:
        ValueError: if they are not.
    """
    shape = list(backgrounds.shape)
    if len(shape) != 4 or shape[1] != 3 or not shape[0] or backgrounds.dtype != torch.uint8:
        raise ValueError(f"backgrounds must be uint8 [G, 3, H, W], not {backgrounds.dtype} {shape}")
    return backgrounds


def keep_clip(name: str, folder: Path) -> None:
    """Copy a CLIP into a folder that `local-dir:` opens.

    Args:
        name: `local-dir:FOLDER`, or `MODEL/WEIGHTS` as `ClipCondition.load` takes them apart.
        folder: made if it is not there.

    Raises:
        UserError: as `ClipCondition.load`, or if the folder cannot be written.
    """
    import open_clip

    model, pretrained = _taken_apart(name)
    condition = ClipCondition.load(model, pretrained)
    if model.startswith(LOCAL):
        shutil.copytree(model.removeprefix(LOCAL), folder, dirs_exist_ok=True)
        return
    network = condition.network
    quick = any(isinstance(module, open_clip.transformer.QuickGELU) for module in network.modules())
    config = open_clip.get_model_config(model) | ({"quick_gelu": True} if quick else {})
    preprocess = {key: value for key, value in asdict(condition.preprocess).items() if key != "size"}
    save_tensors(folder / WEIGHTS_FILE, network.state_dict())
    about = {"name": condition.name.rpartition("/")[0] or model, "model_cfg": config, "preprocess_cfg": preprocess}
    save_json(folder / CONFIG_FILE, about)


def packed_in(model: str) -> bool:
    """Whether `local-dir:FOLDER` holds a packed CLIP."""
    path = Path(model.removeprefix(LOCAL)) / WEIGHTS_FILE
    return model.startswith(LOCAL) and is_file(path) and KEPT in header(path)[0]


def pack_clip(folder: Path) -> None:
    """Leave of a CLIP's table of tokens only the rows that are not zero, as of a small CLIP that read few words.

    `ClipCondition.load` opens the folder as before, under the same name; for open_clip itself `unpack_clip` it.

    Raises:
        UserError: if a file is missing or cannot be written.
    """
    tensors, about = load_tensors(folder / WEIGHTS_FILE)
    rows = tensors[TOKENS].any(dim=1).nonzero().flatten()
    packed = {**tensors, TOKENS: tensors[TOKENS][rows], KEPT: rows.int()}
    save_tensors(folder / WEIGHTS_FILE, packed, about)


def unpack_clip(folder: Path, whole: Path) -> None:
    """Write a packed CLIP as a folder that open_clip opens: the files that were packed, bit by bit.

    Raises:
        UserError: if a file is missing or damaged, or cannot be written.
    """
    tensors, about = load_tensors(folder / WEIGHTS_FILE)
    config = load_json(folder / CONFIG_FILE)
    with told(folder / WEIGHTS_FILE, "a packed CLIP"):
        rows, kept = tensors.pop(KEPT).long(), tensors[TOKENS]
        table = kept.new_zeros(int(config["model_cfg"]["text_cfg"]["vocab_size"]), kept.shape[1])
        table[rows] = kept
    save_tensors(whole / WEIGHTS_FILE, {**tensors, TOKENS: table}, about)
    save_json(whole / CONFIG_FILE, config)


def check_clip(name: str) -> None:
    """Refuse what `keep_clip` could not copy; its weights may be fetched for that, but no network is made.

    Raises:
        UserError: as `ClipCondition.load`.
    """
    _source(*_taken_apart(name))


def _taken_apart(name: str) -> tuple[str, str | None]:
    """`MODEL/WEIGHTS` as a model's name and that of its weights; a folder and the hub's names have their own."""
    model, _, pretrained = (name, "", "") if name.startswith((LOCAL, HUB)) else name.partition("/")
    return model, pretrained or None


def create_clip(model_config: dict[str, Any], preprocess: Preprocess) -> CLIP:
    """A CLIP of open_clip with fresh random weights that knows its own preprocessing."""
    import open_clip

    network = open_clip.CLIP(**model_config)
    open_clip.set_model_preprocess_cfg(network, asdict(preprocess))
    return network


@dataclass(frozen=True)
class _Source:
    """Checked arguments for open_clip, and the name of what they give."""

    model: str
    pretrained: str | None
    name: str
    quick_gelu: bool = False


def _source(model: str, pretrained: str | None) -> _Source:
    if model.startswith((LOCAL, HUB)) and pretrained is not None:
        raise UserError(f"'{_shown(model)}' brings its own weights; leave the second name away.")
    if model.startswith(LOCAL):
        return _folder(model, Path(model.removeprefix(LOCAL)))
    if model.startswith(HUB):
        return _Source(model, None, model.removeprefix(HUB))
    return _architecture(model, pretrained)


def _folder(model: str, folder: Path) -> _Source:
    config, weights = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    for file in (config, weights):
        if not is_file(file):
            raise UserError(
                f"The CLIP folder '{folder.name}' has no '{file.name}'; give a folder saved in open_clip's form."
            )
    content = load_json(config)
    if not isinstance(content, dict) or "model_cfg" not in content:
        raise UserError(
            f"'{CONFIG_FILE}' in '{folder.name}' has no 'model_cfg'; give a folder saved in open_clip's form."
        )
    return _Source(model, None, f"{content.get('name', folder.resolve().name)}/{sha256(weights)[:12]}")


def _architecture(model: str, pretrained: str | None) -> _Source:
    import open_clip

    known = open_clip.list_models()
    if model not in known:
        near = difflib.get_close_matches(model, known, n=3, cutoff=0.3) or ["ViT-B-32"]
        raise UserError(
            f"open_clip knows no such model as '{_shown(model)}'; names near it: {', '.join(near)}; "
            f"a folder is given as '{LOCAL}folder'."
        )
    tags = open_clip.list_pretrained_tags_by_model(model)
    if pretrained is None:
        raise UserError(f"Say which weights of '{model}' to use: {_choice(tags)}.")
    if open_clip.get_pretrained_cfg(model, pretrained):
        return _tagged(model, pretrained)
    file = Path(pretrained)
    if file.suffix != ".safetensors" or not is_file(file):
        raise UserError(f"'{_shown(pretrained)}' is no weights of '{model}'; use {_choice(tags)}.")
    return _Source(model, pretrained, f"{model}/{sha256(file)[:12]}")


def _tagged(model: str, tag: str) -> _Source:
    """Published weights, fetched now if they are not on this machine yet."""
    import open_clip

    published = open_clip.get_pretrained_cfg(model, tag)
    try:
        open_clip.download_pretrained(published)
    except Exception as error:  # the hub's client raises errors of several libraries
        raise UserError(
            f"The weights '{tag}' of '{model}' are not on this machine and could not be fetched; connect to the "
            "internet once, or give a .safetensors file."
        ) from error
    return _Source(model, tag, f"{model}/{tag.lower().replace('-', '_')}", bool(published.get("quick_gelu")))


def _choice(tags: list[str]) -> str:
    """The possible weights, in words."""
    return f"one of {', '.join(tags)}, or a .safetensors file" if tags else "a .safetensors file"


def _shown(name: str) -> str:
    """A user's name for something, without the folders that lead to it."""
    return Path(name).name
