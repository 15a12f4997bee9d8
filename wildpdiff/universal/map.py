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
from .priors import Shrinking, estimated

Kind = Literal["none", "diagonal", "codec"]
#: Most unlabelled photographs that a place is known by.
MOST = 200
#: Numbers that are told of each class by unlabelled photographs (see `signs`).
SIGNS = 6


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
        hidden: width of the perceptron that writes what is beside the joint row.
        narrow: width of the one that says what passes there: it must not learn training places by heart.
    """

    dim: int
    ranks: int
    condition: int
    classes: int
    kind: Kind = "diagonal"
    components: int = 32
    hidden: int = 192
    narrow: int = 32

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
        scores: balanced logits of the joint network for n unlabelled photographs of each, `[P, n, K]`; None for none.
        trust: how much of what is written for it is to be taken, 0..1, `[P]`; None: all.
    """

    embedding: Tensor
    evidence: Tensor
    scores: Tensor | None = None
    trust: Tensor | None = None

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
    """Writes one row and one prior for what is known of a place; both are means, `spread.Spread` knows the rest."""

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
        self.prior = _perceptron(config.condition, config.narrow, config.classes, deep=False, dropout=0.3)
        self.update = _perceptron(SIGNS, 24, 1, deep=False, dropout=0.0)
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
        """What decides on the code, and on the spread, `[P, E + K + 1]`, about unit scale."""
        return ((torch.cat([known.embedding, known.evidence], dim=1) - self.centre) / self.spread).clamp(-5, 5)

    def codes(self, known: Known) -> Tensor:
        """What is written beside the joint row, `[P, C]`."""
        if self.config.kind == "none":
            return torch.zeros(len(known), 0)
        code: Tensor = self.residual(self.inputs(known))
        return code

    def log_prior(self, embedding: Tensor, scores: Tensor | None = None) -> Tensor:
        """The logarithm of each class's expected share, `[P, K]`; the shares sum up to 1.

        Args:
            embedding: of P places, as `Known` has it, `[P, E]`.
            scores: of their unlabelled photographs, as `Known` has them, `[P, n, K]`; None or n = 0: there are none.

        A picture's word comes first; what unlabelled photographs change of it is learned once for all classes, from
        signs of a class (see `signs`), so that no training place can be learned by heart.
        """
        told: Tensor = self.prior(embedding * self.config.condition**0.5) + self.usual
        told = told.log_softmax(dim=1)
        if scores is None or not scores.shape[1]:
            return told
        with torch.no_grad():  # what photographs say is taken as it is
            seen = signs(scores, told)
        changed: Tensor = told + self.update(seen)[..., 0]
        return changed.log_softmax(dim=1)

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


def signs(scores: Tensor, start: Tensor) -> Tensor:
    """What n photographs say of each class, `[P, K, SIGNS]`: its log prior before, after EM that holds to it little or
    much, its mean confidence, its highest one, and how many photographs there are.

    Args:
        scores: balanced logits, `[P, n, K]`, n at least 1.
        start: log prior before, `[P, K]`.
    """
    count = torch.tensor(float(scores.shape[1]))
    held = [estimated(scores, start, Shrinking(1.0, strength)) for strength in (5.0, 30.0)]
    confidence = (scores + start[:, None]).softmax(dim=2)
    classes = start.shape[1]
    mean = ((confidence.sum(dim=1) + 0.05) / (count + 0.05 * classes)).log()
    highest = (confidence.amax(dim=1) + 1e-3).log()
    return torch.stack([start, *held, mean, highest, (torch.log1p(count) / 5).expand_as(start)], dim=2)


def _perceptron(inputs: int, hidden: int, outputs: int, *, deep: bool = True, dropout: float = 0.1) -> nn.Sequential:
    """One hidden layer or, if `deep`, two; the last one begins at zero."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    drop = nn.Dropout(dropout)
    more = (nn.Linear(hidden, hidden), nn.SiLU(), drop) if deep else ()
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), drop, *more, last)
