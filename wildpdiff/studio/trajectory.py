"""The way from noise to an adapter: latents, statistics, places and accuracies along the sampler's steps; no gradio.

After k of S steps the sampler holds a noisy latent, and the denoiser has a guess of the clean latent that it will end
in. Both decode to an adapter. F counts the steps that are shown, P the adapted convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..generator import AdapterGenerator
from ..network.folded import Folded
from ..weightspace import project
from .layers import Factors
from .places import Plane
from .setting import Setting
from .studio import Studio

#: Photographs of A and of B that are named at every measured step.
PHOTOGRAPHS = 48
#: Most steps that are shown beside step 0.
SHOWN = 50
#: Where on the way adapters are measured. Guesses change in the first steps, noisy latents in the later half.
MEASURED = (0, 0.02, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88, 0.94, 1)
#: Further seeds whose way is shown on the map.
OTHERS = 5
#: Bins of the histogram; the outermost ones also hold what lies beyond.
BINS = 41
#: The sampler tells how far it is after so many steps.
TELLING = 10


@dataclass(frozen=True)
class Way:
    """The way of one adapter.

    Attributes:
        steps: sampling steps done at each shown place of the way, rising from 0 to S, `[F]`.
        noise: the share of the noisy latent's variance that is noise, falling to 0, `[F]`.
        noisy: noisy latents, `[F, C, L]`; the first is pure noise, the last the sample.
        guesses: the denoiser's guess of the clean latent from each of them, `[F, C, L]`; the last is the sample.
        rows: raw rows of the noisy latents, `[F, D]`.
        guessed: raw rows of the guesses, `[F, D]`.
    """

    steps: tuple[int, ...]
    noise: tuple[float, ...]
    noisy: Tensor
    guesses: Tensor
    rows: Tensor
    guessed: Tensor

    @classmethod
    def of(cls, generator: AdapterGenerator, pairs: list[tuple[Tensor, Tensor]]) -> Way:
        """Decode a whole walk.

        Raises:
            UserError: if the last row is not finite.
        """
        steps = shown(len(pairs) - 1)
        noisy, guesses = ([pairs[step][part] for step in steps] for part in (0, 1))
        rows, guessed = (_decoded(generator, latents) for latents in (noisy, guesses))
        if not bool(rows[-1].isfinite().all()):
            raise UserError("This sample is not usable (some of its weights are not finite); choose another seed.")
        noise = noise_shares(generator, len(pairs) - 1)
        return cls(steps, tuple(noise[step] for step in steps), torch.cat(noisy), torch.cat(guesses), rows, guessed)


@dataclass(frozen=True)
class Statistics:
    """What is known of the rows of a way without any photograph.

    Attributes:
        norm: Euclidean length of each row, `[F]`.
        gap: distance to the last row, as a share of the first row's, `[F]`.
        edges: of the histogram's bins, in raw units, `[BINS + 1]`.
        counts: of each row's numbers in each bin, `[F, BINS]`.
        layers: norm of what each row adds to each adapted convolution, `[F, P]`.
        umap: approximate places on the flat map, `[F, 2]`.
        pca: places along the two widest directions, `[F, 2]`.
        others: the same two of the ways of the next seeds, by name, `[F, J, 2]`.
    """

    norm: Tensor
    gap: Tensor
    edges: Tensor
    counts: Tensor
    layers: Tensor
    umap: Tensor
    pca: Tensor
    others: Mapping[str, Tensor]

    @classmethod
    def of(cls, studio: Studio, regime: str, rows: Tensor, others: Tensor) -> Statistics:
        """Measure rows `[F, D]` of a regime's generator; of the `others`, projected `[F, J, 128]`, the places."""
        apart, flat = (rows - rows[-1]).norm(dim=1), studio.map(regime)
        edges = bins(rows)
        inner = torch.bucketize(rows, edges[1:-1], right=True)
        counts = torch.stack([each.bincount(minlength=BINS) for each in inner])
        products = Factors.of(studio.bundle.layout, rows).squares[1]
        return cls(
            rows.norm(dim=1),
            apart / apart[0].clamp(min=1e-12),
            edges,
            counts,
            products.T.clamp(min=0).sqrt(),
            flat.place(rows),
            Plane.of(flat.anchors).place(project(rows)).float(),
            {
                "umap": flat.at(others.flatten(0, 1)).view(*others.shape[:2], 2),
                "pca": Plane.of(flat.anchors).place(others.flatten(0, 1)).float().view(*others.shape[:2], 2),
            },
        )


@dataclass(frozen=True)
class Film:
    """All that is known so far of the way of a setting's first adapter.

    Attributes:
        setting: what was asked, of one adapter.
        photographs: of each chosen location that are named at every measured place.
        stage: how far the work is.
        step: steps of the sampler that are done.
        way: the way, once it is walked.
        statistics: of its rows.
        pretrained: photographs that the network names correctly without an adapter, by location.
        marks: places of the way that were measured, each with the counts of its row and of its guess by location.
    """

    setting: Setting
    photographs: int
    stage: Literal["sampling", "measuring", "done"] = "sampling"
    step: int = 0
    way: Way | None = None
    statistics: Statistics | None = None
    pretrained: Mapping[str, int] = field(default_factory=dict)
    marks: tuple[tuple[int, Mapping[str, int], Mapping[str, int]], ...] = ()


