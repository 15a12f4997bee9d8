"""The gauge: what it calls known, between and outside, on made-up points and on the real bundle's places."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.files import load_tensors
from wildpdiff.ood import Gauge, Verdict, distances

REAL = Path(__file__).resolve().parent.parent / "assets" / "savanna"


def cloud(centres: Tensor, count: int, spread: float, seed: int) -> Tensor:
    """`count` points around each centre `[P, E]`: `[P, count, E]`."""
    rng = torch.Generator().manual_seed(seed)
    return centres[:, None] + spread * torch.randn(len(centres), count, centres.shape[1], generator=rng)


def made_up(spread: float = 0.05) -> Gauge:
    axes = torch.eye(12)
    return Gauge.of_views(
        [f"K{place}" for place in range(8)], cloud(axes[:8], 10, spread, 0), cloud(axes[8:], 10, spread, 1)
    )


def test_a_point_is_placed_by_the_nearest_known_location() -> None:
    reading = made_up().read(torch.eye(12)[3])
    names = [name for name, _ in reading.nearest]
    similarities = [similarity for _, similarity in reading.nearest]
    assert names[0] == "K3" and len(set(names)) == 8
    assert similarities == sorted(similarities, reverse=True)
    assert reading.distance == pytest.approx(1 - similarities[0], abs=1e-6)
    assert reading.verdict == "like a known location"
    assert (reading.known_as_far, reading.others_nearer) == (80, 0)


def test_the_three_verdicts_follow_each_other_along_the_way_out() -> None:
    gauge, axes = made_up(), torch.eye(12)
    way = [gauge.read(axes[0] + weight * (axes[11] - axes[0])) for weight in torch.linspace(0, 1, 40)]
    verdicts: list[Verdict] = [reading.verdict for reading in way]
    assert list(dict.fromkeys(verdicts)) == ["like a known location", "between", "outside"]
    assert way[0].distance < 0.05 < 0.5 < way[-1].distance
    assert (way[-1].known_as_far, way[-1].others_nearer > 0) == (0, True)


def test_length_and_scale_of_an_embedding_do_not_matter() -> None:
    gauge, point = made_up(), torch.randn(12, generator=torch.Generator().manual_seed(5))
    assert gauge.read(point).distance == pytest.approx(gauge.read(7 * point).distance, abs=1e-6)


def test_a_view_is_measured_without_itself() -> None:
    views = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]])
    gauge = Gauge.of_views(["one", "two"], views, torch.tensor([[[1.0, 1.0, 1.0]]]))
    # Each view of "one" is at a right angle to the other one, which alone is its location's mean then.
    assert gauge.known.tolist() == pytest.approx([1.0, 1.0, 0.0, 0.0], abs=1e-6)


def test_at_most_five_in_a_hundred_new_pictures_of_known_locations_fall_beyond_the_near_edge() -> None:
    axes, beyond = torch.eye(12)[:8], []
    for seed in range(40):
        gauge = Gauge.of_views(
            [str(place) for place in range(8)], cloud(axes, 12, 0.2, 2 * seed), torch.eye(12)[8:, None]
        )
        fresh = cloud(axes, 12, 0.2, 2 * seed + 1).flatten(0, 1)
        beyond.append((distances(fresh, gauge.means) > gauge.near).float().mean())
    assert torch.stack(beyond).mean() < 0.06


def test_groups_that_lie_in_one_another_tell_nothing() -> None:
    rng = torch.Generator().manual_seed(0)
    blind = Gauge.of_views(["a", "b"], torch.randn(2, 40, 12, generator=rng), torch.randn(2, 40, 12, generator=rng))
    assert not blind.tells and blind.told_apart < 0.5
    assert blind.read(torch.ones(12)).verdict == "cannot tell"
    assert made_up().tells and made_up().told_apart == 1


def test_captions_are_calibrated_apart_from_the_means() -> None:
    axes = torch.eye(6)
    gauge = Gauge.of_means(["a", "b"], axes[:2], axes[:2] + 0.1, axes[2:])
    assert gauge.known.shape == (2,) and gauge.others.shape == (4,)
    assert gauge.read(axes[5]).verdict == "outside"


@cache
def bundle() -> Bundle:
    return Bundle.open(REAL)


@cache
def views() -> Tensor:
    return load_tensors(REAL / "conditions.safetensors")[0]["views"]


@cache
def gauge() -> Gauge:
    return Gauge.of_views(bundle().seen, views()[:10], views()[10:])


def verdicts(names: tuple[str, ...], fresh: int) -> list[Verdict]:
    """What the real gauge says of `fresh` pictures of each place that had no part in anything."""
    world, found = bundle().world, []
    for name in names:
        pixels = world.fresh_backgrounds(name, fresh)
        found += [gauge().read(embedding).verdict for embedding in bundle().condition.views(pixels)]
    return found


def test_real_fresh_pictures_of_known_locations_are_not_called_outside() -> None:
    found = verdicts(bundle().seen, 8)
    assert len(found) == 80
    assert found.count("outside") / len(found) <= 0.05
    assert found.count("like a known location") / len(found) >= 0.85


def test_real_pictures_of_unseen_locations_are_not_taken_for_known_ones() -> None:
    found = []
    for place in range(5):
        rest = [other for other in range(5) if other != place]
        calibrated = Gauge.of_views(bundle().seen, views()[:10], views()[10:][rest])
        found += [calibrated.read(view).verdict for view in views()[10 + place]]
    assert len(found) == 40
    assert found.count("like a known location") == 0
    assert found.count("outside") / len(found) >= 0.75


def test_real_new_places_are_called_outside() -> None:
    found = verdicts(tuple(f"P{index:03d}" for index in range(0, 100, 17)), 2)
    assert found.count("like a known location") == 0
    assert found.count("outside") / len(found) >= 0.75


def office() -> np.ndarray:
    """A room with a window, a desk and a screen."""
    room = np.full((256, 256, 3), (214, 210, 200), np.uint8)
    room[180:] = (90, 84, 80)
    room[30:120, 10:80] = (190, 215, 240)
    room[160:176, 5:250] = (140, 90, 50)
    room[85:145, 115:205] = (20, 20, 25)
    room[90:140, 120:200] = (60, 110, 180)
    return room


@pytest.mark.parametrize("what", ["noise", "office", "grey", "black", "stripes"])
def test_what_is_no_savanna_is_outside(what: str) -> None:
    made = {
        "noise": np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8),
        "office": office(),
        "grey": np.full((256, 256, 3), 128, np.uint8),
        "black": np.zeros((256, 256, 3), np.uint8),
        "stripes": np.tile(np.repeat([0, 255], 16), 8)[:, None, None].repeat(256, 1).repeat(3, 2).astype(np.uint8),
    }
    pixels = torch.from_numpy(made[what]).permute(2, 0, 1)[None].contiguous()
    reading = gauge().read(bundle().condition.views(pixels)[0])
    assert reading.verdict == "outside"
    assert reading.known_as_far == 0


def test_the_real_clip_cannot_tell_known_places_by_their_captions() -> None:
    world, condition, seen = bundle().world, bundle().condition, bundle().seen
    others = [f"P{index:03d}" for index in range(60)]
    own, other = (condition.text([world.caption(name) for name in names]) for names in (seen, others))
    words = Gauge.of_means(seen, torch.stack([bundle().embedding(name) for name in seen]), own, other)
    assert not words.tells
