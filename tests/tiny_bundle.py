"""A tiny but true bundle: every part is real, nothing is trained; for tests of the app."""

from dataclasses import asdict
from pathlib import Path

import torch

from wildpdiff.backbone import Backbone, initial_row
from wildpdiff.bundle import seal
from wildpdiff.clip_training import ClipConfig, build_clip, save_clip
from wildpdiff.condition import ClipCondition
from wildpdiff.files import save_json, save_tensors
from wildpdiff.generator import AdapterGenerator, GeneratorConfig
from wildpdiff.weightspace import Map, project
from wildpdiff.worlds.savanna.world import SEEN, SPECIES, UNSEEN, SavannaConfig, SavannaWorld
from wildpdiff.zoo import Zoo

ROWS, REGIMES = 3, ("L", "M", "H")
CLIP = ClipConfig(embedding=16, image_size=32, image_width=64, image_layers=1, text_width=64, text_layers=1)


def write_tiny_bundle(folder: Path, *, curves: bool = False) -> Path:
    """Write a bundle whose map is drawn by hand (UMAP would cost seconds) and whose figures count up from 0.5; with
    `curves`, made-up counts along every blend."""
    world = SavannaWorld(SavannaConfig(eval_images=4, background_images=2))
    backbone = Backbone.build(SPECIES, seed=0).round_to_half().eval()
    backbone.save(folder / "backbone.safetensors")
    save_clip(build_clip(CLIP, seed=0), CLIP, folder / "clip", name="tiny")
    condition = ClipCondition.load(f"local-dir:{folder / 'clip'}")
    config = GeneratorConfig.of(
        backbone.layout,
        condition_name=condition.name,
        condition_dim=condition.dim,
        backbone_fingerprint=backbone.fingerprint,
    )
    for place, regime in enumerate(REGIMES):
        generator = AdapterGenerator.untrained(config, seed=place).half_precision_()
        generator.save_pretrained(folder / f"generator-{regime}", torch.float16)
        twin = generator.with_fresh_denoiser(seed=10 + place).half_precision_()
        twin.save_denoiser(folder / f"generator-{regime}" / "paper.safetensors", torch.float16)
        _tiny_map(_write_zoo(folder, backbone, regime)).save(folder / f"map-{regime}.safetensors")
    AdapterGenerator.untrained(config, seed=3).half_precision_().save_pretrained(
        folder / "generator-R10", torch.float16
    )
    save_tensors(folder / "joint.safetensors", {"row": initial_row(backbone.layout, torch.Generator()).half()})
    _write_conditions(folder, world, condition)
    if curves:
        save_json(folder / "results" / "curves.json", {"data": _curves()})
    about = {"regimes": list(REGIMES), "seen": list(SEEN), "unseen": list(UNSEEN), "world": asdict(world.config)}
    seal(folder, about | {"figures": {regime: _figures(regime) for regime in REGIMES}})
    return folder


def _write_zoo(folder: Path, backbone: Backbone, regime: str) -> torch.Tensor:
    rng = torch.Generator().manual_seed(REGIMES.index(regime))
    zoo = Zoo(folder / f"zoo-{regime}", backbone.layout, regime=regime)
    start, parts = initial_row(backbone.layout, rng), []
    for location in SEEN:
        centre = start + 0.05 * torch.randn(backbone.layout.dim, generator=rng)
        parts.append(centre + 0.01 * torch.randn(ROWS, backbone.layout.dim, generator=rng))
        zoo.add(location, parts[-1], torch.full((ROWS,), 0.9), dtype=torch.float16)
    return torch.cat(parts)


def _write_conditions(folder: Path, world: SavannaWorld, condition: ClipCondition) -> None:
    backgrounds = [world.backgrounds(location) for location in (*SEEN, *UNSEEN)]
    views = torch.stack([condition.views(pictures) for pictures in backgrounds])
    means = torch.stack([condition(pictures) for pictures in backgrounds])
    save_tensors(folder / "conditions.safetensors", {"mean": means, "views": views})
    shown = [world.empties(world.location(name), 1, height=60, width=80)[0] for name in (*SEEN, *UNSEEN)]
    save_tensors(folder / "pictures.safetensors", {"pictures": torch.stack(shown)})


def _tiny_map(rows: torch.Tensor) -> Map:
    anchors, index = project(rows), torch.arange(len(SEEN)).repeat_interleave(ROWS)
    return Map(anchors, anchors[:, :2].contiguous(), index)


def _figures(regime: str) -> dict:
    def share(value: float) -> dict:
        return {"mean": value, "std": 0.01, "n": 8}

    locations = {}
    for place, location in enumerate(SEEN):
        low = 0.5 + 0.02 * place
        parts = {"fine_tuned": share(low + 0.25), "codec": share(low + 0.24), "generated": share(low + 0.23)}
        locations[location] = {"images": 200, "pretrained": low} | parts
    unseen = {location: {"images": 200, "pretrained": 0.6} for location in UNSEEN}
    mean = {"pretrained": 0.59, "fine_tuned": 0.84, "codec": 0.83, "generated": 0.82}
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
