"""The endpoints of the app: typed JSON in, JSON out; the same are tools of the Model Context Protocol."""
# No `from __future__ import annotations` here: Gradio reads the type of a result from the annotation itself.

import importlib.metadata
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from ..errors import UserError
from ..studio.api.endpoints import Answers
from ..studio.api.lookups import Lookups
from ..studio.studio import Studio
from .page import MODEL, sentence
from .queueing import left

Asked = ParamSpec("Asked")
Json = dict[str, Any]
#: The endpoints that only read what is there, and those that run networks and take turns with the page for them.
READING = ("health", "locations", "precomputed", "similarity", "map")
RUNNING = ("generate", "evaluate", "evaluate_file", "sweep", "unseen")
#: What Gradio 6 understands.
MCP_VERSIONS = "mcp>=1.21,<2"


def add_api(studio: Studio) -> None:
    """Offer the endpoints; call inside `gr.Blocks`. All other listeners of the page are private."""
    lookups = Lookups(studio)
    api = Api(lookups, Answers(lookups))
    for name in READING:
        gr.api(getattr(api, name), api_name=name)
    for name in RUNNING:
        gr.api(getattr(api, name), api_name=name, concurrency_id=MODEL, concurrency_limit=2)


def check_mcp() -> None:
    """Refuse to serve tools without the package that it takes.

    Raises:
        UserError: if it is missing, or of a version that Gradio does not understand.
    """
    try:
        found = importlib.metadata.version("mcp")
    except importlib.metadata.PackageNotFoundError:
        found = ""
    if not found.startswith("1."):
        what = f"is of version {found}" if found else "is not installed"
        raise UserError(f"--mcp needs the package {MCP_VERSIONS}, which {what}; run: pip install 'wildpdiff[mcp]'.")


def has_mcp() -> bool:
    """Whether tools can be served."""
    try:
        check_mcp()
    except UserError:
        return False
    return True


def told(answer: Callable[Asked, Json]) -> Callable[Asked, Json]:
    """An endpoint whose mistakes are told in one sentence, without a trace."""

    @wraps(answer)
    def endpoint(*args: Asked.args, **kwargs: Asked.kwargs) -> Json:
        try:
            return answer(*args, **kwargs)
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    return endpoint


