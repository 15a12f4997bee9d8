"""The app behind a proxy that strips a prefix: the page, its streams, and what is too large for the proxy."""

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from proxy import MOST, proxied
from served import WAIT, chromium, live, serving, visiting

from wildpdiff.errors import UserError
from wildpdiff.ui.app import root_of


@pytest.fixture(scope="module")
def address(tiny_bundle: Path) -> Iterator[str]:
    with serving(tiny_bundle, 8200, root_path="/wild") as app, proxied(app) as shown:
        yield shown


@pytest.mark.parametrize("path", ["/wild", "wild", "/wild/", "wild/"])
def test_the_place_below_the_root_is_told_in_any_of_these_ways(path: str) -> None:
    assert root_of(path) == "/wild"
    assert root_of("") is None and root_of("/") is None
    assert root_of("https://example.org/wild/") == "https://example.org/wild"


@pytest.mark.parametrize("path", ["/wi ld", "/wild?a=b", "ftp:\\\\x", "/<wild>"])
def test_what_is_no_path_is_one_sentence(path: str) -> None:
    with pytest.raises(UserError, match="--root-path is a path such as /wild"):
        root_of(path)


def test_the_page_asks_for_everything_below_the_prefix(address: str) -> None:
    with urlopen(f"{address}config") as answer:
        assert json.load(answer)["root"] == address.rstrip("/")


def test_a_stream_comes_through_a_proxy_that_holds_back_what_it_may(address: str) -> None:
    begun = time.monotonic()
    with urlopen(f"{address}gradio_api/heartbeat/somebody", timeout=20) as stream:
        assert stream.readline() == b"data: ALIVE\n"
    assert time.monotonic() - begun < 5


def test_the_api_answers_behind_the_proxy(address: str) -> None:
    body = json.dumps({"data": []}).encode()
    with urlopen(Request(f"{address}gradio_api/call/health", body, {"Content-Type": "application/json"})) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{address}gradio_api/call/health/{event}") as answer:
        told = answer.read().decode()
    assert "event: complete" in told and '"state": "ready"' in told


@pytest.mark.browser
def test_the_page_works_behind_the_proxy_and_says_what_is_too_large_for_it(address: str) -> None:
    with chromium() as browser, visiting(browser, address, faults_of=(413,)) as page:
        page.locator("#blend").focus()
        page.keyboard.press("ArrowRight")
        live(page)
        page.click("button[role=tab]:has-text('Unseen')")
        page.wait_for_selector("#stranger-picture .stranger[data-ready]", timeout=WAIT)
        picture = {"name": "noise.png", "mimeType": "image/png", "buffer": noise()}
        page.set_input_files("#stranger-picture input[type=file]", picture)
        said = "document.querySelector('#stranger-picture .stranger-problem').textContent"
        page.wait_for_function(f"{said}.includes('takes nothing as large as this')", timeout=WAIT)
        assert page.get_attribute("#stranger-picture .stranger", "data-busy") is None
        assert "broke" not in page.inner_text("body") and "Connection" not in page.inner_text("body")
        page.get_by_role("tab", name="Your labelled photos").click()
        photographs = {"name": "own.zip", "mimeType": "application/zip", "buffer": packed()}
        page.set_input_files("#own-zip input[type=file]", photographs, timeout=WAIT)
        told = "document.querySelector('#own-zip .own-read').textContent"
        page.wait_for_function(f"{told}.includes('takes nothing as large as this')", timeout=WAIT)


def noise() -> bytes:
    """A picture that the page sends as it is, and that does not fit through the proxy."""
    pixels = np.random.default_rng(0).integers(0, 256, (640, 640, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    assert len(stream.getvalue()) > MOST
    return stream.getvalue()


def packed() -> bytes:
    stream: Any = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("zebra/noise.png", noise())
    return bytes(stream.getvalue())
