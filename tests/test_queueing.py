"""The queue: who reads comes before who does not, short before long, and nobody takes it all."""

import asyncio
import re
import time
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.queueing import Event, EventQueue
from starlette.exceptions import HTTPException

from wildpdiff.ui import queueing
from wildpdiff.ui.queueing import ADDRESS, DROPPED, GRACE, LONG, SESSION, UNREAD, Fair, FairQueue, cost, left, misfit
from wildpdiff.ui.readers import Readers

SHORT, HEAVY = {"n": 1, "steps": 50}, {"n": 16, "steps": 200}


def listener(wish: dict, trail: list) -> None:
    """Something to wait for."""


def pair(a: str, b: str) -> dict:
    """Something of the API."""
    return {"a": a, "b": b}


@pytest.fixture
def queue() -> FairQueue:
    with Fair(analytics_enabled=False) as page:
        wish = gr.HTML()
        wish.click(listener, [wish, gr.State([])], None, concurrency_id="model", concurrency_limit=2)
        gr.api(pair, api_name="pair")
    made = page.queue(max_size=256)._queue
    assert isinstance(made, FairQueue)
    made.event_queue_per_concurrency_id["model"] = EventQueue("model", 2)
    made.active_jobs = [None] * 4
    return made


def put(queue: FairQueue, session: str, asked: dict[str, Any], *, age: float = 0.0, address: str = "1.2.3.4") -> Event:
    """A job in the queue, of so many seconds ago."""
    request: Any = SimpleNamespace(client=SimpleNamespace(host=address))
    job = Event(session, next(fn for fn in queue.blocks.fns.values() if fn.concurrency_id == "model"), request, None)
    job.data = SimpleNamespace(data=[asked, None], event_data=None)  # type: ignore[assignment]
    job.enqueue_time = time.monotonic() - age
    queue.event_queue_per_concurrency_id["model"].queue.append(job)
    queue.event_ids_to_events[job._id] = job
    return job


def begin(queue: FairQueue) -> Event | None:
    """The job that begins next; it takes a place."""
    queue.rest_until = 0.0
    chosen = queue.get_events()
    if chosen is None:
        return None
    queue.active_jobs[queue.active_jobs.index(None)] = chosen[0]
    queue.event_queue_per_concurrency_id["model"].current_concurrency += 1
    return chosen[0][0]


def test_work_begins_when_somebody_reads_it(queue: FairQueue) -> None:
    job = put(queue, "someone", SHORT)
    assert begin(queue) is None
    with queue.readers.open(queue.readers.reading, "someone"):
        assert begin(queue) is job


def test_an_open_page_needs_no_stream_to_be_begun_for(queue: FairQueue) -> None:
    job = put(queue, "someone", SHORT)
    with queue.readers.open(queue.readers.alive, "someone"):
        assert begin(queue) is job


def test_work_that_nobody_reads_is_dropped_and_who_comes_late_is_told(queue: FairQueue) -> None:
    queue.pending_messages_per_session["late"] = SimpleNamespace(put_nowait=(told := []).append)  # type: ignore[assignment]
    put(queue, "late", HEAVY, age=GRACE + 1)
    early = put(queue, "early", HEAVY, age=GRACE / 2)
    assert begin(queue) is None
    assert queue.event_queue_per_concurrency_id["model"].queue == [early]
    assert [message.output["error"] for message in told] == [DROPPED] and not told[0].success


def test_short_work_passes_long_work_and_one_place_stays_free_of_it(queue: FairQueue) -> None:
    long_ones = [put(queue, f"heavy{place}", HEAVY) for place in range(8)]
    queue.readers.alive.update(f"heavy{place}" for place in range(8))
    assert begin(queue) is long_ones[0]
    assert begin(queue) is None
    queue.readers.alive.update(["quick"])
    quick = put(queue, "quick", SHORT)
    assert begin(queue) is quick


def test_long_work_is_not_passed_for_ever(queue: FairQueue) -> None:
    heavy = put(queue, "heavy", HEAVY, age=queueing.YIELDS * cost(HEAVY) + 3)
    put(queue, "quick", SHORT)
    queue.readers.alive.update(["heavy", "quick"])
    with queue.readers.open(queue.readers.reading, "heavy"):
        assert begin(queue) is heavy


def test_a_queue_of_one_place_does_long_work_too(queue: FairQueue) -> None:
    queue.event_queue_per_concurrency_id["model"].concurrency_limit = 1
    heavy = put(queue, "heavy", HEAVY)
    queue.readers.alive.update(["heavy"])
    assert begin(queue) is heavy and begin(queue) is None


