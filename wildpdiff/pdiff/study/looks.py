"""What a study measures of one grown system beside its results: fixed noise, sampling steps, paths, the codec alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...evaluate import most_alike
from ...fidelity import mean_distance, ratio
from ...files import load_tensors
from ...generator.vae import VAECodec
from ...measure.statistics import difference, estimate, over_units
from ..groups import STEPS
from ..results import Data, Measured, best
from ..system import MEASURED, System

#: Scales of the noise that the paper adds to parameters (section 4).
NOISE = (0.001, 0.05, 0.15)
#: Sampling steps (its table 9 varies those of the diffusion).
SAMPLING = (1, 2, 5, 10, 20, 50, 100, 1000)
#: Noises that are followed (its figure 5b).
FOLLOWED = 5
#: Networks of a look.
LOOKED = 40
#: Points of a look that a figure shows.
DRAWN = 10


def noise(system: System) -> Data:
    """Originals with Gaussian noise of fixed scales on every parameter: accuracy against likeness (figures 3 and 4)."""
    known = system.checkpoints.known
    rows = known[torch.linspace(0, len(known) - 1, LOOKED).round().long()]
    rng = torch.Generator().manual_seed(system.order.seed + 2)
    moved = {f"{scale:g}": rows + scale * torch.randn(rows.shape, generator=rng) for scale in NOISE}
    return {name: _alike(system, some) for name, some in moved.items()}


def steps(system: System) -> Data:
    """Samples of different numbers of steps from the same noise."""
    made = {
        count: system.generator.generate(count=LOOKED, steps=count, seed=system.order.seed).cpu() for count in SAMPLING
    }
    right = {count: _right(system, rows) for count, rows in made.items()}
    finest, between = SAMPLING[-1], mean_distance(system.checkpoints.known)
    return {
        str(count): {
            "test": estimate(right[count]),
            "against_finest": difference(right[count], right[finest]),
            "spread": ratio(mean_distance(rows), between),
            "distance": ratio(float((rows - made[finest]).norm(dim=1).mean()), between),
        }
        for count, rows in made.items()
    }


def path(system: System) -> Data:
    """The accuracy of each estimate along the denoising of a few noises, and the originals' own (figure 5b)."""
    walked = system.generator.path(count=FOLLOWED, steps=STEPS, seed=system.order.seed)
    rows = torch.stack([system.generator.decode(latents).cpu() for latents in walked])
    right = _right(system, rows.flatten(0, 1)).float().mean(dim=1).view(STEPS, FOLLOWED)
    originals = load_tensors(system.out / MEASURED / "originals.safetensors")[0]["test"]
    return {"noises": right.mT.tolist(), "originals": float(originals.float().mean())}


def codec(system: System) -> Data:
    """The paper's autoencoder alone: networks decoded from latents of its prior (table 8).

    Raises:
        TypeError: if the system's generator has another codec.
    """
    own = system.generator.codec
    if not isinstance(own, VAECodec):
        raise TypeError("only an autoencoder has a prior to draw from")
    rng = torch.Generator().manual_seed(system.order.seed + 3)
    drawn = torch.randn((system.order.recipe.samples, *system.generator.config.latent_shape), generator=rng)
    with torch.no_grad():
        rows = own.decode((drawn.to(system.device) - own.vae.latent_mean) / own.vae.latent_scale).cpu()
    images = system.measured_pictures.selection
    selected = system.shared.correct(rows, images.pixels, images.labels)
    found = Measured(rows, selected, _right(system, rows))
    originals = load_tensors(system.out / MEASURED / "originals.safetensors")[0]["test"]
    return {
        "test": estimate(found.test),
        "against_originals": difference(found.test, originals),
        "best": best(found, len(rows)),
        "spread": ratio(mean_distance(rows), mean_distance(system.checkpoints.known)),
        "iou": over_units(most_alike(found.test, originals, same=False).tolist()),
    }


LOOKS: dict[str, Callable[[System], Data]] = {"noise": noise, "steps": steps, "path": path, "codec": codec}


def _alike(system: System, rows: Tensor) -> Data:
    right = _right(system, rows)
    originals = load_tensors(system.out / MEASURED / "originals.safetensors")[0]["test"]
    alike = most_alike(right, originals, same=False)
    shares = right.float().mean(dim=1)
    points = [list(pair) for pair in zip(alike.tolist(), shares.tolist(), strict=True)][:: LOOKED // DRAWN]
    return {"test": estimate(right), "iou": over_units(alike.tolist()), "points": points}


def _right(system: System, rows: Tensor) -> Tensor:
    images = system.measured_pictures.test
    return system.shared.correct(rows, images.pixels, images.labels)
