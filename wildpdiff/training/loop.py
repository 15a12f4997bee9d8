"""What every training loop here shares: steps as values, randomness by step, and checkpoints that survive a kill."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import load_tensors, save_tensors

#: All samples of a batch.
WHOLE = slice(None)


@dataclass(frozen=True)
class Step:
    """One finished step of a training loop: `index` of `total` (counted from 1) and its loss."""

    index: int
    total: int
    loss: float


def rng_at(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step: a function of (seed, step) alone, so a resumed run repeats them exactly."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step * 7_919 + 12_345) % 2**63)


def cosine(step: int, total: int, *, warmup: int = 0) -> float:
    """Factor on the learning rate at `step` (counted from 0): linear warm-up, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class Checkpoint:
    """A model and its AdamW state in one safetensors file, so that a killed training goes on where it was."""

    def __init__(self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.path, self.model, self.optimizer = path, model, optimizer

    def save(self, step: int) -> None:
        """Write the state after `step` finished steps; the earlier state stays until the new one is whole."""
        tensors: dict[str, Tensor] = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
        save_tensors(self.path, {name: value.clone() for name, value in tensors.items()}, {"step": str(step)})

    def load(self) -> int:
        """Restore the saved state and return the number of finished steps; 0 if nothing was saved.

        Raises:
            UserError: if the file is damaged or belongs to another model.
        """
        if not self.path.exists():
            return 0
        tensors, metadata = load_tensors(self.path)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                state.setdefault(int(index), {})[key] = value
        weights = {name[6:]: value for name, value in tensors.items() if name.startswith("model/")}
        try:
            self.model.load_state_dict(weights)
            self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(f"'{self.path.name}' belongs to another recipe; use another --out folder.") from error
        return int(metadata["step"])
