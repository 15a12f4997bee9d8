"""A generator in files: `config.json` and `model.safetensors`, in a folder or on the Hugging Face hub."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors, sha256
from ..hub import Repo, sent
from .card import card_of
from .config import CONFIG, GeneratorConfig

FORMAT = 3
WEIGHTS = "model.safetensors"
#: Tensors of fewer numbers keep float32 in a file of half precision: they are measurements that much depends on.
SMALL = 16_384


def stored(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor as it goes into a file: whole numbers and small tensors as they are."""
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.numel() >= SMALL else tensor


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits that depend on every number."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:12]


def write(
    folder: Path, config: GeneratorConfig, notes: Mapping[str, str], tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> None:
    """Write both files; the folder is made if it is missing."""
    save_tensors(folder / WEIGHTS, {name: stored(tensor, dtype) for name, tensor in tensors.items()})
    about = {"format": FORMAT, "weights_sha256": sha256(folder / WEIGHTS), "notes": dict(notes)}
    save_json(folder / CONFIG, about | config.to_json())


def read(folder: Path) -> tuple[GeneratorConfig, Mapping[str, str] | None, dict[str, Tensor]]:
    """What `write` wrote: configuration, notes and tensors.

    Raises:
        UserError: if a file is missing, damaged, or of another version.
    """
    about = load_json(folder / CONFIG)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise UserError(f"'{CONFIG}' is not a generator of format {FORMAT}; fetch or make it anew.")
    tensors, _ = load_tensors(folder / WEIGHTS)
    if sha256(folder / WEIGHTS) != about.get("weights_sha256"):
        raise UserError(f"'{WEIGHTS}' is damaged (its checksum is not the one in '{CONFIG}'); fetch it anew.")
    return GeneratorConfig.from_json(about), about.get("notes"), tensors


def send(
    repo: Repo,
    config: GeneratorConfig,
    notes: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype,
    **access: Any,
) -> str:
    """Send both files and a card to a repository; returns the commit's address. `access` is that of `hub.sent`.

    Raises:
        UserError: as `hub.sent`.
    """
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), config, notes, tensors, dtype)
        files: dict[str, Path | bytes] = {name: Path(folder) / name for name in (CONFIG, WEIGHTS)}
        files["README.md"] = card_of(config, notes, repo.name).encode()
        return sent(repo, files, message="A generator of adapters", **access)
