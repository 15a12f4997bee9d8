"""The app: a page over one bundle, and how it is served."""

from __future__ import annotations

import html
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from .address import LOOPBACK, bracketed, check_host, check_port, free_port, plain
from .api import add_api
from .doors import middleware
from .folder import folder_of_its_own
from .frame import Frame, wish_panel
from .learn import Learn, Tour
from .page import Page
from .pdiff import PDiff
from .play import Play
from .probe import Probe
from .queueing import QUEUE, Fair
from .theme import css, head, theme
from .unseen import Unseen
from .watch import Watch

ABOUT = """<p class="about">{world} {adapter}; the
generated ones never saw a gradient step. Bars are measured on photographs that nothing was trained on. A picture of
your own is read in memory, never stored, and nothing but its pixels is looked at.</p>"""
#: Seconds that the first page has the machine to itself.
REST = 2.0
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
    with Fair(title="Wild-P-Diff", analytics_enabled=False, delete_cache=(600, 3600), fill_width=True) as blocks:
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
    app = {"routes": routes(), "middleware": middleware()}
    look = {"theme": theme(), "css": css(), "head": head()}
    safety = {"show_error": False, "strict_cors": True, "max_file_size": "50mb", "share": False}
    quiet = {"ssr_mode": False, "run_history": False, "enable_monitoring": False, "state_session_capacity": 500}
    return look | safety | quiet | {"footer_links": ["api", "gradio"], "app_kwargs": app}


def warm(studio: Studio) -> None:
    """Load networks and render photographs in a thread of its own, a little later: whoever opens the page at once draws
    it with the same cores."""
    import torch

    # Two answers may be computed at once, and the browser may sit on the same machine.
    torch.set_num_threads(max(1, cores() // 2))
    thread = threading.Timer(REST, studio.warm, args=(studio.locations[:2],))
    thread.name, thread.daemon = "warm", True
    thread.start()


def serve(
    bundle: Path,
    device: str = "cpu",
    host: str | None = "127.0.0.1",
    port: int | None = None,
    *,
    mcp: bool = False,
    root_path: str = "",
    proxies: str = "",
) -> None:
    """Serve a bundle until interrupted or told to end; the files of visitors go with it.

    Args:
        bundle: the folder to open.
        device: where to compute.
        host: address to listen on; None leaves it to Gradio (all addresses on a Space).
        port: where to listen, or the next free one; None leaves it to Gradio.
        mcp: whether to offer the endpoints as tools of the Model Context Protocol too.
        root_path: where a proxy that strips it shows the page, such as /wild.
        proxies: addresses of proxies, with commas, whose X-Forwarded-For is believed.

    Raises:
        UserError: if the bundle cannot be opened, nothing can listen there, or visitors' files cannot be kept.
    """
    if port is not None:
        check_port(port)
    if host is not None:
        check_host(host)
    shown_at = root_of(root_path)
    past_proxies(host)
    # Uvicorn believes this very computer, so anybody on it, or behind a careless proxy on it, could claim any address.
    os.environ["FORWARDED_ALLOW_IPS"] = proxies or os.environ.get("FORWARDED_ALLOW_IPS", "")
    with ended_by_signal(), folder_of_its_own():
        studio = Studio.open(bundle, device)
        if on_zero():
            studio.writer = gpu_writer(studio.bundle)
        page = build(studio)
        port = None if port is None else free_port(host or LOOPBACK, port)
        name = None if host is None else bracketed(host)
        where: dict[str, Any] = {"server_name": name, "server_port": port, "root_path": shown_at}
        page.queue(**QUEUE).launch(mcp_server=mcp, prevent_thread_lock=True, **where, **launch_options())
        warm(studio)  # behind the open page: what is stored is shown before any network is loaded
        _until_stopped(page)


def _until_stopped(page: gr.Blocks) -> None:
    try:
        while page.is_running:
            time.sleep(0.2)
    except KeyboardInterrupt:  # nothing is lost by it, so there is nothing to say
        pass
    finally:
        page.close(verbose=False)


def root_of(path: str) -> str | None:
    """Where the page is shown, as Gradio takes it: `wild`, `/wild` and `/wild/` are one; None for the root.

    Raises:
        UserError: if it is no path.
    """
    whole = path.rstrip("/")
    if not whole:
        return None
    if not re.fullmatch(r"(https?://)?[\w.~:/-]+", whole):
        raise UserError(f"--root-path is a path such as /wild, not '{path}'.")
    return whole if whole.startswith(("/", "http://", "https://")) else f"/{whole}"


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Let SIGTERM end the app as Ctrl-C does, so that what it kept for visitors is deleted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def past_proxies(host: str | None) -> None:
    """Let Gradio's look at its own page go past the proxies that the environment names."""
    own = ["localhost", "127.0.0.1", "::1", *([plain(host)] if host else [])]
    for name in ("no_proxy", "NO_PROXY"):
        known = [part for part in os.environ.get(name, "").split(",") if part]
        os.environ[name] = ",".join([*known, *(part for part in own if part not in known)])
