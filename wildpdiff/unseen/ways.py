"""Every way to serve a place that nothing was trained at: the classes that it names on the place's photographs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..bundle import Bundle
from ..evaluate import NONE, logits_by
from ..experiments.baselines import nearest_location, softmax_merge
from ..network.backbone import Backbone
from ..network.folded import Folded
from ..training.finetune import FinetuneRecipe, finetune
from ..universal.map import Known
from ..universal.priors import Shrinking, estimated
from ..universal.universal import Universal
from ..worlds.base import Images
from .site import Place

#: Counts of unlabelled photographs.
FEW = (1, 16, 50, 200)
#: What each way is called. Those of the first group know nothing of U; `joint` is one row for all places.
WAYS: dict[str, str] = {
    "pretrained": "pretrained",
    "zoo_mean": "mean of the zoo (H)",
    "zoo_merge": "zoo merged by layer, as training places teach",
    "nearest": "nearest seen location's adapter",
    "softmax": "softmax merge, top 3",
    "pretrained_prior": "pretrained + prior predicted from one picture",
    **{f"pretrained_em{n}": f"pretrained + prior by EM, {n} unlabelled" for n in FEW},
    "pretrained_true": "pretrained + true prior (not to be had)",
    "joint": "joint adapter, mean prior",
    "joint_prior": "joint + prior predicted from one picture",
    "joint_prior16": "joint + prior predicted from one picture and 16 unlabelled",
    **{f"joint_em{n}": f"joint + prior by EM, {n} unlabelled" for n in FEW},
    "joint_true": "joint + true prior (not to be had)",
    "u": "U, one picture",
    "u_16": "U, 16 pictures",
    "u_unlabelled": "U, one picture and 16 unlabelled",
    "u_most": "U, 16 pictures and 200 unlabelled",
    "u_words": "U, a caption",
    "u_row": "U, one picture, without its prior",
    "u_prior": "U, one picture, without its residual",
    "u_shuffled": "U, another place's picture",
    "codec": "U with a codec of 32 learned directions in place of diagonals, one picture",
    "u_samples": "U, one picture, mean of 8 samples",
    "paste40": "pasted animals, 40 steps from joint",
    "paste80": "pasted animals, 80 steps from joint",
    "paste80_prior": "pasted animals, 80 steps from joint, + prior from one picture",
    "rough40_prior": "pasted with rough masks, 40 steps from joint, + prior from one picture",
    "rough80": "pasted with rough masks, 80 steps from joint",
    "plain80": "pasted animals, 80 steps from pretrained",
    "oracle": "fine-tuned there, with labels",
}
#: How the zoo's runs are fine-tuned, which is the oracle's way, too.
ORACLE = FinetuneRecipe(converge=100, rows=12, interval=4, settled_rate=1e-3)
#: Steps on pasted photographs after which is asked, and learning rates of which validation places choose.
PASTING_STEPS, RATES = (40, 80), (1e-4, 3e-4, 1e-3)
#: Steps of fine-tuning from a start after which is asked, and its learning rate.
START_STEPS, START_RATE = (5, 10, 20, 40, 80, 150), 1e-3
#: What each start is called.
STARTS = {
    "start_u": "U, one picture",
    "start_joint": "U's joint row, mean prior",
    "start_mean": "mean of the zoo (H)",
    "start_new": "a new adapter (Gaussian)",
}

Named = dict[str, Tensor]


@dataclass(frozen=True)
class Calibrated:
    """Priors by EM, as validation places calibrate them: for pretrained and joint logits, by count of photographs."""

    pretrained: Mapping[int, Shrinking]
    joint: Mapping[int, Shrinking]


def of_pretrained(bundle: Bundle, place: Place, universal: Universal, how: Calibrated, balance: float) -> Named:
    """What needs no training for new places.

    Args:
        bundle: with its classifier, zoo and condition.
        place: the place.
        universal: whose prior from one picture is used.
        how: calibration of EM.
        balance: how far the classifier's training evened the classes out (see `PretrainRecipe`): its logits hold the
            rest of the training prior, which is divided out before another one is put in.
    """
    backbone, usual = bundle.backbone, universal.model.usual
    folded = Folded(backbone)
    plain, looked = (logits_by(folded, NONE, pixels) for pixels in (place.asked.pixels, place.unlabelled))
    held = (1 - balance) * usual
    prior = universal.write(universal.known(backbone, place.empties[:1])).log_prior[0]
    known = torch.stack([bundle.embedding(name) for name in bundle.seen])
    means, own = bundle.means("H" if "H" in bundle.regimes else bundle.regime), bundle.condition(place.empties[:1])
    rows = {
        "zoo_mean": means.mean(dim=0),
        "nearest": means[nearest_location(own, known)],
        "softmax": softmax_merge(own, known, means),
    }
    found = {way: logits_by(folded, row, place.asked.pixels) for way, row in rows.items()}
    found |= {"pretrained": plain, "pretrained_prior": plain - held + prior}
    found["pretrained_true"] = plain - held + place.shares.clamp(min=1e-4).log()
    for count in FEW:
        found[f"pretrained_em{count}"] = plain - held + estimated(looked[:count] - held, usual, how.pretrained[count])
    return _classes(found)


def of_universal(backbone: Backbone, universal: Universal, place: Place, other: Place, *, whole: bool = True) -> Named:
    """What one training of U knows to do.

    Args:
        backbone: the classifier.
        universal: the trained U.
        place: the place.
        other: whose picture is used where conditions are shuffled.
        whole: everything that it can be told; else what tells seeds apart.
    """
    pixels, model, folded = place.asked.pixels, universal.model, Folded(backbone)
    one = universal.known(backbone, place.empties[:1])
    told = {
        "u": one,
        "u_unlabelled": universal.known(backbone, place.empties[:1], place.unlabelled[:16]),
        "u_shuffled": universal.known(backbone, other.empties[:1]),
    }
    if whole:
        told["u_16"] = universal.known(backbone, place.empties)
        told["u_most"] = universal.known(backbone, place.empties, place.unlabelled)
        told["u_words"] = universal.told(place.caption)
    found = {}
    for way, known in told.items():
        written = universal.write(known)
        adapted = logits_by(folded, written.rows[0].detach(), pixels)
        found[way] = adapted + written.log_prior[0]
        if way == "u":
            found["u_row"] = adapted + model.usual
    balanced = logits_by(folded, model.joint.detach(), pixels)
    found["u_prior"] = balanced + universal.write(one).log_prior[0]
    many = {"u_samples": sampled(folded, universal, one, pixels)} if whole else {}
    return _classes(found) | many


def of_codec(backbone: Backbone, universal: Universal, place: Place) -> Named:
    """What a U does, from one picture, that writes along directions of a codec."""
    written = universal.write(universal.known(backbone, place.empties[:1]))
    adapted = logits_by(Folded(backbone), written.rows[0].detach(), place.asked.pixels)
    return _classes({"codec": adapted + written.log_prior[0]})


def of_joint(backbone: Backbone, control: Universal, place: Place, how: Calibrated) -> Named:
    """The joint row that was trained as long as U, with nothing written beside it; and priors on it."""
    joint, pixels, model = control.model.joint.detach(), place.asked.pixels, control.model
    folded = Folded(backbone)
    balanced, looked = (logits_by(folded, joint, own) for own in (pixels, place.unlabelled))
    one = control.known(backbone, place.empties[:1])
    some = control.known(backbone, place.empties[:1], place.unlabelled[:16])
    found = {
        "joint": balanced + model.usual,
        "joint_prior": balanced + control.write(one).log_prior[0],
        "joint_prior16": balanced + control.write(some).log_prior[0],
        "joint_true": balanced + place.shares.clamp(min=1e-4).log(),
    }
    for count in FEW:
        found[f"joint_em{count}"] = balanced + estimated(looked[:count], model.usual, how.joint[count])
    return _classes(found)


def sampled(folded: Folded, universal: Universal, known: Known, pixels: Tensor, count: int = 8) -> Tensor:
    """The classes that each of some samples names, `[count, M]`."""
    written = universal.write(known, samples=count, seed=0)
    pairs = zip(written.rows.detach(), written.log_prior, strict=True)
    return torch.stack([(logits_by(folded, row, pixels) + bias).argmax(dim=1) for row, bias in pairs])


def of_oracle(backbone: Backbone, place: Place, *, seed: int) -> Named:
    """Fine-tuning at the place itself, with its labels, as the zoo was."""
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(seed))
    folded = Folded(backbone)
    *_, last = finetune(backbone, start, place.labelled, ORACLE, seed=seed)
    return _classes({"oracle": logits_by(folded, _row(last.row), place.asked.pixels)})


@dataclass(frozen=True)
class Pasted:
    """Fine-tuning on photographs of a place that animals were pasted on.

    Attributes:
        images: the photographs, of every class as many.
        start: the row that is fine-tuned, `[D]`.
        rate: learning rate.
        usual: what is added to the logits, `[K]`: the mean log prior, as the labels are even.
    """

    images: Images
    start: Tensor
    rate: float
    usual: Tensor


def of_pasting(backbone: Backbone, control: Universal, place: Place, made: Mapping[str, Pasted], *, seed: int) -> Named:
    """Fine-tuning on animals that were pasted on one picture of the place.

    Args:
        backbone: the classifier.
        control: whose prior from the picture is tried, too.
        place: the place.
        made: by the beginning of the way's name.
        seed: of the batches.
    """
    folded, found = Folded(backbone), {}
    prior = control.write(control.known(backbone, place.empties[:1])).log_prior[0]
    for kind, how in made.items():
        for steps, row in rows_of(backbone, how.start, how.images, how.rate, PASTING_STEPS, seed=seed):
            scores = logits_by(folded, row, place.asked.pixels)
            found[f"{kind}{steps}"] = scores + how.usual
            found[f"{kind}{steps}_prior"] = scores + prior
    return _classes(found)


def of_start(backbone: Backbone, place: Place, start: Start, *, seed: int) -> Named:
    """Fine-tuning with labels from a start, and what its adapters name after each of `START_STEPS`, by `@steps`."""
    own = backbone.biased(start.bias)
    folded = Folded(own)
    found = {"@0": logits_by(folded, start.row, place.asked.pixels)}
    for steps, row in rows_of(own, start.row, place.labelled, START_RATE, START_STEPS, seed=seed):
        found[f"@{steps}"] = logits_by(folded, row, place.asked.pixels)
    return _classes(found)


@dataclass(frozen=True)
class Start:
    """Where fine-tuning begins: a raw row `[D]`, and what is added to the last layer's biases, `[K]`."""

    row: Tensor
    bias: Tensor


def rows_of(
    backbone: Backbone, start: Tensor, images: Images, rate: float, wanted: Sequence[int], *, seed: int
) -> Iterator[tuple[int, Tensor]]:
    """Fine-tune at one learning rate; yields the steps in `wanted`, all multiples of the first, with the row there."""
    recipe = FinetuneRecipe(
        converge=0, rows=wanted[-1] // wanted[0], interval=wanted[0], learning_rate=rate, settled_rate=rate
    )
    for tuned in finetune(backbone, start, images, recipe, seed=seed):
        if tuned.row is not None and tuned.step.index in wanted:
            yield tuned.step.index, tuned.row


def _row(row: Tensor | None) -> Tensor:
    if row is None:
        raise ValueError("the last step of a fine-tuning keeps its row")
    return row


def _classes(scores: Mapping[str, Tensor]) -> Named:
    return {way: own.argmax(dim=1) for way, own in scores.items()}
