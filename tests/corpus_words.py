"""The words of the corpus: arguments of the API, states of the page, recipes, options, choices of p-diff."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from corpus import NAMES, ODD, changed_json, stream, written_oddly

BLEND: dict[str, Any] = {"a": "R10", "b": "R12", "weight": 0.5, "regime": "H", "way": "ours"}
SWEEP: dict[str, Any] = {
    "pairs": [["R10", "R12"]], "weights": [0, 1], "seeds": 1, "regimes": ["H"], "ways": ["ours"], "steps": 1,
    "images": 1,
    "seed": 0,
}  # fmt: skip
#: A good question to each endpoint that takes arguments.
ASKED: dict[str, dict[str, Any]] = {
    "precomputed": BLEND,
    "generate": BLEND | {"seed": 1, "steps": 1, "samples": 1},
    "evaluate": BLEND | {"seed": 1, "steps": 1, "location": "R12", "images": 1},
    "evaluate_file": {"adapter": "UEs=", "location": "R10", "images": 1},
    "similarity": {"a": "R10", "b": "R12", "regime": "H", "layer": 1},
    "map": {"regime": "H", "view": "ruler", "a": "R10", "b": "R12"},
    "sweep": {"spec": SWEEP},
    "unseen": {"image": "UEs="},
}
#: The page's state, as its address and its controls make it.
STATE: dict[str, Any] = {
    "a": "R10", "b": "R12", "t": 0.5, "m": "H", "w": "ours", "seed": 3, "n": 1, "steps": 1, "images": 1, "stamp": 5,
}  # fmt: skip


#: What each part of the page is told by the browser, and how many changed messages are tried.
MESSAGES: dict[str, tuple[dict[str, Any], int]] = {
    "state": (STATE, 30),
    "stamp": (STATE, 5),
    "download": (STATE, 10),
    "watch": ({"state": STATE, "stamp": 9}, 12),
    "price": ({"sweep": SWEEP, "stamp": 1}, 25),
    "sweep": ({"sweep": SWEEP, "stamp": 1}, 12),
    "code": ({"state": STATE, "stamp": 1}, 15),
    "changed": (STATE, 12),
    "pictures": ({"keys": ["R10:1", "R12:0"]}, 15),
    "surprise": ({"seed": 4}, 10),
    "words": ({"text": "green hills at dusk", "state": STATE}, 20),
    "example": ({"name": "R10", "state": STATE}, 10),
    "again": ({"name": "own-1", "state": STATE}, 10),
    "remove": ({"name": "own-1"}, 8),
    "upload": ({"data": "UEs=", "size": 2, "state": STATE}, 15),
    "arrived": ({"path": "x/y.zip"}, 10),
    "p-diff": ({"system": "mlp-mini", "count": 1, "seed": 0, "stamp": 1}, 15),
    "p-diff choice": ({"system": "mlp-mini", "stamp": 1}, 8),
}


def questions() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """An endpoint, what is odd about a question, and its arguments."""
    rng = stream("questions")
    for endpoint, good in ASKED.items():
        yield endpoint, "good", good
        for name in good:
            for value in rng.sample(ODD, 5):
                yield endpoint, f"{name} is {str(value)[:20]!r}", {**good, name: value}
    for _ in range(45):
        what, own = changed_json(rng, SWEEP)
        yield "sweep", what, {"spec": own}


def states(good: Mapping[str, Any], name: str, count: int) -> Iterator[tuple[str, Any]]:
    """States and messages of the page as a hostile or an old browser sends them."""
    rng = stream(name)
    yield "good", good
    for value in (None, [], 5, "text", {}, {"stamp": "now"}, {"stamp": float("nan")}):
        yield f"{value!r} for all of it", value
    for place in range(count):
        what, own = changed_json(rng, good)
        yield f"{what} ({place})", own


#: Specs of worlds that are none.
WORLDS: tuple[dict[str, Any], ...] = (
    {}, {"kind": []}, {"kind": "base"}, {"kind": "sheet"}, {"kind": "../savanna"}, {"kind": "coco"}, {"kind": "stored"},
    {"kind": "savanna", "config": {}}, {"kind": "savanna", "config": {"size": -1}}, {"kind": "savanna", "more": 1},
    {"kind": "savanna", "config": {"size": 10**9}}, {"kind": "savanna", "config": {"shift": float("nan")}},
    {"kind": "coco", "metadata": "a\0b", "images": "."}, {"kind": "coco", "metadata": 3, "images": None},
    {"kind": "coco", "metadata": "absent.json", "images": ".", "species": [3]},
    {"kind": "coco", "metadata": "absent.json", "images": ".", "species": ["zebra"], "size": "large"},
)  # fmt: skip


def recipes(good: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Recipe files: of other kinds, and of the right kind but out of range."""
    rng = stream("recipes")
    yield "good", json.dumps(good).encode()
    yield from written_oddly(good).items()
    for place in range(60):
        what, own = changed_json(rng, good)
        yield f"{what} ({place})", json.dumps(own).encode("utf-8", "surrogatepass")
    numbers = [path for path, value in _leaves(good) if isinstance(value, int | float) and not isinstance(value, bool)]
    for path in numbers:
        value = rng.choice((-1, 0, -5, 10**9, 10**30))
        yield f"{'.'.join(path)} is {value}", json.dumps(_with(good, path, value)).encode()
    for path in (path for path, value in _leaves(good) if isinstance(value, float)):
        for value in rng.sample((float("nan"), float("inf"), -1e300, 1e300), 2):
            yield f"{'.'.join(path)} is {value}", json.dumps(_with(good, path, value)).encode()
    for key in ("seen", "unseen", "pretraining"):
        for value in ([], ["R10", "R10"], ["../up", "R10"], [""], ["R10\n"], ["Z99"], list(NAMES[:4])):
            yield f"{key} is {str(value)[:30]}", json.dumps({**good, key: value}).encode("utf-8", "surrogatepass")
    for world in WORLDS:
        yield f"world is {str(world)[:60]}", json.dumps({**good, "world": world}).encode()


