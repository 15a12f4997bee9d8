"""The app: a page over one bundle, and how it is served."""

from __future__ import annotations

import html
import os
import socket
import threading
from pathlib import Path
from typing import Any

import gradio as gr

from ..cores import cores
from ..errors import UserError
from ..studio.results import tabs
from ..studio.studio import Studio
from ..studio.words import adapter_in_words
from ..studio.zero import gpu_writer, on_zero
from ..web.packed import routes
from .api import add_api
from .frame import Frame, wish_panel
from .learn import Learn, Tour
from .page import Page
from .pdiff import PDiff
from .play import Play
from .probe import Probe
from .theme import css, head, theme
from .unseen import Unseen
from .watch import Watch

ABOUT = """<p class="about">{world} {adapter}; the
generated ones never saw a gradient step. Bars are measured on photographs that nothing was trained on. A picture of
your own is read in memory, never stored, and nothing but its pixels is looked at.</p>"""
PORTS = 65_535
#: The tabs after Play: name, label and part.
TABS = (
    ("watch", "Watch it denoise", Watch),
    ("unseen", "Unseen", Unseen),
    ("probe", "Probe", Probe),
    ("pdiff", "p-diff", PDiff),
    ("learn", "Learn", Learn),
)


def build(studio: Studio) -> gr.Blocks:
    """The page."""
    with gr.Blocks(title="Wild-P-Diff", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as blocks:
        world = studio.bundle.world
        # A function: of a method Gradio would copy the whole studio, 400 ms a page.
        page = Page(studio, wish_panel(), gr.State("", delete_callback=lambda session: studio.forget(session)))
        frame, play = Frame(page), Play(page)
        frame.build()
        Tour(page).build()
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Play", elem_id="tab-play", id="play"):
                play.build()
            shown = tabs(studio.bundle)
            for name, label, part in (tab for tab in TABS if tab[0] in shown):
                with gr.Tab(label, elem_id=f"tab-{name}", id=name):
                    part(page).build()
        about, adapter = html.escape(f"{world.about} {world.caution}"), adapter_in_words(studio.bundle)
        gr.HTML(ABOUT.format(world=about, adapter=adapter))
        frame.drawn, frame.trail = play.atlas.frame, play.atlas.trail
        frame.connect(play.download)
        add_api(studio)
    return blocks


def launch_options() -> dict[str, Any]:
    """How the page is launched, wherever it is."""
    look = {"theme": theme(), "css": css(), "head": head()}
    safety = {"show_error": False, "strict_cors": True, "max_file_size": "50mb", "share": False}
    quiet = {"ssr_mode": False, "run_history": False, "enable_monitoring": False, "state_session_capacity": 500}
    return look | safety | quiet | {"footer_links": ["api", "gradio"], "app_kwargs": {"routes": routes()}}


def warm(studio: Studio) -> None:
    """Load networks and render photographs in a thread of its own, so that the page can be opened meanwhile."""
    import torch

    # Two answers may be computed at once, and the browser may sit on the same machine.
    torch.set_num_threads(max(1, cores() // 2))
    threading.Thread(target=studio.warm, args=(studio.locations[:2],), name="warm", daemon=True).start()


def serve(
    bundle: Path, device: str = "cpu", host: str | None = "127.0.0.1", port: int | None = None, *, mcp: bool = False
) -> None:
    """Serve a bundle until interrupted.

    Args:
        bundle: the folder to open.
        device: where to compute.
        host: address to listen on; None leaves it to Gradio (all addresses on a Space).
        port: where to listen, or the next free one; None leaves it to Gradio.
        mcp: whether to offer the endpoints as tools of the Model Context Protocol too.

    Raises:
        UserError: if the bundle cannot be opened, or the port is none.
    """
    if port is not None:
        check_port(port)
    past_proxies(host)
    studio = Studio.open(bundle, device)
    if on_zero():
        studio.writer = gpu_writer(studio.bundle)
    page = build(studio)
    port = free_port(host or "127.0.0.1", port) if port else None
    page.queue(max_size=64, default_concurrency_limit=8).launch(
        server_name=host, server_port=port, mcp_server=mcp, prevent_thread_lock=True, **launch_options()
    )
    warm(studio)  # behind the open page: what is stored is shown before any network is loaded
    page.block_thread()


def past_proxies(host: str | None) -> None:
    """Let Gradio's look at its own page go past the proxies that the environment names."""
    own = ["localhost", "127.0.0.1", "::1", *([host] if host else [])]
    for name in ("no_proxy", "NO_PROXY"):
        known = [part for part in os.environ.get(name, "").split(",") if part]
        os.environ[name] = ",".join([*known, *(part for part in own if part not in known)])


def check_port(port: int) -> None:
    """Refuse a number that is no port.

    Raises:
        UserError: saying which are.
    """
    if not 0 <= port <= PORTS:
        raise UserError(f"A port is a number from 1 to {PORTS} (or 0 for any that is free), not {port}.")


def free_port(host: str, wanted: int, *, tries: int = 100) -> int:
    """The wanted port, or the next one that nobody listens on.

    Raises:
        UserError: if there is none.
    """
    check_port(wanted)
    last = min(wanted + tries - 1, PORTS)
    for port in range(wanted, last + 1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise UserError(f"Ports {wanted} to {last} are all taken on {host}; give another --port.")
