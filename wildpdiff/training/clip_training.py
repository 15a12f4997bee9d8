"""A small CLIP of our own, for worlds whose pictures no published CLIP knows: built, trained, judged and saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..condition.clip import create_clip
from ..condition.preprocess import Preprocess
from ..condition.source import CONFIG_FILE, WEIGHTS_FILE
from ..errors import UserError
from ..files import save_json, save_tensors
from ..worlds.base import Pairs
from .loop import Checkpoint, Step, cosine, rng_at

if TYPE_CHECKING:
    from ..condition.clip import CLIP

#: Numbers of an image's attention head, a text's attention heads, and the largest size.
HEAD, HEADS, LARGEST = 64, 4, 8_192


@dataclass(frozen=True)
class ClipConfig:
    """Size of a CLIP; as it stands, 4.6 million numbers, 9.3 MB on disk (6.3 MB of them for the 49,408 tokens)."""

    embedding: int = 128
    image_size: int = 96
    patch_size: int = 16
    image_width: int = 192
    image_layers: int = 4
    text_width: int = 64
    text_layers: int = 2
    context_length: int = 32

    def __post_init__(self) -> None:
        if not all(1 <= value <= LARGEST for value in vars(self).values()):
            raise UserError(f"The sizes of a CLIP are whole numbers from 1 to {LARGEST:,}.")
        if self.image_width % HEAD or self.text_width % HEADS or self.patch_size > self.image_size:
            raise UserError(
                f"A CLIP's image_width must be a multiple of {HEAD}, its text_width one of {HEADS}, and a patch fits "
                "into the picture."
            )

    @property
    def preprocess(self) -> Preprocess:
        """Pixels from -1 to 1."""
        return Preprocess(self.image_size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    @property
    def model(self) -> dict[str, Any]:
        """The same as open_clip spells it."""
        image: dict[str, Any] = {
            "image_size": self.image_size,
            "patch_size": self.patch_size,
            "width": self.image_width,
        }
        image |= {"layers": self.image_layers, "head_width": HEAD, "mlp_ratio": 2.0, "pool_type": "avg"}
        text = {"context_length": self.context_length, "vocab_size": 49408, "width": self.text_width}
        text |= {"heads": HEADS, "layers": self.text_layers}
        return {"embed_dim": self.embedding, "vision_cfg": image, "text_cfg": text}


@dataclass(frozen=True)
class ClipRecipe:
    """How a CLIP is trained: 60,000 pairs as it stands."""

    steps: int = 470
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 40
    brightness: float = 0.1
    """Each picture is made up to this share darker or brighter."""
    checkpoint_every: int = 50


def build_clip(config: ClipConfig, *, seed: int) -> CLIP:
    """A CLIP with random weights that depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_clip(config.model, config.preprocess)


