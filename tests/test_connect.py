"""Curves between locations, and the hubs that bend them."""

from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from wildpdiff.errors import UserError
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.folded import Folded
from wildpdiff.network.standard import IMAGENET
from wildpdiff.training.connect import ConnectRecipe, connect, cosine_lost, curve, lifted, pair_shares
from wildpdiff.worlds.base import Images

pytestmark = pytest.mark.slow  # trainings

RECIPE = ConnectRecipe(steps=4, batch_size=4, learning_rate=1e-2, most_lost=2.0)
#: Just beyond the first checkpoint, which comes after a hundred steps.
LONG = ConnectRecipe(steps=103, batch_size=2, learning_rate=3e-3, most_lost=2.0)


def points(count: int, seed: int, dim: int = 7) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_shares(count: int, locations: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    return torch.rand(count, locations, generator=rng, dtype=torch.float64).softmax(1)


def test_where_one_location_has_all_the_share_is_its_anchor() -> None:
    anchors = points(4, 1)
    assert torch.equal(curve(anchors, points(4, 2), torch.eye(4, dtype=torch.float64)), anchors)


@pytest.mark.parametrize("t", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_between_two_locations_it_is_the_bezier_curve_whose_control_point_is_the_mean_of_the_hubs(t: float) -> None:
    anchors, hubs = points(5, 1), points(5, 2)
    shares = pair_shares(5, 3, 1, torch.tensor([t])).double()
    a, b, control = anchors[3], anchors[1], (hubs[3] + hubs[1]) / 2
    # De Casteljau: the line between points on the two lines that meet at the control point.
    first, second = torch.lerp(a, control, t), torch.lerp(control, b, t)
    assert torch.allclose(curve(anchors, hubs, shares)[0], torch.lerp(first, second, t), atol=1e-6)


def test_hubs_at_their_anchors_leave_the_straight_line() -> None:
    anchors, shares = points(4, 1), some_shares(9, 4)
    assert torch.allclose(curve(anchors, anchors, shares), shares @ anchors)


def test_points_are_affine_combinations_of_anchors_and_hubs() -> None:
    """Their coefficients add up to 1, so moving everything moves the curve, and codecs that are affine keep curves."""
    anchors, hubs, shares, shift = points(4, 1), points(4, 2), some_shares(9, 4), points(1, 5)
    one = torch.ones(4, 1, dtype=torch.float64)
    assert torch.allclose(curve(one, one, shares), torch.ones(9, 1, dtype=torch.float64))
    moved = curve(anchors + shift, hubs + shift, shares)
    assert torch.allclose(moved, curve(anchors, hubs, shares) + shift)
    matrix = points(7, 6, dim=3)
    assert torch.allclose(
        curve(anchors @ matrix, hubs @ matrix, shares), curve(anchors, hubs, shares) @ matrix, atol=1e-9
    )


def test_shares_of_a_pair_are_in_their_places_and_a_pair_of_one_is_all_of_it() -> None:
    shares = pair_shares(4, 2, 0, torch.tensor([0.0, 0.25, 1.0]))
    assert shares.tolist() == [[0, 0, 1, 0], [0.25, 0, 0.75, 0], [1, 0, 0, 0]]
    assert pair_shares(3, 1, 1, torch.tensor([0.3])).tolist() == [pytest.approx([0, 1, 0])]


def images_of(seed: int) -> Images:
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return Images(pixels, torch.randint(0, 19, (6,), generator=rng))


@pytest.fixture(scope="module")
def images() -> list[Images]:
    return [images_of(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def anchors(backbone: Backbone) -> Tensor:
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(2))
    return start + 0.02 * torch.randn(3, len(start), generator=torch.Generator().manual_seed(3))


def test_hubs_leave_their_anchors_only_where_a_pair_needs_them(
    backbone: Backbone, anchors: Tensor, images: list[Images]
) -> None:
    before = anchors.clone()
    run = list(connect(backbone, anchors, images, [(0, 2)], RECIPE, seed=1))
    assert [(step.index, step.total) for step, _ in run] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert torch.equal(anchors, before)
    hubs = run[-1][1]
    assert hubs.shape == anchors.shape and hubs.isfinite().all()
    assert torch.equal(hubs[1], anchors[1])
    assert (hubs - anchors).abs().amax(1)[[0, 2]].min() > 1e-3
    assert not torch.equal(run[0][1], hubs)


def test_a_step_is_one_of_adamw_by_hand(
    backbone: Backbone, anchors: Tensor, images: list[Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all pictures alike a batch and a mirror image are known, and only the place on the curve is drawn."""
    picture = images[0].pixels[:1, :, :, :1].expand(6, -1, -1, 32)
    alike = [Images(picture, torch.full((6,), label)) for label in (3, 3)]
    drawn: list[Tensor] = []

    def watched(count: int, a: int, b: int, t: Tensor) -> Tensor:
        drawn.append(t)
        return pair_shares(count, a, b, t)

    monkeypatch.setattr("wildpdiff.training.connect.pair_shares", watched)
    recipe = ConnectRecipe(steps=1, batch_size=4, learning_rate=1e-3, most_lost=2.0)
    ((step, hubs),) = connect(backbone, anchors[:2], alike, [(0, 1)], recipe, seed=1)
    t = float(drawn[0])
    row = ((1 - t) * anchors[0] + t * anchors[1]).requires_grad_()
    loss = cross_entropy(Folded(backbone).logits(row, IMAGENET.prepared(picture[:4])), torch.full((4,), 3))
    (gradient,) = torch.autograd.grad(loss, row)
    assert step.loss == pytest.approx(loss.item(), rel=1e-4)
    # The first step of AdamW is as long as its rate, against the sign of the gradient, wherever there is one.
    clear = gradient.abs() > 1e-4
    assert clear.sum() > 100
    expected = -1e-3 * gradient.sign().expand(2, -1)
    assert torch.allclose((hubs - anchors[:2])[:, clear], expected[:, clear], rtol=0.01)


def test_training_lowers_the_loss_in_the_middle_of_the_curve(
    backbone: Backbone, anchors: Tensor, images: list[Images]
) -> None:
    recipe = ConnectRecipe(steps=25, batch_size=12, learning_rate=1e-2, most_lost=2.0)
    *_, (_, hubs) = connect(backbone, anchors[:2], images[:2], [(0, 1)], recipe, seed=1)
    folded, shares = Folded(backbone), torch.tensor([[0.5, 0.5]])
    both, labels = (torch.cat([getattr(one, name) for one in images[:2]]) for name in ("pixels", "labels"))
    losses = [
        cross_entropy(folded.logits(curve(anchors[:2], ends, shares)[0], IMAGENET.prepared(both)), labels).item()
        for ends in (anchors[:2], hubs)
    ]
    assert losses[1] < 0.9 * losses[0]


def test_every_pair_has_its_turn_in_every_round(
    backbone: Backbone, anchors: Tensor, images: list[Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, taken = [(0, 1), (1, 2), (0, 2)], []

    def watched(count: int, a: int, b: int, t: Tensor) -> Tensor:
        taken.append((a, b))
        return pair_shares(count, a, b, t)

    monkeypatch.setattr("wildpdiff.training.connect.pair_shares", watched)
    recipe = ConnectRecipe(steps=12, batch_size=1)
    assert len(list(connect(backbone, anchors, images, pairs, recipe, seed=5))) == 12
    rounds = [tuple(taken[place : place + 3]) for place in range(0, 12, 3)]
    assert all(sorted(one) == sorted(pairs) for one in rounds)
    assert len(set(rounds)) > 1


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_as_much_of_a_batch_is_of_the_second_location_as_of_the_way_is_gone(
    backbone: Backbone, anchors: Tensor, monkeypatch: pytest.MonkeyPatch, t: float
) -> None:
    plain = [
        Images(torch.full((6, 3, 32, 32), 80 * place, dtype=torch.uint8), torch.full((6,), place)) for place in (1, 2)
    ]
    seen: list[tuple[Tensor, Tensor]] = []

    def watched(logits: Tensor, labels: Tensor) -> Tensor:
        seen.append((logits, labels))
        return cross_entropy(logits, labels)

    monkeypatch.setattr("wildpdiff.training.connect.cross_entropy", watched)
    monkeypatch.setattr(torch, "rand", lambda size, **_: torch.full((size,) if isinstance(size, int) else size, t))
    next(connect(backbone, anchors[:2], plain, [(0, 1)], ConnectRecipe(batch_size=10), seed=1))
    monkeypatch.undo()
    ((logits, labels),) = seen
    first = 10 - round(10 * t)
    assert labels.tolist() == [1] * first + [2] * (10 - first)
    row = (1 - t) * anchors[0] + t * anchors[1]
    for place, logit in zip(labels.tolist(), logits, strict=True):
        expected = Folded(backbone).logits(row, IMAGENET.prepared(plain[place - 1].pixels[:1]))[0]
        assert torch.allclose(logit, expected, atol=1e-3)


@dataclass(frozen=True)
class Whole:
    """A run of 103 steps: hubs and places on the curve, and its checkpoint, the state after the hundredth."""

    hubs: list[Tensor]
    places: list[float]
    checkpoint: Path


@pytest.fixture(scope="module")
def whole(backbone: Backbone, anchors: Tensor, images: list[Images], tmp_path_factory: pytest.TempPathFactory) -> Whole:
    checkpoint = tmp_path_factory.mktemp("connect") / "hubs.safetensors"
    places: list[float] = []

    def watched(count: int, a: int, b: int, t: Tensor) -> Tensor:
        places.append(float(t))
        return pair_shares(count, a, b, t)

    run = connect(backbone, anchors, images, [(0, 1), (1, 2)], LONG, seed=7, checkpoint=checkpoint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wildpdiff.training.connect.pair_shares", watched)
        return Whole([hubs for _, hubs in run], places, checkpoint)


def test_places_are_drawn_anew_all_along_the_curve_and_steps_fade_out(whole: Whole) -> None:
    assert len(set(whole.places)) == 103
    assert min(whole.places) < 0.1 and max(whole.places) > 0.9
    moved = [float((after - before).abs().max()) for before, after in pairwise(whole.hubs)]
    # Half a cosine: 1 at the start, 1/2 in the middle, all but nothing at the end.
    assert max(moved[:5]) > 0.5 * LONG.learning_rate
    assert 0 < moved[-1] < 0.01 * LONG.learning_rate


def test_a_killed_run_goes_on_with_the_same_hubs(
    backbone: Backbone, anchors: Tensor, images: list[Images], whole: Whole
) -> None:
    rest = list(connect(backbone, anchors, images, [(0, 1), (1, 2)], LONG, seed=7, checkpoint=whole.checkpoint))
    assert [step.index for step, _ in rest] == [101, 102, 103]
    for (_, again), before in zip(rest, whole.hubs[100:], strict=True):
        assert torch.equal(again, before)


def test_a_run_killed_before_its_last_hubs_were_kept_yields_them_again(
    backbone: Backbone, anchors: Tensor, images: list[Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildpdiff.training.connect.SAVE_EVERY", 2)
    runs = [
        list(connect(backbone, anchors, images, [(0, 1)], RECIPE, seed=7, checkpoint=tmp_path / "hubs.part"))
        for _ in range(2)
    ]
    assert [step.index for step, _ in runs[1]] == [3, 4]
    assert torch.equal(runs[0][-1][1], runs[1][-1][1])


def test_a_checkpoint_changes_nothing_and_a_seed_does(
    backbone: Backbone, anchors: Tensor, images: list[Images], whole: Whole
) -> None:
    same, other = (
        [hubs for _, hubs in islice(connect(backbone, anchors, images, [(0, 1), (1, 2)], LONG, seed=seed), 3)]
        for seed in (7, 8)
    )
    assert all(torch.equal(one, two) for one, two in zip(same, whole.hubs, strict=False))
    assert not torch.equal(other[2], whole.hubs[2])


def test_without_a_pair_or_photographs_of_every_location_there_is_nothing_to_connect(
    backbone: Backbone, anchors: Tensor, images: list[Images]
) -> None:
    for pairs, given in (([], images), ([(0, 1)], images[:2])):
        with pytest.raises(UserError, match="at least one pair"):
            next(connect(backbone, anchors, given, pairs, RECIPE, seed=1))


def test_cosine_lost_is_that_of_the_middle_against_the_straight_lines_by_hand() -> None:
    anchors = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    hubs = anchors + torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    lost = cosine_lost(anchors, hubs)
    # The middle of the first two is (.5, .5, 1): cosine to either end .5 / sqrt(1.5), the straight line's is sqrt(.5).
    assert lost[0, 1] == pytest.approx(0.5**0.5 - 0.5 / 1.5**0.5, abs=1e-6)
    assert torch.equal(lost, lost.T)
    assert not cosine_lost(anchors, anchors).any()


def test_lifted_hubs_keep_every_middle_as_near_to_its_ends_as_asked_and_move_along_their_anchors_alone() -> None:
    anchors, wild = torch.eye(6)[:4] * 3, points(4, 2, dim=6).float() * 0.8
    assert cosine_lost(anchors, anchors + wild).max() > 0.1
    hubs = lifted(anchors, anchors + wild, 0.1)
    assert cosine_lost(anchors, hubs).max() <= 0.1
    moved = hubs - anchors - wild
    assert torch.allclose(moved, moved[0, 0] / anchors[0, 0] * anchors, atol=1e-5)
    assert torch.equal(lifted(anchors, hubs, 0.1), hubs)


def test_hubs_of_opposite_anchors_are_lifted_to_an_end() -> None:
    anchors = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    hubs = anchors + torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert torch.allclose(lifted(anchors, hubs, -1.0), hubs + 2 * anchors, atol=1e-5)
