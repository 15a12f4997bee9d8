"""The space of adapters: how alike rows are, and a flat map of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .files import load_tensors, save_tensors
from .vae import principal_directions


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of all rows of `a` `[N, D]` with all rows of `b` `[M, D]`: `[N, M]` (paper Figure 6)."""
    return torch.nn.functional.normalize(a.float(), dim=1) @ torch.nn.functional.normalize(b.float(), dim=1).T


def nearest(rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The known row `[M, D]` nearest to each row `[N, D]`: its index `[N]` and the Euclidean distance `[N]`."""
    distance = _distance(rows.float(), known.float())
    found = distance.min(dim=1)
    return found.indices, found.values


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances `[N, M]`, exactly 0 between equal rows (the quicker formula by products is not)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class Map:
    """A flat map of the zoo: UMAP of its rows, and the linear projection by which new rows find their place.

    `centre` `[D]` and `basis` `[P, D]` project a row to P principal coordinates; `anchors` `[J, P]` are those of the
    zoo's rows, `points` `[J, 2]` their places on the map, `index` `[J]` their locations.
    """

    centre: Tensor
    basis: Tensor
    anchors: Tensor
    points: Tensor
    index: Tensor

    @classmethod
    def of(cls, rows: Tensor, index: Tensor, *, dimensions: int = 16, seed: int = 0) -> Map:
        """Map raw rows `[J, D]` of locations `index` `[J]`."""
        import umap

        centre = rows.mean(dim=0)
        basis = principal_directions(rows - centre, min(dimensions, len(rows) - 1)).T
        anchors = (rows - centre) @ basis.T
        reducer = umap.UMAP(
            n_components=2, n_neighbors=min(15, len(rows) - 1), min_dist=0.25, random_state=seed, n_jobs=1
        )
        points = torch.from_numpy(reducer.fit_transform(anchors.numpy())).float()
        return cls(centre, basis, anchors, points, index)

    def project(self, rows: Tensor) -> Tensor:
        """Principal coordinates `[N, P]` of raw rows `[N, D]`."""
        return (rows - self.centre) @ self.basis.T

    def place(self, rows: Tensor, *, neighbours: int = 5) -> Tensor:
        """Approximate places on the map `[N, 2]`: the mean of the nearest anchors' places, weighted by nearness."""
        distance = _distance(self.project(rows), self.anchors)
        found = distance.topk(min(neighbours, len(self.anchors)), dim=1, largest=False)
        weight = 1 / (found.values + 1e-6 + 0.05 * found.values.mean(dim=1, keepdim=True))
        weight = weight / weight.sum(dim=1, keepdim=True)
        return (self.points[found.indices] * weight[..., None]).sum(dim=1)

    def save(self, path: Path) -> None:
        """Write the map; the projection in half precision."""
        halves = {"centre": self.centre.half(), "basis": self.basis.half()}
        save_tensors(path, halves | {"anchors": self.anchors, "points": self.points, "index": self.index})

    @classmethod
    def load(cls, path: Path) -> Map:
        """Read a map that `save` wrote."""
        tensors, _ = load_tensors(path)
        return cls(
            tensors["centre"].float(), tensors["basis"].float(), tensors["anchors"], tensors["points"], tensors["index"]
        )
