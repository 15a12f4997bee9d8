"""Adapters made without the diffusion: what a claim for generated ones has to be held against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import UserError
from ..generator import AdapterGenerator
from ..generator.vae import PCACodec
from ..network.backbone import Backbone


def ensemble(rows: Tensor) -> Tensor:
    """The mean `[D]` of raw rows `[J, D]` (the paper's ensemble of fine-tuned adapters)."""
    return rows.mean(dim=0)


def weighted(rows: Tensor, weights: Tensor) -> Tensor:
    """The mean `[D]` of raw rows `[J, D]`, each counted by its weight `[J]`.

    Raises:
        UserError: if the weights are not one non-negative number a row, or add up to nothing.
    """
    return _shares(weights, len(rows)).to(rows) @ rows


def product_average(backbone: Backbone, rows: Tensor, weights: Tensor) -> dict[str, Tensor]:
    """The weighted mean of what rows `[J, D]` add to the network, by weight (see `LoRA.products`).

    Averaging factors B and A also multiplies one row's B by the other's A; averaging their products does not. The rank
    grows with J, so the result is no row; `evaluate.correct` measures it, too.

    Raises:
        UserError: as in `weighted`, or if the backbone's rows are not LoRA.
    """
    shares = _shares(weights, len(rows)).tolist()
    total: dict[str, Tensor] = {}
    for share, row in zip(shares, rows, strict=True):
        for name, delta in backbone.lora.products(backbone.layout, row).items():
            total[name] = total[name] + share * delta if name in total else share * delta
    return total


def nearest_location(embedding: Tensor, known: Tensor) -> int:
    """Which of the embeddings `known` `[Q, E]` has the greatest cosine with `embedding` `[E]`."""
    return int(_cosines(embedding, known).argmax())


def softmax_merge(
    embedding: Tensor, known: Tensor, means: Tensor, *, top: int = 3, temperature: float = 0.05
) -> Tensor:
    """The mean row `[D]` of the locations with the most similar embeddings, weighted by a softmax of the similarity.

    Similarity is the cosine of embeddings less the mean of `known`: raw CLIP embeddings of such places point one way.

    Args:
        embedding: of the place to serve, `[E]`.
        known: embeddings of the known locations, `[Q, E]`.
        means: mean fine-tuned row of each, `[Q, D]`.
        top: locations that count; all of them if there are fewer.
        temperature: of the softmax; towards 0 the nearest location alone counts.
    """
    centre = known.mean(dim=0)
    found = _cosines(embedding - centre, known - centre).topk(min(top, len(known)))
    return weighted(means[found.indices], torch.softmax(found.values / temperature, dim=0))


def noisy(rows: Tensor, distance: Tensor, seed: int, *, scale: Tensor | None = None) -> Tensor:
    """Raw rows `[N, D]`, each moved in a random direction by exactly its Euclidean `distance` `[N]`.

    Without `scale` all directions are as likely. `scale` `[D]`, such as `Standardizer.scale`, draws more noise where
    rows differ more; it is the harder baseline, as it keeps still what fine-tuning keeps still.
    """
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed)).to(rows)
    if scale is not None:
        noise = noise * scale
    return rows + normalize(noise, dim=1) * distance.to(rows)[:, None]


def gaussian_in_pca(rows: Tensor, count: int, *, seed: int, k: int = 32) -> Tensor:
    """`count` raw rows `[N, D]` from a normal distribution fitted to rows `[J, D]` in their k principal directions."""
    codec = PCACodec.fit(rows, min(k, max(1, len(rows) - 1)))
    coefficients = codec.encode(rows)
    spread = coefficients.std(dim=0) if len(rows) > 1 else torch.zeros_like(coefficients[0])
    drawn = torch.randn(count, coefficients.shape[1], generator=torch.Generator().manual_seed(seed)).to(rows)
    return codec.decode(coefficients.mean(dim=0) + drawn * spread)


def means_of_few(rows: Tensor, count: int, *, seed: int) -> Tensor:
    """`count` means of 2 to 4 random rows of `[N, D]`: `[count, D]`."""
    rng = torch.Generator().manual_seed(seed)
    sizes = torch.randint(2, 5, (count,), generator=rng).tolist()
    return torch.stack([rows[torch.randint(len(rows), (size,), generator=rng)].mean(dim=0) for size in sizes])


def codec_prior(generator: AdapterGenerator, count: int, seed: int) -> Tensor:
    """`count` raw rows `[N, D]` that the codec alone makes of standard normal latents; row i has the noise of seed + i.

    It is the noise that `generator.generate` starts from with the same seed, without a step of denoising.
    """
    shape = generator.config.latent_shape
    latents = [torch.randn(shape, generator=torch.Generator().manual_seed(seed + i)) for i in range(count)]
    return generator.decode(torch.stack(latents).to(generator.device))


def _cosines(embedding: Tensor, known: Tensor) -> Tensor:
    return normalize(known.float(), dim=1) @ normalize(embedding.float(), dim=0)


def _shares(weights: Tensor | Sequence[float], count: int) -> Tensor:
    values = torch.as_tensor(weights, dtype=torch.float32)
    if values.shape != (count,) or not bool((values >= 0).all()) or float(values.sum()) <= 0:
        raise UserError(f"A weighted mean of {count} adapters needs {count} weights of at least 0, not all 0.")
    return values / values.sum()