def path_frames(
    studio: Studio, setting: Setting, wanted: Callable[[], bool] = lambda: True, *, photographs: int = PHOTOGRAPHS
) -> Iterator[Film]:
    """Walk the way of a setting's first adapter and measure it, in growing frames.

    Latents and statistics of the whole way come first, then accuracies, place by place.

    Args:
        studio: what answers.
        setting: what was asked.
        wanted: asked at every step and at every measured place; when it says no, the frames end.
        photographs: of each chosen location, to name at every measured place; at most as many as both have.

    Raises:
        UserError: at the first frame, as `Studio.check`, or if the sample is not finite.
    """
    alone = replace(setting, samples=1)
    generator, pairs = studio.generator(alone), list[tuple[Tensor, Tensor]]()
    first, last = studio.ends(alone)
    photographs = min([photographs, *(len(studio.images(name, photographs)) for name in alone.chosen)])
    options: dict[str, Any] = {"other": last, "weight": alone.weight, "steps": alone.steps}
    for pair in walk(generator, first, seed=alone.seed, **options):
        if not wanted():
            return
        if len(pairs) % TELLING == 0:
            yield Film(alone, photographs, step=len(pairs))
        pairs.append(pair)
    way = Way.of(generator, pairs)
    others = other_ways(generator, first, way.steps, seed=alone.seed + 1, **options)
    stage: Literal["measuring", "done"] = "measuring" if alone.chosen else "done"
    known = Statistics.of(studio, alone.regime, way.rows, others)
    film = Film(alone, photographs, stage, alone.steps, way, known)
    yield film
    if alone.chosen:
        yield from _measured(studio, film, way, wanted)


def walk(
    generator: AdapterGenerator,
    embedding: Tensor,
    *,
    steps: int,
    seed: int,
    other: Tensor | None = None,
    weight: float = 0.0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The noisy latent and the guess made from it, each `[1, C, L]` on the CPU, before each of S steps and at the end.

    Args:
        generator: whose sampler runs.
        embedding: of the condition, `[E]`.
        steps: S.
        seed: of the first noise.
        other: embedding of the second condition, `[E]`, and `weight`: how far to go towards it.

    Raises:
        UserError: as `AdapterGenerator.path`.
    """
    second = None if other is None else other[None]
    for noisy, guess in generator.walk(embedding[None], other=second, weight=weight, steps=steps, seed=seed):
        yield noisy.cpu(), guess.cpu()
    yield guess.cpu(), guess.cpu()


def other_ways(
    generator: AdapterGenerator,
    embedding: Tensor,
    shown: tuple[int, ...],
    *,
    other: Tensor,
    weight: float,
    steps: int,
    seed: int,
) -> Tensor:
    """Projected rows `[F, J, 128]` of the noisy latents of J seeds from `seed` on, at the shown steps."""
    first, last = embedding.expand(OTHERS, -1), other.expand(OTHERS, -1)
    walked = list(generator.walk(first, other=last, weight=weight, steps=steps, seed=seed))
    latents = [*(noisy for noisy, _ in walked), walked[-1][1]]
    return torch.stack([project(generator.decode(latents[step]).cpu()) for step in shown])


def shown(steps: int) -> tuple[int, ...]:
    """The steps 0..S that are shown of S, evenly."""
    count = min(steps, SHOWN)
    return tuple(round(place * steps / count) for place in range(count + 1))


def measured(steps: tuple[int, ...]) -> tuple[int, ...]:
    """At which of the shown steps `[F]` adapters are measured, as places among them, rising."""
    last = steps[-1]
    nearest = (min(range(len(steps)), key=lambda place: abs(steps[place] - share * last)) for share in MEASURED)
    return tuple(dict.fromkeys(nearest))


def noise_shares(generator: AdapterGenerator, steps: int) -> list[float]:
    """The share of the noisy latent's variance that is noise after 0..S steps."""
    schedule = generator.schedule
    spread = schedule.rates(torch.tensor(schedule.times(steps)))[1]
    return [*spread.flatten().square().tolist(), 0.0]


def bins(rows: Tensor) -> Tensor:
    """Edges `[BINS + 1]` of even bins around 0 that hold 99.9% of the first and of the last row's numbers."""
    reach = max(float(row.abs().float().quantile(0.999)) for row in (rows[0], rows[-1]))
    digit = 10.0 ** math.floor(math.log10(max(reach, 1e-6)))
    edge = math.ceil(reach / digit * 5) / 5 * digit
    return torch.linspace(-edge, edge, BINS + 1)


def _decoded(generator: AdapterGenerator, latents: list[Tensor]) -> Tensor:
    """Rows of latents `[1, C, L]`, one by one: so the last one is to the bit the row that `Studio.write` gives."""
    return torch.cat([generator.decode(latent.to(generator.device)).cpu() for latent in latents])


def _measured(studio: Studio, film: Film, way: Way, wanted: Callable[[], bool]) -> Iterator[Film]:
    places = measured(way.steps)
    with studio.wearing(torch.zeros_like(way.rows[:1])) as (network,):
        film = replace(film, pretrained=_counts(studio, network, None, film))
        for at in places:
            if not wanted():
                return
            right = _counts(studio, network, way.rows[at], film)
            last = at == places[-1]
            guess = right if last else _counts(studio, network, way.guessed[at], film)
            film = replace(film, stage="done" if last else "measuring", marks=(*film.marks, (at, right, guess)))
            yield film


def _counts(studio: Studio, network: Folded, row: Tensor | None, film: Film) -> dict[str, int]:
    """Photographs that a network names correctly with a raw row `[D]`, at each chosen location."""
    count, found = film.photographs, dict[str, int]()
    if row is not None:
        network.set_adapter(row.to(studio.bundle.device))
    for name in film.setting.chosen:
        images = studio.images(name, count)
        [classes] = studio.predictions([network], images.pixels[:count])
        found[name] = int((classes == images.labels[:count]).sum())
    return found
