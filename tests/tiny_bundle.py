"""A tiny but true bundle: every part is real, nothing is trained; for tests of the app."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from wildpdiff.build.recipes import SMOKE
from wildpdiff.build.stages import variants
from wildpdiff.build.universal import blank
from wildpdiff.bundle import Bundle
from wildpdiff.condition.base import Condition
from wildpdiff.condition.clip import ClipCondition
from wildpdiff.condition.pooled import PooledCondition
from wildpdiff.condition.preprocess import Preprocess
from wildpdiff.experiments.result import Result, keep
from wildpdiff.files import save_tensors
from wildpdiff.generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from wildpdiff.manifest import seal
from wildpdiff.network.backbone import Backbone
from wildpdiff.picture import packed
from wildpdiff.reproduce import EXPERIMENTS
from wildpdiff.training.clip_training import ClipConfig, build_clip, save_clip
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.universal.gate import Gate
from wildpdiff.universal.sight import Sight, seen_by
from wildpdiff.universal.sight_learning import SightRecipe, learn_sight
from wildpdiff.universal.spread import Spread
from wildpdiff.universal.universal import Universal
from wildpdiff.weightspace import Map, project
from wildpdiff.worlds.savanna.world import SEEN, SPECIES, UNSEEN, SavannaConfig, SavannaWorld
from wildpdiff.zoo import CodedZoo

REGIMES = ("L", "M", "H")
#: Directions in which the made-up rows of a regime differ: as many as the codec keeps.
COMPONENTS = 16
#: Runs of a location, and rows of each; the last run, and of the others every fourth row, is kept from the generator.
RUNS, ROWS, ON_MAP = 5, 8, 3
CLIP = ClipConfig(embedding=16, image_size=32, image_width=64, image_layers=1, text_width=64, text_layers=1)


BRIEF = FinetuneRecipe(converge=1, rows=1, interval=1, batch_size=2)
#: What its manifest says that it was trained by.
RECIPE = replace(
    SMOKE,
    name="tiny",
    world=SavannaWorld(SavannaConfig(size=32, train_images=4, eval_images=3, background_images=1)).to_json(),
    seen=SEEN,
    unseen=UNSEEN,
    shared=BRIEF,
    finetune=BRIEF,
)


def write_tiny_bundle(
    folder: Path, *, curves: bool = False, pooled: str | None = None, universal: bool = False
) -> Path:
    """Write a bundle whose map is drawn by hand (UMAP would cost seconds) and whose figures count up from 0.5.

    Args:
        folder: is made.
        curves: with made-up counts along every blend.
        pooled: an architecture with ImageNet weights, which is the classifier, too, and whose pooled features take the
            place of a CLIP.
        universal: with a generator U.
    """
    world = SavannaWorld(SavannaConfig(eval_images=4, background_images=2))
    options = {"architecture": pooled, "pretrained": True} if pooled else {}
    backbone = Backbone.build(SPECIES, seed=0, **options).round_to_half().eval()
    backbone.save(folder / "backbone.safetensors")
    if pooled:
        condition = PooledCondition.of_imagenet(pooled, (world.backgrounds(name) for name in SEEN), size=64)
        condition.save(folder / "pooled", backbone)
    else:
        save_clip(build_clip(CLIP, seed=0), CLIP, folder / "clip", name="tiny")
        condition = ClipCondition.load(f"local-dir:{folder / 'clip'}")
    config = GeneratorConfig.of(
        backbone.layout,
        condition=ConditionConfig(condition.name, condition.dim),
        backbone_fingerprint=backbone.fingerprint,
        components=COMPONENTS,
    )
    views = _write_conditions(folder, world, condition)
    for place, regime in enumerate(REGIMES):
        rows = _rows(backbone, seed=place)
        generator = _measured(config, rows, views, seed=place, notes={"regime": regime})
        generator.save_pretrained(folder / f"generator-{regime}", torch.float16)
        twin = generator.with_fresh_denoiser(generator.config.plain().denoiser, seed=10 + place).half_precision_()
        twin.save_denoiser(folder / f"generator-{regime}" / "paper.safetensors", torch.float16)
        CodedZoo.of_rows(SEEN, rows, shown(), generator).save(folder / f"zoo-{regime}.safetensors")
        _write_curves(folder / f"curves-{regime}.safetensors", generator, rows, seed=place)
        _tiny_map(rows[:, 0, :ON_MAP].flatten(0, 1)).save(folder / f"map-{regime}.safetensors")
    unconditional = GeneratorConfig.of(
        backbone.layout, condition=None, backbone_fingerprint=backbone.fingerprint, components=COMPONENTS
    )
    alone = _measured(unconditional, _rows(backbone, seed=1)[:1], views, seed=3, notes={"location": SEEN[0]})
    alone.save_pretrained(folder / f"generator-{SEEN[0]}", torch.float16)
    if universal:
        tiny_universal(backbone, world).save(folder / "universal", whole=True)
    joint = backbone.subset.initial(backbone.network, torch.Generator()).half()
    save_tensors(folder / "joint.safetensors", {"row": joint})
    about = {"variants": variants(RECIPE), "seen": list(SEEN), "unseen": list(UNSEEN), "world": world.to_json()}
    figures = {regime: _figures(regime) for regime in REGIMES}
    seal(folder, about | {"figures": figures, "recipe": RECIPE.to_json()})
    if curves:
        store(folder, "curves", _curves())
    return folder


def tiny_universal(backbone: Backbone, world: SavannaWorld, *, seed: int = 0) -> Universal:
    """A generator U whose every part is real and nothing is trained, but whose map answers to what it is told."""
    pictures = torch.stack([world.backgrounds(name)[:2] for name in SEEN[:4]])
    preprocess = Preprocess(world.size, backbone.standard.mean, backbone.standard.std)
    seen = torch.stack([seen_by(backbone, preprocess, own) for own in pictures])
    captions = [world.caption(name) for name in SEEN]
    brief = SightRecipe(dim=16, hidden=8, steps=2, batch_size=4)
    net, steps = learn_sight(seen, captions[:4], torch.rand(4, 3), ("trees", "bush", "wet"), brief, seed=seed)
    list(steps)
    sight = Sight(backbone, net, size=world.size)
    model = blank(backbone, sight.dim, "diagonal", seed).eval()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.joint.data.copy_(backbone.subset.initial(backbone.network, torch.Generator().manual_seed(seed)))
        for part in (model.prior, model.residual):
            torch.nn.init.normal_(part[-1].weight, std=0.3)
        model.half().float()
        spread = Spread.of(0.1 * torch.randn(40, model.config.code + len(SPECIES)), 16 + len(SPECIES) + 1, seed=seed)
    notes = {"places": "4"}
    return Universal(
        model, spread.half().float(), Gate(3.0, 6.0), sight, notes, backbone_fingerprint=backbone.fingerprint
    )


def awake(backbone: Backbone, pixels: Tensor) -> Backbone:
    """A new classifier whose batch norms have measured some pictures, uint8 `[M, 3, H, W]`: its answers differ."""
    norms = [module for module in backbone.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        backbone.train()(pixels)
    for norm in norms:
        norm.momentum = 0.1
    return backbone.eval()


def store(folder: Path, name: str, data: dict) -> None:
    """Put a made-up result into a bundle, stamped as if it had been measured on it."""
    bundle, how = Bundle.open(folder), {"samples": 1, "seed": 0, "quick": True, "seconds": 0.0}
    depends = bundle.depends(EXPERIMENTS[name].depends)
    keep(bundle, Result(name, data, depends, **how, command=f"wildpdiff reproduce {name}", commit="none"))


def shown() -> Tensor:
    """Which rows of a location's runs the generator knows, bool `[R, J]`."""
    learned = torch.ones(RUNS, ROWS, dtype=torch.bool)
    learned[-1], learned[:, 3::4] = False, False
    return learned


