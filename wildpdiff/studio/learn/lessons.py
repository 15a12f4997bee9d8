"""What the tab Learn teaches: six cards with something to try and to guess, as plain values; no gradio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...bundle import Bundle
from ...evaluate import wilson
from ...network.lora import adapted
from ...web import drawing, template
from . import guesses
from .guesses import Question
from .stored import REGIMES, Stored
from .stories import apart_in, usual_places

State = dict[str, Any]
#: What a lesson may point at: elements of the frame and of the tab Play, and the tabs themselves.
FRAME = ("bar", "bar-a", "bar-b", "blend", "regime", "way", "generate", "result", "curve", "bars", "map", "heat",
         "changed")  # fmt: skip
TABS = ("play", "watch", "unseen", "probe", "learn")
POINTS = (*FRAME, *(f"tab-{tab}-button" for tab in TABS))
USUAL: State = {"t": 0.0, "m": "H", "w": "ours", "seed": 0, "n": 1, "steps": 50, "images": 100, "view": "umap"}
#: The paper's location of fewest evaluation photographs, and the one of most that is shown beside it (its Table 5).
FEW, MANY = (14, 15), (261, 280)


@dataclass(frozen=True)
class Try:
    """A button: sets the state, opens a tab and points at an element."""

    label: str
    state: State
    point: str
    tab: str = "play"


@dataclass(frozen=True)
class Card:
    """One lesson; `missing` says why it asks nothing, if it does not."""

    name: str
    title: str
    text: tuple[str, ...]
    drawing: str
    tries: tuple[Try, ...]
    question: Question | None = None
    missing: str = ""


@dataclass(frozen=True)
class Places:
    """The locations that the lessons use: the paper's own where a bundle has them.

    `apart` are two locations so unlike, with no blend of them trained on, that blending as in the paper fails at both.
    """

    a: str
    b: str
    few: str
    other: str
    far: str | None
    apart: tuple[str, str]
    caution: str
    regimes: tuple[str, ...] = REGIMES
    condition: str = "a CLIP embedding"

    @classmethod
    def of(cls, bundle: Bundle) -> Places:
        """Those of a bundle."""
        a, b, few, other = usual_places(bundle)
        far = bundle.unseen[0] if bundle.unseen else None
        told = (bundle.world.caution, bundle.regimes, bundle.condition_words)
        return cls(a, b, few, other, far, apart_in(bundle), *told)

    def state(self, **patch: Any) -> State:
        """A whole setting: A to B as usual, but for what is given; a regime that the bundle lacks becomes another."""
        made = {"a": self.a, "b": self.b} | USUAL | patch
        return made | {"m": made["m"] if made["m"] in self.regimes else self.regimes[-1]}

    def state_apart(self, **patch: Any) -> State:
        """The same between the two locations that are `apart`."""
        return self.state(a=self.apart[0], b=self.apart[1], **patch)


def cards(bundle: Bundle) -> tuple[Card, ...]:
    """The six lessons of a bundle, with numbers from its stored results."""
    places, stored = Places.of(bundle), Stored.of(bundle)
    others = (make(places, stored) for make in (_diffusion, _blending, _regimes, _numbers))
    return _lora(places, stored, bundle), _points(places, stored, bundle), *others


def _asked(stored: Stored, name: str, question: Question | None) -> dict[str, Any]:
    """A card's question, or the sentence that says which result it would need."""
    return {"question": question, "missing": "" if question else stored.absent(name)}


def _lora(places: Places, stored: Stored, bundle: Bundle) -> Card:
    whole, layout, rank = bundle.described.numbers, bundle.layout, bundle.described.lora.rank
    text = (
        f"The classifier is a network of about {whole / 1e6:.0f} million numbers, trained once on photographs from "
        "many other locations and then frozen. To fit it to one more location, an adapter is fine-tuned there: a small "
        "addition that leaves the network as it is.",
        f"Beside {len(adapted(layout))} of the network's convolutions stand two thin tables of numbers, A and B; their "
        "product BA is added to what the convolution does. LoRA, low-rank adaptation, keeps the tables thin: rank "
        f"{rank} here. All of them, one after the other, are the adapter's row: {layout.dim:,} numbers, "
        f"{layout.dim / whole:.1%} of the network.",
    )
    tries = (
        Try(f"An adapter for {places.a}", places.state(), "bars"),
        Try("What it changes", places.state(), "changed"),
    )
    asked = _asked(stored, "table2", guesses.gain(stored))
    return Card("lora", "What a LoRA adapter is", text, drawing("lora"), tries, **asked)


def _points(places: Places, stored: Stored, bundle: Bundle) -> Card:
    text = (
        f"A row of {bundle.layout.dim:,} numbers is a point in a space of as many directions. One fine-tuning run "
        "leaves a thread of rows, close together; a second run at the same location, begun at the same point, ends "
        "somewhere else. So the adapters of a location are a cloud of threads.",
        "How the clouds lie to one another depends on where fine-tuning began. Low similarity (L): each location from "
        "a random start of its own. Medium (M): all from one random start. High (H): all from one adapter that had "
        "already converged. We measure it by the cosine of two rows: 1 if they point the same way, 0 if they stand at "
        "right angles.",
    )
    tries = (
        Try("Cosines in L", places.state(m="L"), "heat"),
        Try("Cosines in H", places.state(m="H"), "heat"),
    )
    asked = _asked(stored, "figure6", guesses.cosine(stored))
    return Card("points", "Weights as points", text, drawing("points"), tries, **asked)


