"""The app's doors on a real server: closed ones, too much at once, values that do not fit, work that nobody reads."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from served import WAIT, chromium, live, serving, visiting

from wildpdiff.ui import doors
from wildpdiff.ui.doors import FILE
from wildpdiff.ui.folder import PREFIX, VARIABLE
from wildpdiff.ui.queueing import ADDRESS, SESSION, UNREAD, FairQueue

FILE_SHAPED = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
HEAVY = {"a": "R10", "b": "R12", "t": 0.5, "n": 16, "steps": 200, "images": 15}


@pytest.fixture(scope="module")
def address(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("server") / f"{PREFIX}x"))
        with serving(tiny_bundle, 8250) as found:
            yield found


def post(address: str, path: str, content: Any) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        with urlopen(Request(address + path, body, {"Content-Type": "application/json"}), timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def called(address: str, name: str, data: list[Any]) -> str:
    """All that an endpoint streams for values."""
    status, told = post(address, f"gradio_api/call/{name}", {"data": data})
    assert status == 200, told
    with urlopen(f"{address}gradio_api/call/{name}/{told['event_id']}", timeout=60) as answer:
        return str(answer.read().decode())


def event(address: str, name: str) -> int:
    """The number of the page's listener for an event."""
    with urlopen(f"{address}config") as answer:
        found = {event: each["id"] for each in json.load(answer)["dependencies"] for _, event in each["targets"]}
    return int(found[name])


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/deep_link?session_hash=s",
        "gradio_api/deep_link/?session_hash=s",
        "gradio_api/vibe-code",
        "gradio_api/runs",
        "gradio_api/stream/s/1/2/playlist.m3u8",
        "gradio_api/custom_component/a/b/c/d",
        "gradio_api/proxy=https://example.org/",
        "gradio_api/dev/reload",
        "monitoring",
        "login",
    ],
)
def test_a_door_that_nobody_needs_is_closed(address: str, path: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(address + path, timeout=20)
    assert refused.value.code == 404


@pytest.mark.parametrize("path", ["process_recording", "vibe-edit", "component_server", "stream/1"])
def test_a_door_for_sending_that_nobody_needs_is_closed(address: str, path: str) -> None:
    assert post(address, f"gradio_api/{path}", {}) == (404, {"detail": "Not Found"})


def test_no_endpoint_runs_past_the_queue(address: str) -> None:
    for door in ("run", "api"):
        status, told = post(address, f"gradio_api/{door}/generate", {"data": ["R10", "R12", 0, "H", "ours", 0, 1, 1]})
        assert status == 404 and "queue" in told["detail"]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("precomputed", ["R10", "R12"], "'precomputed' takes 5 values in 'data' (a, b, weight, regime, way), not 2."),
        ("health", [1], "'health' takes 0 values in 'data' (nothing), not 1."),
        ("unseen", [FILE_SHAPED], "No value here may be a file; send texts, numbers and lists."),
        ("unseen", [{"url": "x", **FILE_SHAPED}], "No value here may be a file; send texts, numbers and lists."),
        ("sweep", [{"pairs": [FILE_SHAPED]}], "No value here may be a file; send texts, numbers and lists."),
        ("evaluate", ["R10", "R10", 0, "H", "ours", 0, 2, [], 5], "'location' must be a text."),
        ("evaluate", ["R10", "R10", 0, "H", "ours", 0, 2, 0, 5], "'location' must be a text."),
        ("map", ["H", "ruler", [], "R12"], "The ruler needs two different seen locations, a and b."),
        ("similarity", ["R10", "R12", "H", []], "'layer' must be a number."),
    ],
)
def test_values_that_do_not_fit_are_one_sentence(address: str, name: str, data: list[Any], sentence: str) -> None:
    told = called(address, name, data)
    assert told.startswith("event: error") and json.loads(told.partition("data: ")[2])["error"] == sentence


def test_a_location_that_is_left_out_is_the_first(address: str) -> None:
    assert '"location": "R10"' in called(address, "evaluate", ["R10", "R12", 0, "H", "ours", 0, 2, "", 5])