def _rows(backbone: Backbone, *, seed: int) -> Tensor:
    """Made-up rows of every seen location's runs, `[Q, R, J, D]`: runs lie around locations, and rows around runs."""
    rng, dim = torch.Generator().manual_seed(seed), backbone.layout.dim
    directions = torch.randn(COMPONENTS, dim, generator=rng) / dim**0.5
    places = 3 * torch.randn(len(SEEN), 1, 1, COMPONENTS, generator=rng)
    runs = 0.5 * torch.randn(len(SEEN), RUNS, 1, COMPONENTS, generator=rng)
    rows = places + runs + 0.4 * torch.randn(len(SEEN), RUNS, ROWS, COMPONENTS, generator=rng)
    return backbone.subset.initial(backbone.network, rng) + rows @ directions


def _measured(
    config: GeneratorConfig, rows: Tensor, views: Tensor, *, seed: int, notes: dict[str, str]
) -> AdapterGenerator:
    """A generator that is not trained, but whose codec is fitted, and which has measured conditions and spread."""
    generator = AdapterGenerator.untrained(config, seed=seed, notes=notes)
    generator.codec.fit(rows[:, :, 0].flatten(0, 1))
    latents = generator.encode(rows[:, :, ::2].flatten(0, 2))[:, 0].view(len(rows), -1, COMPONENTS)
    means = latents.mean(dim=1, keepdim=True)
    generator.denoiser.centre.copy_(means.mean(dim=(0, 1)))
    if generator.condition:
        generator.denoiser.fit_conditions(views)
    generator.denoiser.fit_residuals((latents - means).flatten(0, 1))
    return generator.half_precision_().eval()


