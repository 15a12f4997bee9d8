"""Those who ask for much, and one who moves the slider: `python tests/measure_flood.py` prints one JSON document.

Eight clients of the API ask for 16 adapters of 200 steps again and again, and read. Then come 200 posts of the live
listener with as much, each of a session of its own, that nobody reads; and 200 of one session. Each time somebody moves
the slider meanwhile, as the page does. A measurement, not a test.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from typing import Any

from measure_app import PORT, spread, wait_for_port
from measure_crowd import BASE, ask, listeners

HEAVY = {"a": "R10", "b": "R12", "t": 0.5, "m": "H", "w": "ours", "seed": 0, "n": 16, "steps": 200, "images": 100}
LIGHT = HEAVY | {"n": 1, "steps": 50, "images": 32}
POSTS, CLIENTS = 200, 8
IDS: list[tuple[int, int]] = []


def post(path: str, content: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON answer of a request."""
    request = urllib.request.Request(BASE + path, json.dumps(content).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")[:200]


def flood(name: str, *, sessions: bool) -> dict[str, int]:
    """200 posts that nobody reads: how often each status came."""
    found: Counter = Counter()
    for index in range(POSTS):
        wish = HEAVY | {"stamp": time.time() * 1000, "seed": index}
        session = f"{name}{index if sessions else ''}"
        base = {"event_data": {}, "trigger_id": None, "session_hash": session, "fn_index": IDS[0][1]}
        found[str(post("queue/join?", base | {"data": [wish, None, None]})[0])] += 1
    return dict(found)


class Beating:
    """A session that is open, as the page keeps it."""

    def __init__(self, session: str) -> None:
        self.stream = urllib.request.urlopen(f"{BASE}heartbeat/{session}", timeout=600)

    def __enter__(self) -> "Beating":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def slide(name: str, times: int) -> dict[str, Any]:
    """Somebody moves the slider so many times: seconds to the complete answer, and how many failed."""
    seconds, failed = [], 0
    with Beating(name):
        for index in range(times):
            begun = time.perf_counter()
            try:
                answer = ask(name, LIGHT | {"t": round(0.05 * (index % 20), 2), "seed": index}, IDS[0])
                done = answer is not None and answer.get("stage") == "done"
            except (urllib.error.HTTPError, TimeoutError):
                done = False
            if done:
                seconds.append(time.perf_counter() - begun)
            else:
                failed += 1
            time.sleep(0.4)
    return {"seconds": spread(seconds) if seconds else None, "failed": failed}


def size() -> int:
    """How many wait in the queue."""
    with urllib.request.urlopen(f"{BASE}queue/status", timeout=60) as answer:
        return int(json.load(answer)["queue_size"])


def client(until: float, index: int, made: Counter) -> None:
    """One client of the API that wants much."""
    while time.time() < until:
        data = ["R10", "R12", 0.5, "H", "ours", index, 200, 16]
        status, told = post("call/generate", {"data": data})
        if status != 200:
            made[f"refused {status}"] += 1
            time.sleep(1)
            continue
        try:
            with urllib.request.urlopen(f"{BASE}call/generate/{told['event_id']}", timeout=300) as stream:
                made["complete" if b"event: complete" in stream.read() else "failed"] += 1
        except (OSError, TimeoutError) as error:
            made[type(error).__name__] += 1


def crowded(seconds: float) -> dict[str, Any]:
    """Eight clients of the API, and somebody who moves the slider."""
    made: Counter = Counter()
    until = time.time() + seconds
    clients = [threading.Thread(target=client, args=(until, index, made), daemon=True) for index in range(CLIENTS)]
    for each in clients:
        each.start()
    time.sleep(3)
    slid = slide("among-clients", 10)
    for each in clients:
        each.join(240)
    return {"slider": slid, "clients": dict(made)}


def measure() -> dict[str, Any]:
    """Start the app and ask too much of it."""
    command = [sys.executable, "-c", "from wildpdiff.cli import main; main()", "serve", "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port()
        time.sleep(40)
        IDS.append(listeners())
        found = {"alone": slide("alone", 10), "eight_clients": crowded(40)}
        for name, sessions in (("many", True), ("one", False)):
            statuses = flood(name, sessions=sessions)
            waiting = size()
            slid = slide(f"after-{name}", 5)
            begun = time.perf_counter()
            while size() and time.perf_counter() - begun < 120:
                time.sleep(0.5)
            left = {"seconds": time.perf_counter() - begun, "waiting": size()}
            found[f"flood_of_{name}"] = {"statuses": statuses, "waiting": waiting, "slider": slid, "then": left}
    finally:
        server.terminate()
        server.wait(20)
    return found


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(json.dumps(measure(), indent=1))
