"""The eighteen animals as sprites."""

from itertools import combinations

import numpy as np
import pytest

from wildpdiff.errors import UserError
from wildpdiff.worlds.savanna.animals import HEIGHT, HERD, POSES, SPECIES, sprite


def test_the_species_are_the_eighteen_in_label_order() -> None:
    assert len(SPECIES) == len(set(SPECIES)) == 18
    assert SPECIES[0] == "wildebeest"
    assert SPECIES[6] == "bird"
    assert SPECIES[-1] == "topi"
    assert set(HEIGHT) == set(HERD) == set(SPECIES)


@pytest.mark.parametrize("species", SPECIES)
def test_every_pose_is_drawn_tightly_with_the_feet_on_the_bottom_row(species: str) -> None:
    for pose in POSES:
        image = sprite(species, pose, 60)
        assert image.dtype == np.uint8
        assert image.shape[2] == 4
        alpha = image[..., 3]
        assert alpha[-1].max() > 60
        assert min(alpha[0].max(), alpha[:, 0].max(), alpha[:, -1].max()) > 0
        assert 0.1 < (alpha > 128).mean() < 0.95


@pytest.mark.parametrize("species", SPECIES)
def test_a_standing_animal_is_as_high_as_asked(species: str) -> None:
    for height in (24, 61, 150):
        assert abs(sprite(species, "stand", height).shape[0] - height) <= 2


def test_a_grazing_antelope_is_lower_than_a_standing_one() -> None:
    assert sprite("impala", "feed", 100).shape[0] < 0.85 * sprite("impala", "stand", 100).shape[0]


def test_a_female_impala_has_no_horns_and_is_lower() -> None:
    assert sprite("impala", "stand", 100, 1).shape[0] < sprite("impala", "stand", 100, 0).shape[0] - 10


def test_the_same_call_gives_the_same_bytes() -> None:
    assert sprite("zebra", "walk", 80, 2).tobytes() == sprite("zebra", "walk", 80, 2).tobytes()


def test_changing_a_sprite_does_not_change_the_next_one() -> None:
    first = sprite("topi", "stand", 40)
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(sprite("topi", "stand", 40), kept)


def test_variants_differ() -> None:
    assert len({sprite("eland", "stand", 60, v).tobytes() for v in range(3)}) == 3


def _signature(species: str) -> np.ndarray:
    """Mean colour and width of the standing animal, `[4]`, each about 0..1."""
    image = sprite(species, "stand", 48).astype(float)
    weight = image[..., 3] / 255
    colour = (image[..., :3] * weight[..., None]).sum((0, 1)) / weight.sum() / 255
    return np.append(colour, image.shape[1] / image.shape[0])


def test_any_two_species_differ_in_colour_or_shape() -> None:
    signatures = {s: _signature(s) for s in SPECIES}
    for a, b in combinations(SPECIES, 2):
        assert np.abs(signatures[a] - signatures[b]).max() > 0.02, (a, b)


def _flank_contrast(species: str) -> float:
    """Standard deviation of brightness along the flank."""
    image = sprite(species, "stand", 120).astype(float)
    h, w = image.shape[:2]
    flank = image[int(h * 0.42) : int(h * 0.5), int(w * 0.25) : int(w * 0.6), :3]
    return float(flank.mean(2).std(1).mean())


def test_a_zebra_is_striped_and_an_eland_nearly_plain() -> None:
    assert _flank_contrast("zebra") > 4 * _flank_contrast("eland")


def test_the_thomsons_gazelle_has_a_dark_band_that_the_grants_lacks() -> None:
    def darkest(species: str) -> float:
        image = sprite(species, "stand", 120).astype(float)
        h, w = image.shape[:2]
        column = image[int(h * 0.45) : int(h * 0.75), int(w * 0.45) : int(w * 0.5)]
        inside = column[..., 3].min(1) > 250
        return float(column[inside][..., :3].mean((1, 2)).min())

    assert darkest("thomsons_gazelle") < 60 < darkest("grants_gazelle")


@pytest.mark.parametrize(("species", "pose", "height", "variant"), [
    ("unicorn", "stand", 40, 0), ("zebra", "dance", 40, 0), ("zebra", "stand", 0, 0), ("zebra", "stand", 40, 3),
])  # fmt: skip
def test_what_cannot_be_drawn_is_a_user_error(species: str, pose: str, height: int, variant: int) -> None:
    with pytest.raises(UserError):
        sprite(species, pose, height, variant)