@dataclass(frozen=True)
class Api:
    """One method an endpoint; its docstring is what people and programs read of it."""

    lookups: Lookups
    answers: Answers

    @told
    def health(self) -> Json:
        """What runs here: version, device, bundle, regimes, and the limits of what may be asked."""
        return self.lookups.health()

    @told
    def locations(self) -> Json:
        """All locations to choose from, seen and unseen, with the accuracies that were measured there (shares of
        named photographs, 0..1): pretrained, and by regime fine-tuned and generated."""
        return self.lookups.locations()

    @told
    def precomputed(self, a: str, b: str, weight: float = 0.0, regime: str = "H", way: str = "ours") -> Json:
        """Stored accuracy of the adapter between two locations, at both of them; answers at once, computes nothing.

        Args:
            a: name of the first location, as `locations` lists them.
            b: name of the second location.
            weight: how far to go from a to b: 0, 0.1, 0.2 to 1.
            regime: similarity of the fine-tuned adapters that the generator learned from: L, M or H.
            way: ours (a mean along curves, and noise), paper (its plain form, which never saw a blend) or weights (the
                average of the mean fine-tuned adapters).
        """
        # The stored curves know one way more than the generators.
        setting = self.answers.setting(a=a, b=b, weight=weight, regime=regime, way="ours" if way == "weights" else way)
        return self.lookups.precomputed(setting, "weights" if way == "weights" else setting.way)

    @told
    def generate(
        self,
        a: str,
        b: str,
        weight: float = 0.0,
        regime: str = "H",
        way: str = "ours",
        seed: int = 0,
        steps: int = 50,
        samples: int = 1,
        request: gr.Request | None = None,
    ) -> Json:
        """Write LoRA adapters of the wildlife classifier for a place between two locations: what each is like, and
        all of them as a zip of PEFT folders (`file`, kept for about an hour).

        Args:
            a: name of the first location, as `locations` lists them.
            b: name of the second location; the same as a for no blend.
            weight: how far to go from a to b, 0 to 1.
            regime: similarity of the fine-tuned adapters that the generator learned from: L, M or H.
            way: ours (a mean along curves, and noise) or paper (its plain form, which never saw a blend).
            seed: of the first adapter's noise; the next ones count up.
            steps: of the sampler, 1 to 200.
            samples: how many adapters, 1 to 16.
        """
        answers = self.answers
        setting = answers.setting(
            a=a, b=b, weight=weight, regime=regime, way=way, seed=seed, steps=steps, samples=samples
        )
        with tempfile.TemporaryDirectory(prefix="wildpdiff-") as folder:
            found, packed = answers.generate(setting, Path(folder), lambda: not left(request))
            # A copy in Gradio's own folder, which serves it and deletes it later (`delete_cache`).
            kept = save_file_to_cache(packed, cache_dir=get_upload_folder())
            file = gr.FileData(
                path=kept, orig_name=packed.name, size=packed.stat().st_size, mime_type="application/zip"
            )
        return found | {"file": file.model_dump()}

    @told
    def evaluate(
        self,
        a: str,
        b: str,
        weight: float = 0.0,
        regime: str = "H",
        way: str = "ours",
        seed: int = 0,
        steps: int = 50,
        location: str = "",
        images: int = 100,
        request: gr.Request | None = None,
    ) -> Json:
        """Write one adapter and measure it now: how many photographs of a location it names correctly, with the 95%
        Wilson interval, beside the pretrained classifier on the same photographs.

        Args:
            a: name of the first location, as `locations` lists them.
            b: name of the second location; the same as a for no blend.
            weight: how far to go from a to b, 0 to 1.
            regime: similarity of the fine-tuned adapters that the generator learned from: L, M or H.
            way: ours (a mean along curves, and noise) or paper (its plain form, which never saw a blend).
            seed: of the adapter's noise.
            steps: of the sampler, 1 to 200.
            location: where the photographs are from; a if left out.
            images: how many photographs, 1 to 100; nothing was trained on them.
        """
        setting = self.answers.setting(a=a, b=b, weight=weight, regime=regime, way=way, seed=seed, steps=steps)
        where = a if location == "" else location
        return self.answers.evaluate(setting, where, images, lambda: not left(request))

    @told
    def evaluate_file(self, adapter: str, location: str, images: int = 100) -> Json:
        """Measure an adapter of your own: how many photographs of a location it names correctly. It is read in
        memory and forgotten.

        Args:
            adapter: base64 text of a zip with one PEFT folder (safetensors only), such as generate gives.
            location: where the photographs are from.
            images: how many photographs, 1 to 100.
        """
        return self.answers.evaluate_file(adapter, location, images)

    @told
    def similarity(self, a: str, b: str, regime: str = "H", layer: int | None = None) -> Json:
        """Cosine similarity of the mean fine-tuned adapters of two seen locations: of their factors, and of the
        products of the factors, which is what changes the classifier.

        Args:
            a: name of the first location, as `locations` lists them.
            b: name of the second location.
            regime: similarity of the fine-tuned adapters: L, M or H.
            layer: 0 for the whole adapter, 1 and up for one adapted layer; left out, the whole and every layer.
        """
        return self.lookups.similarity(a, b, regime, layer)

    @told
    def map(self, regime: str = "H", view: str = "umap", a: str = "", b: str = "") -> Json:
        """Where the fine-tuned adapters lie: coordinates by location.

        Args:
            regime: similarity of the fine-tuned adapters: L, M or H.
            view: umap (neighbourhoods, not distances), pca (two widest directions), or ruler (the line from a to b).
            a: one end of the ruler.
            b: the other end.
        """
        return self.lookups.map(regime, view, a, b)

    @told
    def sweep(self, spec: dict, request: gr.Request | None = None) -> Json:
        """Write and measure every combination of pairs, weights, seeds, regimes and ways; at most 64 adapters here.

        An example of `spec`, of which all but pairs and weights may be left out: {"pairs": [["A", "B"]],
        "weights": [0, 0.5, 1], "seeds": 2, "regimes": ["H"], "ways": ["ours", "paper"], "steps": 50, "images": 100,
        "seed": 0}.

        Args:
            spec: an object of lists pairs, weights, regimes and ways, and whole numbers seeds, steps, images and seed.
        """
        return self.answers.sweep(spec, lambda: not left(request))

    @told
    def unseen(self, image: str) -> Json:
        """Which known locations a background looks like, and how far outside of them it lies; no accuracy is claimed
        for a place without labelled photographs. The picture is read in memory and forgotten.

        Args:
            image: base64 text of a JPEG, PNG or WebP picture of an empty place, at most 20 MB.
        """
        return self.answers.unseen(image)
