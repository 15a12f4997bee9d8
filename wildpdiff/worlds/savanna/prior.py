"""Which species pass a location: driven by its habitat, with a part that is the location's own."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from .animals import SPECIES
from .location import Location, draw_habitat, factors, rng_of

#: Affinity of each species to trees, bush, wet and rock, in log units per unit of `Location.habitat`.
AFFINITY: dict[str, tuple[float, float, float, float]] = {
    "wildebeest": (-0.6, -0.6, 0.0, -0.3),
    "zebra": (-0.3, -0.4, 0.0, -0.1),
    "buffalo": (0.2, 0.4, 0.7, -0.2),
    "hartebeest": (-0.3, -0.2, 0.2, 0.0),
    "thomsons_gazelle": (-1.0, -0.8, -0.3, -0.2),
    "impala": (0.8, 0.4, 0.0, 0.0),
    "bird": (0.0, -0.2, 0.4, 0.0),
    "warthog": (0.0, 0.4, 0.3, -0.1),
    "giraffe": (0.9, 0.3, -0.1, 0.0),
    "elephant": (0.5, 0.3, 0.5, 0.0),
    "grants_gazelle": (-0.7, -0.3, -0.8, 0.0),
    "guineafowl": (0.1, 0.8, -0.1, 0.3),
    "spotted_hyena": (-0.4, 0.0, -0.2, 0.5),
    "hippopotamus": (0.1, 0.1, 1.4, -0.3),
    "reedbuck": (-0.3, 0.4, 1.1, -0.2),
    "eland": (-0.2, -0.1, -0.5, 0.3),
    "baboon": (0.6, 0.2, 0.1, 1.0),
    "topi": (-0.8, -0.4, 0.6, -0.2),
}
#: Spread of a location's own part, chosen so that habitat explains about half (see `explained_share`).
OWN_SPREAD = 0.95
#: Exponent on the real prevalence for locations without counts of their own (1 would leave the rare ones unseen).
PREVALENCE_POWER = 0.6


def species_prior(location: Location, *, seed: int) -> np.ndarray:
    """Share of each of the 18 species among a location's animals: `[18]`, sums to 1."""
    counted = real_sites()["sites"].get(location.name)
    weights = _habitat_weights(location, seed) if counted is None else _counted_weights(location, counted)
    return weights / weights.sum()


def empty_share(location: Location, *, seed: int) -> float:
    """Share of a location's photographs without an animal, 0.15..0.4."""
    return 0.15 + 0.25 * float(rng_of("empty", seed, location.name).random())


def explained_share(locations: list[Location], *, seed: int) -> float:
    """Share of the variance of the log prior over locations that habitat explains; the rest is each location's own."""
    total = np.stack([np.log(species_prior(location, seed=seed)) for location in locations])
    total = total - total.mean(axis=1, keepdims=True)
    driven = np.stack([_driven(location) for location in locations])
    driven = driven - driven.mean(axis=1, keepdims=True)
    residual = total - driven
    return float(1 - residual.var(axis=0).sum() / total.var(axis=0).sum())


def fitted_habitat(name: str, *, seed: int, draws: int = 300) -> dict[str, float]:
    """The habitat that a real site's animals speak for: the likeliest of `draws` candidates under `AFFINITY`."""
    counted = real_sites()["sites"][name]
    candidates = [draw_habitat(f"{name}/{index}", seed=seed) for index in range(draws)]
    totals = real_sites()["totals"]
    known = [species for species in SPECIES if species in totals]
    counts = np.array([counted.get(species, 0) for species in known])
    effort = np.array([totals[species] for species in known])

    def likelihood(habitat: dict[str, float]) -> float:
        driven = factors(**habitat)
        weights = effort * np.exp([np.dot(AFFINITY[species], driven) for species in known])
        return float((counts * np.log(weights / weights.sum())).sum() / max(1, counts.sum()) ** 0.5)

    return max(candidates, key=likelihood)


@cache
def real_sites() -> dict[str, Any]:
    """Counts at the paper's fifteen sites, totals over all sampled sites, and prevalence (Snapshot Serengeti)."""
    return json.loads(resources.files(__package__).joinpath("sites.json").read_text(encoding="utf-8"))


def _driven(location: Location) -> np.ndarray:
    prevalence = np.array([real_sites()["prevalence"][species] for species in SPECIES], dtype=float)
    affinity = np.array([AFFINITY[species] for species in SPECIES])
    return PREVALENCE_POWER * np.log(prevalence) + affinity @ location.habitat


def _habitat_weights(location: Location, seed: int) -> np.ndarray:
    rng = rng_of("own prior", seed, location.name)
    own = (rng.random((3, len(SPECIES))) - 0.5).sum(axis=0) * 2 * OWN_SPREAD
    return np.exp(_driven(location) + own)


def _counted_weights(location: Location, counted: dict[str, int]) -> np.ndarray:
    """P(species | site): counts weighted by prevalence over total, since the sample was drawn per species."""
    sites = real_sites()
    gazelles = {"grants_gazelle", "thomsons_gazelle"}
    named = sum(counted.get(species, 0) for species in gazelles) or 1
    spill = counted.get("gazelle", 0) / named
    weights = []
    for species in SPECIES:
        share = np.exp(np.dot(AFFINITY[species], location.habitat)) / sites["sites_in_sample"]
        if species in sites["totals"]:
            count = counted.get(species, 0) * (1 + spill if species in gazelles else 1) + 0.5
            share = count / sites["totals"][species]
        weights.append(sites["prevalence"][species] * share)
    return np.array(weights, dtype=float)
