"""The app: a page over one bundle, and how it is served."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..errors import UserError
from .play import Play, header
from .theme import PLOTLY_FILE, css, head, theme

if TYPE_CHECKING:
    from .studio import Studio

ABOUT = """<p class="about">All photographs here are drawn by a program, a procedural savanna with 18 species: no real
animal was photographed, and no number here is about real photographs. An adapter is a row of 65,580 numbers that
changes 44 convolutions of an EfficientNet-B0; the generated ones never saw a gradient step. Bars are measured on
photographs that nothing was trained on. A picture of your own is read in memory, never stored, and nothing but its
pixels is looked at.</p>"""


def open_in_background(bundle: Path, device: str) -> Future[Studio]:
    """Open a bundle in a thread of its own, then load the networks and render the photographs there."""
    opened: Future[Studio] = Future()

    def work() -> None:
        try:
            import torch

            from .studio import Studio

            # Two answers may be computed at once, and the browser may sit on the same machine.
            torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
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
        top = gr.HTML(header())
        play.build()
        gr.HTML(ABOUT)
        play.listen_to_load(page, top)
    return page


def launch_options() -> dict[str, Any]:
    """How the page is launched, wherever it is."""
    gr.set_static_paths([PLOTLY_FILE])
    look = {"theme": theme(), "css": css(), "head": head()}
    safety = {"show_error": False, "strict_cors": True, "max_file_size": "5mb", "share": False}
    return (
        look
        | safety
        | {"ssr_mode": False, "run_history": False, "enable_monitoring": False, "footer_links": ["gradio"]}
    )


def serve(bundle: Path, device: str = "cpu", host: str | None = "127.0.0.1", port: int | None = None) -> None:
    """Serve a bundle until interrupted.

    Args:
        bundle: the folder to open.
        device: where to compute.
        host: address to listen on; None leaves it to Gradio (all addresses on a Space).
        port: where to listen, or the next free one; None leaves it to Gradio.

    Raises:
        UserError: if the bundle cannot be opened.
    """
    opened = open_in_background(bundle, str(device))
    page = build(opened)
    port = free_port(host or "127.0.0.1", port) if port else None
    page.queue(max_size=64).launch(server_name=host, server_port=port, prevent_thread_lock=True, **launch_options())
    try:
        opened.result()
        page.block_thread()
    finally:
        page.close()


def free_port(host: str, wanted: int, *, tries: int = 100) -> int:
    """The wanted port, or the next one that nobody listens on.

    Raises:
        UserError: if there is none.
    """
    for port in range(wanted, wanted + tries):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise UserError(f"Ports {wanted} to {wanted + tries - 1} are all taken on {host}; give another --port.")
