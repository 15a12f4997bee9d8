"""From a place to PEFT folders on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .bundle import Bundle
from .condition.base import blend
from .errors import UserError, readable
from .generator import AdapterGenerator
from .network.peft_folder import save_peft
from .picture import read_picture
from .variant import OURS

#: How generator U is asked for where a regime may be named.
U = "U"


@dataclass(frozen=True)
class Request:
    """What to generate: a named `location` (blended with another by `weight`) or a `background` picture; and the
    generator's `regime` of similarity and `way` (see `Bundle.generator`); `eta` as for `AdapterGenerator.path`. With no
    `regime`, generator U writes for a picture where the bundle has one and nothing is asked that it does not know
    (another `way`, `eta`), and regime H (or the bundle's own) otherwise; `U` asks for it."""

    location: str | None
    blend_with: str | None
    weight: float
    background: Path | None
    samples: int
    seed: int
    steps: int
    regime: str = ""
    way: str = "ours"
    eta: float = 0.0


def ends_of(bundle: Bundle, request: Request) -> tuple[Tensor, Tensor, str]:
    """The two embeddings `[E]` that a request stands for, equal ones if it blends none, and its description in words.

    Raises:
        UserError: if it names no place, two kinds of place, an unknown one, or a weight outside 0..1.
    """
    _check_place(request)
    if request.background is not None:
        picture, words = _read(request.background)
        embedding = bundle.condition(picture[None])
        return embedding, embedding, words
    first = bundle.embedding(str(request.location))
    if request.blend_with is None:
        return first, first, str(request.location)
    second = bundle.embedding(request.blend_with)
    blend(first, second, request.weight)  # refuses a weight outside 0..1
    return first, second, f"{request.location} blended with {request.blend_with}, weight {request.weight:g}"


def _read(background: Path) -> tuple[Tensor, str]:
    """A picture, uint8 `[3, H, W]`, and what it is called."""
    picture, note = read_picture(background)
    words = f"the picture {readable(background.name)}"
    return picture, f"{words} ({note})" if note else words


def _check_place(request: Request) -> None:
    """Refuse a request that names no place, or two kinds of place."""
    if (request.location is None) == (request.background is None):
        raise UserError("Name one place: either --location with a known name, or --background with a picture.")
    if request.background is not None and request.blend_with is not None:
        raise UserError("--blend-with needs --location; a background picture stands alone.")


def _is_for_u(request: Request) -> bool:
    """Whether a request asks for a picture, and for nothing that generator U does not know."""
    return request.background is not None and request.way == OURS and not request.eta


def write_adapters(bundle: Bundle, request: Request, out: Path) -> dict[str, Any]:
    """Generate `samples` adapters and write each as a PEFT folder `out/adapter-SEED`.

    Raises:
        UserError: as `ends_of`, if `samples` is not positive, or if the folder cannot be written.
    """
    if request.samples < 1:
        raise UserError(f"The number of samples must be at least 1, not {request.samples}.")
    _check_place(request)
    if request.regime == U or (not request.regime and _is_for_u(request) and bundle.has_universal):
        return _universal(bundle, request, out)
    request = replace(request, regime=request.regime or bundle.regime)
    first, last, words = ends_of(bundle, request)
    generator = bundle.generator(request.regime, way=request.way)
    both = (end.expand(request.samples, -1) for end in (first, last))
    options = {"weight": request.weight, "steps": request.steps, "seed": request.seed, "eta": request.eta}
    rows = generator.generate(next(both), other=next(both), **options)
    adapters = []
    for index, row in enumerate(rows):
        seed = request.seed + index
        folder = Path(out) / f"adapter-{seed}"
        save_peft(bundle.backbone, row.cpu(), folder, card=card(generator, words, seed, request))
        adapters.append({"folder": folder.name, "seed": seed})
    return {"condition": words, "generator": generator.fingerprint, "steps": request.steps, "adapters": adapters}


def _universal(bundle: Bundle, request: Request, out: Path) -> dict[str, Any]:
    """Adapters of generator U for a picture: one is the mean of all, several are samples."""
    universal = bundle.universal
    if universal is None:
        raise UserError(f"This bundle has no generator U; choose one of: {', '.join(bundle.regimes)}.")
    if request.background is None:
        raise UserError("Generator U writes for places that nobody fine-tuned at; give a picture with --background.")
    if not _is_for_u(request):
        raise UserError("Generator U knows neither --way nor --eta; leave them away, or choose another --regime.")
    picture, words = _read(request.background)
    known, count = universal.known(bundle.backbone, picture[None]), 0 if request.samples == 1 else request.samples
    written = universal.write(known, samples=count, seed=request.seed, steps=request.steps)
    about = {"condition": words, "condition model": universal.condition.name, "generator": f"U {universal.fingerprint}"}
    about |= {"trust": f"{written.trust:.2f}"}
    adapters = []
    for index, (row, log_prior) in enumerate(zip(written.rows, written.log_prior, strict=True)):
        seed = request.seed + index
        folder, own = Path(out) / f"adapter-{seed}", {"seed": str(seed) if count else "none: the mean of all samples"}
        save_peft(bundle.backbone, row.detach().cpu(), folder, card=about | own, log_prior=log_prior)
        adapters.append({"folder": folder.name, "seed": seed})
    told = {"condition": words, "generator": f"U {universal.fingerprint}", "trust": round(written.trust, 3)}
    return told | {"adapters": adapters}


def card(generator: AdapterGenerator, condition: str, seed: int, request: Request) -> dict[str, str]:
    """Where an adapter comes from, for its README."""
    return {
        "condition": condition,
        "condition model": generator.condition.name if generator.condition else "none",
        "seed": str(seed),
        "DDIM steps": str(request.steps),
        "similarity regime": request.regime,
        "fresh noise (eta)": f"{request.eta:g}",
        "way": "ours" if request.way == "ours" else "the paper's plain form",
        "generator": generator.fingerprint,
    }
