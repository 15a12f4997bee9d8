"""Generator U: what it writes, what it knows a place by, when it holds its tongue, and that it survives a kill."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from tiny_bundle import tiny_universal
from torch.nn.functional import normalize

from wildpdiff.build.universal import blank
from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct, logits
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.folded import Folded
from wildpdiff.network.lora import factors
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.universal.gate import Gate, far_conditions
from wildpdiff.universal.learn import (
    MapRecipe,
    Sights,
    known_of,
    learn_joint,
    learn_prior,
    learn_residual,
    learn_update,
)
from wildpdiff.universal.map import Known, UniversalMap, evidence
from wildpdiff.universal.places import FIRST, Places, draw
from wildpdiff.universal.priors import Shrinking, calibrated, estimated
from wildpdiff.universal.sight import Sight, SightNet, parts
from wildpdiff.universal.sight_learning import SightRecipe, judged, learn_sight
from wildpdiff.universal.spread import Spread, SpreadRecipe
from wildpdiff.universal.universal import Universal
from wildpdiff.worlds.base import EMPTY
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld

WORLD = SavannaWorld(SavannaConfig(size=32, background_images=2))
K = len(WORLD.species)
BRIEF = MapRecipe(joint_steps=4, joint_batch=4, steps=4, places=2, photographs=3, prior_steps=5, save_every=2)


@pytest.fixture(scope="module")
def universal(backbone: Backbone) -> Universal:
    return tiny_universal(backbone, SavannaWorld(SavannaConfig(background_images=2)))


@pytest.fixture(scope="module")
def places() -> Places:
    return draw(WORLD, range(3), photographs=6, empties=2)


def sights(places: Places, *, dim: int = 16) -> Sights:
    rng = torch.Generator().manual_seed(0)
    views = normalize(torch.randn(len(places), 2, dim, generator=rng), dim=2)
    return Sights(views, views[:, 0], torch.rand(len(places), 4, K, generator=rng).softmax(dim=2))


def some(count: int = 2, *, dim: int = 16) -> Known:
    rng = torch.Generator().manual_seed(count)
    return Known(normalize(torch.randn(count, dim, generator=rng), dim=1), torch.randn(count, K + 1, generator=rng))


# what the map writes


@pytest.mark.parametrize("kind", ["none", "diagonal", "codec"])
def test_a_code_of_zeros_is_the_joint_row(backbone: Backbone, kind: str) -> None:
    model = blank(backbone, 16, kind, 0)
    model.joint.data.normal_()
    rows = model.rows(torch.zeros(3, model.config.code))
    assert torch.equal(rows, model.joint.expand(3, -1))


def test_a_diagonal_scales_what_each_rank_of_each_layer_adds(backbone: Backbone) -> None:
    model = blank(backbone, 16, "diagonal", 0)
    model.joint.data.normal_()
    code = torch.zeros(1, model.config.code)
    code[0, 5] = 0.5  # second layer, second rank
    row, joint = model.rows(code)[0], model.joint.detach()
    ours, theirs = factors(backbone.layout, row.detach()), factors(backbone.layout, joint)
    changed = [name for name in ours if not torch.equal(ours[name][0] * 1.0, theirs[name][0])]
    assert changed == [list(ours)[1]]
    a, b = ours[changed[0]]
    old, same = theirs[changed[0]]
    rank = backbone.lora.rank
    gates = torch.ones(rank).index_fill(0, torch.tensor([5 - rank]), 1.5)
    product = b.flatten(1) @ a.flatten(1)
    assert torch.allclose(product, same.flatten(1) @ torch.diag(gates) @ old.flatten(1), atol=1e-6)


def test_there_is_one_number_for_each_rank_of_each_adapted_layer(backbone: Backbone) -> None:
    assert blank(backbone, 16, "diagonal", 0).config.code == backbone.lora.rank * len(
        factors(backbone.layout, torch.zeros(backbone.layout.dim))
    )


def test_a_code_of_another_length_is_refused(backbone: Backbone) -> None:
    with pytest.raises(UserError, match="A code has 176 numbers, not"):
        blank(backbone, 16, "diagonal", 0).rows(torch.zeros(1, 3))


def test_the_expected_shares_sum_up_to_one_and_begin_as_the_mean_of_training_places(backbone: Backbone) -> None:
    model, shares = blank(backbone, 16, "diagonal", 0), torch.rand(5, K).softmax(dim=1)
    model.fit(some(5), shares)
    model.eval()
    told = model.log_prior(some(2).embedding).exp()
    assert torch.allclose(told.sum(dim=1), torch.ones(2))
    assert torch.allclose(told[0], shares.mean(dim=0), atol=1e-5)


def test_no_photographs_are_no_evidence_and_many_count_more_than_few() -> None:
    sure = torch.zeros(200, K)
    sure[:, 3] = 1
    nothing, few, many = (evidence(sure[:count]) for count in (0, 4, 200))
    assert not nothing.any()
    assert 0 < few[-1] < many[-1] == 1
    assert many[:-1].argmax() == few[:-1].argmax() == 3
    assert many[3] > few[3] > 0


# row and prior as an adapter


def test_an_adapter_is_the_merged_row_with_the_log_prior_on_its_logits(
    backbone: Backbone, universal: Universal
) -> None:
    pixels = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    written = universal.write(universal.known(backbone, far_conditions(64, 1)))
    [adapter] = universal.adapters(backbone, written)
    folded = Folded(backbone).set_adapter(adapter)
    wanted = logits(backbone, written.rows[0].detach(), pixels) + written.log_prior[0]
    assert torch.allclose(folded(backbone.prepared(pixels)), wanted, rtol=1e-3, atol=1e-3 * float(wanted.std()))


def test_a_network_forgets_the_prior_of_the_adapter_before(backbone: Backbone, universal: Universal) -> None:
    pixels = backbone.prepared(torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8))
    row = torch.zeros(backbone.layout.dim)
    folded = Folded(backbone)
    plain = folded.set_adapter(row)(pixels)
    [adapter] = universal.adapters(backbone, universal.write(some(1)))
    folded.set_adapter(adapter)
    assert torch.equal(folded.set_adapter(row)(pixels), plain)


def test_each_half_can_be_switched_off(universal: Universal) -> None:
    known = some(1)
    whole, bare = universal.write(known), universal.write(known, residual=False, prior=False)
    joint, usual = universal.model.joint.detach(), universal.model.usual.log_softmax(dim=0)
    assert torch.equal(bare.rows[0].detach(), joint)
    assert torch.allclose(bare.log_prior[0], usual)
    assert not torch.allclose(whole.rows[0].detach(), joint)
    assert not torch.allclose(whole.log_prior[0], usual, atol=1e-2)
    assert torch.equal(universal.write(known, prior=False).rows, whole.rows)


def test_samples_depend_on_their_seed_alone_and_differ(universal: Universal) -> None:
    known = some(1)
    many = universal.write(known, samples=4, seed=3)
    alone = universal.write(known, samples=1, seed=5)
    assert torch.allclose(many.rows[2], alone.rows[0], atol=1e-6)
    assert torch.allclose(many.log_prior[2], alone.log_prior[0], atol=1e-5)
    assert float((many.rows[0] - many.rows[1]).detach().norm()) > 0
    with pytest.raises(UserError, match="at least 0, not -1"):
        universal.write(known, samples=-1)


def test_more_than_sixteen_backgrounds_or_none_are_refused(backbone: Backbone, universal: Universal) -> None:
    for count in (0, 17):
        with pytest.raises(UserError, match=f"1 to 16 pictures without animals, not {count}"):
            universal.known(backbone, torch.zeros(count, 3, 32, 32, dtype=torch.uint8))


# the gate


def test_what_looks_like_no_known_place_gets_the_joint_row_and_the_mean_prior(
    backbone: Backbone, universal: Universal
) -> None:
    how = (universal.condition, universal.notes)
    strict = Universal(universal.model, universal.spread, Gate(0.0, 1e-6), *how, backbone_fingerprint="")
    written = strict.write(strict.known(backbone, far_conditions(96, 1)))
    assert written.trust == 0
    assert torch.equal(written.rows[0].detach(), universal.model.joint.detach())
    assert torch.allclose(written.log_prior[0], universal.model.usual.log_softmax(dim=0), atol=1e-6)


def test_trust_is_whole_for_nearly_all_validation_places_and_falls_with_strangeness() -> None:
    validation = torch.rand(400, generator=torch.Generator().manual_seed(0)) + 0.5
    gate = Gate.of(validation)
    trust = gate.trust(validation)
    assert int((trust == 1).sum()) >= 379
    assert float(trust.min()) > 0
    falling = gate.trust(torch.linspace(0, 2 * gate.far, 50))
    assert bool((falling.diff() <= 0).all())
    assert (float(falling[0]), float(falling[-1])) == (1.0, 0.0)


def test_features_of_training_places_are_about_one_strange(backbone: Backbone) -> None:
    features = torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
    net, _ = learn_sight(
        features[:, None], ["a place"] * 500, torch.zeros(500, 1), ("n",), SightRecipe(steps=0), seed=0
    )
    away = ((features - net.centre) / net.spread).square().mean(dim=1)
    assert float(away.mean()) == pytest.approx(1, abs=0.05)


def test_words_are_trusted_by_the_share_that_is_known(universal: Universal) -> None:
    whole, half = universal.told("savanna with dry"), universal.told("savanna spaceship")
    assert float(whole.trust) == 1.0
    assert float(half.trust) == 0.5


# on disk


def test_what_is_saved_writes_the_same_when_it_is_opened(
    backbone: Backbone, universal: Universal, tmp_path: Path
) -> None:
    universal.save(tmp_path, whole=True)
    opened = Universal.load(tmp_path, backbone)
    known = some(1)
    first, second = (one.write(known, samples=2, seed=1) for one in (universal, opened))
    assert torch.equal(first.rows, second.rows)
    assert torch.equal(first.log_prior, second.log_prior)
    assert opened.fingerprint == universal.fingerprint
    pictures = far_conditions(48, 3)
    assert torch.equal(opened.condition.views(pictures), universal.condition.views(pictures))


def test_another_classifier_is_refused(universal: Universal, tmp_path: Path) -> None:
    universal.save(tmp_path, whole=True)
    other = Backbone.build(WORLD.species, seed=1).eval()
    with pytest.raises(UserError, match="Generator U was trained on 'sight/"):
        Universal.load(tmp_path, other)


def test_a_damaged_file_is_a_sentence(backbone: Backbone, universal: Universal, tmp_path: Path) -> None:
    universal.save(tmp_path, whole=True)
    (tmp_path / "universal.json").write_text('{"format": 1}', encoding="utf-8")
    with pytest.raises(UserError, match=r"universal\.json"):
        Universal.load(tmp_path, backbone)


# priors by EM


def test_em_finds_the_true_shares_from_exact_likelihoods() -> None:
    rng = torch.Generator().manual_seed(0)
    true = torch.tensor([0.6, 0.3, 0.1])
    labels = torch.multinomial(true, 4000, replacement=True, generator=rng)
    means = 1.5 * torch.eye(3)
    points = means[labels] + torch.randn(4000, 3, generator=rng)
    scores = points @ means.T - means.square().sum(dim=1) / 2
    found = estimated(scores, torch.zeros(3), Shrinking()).exp()
    assert torch.allclose(found, true, atol=0.03)


def test_em_stays_at_its_start_without_photographs_or_if_the_start_counts_most() -> None:
    start = torch.tensor([0.5, 0.3, 0.2]).log()
    scores = torch.tensor([[9.0, 0.0, 0.0]] * 5)
    assert torch.allclose(estimated(scores[:0], start, Shrinking()), start, atol=1e-4)
    assert torch.allclose(estimated(scores, start, Shrinking(1.0, 1e6)), start, atol=1e-3)
    assert estimated(scores, start, Shrinking(1.0, 1.0))[0] > start[0]


def test_calibration_cools_a_classifier_that_is_too_sure_of_itself() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = [torch.randint(3, (300,), generator=rng) for _ in range(4)]
    points = [torch.eye(3)[own] * 1.2 + torch.randn(300, 3, generator=rng) for own in labels]
    honest = [own * 1.2 for own in points]
    starts = [torch.zeros(3)] * 4
    loud = calibrated([3 * own for own in honest], labels, starts, 100)
    assert loud.temperature > calibrated(honest, labels, starts, 100).temperature


# the spread


def test_samples_have_the_mean_and_the_spread_of_what_they_learned_given_what_is_known() -> None:
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(6000, 1, generator=rng)
    differences = torch.cat([inputs, -inputs], dim=1) + 0.5 * torch.randn(6000, 2, generator=rng)
    spread = Spread.of(differences, 1, seed=0, hidden=48)
    for _ in spread.learn(differences, inputs, SpreadRecipe(steps=900, batch_size=256, average=0.98), seed=0):
        pass
    drawn = spread.sample(torch.full((400, 1), 1.0), seed=0)
    assert torch.allclose(drawn.mean(dim=0), torch.tensor([1.0, -1.0]), atol=0.15)
    assert torch.allclose(drawn.std(dim=0), torch.tensor([0.5, 0.5]), atol=0.12)


# what it knows a place by


def test_words_are_counted_alone_and_in_pairs() -> None:
    assert parts("Dry grass, red") == ["dry", "grass", "red", "dry grass", "grass red"]


def test_words_that_no_caption_had_are_refused_in_a_sentence() -> None:
    net = SightNet(4, 3, 5, ["dry", "grass", "dry grass"], ["trees"])
    with pytest.raises(UserError, match=r"None of these words is known here.*dry grass"):
        net.heard(["a spaceship"])
    assert torch.equal(net.heard(["dry spaceship"]), net.heard(["DRY!"]))


def test_eye_and_ear_agree_after_training_and_numbers_are_read() -> None:
    rng = torch.Generator().manual_seed(0)
    kinds = torch.randint(6, (240,), generator=rng)
    features = torch.randn(6, 12, generator=rng)[kinds][:, None] + 0.2 * torch.randn(240, 2, 12, generator=rng)
    captions = [f"kind {'abcdef'[kind]}" for kind in kinds.tolist()]
    numbers = kinds.float()[:, None]
    recipe = SightRecipe(dim=8, hidden=32, dropout=0.0, steps=150, batch_size=32, weight_decay=0.01)
    net, steps = learn_sight(features[:200], captions[:200], numbers[:200], ("kind",), recipe, seed=0)
    losses = [step.loss for step in steps]
    found = judged(net, features[200:], captions[200:], numbers[200:], features[:200, 0], numbers[:200])
    assert losses[-1] < losses[0]
    assert found["one"] > 0.9
    assert found["linear"]["kind"] > 0.9


def test_an_embedding_has_length_one_whatever_the_size_of_the_picture(universal: Universal) -> None:
    for size in (48, 96, 200):
        assert torch.allclose(universal.condition.views(far_conditions(size, 3)).norm(dim=1), torch.ones(3), atol=1e-5)


def test_another_weight_is_another_name(universal: Universal, backbone: Backbone) -> None:
    net = universal.condition.net
    before = Sight(backbone, net, size=96).name
    assert Sight(backbone, net, size=64).name != before
    assert universal.condition.name == before


# places drawn anew


def test_the_same_seed_is_the_same_place_and_no_two_kinds_share_one(places: Places) -> None:
    again = draw(WORLD, [1], photographs=3, empties=1)
    assert torch.equal(again.pixels[0], places.pixels[1, :3])
    assert torch.equal(again.empties[0], places.empties[1, :1])
    assert again.captions[0] == places.captions[1]
    starts = sorted(FIRST.values())
    assert min(b - a for a, b in pairwise(starts)) >= 1_000_000


def test_shares_are_those_by_which_the_labels_were_drawn() -> None:
    drawn = draw(WORLD, [7], photographs=600, empties=1)
    counts = torch.bincount(drawn.labels[0], minlength=K) / 600
    error = (drawn.shares[0] * (1 - drawn.shares[0]) / 600).sqrt()
    assert bool(((counts - drawn.shares[0]).abs() <= 4 * error + 1e-3).all())


def test_places_come_back_from_their_file(places: Places, tmp_path: Path) -> None:
    places.save(tmp_path / "places.safetensors")
    again = Places.load(tmp_path / "places.safetensors")
    assert torch.equal(again.pixels, places.pixels)
    assert again.captions == places.captions
    assert again.values == places.values
    both = Places.together([again[:1], again[1:]])
    assert torch.equal(both.labels, places.labels)
    assert both.values == places.values


def test_a_world_that_only_has_the_places_that_it_names_is_refused() -> None:
    class Plain:
        pass

    with pytest.raises(UserError, match="a world that draws places anew"):
        draw(Plain(), [0], photographs=1, empties=1)  # type: ignore[arg-type]


def test_pasted_animals_change_the_picture_of_all_but_the_empty() -> None:
    inventing, ground = WORLD.inventing(), draw(WORLD, [3], photographs=0, empties=1).empties[0]
    made = inventing.pasted(ground, [0, K - 1], seed=0)
    assert WORLD.species[K - 1] == EMPTY
    assert torch.equal(made.pixels[1], ground[0])
    assert not torch.equal(made.pixels[0], ground[0])
    rough = inventing.pasted(ground, [0], seed=0, others=255 - ground)
    assert not torch.equal(rough.pixels[0], made.pixels[0])
    assert torch.equal(inventing.pasted(ground, [0, K - 1], seed=0).pixels, made.pixels)


# learning


def test_an_episode_never_judges_by_a_photograph_that_it_was_told_of(places: Places) -> None:
    own = sights(places)
    for seed in range(20):
        known, used = known_of(own, [0, 1, 2], MapRecipe(unlabelled=1.0), torch.Generator().manual_seed(seed))
        assert used.shape == (3, 4)
        assert int(used.sum(dim=1).max()) <= 2
        assert bool((known.evidence[:, -1] > 0).all())
    known, used = known_of(own, [0], MapRecipe(unlabelled=0.0, words=1.0), torch.Generator().manual_seed(0))
    assert not used.any()
    assert not known.evidence.any()
    assert torch.equal(known.embedding[0], own.words[0])


def test_a_killed_training_goes_on_and_ends_with_the_same_numbers(
    backbone: Backbone, places: Places, tmp_path: Path
) -> None:
    own = sights(places)

    def trained(folder: Path, *, killed: bool) -> UniversalMap:
        model = blank(backbone, 16, "diagonal", 0)
        model.fit(some(3), places.shares)
        for stage in ("joint", "residual"):
            for turn in range(2 if killed else 1):
                path = folder / f"{stage}.safetensors"
                run = (
                    learn_joint(backbone, model, places, BRIEF, seed=0, checkpoint=path)
                    if stage == "joint"
                    else learn_residual(backbone, model, places, own, BRIEF, seed=0, checkpoint=path)
                )
                for step in run:
                    if killed and turn == 0 and step.index == 3:
                        break
        return model

    torch.manual_seed(0)
    whole = trained(tmp_path / "whole", killed=False)
    torch.manual_seed(0)
    broken = trained(tmp_path / "broken", killed=True)
    assert torch.equal(whole.joint, broken.joint)
    assert torch.equal(whole.residual[-1].weight, broken.residual[-1].weight)
    assert bool(whole.residual[-1].weight.any())


def test_the_prior_learns_what_passes_where(backbone: Backbone) -> None:
    model = blank(backbone, 4, "none", 0)
    views, shares = torch.eye(4)[:2].repeat(20, 1)[:, None], torch.full((2, K), 0.01)
    shares[0, 0], shares[1, 1] = 0.82, 0.82
    model.fit(Known(views[:, 0], torch.zeros(40, K + 1)), shares.repeat(20, 1))
    recipe = MapRecipe(prior_steps=250, words=0.0, rate=3e-3)
    for _ in learn_prior(model, views, views[:, 0], shares.repeat(20, 1), recipe, seed=0):
        pass
    told = model.log_prior(views[:2, 0]).exp().detach()
    assert float(told[0, 0]) == pytest.approx(0.82, abs=0.12)
    assert float(told[1, 1]) == pytest.approx(0.82, abs=0.12)


def test_unlabelled_photographs_move_the_prior_to_what_they_show(backbone: Backbone) -> None:
    rng = torch.Generator().manual_seed(0)
    shares = torch.distributions.Dirichlet(torch.full((K,), 0.3)).sample((60,))
    labels = torch.stack([torch.multinomial(own, 40, replacement=True, generator=rng) for own in shares])
    scores = 4 * torch.nn.functional.one_hot(labels, K).float() + torch.randn(60, 40, K, generator=rng)
    views = normalize(torch.randn(60, 1, 4, generator=rng), dim=2)
    model = blank(backbone, 4, "none", 0).eval()
    for _ in learn_update(model, Sights(views, views[:, 0], scores), labels, MapRecipe(update_steps=150), seed=0):
        pass
    before, after = (model.log_prior(views[:, 0], looked).detach() for looked in (scores[:, :0], scores[:, :20]))
    judged_by = labels[:, 20:]
    loss = [float(-told.gather(1, judged_by).mean()) for told in (before, after)]
    assert loss[1] < loss[0] - 0.3


def test_the_classifier_is_left_as_it_was(backbone: Backbone, places: Places, universal: Universal) -> None:
    before = backbone.fingerprint
    pixels, labels = places.pixels[0], places.labels[0]
    correct(backbone, universal.adapters(backbone, universal.write(some(1))), pixels, labels)
    assert backbone.fingerprint == before
    assert FinetuneRecipe().steps > 0
