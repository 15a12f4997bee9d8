"""Weight space: cosines and distances of rows, and the weight map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from .fidelity import distances
from .files import load_tensors, save_tensors


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of all rows of `a` `[N, D]` with all rows of `b` `[M, D]`: `[N, M]` (paper Figure 6)."""
    return torch.nn.functional.normalize(a.float(), dim=1) @ torch.nn.functional.normalize(b.float(), dim=1).T


def nearest(rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """The known row `[M, D]` nearest to each row `[N, D]`: its index `[N]` and the Euclidean distance `[N]`."""
    distance = distances(rows, known)
    found = distance.min(dim=1)
    return found.indices, found.values


#: Coordinates that a random projection keeps of a row: distances come out right within about 6%.
PROJECTED = 128


@lru_cache(maxsize=2)
def projection(dim: int) -> Tensor:
    """A fixed random matrix `[D, 128]`: projected rows keep their distances (Johnson and Lindenstrauss), and nothing
    has to be stored."""
    return torch.randn(dim, PROJECTED, generator=torch.Generator().manual_seed(0)) / PROJECTED**0.5


@dataclass(frozen=True)
class Map:
    """The weight map: UMAP of the zoo's rows, by a random projection from which new rows are placed.

    `anchors` `[J, 128]` are the projected rows of the zoo, `points` `[J, 2]` their places on the map, `index` `[J]`
    their locations.
    """

    anchors: Tensor
    points: Tensor
    index: Tensor

    @classmethod
    def of(cls, rows: Tensor, index: Tensor, *, seed: int = 0) -> Map:
        """Map raw rows `[J, D]` of locations `index` `[J]`."""
        import umap

        anchors = project(rows)
        reducer = umap.UMAP(
            n_components=2, n_neighbors=min(15, len(rows) - 1), min_dist=0.25, random_state=seed, n_jobs=1
        )
        return cls(anchors, torch.from_numpy(reducer.fit_transform(anchors.numpy())).float(), index)

    def place(self, rows: Tensor, *, neighbours: int = 5) -> Tensor:
        """Approximate places on the map `[N, 2]` of raw rows `[N, D]`: weighted means of the nearest anchors'."""
        return self.at(project(rows), neighbours=neighbours)

    def at(self, projected: Tensor, *, neighbours: int = 5) -> Tensor:
        """As `place`, of rows that are projected already, `[N, 128]`."""
        distance = distances(projected, self.anchors)
        found = distance.topk(min(neighbours, len(self.anchors)), dim=1, largest=False)
        weight = 1 / (found.values + 1e-6 + 0.05 * found.values.mean(dim=1, keepdim=True))
        weight = weight / weight.sum(dim=1, keepdim=True)
        return (self.points[found.indices] * weight[..., None]).sum(dim=1)

    def save(self, path: Path) -> None:
        """Write the map."""
        save_tensors(path, {"anchors": self.anchors, "points": self.points, "index": self.index})

    @classmethod
    def load(cls, path: Path) -> Map:
        """Read a map that `save` wrote."""
        tensors, _ = load_tensors(path)
        return cls(tensors["anchors"], tensors["points"], tensors["index"])


def project(rows: Tensor) -> Tensor:
    """Raw rows `[N, D]` -> `[N, 128]`, distances nearly kept."""
    return rows.float() @ projection(rows.shape[1])
