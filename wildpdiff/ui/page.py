"""What all parts of the page share: the studio, the present state, and how listeners are made."""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..errors import UserError
from ..studio.sessions import Newest
from ..studio.setting import Setting
from ..studio.studio import Studio

#: For every listener: none of them is an endpoint of the API.
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
#: One queue for all that runs the networks.
MODEL = "model"
#: For a listener that runs the networks.
RUNS: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "concurrency_id": MODEL, "concurrency_limit": 2}
#: For a listener that reads files of a visitor, which takes no turn of the networks.
READS: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "concurrency_id": "files", "concurrency_limit": 2}
WRONG = "Something went wrong here and was noted; try again, or reload the page."
LOG = logging.getLogger("wildpdiff.ui")


@dataclass(frozen=True)
class Page:
    """The page under construction.

    Attributes:
        studio: answers settings.
        wish: the hidden component whose value is the present state, see `setting.Setting.of`.
        owner: the session that has backgrounds of its own; when Gradio ends it, they are forgotten.
        wishes: what each session wants now.
    """

    studio: Studio
    wish: gr.HTML
    owner: gr.State
    wishes: Newest = field(default_factory=Newest)

    def setting(self, state: Mapping[str, Any], request: gr.Request) -> Setting:
        """The page's state as a setting, whose own backgrounds are the session's.

        Raises:
            UserError: as `Setting.of`, `Pictures.check` and `Bundle.variant`.
        """
        setting = Setting.of(state)
        self.studio.pictures.check(setting.own, session_of(request))
        self.studio.bundle.variant(setting.regime, setting.way)
        return setting


def sent(event: gr.EventData) -> Mapping[str, Any]:
    """What a browser sent with an event; nothing if that is no object."""
    return event._data if isinstance(event._data, Mapping) else {}


def session_of(request: gr.Request) -> str:
    """A visitor's session, for as long as the page is open."""
    return str(request.session_hash)


def title(heading: str, hint: str = "") -> gr.HTML:
    """A section's heading with one sentence of explanation."""
    below = f'<p class="panel-hint">{html.escape(hint)}</p>' if hint else ""
    return gr.HTML(f'<h2 class="panel-title">{html.escape(heading)}</h2>{below}')


def sentence(error: Exception) -> str:
    """What to tell a visitor of an error: a user's mistake in its own words, anything else is noted in the log."""
    if isinstance(error, UserError):
        return str(error)
    LOG.error("a listener failed", exc_info=error)
    return WRONG
