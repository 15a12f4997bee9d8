"""The panel What changed: photographs of A and B whose prediction flips when the adapter goes in, with pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors import UserError
from ..studio.changed import DRAWN, Change, Flip, Flips
from ..studio.sessions import stamp_of
from ..studio.setting import IMAGES, Setting
from ..studio.words import spoken
from ..worlds.base import EMPTY, Enlarging, World
from .chart import CARRIER, as_text, panel
from .page import PRIVATE, RUNS, Page, sentence, session_of, title

HINT = (
    "Photographs of A and B that are named otherwise once this adapter goes in{enlarged}. Percentages: its confidence "
    "(softmax), which is not how often it is right."
)
#: Of a world that draws its photographs again.
ENLARGED = ", drawn again at three times the {size} pixels a side that the classifier sees"
#: Pictures of one frame.
TOGETHER = 4
Json = dict[str, Any]


def hint(world: World) -> str:
    """What the card shows, of a world that draws its photographs again or has them as they are."""
    return HINT.format(enlarged=ENLARGED.format(size=world.size) if isinstance(world, Enlarging) else "")


@dataclass
class Changed:
    """The panel; the browser asks for the pictures that it does not have yet."""

    page: Page

    def build(self) -> None:
        """Lay out the card and connect it; call inside the tab."""
        self.flips = Flips(self.page.studio)
        with gr.Column(elem_classes="card"):
            title("What changed", hint(self.page.studio.bundle.world))
            self.view = panel("changed", elem_id="changed", events=("compare",))
            self.pictures = panel(
                "pictures", html=CARRIER, elem_id="changed-pictures", events=("draw",), visible="hidden"
            )
        self.view.compare(self.compare, [self.page.wish], [self.view], trigger_mode="always_last", **RUNS)
        drawing: Json = PRIVATE | {"show_progress": "hidden", "concurrency_id": "pictures", "concurrency_limit": 2}
        self.pictures.draw(self.draw, None, [self.pictures], trigger_mode="multiple", **drawing)

    def compare(self, wish: Mapping[str, Any], request: gr.Request) -> Iterator[str]:
        """Frames for a wish's first adapter, one location after the other, until the session wants another; a sentence
        if that failed."""
        stamp = stamp_of(wish)
        try:
            setting, changes = self.page.setting(wish, request), list[Change]()
            row = self.flips.row(setting)
            for location in setting.chosen:
                if self.page.wishes.over(session_of(request), stamp):
                    return
                changes.append(self.flips.at(row, location, setting.images))
                yield as_text(view(setting, changes))
            if not setting.chosen:
                yield as_text(view(setting, []))
        except Exception as error:
            yield as_text({"problem": sentence(error)})

    def draw(self, event: gr.EventData, request: gr.Request) -> Iterator[str]:
        """Pictures that the browser asks for, a few more in each frame, until the session wants another adapter; a
        sentence if that failed."""
        stamp = self.page.wishes.last(session_of(request))
        try:
            made, asked = dict[str, list[str]](), wanted(event._data, self.page.studio.locations)
            for start in range(0, len(asked), TOGETHER):
                if self.page.wishes.over(session_of(request), stamp):
                    return
                some = asked[start : start + TOGETHER]
                pictures = [self.flips.picture(*photograph) for photograph in some]
                made = made | {key_of(*one): [of.large, of.seen] for one, of in zip(some, pictures, strict=True)}
                yield as_text({"pictures": made})
        except Exception as error:
            yield as_text({"problem": sentence(error)})


def view(setting: Setting, changes: Sequence[Change]) -> Json:
    """What the browser shows: the setting, what is known of its locations so far, and what is still to come."""
    waiting = setting.chosen[len(changes) :]
    return {"setting": _state(setting), "places": [_place(change) for change in changes], "waiting": list(waiting)}


def key_of(location: str, index: int) -> str:
    """The browser's name of a picture."""
    return f"{location}:{index}"


def wanted(data: object, locations: Sequence[str]) -> list[tuple[str, int]]:
    """The photographs whose pictures the browser asks for, as location and number.

    Raises:
        UserError: if one of them does not exist, or if there are more than are ever shown at once.
    """
    keys, most = data.get("keys") if isinstance(data, Mapping) else None, 2 * sum(DRAWN.values())
    if not isinstance(keys, list) or len(keys) > most:
        raise UserError(f"At most {most} pictures can be asked for at once.")
    return [_photograph(key, locations) for key in keys]


def _photograph(key: object, locations: Sequence[str]) -> tuple[str, int]:
    location, _, index = str(key).partition(":")
    if location not in locations or index not in map(str, range(IMAGES[-1])):
        raise UserError(f"A picture is asked for by a location and the number of a photograph below {IMAGES[-1]}.")
    return location, int(index)


def _state(setting: Setting) -> Json:
    """The part of the page's state that the first adapter and its photographs depend on."""
    return {
        "a": setting.a,
        "b": setting.b,
        "t": setting.weight,
        "m": setting.regime,
        "w": setting.way,
        "seed": setting.seed,
        "n": setting.samples,
        "steps": setting.steps,
        "images": setting.images,
    }


def _place(change: Change) -> Json:
    before, after = change.intervals
    return {
        "name": change.location,
        "images": change.images,
        "before": {"right": change.right_before, "interval": before},
        "after": {"right": change.right_after, "interval": after},
        "counts": {kind: change.count(kind) for kind in DRAWN},
        "flips": [_shown(change.location, flip) for flip in change.drawn],
    }


def _shown(location: str, flip: Flip) -> Json:
    return {
        "key": key_of(location, flip.index),
        "number": flip.index + 1,
        "kind": flip.kind,
        "truth": class_words(flip.truth),
        "before": [class_words(flip.before), round(flip.sure_before, 4)],
        "after": [class_words(flip.after), round(flip.sure_after, 4)],
    }


def class_words(name: str) -> str:
    """A class as the panel writes it."""
    return "no animal" if name == EMPTY else spoken(name)
