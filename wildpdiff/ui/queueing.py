"""In what order work is done, and whose: what somebody waits for before what nobody reads, short work before long."""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gradio as gr
from gradio.queueing import Event, EventQueue, Queue
from gradio.server_messages import ProcessCompletedMessage
from gradio.utils import error_payload
from starlette.exceptions import HTTPException

from .readers import Readers

Json = dict[str, Any]
#: What a queue is given: places in all, and how much of one kind is done at once.
QUEUE: Json = {"max_size": 256, "default_concurrency_limit": 8}
#: Jobs that wait or run at most: of a session, of an address, and of an address without anybody who reads them.
SESSION, ADDRESS, UNREAD = 16, 64, 32
#: Seconds that a job waits for somebody who reads it.
GRACE = 10.0
#: The cost of a job is counted in steps of the sampler for one adapter. To measure an adapter takes as long as so many
#: steps, to pack it as so many.
MEASURING, PACKING = 1000, 20
#: A job of a higher cost is a long one: never are all places of a queue taken by those.
LONG = 2500
#: Seconds that a job lets others pass for each step of its cost.
YIELDS = 0.002
#: Seconds that a step takes, until some were timed.
PACE = 0.0006
#: Seconds between two looks at a queue in which nothing can be begun.
REST = 0.005
DROPPED = "Nobody read this answer, so it was not worked on; ask again and keep the stream open."


class Fair(gr.Blocks):
    """A page whose queue is fair, and closed to those who would go past it."""

    def queue(self, *args: Any, **kwargs: Any) -> Fair:
        """As `gr.Blocks.queue`; no endpoint runs outside of it."""
        super().queue(*args, **{"api_open": False} | kwargs)
        self._queue = FairQueue.like(self._queue)
        return self


@dataclass(frozen=True)
class Turn:
    """How far a job of the queue is.

    Attributes:
        running: whether it has begun.
        ahead: how many are done before it.
        seconds: until it begins, about.
    """

    running: bool
    ahead: int
    seconds: float


