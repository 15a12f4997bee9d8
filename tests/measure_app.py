"""Times the app in a real browser: `python tests/measure_app.py [--moves 40] [--starts 5] [--bundle DIR]`
prints one JSON document.

`start`: seconds from the start of `wildpdiff serve` until the charts are drawn, and until the first live bars after a
key press that follows at once, over several starts. `page`: seconds from opening the
page of a running server until the slider can be moved, and until the curve and the bars are drawn, over several loads
without a cache. `slider`: milliseconds from a key press until the first frame that shows the new weight (precomputed),
and until the bars of A and B are live. A measurement, not a test.
"""

import argparse
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PORT = 7911
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = "document.querySelector('.frame[data-ready=yes]') !== null"
DRAWN = "document.querySelectorAll('#curve .chart-node:not([data-drawn=no]), #bars .chart-node:not([data-drawn=no])').length === 2"  # noqa: E501
#: Presses a key and returns the milliseconds to the first painted frame with the new weight, and to the live bars.
PRESS = """key => new Promise((done) => {
  const begun = performance.now(), times = [];
  const node = document.querySelector('#bars .chart-node');
  const wish = Math.round(wpd.state.t * 10) + (key === 'ArrowRight' ? 1 : -1);
  node.dataset.drawn = '-';
  const look = () => {
    const shown = document.querySelector('.result').textContent.includes((wish / 10).toFixed(2));
    const curve = document.querySelector('#curve .chart-node');
    const moved = (curve.layout.shapes || []).some((shape) => Math.abs(shape.x0 - wish / 10) < 1e-6);
    if (!times.length && shown && moved) times.push(performance.now() - begun);
    const live = wpd.answer && ['measuring', 'done'].includes(wpd.answer.stage);
    const drawn = live && ['measuring', 'done'].includes(node.dataset.drawn);
    if (times.length === 1 && drawn) times.push(performance.now() - begun);
    if (times.length === 2) done(times); else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""


def press(page: Page, key: str) -> tuple[float, float]:
    """Press an arrow key on the slider: milliseconds to the first frame, and to the live bars of A and B."""
    page.locator("#blend").focus()
    waiting = page.evaluate_handle(f"key => {{ window.measured = ({PRESS})(key) }}", key)
    page.keyboard.press(key)
    first, second = page.evaluate("() => window.measured")
    waiting.dispose()
    page.wait_for_function("document.querySelector('#bars .chart-node').dataset.drawn === 'done'", timeout=30_000)
    page.wait_for_timeout(900)
    return float(first), float(second)


def load(browser: Browser) -> tuple[float, float]:
    """Seconds until the slider can be moved, and until curve and bars are drawn, in a fresh visit."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, begun = context.new_page(), time.perf_counter()
    page.goto(f"http://127.0.0.1:{PORT}", wait_until="commit")
    page.wait_for_function(READY, polling=20, timeout=60_000)
    usable = time.perf_counter() - begun
    page.wait_for_function(DRAWN, polling=20, timeout=60_000)
    spent = time.perf_counter() - begun
    context.close()
    return usable, spent


def wait_for_port() -> None:
    """Return when the server answers, at most a minute from now."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the app did not start")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Number, median, 95% quantile and maximum of some values."""
    ordered = sorted(values)
    at = max(0, -(-95 * len(ordered) // 100) - 1)
    return {"n": len(ordered), "p50": ordered[len(ordered) // 2], "p95": ordered[at], "max": ordered[-1]}


def served(more: Sequence[str]) -> subprocess.Popen[bytes]:
    """A server that has just been started, with further options."""
    command = [sys.executable, "-c", "from wildpdiff.cli import main; main()", "serve", "--port", str(PORT), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start(browser: Browser, more: Sequence[str]) -> tuple[float, float]:
    """Seconds from the start of a server to the drawn charts of its page, and to the first live bars."""
    began, server = time.perf_counter(), served(more)
    try:
        wait_for_port()
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{PORT}", wait_until="commit")
        page.wait_for_function(DRAWN, polling=20, timeout=60_000)
        drawn = time.perf_counter() - began
        _, live = press(page, "ArrowRight")
        context.close()
        return drawn, drawn + live / 1000
    finally:
        server.terminate()
        server.wait(timeout=30)


def measure(moves: int, starts: int, more: Sequence[str]) -> dict[str, Any]:
    """Start the app several times; then open it and move its slider."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        begun = [start(browser, more) for _ in range(starts)]
        browser.close()
    server = served(more)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            wait_for_port()
            load(browser)
            time.sleep(30)  # photographs are rendered in the background at first
            loads = [load(browser) for _ in range(8)]
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{PORT}")
            page.wait_for_function(DRAWN, timeout=60_000)
            keys = [("ArrowRight" if index // 10 % 2 == 0 else "ArrowLeft") for index in range(moves)]
            times = [press(page, key) for key in keys]
            browser.close()
    finally:
        server.terminate()
    page_times = {"control": spread([usable for usable, _ in loads]), "plots": spread([drawn for _, drawn in loads])}
    slider = {"first_frame": spread([one for one, _ in times]), "live": spread([two for _, two in times])}
    first = {"view": spread([view for view, _ in begun]), "live": spread([live for _, live in begun])}
    return {"start_seconds": first, "page_seconds": page_times, "slider_milliseconds": slider}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--bundle", help="another one than that which comes along")
    asked = parser.parse_args()
    print(json.dumps(measure(asked.moves, asked.starts, ["--bundle", asked.bundle] if asked.bundle else [])))