def test_a_listener_of_the_page_told_a_file_answers_one_sentence(address: str) -> None:
    body = {"fn_index": event(address, "ask"), "session_hash": "files", "data": [FILE_SHAPED, None]}
    assert post(address, "gradio_api/queue/join", body)[0] == 200
    with urlopen(f"{address}gradio_api/queue/data?session_hash=files", timeout=60) as stream:
        assert "No value here may be a file" in stream.read().decode()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([FILE_SHAPED], "No value here may be a file"),
        ([], "takes 1 value in 'data' (wish), not 0."),
    ],
)
def test_a_listener_that_takes_no_turn_answers_one_sentence_too(address: str, data: list[Any], sentence: str) -> None:
    body = {"fn_index": event(address, "note"), "session_hash": "files", "data": data}
    status, told = post(address, "gradio_api/run/predict", body)
    assert status == 400 and sentence in told["error"]
    assert post(address, "gradio_api/run/predict", body | {"data": [{"stamp": 1}]})[0] == 200
    status, told = post(address, "gradio_api/run/predict", body | {"fn_index": 9999})
    assert status == 400 and told["error"] == "There is no listener 9999; open the page anew."


@pytest.mark.parametrize("length", ["said", "unsaid"])
def test_more_than_may_come_at_once_is_left_at_the_door(
    address: str, length: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "JSON", 100_000)
    where = http.client.HTTPConnection(*address.split("/")[2].split(":"), timeout=60)  # type: ignore[arg-type]
    headers, parts = {"Content-Type": "application/json"}, [b"x" * 60_000] * 2
    if length == "said":
        where.request("POST", "/gradio_api/queue/join", b"".join(parts), headers)
    else:
        where.request("POST", "/gradio_api/queue/join", iter(parts), headers, encode_chunked=True)
    answer = where.getresponse()
    assert answer.status == 413 and json.load(answer) == {"detail": "No more than 0 MB can be sent at once."}
    where.close()


def test_a_full_folder_takes_no_upload_and_says_so(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildpdiff.ui.folder.CAP", 10)
    status, told = post(address, "gradio_api/upload", b"x" * 100)
    assert status == 503 and "no room" in told["detail"]
    assert FILE > 50_000_000


@pytest.mark.slow
def test_a_flood_that_nobody_reads_is_neither_worked_on_nor_in_anybodys_way(address: str) -> None:
    ask, found = event(address, "ask"), Counter[int]()
    for place in range(UNREAD + 20):
        wish = HEAVY | {"stamp": place, "seed": place}
        body = {"fn_index": ask, "session_hash": f"flood{place}", "data": [wish, None], "event_data": {}}
        status, told = post(address, "gradio_api/queue/join?", body)
        found[status] += 1
    assert found == {200: UNREAD, 429: 20} and "network address" in told["detail"]
    begun = time.monotonic()
    with urlopen(f"{address}gradio_api/heartbeat/page", timeout=60):
        wish = HEAVY | {"stamp": 1, "n": 1, "steps": 2}
        body = {"fn_index": ask, "session_hash": "page", "data": [wish, None], "event_data": {}}
        assert post(address, "gradio_api/queue/join?", body)[0] == 200
        with urlopen(f"{address}gradio_api/queue/data?session_hash=page", timeout=60) as stream:
            assert "process_completed" in stream.read().decode()
    assert time.monotonic() - begun < 8
    with urlopen(f"{address}gradio_api/queue/status") as answer:
        assert json.load(answer)["queue_size"] in (UNREAD, 0)  # none was begun; all wait, or were dropped


def test_one_session_cannot_fill_the_queue(address: str) -> None:
    ask, statuses = event(address, "ask"), []
    with urlopen(f"{address}gradio_api/heartbeat/greedy", timeout=60):
        for place in range(3 * SESSION):
            wish = HEAVY | {"stamp": 1, "seed": place}
            body = {"fn_index": ask, "session_hash": "greedy", "data": [wish, None], "event_data": {}}
            statuses.append(post(address, "gradio_api/queue/join?", body)[0])
    assert set(statuses) == {200, 429} and statuses.count(200) <= SESSION + 8


@pytest.mark.browser
def test_the_page_says_that_the_live_answer_waits_and_how_long_and_why_it_was_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "document.querySelector('.result').innerText"
    with chromium() as browser, visiting(browser, address, faults_of=(429,)) as page:
        with monkeypatch.context() as patch:
            patch.setattr(FairQueue, "_ready", lambda queue, waiting: [])
            page.locator("#blend").focus()
            page.keyboard.press("ArrowRight")
            page.wait_for_function(f"/the live answer waits: about \\d+ s/.test({said})", timeout=WAIT)
            assert page.inner_text(".result").startswith("waiting")  # of this bundle nothing is stored
        live(page)
        with monkeypatch.context() as patch:
            patch.setattr(FairQueue, "refusal", lambda *_: "64 requests are not answered yet; ask again in a minute.")
            page.keyboard.press("ArrowRight")
            page.wait_for_function(f"{said}.includes('64 requests are not answered yet')", timeout=WAIT)
            assert page.inner_text(".result").startswith("not done")
        page.keyboard.press("ArrowRight")
        live(page)
    assert ADDRESS == 64
