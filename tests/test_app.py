"""The page on a real server: what it serves, what it refuses."""

import contextlib
import gzip
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import httpx
import pytest
from gradio_client import Client
from served import serving

from wildpdiff.errors import UserError
from wildpdiff.ui.app import free_port, past_proxies, serve
from wildpdiff.ui.theme import css, head
from wildpdiff.web.packed import PLOTLY_FILE, PLOTLY_PATH


@pytest.fixture(scope="module")
def address(tiny_bundle: Path) -> Iterator[str]:
    with serving(tiny_bundle, 7900) as found:
        yield found


@pytest.mark.parametrize("name", ["/run", "/ask", "/note", "/offer", "/compare"])
def test_a_listener_of_the_page_cannot_be_called_from_outside(address: str, name: str) -> None:
    with pytest.raises(ValueError):
        Client(address, verbose=False).predict(api_name=name)


@pytest.mark.parametrize("accepted", ["identity", "gzip, br"])
def test_plotly_comes_from_this_server_packed_for_those_who_can_unpack_it(address: str, accepted: str) -> None:
    with urlopen(Request(f"{address}{PLOTLY_PATH}", headers={"Accept-Encoding": accepted})) as answer:
        sent, packed = answer.read(), answer.headers.get("Content-Encoding") == "gzip"
        assert packed == ("gzip" in accepted) and "immutable" in answer.headers["Cache-Control"]
    assert (gzip.decompress(sent) if packed else sent) == PLOTLY_FILE.read_bytes()
    assert f'href="{PLOTLY_PATH}"' in head()


def test_no_other_file_is_served_and_the_page_names_none(address: str, tiny_bundle: Path) -> None:
    for path in ("/etc/passwd", (tiny_bundle / "bundle.json").as_posix(), PLOTLY_FILE.as_posix()):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{address}gradio_api/file={path}")
        assert refused.value.code in (403, 404)
    with urlopen(address) as answer:
        page = answer.read().decode()
    assert PLOTLY_FILE.parent.as_posix() not in page and str(tiny_bundle) not in page


def test_no_page_of_monitoring_is_served(address: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{address}monitoring/summary")
    assert refused.value.code in (403, 404)


def test_styles_and_scripts_name_no_other_server() -> None:
    for text in (css(), head()):
        assert "https://" not in text.replace("https://huggingface.co/spaces/", "") and "@import" not in text


def test_a_space_says_its_name_in_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", 'me/wild"pdiff')
    assert 'content="me/wild&quot;pdiff"' in head()
    monkeypatch.delenv("SPACE_ID")
    assert "wpd-space" not in head().split("<script>")[0]


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
def test_a_number_that_is_no_port_is_one_sentence_before_anything_is_loaded(port: int, tmp_path: Path) -> None:
    for ask in (lambda: free_port("127.0.0.1", port), lambda: serve(tmp_path / "nowhere", port=port)):
        with pytest.raises(UserError, match=rf"^A port is a number from 1 to 65535 .*not {port}\.$"):
            ask()


def test_the_last_port_is_tried_and_none_beyond_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65_535))
        taken.listen()
        with pytest.raises(UserError, match="Ports 65535 to 65535 are all taken"):
            free_port("127.0.0.1", 65_535)


def test_the_look_at_our_own_page_goes_past_the_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With proxies that nobody listens on, as `http_proxy=http://127.0.0.1:9 wildpdiff serve` has them."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.delenv("NO_PROXY", raising=False)
    past_proxies("10.1.2.3")
    assert os.environ["no_proxy"].split(",") == ["example.org", "localhost", "127.0.0.1", "::1", "10.1.2.3"]
    assert "10.1.2.3" in os.environ["NO_PROXY"]
    page = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=page.handle_request, daemon=True).start()
    with contextlib.closing(page.socket):
        assert httpx.head(f"http://127.0.0.1:{page.server_port}/", timeout=10).status_code == 501
    past_proxies("10.1.2.3")
    assert os.environ["no_proxy"].count("10.1.2.3") == 1


def test_the_next_free_port_is_taken_when_the_wanted_one_is_busy() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert taken < free_port("127.0.0.1", taken) < taken + 100
        with pytest.raises(UserError, match="all taken"):
            free_port("127.0.0.1", taken, tries=1)
