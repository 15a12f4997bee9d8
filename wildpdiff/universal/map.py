"""The end-to-end map of generator U: what is known of a place -> a raw row, and the place's log prior of classes.

An adapter is split in two: the row changes what the network sees, and a bias of K numbers says which classes pass the
place. The row is learned under the true shares of each training place ("balanced"), so that no prior leaks into it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..network.adapter import AdapterLayout
from ..network.lora import factors, packed

Kind = Literal["none", "diagonal", "codec"]
#: Most pictures that a place is known by.
MOST = 200


@dataclass(frozen=True)
class MapConfig:
    """Shape of a `UniversalMap`.

    Attributes:
        dim: D, numbers in a row.
        ranks: how many diagonals there are: LoRA's rank times the adapted layers.
        condition: E, numbers in an embedding of a place.
        classes: K.
        kind: what is written beside the joint row: `none`; a `diagonal` between A and B of each layer; or coefficients
            along `components` directions in the space of rows, the codec.
        components: directions of the codec.
        hidden: width of both multilayer perceptrons.
    """

    dim: int
    ranks: int
    condition: int
    classes: int
    kind: Kind = "diagonal"
    components: int = 32
    hidden: int = 192

    @property
    def code(self) -> int:
        """C, numbers that are written beside the joint row."""
        return {"none": 0, "diagonal": self.ranks, "codec": self.components}[self.kind]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Known:
    """What is known of P places.

    Attributes:
        embedding: of each, length 1, `[P, E]`.
        evidence: what unlabelled photographs say, `[P, K + 1]` (see `evidence`); zeros if there are none.
    """

    embedding: Tensor
    evidence: Tensor

    def __len__(self) -> int:
        return len(self.embedding)


def evidence(confidence: Tensor) -> Tensor:
    """What unlabelled photographs say of a place: `[K + 1]`.

    Args:
        confidence: the joint network's balanced confidence in each class, for n photographs, `[n, K]`; n may be 0.

    Returns:
        The logarithm of each class's mean confidence over an even share, times how much n photographs are worth
        (0 for none, 1 for `MOST`), and this worth.
    """
    count, classes = confidence.shape
    worth = torch.log1p(torch.tensor(float(count))) / torch.log1p(torch.tensor(float(MOST)))
    if not count:
        return torch.zeros(classes + 1)
    mean = (confidence.mean(dim=0) + 0.2 / classes) / 1.2
    return torch.cat([(mean * classes).log() * worth, worth[None]])


class UniversalMap(nn.Module):
    """Writes one row and one prior for what is known of a place; both are means, `flow` knows their spread."""

    centre: Tensor
    spread: Tensor
    usual: Tensor

    def __init__(self, config: MapConfig, layout: AdapterLayout) -> None:
        """A map that writes a zero row and an even prior; see `fit`.

        Args:
            config: its shape.
            layout: of the rows.
        """
        super().__init__()
        self.config, self.layout = config, layout
        inputs = config.condition + config.classes + 1
        self.joint = nn.Parameter(torch.zeros(config.dim))
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.register_buffer("usual", torch.zeros(config.classes))
        self.prior = _perceptron(inputs, config.hidden, config.classes)
        if config.kind != "none":
            self.residual = _perceptron(inputs, config.hidden, config.code)
        if config.kind == "codec":
            self.basis = nn.Parameter(0.01 * torch.randn(config.components, config.dim))

    def fit(self, known: Known, shares: Tensor) -> None:
        """Measure what inputs look like, and the mean log prior, at training places: `shares` is `[P, K]`."""
        inputs = torch.cat([known.embedding, known.evidence], dim=1)
        self.centre.copy_(inputs.mean(dim=0))
        self.spread.copy_(inputs.std(dim=0).clamp(min=1e-3))
        self.usual.copy_(shares.mean(dim=0).clamp(min=1e-4).log())

    def inputs(self, known: Known) -> Tensor:
        """What both perceptrons see, `[P, E + K + 1]`, about unit scale."""
        return ((torch.cat([known.embedding, known.evidence], dim=1) - self.centre) / self.spread).clamp(-5, 5)

    def codes(self, known: Known) -> Tensor:
        """What is written beside the joint row, `[P, C]`."""
        if self.config.kind == "none":
            return torch.zeros(len(known), 0)
        code: Tensor = self.residual(self.inputs(known))
        return code

    def log_prior(self, known: Known) -> Tensor:
        """The logarithm of each class's expected share, `[P, K]`; they sum up to 1."""
        scores: Tensor = self.prior(self.inputs(known)) + self.usual
        return scores.log_softmax(dim=1)

    def rows(self, codes: Tensor) -> Tensor:
        """Raw rows `[P, D]` of codes `[P, C]`; zero codes are the joint row.

        Raises:
            UserError: if there are not C numbers in a code.
        """
        if codes.shape[1:] != (self.config.code,):
            raise UserError(f"A code has {self.config.code} numbers, not {list(codes.shape[1:])}.")
        joint = self.joint.expand(len(codes), -1)
        if self.config.kind == "none":
            return joint
        if self.config.kind == "codec":
            return joint + codes @ self.basis
        pairs, place = {}, 0
        for name, (a, b) in factors(self.layout, joint).items():
            rank = a.shape[1]
            gates = 1 + codes[:, place : place + rank]
            pairs[name] = (a * gates.view(len(codes), rank, *(1 for _ in a.shape[2:])), b)
            place += rank
        return packed(self.layout, pairs)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers; the last one begins at zero."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    drop = nn.Dropout(0.1)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), drop, nn.Linear(hidden, hidden), nn.SiLU(), drop, last)
