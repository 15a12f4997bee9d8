"""What the atlas keeps of one visitor, and the figures that it makes of it; no gradio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ..plots.common import Figure, Point
from ..plots.heat import by_layer, similarity_heat
from ..plots.map import Scene, absent, pca, ruler, umap, views
from .layers import KINDS, between, layer_names, stages
from .places import Spot, Terrain
from .setting import Setting

#: Earlier adapters that the map shows.
TRAIL = 12
#: What a cosine compares, for readers.
COMPARED = {"factors": "factors", "products": "products BA"}


@dataclass(frozen=True)
class Earlier:
    """An adapter of the trail."""

    regime: str
    name: str
    spot: Spot


@dataclass
class Journey:
    """One visitor's way over the map.

    Its choices stand in the same object as the adapters, so that an answer that is under way shows the newest ones.

    Attributes:
        setting: what the cards show.
        names: what the page calls its A and B, where that is not their own names.
        spots: where its adapters lie; none before they are written.
        likeness: their mean cosines with the locations' mean rows, by kind `[1 + L, P]`, or None.
        earlier: adapters written before, oldest first.
        kind: what the heat map compares.
        cloud: where the next seeds would lie.
        layer: 0 for the whole adapter, else the number of a layer, from 1.
    """

    setting: Setting
    spots: Sequence[Spot] = ()
    likeness: dict[str, Tensor] | None = None
    earlier: list[Earlier] = field(default_factory=list)
    kind: str = "factors"
    layer: int = 0
    cloud: Sequence[Spot] = ()
    names: tuple[str, str] | None = None

    @property
    def ends(self) -> tuple[str, str]:
        """What the page calls A and B."""
        return self.names or (self.setting.a, self.setting.b)

    @property
    def name(self) -> str:
        """What the trail calls the present setting's first adapter."""
        (a, b), setting = self.ends, self.setting
        way = "" if setting.way == "ours" else ", the paper's way"
        return f"{a} → {b}, weight {setting.weight:.2f}{way}, {setting.regime}, seed {setting.seed}"

    def go(
        self,
        setting: Setting,
        spots: Sequence[Spot] = (),
        likeness: dict[str, Tensor] | None = None,
        cloud: Sequence[Spot] = (),
        names: tuple[str, str] | None = None,
    ) -> None:
        """Take up new adapters; the first of the former ones joins the trail, unless the wish is the same."""
        left = [Earlier(self.setting.regime, self.name, spot) for spot in self.spots[:1]]
        self.setting, self.names = setting, names
        if left and left[0].name != self.name:
            self.earlier = [*self.earlier, *left][-TRAIL:]
        self.spots, self.likeness, self.cloud = tuple(spots), likeness, tuple(cloud)

    def trail(self) -> list[Earlier]:
        """Earlier adapters of the present regime; those of another one have no place among its rows."""
        return [each for each in self.earlier if each.regime == self.setting.regime]


def map_figure(terrain: Terrain, journey: Journey) -> Figure:
    """The map in its three views."""
    index = [int(place) for place in terrain.map.index]
    ends = [name for name in journey.setting.chosen if name in terrain.locations]

    def scene(points: Sequence[Point], place: Callable[[Spot], Point]) -> Scene:
        return _scene(terrain, journey, points, index, ends, place)

    flat = scene([(x, y) for x, y in terrain.map.points.tolist()], lambda spot: spot.umap)
    wide = scene(terrain.anchors, lambda spot: spot.pca)
    return views(umap(flat), pca(wide, terrain.plane.shares), ruler_figure(terrain, journey))


def ruler_figure(terrain: Terrain, journey: Journey) -> Figure:
    """The ruler from A to B, or the sentence that says why there is none."""
    setting = journey.setting
    away = [name for name in journey.ends if name not in terrain.locations]
    if away:
        where = " or ".join(dict.fromkeys(away))
        return absent(f"No adapter was fine-tuned for {where}; choose seen locations for A and B to measure along.")
    if setting.a == setting.b:
        return absent("A and B are the same location; a ruler needs two. Choose another one for A or B.")

    def along(spot: Spot) -> Point:
        return terrain.along(spot.shadow, setting.a, setting.b)

    points = [terrain.along(shadow, setting.a, setting.b) for shadow in terrain.kept]
    return ruler(_scene(terrain, journey, points, terrain.owners, setting.chosen, along), setting.weight)


def heat_figure(terrain: Terrain, journey: Journey) -> Figure:
    """Cosines of the mean rows, and of the newest adapters with them, as the visitor chose."""
    kind, layer = journey.kind, journey.layer
    where = "whole adapter" if layer == 0 else layer_names(terrain.layout)[layer - 1]
    new = journey.likeness[kind][layer].tolist() if journey.likeness else ()
    return similarity_heat(
        terrain.locations, terrain.alike[kind][layer].tolist(), new, what=f"{COMPARED[kind]}, {where}"
    )


def layer_figure(terrain: Terrain, journey: Journey) -> Figure:
    """Mean cosines between different locations by layer."""
    factors, products = (between(terrain.alike[kind][1:]) for kind in KINDS)
    names, parts = layer_names(terrain.layout), stages(terrain.layout)
    return by_layer(names, parts, factors, products, chosen=journey.layer - 1)


def _scene(
    terrain: Terrain,
    journey: Journey,
    points: Sequence[Point],
    index: Sequence[int],
    ends: Sequence[str],
    place: Callable[[Spot], Point],
) -> Scene:
    trail = journey.trail()
    return Scene(
        terrain.locations,
        points,
        index,
        stars=[place(spot) for spot in journey.spots],
        cloud=[place(spot) for spot in journey.cloud],
        trail=[place(each.spot) for each in trail],
        told=[each.name for each in trail],
        ends=ends,
        near=terrain.nearest(journey.spots[0].shadow) if journey.spots else "",
    )