def _diffusion(places: Places, stored: Stored) -> Card:
    text = (
        "Diffusion models that draw pictures begin with noise and take it away step by step. This one does the same "
        "with a latent, a short code for an adapter. The condition, "
        f"{places.condition} of the empty background, says around which code a location's adapters lie; the noise "
        "decides which of them it becomes. At each of 50 DDIM steps the denoiser guesses the clean code, and a decoder "
        "turns it into a row.",
        "It learned this from fine-tuned adapters whose codes were covered with noise. To write a new one it needs no "
        "labels and no training step. Until 0.3.1 it wrote one adapter a location, whatever the "
        "noise, and as accurate: the spread tells, accuracy cannot.",
    )
    tries = (
        Try("Watch it denoise", places.state(), "tab-watch-button", "watch"),
        Try("Write one now", places.state(), "generate"),
    )
    asked = _asked(stored, "fidelity", guesses.spread(stored, places.a))
    return Card("diffusion", "Diffusion in one picture", text, drawing("diffusion"), tries, **asked)


def _blending(places: Places, stored: Stored) -> Card:
    text = (
        "There are two ways to make one adapter for two locations. Averaging weights, an ensemble, goes straight from "
        "one row to the other: the dotted lines of the blend curve.",
        "Blending conditions mixes what the generator is told, the embeddings of the two places, and lets it write an "
        "adapter for the mixture. Ours follows curves: between the locations' mean rows a path was bent, by training "
        "on photographs of both, so that every point of it serves both. The blend weight says how far to go, from 0 "
        "(only A) to 1 (only B).",
    )
    tries = (
        Try("Half-way on the curve", places.state(t=0.5), "curve"),
        Try("Where it lands", places.state(t=0.5, view="ruler"), "map"),
    )
    asked = _asked(stored, "figure7", guesses.blend(stored))
    return Card("blending", "Blending conditions is not averaging weights", text, drawing("blending"), tries, **asked)


def _regimes(places: Places, stored: Stored) -> Card:
    text = (
        "In the paper, an adapter written half-way between two locations fails in L and M and works fairly well in H. "
        "Its explanation: in L the rows stand at right angles and nothing useful lies between them; in H they point "
        "nearly the same way (cosine about 0.98), so the generator knows the space between.",
        *_our_regimes(stored),
    )
    tries = (
        Try("L, the paper's plain form", places.state_apart(t=0.5, m="L", w="paper"), "curve"),
        Try("L, our way", places.state_apart(t=0.5, m="L"), "way"),
    )
    asked = _asked(stored, "figure7", guesses.way(stored))
    return Card("regimes", "Why L fails in the paper and H works", text, drawing("regimes"), tries, **asked)


def _our_regimes(stored: Stored) -> tuple[str, ...]:
    paper, own = (_over_regimes(stored, way) for way in ("paper", "own"))
    alike = stored.regimes_alike()
    if paper is None or own is None or alike is None:
        return ()
    end = "no difference between L, M and H is shown" if alike else "L, M and H still differ"
    return (
        f"In our world the paper's plain form reaches {paper}% (L, M, H) at the weaker location half-way, where the "
        f"two locations' own adapters reach {own}%. Yet even in L a short curve joins two rows and serves both. "
        f"With a generator that learned such curves of other pairs, {end}.",
    )


def _over_regimes(stored: Stored, way: str) -> str | None:
    """Percent in L, M and H, as `72, 77 and 74`; None if one is not stored."""
    found = [stored.half_way(way, regime) for regime in REGIMES]
    low, medium, high = (f"{100 * part['mean']:.0f}" if part else "" for part in found)
    return f"{low}, {medium} and {high}" if all(found) else None


def _numbers(places: Places, stored: Stored) -> Card:
    (right, count), (low, high) = FEW, wilson(*FEW)
    text = (
        "UMAP, the map, keeps neighbours together but not distances: how far apart two clusters are drawn means "
        "nothing, and an adapter half-way need not be drawn midway. The heat map and the ruler can tell.",
        f"Few photographs say little. The paper's smallest location has {count}: {right} right is "
        f"{right / count:.0%}, yet the 95% Wilson interval goes from {low:.0%} to {high:.0%}.",
        "A good accuracy does not make a generator good. It may write one adapter again, copy what it was trained on, "
        "or average it, so samples are held against rows it never saw: their spread, the nearest "
        f"training row, tests that try to tell them apart. {places.caution}",
    )
    picture = str(template("whiskers").whiskers([_whisker(*shown) for shown in (FEW, MANY)]).strip())
    tries = (
        Try(f"{count} photographs", places.state(a=places.few, b=places.other, images=count), "bars"),
        Try("The map", places.state(t=0.5, view="umap"), "map"),
    )
    asked = _asked(stored, "fidelity", guesses.novelty(stored, places.few))
    return Card("numbers", "What the numbers can and cannot say", text, picture, tries, **asked)


def _whisker(right: int, count: int) -> tuple[str, float, float, float]:
    low, high = wilson(right, count)
    return f"n = {count}", low, right / count, high
