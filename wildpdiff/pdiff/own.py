"""Checkpoints of one's own: a folder of state dicts as rows."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import is_folder, load_tensors
from .checkpoints import FEWEST, Checkpoints, are, shown
from .shared import Shared, check_state, difference


def read_zoo(shared: Shared, folder: Path, every: int) -> Checkpoints:
    """Checkpoints of one's own: every state dict `*.safetensors` of a folder, by name, as one run.

    Raises:
        UserError: if there are too few, or one is of another network, not finite, or differs in other parameters.
    """
    files = zoo_files(folder)
    states = []
    for path in files:
        tensors, _ = load_tensors(path)
        check_state(shared.network, tensors, path.name)
        _only_chosen(shared, tensors, path.name)
        states.append(tensors)
    rows, run = difference(shared, states), torch.zeros(len(files), dtype=torch.int64)
    return Checkpoints(rows, run, shown(run, every))


def buffer_notes(shared: Shared, folder: Path) -> list[str]:
    """A sentence if buffers, which are in no row, differ between the checkpoints of a folder and the base."""
    own = dict(shared.network.named_buffers())
    differ = {
        name
        for path in zoo_files(folder)
        for name, value in load_tensors(path)[0].items()
        if name in own and not torch.equal(value, own[name].cpu())
    }
    if not differ:
        return []
    return [
        f"{len(differ)} buffers differ between the checkpoints ('{min(differ)}' is one); a row holds none, so all "
        "networks are measured with those of the base."
    ]


def zoo_files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, by name.

    Raises:
        UserError: if there are fewer than 4.
    """
    if not is_folder(folder):
        raise UserError(f"There is no folder '{folder}' of checkpoints.")
    files = sorted(folder.glob("*.safetensors"))
    if len(files) < FEWEST:
        raise UserError(
            f"A distribution needs at least {FEWEST} checkpoints, but in '{folder.name}' there {are(len(files))} "
            "(state dicts as *.safetensors)."
        )
    return files


def _only_chosen(shared: Shared, tensors: dict[str, Tensor], source: str) -> None:
    chosen = set(shared.layout.names)
    for name, value in shared.network.named_parameters():
        if name not in chosen and not torch.equal(value.cpu(), tensors[name].to(value.dtype)):
            raise UserError(
                f"'{source}' differs from the base in '{name}', which --parameters leaves out; choose a wider pattern, "
                "or all."
            )
