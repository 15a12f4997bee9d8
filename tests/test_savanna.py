"""The savanna: the same pixels everywhere, priors of the real sites, and places that look like what they are."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr
from test_files import at_most, one_sentence
from world_contract import check_world

from wildpdiff.errors import UserError
from wildpdiff.worlds import open_world
from wildpdiff.worlds.savanna import world as world_module
from wildpdiff.worlds.savanna.animals import SPECIES as ANIMALS
from wildpdiff.worlds.savanna.caption import Pairs, caption
from wildpdiff.worlds.savanna.location import BOUNDS, Location, draw_location, rng_of
from wildpdiff.worlds.savanna.plate import SKY_DEPTH, Plate, ground_row
from wildpdiff.worlds.savanna.prior import explained_share, real_sites, species_prior
from wildpdiff.worlds.savanna.shot import MIN_AREA, Shot, draw_shot, render
from wildpdiff.worlds.savanna.world import PRETRAINING, SEEN, SPECIES, UNSEEN, SavannaConfig, SavannaWorld
from wildpdiff.worlds.sheet import contact_sheet

SMALL = SavannaWorld(SavannaConfig(size=48, train_images=6, eval_images=5, background_images=2))
WORLD = SavannaWorld()
EMPTY_LABEL = SPECIES.index("empty")


@pytest.mark.slow
def test_the_savanna_keeps_the_promises_of_a_world() -> None:
    few = SavannaWorld(replace(SMALL.config, train_images=3, eval_images=3))
    check_world(few, ("R10", "D03", "P007"))


def test_a_spec_that_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not fit a drawn one") as error:
        open_world({"kind": "savanna", "config": {"rain": 3}})
    one_sentence(error, tmp_path)


def test_it_has_the_papers_fifteen_locations_and_a_hundred_others() -> None:
    assert len(set(WORLD.locations)) == 115
    assert (len(SEEN), len(UNSEEN), len(PRETRAINING)) == (10, 5, 100)
    assert WORLD.locations == (*SEEN, *UNSEEN, *PRETRAINING)
    assert len(SPECIES) == 19


DIGEST = """
import hashlib
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld
world, digest = SavannaWorld(SavannaConfig(size=64)), hashlib.sha256()
for place, name in enumerate(("R10", "U13", "F05", "P003", "P041")):
    location = world.location(name)
    digest.update(repr(location).encode())
    classes = [(8 * place + index) % 19 for index in range(8)]
    digest.update(world.photograph(location, "eval", 8, classes=classes).pixels.numpy().tobytes())
    digest.update(world.photograph(location, "train", 3).labels.numpy().tobytes())
    digest.update(world.backgrounds(name)[:2].numpy().tobytes())
print(digest.hexdigest())
"""


def _digest_on_a_plain_processor() -> str:
    """The pixels of a process that uses no vector instructions beyond those that every x86-64 has."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    simd = " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))
    environment = {
        "ATEN_CPU_CAPABILITY": "default",
        "OMP_NUM_THREADS": "1",
        "NPY_DISABLE_CPU_FEATURES": simd,
        "PYTHONHASHSEED": "7",
    }
    told = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, env=environment, check=True)
    return told.stdout.strip()


@pytest.mark.slow
def test_one_seed_is_the_same_pixels_on_every_processor(capsys: pytest.CaptureFixture[str]) -> None:
    exec(DIGEST, {})
    assert capsys.readouterr().out.strip() == _digest_on_a_plain_processor()


def test_another_seed_is_another_savanna() -> None:
    other = SavannaWorld(replace(SMALL.config, seed=1))
    assert not torch.equal(other.backgrounds("P000"), SMALL.backgrounds("P000"))
    assert not np.allclose(other.prior(other.location("P000")), SMALL.prior(SMALL.location("P000")))


def test_a_photograph_depends_on_its_number_alone() -> None:
    location = SMALL.location("P001")
    few, many = SMALL.photograph(location, "train", 3), SMALL.photograph(location, "train", 6)
    assert torch.equal(few.pixels, many.pixels[:3])
    assert torch.equal(few.labels, many.labels[:3])