def _write_curves(path: Path, generator: AdapterGenerator, rows: Tensor, *, seed: int) -> None:
    """Anchors at the mean of the rows that the generator knows, and hubs somewhere beside them."""
    anchors = generator.encode(torch.stack([part[shown()].mean(dim=0) for part in rows]))[:, 0]
    hubs = anchors + 0.5 * torch.randn(anchors.shape, generator=torch.Generator().manual_seed(seed))
    save_tensors(path, {"anchors": anchors, "hubs": hubs}, {"codec": generator.codec_fingerprint})


def _write_conditions(folder: Path, world: SavannaWorld, condition: Condition) -> Tensor:
    """Returns the views of every named location, `[P, V, E]`, the mean first."""
    backgrounds = [world.backgrounds(location) for location in (*SEEN, *UNSEEN)]
    views = torch.stack([condition.views(pictures) for pictures in backgrounds])
    means = torch.stack([condition(pictures) for pictures in backgrounds])
    save_tensors(folder / "conditions.safetensors", {"mean": means, "views": views}, {"condition": condition.name})
    looks = [world.show(name, 60) for name in (*SEEN, *UNSEEN)]
    named = dict(zip((*SEEN, *UNSEEN), map(packed, looks), strict=True))
    save_tensors(folder / "pictures.safetensors", named)
    return torch.cat([means[:, None], views], dim=1)


def _tiny_map(rows: Tensor) -> Map:
    anchors, index = project(rows), torch.arange(len(SEEN)).repeat_interleave(ON_MAP)
    return Map(anchors, anchors[:, :2].contiguous(), index)


def _figures(regime: str) -> dict:
    def share(value: float) -> dict:
        return {"mean": value, "std": 0.01, "n": 8}

    locations = {}
    for place, location in enumerate(SEEN):
        low = 0.5 + 0.02 * place
        parts = {"fine_tuned": share(low + 0.25), "generated": share(low + 0.23)}
        locations[location] = {"images": 200, "pretrained": low} | parts
    unseen = {location: {"images": 200, "pretrained": 0.6} for location in UNSEEN}
    mean = {"pretrained": 0.59, "fine_tuned": 0.84, "generated": 0.82}
    return {"regime": regime, "samples": 8, "seed": 0, "locations": locations, "mean": mean, "unseen": unseen}


def _curves() -> dict:
    """Counts that rise and fall along every blend, other ones at each end and in each regime."""
    weights = [round(place / 10, 1) for place in range(11)]
    pairs = [(a, b) for place, a in enumerate(SEEN) for b in SEEN[place + 1 :]] + [(SEEN[0], b) for b in UNSEEN]

    def both(start: int) -> list[list[int]]:
        return [[90 - start - stop for stop in range(11)], [60 + start + stop for stop in range(11)]]

    data = {"weights": weights, "images": 100, "seed": 0, "steps": 50}
    data["pretrained"] = {name: 50 + place for place, name in enumerate((*SEEN, *UNSEEN))}
    data["curves"] = {
        regime: {
            f"{a}+{b}": {way: both(place + 3 * turn) for turn, way in enumerate(("ours", "paper", "weights"))}
            for a, b in pairs
        }
        for place, regime in enumerate(REGIMES)
    }
    return data


def only(bundle: Bundle, *regimes: str) -> Bundle:
    """The bundle with the variants of some regimes alone."""
    kept = [variant for variant in bundle.manifest["variants"] if variant["regime"] in regimes]
    return Bundle(bundle.folder, bundle.manifest | {"variants": kept}, bundle.device)
