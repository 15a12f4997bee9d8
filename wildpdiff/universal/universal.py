"""Generator U as a folder: what it knows a place by, the map, the spread, the gate; and adapters that it writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import normalize, softmax

from ..errors import UserError
from ..evaluate import logits
from ..files import load_json, load_tensors, save_json, save_tensors
from ..network.adapter import AdapterLayout
from ..network.backbone import Backbone
from ..network.folded import Adapter
from .gate import Gate
from .map import MOST, Known, MapConfig, UniversalMap, evidence
from .sight import Sight
from .spread import Spread

FOLDER, ABOUT, WEIGHTS, SIGHT = "universal", "universal.json", "universal.safetensors", "sight.safetensors"
FORMAT = 1
#: Most pictures of the empty place that it takes.
BACKGROUNDS = 16


@dataclass(frozen=True)
class Written:
    """Adapters for one place.

    Attributes:
        rows: raw rows `[N, D]`.
        log_prior: the logarithm of each class's expected share, `[N, K]`.
        trust: how much of the map's word was taken, 0..1 (see `Gate`).
    """

    rows: Tensor
    log_prior: Tensor
    trust: float

    def __len__(self) -> int:
        return len(self.rows)


class Universal:
    """Writes adapters for places that nothing was trained at, from pictures of the empty place."""

    def __init__(self, model: UniversalMap, spread: Spread, gate: Gate, condition: Sight,
                 notes: Mapping[str, str], *, backbone_fingerprint: str) -> None:  # fmt: skip
        """Put trained parts together.

        Args:
            model: the map.
            spread: of its codes and log priors, which lie side by side.
            gate: how much of its word to take for a picture.
            condition: what embeds pictures and words.
            notes: free text to keep, for example how it was trained.
            backbone_fingerprint: of the network that its adapters belong to.
        """
        self.model, self.spread, self.gate, self.condition = model.eval(), spread.eval(), gate, condition
        self.notes, self.backbone_fingerprint = dict(notes), backbone_fingerprint

    @torch.no_grad()
    def known(self, backbone: Backbone, backgrounds: Tensor, photographs: Tensor | None = None) -> Known:
        """What pictures say of a place.

        Args:
            backbone: the network that the adapters belong to; asked what is on the photographs.
            backgrounds: of the empty place, uint8 `[G, 3, H, W]`, G from 1 to 16.
            photographs: unlabelled ones of the place, uint8 `[n, 3, H, W]`; the first 200 count.

        Raises:
            UserError: if there are no backgrounds, or too many.
        """
        if not 1 <= len(backgrounds) <= BACKGROUNDS:
            raise UserError(f"A place is known by 1 to {BACKGROUNDS} pictures without animals, not {len(backgrounds)}.")
        views, strangeness = self.condition.looked(backgrounds)
        embedding = normalize(views.mean(dim=0), dim=0)[None]
        classes = self.model.config.classes
        scores = torch.zeros(0, classes)
        if photographs is not None and len(photographs):
            scores = logits(backbone, self.model.joint.detach(), photographs[:MOST])
        trust = self.gate.trust(strangeness.mean()[None])
        return Known(embedding, evidence(softmax(scores, dim=1))[None], scores[None], trust)

    def told(self, caption: str) -> Known:
        """What words say of a place; trust is the share of them that it knows.

        Raises:
            UserError: if it knows none of them.
        """
        nothing, share = torch.zeros(1, self.model.config.classes + 1), self.condition.net.read_share(caption)
        return Known(self.condition.text([caption]), nothing, None, torch.tensor([share]))

    @torch.no_grad()
    def write(
        self,
        known: Known,
        *,
        samples: int = 0,
        seed: int = 0,
        steps: int = 20,
        residual: bool = True,
        prior: bool = True,
    ) -> Written:
        """Write adapters for one place.

        Args:
            known: what is known of it, P = 1.
            samples: N; 0 writes one, the mean of all.
            seed: sample i starts from the noise of seed + i.
            steps: of DDIM, for samples.
            residual: whether something is written beside the joint row.
            prior: whether the place's own prior is, or the mean one of all places.

        Raises:
            UserError: if `samples`, `seed` or `steps` is out of range.
        """
        if samples < 0:
            raise UserError(f"The number of samples must be at least 0, not {samples}.")
        if not 0 <= seed < 2**62:
            raise UserError(f"The seed must be a whole number from 0 to 2^62, not {seed}.")
        model, trust = self.model, 1.0 if known.trust is None else float(known.trust)
        both = torch.cat([model.codes(known), model.log_prior(known.embedding, known.scores)], dim=1)
        if samples:
            inputs = model.inputs(known).expand(samples, -1)
            both = both + self.spread.sample(inputs, seed=seed, steps=steps)
        codes, log_prior = both.split([model.config.code, model.config.classes], dim=1)
        log_prior = trust * log_prior.log_softmax(dim=1) + (1 - trust) * model.usual
        rows = model.rows(codes * (trust if residual else 0.0))
        usual = model.usual.expand(len(rows), -1)
        return Written(rows, (log_prior if prior else usual).log_softmax(dim=1), trust)

    def adapters(self, backbone: Backbone, written: Written) -> list[Adapter]:
        """The written rows and priors as what a network takes on."""
        products = (backbone.lora.products(self.model.layout, row) for row in written.rows)
        return [{**own, backbone.head_bias: bias} for own, bias in zip(products, written.log_prior, strict=True)]

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that depend on every weight."""
        digest = hashlib.sha256(self.condition.name.encode())
        for part in (self.model, self.spread):
            for name, value in part.state_dict().items():
                digest.update(name.encode() + value.half().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]

    def check(self, backbone: Backbone) -> None:
        """Refuse another network than the one that it was trained with.

        Raises:
            UserError: if it is another one.
        """
        if backbone.fingerprint != self.backbone_fingerprint:
            raise UserError(
                f"Generator U writes adapters for network {self.backbone_fingerprint}, not {backbone.fingerprint}."
            )

    def save(self, folder: Path, *, whole: bool = False) -> None:
        """Write the map, the spread and the gates, in half precision; and, if `whole`, what it knows places by, which
        several trainings share."""
        tensors = {f"map.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"spread.{name}": value for name, value in self.spread.state_dict().items()}
        save_tensors(folder / WEIGHTS, {name: value.half() for name, value in tensors.items()})
        about = {"format": FORMAT, "backbone": self.backbone_fingerprint, "map": self.model.config.to_json()}
        layout = self.model.layout
        about["layout"] = {"names": list(layout.names), "shapes": [list(shape) for shape in layout.shapes]}
        about["gate"] = [self.gate.near, self.gate.far]
        if whole:
            self.condition.save(folder / SIGHT)
        save_json(folder / ABOUT, about | {"condition": self.condition.name, "notes": self.notes})

    @classmethod
    def load(cls, folder: Path, backbone: Backbone, sight: Path | None = None) -> Self:
        """Read what `save` wrote.

        Args:
            folder: of it.
            backbone: the network that its adapters belong to.
            sight: the file of what it knows places by; None: in the same folder.

        Raises:
            UserError: if a file is missing or damaged, or of another version or network.
        """
        about = load_json(folder / ABOUT)
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise UserError(f"'{ABOUT}' is no generator U of format {FORMAT}; fetch or make it anew.")
        tensors, _ = load_tensors(folder / WEIGHTS)
        whole = {name: value.float() for name, value in tensors.items()}
        try:
            layout = AdapterLayout(tuple(about["layout"]["names"]), tuple(tuple(s) for s in about["layout"]["shapes"]))
            model = UniversalMap(MapConfig(**about["map"]), layout)
            spread = _spread_of(_under("spread.", whole), model)
            model.load_state_dict(_under("map.", whole))
            near, far = (float(edge) for edge in about["gate"])
            condition, notes = str(about["condition"]), dict(about["notes"])
            fingerprint = str(about["backbone"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"'{ABOUT}' and '{WEIGHTS}' do not fit together; fetch or make them anew.") from error
        own = Sight.load(sight or folder / SIGHT, backbone)
        if own.name != condition:
            raise UserError(f"Generator U was trained on '{condition}' conditions, not '{own.name}'.")
        made = cls(model, spread, Gate(near, far), own, notes, backbone_fingerprint=fingerprint)
        made.check(backbone)
        return made


def _spread_of(tensors: Mapping[str, Tensor], model: UniversalMap) -> Spread:
    directions, outputs = tensors["directions"].shape
    hidden, inputs = tensors["net.0.weight"].shape
    spread = Spread(outputs, inputs - directions - 1, directions, hidden)
    spread.load_state_dict(dict(tensors))
    return spread


def _under(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