def test_train_and_eval_pictures_are_no_near_copies() -> None:
    train, held_out = (SMALL.images("R12", split).pixels.float().flatten(1) for split in ("train", "eval"))
    assert float(torch.cdist(train, held_out, p=1).min() / train.shape[1]) > 1


@pytest.mark.parametrize("name", ["R10", "U11", "E01", "P007", "P050"])
def test_a_place_is_the_same_at_every_size(name: str) -> None:
    """But for the sensor's grain, which is a matter of pixels, and the strip, whose digits need some."""
    location = replace(WORLD.location(name), noise=0.0, strip=0)
    small = WORLD.empties(location, 2, height=48).float()
    large = WORLD.empties(location, 2, height=192).float()
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    assert np.corrcoef(small.flatten(), shrunk.flatten())[0, 1] > 0.95
    assert float((small - shrunk).mean().abs()) < 5


@pytest.mark.parametrize("name", ["R10", "U13", "D03"])
def test_a_photograph_drawn_larger_is_the_same_photograph(name: str) -> None:
    location, count = WORLD.location(name), 6
    photographs = WORLD.photograph(location, "eval", count).pixels.float()
    for index in range(count):
        larger = WORLD.enlarged(location.name, index, 288).float()
        assert larger.shape == (3, 288, 288)
        away = (torch.nn.functional.avg_pool2d(larger, 3) - photographs).abs().mean(dim=(1, 2, 3))
        others = torch.cat([away[:index], away[index + 1 :]])
        assert int(away.argmin()) == index
        assert float(away[index]) < 0.7 * float(others.min())


def test_a_photograph_drawn_at_its_own_size_is_that_very_photograph() -> None:
    location = SMALL.location("P007")
    photographs = SMALL.photograph(location, "eval", 5).pixels
    again = [SMALL.enlarged(location.name, index, 48) for index in range(5)]
    assert torch.equal(torch.stack(again), photographs)


