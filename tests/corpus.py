"""A corpus of what users bring: valid seeds, changed by a seeded generator, and the one rule for what may come of it.

`corpus_files` makes pictures, zips, adapters and metadata of it, `corpus_words` arguments, states, recipes and options;
`test_corpus` brings them in through the doors. The same cases come out in every run, and none is kept as a file.
"""

from __future__ import annotations

import copy
import json
import math
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.ui.page import WRONG

ROOT = Path(__file__).resolve().parents[1]
#: Seconds that one input may take; the slowest takes a tenth of them.
LONGEST = 12.0
#: Letters of a sentence.
LENGTH = 700

#: Names that file systems, archives and browsers carry.
NAMES = (
    "é", "é", "مرحبا", "‮gpj.cod", "名前 の", "a\nb", "tab\there", "\x1b[31mred", "\x00", "\ud800", "\udce9caf", " ",
    "..", "../up", "/etc/passwd", "C:\\x", "con", "%2e%2e%2f", "x" * 255, "y" * 256, "ﬁ", "İ", "a'b\"c",
    "<img src=x onerror=1>", "{0}", "%s", "-x", "~", "*", "a:b", "🦓", "R10\u200b", "R10 ", "r10",
)  # fmt: skip
#: JSON values of any kind where another one belongs.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, 1.0, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf, 2**31, 2**63, 10**30,
    10**400, "", "0", "1e5", "NaN", [], {}, [[]], [None], {"": ""},
    {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, ["R10", "R12"], "z" * 20_000, *NAMES,
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One input: the door that it comes in through, what it is called, and what is done with it.

    `bring` is called in a folder of its own, which is the current one; it returns what came of it, or raises.
    """

    door: str
    name: str
    bring: Callable[[Path], object]


def stream(door: str) -> random.Random:
    """The numbers of a door, the same in every run."""
    return random.Random(f"wildpdiff {door}")


def fault(case: Case, folder: Path) -> str:
    """What is wrong with how an input was answered, or nothing.

    An input is accepted with finite numbers, or refused with one clear sentence; a refusal leaves nothing in `out`.
    """
    folder.mkdir()
    begun = time.perf_counter()
    try:
        with chdir(folder), _no_temporary(folder.parent), _in_time():
            found = not_finite(case.bring(folder))
            told = ""
    except (UserError, gr.Error) as error:
        told = str(error.message if isinstance(error, gr.Error) else error)
        found = unclear(told)
        left = [path.name for path in (folder / "out").rglob("*")] if (folder / "out").is_dir() else []
        found = found or (f"left in the output folder: {left}" if left else "")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        told, found = f"{type(error).__name__}: {error}", "another exception than a user's mistake"
    seconds = time.perf_counter() - begun
    found = found or (f"took {seconds:.1f} s" if seconds > LONGEST else "")
    return f"{case.door} / {case.name}: {found} [{told[:300]!r}]" if found else ""


def unclear(told: str) -> str:
    """What keeps a text from being one clear sentence without a place on the server."""
    if told == WRONG or "Traceback" in told:
        return "a fault of the program"
    if not re.search(r"[.?]$", told) or not told.isprintable():
        return "no sentence"
    if len(told) > LENGTH:
        return f"{len(told)} letters"
    places = (str(Path.home()) + "/", str(ROOT), sys.prefix, tempfile.gettempdir(), "/tmp/", "object at 0x", "<_io.")
    return next((f"names '{place}'" for place in places if place in told), "")


def not_finite(found: object) -> str:
    """Where an answer holds a number that is none, or text that cannot be sent."""
    if isinstance(found, Tensor):
        return "" if not found.is_floating_point() or bool(found.isfinite().all()) else "weights that are not finite"
    try:
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        return f"an answer that is no JSON ({error})"
    return ""


@contextmanager
def _in_time() -> Iterator[None]:
    """End what takes too long."""

    def late(*_: object) -> None:
        raise TimeoutError(f"longer than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _no_temporary(root: Path) -> Iterator[None]:
    """Refuse files that are left in the folder for temporary ones."""
    place, before = root / "temporary", tempfile.tempdir
    place.mkdir(exist_ok=True)
    tempfile.tempdir = str(place)
    try:
        yield
        left = [path.name for path in place.iterdir()]
        if left:
            raise AssertionError(f"left among temporary files: {left}")
    finally:
        tempfile.tempdir = before


def changed_bytes(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """A file with one fault, and what it is called."""
    at, length = rng.randrange(len(data)), len(data)
    kind = rng.choice(
        ("cut", "cut a little", "flip", "flips", "head", "insert", "zeros", "lost", "twice", "swapped", "bom")
    )
    if kind == "cut":
        return f"cut at {at} of {length}", data[:at]
    if kind == "cut a little":
        gone = 1 + at % max(1, min(40, length))
        return f"cut by {gone} of {length}", data[:-gone]
    if kind in ("flip", "flips", "head"):
        own, count = bytearray(data), 1 if kind == "flip" else 1 + rng.randrange(8)
        places = [rng.randrange(min(64, length) if kind == "head" else length) for _ in range(count)]
        for place in places:
            own[place] ^= 1 << rng.randrange(8)
        return f"bits flipped at {sorted(places)}", bytes(own)
    if kind == "insert":
        return f"bytes put in at {at}", data[:at] + rng.randbytes(1 + rng.randrange(40)) + data[at:]
    if kind == "zeros":
        return f"zeros at {at}", data[:at] + bytes(min(200, length - at)) + data[at + 200 :]
    if kind == "lost":
        return f"bytes lost at {at}", data[:at] + data[at + 1 + rng.randrange(60) :]
    if kind == "swapped":
        return f"halves swapped at {at}", data[at:] + data[:at]
    return ("twice", data + data) if kind == "twice" else ("a byte order mark before it", b"\xef\xbb\xbf" + data)


def changed_json(rng: random.Random, document: Any, *, odd: Sequence[Any] = ODD) -> tuple[str, Any]:
    """A document with one fault, and what it is called."""
    own, places = copy.deepcopy(document), list(_places(document))
    path = rng.choice(places)
    parent = own
    for step in path[:-1]:
        parent = parent[step]
    where = ".".join(map(str, path))
    kind = rng.choice(("value", "value", "value", "value", "gone", "renamed", "one more"))
    if kind == "gone":
        del parent[path[-1]]
        return f"without {where}", own
    if kind == "renamed" and isinstance(parent, dict):
        parent[str(path[-1]).upper()] = parent.pop(path[-1])
        return f"{where} in capitals", own
    if kind == "one more":
        if isinstance(parent, dict):
            parent["one more"] = rng.choice(odd)
        else:
            parent.append(copy.deepcopy(parent[path[-1]]))
        return f"one more beside {where}", own
    value = rng.choice(odd)
    parent[path[-1]] = value
    return f"{where} is {str(value)[:20]!r}", own


def _places(document: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all parts of a document; of a long list the first three."""
    parts = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for place, (key, part) in enumerate(parts):
        if place < 3 or isinstance(document, dict):
            yield (*before, key)
            yield from _places(part, (*before, key))


def written_oddly(document: Any) -> dict[str, bytes]:
    """A document in all the ways in which JSON gets written, well or not."""
    text = json.dumps(document)
    inside = text[1:-1]
    return {
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "Latin-1": text.replace("e", "\xe9", 1).encode("latin-1"),
        "lines ending as on Windows": json.dumps(document, indent=1).replace("\n", "\r\n").encode(),
        "nothing": b"",
        "white space": b" \r\n",
        "null": b"null",
        "a number": b"3",
        "a list": f"[{text}]".encode(),
        "a comma at the end": f"{text[:-1]},}}".encode(),
        "every key twice": f"{{{inside},{inside}}}".encode(),
        "a number of 5000 digits": f'{{"digits": {"7" * 5000},{inside}}}'.encode(),
        "not a number": f'{{"digits": NaN,{inside}}}'.encode(),
        "infinity": f'{{"digits": -Infinity,{inside}}}'.encode(),
        "a hundred thousand brackets": b"[" * 100_000,
        "deep inside": (f'{{"deep": {"[" * 5000}{"]" * 5000},{inside}}}').encode(),
        "a control character": f'{{"bell": "\x07",{inside}}}'.encode(),
        "half a letter": f'{{"half": "\\ud800",{inside}}}'.encode(),
        "two documents": f"{text}\n{text}".encode(),
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "a comment": f"// {{\n{text}".encode(),
        "single quotes": text.replace('"', "'").encode(),
    }


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Numbers like weights."""
    return 0.01 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