def train_clip(
    model: CLIP, pairs: Pairs, recipe: ClipRecipe, *, seed: int, checkpoint: Path | None = None
) -> Iterator[Step]:
    """Train in place, so that a picture and its own caption get near embeddings.

    At the end the tokens that training never showed become zero, so that an unknown word says nothing instead of
    something random.

    Args:
        model: from `build_clip`; each step leaves it ready for use. It may be on any device.
        pairs: draws the training pairs; called once a step with randomness of that step.
        recipe: how long and how fast.
        seed: of pairs and brightness.
        checkpoint: file from which a killed run goes on with the same numbers; left for the caller to remove
            once the result is saved.

    Raises:
        UserError: if the checkpoint is damaged or belongs to another model.
    """
    from ..condition.clip import ClipLoss, SimpleTokenizer

    optimizer = _optimizer(model, recipe)
    saved = Checkpoint(checkpoint, model, optimizer) if checkpoint else None
    tokenize, preprocess, loss = SimpleTokenizer(context_length=model.context_length), Preprocess.of(model), ClipLoss()
    for step in range(saved.load() if saved else 0, recipe.steps):
        rng = rng_at(seed, step)
        pixels, captions = pairs(rng, recipe.batch_size)
        pictures = preprocess(_relit(pixels, recipe.brightness, rng).to(model.logit_scale.device))
        value = loss(*_embeddings(model, pictures, tokenize(captions)), model.logit_scale.exp())
        _descend(model, optimizer, value, recipe.learning_rate * cosine(step, recipe.steps, warmup=recipe.warmup))
        if saved and ((step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps):
            saved.save(step + 1)
        yield Step(step + 1, recipe.steps, value.item())
    _silence_unseen(model, optimizer)


@torch.no_grad()
def retrieval(model: CLIP, pixels: Tensor, captions: list[str]) -> float:
    """Share of pictures for which their own caption is the nearest one; chance is about 1 / (different captions).

    Args:
        model: a CLIP; left unchanged.
        pixels: pictures, uint8 `[B, 3, H, W]`.
        captions: the caption of each; equal captions count as one.
    """
    from ..condition.clip import SimpleTokenizer

    different = sorted(set(captions))
    tokens = SimpleTokenizer(context_length=model.context_length)(different)
    pictures = Preprocess.of(model)(pixels.to(model.logit_scale.device))
    images, texts = _embeddings(model, pictures, tokens)
    nearest = (images @ texts.T).argmax(dim=1).tolist()
    return sum(different[index] == own for index, own in zip(nearest, captions, strict=True)) / len(captions)


@torch.no_grad()
def save_clip(model: CLIP, config: ClipConfig, folder: Path, *, name: str) -> None:
    """Save as a folder that open_clip opens by `local-dir:folder`, in half precision.

    The model is rounded to half precision as well, so that it and the folder give the same embeddings.

    Args:
        model: a trained CLIP of `config`.
        config: its size.
        folder: made if it is not there.
        name: what `ClipCondition` calls it, whatever the folder is called later.

    Raises:
        UserError: if the folder cannot be written.
    """
    for parameter in model.parameters():
        parameter.copy_(parameter.half())
    save_tensors(folder / WEIGHTS_FILE, {key: value.half() for key, value in model.state_dict().items()})
    # open_clip adds the image size to the preprocessing by itself
    preprocess = {key: value for key, value in asdict(config.preprocess).items() if key != "size"}
    save_json(folder / CONFIG_FILE, {"name": name, "model_cfg": config.model, "preprocess_cfg": preprocess})


def _optimizer(model: CLIP, recipe: ClipRecipe) -> torch.optim.Optimizer:
    """AdamW that decays matrices only: no biases, gains, positions or tokens."""
    spared = model.no_weight_decay() | {"token_embedding.weight"}
    decayed = [value for key, value in model.named_parameters() if value.ndim > 1 and key not in spared]
    others = [value for key, value in model.named_parameters() if value.ndim <= 1 or key in spared]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


def _embeddings(model: CLIP, pictures: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings of length 1 of preprocessed pictures and of captions, `[B, E]` each."""
    texts = model.encode_text(tokens.to(pictures.device), normalize=True)
    return model.encode_image(pictures, normalize=True), texts


def _relit(pixels: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """The pictures in slightly different light, each by a factor of its own."""
    factors = 1 + share * (2 * torch.rand(len(pixels), 1, 1, 1, generator=rng) - 1)
    return (pixels * factors).round().clamp(0, 255).to(torch.uint8)


def _descend(model: CLIP, optimizer: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step of the optimiser, with the gradient's length at most 1 and CLIP's scale at most 100."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, 4.6052)


@torch.no_grad()
def _silence_unseen(model: CLIP, optimizer: torch.optim.Optimizer) -> None:
    """Set tokens to zero that never had a gradient; AdamW's memory of gradients tells which."""
    tokens = model.token_embedding.weight
    squares = optimizer.state.get(tokens, {}).get("exp_avg_sq")
    if squares is not None:
        tokens[~squares.any(dim=1)] = 0