def test_a_larger_photograph_shows_the_try_that_the_photograph_itself_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the larger size every try would have been good enough; the small plate has the say."""
    shots: dict[int, list] = {48: [], 96: []}

    def seen_at_the_third_try(plate: Plate, shot: Shot) -> tuple[np.ndarray, float]:
        tall = len(plate.sky)
        shots[tall].append(shot)
        return np.zeros((tall, tall, 3), dtype=np.uint8), 1.0 if tall == 96 or len(shots[48]) == 3 else 0.0

    location = SMALL.location("P001")
    animal = next(index for index, label in enumerate(SMALL.photograph(location, "eval", 9).labels) if label < 18)
    monkeypatch.setattr(world_module, "render", seen_at_the_third_try)
    SMALL.enlarged(location.name, animal, 96)
    assert len(shots[48]) == 3
    assert shots[96] == shots[48][2:]


@pytest.mark.parametrize("size", [0, 15, 2049])
def test_a_photograph_of_no_size_is_one_sentence(size: int, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        SMALL.enlarged("P001", 0, size)
    one_sentence(error, tmp_path)


def test_a_wide_picture_shows_the_square_one_in_its_middle() -> None:
    location = replace(WORLD.location("P007"), noise=0.0, strip=0, cloud=0.0)
    square = WORLD.empties(location, 1, height=96)[0].float()
    wide = WORLD.empties(location, 1, height=96, width=128)[0].float()[..., 16:-16]
    assert np.corrcoef(square.flatten(), wide.flatten())[0, 1] > 0.95


@pytest.mark.slow
def test_the_strip_covers_the_same_share_of_every_picture() -> None:
    location = replace(WORLD.location("P007"), noise=0.0, strip=1, exposure=1.2)
    shares = []
    for height in (64, 96, 240, 480):
        bare, stamped = (WORLD.empties(replace(location, strip=strip), 1, height=height)[0].int() for strip in (0, 1))
        shares.append(float(((bare - stamped).abs().amax(dim=(0, 2)) > 0).float().mean()))
    assert max(shares) - min(shares) < 0.012


def test_an_elephant_stands_where_it_stands_at_every_size() -> None:
    location = WORLD.location("P007")
    shot = replace(draw_shot(location, "elephant", rng_of("test", 3)), blur=0.0)
    boxes = []
    for height in (60, 240):
        plate = WORLD.plate(location, height)
        bare = render(plate, replace(shot, animals=(), night=False))[0].astype(int)
        shown = render(plate, replace(shot, night=False))[0].astype(int)
        rows, columns = np.nonzero(np.abs(shown - bare).max(axis=2) > 12)
        boxes.append(np.percentile(rows, [10, 90]).tolist() + np.percentile(columns, [10, 90]).tolist())
        boxes[-1] = [value / height for value in boxes[-1]]
    assert boxes[0] == pytest.approx(boxes[1], abs=0.05)


def test_without_shift_all_cameras_are_the_same() -> None:
    own = {"name", "trees", "bush", "wet", "rock", "seed", "strip"}
    follows_habitat = {"grass_height"}
    cameras = [draw_location(f"P{index:03d}", seed=0, shift=0.0) for index in range(30)]
    for field in fields(Location):
        if field.name not in own | follows_habitat:
            assert len({getattr(camera, field.name) for camera in cameras}) == 1, field.name
    wet, grass = ([getattr(camera, name) for camera in cameras] for name in ("wet", "grass_height"))
    assert spearmanr(wet, grass).statistic > 0.999


def test_more_shift_sets_locations_further_apart() -> None:
    def spread(shift: float) -> np.ndarray:
        drawn = [draw_location(f"P{index:03d}", seed=0, shift=shift) for index in range(60)]
        return np.array(
            [np.std([getattr(location, name) for location in drawn]) for name in ("warmth", "zoom", "exposure")]
        )

    assert (spread(0.5) < 0.7 * spread(1.0)).all()
    assert (spread(1.5) > 1.2 * spread(1.0)).all()


def test_habitat_explains_about_half_of_the_log_prior() -> None:
    share = explained_share([WORLD.location(name) for name in PRETRAINING], seed=0)
    assert 0.4 < share < 0.6


def test_the_explained_share_is_what_a_regression_finds() -> None:
    """Least squares of the log prior on the four habitat factors, with freedoms taken into account."""
    places = [WORLD.location(name) for name in PRETRAINING]
    prior = np.log([species_prior(place, seed=0) for place in places])
    prior = prior - prior.mean(axis=1, keepdims=True)
    factors = np.column_stack([np.ones(100), [place.habitat for place in places]])
    residual = prior - factors @ np.linalg.lstsq(factors, prior, rcond=None)[0]
    found = 1 - (residual**2).sum() / 95 / (prior.var(axis=0).sum() * 100 / 99)
    assert explained_share(places, seed=0) == pytest.approx(found, abs=0.06)


def test_priors_are_shares_and_no_species_is_impossible() -> None:
    for name in WORLD.locations:
        prior = WORLD.prior(WORLD.location(name))
        assert prior.shape == (19,)
        assert prior.sum() == pytest.approx(1)
        assert prior.min() > 0
        assert 0.15 <= prior[EMPTY_LABEL] <= 0.4


def test_the_prior_of_r10_is_the_one_computed_by_hand() -> None:
    """Counts of R10 and of all sites as the Snapshot Serengeti table has them, half an event added to each count.

    19 gazelles of unknown kind are shared out over 20 Grant's and 8 Thomson's.
    """
    more = 1 + 19 / (20 + 8)
    by_hand = {
        "wildebeest": 1740 * (5 + 0.5) / 5087,
        "zebra": 888 * (18 + 0.5) / 5060,
        "buffalo": 252 * 0.5 / 5964,
        "hartebeest": 251 * (3 + 0.5) / 4472,
        "thomsons_gazelle": 199 * (8 * more + 0.5) / 2077,
        "warthog": 120 * (21 + 0.5) / 5205,
        "giraffe": 92 * 0.5 / 4262,
        "elephant": 85 * 0.5 / 5868,
        "grants_gazelle": 67 * (20 * more + 0.5) / 1946,
        "guineafowl": 56 * 0.5 / 3986,
    }
    prior = dict(zip(ANIMALS, species_prior(WORLD.location("R10"), seed=0), strict=True))
    for species, weight in by_hand.items():
        assert prior[species] / prior["zebra"] == pytest.approx(weight / by_hand["zebra"]), species


@pytest.mark.parametrize("name", [*SEEN, *UNSEEN])
def test_species_of_a_named_site_rank_as_they_were_counted(name: str) -> None:
    sites = real_sites()
    known = [species for species in ANIMALS if species in sites["totals"]]
    counts = [
        sites["sites"][name].get(species, 0) / sites["totals"][species] * sites["prevalence"][species]
        for species in known
    ]
    prior = species_prior(WORLD.location(name), seed=0)
    assert spearmanr(counts, [prior[ANIMALS.index(species)] for species in known]).statistic > 0.85


def test_animals_live_where_they_live_in_nature() -> None:
    plain = Location("plain", trees=0.05, bush=0.05, wet=0.2, rock=0.0)
    riverside = Location("plain", trees=0.6, bush=0.6, wet=0.95, rock=0.0)
    on_plain, at_river = (dict(zip(ANIMALS, species_prior(place, seed=0), strict=True)) for place in (plain, riverside))
    for species in ("thomsons_gazelle", "wildebeest", "topi", "spotted_hyena"):
        assert on_plain[species] > 2 * at_river[species]
    for species in ("hippopotamus", "elephant", "giraffe", "impala", "buffalo"):
        assert at_river[species] > 2 * on_plain[species]


@pytest.mark.parametrize("name", ["R10", "P013"])
def test_labels_follow_the_prior(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world_module, "_photo", lambda *_: np.zeros((1, 1, 3), dtype=np.uint8))
    location, count = SMALL.location(name), 2000
    labels = SMALL.photograph(location, "train", count).labels
    expected = SMALL.prior(location) * count
    found = torch.bincount(labels, minlength=19).numpy()
    common = expected > 5
    squares = ((found - expected)[common] ** 2 / expected[common]).sum()
    assert squares < common.sum() + 5 * (2 * common.sum()) ** 0.5
    other = SMALL.photograph(location, "eval", count).labels
    assert 0.01 < float((other == labels).float().mean()) < 0.9


@pytest.mark.parametrize("factor", BOUNDS)
def test_a_factor_out_of_range_is_one_sentence(factor: str, tmp_path: Path) -> None:
    low, high = BOUNDS[factor]
    for value in (low - 0.01, high + 0.01, float("nan")):
        with pytest.raises(UserError) as error:
            Location("new", **{factor: value})
        assert f"{factor} must lie in {low:g}..{high:g}" in str(error.value)
        one_sentence(error, tmp_path)
    Location("new", **{factor: low})
    Location("new", **{factor: high})


@pytest.mark.parametrize("strip", [-1, 3])
def test_a_strip_that_is_none_of_the_three_is_refused(strip: int) -> None:
    with pytest.raises(UserError):
        Location("new", strip=strip)


def test_drawn_locations_stay_within_the_bounds_however_far_they_differ() -> None:
    for shift in (0.0, 1.0, 30.0):
        for index in range(40):
            draw_location(f"X{index}", seed=0, shift=shift)


@pytest.mark.parametrize(("name", "species"), [("P002", "zebra"), ("R10", "giraffe"), ("D03", "warthog")])
def test_an_animal_changes_its_own_place_in_the_picture_and_nothing_else(name: str, species: str) -> None:
    plate = WORLD.plate(WORLD.location(name), 96)
    shots = [replace(draw_shot(plate.location, species, rng_of("test", index)), blur=0.0) for index in range(6)]
    shown = [(shot, *render(plate, shot)) for shot in shots if render(plate, shot)[1] >= MIN_AREA]
    assert shown
    for shot, pixels, covered in shown:
        bare, nothing = render(plate, replace(shot, animals=()))
        changed = np.abs(pixels.astype(int) - bare.astype(int)).max(axis=2) > 6
        assert nothing == 0
        assert 0.5 * covered < changed.mean() < 0.9
        feet = max(ground_row(plate.location, animal.z) for animal in shot.animals) * 96
        assert not changed[: int(0.05 * 96)].all()
        assert not changed[min(95, int(feet) + 16) : 90].any()


@pytest.mark.slow
def test_the_label_can_be_seen_in_nearly_every_photograph() -> None:
    hidden, total = 0, 0
    for place in ("P000", "P020", "P040"):
        plate = SMALL.plate(SMALL.location(place), 48)
        for label in range(0, 18, 2):
            rng = rng_of("seen", place, label)
            pixels = world_module._photo(plate, label, rng)
            assert pixels.shape == (48, 48, 3)
            covers = [
                render(plate, draw_shot(plate.location, SPECIES[label], rng_of("c", place, label, n)))[1]
                for n in range(3)
            ]
            hidden, total = hidden + (max(covers) < MIN_AREA), total + 1
    assert hidden < 0.2 * total


def test_night_pictures_are_grey_and_backgrounds_are_by_day() -> None:
    dark = replace(WORLD.location("P004"), night_share=0.5, warmth=0.0, strip=0)
    plate, colour = WORLD.plate(dark, 48), {True: [], False: []}
    for index in range(12):
        shot = draw_shot(dark, None, rng_of("night", index))
        pixels = render(plate, shot)[0].astype(float)
        colour[shot.night].append(np.abs(pixels[..., 0] - pixels[..., 2]).mean())
    by_day = WORLD.empties(dark, 8, height=48).float()
    assert max(colour[True]) < min(colour[False])
    assert float((by_day[:, 0] - by_day[:, 2]).abs().mean(dim=(1, 2)).min()) > max(colour[True])


def test_the_ground_comes_nearer_down_the_picture_and_the_sky_is_above() -> None:
    plate = WORLD.plate(Location("bare", trees=0, bush=0, rock=0, grass_height=0, hills=0), 96)
    middle = np.median(plate.depth, axis=1)
    below = middle[middle < 250]
    assert (np.diff(below) <= 0).all()
    assert (plate.depth[:10] >= SKY_DEPTH).all()
    assert plate.sky[:10].min() == 1
    assert plate.sky[-30:].max() == 0


def test_words_follow_the_factors() -> None:
    bare, rich = (
        Location("a", trees=0.0, bush=0.0, wet=0.0, rock=0.0),
        Location("b", trees=1.0, bush=1.0, wet=1.0, rock=1.0),
    )
    for word in ("treeless", "no bushes", "dry straw", "no rocks"):
        assert word in caption(bare)
        assert word not in caption(rich)
    for word in ("dense woodland", "thicket", "lush green grass", "granite"):
        assert word in caption(rich)
    assert caption(replace(bare, exposure=1.7)) != caption(replace(bare, exposure=0.5))


@pytest.mark.slow
def test_pairs_match_each_picture_with_its_own_words() -> None:
    places = [WORLD.location(f"P{index:03d}") for index in range(6)]
    pairs = Pairs(places, 32)
    pixels, captions = pairs(torch.Generator().manual_seed(0), 4)
    again = pairs(torch.Generator().manual_seed(0), 4)
    assert torch.equal(pixels, again[0])
    assert captions == again[1]
    assert not torch.equal(pixels, pairs(torch.Generator().manual_seed(1), 4)[0])
    views = {caption(place): WORLD.empties(place, 4, height=32).float().mean(dim=0).flatten() for place in places}
    for picture, words in zip(pixels.float(), captions, strict=True):
        alike = {other: np.corrcoef(picture.flatten(), view)[0, 1] for other, view in views.items()}
        assert sorted(alike, key=alike.__getitem__).index(words) >= len(places) - 2


@pytest.mark.slow
def test_a_contact_sheet_has_a_row_for_each_species(tmp_path: Path) -> None:
    contact_sheet(SMALL, SMALL.locations, tmp_path / "sheet.png", by="species", height=32, columns=1)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.height == 18 * 32
        rows = np.asarray(sheet).reshape(18, 32, sheet.width, 3)[:, :, -32:]
        assert len({row.tobytes() for row in rows}) == 18


@pytest.mark.parametrize("wrong", [{"by": "colour"}, {"height": 31}, {"height": 5000}, {"columns": 0}, {"columns": 41}])
def test_a_sheet_that_cannot_be_is_one_sentence(wrong: dict, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        contact_sheet(SMALL, SEEN[:2], tmp_path / "sheet.png", **wrong)
    one_sentence(error, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_on_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with at_most(2_000), pytest.raises(UserError) as error:
        contact_sheet(SMALL, SEEN[:2], tmp_path / "sheet.png", by="species", height=32, columns=1)
    one_sentence(error, tmp_path)
    assert list(tmp_path.iterdir()) == []