def _leaves(document: Any, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, part in document.items():
        if isinstance(part, Mapping):
            yield from _leaves(part, (*before, key))
        else:
            yield (*before, key), part


def _with(document: Mapping[str, Any], path: tuple[str, ...], value: Any) -> Any:
    own: Any = copy.deepcopy(document)
    part = own
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return own


#: Commands that end at once if all is right, by name: their arguments, `OUT` for what they write.
GENERATE = ("generate", "--location", "R10", "--steps", "1", "--out", "out", "--device", "cpu", "--bundle", "BUNDLE")
COMMANDS: dict[str, tuple[str, ...]] = {
    "generate": GENERATE,
    "evaluate": ("evaluate", "--locations", "R10", "--samples", "1", "--device", "cpu", "--bundle", "BUNDLE"),
    "sweep": ("sweep", "--pairs", "R10:R12", "--weights", "0", "--steps", "1", "--images", "1", "--out", "out/s.csv",
              "--bundle", "BUNDLE"),
    "world": ("world", "--out", "out/sheet.png", "--by", "location", "--height", "32", "--columns", "1", "--bundle",
    "BUNDLE"),
    "zoo": ("zoo", "--out", "out", "--rows", "0", "--bundle", "BUNDLE"),
    "reproduce": ("reproduce", "nothing", "--out", "out", "--bundle", "BUNDLE"),
    "recipe": ("recipe", "smoke"),
    "train": ("train", "--recipe", "nothing", "--out", "out"),
    "pdiff": ("pdiff", "--network", "mlp-mini", "--parameters", "nothing", "--size", "8", "--out", "out"),
    "doctor": ("doctor", "nothing"),
    "export": ("export", "--adapter", "none", "--format", "timm", "--out", "out/n.safetensors", "--photographs", "1",
               "--bundle", "BUNDLE"),
    "data": ("data", "inspect", "nothing", "--images", "nothing", "--boxes", "nothing", "--columns", "path=a"),
    "serengeti": ("data", "serengeti", "--base-url", "http://127.0.0.1:1/", "--species", "zebra", "--locations", "2",
                  "--each", "1", "--mirror", "gcp", "--connections", "2", "--metadata", "file", "--root", "out"),
    "name": ("data", "name", ".", "--form", "megadetector", "--out", "out/n.json", "--adapter", "none", "--images", ".",
             "--bundle", "BUNDLE"),
    "push": ("push", "--dry-run", "--bundle", "BUNDLE", "--repo", "me/tiny"),  # in no case without --dry-run
}  # fmt: skip
#: Repositories of the hub that there cannot be; one that there could be is asked for, and never here.
REPOSITORIES = (
    "hf-hub:", "hf-hub:a", "hf-hub:a/b/c", "hf-hub:../x", "hf-hub:a/b@ ", "hf-hub:\udce9/x", "hf-hub:a/b@\n",
    "hf-hub:~/x",
)  # fmt: skip
#: Texts that are typed for numbers, names and files.
TYPED = (
    "", " ", "-1", "0", "1e9", "nan", "inf", "-inf", "99999999999999999999", "0x10", "½", "R10,", ",", ":", "R10:R10",
    "--", "../up", "absent/x", ".", "a\nb", "é", "\udce9", "\u202eR10", "z" * 300, "folder", "file", "link", "loop",
    "all", "L", "1.5", "true", "R10:R12:R10", "0.5,0.5", "2",
)  # fmt: skip


#: Values of `generate`'s options that do not fit, or hardly do.
OPTIONS: dict[str, tuple[str, ...]] = {
    "--weight": ("nan", "2", "-0.1"),
    "--seed": ("-1", "99999999999999999999", "2147483648"),
    "--eta": ("nan", "-1", "inf", "5"),
    "--samples": ("0", "-3"),
    "--regime": ("X", "", "h"),
    "--way": ("theirs", "weights"),
    "--background": ("file", "folder", "absent", "loop", "link", "\udce9.jpg", "z" * 300, ".", ""),
    "--blend-with": ("Z99", "", "R10"),
    "--steps": ("0", "-1", "100000000"),
    "--device": ("tpu", "cuda:9"),
}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Commands with one argument exchanged, and with one too few or too many."""
    rng = stream("commands")
    for name, typed in COMMANDS.items():
        yield f"{name}, as it is", list(typed)
        places = [place for place, word in enumerate(typed) if place and not word.startswith("--") and word != "cpu"]
        for place in places:
            for value in rng.sample(TYPED, 5):
                yield f"{name}, {typed[place - 1]} {value[:20]!r}", [*typed[:place], value, *typed[place + 1 :]]
        yield f"{name}, without the last word", list(typed[:-1])
        yield f"{name}, one word more", [*typed, "more"]
    for value in REPOSITORIES:
        yield f"generate, {value!r}", [*GENERATE, "--bundle", value]
        yield f"push to {value!r}", [*COMMANDS["push"], "--repo", value]
    for option, values in OPTIONS.items():
        for value in values:
            yield f"generate, {option} {value[:20]!r}", [*GENERATE, option, value]
            if option != "--background":
                yield f"generate, {option} {value[:20]!r} in a blend", [*GENERATE, "--blend-with", "R12", option, value]


#: Networks, choices of parameters, data and sizes as somebody types them.
NETWORKS = (
    "mlp-mini", "MLP-MINI", "mlpmini", "resnet-mini", "resnet9999", "", " ", "own.py:make", "own.py:fails",
    "own.py:absent", "own.py:three", "own.py:no_network", "own.py:", ":make", "absent.py:make", "folder.py:make",
    "json:loads", "os:getcwd", "a b:c", "..:x", "broken.py:make", "exits.py:make", "é.py:x", "\x00", "../x",
    "hf-hub:a/b", "local-dir:.", "z" * 300, "vit_base_patch16_224", "mlp-mini:", "own.py:nan", "own.py:wordy",
)  # fmt: skip
CHOICES = (
    "all", "last", "last:2", "norms", "lora", "lora:2", "last:0", "last:-1", "last:99", "last:x", "lora:0",
    "lora:99999999999999999", "norms:3", "all:1", "", " ", "(", "[", "a{99999999}", "(?P<x>", "weight", ".*",
    "nothing", "é", "z" * 300, "last:²", "last:٣", "fc\\d", "*", "(a+)+$",
)  # fmt: skip
DATA = (
    "digits", "pictures", "split", "empty", "one", "few", "broken", "file", "link", "loop", "absent", "", ".",
    "cifar11", "nested", "large", "mixed", "other", "DIGITS", "z" * 300, "\x00", "text",
)  # fmt: skip
SIZES = (-1, 0, 7, 8, 12, 10**9)
