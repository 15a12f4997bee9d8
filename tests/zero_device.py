"""A stand-in for the server that lends graphics cards to Spaces, and a process that asks it; for test_zero.

Run as a program, `python tests/zero_device.py BUNDLE` prints one JSON document: what a writer on ZeroGPU did at each
kind of answer. It must be a process of its own, since `spaces` changes PyTorch for good.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

LENT = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "none", "allowToken": "token"}
REFUSED = {"quota": {"left": 3, "wait": 100}, "too long": {"left": 3, "wait": -1}}
#: Where no server is.
AWAY = "http://127.0.0.1:9/"
#: What the server answers, one after the other; at the first it is not there.
ANSWERS = ("away", "quota", "too long", "killed", "lent")


class Device(BaseHTTPRequestHandler):
    """Answers like the real one, as far as `spaces` asks here; it notes what it was asked."""

    answer = "lent"
    asked: list[tuple[str, dict[str, list[str]]]] = []  # noqa: RUF012 - one list for all requests

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        wanted = parse_qs(parts.query)
        self.asked.append((parts.path, wanted))
        refused = REFUSED.get(self.answer) if parts.path == "/schedule" else None
        if parts.path == "/allow" and self.answer == "killed":
            os.kill(int(wanted["pid"][0]), signal.SIGKILL)
        self._send(429 if refused else 200, refused or LENT)

    def _send(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def opened() -> str:
    """Start the server; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Device)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def main(folder: Path) -> dict[str, Any]:
    """What a writer did."""
    os.environ |= {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": AWAY}
    from wildpdiff.studio import zero

    began = zero.begin()
    import spaces.config
    import spaces.zero.torch
    import torch

    from wildpdiff.bundle import Bundle

    # The forked process has no card to start here; what it would do there is done on the CPU.
    spaces.zero.torch.init = spaces.zero.torch.move = lambda *args, **kwargs: None
    torch.set_num_threads(2)
    large = torch.randn(1500, 1500)
    large @ large  # starts the threads that a forked process does not have
    zero.WORTH, bundle, server = 4, Bundle.open(folder), opened()
    write, ends = zero.gpu_writer(bundle, "cpu"), torch.stack([bundle.embedding(name) for name in ("R10", "R12")])
    first, last = (end.expand(2, -1) for end in ends)
    own = bundle.generator("H").generate(first, other=last, weight=0.3, steps=2, seed=3)
    told: dict[str, Any] = {"began": began, "cuda": torch.cuda.is_available(), "at": {}}
    for answer in ANSWERS:
        Device.answer = answer
        spaces.config.Config.zero_device_api_url = AWAY if answer == "away" else server
        rows, note = write(ends.numpy(), 0.3, 2, 2, 3, "H", "ours")
        same = rows is not None and bool(torch.allclose(torch.from_numpy(rows), own, atol=1e-4))
        told["at"][answer] = {"written": rows is not None, "same": same, "note": note}
    told["durations"] = [int(wanted["durationSeconds"][0]) for path, wanted in Device.asked if path == "/schedule"]
    before = len(Device.asked)
    small = write(ends.numpy(), 0.3, 3, 1, 3, "H", "ours")
    return told | {"small": [small[0] is None, small[1]], "asked_for_small": len(Device.asked) - before}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
