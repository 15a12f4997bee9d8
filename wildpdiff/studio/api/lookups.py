"""What the API answers from what is known beforehand, as plain JSON: nothing here runs a network; no gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

from ...errors import UserError
from ...evaluate import wilson
from ...paper.curves import of
from ...picture import MAX_BYTES
from ..layers import KINDS, layer_names
from ..peft_zip import MAX_ZIP
from ..places import Places
from ..results import curves
from ..setting import IMAGES, MAX_SAMPLES, MAX_STEPS, Setting
from ..studio import Studio
from .requests import text, within

Json = dict[str, Any]
#: Views of the map.
VIEWS = ("umap", "pca", "ruler")
#: Adapters of one sweep at most, and steps of the sampler in all of them together.
SWEEP, SWEEP_STEPS = 64, 3_200


@dataclass(frozen=True)
class Lookups:
    """Answers of one studio, for any number of threads."""

    studio: Studio

    @cached_property
    def places(self) -> Places:
        """Where fine-tuned adapters lie, by regime."""
        return Places(self.studio)

    def health(self) -> Json:
        """What runs here, and what may be asked of it."""
        bundle = self.studio.bundle
        limits = {"adapters": MAX_SAMPLES, "steps": MAX_STEPS, "images": IMAGES[-1], "sweep_adapters": SWEEP}
        return {
            "state": "ready",
            "version": version("wildpdiff"),
            "device": self.studio.device,
            "bundle": str(bundle.manifest["sum"])[:12],
            "world": f"{bundle.world.about} {bundle.world.caution}",
            "seen": len(bundle.seen),
            "unseen": len(bundle.unseen),
            "regimes": list(bundle.regimes),
            "ways": list(bundle.ways),
            "limits": limits | {"picture_bytes": MAX_BYTES, "adapter_bytes": MAX_ZIP},
        }

    def locations(self) -> Json:
        """Every location to choose from, with the accuracies that were measured when the bundle was made."""
        return {"locations": [self._place(name) for name in self.studio.locations]}

    def precomputed(self, setting: Setting, way: str) -> Json:
        """The stored counts of a setting, at both of its locations; nothing is computed.

        Args:
            setting: what to look up; its seed and steps are not looked at.
            way: the setting's, or `weights` for the average of mean fine-tuned adapters.

        Raises:
            UserError: if they are not stored.
        """
        stored = curves(self.studio.bundle)
        counts = _stored(stored, setting, way)
        places = {name: share(right, of(stored, name)) for name, right in counts.items()}
        plain = {name: share(stored["pretrained"][name], of(stored, name)) for name in counts}
        about = asked(setting) | {"way": way, "seed": stored["seed"], "steps": stored["steps"]}
        return {"setting": about, "locations": places, "pretrained": plain}

    def similarity(self, a: object, b: object, regime: object, layer: object = None) -> Json:
        """How alike the mean fine-tuned adapters of two seen locations are: whole, and layer by layer.

        Raises:
            UserError: if a location has no fine-tuned adapters, or the regime or layer is unknown.
        """
        terrain = self.places.terrain(self._regime(regime))
        first, last = (self._fine_tuned(name) for name in (a, b))
        names = ("the whole adapter", *layer_names(terrain.layout))
        wanted = range(len(names)) if layer is None else [within(layer, "layer", 0, len(names) - 1)]
        cosines = [{kind: round(float(terrain.alike[kind][at, first, last]), 6) for kind in KINDS} for at in wanted]
        layers = [{"layer": at, "name": names[at]} | found for at, found in zip(wanted, cosines, strict=True)]
        pair = {"a": terrain.locations[first], "b": terrain.locations[last], "regime": str(regime)}
        return pair | (cosines[0] | {"layers": layers[1:]} if layer is None else layers[0])

    def map(self, regime: object, view: object, a: object = "", b: object = "") -> Json:
        """Where the fine-tuned adapters lie, by location, in one view.

        Raises:
            UserError: if the regime or view is unknown, or the ruler lacks two different ends.
        """
        terrain, kind = self.places.terrain(self._regime(regime)), text(view, "view")
        if kind not in VIEWS:
            raise UserError(f"The view must be one of: {', '.join(VIEWS)}; not '{kind}'.")
        about, owners = {"regime": str(regime), "view": kind}, terrain.map.index.tolist()
        if kind == "ruler":
            if not a or not b or a == b:
                raise UserError("The ruler needs two different seen locations, a and b.")
            ends = [terrain.locations[self._fine_tuned(name)] for name in (a, b)]
            about |= {"a": ends[0], "b": ends[1]}
            points, owners = [terrain.along(shadow, *ends) for shadow in terrain.kept], list(terrain.owners)
        else:
            points = terrain.anchors if kind == "pca" else [(x, y) for x, y in terrain.map.points.tolist()]
        return about | {"locations": _grouped(terrain.locations, points, owners)}

    def _place(self, name: str) -> Json:
        bundle = self.studio.bundle
        found: Json = {"name": name, "seen": name in bundle.seen, "regimes": {}}
        for regime in bundle.regimes:
            figures = bundle.figures(regime)
            known = {**figures.get("locations", {}), **figures.get("unseen", {})}.get(name, {})
            means = {way: (known.get(way) or {}).get("mean") for way in ("fine_tuned", "generated")}
            found |= {"images": known.get("images"), "pretrained": known.get("pretrained")}
            found["regimes"][regime] = means
        return found

    def _regime(self, regime: object) -> str:
        name = text(regime, "regime")
        return self.studio.bundle.variant(name).regime

    def _fine_tuned(self, location: object) -> int:
        """The place of a seen location among them."""
        name, seen = text(location, "location"), self.studio.bundle.seen
        self.studio.bundle.embedding(name)
        if name not in seen:
            raise UserError(f"No adapter was fine-tuned at '{name}'; choose one of: {', '.join(seen)}.")
        return seen.index(name)


def asked(setting: Setting) -> Json:
    """A setting as the endpoints call its parts."""
    names = ("a", "b", "weight", "regime", "way", "seed", "steps")
    return {name: getattr(setting, name) for name in names}


def share(right: int, images: int) -> Json:
    """A count of photographs with its share and 95% Wilson interval."""
    low, high = wilson(right, images)
    return {"right": right, "images": images} | {
        name: round(value, 5) for name, value in (("share", right / images), ("low", low), ("high", high))
    }


def rounded(point: Sequence[float]) -> list[float]:
    """Coordinates as they are told."""
    return [round(float(part), 4) for part in point]


def _grouped(names: Sequence[str], points: Sequence[Sequence[float]], owners: Sequence[int]) -> Json:
    return {
        name: [rounded(point) for point, owner in zip(points, owners, strict=True) if owner == place]
        for place, name in enumerate(names)
    }


def _stored(stored: Json, setting: Setting, way: str) -> dict[str, int]:
    """The counts of a setting by location, from the curve of its pair in either direction."""
    if not stored["curves"]:
        raise UserError(f"{stored['problem'].rstrip('.')}, or ask for evaluate, which measures now.")
    curves_of, weights = stored["curves"].get(setting.regime, {}), list(stored["weights"])
    at = next((place for place, known in enumerate(weights) if abs(known - setting.weight) < 1e-6), None)
    if at is None:
        raise UserError(f"Stored blend weights are {', '.join(f'{known:g}' for known in weights)}; choose one.")
    for key, ways in curves_of.items():
        first, last = key.split("+")
        if way not in ways or setting.a not in (first, last) or setting.b not in (first, last):
            continue
        from_a, from_b = ways[way]
        if setting.a == setting.b:
            return {setting.a: from_a[0] if setting.a == first else from_b[-1]}
        place = at if setting.a == first else len(weights) - 1 - at
        return {first: from_a[place], last: from_b[place]}
    raise UserError(
        f"No curve of {setting.a} and {setting.b} is stored; stored are all pairs of seen locations, and the first "
        "seen one with each unseen one. Ask for evaluate, which measures now."
    )
