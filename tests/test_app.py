"""The page on a real server: what it offers, what it refuses, what it says when something is wrong."""

import base64
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import gradio as gr
import pytest
from gradio_client import Client
from PIL import Image
from tiny_bundle import write_tiny_bundle

from wildpdiff.errors import UserError
from wildpdiff.ui import studio as studio_module
from wildpdiff.ui.app import build, free_port, launch_options
from wildpdiff.ui.play import WRONG, Play, Wishes
from wildpdiff.ui.studio import Studio
from wildpdiff.ui.theme import PLOTLY_FILE

REQUEST: Any = SimpleNamespace(session_hash="one")
OTHER: Any = SimpleNamespace(session_hash="two")
WISH = ("R10", "R12", 0.25, 0, 1, 2, {}, [], 0.0)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    patch = pytest.MonkeyPatch()
    for name in ("KEPT", "CHOSEN_FIRST", "OTHERS_FIRST"):
        patch.setattr(studio_module, name, 2)
    yield Studio.open(write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny"))
    patch.undo()


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    opened: Future[Studio] = Future()
    opened.set_result(studio)
    page = build(opened)
    port = free_port("127.0.0.1", 7900)
    page.queue(max_size=64).launch(
        server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, **launch_options()
    )
    yield f"http://127.0.0.1:{port}/"
    page.close()


def play_of(studio: Studio) -> Play:
    play = Play(lambda: studio)
    with gr.Blocks():
        play.build()
    return play


def picture() -> bytes:
    stream = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


def sent(data: bytes, size: int | None = None) -> Any:
    content = {"size": len(data) if size is None else size, "data": base64.b64encode(data).decode()}
    return SimpleNamespace(_data=content)


def test_no_listener_of_the_page_is_offered_as_an_api(address: str) -> None:
    offered = Client(address, verbose=False).view_api(return_format="dict", print_info=False)
    assert offered == {"named_endpoints": {}, "unnamed_endpoints": {}}


def test_a_private_listener_cannot_be_called(address: str) -> None:
    with pytest.raises(ValueError):
        Client(address, verbose=False).predict(api_name="/run")


def test_plotly_comes_from_this_server_and_other_files_do_not(address: str) -> None:
    with urlopen(f"{address}gradio_api/file={PLOTLY_FILE.as_posix()}") as answer:
        assert answer.status == 200 and b"plotly.js" in answer.read(300)
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{address}gradio_api/file=/etc/passwd")
    assert refused.value.code in (403, 404)


def test_the_first_view_holds_every_location_and_precomputed_bars(studio: Studio) -> None:
    a, b, sentence, bars, *_ = play_of(studio).first()
    assert [place["name"] for place in a["places"]] == list(studio.locations) and (a["value"], b["value"]) == (
        "R10",
        "R12",
    )
    assert sentence["badge"] == "precomputed"
    assert bars["data"][0]["y"] == pytest.approx([0.73 + 0.02 * place for place in range(10)])


def test_a_run_ends_live_with_its_weight_and_a_longer_trail(studio: Studio) -> None:
    *_, last = play_of(studio).run(*WISH, REQUEST)
    texts = [part["text"] for part in last[0]["parts"]]
    assert last[0]["badge"] == "live" and last[0]["final"] and "weight 0.25" in texts[0]
    assert any(text.startswith("cosine to R12") for text in texts) and len(last[4]) == 1


def test_an_unknown_location_gives_its_sentence_in_the_page(studio: Studio) -> None:
    (only,) = play_of(studio).run("Z99", *WISH[1:], REQUEST)
    assert only[0]["kind"] == "problem" and "Z99" in only[0]["parts"][0]["text"]


def test_a_fault_of_the_program_gives_a_plain_sentence_without_a_trace(studio: Studio) -> None:
    class Broken:
        def results(self, setting: object) -> Iterator[Any]:
            raise RuntimeError("/secret/path")

    play = play_of(studio)
    play.studio = lambda: Broken()  # type: ignore[assignment,return-value]
    (only,) = play.run(*WISH, REQUEST)
    assert only[0]["parts"][0]["text"] == WRONG


def test_a_running_answer_ends_when_its_session_wishes_for_another_weight(studio: Studio) -> None:
    play = play_of(studio)
    running = play.run(*WISH, REQUEST)
    next(running)
    play.wishes.note(0.9, 5.0, OTHER)
    next(running)
    play.wishes.note(0.3, 5.0, REQUEST)
    assert list(running) == []


def test_an_answer_is_not_overtaken_by_its_own_wish_or_an_older_one() -> None:
    wishes = Wishes()
    wishes.note(0.5, 10.0, REQUEST)
    assert not wishes.overtaken(0.5, 9.0, REQUEST)
    wishes.note(0.2, 8.0, REQUEST)
    assert not wishes.overtaken(0.5, 9.0, REQUEST)
    wishes.note(0.2, 11.0, REQUEST)
    assert wishes.overtaken(0.5, 9.0, REQUEST) and not wishes.overtaken(0.5, 9.0, OTHER)


def test_a_good_picture_becomes_a_choice(studio: Studio) -> None:
    update, uploads = play_of(studio).upload("a", {}, sent(picture()))
    assert update["own"]["name"] == "own" and "No accuracy is claimed" in update["own"]["note"]
    *_, last = play_of(studio).run("own", "R12", 0.0, 0, 1, 2, uploads, [], 0.0, REQUEST)
    assert last[0]["badge"] == "live" and "no accuracy is claimed" in str(last[0]["parts"])


@pytest.mark.parametrize("event", [sent(b"no picture"), sent(b"", 9_000_000), sent(picture()[:200])])
def test_a_bad_picture_changes_nothing_but_the_sentence(studio: Studio, event: Any) -> None:
    update, uploads = play_of(studio).upload("a", {}, event)
    assert update["problem"] and "own" not in update and "value" not in update
    assert uploads == gr.skip()


def test_the_next_free_port_is_taken_when_the_wanted_one_is_busy() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        wanted = busy.getsockname()[1]
        assert free_port("127.0.0.1", wanted) > wanted
        with pytest.raises(UserError):
            free_port("127.0.0.1", wanted, tries=1)
