"""The app: a page over one bundle, and how it is served."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from .play import Play
from .theme import PLOTLY_FILE, css, head, theme

if TYPE_CHECKING:
    from .studio import Studio

HEADER = """<div class="top"><h1>Wild-P-Diff</h1><p>Move the slider: a diffusion model writes a wildlife classifier's adapter
weights from two background photos. No training.</p></div>"""
ABOUT = """<p class="about">All photographs here are drawn by a program: a procedural savanna with 18 species, so no real animal
was photographed and no accuracy here is about real photographs. An adapter is a row of 65,580 numbers that changes 44 convolutions of an EfficientNet-B0;
the generated ones never saw a gradient step. The photographs that bars are measured on were never trained on.</p>"""


def open_in_background(bundle: Path, device: str) -> Future[Studio]:
    """Open a bundle in a thread of its own, then load the networks and render the photographs there."""
    opened: Future[Studio] = Future()

    def work() -> None:
        try:
            from .studio import Studio

            studio = Studio.open(bundle, device)
        except BaseException as error:
            opened.set_exception(error)
            return
        opened.set_result(studio)
        studio.warm(studio.locations[:2])

    threading.Thread(target=work, name="studio", daemon=True).start()
    return opened


def build(studio: Future[Studio]) -> gr.Blocks:
    """The page; it asks for the studio when a visitor opens it."""
    play = Play(studio.result)
    with gr.Blocks(title="Wild-P-Diff", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as page:
        with gr.Row():
            gr.HTML(HEADER)
            chips = gr.HTML('<div class="chips"></div>')
        play.build()
        gr.HTML(ABOUT)
        play.listen_to_load(page, chips)
    return page


def launch_options() -> dict[str, Any]:
    """How the page is launched, wherever it is."""
    gr.set_static_paths([PLOTLY_FILE])
    look = {"theme": theme(), "css": css(), "head": head()}
    safety = {"show_error": False, "strict_cors": True, "max_file_size": "5mb", "share": False}
    return look | safety | {"ssr_mode": False, "run_history": False, "enable_monitoring": False, "footer_links": ["gradio"]}


def serve(bundle: Path, device: str = "cpu", host: str | None = "127.0.0.1", port: int | None = None) -> None:
    """Serve a bundle until interrupted; `host` None leaves the choice to Gradio (for a Space).

    Raises:
        UserError: if the bundle cannot be opened.
    """
    opened = open_in_background(bundle, device)
    page = build(opened)
    page.queue(max_size=64).launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options())
    opened.result()
    page.block_thread()
