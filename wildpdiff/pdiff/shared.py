"""The shared network of a p-diff system, and which of its parameters a row stands for."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..network.standard import IMAGENET
from ..network.subset import Subset
from ..training.loop import Step

#: Rows at once and pictures at once, of which the fastest is taken. Convolutions are fastest one row after the other,
#: as many filters of one channel each are slow on a CPU; linear layers are fastest as one product of many; and where
#: rows are of the last layers only, what lies before them is computed once for all rows at once.
WAYS = ((1, 50), (1, 250), (8, 250), (32, 50))
# Some layers are slow for many rows at once: the fastest way is taken, so nobody needs to be told.
warnings.filterwarnings("ignore", message="There is a performance drop")


class Shared:
    """A network in evaluation mode that takes rows `[D]`; nothing here changes it.

    A row is the difference from the network's own parameters (or low-rank factors of it), so a row of zeros changes
    nothing. Buffers, such as the statistics of batch norms, are in no row: they are the network's, as its training left
    them, and travel in its file. Pictures are uint8 `[M, 3, S, S]`, standardised by ImageNet's mean and spread.
    """

    def __init__(self, network: nn.Module, subset: Subset, *, way: tuple[int, int] | None = None) -> None:
        """A network and a choice of its parameters.

        Args:
            network: that all rows share.
            subset: the parameters that a row stands for.
            way: rows and pictures at once; None: the fastest is found when it is first needed.

        Raises:
            UserError: if the network has none of them.
        """
        self.network, self.subset = network.eval().requires_grad_(False), subset
        self.layout = subset.layout(network)
        self._way = way
        self._format: torch.memory_format | None = None

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @property
    def numbers(self) -> int:
        """All parameters of the network."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that name these weights and buffers."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def save(self, path: Path) -> None:
        """Write parameters and buffers as a plain state dict, in full precision."""
        save_tensors(path, {name: value.clone() for name, value in self.network.state_dict().items()})

    def state(self, row: Tensor) -> dict[str, Tensor]:
        """The whole state dict of the network that a row `[D]` makes."""
        changed = self.subset.weights(self.network, row.to(self.device))
        return {name: changed.get(name, value) for name, value in self.network.state_dict().items()}

    def logits(self, row: Tensor, inputs: Tensor) -> Tensor:
        """Logits `[M, K]` of prepared pictures under one row `[D]`, differentiable in the row."""
        found: Tensor = functional_call(self.network, self.subset.weights(self.network, row), (inputs,))
        return found

    def inputs(self, pixels: Tensor) -> Tensor:
        """Pictures as the network takes them: standardised, and channels last if it bears that."""
        ready = IMAGENET.prepared(pixels.to(self.device))
        if self._format is None:
            self._format = memory_format(self.network, ready[:1])
        return ready.contiguous(memory_format=self._format)

    @torch.no_grad()
    def correct(self, rows: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
        """Which pictures each of N rows `[N, D]` classifies correctly, bool `[N, M]`."""
        parts = list(self.correct_steps(rows, pixels, labels))
        return torch.cat([part for _, part in parts]) if parts else torch.empty(0, len(labels), dtype=torch.bool)

    @torch.no_grad()
    def correct_steps(self, rows: Tensor, pixels: Tensor, labels: Tensor) -> Iterator[tuple[Step, Tensor]]:
        """As `correct`, a few rows at once, each with how far it has come."""
        for step, predicted in self.predicted_steps(rows, pixels):
            yield step, predicted == labels

    @torch.no_grad()
    def predicted(self, rows: Tensor, pixels: Tensor) -> Tensor:
        """The class that each of N >= 1 rows `[N, D]` sees in each picture, `[N, M]`."""
        return torch.cat([part for _, part in self.predicted_steps(rows, pixels)])

    @torch.no_grad()
    def predicted_steps(self, rows: Tensor, pixels: Tensor) -> Iterator[tuple[Step, Tensor]]:
        """As `predicted`, a few rows at once, each with how far it has come."""
        self.layout.check(rows)
        if not len(rows):
            return
        inputs = self.inputs(pixels)
        together, size = self.way(inputs)
        batches, done = inputs.split(size), 0
        for some in rows.split(together):
            done += len(some)
            predicted = torch.cat([self._predict(some.to(self.device), batch) for batch in batches], dim=1)
            yield Step(done, len(rows), float("nan")), predicted.cpu()

    def way(self, inputs: Tensor) -> tuple[int, int]:
        """Rows and pictures at once: what is fastest for this network, timed the first time."""
        if self._way is None:
            if self.layout.dim > 1_000_000:
                self._way = WAYS[0]
            else:
                self._way = min(WAYS, key=lambda way: self._seconds(inputs, way))
        return self._way

    def _predict(self, rows: Tensor, inputs: Tensor) -> Tensor:
        if len(rows) == 1:
            return self.logits(rows[0], inputs).argmax(dim=1)[None]
        return vmap(self.logits, in_dims=(0, None))(rows, inputs).argmax(dim=2)

    def _seconds(self, inputs: Tensor, way: tuple[int, int]) -> float:
        """Seconds for a row and a picture; without end for a network that many rows at once cannot pass."""
        rows, some = torch.zeros(way[0], self.layout.dim, device=self.device), inputs[: way[1]]
        try:
            return min(timed(lambda: self._predict(rows, some)) for _ in range(3)) / len(rows) / len(some)
        except RuntimeError:  # a network that vmap cannot follow
            if way[0] == 1:
                raise
            return float("inf")


@torch.no_grad()
def memory_format(network: nn.Module, one: Tensor) -> torch.memory_format:
    """Channels last, which is faster, unless a network does not bear it, as it asks for `view`; `one` is a picture."""
    training = network.training
    try:
        network.eval()(one.contiguous(memory_format=torch.channels_last))
        return torch.channels_last
    except RuntimeError:
        return torch.contiguous_format
    finally:
        network.train(training)


def load_state(network: nn.Module, path: Path) -> None:
    """Fill a network with a state dict in safetensors.

    Raises:
        UserError: if the file is missing, damaged, of another network, or holds numbers that are not finite.
    """
    tensors, _ = load_tensors(path)
    check_state(network, tensors, path.name)
    network.load_state_dict(tensors)


def check_state(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Refuse a state dict that is not the network's, or not finite.

    Raises:
        UserError: naming the first weight that does not fit.
    """
    own = network.state_dict()
    strange = [*(own.keys() - tensors.keys()), *(tensors.keys() - own.keys())]
    if strange:
        missing = sorted(own.keys() - tensors.keys())
        what = f"it lacks '{missing[0]}'" if missing else f"the network has no '{sorted(strange)[0]}'"
        raise UserError(f"'{source}' is a checkpoint of another network: {what}.")
    for name, value in own.items():
        if value.shape != tensors[name].shape:
            raise UserError(
                f"'{source}' is a checkpoint of another network: '{name}' has shape {list(tensors[name].shape)}, "
                f"not {list(value.shape)}."
            )
        if not bool(tensors[name].isfinite().all()):
            raise UserError(f"'{source}' holds numbers that are not finite in '{name}'; leave it out.")


def timed(act: Callable[[], object]) -> float:
    """Seconds that something takes."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def difference(shared: Shared, states: Sequence[dict[str, Tensor]]) -> Tensor:
    """Rows `[N, D]` of state dicts: their chosen parameters less the shared network's."""
    names = shared.layout.names
    own = shared.layout.pack({name: shared.network.get_parameter(name) for name in names}).cpu()
    return torch.stack([shared.layout.pack({name: state[name] for name in names}) for state in states]) - own
