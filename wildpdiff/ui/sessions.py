"""What each session wants now, so that work for something older ends at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr


@dataclass
class Wishes:
    """When each session last wished for something, in its browser's milliseconds; an older answer then ends at once."""

    newest: dict[str, float] = field(default_factory=dict)

    def note(self, wish: dict[str, Any] | None, request: gr.Request) -> None:
        """Remember a session's newest wish; the oldest of very many sessions are forgotten."""
        session = str(request.session_hash)
        self.newest[session] = max(stamp_of(wish), self.newest.pop(session, 0.0))
        while len(self.newest) > 1000:
            self.newest.pop(next(iter(self.newest)), None)

    def last(self, request: gr.Request) -> float:
        """When a session last wished for something; 0 if it never did."""
        return self.newest.get(str(request.session_hash), 0.0)

    def overtaken(self, stamp: float, request: gr.Request) -> bool:
        """Whether the session has since wished for something else; its browser asks again by itself."""
        return self.last(request) > stamp


def stamp_of(wish: object) -> float:
    """When a wish was made, in the browser's milliseconds; 0 if it does not say."""
    stamp = wish.get("stamp") if isinstance(wish, dict) else None
    return float(stamp) if isinstance(stamp, int | float) else 0.0
