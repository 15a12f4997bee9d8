"""The words of the page and what they mean here."""

from __future__ import annotations

GLOSSARY = (
    ("Adapter", "A small addition to a finished network that fits it to one location. The network itself stays."),
    ("LoRA", "Low-rank adaptation: the addition to each convolution is a product BA of two thin tables of numbers."),
    ("Product BA", "What an adapter really adds. Different factors B and A can have the same product."),
    ("Row", "All numbers of one adapter, one after the other; its place in the space of weights."),
    ("Pretrained", "The classifier as it is without an adapter, trained on photographs from other locations."),
    ("Fine-tuned", "An adapter that was trained, step by step, on labelled photographs of its location."),
    ("Condition", "What the generator is told about a location: the CLIP embedding of its empty background."),
    ("CLIP", "A network that turns a picture into a list of numbers, so that pictures alike get lists alike."),
    (
        "Codec",
        "Turns a row into a much shorter code and back: here the row's coefficients along the directions in which "
        "fine-tuned rows differ most. The paper uses a variational autoencoder (VAE).",
    ),
    ("Latent", "That short code. Diffusion happens here, not among the weights themselves."),
    ("DDIM", "The way noise is taken away in few, repeatable steps: same noise and condition, same adapter."),
    ("Seed", "Which noise the sampler begins with, and so which of a location's possible adapters is written."),
    (
        "Spread",
        "Mean distance of two samples over that of two fine-tuned rows that the generator never saw: 1 is ideal, 0 is "
        "one adapter again and again.",
    ),
    (
        "Regime L, M, H",
        "Low, medium or high similarity of locations' adapters: fine-tuned from a random start each, from one random "
        "start, or from one converged adapter.",
    ),
    ("Blend weight", "How far the condition has gone from A (0) to B (1)."),
    (
        "Way",
        "Ours: the condition predicts a mean that follows curves between locations, and noise decides the rest. The "
        "paper's: one plain denoiser over whole latents, which never saw a blend.",
    ),
    ("Ensemble", "The weighted mean of two locations' fine-tuned rows; the baseline that blending is held against."),
    ("Cosine", "How alike two rows point: 1 the same direction, 0 at right angles."),
    ("PCA", "A flat picture of rows along the two directions in which they differ most; the others are left out."),
    ("UMAP", "A flat picture that keeps neighbours together; distances between clusters cannot be read from it."),
    (
        "Wilson interval",
        "A range around a count such as 14 of 15; of a hundred such ranges, about 95 hold the true accuracy.",
    ),
    (
        "Held out",
        "Kept away from training: photographs that only measure, rows and whole runs that the generator never saw, or "
        "pairs whose curve was never trained.",
    ),
)
