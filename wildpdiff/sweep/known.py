"""How far generated rows are from the fine-tuned ones that a bundle keeps: novelty, nearest checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..similarity import exact_cosine
from ..weightspace import Map, nearest, project


@dataclass(frozen=True)
class Known:
    """The fine-tuned rows of a regime that a bundle keeps.

    Attributes:
        locations: of each row.
        numbers: each row's number within its location, from 0.
        rows: `[J, D]`.
        means: the mean row `[D]` of each location.
        map: projected checkpoints, more of them than rows are kept.
        mapped: the names of the locations that the map's index means.
    """

    locations: tuple[str, ...]
    numbers: tuple[int, ...]
    rows: Tensor
    means: Mapping[str, Tensor]
    map: Map
    mapped: tuple[str, ...]

    @classmethod
    def of(cls, bundle: Bundle, regime: str) -> Known:
        """Those of a bundle.

        Raises:
            UserError: if it keeps none.
        """
        zoo = bundle.zoo(regime)
        parts = {name: zoo.rows(name) for name in zoo.locations}
        if not parts:
            raise UserError(f"This bundle keeps no fine-tuned rows of regime {regime} to compare generated ones with.")
        counted = [(name, number) for name, part in parts.items() for number in range(len(part))]
        means = dict(zip(bundle.seen, bundle.means(regime), strict=True))
        names, numbers = zip(*counted, strict=True)
        return cls(names, numbers, torch.cat(list(parts.values())), means, bundle.map(regime), bundle.seen)

    @property
    def apart(self) -> float:
        """How far a checkpoint of the map lies from the nearest other one: the median, approximate."""
        gaps = torch.cdist(self.map.anchors, self.map.anchors)
        return float(gaps.fill_diagonal_(math.inf).min(dim=1).values.median())

    @property
    def words(self) -> str:
        """What a nearest checkpoint was looked for among, in a sentence."""
        most = max(self.numbers) + 1
        return (
            f"Nearest checkpoint and novelty: among the {len(self.rows)} fine-tuned rows that the bundle keeps "
            f"({most} a location). Nearest on the map: among {len(self.map.anchors)} checkpoints, approximate; "
            f"a checkpoint itself lies about {self.apart:.2f} from the next one."
        )

    def near(self, rows: Tensor) -> list[dict[str, Any]]:
        """The `near_*`, `map_*` and `novelty` fields of the records of rows `[N, D]`."""
        alike, place = exact_cosine(rows, self.rows).max(dim=1)
        mapped, away = nearest(project(rows), self.map.anchors)
        distance = (rows - self.rows[place]).norm(dim=1)
        return [
            {
                "near_location": self.locations[place[i]],
                "near_row": self.numbers[place[i]],
                "near_cosine": float(alike[i]),
                "near_distance": float(distance[i]),
                "novelty": max(0.0, 1 - float(alike[i])),
                "map_location": self.mapped[int(self.map.index[mapped[i]])],
                "map_distance": float(away[i]),
            }
            for i in range(len(rows))
        ]

    def cosine(self, row: Tensor, location: str) -> float | None:
        """Cosine of a row `[D]` with a location's mean row; None if nothing was fine-tuned there."""
        mean = self.means.get(location)
        return None if mean is None else float(exact_cosine(row[None], mean[None]))
