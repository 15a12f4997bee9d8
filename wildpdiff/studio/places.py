"""Where adapters lie among the fine-tuned ones and how alike they are: the atlas's numbers, kept per regime.

P counts the seen locations, L the adapted convolutions. No gradio here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..network.adapter import AdapterLayout
from ..plots.common import Point
from ..weightspace import Map, projection
from .layers import Factors, cosines
from .studio import Studio

#: Fine-tuned rows of a location that are shown one by one.
KEPT = 12


@dataclass(frozen=True)
class Shadow:
    """What the ruler needs of a row: its dot products `[P]` with the locations' mean rows and its squared length, all
    measured from the middle of those means."""

    dots: tuple[float, ...]
    square: float


@dataclass(frozen=True)
class Spot:
    """Where one adapter lies: approximately on the flat map, along the two widest directions, and exactly."""

    umap: Point
    pca: Point
    shadow: Shadow


@dataclass(frozen=True)
class Plane:
    """The two widest directions of the map's anchors.

    Attributes:
        middle: mean anchor, `[128]`.
        axes: the directions, of length 1, `[2, 128]`.
        shares: the part of the anchors' spread along every direction, falling.
    """

    middle: Tensor
    axes: Tensor
    shares: tuple[float, ...]

    @classmethod
    def of(cls, anchors: Tensor) -> Plane:
        """Fit anchors `[J, 128]`; each direction points to where its largest coordinate is positive."""
        middle = anchors.double().mean(dim=0)
        _, widths, axes = torch.linalg.svd(anchors.double() - middle, full_matrices=False)
        spread = widths.square()
        axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()
        return cls(middle, axes, tuple((spread / spread.sum().clamp(min=1e-30)).tolist()))

    def place(self, anchors: Tensor) -> Tensor:
        """Coordinates `[J, 2]` of projected rows `[J, 128]`."""
        return (anchors.double() - self.middle) @ self.axes.T


@dataclass(frozen=True)
class Terrain:
    """All that is known beforehand of one regime.

    Attributes:
        locations: names of the P seen locations.
        layout: of the rows.
        means: mean fine-tuned rows `[P, D]`.
        map: the flat map of the zoo.
        middle: the mean of the mean rows, `[D]`, double precision.
        away: the mean rows from that middle, `[P, D]`, double precision.
        kept: shadows of the fine-tuned rows that the bundle keeps.
        owners: the location of each of those.
    """

    locations: tuple[str, ...]
    layout: AdapterLayout
    means: Tensor
    map: Map
    middle: Tensor
    away: Tensor
    kept: tuple[Shadow, ...]
    owners: tuple[int, ...]

    @classmethod
    def of(cls, studio: Studio, regime: str) -> Terrain:
        """Measure a regime of a bundle.

        Raises:
            UserError: if the bundle's zoo or map of it is damaged.
        """
        seen, layout, means = studio.bundle.seen, studio.bundle.layout, studio.means(regime)
        zoo = studio.bundle.zoo(regime)
        parts = [zoo.rows(name, at_most=KEPT) for name in seen]
        rows, index = torch.cat(parts), torch.arange(len(seen)).repeat_interleave(torch.tensor([*map(len, parts)]))
        middle = means.double().mean(dim=0)
        ends = means.double() - middle
        kept = tuple(_shadows(rows, middle, ends))
        return cls(seen, layout, means, studio.map(regime), middle, ends, kept, tuple(index.tolist()))

    @cached_property
    def plane(self) -> Plane:
        """The two widest directions of the map's anchors."""
        return Plane.of(self.map.anchors)

    @cached_property
    def anchors(self) -> list[Point]:
        """The map's anchors on the plane."""
        return _points(self.plane.place(self.map.anchors))

    @cached_property
    def alike(self) -> dict[str, Tensor]:
        """Cosines of the mean rows with each other, by kind: `[1 + L, P, P]`, the whole adapter first."""
        return cosines(self._ends, self._ends)

    def spots(self, rows: Tensor) -> list[Spot]:
        """Where raw rows `[N, D]` lie."""
        flat = self.map.place(rows)
        wide = (rows.float() @ self._directions - (self.plane.middle @ self.plane.axes.T).float()).double()
        parts = zip(_points(flat), _points(wide), _shadows(rows, self.middle, self.away), strict=True)
        return [Spot(umap, pca, shadow) for umap, pca, shadow in parts]

    def likeness(self, rows: Tensor) -> dict[str, Tensor]:
        """Cosines of raw rows `[N, D]` with the mean rows, mean over the rows, by kind: `[1 + L, P]`."""
        found = cosines(Factors.of(self.layout, rows), self._ends)
        return {kind: each.mean(dim=1) for kind, each in found.items()}

    def along(self, shadow: Shadow, a: str, b: str) -> Point:
        """The share of the way from A's mean row to B's at which a row lies, and its distance off that line in units
        of the distance between the two; A and B are different locations."""
        first, last = self.locations.index(a), self.locations.index(b)
        own, gram = shadow.dots, self._gram
        whole = gram[first][first] - 2 * gram[first][last] + gram[last][last]
        done = own[last] - own[first] - gram[first][last] + gram[first][first]
        share = done / whole
        away = (shadow.square - 2 * own[first] + gram[first][first]) / whole - share * share
        return share, max(0.0, away) ** 0.5

    def nearest(self, shadow: Shadow) -> str:
        """The location whose mean row is nearest."""
        gaps = [self._gram[place][place] - 2 * dot for place, dot in enumerate(shadow.dots)]
        return self.locations[gaps.index(min(gaps))]

    @cached_property
    def _gram(self) -> list[list[float]]:
        """Dot products of the mean rows, measured from their middle."""
        return [list(shadow.dots) for shadow in _shadows(self.means, self.middle, self.away)]

    @cached_property
    def _directions(self) -> Tensor:
        """The plane's axes as directions of raw rows, `[D, 2]`."""
        return projection(self.layout.dim) @ self.plane.axes.T.float()

    @cached_property
    def _ends(self) -> Factors:
        """The factors of the mean rows."""
        return Factors.of(self.layout, self.means)


class Places:
    """The terrain of each regime, measured when first asked for and kept; for any number of threads."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._lock = threading.Lock()
        self._terrains: dict[str, Terrain] = {}

    def terrain(self, regime: str) -> Terrain:
        """What is known of a regime.

        Raises:
            UserError: as `Terrain.of`.
        """
        with self._lock:
            if regime not in self._terrains:
                made = Terrain.of(self.studio, regime)
                made.alike, made.anchors, made.spots(made.means[:1])  # measured now, once
                self._terrains[regime] = made
            return self._terrains[regime]

    def warm(self) -> None:
        """Measure every regime of the bundle, so that nobody waits for it."""
        for regime in self.studio.bundle.regimes:
            self.terrain(regime)


def _shadows(rows: Tensor, middle: Tensor, ends: Tensor) -> list[Shadow]:
    """Shadows of raw rows `[N, D]` under mean rows `[P, D]` given from their middle `[D]`, in double precision: shares
    of a way are small differences of large numbers."""
    away = rows.double() - middle
    dots, squares = away @ ends.T, away.square().sum(dim=1)
    return [Shadow(tuple(dot), square) for dot, square in zip(dots.tolist(), squares.tolist(), strict=True)]


def _points(places: Tensor) -> list[Point]:
    return [(x, y) for x, y in places.tolist()]