class FairQueue(Queue):
    """Gradio's queue in another order.

    Work begins when somebody reads it, and is dropped when nobody does within `GRACE` seconds. Of what waits, the job
    whose waiting time less its cost is highest comes first, and one place is kept free of long jobs.
    """

    readers: Readers
    rest_until: float
    pace: float

    @classmethod
    def like(cls, queue: Queue) -> FairQueue:
        """A queue with another's options."""
        made = cls(
            live_updates=queue.live_updates,
            concurrency_count=queue.max_thread_count,
            update_intervals=queue.update_intervals,
            max_size=queue.max_size,
            blocks=queue.blocks,
            default_concurrency_limit=queue.default_concurrency_limit,
        )
        made.readers, made.rest_until, made.pace = Readers(), 0.0, PACE
        return made

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """As Gradio's.

        Raises:
            HTTPException: 400 for a listener that there is not, 429 for more jobs than a session or an address may
                have; its `detail` is one sentence.
        """
        self.drop_unread()
        listener = self.blocks.fns.get(body.fn_index)
        if listener is None:
            raise HTTPException(400, f"There is no listener {body.fn_index}; open the page anew.")
        wrong = misfit(listener, body.data, body.event_data)
        if wrong:
            return await self._answered(Event(body.session_hash, listener, request, username), wrong)
        refusal = self.refusal(str(body.session_hash or ""), address_of(request))
        if refusal:
            raise HTTPException(429, refusal)
        return await super().push(body, request, username)

    async def _answered(self, job: Event, problem: str) -> tuple[bool, str, str]:
        """Answer a job with a sentence, without working on it; whoever asked reads it like any other answer."""
        session = job.session_hash
        async with self.pending_message_lock:
            if session not in self.pending_messages_per_session:
                self.pending_messages_per_session[session] = asyncio.Queue()
            self.pending_event_ids_session.setdefault(session, set()).add(job._id)
        self.send_message(job, _failure(problem))
        return True, job._id, "success"

    def refusal(self, session: str, address: str) -> str | None:
        """Why a session or an address gets no further job; None if it does."""
        jobs = list(self.jobs())
        own = sum(job.session_hash == session for job in jobs)
        if session and own >= SESSION:
            return f"{own} requests of this page are not answered yet; wait for one of them, then ask again."
        near = [job for job in jobs if address_of(job.request) == address]
        if len(near) >= ADDRESS:
            return f"{len(near)} requests from your network address are not answered yet; ask again in a minute."
        unread = sum(not self.readers.here(job.session_hash) for job in near)
        if unread >= UNREAD and not self.readers.here(session):
            return (
                f"{unread} requests from your network address wait without a reader; read one of their answers first."
            )
        return None

    def jobs(self) -> Iterator[Event]:
        """All jobs that wait or run."""
        for queue in self.event_queue_per_concurrency_id.values():
            yield from queue.queue
        yield from self._running()

    def drop_unread(self) -> None:
        """Take out of the queue what nobody has read for a while; who comes late is told."""
        late = time.monotonic() - GRACE
        for queue in self.event_queue_per_concurrency_id.values():
            for job in [job for job in queue.queue if job.enqueue_time < late]:
                if not self.readers.reads(job.session_hash):
                    queue.queue.remove(job)
                    self.event_ids_to_events.pop(job._id, None)
                    self.send_message(job, _failure(DROPPED))

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """The next job to begin, if there is one; see the class for which it is."""
        now = time.monotonic()
        if now < self.rest_until:
            return None
        self.drop_unread()
        names = list(self.event_queue_per_concurrency_id)
        random.shuffle(names)
        for name in names:
            queue = self.event_queue_per_concurrency_id[name]
            chosen = next(iter(self._ready(queue)), None)
            if chosen is not None:
                queue.queue.remove(chosen)
                return [chosen], False, name
        self.rest_until = now + REST
        return None

    async def process_events(self, events: list[Event], *args: Any, **kwargs: Any) -> None:
        """As Gradio's; times a step of the work."""
        begun, cost = time.monotonic(), cost_of(events[0])
        await super().process_events(events, *args, **kwargs)
        self.pace += 0.1 * ((time.monotonic() - begun) / cost - self.pace)

    def turn(self, session: str, event: str) -> Turn | None:
        """How far a session's newest job of a page's event is; None if it has none.

        Args:
            session: of the page.
            event: what it is called by the component that triggers it.
        """

        def own(job: Event) -> bool:
            return job.session_hash == session and any(name == event for _, name in job.fn.targets)

        for queue in self.event_queue_per_concurrency_id.values():
            mine = next((job for job in reversed(queue.queue) if own(job)), None)
            if mine is not None:
                before = sorted((job for job in queue.queue if self.readers.here(job.session_hash)), key=_rank)
                before = before[: before.index(mine)] if mine in before else before
                return Turn(False, len(before), self._wait(queue, before))
        return Turn(True, 0, 0.0) if any(own(job) for job in self._running()) else None

    def _wait(self, queue: EventQueue, before: list[Event]) -> float:
        """Seconds until the jobs before one are begun or done, about."""
        now = time.time()
        begun = [now - start for starts in queue.start_times_per_fn.values() for start in starts]
        running = [job for job in self._running() if job.concurrency_id == queue.concurrency_id]
        left = sum(map(cost_of, running)) * self.pace - sum(begun)
        ahead = sum(map(cost_of, before)) * self.pace
        return max(1.0, (max(0.0, left) + ahead) / (queue.concurrency_limit or 1))

    def _ready(self, queue: EventQueue) -> list[Event]:
        """What may begin now of a queue, the next one first."""
        limit = queue.concurrency_limit
        if not queue.queue or (limit is not None and queue.current_concurrency >= limit):
            return []
        running = [job for job in self._running() if job.concurrency_id == queue.concurrency_id]
        room = limit is None or sum(map(is_long, running)) < max(1, limit - 1)
        ready = [job for job in queue.queue if self.readers.here(job.session_hash) and (room or not is_long(job))]
        return sorted(ready, key=_rank)

    def _running(self) -> Iterator[Event]:
        for jobs in self.active_jobs:
            yield from jobs or ()