def test_a_session_has_so_many_jobs_and_no_more(queue: FairQueue) -> None:
    queue.readers.alive.update(["one", "other"])
    for _ in range(SESSION):
        assert queue.refusal("one", "1.2.3.4") is None
        put(queue, "one", SHORT)
    assert "wait for one of them" in str(queue.refusal("one", "1.2.3.4"))
    assert queue.refusal("other", "1.2.3.4") is None


def test_an_address_has_so_many_jobs_and_another_address_is_not_refused_for_it(queue: FairQueue) -> None:
    for place in range(ADDRESS):
        put(queue, f"s{place}", SHORT)
        queue.readers.alive.update([f"s{place}"])
    assert "your network address" in str(queue.refusal("further", "1.2.3.4"))
    assert queue.refusal("further", "5.6.7.8") is None


def test_an_open_page_is_not_refused_for_what_nobody_reads_at_its_address(queue: FairQueue) -> None:
    for place in range(UNREAD):
        put(queue, f"s{place}", HEAVY)
    assert "without a reader" in str(queue.refusal("further", "1.2.3.4"))
    queue.readers.alive.update(["page"])
    assert queue.refusal("page", "1.2.3.4") is None


def test_how_long_a_live_answer_waits_is_known(queue: FairQueue) -> None:
    for place in range(3):
        put(queue, f"s{place}", SHORT)
        queue.readers.alive.update([f"s{place}"])
    put(queue, "mine", SHORT, age=-0.5)
    queue.readers.alive.update(["mine"])
    turn = queue.turn("mine", "click")
    assert turn is not None and not turn.running and turn.ahead == 3
    assert turn.seconds == pytest.approx(max(1.0, 3 * cost(SHORT) * queue.pace / 2))
    assert queue.turn("mine", "another event") is None and queue.turn("nobody", "click") is None
    for _ in range(2):
        begin(queue)
    assert queue.turn("s0", "click") == queueing.Turn(True, 0, 0.0)


@pytest.mark.parametrize(
    ("asked", "long"),
    [
        ({}, False),
        (SHORT, False),
        ({"n": 1, "steps": 200}, False),
        (HEAVY, True),
        ({"n": 16, "steps": 10}, True),
        ({"samples": 1, "steps": 200}, False),
        ({"samples": 16, "steps": 200}, True),
        ({"spec": {"pairs": [["A", "B"]], "weights": [0]}}, False),
        ({"spec": {"pairs": [["A", "B"]], "weights": [0, 1], "seeds": 8, "steps": 50}}, True),
        ({"n": "much", "steps": float("inf")}, False),
        ({"spec": {"pairs": 3, "seeds": None}}, False),
    ],
)
def test_what_is_long_follows_from_what_is_asked_for(asked: dict[str, Any], long: bool) -> None:
    assert (cost(asked) > LONG) == long


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], r"'pair' takes 2 values in 'data' \(a, b\), not 0\."),
        (["R10"], r"'pair' takes 2 values in 'data' \(a, b\), not 1\."),
        (["R10", "R12", 1], r"'pair' takes 2 values in 'data' \(a, b\), not 3\."),
        (["R10", {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], r"No value here may be a file; .*\."),
        (["R10", [{"deep": {"path": "x", "meta": 3}}]], r"No value here may be a file; .*\."),
    ],
)
def test_values_that_do_not_fit_are_one_sentence(queue: FairQueue, data: list[Any], sentence: str) -> None:
    endpoint = next(fn for fn in queue.blocks.fns.values() if fn.api_name == "pair")
    wrong = misfit(endpoint, data)
    assert wrong is not None and re.fullmatch(sentence, wrong)
    assert misfit(endpoint, ["R10", {"path": "x"}]) is None


async def _pushed(queue: FairQueue, index: int) -> None:
    await queue.push(SimpleNamespace(fn_index=index, session_hash="s", data=[]), None, None)


def test_a_listener_that_there_is_not_is_refused(queue: FairQueue) -> None:
    with pytest.raises(HTTPException) as refused:
        asyncio.run(_pushed(queue, 999))
    assert refused.value.status_code == 400 and "no listener 999" in refused.value.detail


def test_a_page_without_such_a_queue_and_a_call_without_a_request_are_left_by_nobody() -> None:
    assert not left(None)
    assert not left(SimpleNamespace(session_hash="x"))  # type: ignore[arg-type]


def test_a_stream_counts_while_it_is_open() -> None:
    readers = Readers()
    with readers.open(readers.reading, "s"), readers.open(readers.reading, "s"):
        assert readers.reads("s") and readers.here("s")
    assert not readers.here("s") and not readers.reading
