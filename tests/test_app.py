"""The page on a real server: what it serves, what it refuses."""

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from gradio_client import Client
from served import serving

from wildpdiff.errors import UserError
from wildpdiff.ui.app import free_port
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


def test_the_next_free_port_is_taken_when_the_wanted_one_is_busy() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert taken < free_port("127.0.0.1", taken) < taken + 100
        with pytest.raises(UserError, match="all taken"):
            free_port("127.0.0.1", taken, tries=1)
