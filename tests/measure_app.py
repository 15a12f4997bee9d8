"""Times the app in a real browser: `python tests/measure_app.py [--drags 30]` prints one JSON document.

`first_view`: seconds from the start of `wildpdiff serve` until all charts are drawn. `slider`: milliseconds from
releasing the slider until the bars of A and B show the adapter of that very weight. A measurement, not a test.
"""

import argparse
import itertools
import json
import shutil
import socket
import subprocess
import sys
import time

from playwright.sync_api import Page, sync_playwright

PORT = 7911
DRAWN = "document.querySelectorAll('.chart-node').length == 3 && [...document.querySelectorAll('.chart-node')].every(n => n.dataset.drawn != 'no')"  # noqa: E501
SHOWN = "weight => document.querySelector('#result').innerText.includes('weight ' + weight) && ['measuring', 'done'].includes(document.querySelector('#bars .chart-node').dataset.drawn)"  # noqa: E501
WEIGHTS = (0.2, 0.8, 0.35, 0.6, 0.1, 0.95, 0.5, 0.7)


def drag(page: Page, start: float, end: float) -> float:
    """Drag the slider and return the milliseconds from its release to the new bars."""
    slider = page.locator("#blend input[type=range]")
    box = slider.bounding_box()
    assert box is not None
    at = [box["x"] + box["width"] * share for share in (start, end)]
    y = box["y"] + box["height"] / 2
    page.mouse.move(at[0], y)
    page.mouse.down()
    for step in range(1, 7):
        page.mouse.move(at[0] + (at[1] - at[0]) * step / 6, y)
        page.wait_for_timeout(16)
    page.evaluate("document.querySelector('#bars .chart-node').dataset.drawn = '-'")
    released = time.perf_counter()
    page.mouse.up()
    weight = f"{float(slider.input_value()):.2f}"
    page.wait_for_function(SHOWN, arg=weight, polling="raf")
    spent = 1000 * (time.perf_counter() - released)
    page.wait_for_function("document.querySelector('#bars .chart-node').dataset.drawn == 'done'")
    page.wait_for_timeout(1500)
    return spent


def wait_for_port() -> None:
    """Return when the server answers, at most a minute from now."""
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the app did not start")


def measure(drags: int) -> dict[str, object]:
    """Start the app, open it, drag its slider."""
    began = time.perf_counter()
    command = [sys.executable, "-c", "from wildpdiff.cli import main; main()", "serve", "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            wait_for_port()
            page.goto(f"http://127.0.0.1:{PORT}")
            page.wait_for_function(DRAWN, timeout=60_000)
            first = time.perf_counter() - began
            page.wait_for_timeout(20_000)  # photographs are rendered in the background at first
            places = [0.0, *(WEIGHTS[index % len(WEIGHTS)] for index in range(drags))]
            spent = sorted(drag(page, *pair) for pair in itertools.pairwise(places))
            browser.close()
    finally:
        server.terminate()
    p50, p95 = spent[len(spent) // 2], spent[max(0, -(-95 * len(spent) // 100) - 1)]
    return {"first_view": first, "slider": {"n": len(spent), "p50": p50, "p95": p95, "max": spent[-1]}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drags", type=int, default=30)
    print(json.dumps(measure(parser.parse_args().drags)))
