"""Training generator U for a finished bundle: stages that write files, skip what is there, resume what was killed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..bundle import Bundle
from ..condition.preprocess import Preprocess
from ..evaluate import logits_by
from ..files import load_tensors, save_json, save_tensors, write_whole
from ..manifest import digest, seal
from ..network.backbone import Backbone
from ..network.folded import Folded
from ..network.lora import adapted
from ..training.loop import Step, rng_at
from ..universal.gate import Gate
from ..universal.learn import MapRecipe, Sights, known_of, learn_joint, learn_prior, learn_residual, learn_update
from ..universal.map import Kind, Known, MapConfig, UniversalMap, evidence
from ..universal.places import Places, inventing_in
from ..universal.sight import Sight, seen_by
from ..universal.sight_learning import SightRecipe, judged, learn_sight
from ..universal.spread import Spread, SpreadRecipe
from ..universal.universal import ABOUT, FOLDER, SIGHT, WEIGHTS, Universal
from ..workers.pool import TWO, Workers
from .stock import Stock

Progress = Iterator[tuple[str, Step]]
#: Photographs of a training place that unlabelled ones are drawn from.
MEASURED = 60
#: Episodes a training place by which the spread learns.
TURNS = 8
#: Pictures of a place by which what knows places learns.
VIEWS = 4


@dataclass(frozen=True)
class UniversalRecipe:
    """From a bundle to its generator U.

    `places` training places with `photographs` each, and `validation` ones; `scenes` further places that only the
    `Sight` meets. `kind` is what is written beside the joint row (see `map.MapConfig`).
    """

    places: int = 1000
    photographs: int = 100
    backgrounds: int = 8
    validation: int = 50
    validation_photographs: int = 200
    scenes: int = 4000
    sight: SightRecipe = field(default_factory=SightRecipe)
    kind: Kind = "diagonal"
    map: MapRecipe = field(default_factory=MapRecipe)
    spread: SpreadRecipe = field(default_factory=SpreadRecipe)


@dataclass(frozen=True)
class Site:
    """Where a training of U works: the bundle it is for, the recipe, and the folder of what is half done."""

    bundle: Bundle
    recipe: UniversalRecipe
    work: Path
    workers: Workers = TWO

    def stock(self, kind: str) -> Stock:
        """Places of a kind."""
        own = self.recipe
        count, photographs, empties = {
            "train": (own.places, own.photographs, own.backgrounds),
            "validation": (own.validation, own.validation_photographs, 16),
            "scenes": (own.scenes, 0, 4),
        }[kind]
        return Stock(self.work / "stock", self.bundle.manifest["world"], kind, count, photographs, empties)

    @property
    def sight(self) -> Path:
        """File of the trained `Sight`."""
        return self.work / SIGHT

    def condition(self) -> Sight:
        """The trained `Sight`."""
        return Sight.load(self.sight, self.bundle.backbone)


def prepare(site: Site) -> Progress:
    """Draw the places, and train the `Sight` that knows places; done once for all seeds.

    Raises:
        UserError: if no place can be invented in the bundle's world, its classifier's rows are not LoRA, or the disk is
            full.
    """
    inventing_in(site.bundle.world), site.bundle.described.lora  # at once, not after half an hour
    for kind in ("validation", "train", "scenes"):
        yield from (("places", step) for step in site.stock(kind).fill(workers=site.workers))
    if not site.sight.exists():
        yield from (("sight", step) for step in _sight(site))


def train(site: Site, seed: int, *, kind: Kind | None = None, places: int | None = None, name: str = "") -> Progress:
    """Train one U into `work/NAME`.

    Args:
        site: where; see `prepare`.
        seed: of everything that is drawn but the joint row, which is one for all seeds.
        kind: what is written beside the joint row; None: as the recipe says. With `none` the joint row alone goes on
            learning for as long, which is the control.
        places: how many training places it meets, the first ones; None: all.
        name: of the folder; empty: by kind and seed.
    """
    recipe = site.recipe if kind is None else replace(site.recipe, kind=kind)
    out = site.work / (name or f"{recipe.kind}-{seed}")
    if (out / ABOUT).exists():
        return
    backbone, condition, shown = site.bundle.backbone, site.condition(), site.stock("train").open(places)
    model = blank(backbone, condition.dim, recipe.kind, seed)
    shared = site.work / f"joint-{len(shown)}-{recipe.map.joint_steps}"
    yield from (("joint", step) for step in _joint(model, backbone, shown, recipe.map, shared))
    kept = _kept(shared / "logits.safetensors", lambda: _logits(model, backbone, shown))
    sights = _sights(condition, shown, kept, shared / f"sights-{digest(condition.name)[:8]}.safetensors")
    model.fit(_once(sights, recipe.map, seed), shown.shares)
    yield from (("residual", step) for step in _residual(model, backbone, shown, sights, recipe.map, seed, out))
    views, words, shares = _told_of_prior(site, condition, shown, sights, places)
    yield from (("prior", step) for step in learn_prior(model, views, words, shares, recipe.map, seed=seed))
    labels = shown.labels[:, : kept.shape[1]]
    yield from (("update", step) for step in learn_update(model, sights, labels, recipe.map, seed=seed))
    found, inputs = _differences(model, sights, shown.shares, recipe.map, seed)
    spread = Spread.of(found, inputs.shape[1], seed=seed)
    yield from (("spread", step) for step in spread.learn(found, inputs, recipe.spread, seed=seed))
    strange = torch.cat([condition.looked(own[:4])[1] for own in site.stock("validation").open().empties])
    notes = {"seed": str(seed), "places": f"{len(shown)}", "photographs": f"{recipe.photographs}"}
    Universal(model, spread, Gate.of(strange), condition, notes, backbone_fingerprint=backbone.fingerprint).save(out)


def install(site: Site, seed: int) -> None:
    """Put a trained U into the bundle's folder, and seal it again.

    Raises:
        UserError: if the disk is full.
    """
    trained, folder = site.work / f"{site.recipe.kind}-{seed}", site.bundle.folder / FOLDER
    for path in (trained / WEIGHTS, trained / ABOUT, site.sight):
        write_whole(folder / path.name, partial(shutil.copyfile, path))
    seal(site.bundle.folder, site.bundle.manifest)


def blank(backbone: Backbone, condition: int, kind: Kind, seed: int) -> UniversalMap:
    """A map to train for a classifier; its weights depend on the seed alone.

    Raises:
        UserError: if the classifier's rows are not LoRA.
    """
    layout = backbone.layout
    ranks = backbone.lora.rank * len(adapted(layout))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UniversalMap(MapConfig(layout.dim, ranks, condition, len(backbone.species), kind), layout)


def _joint(model: UniversalMap, backbone: Backbone, shown: Places, recipe: MapRecipe, folder: Path) -> Iterator[Step]:
    """The joint row, one for all seeds and their controls."""
    path, state = folder / "joint.safetensors", folder / "state.safetensors"
    if not path.exists():
        yield from learn_joint(backbone, model, shown, recipe, seed=0, checkpoint=state)
        save_tensors(path, {"joint": model.joint})
        state.unlink(missing_ok=True)
    with torch.no_grad():
        model.joint.copy_(load_tensors(path)[0]["joint"])


def _residual(
    model: UniversalMap, backbone: Backbone, shown: Places, sights: Sights, recipe: MapRecipe, seed: int, folder: Path
) -> Iterator[Step]:
    """What is written beside the joint row."""
    path, state = folder / "residual.safetensors", folder / "state.safetensors"
    if not path.exists():
        yield from learn_residual(backbone, model, shown, sights, recipe, seed=seed, checkpoint=state)
        save_tensors(path, _beside(model.state_dict()))
        state.unlink(missing_ok=True)
    model.load_state_dict(_beside(load_tensors(path)[0]), strict=False)


def _beside(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a map's numbers those that episodes teach."""
    return {name: value for name, value in state.items() if name.partition(".")[0] in ("joint", "residual", "basis")}