def queue_of(request: gr.Request) -> FairQueue | None:
    """The queue of the page that a listener's request came to, if it is a fair one."""
    scope = getattr(getattr(request, "request", None), "scope", None) or {}
    found = scope["app"].get_blocks()._queue if "app" in scope else None
    return found if isinstance(found, FairQueue) else None


def left(request: gr.Request | None) -> bool:
    """Whether nobody is there any more who would read the answer to a request."""
    queue = queue_of(request) if request is not None else None
    return queue is not None and not queue.readers.here(str(request.session_hash))  # type: ignore[union-attr]


def address_of(request: Any) -> str:
    """The network address that a request comes from."""
    client = getattr(request, "client", None)
    return str(client.host) if client else ""


def is_long(job: Event) -> bool:
    """Whether a job is a long one."""
    return cost_of(job) > LONG


def cost_of(job: Event) -> float:
    """What a job costs, in steps of the sampler for one adapter; a guess from what was asked for."""
    kept = getattr(job, "cost", None)
    if kept is None:
        kept = cost(asked_of(job))
        job.cost = kept  # type: ignore[attr-defined]
    return float(kept)


def cost(asked: Mapping[str, Any]) -> float:
    """What is asked for, in steps: `n` adapters are measured, `samples` only written, of so many `steps`; of a sweep's
    `spec` each."""
    spec = asked.get("spec", asked.get("sweep"))
    if isinstance(spec, Mapping):
        return cost({"steps": spec.get("steps")}) * _product(spec)
    steps = _number(asked.get("steps", 50))
    if "samples" in asked:
        return _number(asked["samples"]) * (steps + PACKING)
    return _number(asked.get("n", 1)) * (steps + MEASURING)


def asked_of(job: Event) -> Json:
    """What a job was asked for, by name: a listener's arguments, and the page's state among them."""
    body = job.data
    if body is None:
        return {}
    named = dict(zip(_names(job.fn.fn)[: len(job.fn.inputs)], body.data, strict=False))
    event = body.event_data if isinstance(body.event_data, dict) else {}
    for whole in (*body.data, event, event.get("state")):
        named |= whole if isinstance(whole, dict) else {}
    return named


def misfit(listener: Any, data: list[Any], event: Any = None) -> str | None:
    """What is wrong with the values of a request, before Gradio looks at them: one sentence, or None.

    Args:
        listener: Gradio's, that they are for.
        data: the values.
        event: what the page tells of the event.
    """
    if _has_file(data) or _has_file(event):
        return "No value here may be a file; send texts, numbers and lists."
    open_to_all = listener.api_visibility == "public"
    if len(data) < len(listener.inputs) or (open_to_all and len(data) > len(listener.inputs)):
        names = ", ".join(_names(listener.fn)[: len(listener.inputs)]) or "nothing"
        wanted = "1 value" if len(listener.inputs) == 1 else f"{len(listener.inputs)} values"
        return f"'{listener.api_name}' takes {wanted} in 'data' ({names}), not {len(data)}."
    return None


def _failure(problem: str) -> ProcessCompletedMessage:
    """A sentence as the answer to a job."""
    return ProcessCompletedMessage(output=error_payload(gr.Error(problem, print_exception=False), False), success=False)


def _has_file(value: Any, depth: int = 0) -> bool:
    """Whether something in a value is what Gradio would take for a file."""
    if depth > 20:
        return False
    if isinstance(value, dict):
        return ("path" in value and "meta" in value) or any(_has_file(part, depth + 1) for part in value.values())
    return isinstance(value, list) and any(_has_file(part, depth + 1) for part in value)


def _rank(job: Event) -> float:
    return job.enqueue_time + YIELDS * cost_of(job)


@lru_cache(maxsize=256)
def _names(function: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters) if function else ()


def _number(value: Any) -> float:
    """A number of a stranger's, at least 1 and of a size that can be worked with."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 1.0
    return min(max(float(value), 1.0), 1e6)


def _product(spec: Mapping[str, Any]) -> float:
    lists = [spec.get(name) for name in ("pairs", "weights", "regimes", "ways")]
    return math.prod(max(1, len(part)) for part in lists if isinstance(part, list)) * _number(spec.get("seeds", 1))
