"""Thirty people moving sliders: `python tests/measure_crowd.py [--people 30 --minutes 5]` prints one JSON document.

Each person talks to the running app as its page does: notes a wish, asks, reads the frames, and often wishes for
something else before the answer is complete. Every complete answer is compared with what the same setting gave to one
person alone. Meanwhile one real browser moves its slider and times its first frames. A measurement, not a test.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from measure_app import ARGUMENTS, DRAWN, PORT, PRESS, spread, wait_for_port
from playwright.sync_api import sync_playwright

BASE = f"http://127.0.0.1:{PORT}/gradio_api/"
PAIRS = (("R10", "R12"), ("U11", "Q08"), ("M08", "D09"), ("S09", "U13"))
WAYS = ("LMHHML" * 2, ("ours", "paper") * 6)
SETTINGS = [
    {"a": a, "b": b, "t": t, "m": m, "w": w, "seed": 0, "n": 1, "steps": 50, "images": 32}
    for (a, b), t, m, w in zip(PAIRS * 3, (0.1, 0.3, 0.5, 0.7, 0.9, 0.0) * 2, *WAYS, strict=True)
]


def post(path: str, content: dict[str, Any]) -> Any:
    """The JSON answer to a JSON request."""
    request = urllib.request.Request(BASE + path, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def listeners() -> tuple[int, int]:
    """Numbers of the page's listeners that note a wish and that answer it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/config") as answer:
        config = json.load(answer)
    events = {event: each["id"] for each in config["dependencies"] for _, event in each["targets"]}
    return int(events["note"]), int(events["ask"])


def ask(session: str, setting: dict[str, Any], ids: tuple[int, int], *, leave: float | None = None) -> Any:
    """Wish and read until the answer is complete; with `leave`, wish for the next thing after so many seconds."""
    wish = setting | {"stamp": time.time() * 1000}
    base = {"event_data": {}, "trigger_id": None, "session_hash": session}
    post("run/predict", base | {"data": [wish], "fn_index": ids[0]})
    post("queue/join?", base | {"data": [wish, None, None], "fn_index": ids[1]})
    if leave is not None:
        newer = wish | {"stamp": wish["stamp"] + 1000 * leave}
        threading.Timer(leave, post, ("run/predict", base | {"data": [newer], "fn_index": ids[0]})).start()
    with urllib.request.urlopen(f"{BASE}queue/data?session_hash={session}", timeout=300) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                message = json.loads(line[5:])
                if message["msg"] == "process_completed":
                    if not message["success"]:
                        return {"stage": "failed", "problem": str(message)}
                    told = (message["output"].get("data") or [None])[0]
                    return json.loads(told) if isinstance(told, str) else None
                if message["msg"] == "close_stream":
                    return None
    return None


def numbers(answer: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on who else is there."""
    return {"live": answer["live"], "alike": answer["alike"]}


def person(index: int, until: float, ids: tuple[int, int], right: list[Any], found: Counter, waits: list) -> None:
    """One visitor until the time is over."""
    rng, session = random.Random(index), f"person{index}"
    while time.time() < until:
        place, begun = rng.randrange(len(SETTINGS)), time.perf_counter()
        leave = rng.uniform(0.1, 2.0) if rng.random() < 0.6 else None
        try:
            answer = ask(session, SETTINGS[place], ids, leave=leave)
        except OSError as error:
            found[f"error {type(error).__name__}"] += 1
            continue
        if answer is None or answer.get("stage") in (None, "written", "measuring"):
            found["left early"] += 1
        elif answer["stage"] != "done":
            found["failed"] += 1
        else:
            found["right" if numbers(answer) == right[place] else "WRONG"] += 1
            waits.append(time.perf_counter() - begun)
        time.sleep(rng.uniform(0.2, 1.5))


def memory(process: int) -> float:
    """Resident megabytes of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(people: int, minutes: float) -> dict[str, Any]:
    """Start the app and let a crowd in."""
    command = [sys.executable, "-c", "from wildpdiff.cli import main; main()", "serve", "--port", str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found: Counter = Counter()
    waits: list[float] = []
    frames: list[float] = []
    sizes: list[float] = []
    try:
        wait_for_port()
        time.sleep(40)
        ids = listeners()
        right = [numbers(ask(f"alone{place}", setting, ids)) for place, setting in enumerate(SETTINGS)]
        until = time.time() + 60 * minutes
        crowd = [
            threading.Thread(target=person, args=(index, until, ids, right, found, waits)) for index in range(people)
        ]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{PORT}")
            page.wait_for_function(DRAWN, timeout=120_000)
            for each in crowd:
                each.start()
            while time.time() < until:
                key = "ArrowRight" if len(frames) // 10 % 2 == 0 else "ArrowLeft"
                page.locator("#blend").focus()
                page.evaluate(
                    f"key => {{ window.measured = ({PRESS.replace('times.length === 2', 'times.length')})(key) }}", key
                )
                page.keyboard.press(key)
                frames.append(page.evaluate("() => window.measured")[0])
                sizes.append(memory(server.pid))
                page.wait_for_timeout(1500)
            browser.close()
        for each in crowd:
            each.join()
    finally:
        server.terminate()
    quarter = max(1, len(sizes) // 4)
    megabytes = {"first_quarter": max(sizes[:quarter]), "last_quarter": max(sizes[-quarter:])}
    report = {"people": people, "minutes": minutes, "answers": dict(found), "first_frame_milliseconds": spread(frames)}
    return report | {"answer_seconds": spread(waits) if waits else {}, "megabytes": megabytes}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=5)
    given = parser.parse_args()
    print(json.dumps(measure(given.people, given.minutes)))