def _kept(path: Path, measure: Callable[[], Tensor]) -> Tensor:
    """Logits that were measured before, or are now."""
    if not path.exists():
        save_tensors(path, {"logits": measure()})
    return load_tensors(path)[0]["logits"]


def _logits(model: UniversalMap, backbone: Backbone, places: Places) -> Tensor:
    """Balanced logits of the joint row for the first photographs of each place, `[P, m, K]`."""
    folded, row = Folded(backbone), model.joint.detach()
    return torch.stack([logits_by(folded, row, own[:MEASURED]) for own in places.pixels])


def _told_of_prior(
    site: Site, condition: Sight, shown: Places, sights: Sights, places: int | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings of pictures and captions, and true shares, of all places that teach the prior: the training places,
    and the scenes, of which there are no photographs, if no number of `places` is asked for."""
    views, words = sights.views[:, :VIEWS], sights.words
    if places is not None:
        return views, words, shown.shares
    path = site.work / f"scenes-{digest(condition.name)[:8]}.safetensors"
    scenes = site.stock("scenes").open()
    if not path.exists():
        seen = torch.stack([condition.views(own) for own in scenes.empties])
        save_tensors(path, {"views": seen, "words": condition.text(list(scenes.captions))})
    tensors, _ = load_tensors(path)
    return (
        torch.cat([tensors["views"][:, :VIEWS], views]),
        torch.cat([tensors["words"], words]),
        torch.cat([scenes.shares, shown.shares]),
    )


def _sights(condition: Sight, places: Places, kept: Tensor, path: Path) -> Sights:
    """How training places look; what the condition says of them is kept."""
    if not path.exists():
        views = torch.stack([condition.views(own) for own in places.empties])
        save_tensors(path, {"views": views, "words": condition.text(list(places.captions))})
    tensors, _ = load_tensors(path)
    return Sights(tensors["views"], tensors["words"], kept)


def _once(sights: Sights, recipe: MapRecipe, seed: int) -> Known:
    """What is known of every training place in one episode."""
    return known_of(sights, list(range(len(sights.views))), recipe, rng_at(seed + 7, 0))[0]


@torch.no_grad()
def _differences(
    model: UniversalMap, sights: Sights, shares: Tensor, recipe: MapRecipe, seed: int
) -> tuple[Tensor, Tensor]:
    """What would be written with all that there is to know, the true shares included, minus what is written in an
    episode, `[N, C + K]`; and what is known in that episode, `[N, I]`."""
    everything = Known(
        normalize(sights.views.mean(dim=1), dim=1), torch.stack([evidence(own) for own in sights.confidence])
    )
    code, prior, places = model.codes(everything), shares.clamp(min=1e-3).log(), list(range(len(sights.views)))
    found, inputs = [], []
    for turn in range(TURNS):
        own, used = known_of(sights, places, recipe, rng_at(seed + 11, turn))
        told = [
            model.log_prior(own.embedding[at : at + 1], sights.scores[at : at + 1, which])
            for at, which in enumerate(used)
        ]
        found.append(torch.cat([code - model.codes(own), prior - torch.cat(told)], dim=1))
        inputs.append(model.inputs(own))
    return torch.cat(found), torch.cat(inputs)


def _sight(site: Site) -> Iterator[Step]:
    """Train what knows places on pictures of all training places and scenes, and judge it on places it never met."""
    scenes, shown, new = (site.stock(kind).open() for kind in ("scenes", "train", "validation"))
    backbone, size = site.bundle.backbone, site.bundle.world.size
    preprocess = Preprocess(size, backbone.standard.mean, backbone.standard.std)
    names = [name for name, value in new.values[0].items() if isinstance(value, float)]

    def told(places: Places) -> tuple[Tensor, Tensor]:
        views = torch.stack([seen_by(backbone, preprocess, own[:VIEWS]) for own in places.empties]).half()
        return views, torch.tensor([[own[name] for name in names] for own in places.values])

    (features, numbers), (others, wanted) = told(Places.together([_bare(scenes), _bare(shown)])), told(new)
    net, steps = learn_sight(features, (*scenes.captions, *shown.captions), numbers, names, site.recipe.sight, seed=0)
    yield from steps
    found = judged(net, others, new.captions, wanted, features[:, 0], numbers)
    save_json(site.work / "sight.json", found)
    Sight(backbone, net, size=size).save(site.sight)


def _bare(places: Places) -> Places:
    """The places without their photographs."""
    return replace(places, pixels=places.pixels[:, :0], labels=places.labels[:, :0], empties=places.empties[:, :VIEWS])
