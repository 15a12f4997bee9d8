"""Caption strips: found where cameras print them, not where the night is black."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from wildpdiff.worlds.strips import Strips, find_strips


def photographs(count: int, top: int = 0, bottom: int = 0, *, night: Sequence[int] = ()) -> list[Tensor]:
    """Pictures of 120 x 160 with black strips that have white letters, and a few that are black above by nature."""
    rng, found = torch.Generator().manual_seed(0), []
    for place in range(count):
        picture = torch.randint(60, 200, (3, 120, 160), generator=rng, dtype=torch.uint8)
        if place in night:
            picture[:, :40] = 4
            picture[:, 40:] //= 6
        for rows in (picture[:, :top], picture[:, 120 - bottom :]):
            if rows.shape[1]:
                rows[:] = 0
                rows[:, 1:-1, 20 + place : 60 + place : 2] = 255
        found.append(picture)
    return found


def test_strips_are_found_at_both_ends_and_cut_to_the_last_row() -> None:
    pictures = photographs(12, top=6, bottom=4)
    strips = find_strips(pictures)
    assert strips == pytest.approx((7 / 120, 5 / 120))
    cut = strips.cut(pictures[0])
    assert cut.shape == (3, 108, 160) and torch.equal(cut, pictures[0][:, 7:115])
    assert "the top 5.8% and the bottom 4.2%" in strips.words()


def test_a_black_sky_is_no_strip() -> None:
    assert find_strips(photographs(12, night=(0, 1, 2, 3, 4))) == Strips()
    assert find_strips(photographs(12, top=6, night=(0, 1, 2, 3, 4))).top == pytest.approx(7 / 120)


def test_pictures_without_a_strip_are_left_whole() -> None:
    strips = find_strips(photographs(9))
    assert strips == Strips() and not strips.words()
    assert torch.equal(strips.cut(torch.ones(3, 9, 9)), torch.ones(3, 9, 9))


def test_three_photographs_are_too_few_to_tell() -> None:
    assert find_strips(photographs(3, top=6)) == Strips()
