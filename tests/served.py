"""The app on a real server, for the tests that open it; and a browser to open it in."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wildpdiff.studio import looks
from wildpdiff.studio.studio import Studio
from wildpdiff.ui.app import build, free_port, launch_options
from wildpdiff.ui.queueing import QUEUE
from wildpdiff.web.scripts import MODULES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
WAIT = 60_000


@contextmanager
def serving(folder: Path, port: int, **options: Any) -> Iterator[str]:
    """The address of the app on a bundle, with few photographs so that answers come soon; `options` are of `launch`."""
    patch = pytest.MonkeyPatch()
    for name in ("CHOSEN_FIRST", "OTHERS_FIRST"):
        patch.setattr(looks, name, 8)
    page = build(Studio.open(folder))
    free = free_port("127.0.0.1", port)
    page.queue(**QUEUE).launch(
        server_name="127.0.0.1", server_port=free, prevent_thread_lock=True, quiet=True, **options, **launch_options()
    )
    try:
        yield f"http://127.0.0.1:{free}/"
    finally:
        page.close()
        patch.undo()


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@contextmanager
def visiting(
    browser: Any, address: str, query: str = "?v=1&images=15", *, faults_of: Sequence[int] = (), **options: Any
) -> Iterator[Any]:
    """A page that is ready; at its end no error was logged, but for refusals that are meant, and no other server was
    asked."""
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}, "accept_downloads": True} | options))
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    meant = tuple(f"the server responded with a status of {status}" for status in faults_of)
    page.on("response", lambda answer: faults.append(_refused(answer)) if answer.status >= 400 else None)
    own = (address, "data:", "blob:", address.replace("http", "ws", 1))
    page.on("request", lambda request: None if request.url.startswith(own) else faults.append(request.url))
    page.goto(address + query)
    page.wait_for_selector(".frame[data-ready=yes]", timeout=WAIT)
    drawn = "[...document.querySelectorAll('#curve .chart-node, #bars .chart-node')].filter(n => n.dataset.drawn !== 'no').length === 2"  # noqa: E501
    page.wait_for_function(drawn, timeout=WAIT)
    yield page
    context.close()
    faults = [fault for fault in faults if not any(fault.startswith(str(status)) for status in faults_of)]
    assert not [fault for fault in faults if not any(part in fault for part in meant)], faults


def with_scripts(page: Any, address: str, html: str) -> None:
    """Open an address that serves a page's HTML, and the page's own modules beside it; no server is needed."""
    page.route(f"{address}**", lambda route: route.fulfill(body=html, content_type="text/html"))
    for file in MODULES.glob("*.js"):
        page.route(f"{address}js/{file.name}", lambda route, _, file=file: route.fulfill(path=file))


#: The tag that starts the modules of such a page.
SCRIPTS = '<script type="module" src="/js/main.js"></script>'


def _refused(answer: Any) -> str:
    return f"{answer.status} {answer.request.method} {answer.url} {(answer.request.post_data or '')[:200]}"


def live(page: Any, *texts: str) -> str:
    """The result sentence once it is live and holds the texts."""
    wanted = "texts => { const t = document.querySelector('.result').innerText; return t.startsWith('live') && texts.every(text => t.includes(text)) }"  # noqa: E501
    page.wait_for_function(wanted, arg=list(texts), timeout=WAIT)
    return str(page.inner_text(".result"))
