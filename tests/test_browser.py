"""The page in a real Chromium: keyboard, phone, pictures of one's own, and not one request to anywhere else."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_bundle import write_tiny_bundle

from wildpdiff.ui import studio as studio_module
from wildpdiff.ui.app import build, free_port, launch_options
from wildpdiff.ui.studio import Studio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install one to test the page"),
]
DRAWN = """[...document.querySelectorAll('.chart-node')].length === 3
    && [...document.querySelectorAll('.chart-node')].every((node) => node.dataset.drawn !== 'no')"""
WAIT = 60_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    patch = pytest.MonkeyPatch()
    for name in ("KEPT", "CHOSEN_FIRST", "OTHERS_FIRST"):
        patch.setattr(studio_module, name, 2)
    opened: Future[Studio] = Future()
    opened.set_result(Studio.open(write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")))
    page = build(opened)
    port = free_port("127.0.0.1", 7950)
    page.queue(max_size=64).launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **launch_options()
    )
    yield f"http://127.0.0.1:{port}/"
    page.close()
    patch.undo()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A page with its first view complete; at its end no error was logged and no other server was asked."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened, faults = context.new_page(), []
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    own = (address, "data:", "blob:", address.replace("http", "ws", 1))
    opened.on("request", lambda request: None if request.url.startswith(own) else faults.append(request.url))
    opened.goto(address)
    opened.wait_for_function(DRAWN, timeout=WAIT)
    yield opened
    context.close()
    assert faults == []


def live(page: Any, text: str) -> str:
    """The result sentence once it is live and holds a text."""
    wanted = f"t.startsWith('live') && t.includes('{text}')"
    wanted = f"(() => {{ const t = document.querySelector('.result').innerText; return {wanted} }})()"
    page.wait_for_function(wanted, timeout=WAIT)
    return page.inner_text(".result")


def test_the_arrow_keys_move_the_slider_and_a_new_adapter_is_measured(page: Any) -> None:
    assert page.inner_text(".result").startswith("precomputed")
    page.evaluate("document.querySelector('#bars .chart-node').kept = 'yes'")
    page.locator("#blend input[type=range]").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert "R10 → R12" in live(page, "weight 0.15")
    page.keyboard.press("End")
    live(page, "weight 1.00")
    assert page.evaluate("document.querySelector('#bars .chart-node').kept") == "yes"
    assert "weight 1.00" in page.text_content("[role=status][aria-live=polite]")


def test_a_location_is_chosen_by_keyboard(page: Any) -> None:
    page.locator("#location-b input[value=R12]").focus()
    page.keyboard.press("ArrowRight")
    assert "R10 → U11" in live(page, "U11")
    assert page.inner_text("#location-b .picker-name") == "B · U11"


def test_one_click_downloads_the_adapter(page: Any, tmp_path: Path) -> None:
    page.locator("#generate").click()
    live(page, "R10")
    page.wait_for_selector("#download:not([disabled])", timeout=WAIT)
    with page.expect_download(timeout=WAIT) as caught:
        page.locator("#download").click()
    assert caught.value.suggested_filename.endswith(".zip")


def test_a_picture_of_ones_own_takes_a_locations_place_and_a_bad_file_does_not(page: Any) -> None:
    stream = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, "PNG")
    field = page.locator("#location-a input[type=file]")
    field.set_input_files({"name": "place.png", "mimeType": "image/png", "buffer": stream.getvalue()})
    assert "no accuracy is claimed" in live(page, "your picture")
    field.set_input_files({"name": "bad.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_selector("#location-a .picker-note.is-problem", timeout=WAIT)
    assert "is not a JPEG" in page.inner_text("#location-a .picker-note")
    assert page.inner_text("#location-a .picker-name") == "A · your picture"


def test_a_phone_needs_no_scrolling_sideways(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#bars summary").click()
    assert page.locator("#bars td").first.inner_text() == "R10"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
