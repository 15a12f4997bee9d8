"""What users bring, by the hundreds: accepted with finite numbers, or refused in one clear sentence."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from corpus import Case, changed_bytes, changed_json, fault, noise, stream, written_oddly
from corpus_files import (
    adapter_zips,
    adapters,
    documents,
    photo_zips,
    picture_seeds,
    pictures,
    saved,
    scene,
    surveys,
    zipped,
)
from corpus_words import CHOICES, DATA, MESSAGES, NETWORKS, SIZES, STATE, commands, questions, recipes, states
from pdiff_folder import OWN, TINY
from typer.main import get_command

from wildpdiff import cli
from wildpdiff import manifest as manifests
from wildpdiff.build import stages
from wildpdiff.build.recipes import SMOKE, recipe_of
from wildpdiff.bundle import Bundle
from wildpdiff.condition.source import check_clip
from wildpdiff.errors import UserError
from wildpdiff.export.adapted import Adapted
from wildpdiff.files import sha256
from wildpdiff.generate import Request, write_adapters
from wildpdiff.generator import kept as generators
from wildpdiff.labelled import open_archive
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.peft_folder import load_peft
from wildpdiff.pdiff.choice import subset_of
from wildpdiff.pdiff.doctor import examine
from wildpdiff.pdiff.networks import network_of
from wildpdiff.pdiff.order import Order
from wildpdiff.pdiff.sources import pictures_of
from wildpdiff.pdiff.system import System
from wildpdiff.picture import read_frame, read_picture
from wildpdiff.studio.api.endpoints import Answers
from wildpdiff.studio.api.lookups import Lookups
from wildpdiff.studio.labelled import reading
from wildpdiff.studio.peft_zip import CONFIG, WEIGHTS, unpack
from wildpdiff.studio.results import table
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.upload import Strangers
from wildpdiff.survey.inspect import inspect
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.told import as_text
from wildpdiff.ui import page as pages
from wildpdiff.ui.api import Api
from wildpdiff.ui.changed import Changed, Flips
from wildpdiff.ui.frame import Frame
from wildpdiff.ui.invent import Invent
from wildpdiff.ui.labelled import OwnPhotos
from wildpdiff.ui.page import Page
from wildpdiff.ui.pdiff import Hall, PDiff
from wildpdiff.ui.probe import Probe
from wildpdiff.ui.upload import Stranger
from wildpdiff.ui.watch import Watch
from wildpdiff.worlds.coco import CocoWorld

#: A visitor, as Gradio hands one on.
VISITOR: Any = SimpleNamespace(session_hash="corpus")
Cases = Iterator[Case]


@dataclass(frozen=True)
class House:
    """What the doors lead to: a tiny bundle, in a folder that may be linked from, its studio and its page."""

    folder: Path
    studio: Studio
    root: Path

    @property
    def page(self) -> Page:
        """The page's parts are tried without their layout."""
        wish: Any = None
        return Page(self.studio, wish, wish)

    @cached_property
    def api(self) -> Api:
        """The endpoints."""
        lookups = Lookups(self.studio)
        return Api(lookups, Answers(lookups))


@pytest.fixture(scope="module")
def house(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    from tiny_bundle import _curves, store

    root = tmp_path_factory.mktemp("corpus")
    store(linked(tiny_bundle, root / "bundle"), "curves", _curves())
    studio = Studio.open(root / "bundle")
    drawn = studio.images
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(root / "gradio"))
        for module in (manifests, generators):
            patch.setattr(module, "sha256", checksum)
        loaded = cache(Backbone.load)  # the same for all: no case changes it
        patch.setattr(Backbone, "load", lambda path: loaded(path.resolve()))
        patch.setattr(studio, "images", lambda location, count: drawn(location, min(count, 4)))
        yield House(root / "bundle", studio, root)


@cache
def _of_original(path: Path) -> str:
    return sha256(path)


def checksum(path: Path) -> str:
    """As `files.sha256`, once for all links to one file."""
    return _of_original(path.resolve()) if path.is_symlink() else sha256(path)


def linked(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle's folder whose files are links."""
    for path in bundle.rglob("*"):
        if path.is_file():
            own = folder / path.relative_to(bundle)
            own.parent.mkdir(parents=True, exist_ok=True)
            own.symlink_to(path.resolve())
    return folder


def event(data: Any) -> Any:
    """What a browser sends, as Gradio hands it on."""
    return SimpleNamespace(_data=data)


def last_of(messages: Iterable[Any]) -> Any:
    """The last of a listener's frames; a problem that it tells counts as a refusal."""
    found: Any = None
    for found in messages:
        json.dumps(found, default=str, allow_nan=False)
        first = found[0] if isinstance(found, list | tuple) else found
        first = json.loads(first) if isinstance(first, str) else first
        if isinstance(first, dict):
            for own in (first, first.get("price"), first.get("progress")):
                problem = own.get("problem") if isinstance(own, dict) else None
                problem = problem.get("text") if isinstance(problem, dict) else problem
                if problem or (isinstance(own, dict) and (own.get("ok") is False or own.get("state") == "failed")):
                    raise UserError(problem or own["text"])
                if isinstance(own, dict) and own.get("stage") == "failed":
                    raise UserError(own.get("read") or own["text"])
    return json.loads(json.dumps(found, default=str))


# --- the doors


def picture_cases(house: House) -> Cases:
    """Every picture through both readers, and through one of the doors in turn."""
    stranger = Stranger(house.page, Strangers(house.studio), "picture")

    def read(folder: Path, data: bytes) -> object:
        return read_picture(data, size=64).pixels

    def shrunk(folder: Path, data: bytes) -> object:
        (folder / "a.jpg").write_bytes(data)
        return read_frame(folder / "a.jpg", 32, 32).pixels

    def page(folder: Path, data: bytes) -> object:
        sent = {"data": base64.b64encode(data).decode(), "size": len(data), "state": STATE}
        return last_of(itertools.islice(stranger.read(event(sent), VISITOR), 1))

    def api(folder: Path, data: bytes) -> object:
        return house.api.unseen("data:image/png;base64," + base64.urlsafe_b64encode(data).decode())

    def command(folder: Path, data: bytes) -> object:
        (folder / "a.png").write_bytes(data)
        request = Request(None, None, 0.5, Path("a.png"), 1, 0, 1)
        return write_adapters(house.studio.bundle, request, Path("out"))

    # How often each is tried: the first always, the others by turns.
    doors = {"library": (read, 1, 0), "data set": (shrunk, 3, 0), "page": (page, 3, 1), "API": (api, 3, 2)}
    doors["command line"] = (command, 20, 7)
    for place, (name, data) in enumerate(pictures()):
        for door, (bring, every, first) in doors.items():
            if place % every == first:
                yield Case(f"picture, {door}", name, lambda folder, bring=bring, data=data: bring(folder, data))


def photo_cases(house: House) -> Cases:
    """Zips of labelled photographs, as the page reads them."""
    part = OwnPhotos(house.page)
    species = house.studio.bundle.world.species

    def bring(folder: Path, data: bytes) -> object:
        path = (
            Path(os.environ["GRADIO_TEMP_DIR"]) / ("0" * 64) / f"{'a' * 8}-{'b' * 4}-{'c' * 4}-{'d' * 4}-{'e' * 12}.zip"
        )
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        try:
            frames = list(part.read(None, event({"path": str(path)}), VISITOR))
            assert not path.parent.exists(), "the zip is still there"
            last_of([frames[-1][2]])
            images, said = frames[-1][0], frames[-1][2]["read"]
            archive = open_archive(data, species)
            *_, found = reading(archive, 16)
            assert len(images) + len(found.problems) == len(archive.members), "photographs vanished"
            assert bool(found.problems) == ("left out" in said) and bool(archive.unknown or archive.others) == (
                "Skipped" in said
            )
            return said
        finally:
            shutil.rmtree(path.parent, ignore_errors=True)

    for name, data in photo_zips():
        yield Case("zip of photographs", name, lambda folder, data=data: bring(folder, data))


def adapter_cases(house: House) -> Cases:
    """Adapters as folders for the library and as zips for the API; each is read by both alike."""
    backbone = house.studio.bundle.backbone
    named = backbone.layout.unpack(noise(backbone.layout.dim))

    def read(folder: Path, config: bytes, weights: bytes) -> object:
        (folder / "mine").mkdir()
        (folder / "mine" / CONFIG).write_bytes(config)
        (folder / "mine" / WEIGHTS).write_bytes(weights)
        return load_peft(backbone, folder / "mine")

    def exported(folder: Path, config: bytes, weights: bytes, card: bytes) -> object:
        (folder / "mine").mkdir()
        for name, content in ((CONFIG, config), (WEIGHTS, weights), ("README.md", card)):
            (folder / "mine" / name).write_bytes(content)
        return Adapted.of(house.studio.bundle, str(folder / "mine")).row

    def measured(folder: Path, data: bytes) -> object:
        assert bool(unpack(data, backbone).isfinite().all())
        return house.api.evaluate_file(base64.encodebytes(data).decode(), "R10", 2)

    for place, (name, config, weights) in enumerate(adapters(named)):
        yield Case("adapter, folder", name, lambda folder, one=config, two=weights: read(folder, one, two))
        if place % 3 == 1:
            card = (b"- classifier: x, weights 0123456789ab", b"\xff- a: b", b"- : \n- a: ")[place // 3 % 3]
            yield Case("adapter, export", name, lambda folder, own=(config, weights, card): exported(folder, *own))
        if place % 3 == 0:
            data = zipped({f"a/{CONFIG}": config, f"a/{WEIGHTS}": weights})
            yield Case("adapter, API", name, lambda folder, data=data: measured(folder, data))
    _, config, weights = next(adapters(named))
    for name, data in adapter_zips(config, weights):
        yield Case("adapter, zip", name, lambda folder, data=data: measured(folder, data))


def metadata_cases(house: House) -> Cases:
    """Metadata of a data set, opened and looked at."""
    photo = saved(scene(), "JPEG")

    def bring(folder: Path, data: bytes) -> object:
        for place in range(12):
            (folder / f"R{place % 2}").mkdir(exist_ok=True)
            (folder / f"R{place % 2}" / f"{place}.jpg").write_bytes(photo)
        (folder / "set.json").write_bytes(data)
        world = CocoWorld.open(folder / "set.json", folder, species=["zebra"], size=16, eval_share=0.3)
        for name in world.locations:
            for split in ("train", "eval"):
                try:
                    world.images(name, split)
                except UserError as error:
                    assert "has no" in str(error) or "can be read" in str(error), error
        told = [*world.notes, world.about]
        assert (world.skipped > 0) == any("cannot be read" in note for note in told)
        assert (world.left_out > 0) == any("left out" in note and "cannot be read" not in note for note in told)
        assert all(note.isprintable() and note.endswith(".") for note in told), told
        return [world.locations, world.left_out, world.skipped]

    for name, data in documents():
        yield Case("metadata", name, lambda folder, data=data: bring(folder, data))


def survey_cases(house: House) -> Cases:
    """What camera traps and their tools write down, looked through."""

    def look(folder: Path, name: str, data: bytes) -> object:
        (folder / name).write_bytes(data)
        found = inspect(open_survey(folder / name))
        assert all(line.isprintable() for line in as_text(found).splitlines())
        return found.to_json()

    for what, name, data in surveys():
        yield Case("survey", what, lambda folder, name=name, data=data: look(folder, name, data))


def question_cases(house: House) -> Cases:
    """Arguments of every endpoint."""
    for endpoint, name, values in questions():
        ask = getattr(house.api, endpoint)
        yield Case(f"API, {endpoint}", name, lambda folder, ask=ask, values=values: _plain(ask(**values)))


def _plain(answer: Any) -> Any:
    """An answer without the file that Gradio serves."""
    return {key: value for key, value in answer.items() if key != "file"}


def page_cases(house: House) -> Cases:
    """States and messages of the page."""
    page, bundle = house.page, house.studio.bundle
    nothing: Any = [None] * 3
    frame, watch, probe, changed, places = Frame(page), Watch(page), Probe(page), Changed(page), Invent(page)
    words, pictured = (Stranger(page, Strangers(house.studio), kind) for kind in ("words", "picture"))
    photos, digits = OwnPhotos(page), PDiff(page)
    probe.files, changed.flips, digits.hall = nothing, Flips(house.studio), Hall(bundle)
    knobs = places.way.values_of(places.way.like("R10")) | {"stamp": 1}
    hear: dict[str, Callable[[Any], Any]] = {
        "state": lambda own: last_of(frame.run(own, None, VISITOR)),
        "stamp": lambda own: frame.note(own, VISITOR),
        "download": lambda own: [str(one) for one in frame.offer(own, VISITOR)],
        "watch": lambda own: last_of(watch.run(VISITOR, event(own))),
        "price": lambda own: last_of([probe.price(event(own))]),
        "sweep": lambda own: last_of(probe.run(event(own), VISITOR)),
        "code": lambda own: last_of([probe.show_code(event(own), VISITOR)]),
        "changed": lambda own: last_of(changed.compare(own, VISITOR)),
        "pictures": lambda own: last_of(changed.draw(event(own), VISITOR)),
        "knobs": lambda own: last_of([places.draw_quick(own)]),
        "invented": lambda own: last_of([places.used("a", own, VISITOR)[0]]),
        "surprise": lambda own: last_of([places.draw_surprise(event(own))]),
        "words": lambda own: last_of(words.read(event(own), VISITOR)),
        "example": lambda own: last_of(pictured.read(event(own), VISITOR)),
        "again": lambda own: last_of(pictured.again(event(own), VISITOR)),
        "remove": lambda own: pictured.remove(event(own), VISITOR),
        "upload": lambda own: last_of(pictured.read(event(own), VISITOR)),
        "arrived": lambda own: last_of([next(photos.read(None, event(own), VISITOR))[2]]),
        "p-diff": lambda own: last_of(digits.run(VISITOR, event(own))),
        "p-diff choice": lambda own: last_of([digits.choose(event(own))]),
    }
    for part, (good, count) in (MESSAGES | {"knobs": (knobs, 30), "invented": (knobs, 10)}).items():
        for name, own in states(good, part, count):
            yield Case(f"page, {part}", name, lambda folder, part=part, own=own: hear[part](own))


def place_cases(house: House) -> Cases:
    """Folders, links and odd names where files are expected, and files where folders are."""
    backbone = house.studio.bundle.backbone
    readers: dict[str, Callable[[Path], object]] = {
        "picture": lambda path: read_picture(path).pixels,
        "photograph": lambda path: read_frame(path, 32).pixels,
        "adapter": lambda path: load_peft(backbone, path),
        "adapter's configuration": lambda path: load_peft(backbone, within(path, CONFIG)),
        "adapter's weights": lambda path: load_peft(backbone, within(path, WEIGHTS)),
        "metadata": lambda path: CocoWorld.open(path, Path(), species=["zebra"]),
        "survey": lambda path: inspect(open_survey(path)).to_json(),
        "boxes": lambda path: inspect(open_survey(path, boxes=path)).to_json(),
        "photographs": lambda path: CocoWorld.open(path, path, species=["zebra"]),
        "bundle": lambda path: Bundle.open(path).seen,
        "manifest": lambda path: Bundle.open(within(path, "bundle.json")).seen,
        "recipe": lambda path: recipe_of(str(named(path, "mine.json"))).to_json(),
        "network": lambda path: network_of(f"{named(path, 'own.py')}:make", 10, 16) and None,
        "set": lambda path: pictures_of(str(path), 16).about(),
        "patient": lambda path: examine(path),
        "zoo": lambda path: System(Order("mlp-mini", "all", size=16, zoo=path), Path("out")) and None,
        "checkpoint": lambda path: System(Order("mlp-mini", "all", size=16, checkpoint=path), Path("out")) and None,
        "CLIP": lambda path: check_clip(f"local-dir:{path}"),
    }
    for reader, read in readers.items():
        for kind in ("folder", "empty", "loop", "dangling", "below", "z" * 300, "\udce9", "\x00", "folder/..", ""):
            yield Case(f"place, {reader}", kind[:20], lambda folder, read=read, kind=kind: read(placed(kind)))


def placed(kind: str) -> Path:
    """Something of a kind in the current folder."""
    Path("folder").mkdir()
    Path("empty").write_bytes(b"")
    Path("loop").symlink_to("loop")
    Path("dangling").symlink_to("absent")
    return Path("empty/below") if kind == "below" else Path(kind)


def within(path: Path, name: str) -> Path:
    """A folder of the current one in which something has a name."""
    Path("own").mkdir()
    if "\x00" not in str(path):
        Path("own", name).symlink_to(path.absolute())
    return Path("own")


def named(path: Path, name: str) -> Path:
    """Something under a name in the current folder."""
    return within(path, name) / name


def recipe_cases(house: House) -> Cases:
    """Recipe files, up to where training begins."""

    def bring(folder: Path, data: bytes) -> object:
        (folder / "mine.json").write_bytes(data)
        recipe = recipe_of("mine.json")
        stages.checked(recipe)
        assert all(value >= 0 for value in _numbers(recipe.to_json())), "a number below 0 is accepted"
        return recipe.to_json()

    for name, data in recipes(SMOKE.to_json()):
        yield Case("recipe", name, lambda folder, data=data: bring(folder, data))


def _numbers(document: Any) -> Iterator[float]:
    if isinstance(document, dict):
        document = list(document.values())
    for part in document if isinstance(document, list) else ():
        yield from [part] if isinstance(part, int | float) else _numbers(part)


def bundle_cases(house: House) -> Cases:
    """Manifests, results and parts of a bundle: damaged ones, and changed ones whose checksums are right."""
    rng, manifest = stream("bundles"), json.loads((house.folder / "bundle.json").read_text())
    curves = json.loads((house.folder / "results" / "curves.json").read_text())

    def opened(
        folder: Path, changes: dict[str, bytes], resealed: Callable[[dict[str, Any]], None] | None = None
    ) -> object:
        own = linked(house.folder, folder / "bundle")
        for name, content in changes.items():
            (own / name).unlink()
            (own / name).write_bytes(content)
        if resealed:
            resealed(json.loads((own / "bundle.json").read_text()))
        return used(Bundle.open(own))

    def summed(document: Any) -> bytes:
        if isinstance(document, dict):
            document |= {"sum": manifests._sum(document)}
        return json.dumps(document).encode("utf-8", "surrogatepass")

    def sealed(folder: Path, name: str, content: bytes) -> object:
        own = linked(house.folder, folder / "bundle")
        (own / name).unlink()
        (own / name).write_bytes(content)
        files = manifest["files"] | {name: hashlib.sha256(content).hexdigest()}
        (own / "bundle.json").unlink()
        (own / "bundle.json").write_bytes(summed({**manifest, "files": files}))
        return used(Bundle.open(own))

    for what, content in written_oddly(manifest).items():
        yield Case("bundle", what, lambda folder, own=content: opened(folder, {"bundle.json": own}))
    for place in range(60):
        what, document = changed_json(rng, manifest)
        yield Case(
            "bundle", f"{what} ({place})", lambda folder, own=document: opened(folder, {"bundle.json": summed(own)})
        )
    for key in manifest:
        for value in rng.sample([[], {}, None, 3, "x", ["R10"], {"a": 1}], 3):
            document = {**manifest, key: value}
            yield Case(
                "bundle", f"{key} is {value}", lambda folder, own=document: opened(folder, {"bundle.json": summed(own)})
            )
    for place in range(40):
        what, document = changed_json(rng, curves)
        content = json.dumps(document).encode("utf-8", "surrogatepass")
        yield Case(
            "results", f"{what} ({place})", lambda folder, own=content: sealed(folder, "results/curves.json", own)
        )
    for what, content in written_oddly(curves).items():
        yield Case("results", what, lambda folder, own=content: sealed(folder, "results/curves.json", own))
    for name in (
        "conditions",
        "pictures",
        "joint",
        "curves-H",
        "map-H",
        "zoo-H",
        "generator-H/config.json",
        "clip/open_clip_config.json",
    ):
        file = name if "." in name else f"{name}.safetensors"
        whole = (house.folder / file).read_bytes()
        for place in range(6):
            what, content = changed_bytes(rng, whole)
            yield Case(
                "bundle, part",
                f"{name}, {what} ({place})",
                lambda folder, file=file, own=content: sealed(folder, file, own),
            )
        for what, content in itertools.islice(_headers(rng, whole, name.endswith("json")), 8):
            yield Case(
                "bundle, part", f"{name}, {what}", lambda folder, file=file, own=content: sealed(folder, file, own)
            )


def _headers(rng: Any, whole: bytes, plain: bool) -> Iterator[tuple[str, bytes]]:
    """A JSON file, or a safetensors file by its header, with something changed."""
    length = 0 if plain else int.from_bytes(whole[:8], "little")
    document = json.loads(whole if plain else whole[8 : 8 + length])
    for place in itertools.count():
        what, own = changed_json(rng, document)
        text = json.dumps(own).encode("utf-8", "surrogatepass")
        yield f"{what} ({place})", text if plain else len(text).to_bytes(8, "little") + text + whole[8 + length :]


def used(bundle: Bundle) -> object:
    """What the app takes from a bundle at once."""
    regime, name = bundle.regime, bundle.seen[0]
    parts = [bundle.embedding(name), bundle.joint, bundle.means(regime), bundle.map(regime).points]
    parts += [bundle.zoo(regime).rows(name, at_most=2), bundle.pictures[name].float()]
    assert all(bool(part.isfinite().all()) for part in parts), "a part that is not finite"
    assert bundle.condition.dim == len(parts[0])
    Strangers(Studio(bundle)).gauge  # noqa: B018 - reads it
    answers = [table(bundle, []), Lookups(Studio(bundle)).locations(), Lookups(Studio(bundle)).health()]
    return json.dumps(answers, allow_nan=False)


def command_cases(house: House, patch: pytest.MonkeyPatch) -> Cases:
    """Options of the command line."""
    from wildpdiff import reproduce
    from wildpdiff.build import orders
    from wildpdiff.pdiff import cost as costs
    from wildpdiff.worlds import sheet

    drawn = sheet.contact_sheet
    patch.setattr(sheet, "contact_sheet", lambda world, names, out, **how: drawn(world, names[:1], out, **how))
    patch.setattr(cli, "app", get_command(cli.app))
    price = SimpleNamespace(words=lambda *_: "Nothing.", together=1)
    patch.setattr(orders, "cost", lambda bundle, recipe, order, out, workers: order.jobs(bundle, recipe, out) and price)
    patch.setattr(orders, "grow_order", lambda *_, **__: iter(()))
    patch.setattr(reproduce, "reproduce", lambda *_, **__: iter(()))
    patch.setattr(costs, "cost", lambda system: price)
    patch.setattr(System, "run", lambda system: iter(()))

    def bring(folder: Path, typed: list[str]) -> object:
        (folder / "folder").mkdir()
        (folder / "file").write_bytes(b"")
        (folder / "link").symlink_to("absent")
        (folder / "loop").symlink_to("loop")
        own = [str(house.folder) if word == "BUNDLE" else word for word in typed]
        patch.setattr(sys, "argv", ["wildpdiff", *own])
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main()
                status: object = 0
            except SystemExit as end:
                status = end.code or 0
        told = err.getvalue()
        if status == 2:
            *_, end = told.strip().split("\n")
            assert end.startswith("wildpdiff: ") and told.count("wildpdiff: ") == 1 and "Traceback" not in told, told
            raise UserError(end.partition(": ")[2].replace(str(house.folder), "BUNDLE"))
        assert status == 0, (status, told)
        assert "nan" not in out.getvalue().lower().replace("nance", ""), out.getvalue()
        return None

    for name, typed in commands():
        yield Case("command line", name, lambda folder, typed=typed: bring(folder, typed))


#: Modules of a network of one's own that are not as they should be.
OWN_FILES = {
    "own.py": OWN
    + """
three = three_classes


def nan():
    made = make()
    nn.init.constant_(made.out.bias, float("nan"))
    return made


def wordy():
    raise ValueError("line one\\nline two \\x1b[31m" + 9000 * "x")
""",
    "broken.py": "def make(:\n",
    "exits.py": "import sys\nsys.exit(3)\n",
}


def pdiff_cases(house: House) -> Cases:
    """Networks, choices of parameters, pictures, sizes, checkpoints and zoos of p-diff."""

    def at(folder: Path) -> None:
        for name, text in OWN_FILES.items():
            (folder / name).write_text(text)
        (folder / "folder.py").mkdir()
        (folder / "file").write_bytes(b"")
        (folder / "link").symlink_to("absent")
        (folder / "loop").symlink_to("loop")

    def network(folder: Path, name: str) -> object:
        at(folder)
        made = network_of(name, 10, 16)
        return made.eval()(torch.zeros(1, 3, 16, 16)).detach()

    def choice(folder: Path, text: str) -> object:
        at(folder)
        made = network_of("own.py:make", 10, 16)
        subset = subset_of(made, text)
        return subset.initial(made, torch.Generator())

    def data(folder: Path, name: str, size: int) -> object:
        at(folder)
        write_sets(folder)
        return pictures_of(name, size, root=folder / "absent").about()

    for name in NETWORKS:
        yield Case("p-diff, network", name[:30], lambda folder, own=name: network(folder, own))
    for text in CHOICES:
        yield Case("p-diff, parameters", text[:30], lambda folder, own=text: choice(folder, own))
    for name in DATA:
        yield Case("p-diff, data", name[:30], lambda folder, own=name: data(folder, own, 8))
    for size in SIZES:
        yield Case("p-diff, size", str(size), lambda folder, own=size: data(folder, "pictures", own))
    yield from zoo_cases(house)


def write_sets(folder: Path) -> None:
    """Folders of pictures by class, good and bad ones."""
    seeds = picture_seeds()
    sets: dict[str, dict[str, list[bytes]]] = {
        "pictures": {"a": [seeds["png"]] * 3, "b": [seeds["jpeg"]] * 3},
        "mixed": {
            "a": [seeds["16 bits"], seeds["la"], seeds["cmyk"]],
            "b": [seeds["palette"], seeds["turned 6"], seeds["one bit"]],
        },
        "one": {"a": [seeds["png"]] * 3},
        "few": {"a": [seeds["png"]] * 3, "b": [seeds["png"]]},
        "broken": {"a": [seeds["png"]] * 3, "b": [seeds["jpeg"], seeds["jpeg"][:200], b"no picture"]},
        "large": {"a": [seeds["large"]] * 3, "b": [seeds["narrow"]] * 3},
        "other": {"a": [seeds["png"]] * 3, "b": [b"", b"", b""]},
        "split/train": {"a": [seeds["png"]] * 3, "b": [seeds["png"]] * 3},
        "split/test": {"a": [seeds["png"]], "c": [seeds["png"]]},
        "nested/a": {"in": [seeds["png"]] * 3},
    }
    (folder / "empty").mkdir()
    (folder / "text" / "a").mkdir(parents=True)
    (folder / "text" / "a" / "notes.txt").write_text("no picture")
    for name, classes in sets.items():
        for label, own in classes.items():
            (folder / name / label).mkdir(parents=True)
            for place, content in enumerate(own):
                (folder / name / label / f"{place}.png").write_bytes(content)


def zoo_cases(house: House) -> Cases:
    """Checkpoints and folders of them, for `--zoo`, `--checkpoint` and `doctor`; and what a killed run left."""
    rng, grown = stream("zoos"), grown_system(house.root)
    states = {f"{place}.safetensors": zoo_state(grown, place) for place in range(5)}
    whole = states["2.safetensors"]

    def zoo(folder: Path, files: dict[str, bytes], how: str) -> object:
        (folder / "zoo").mkdir()
        (folder / "own.py").write_text(OWN)
        for name, content in files.items():
            (folder / "zoo" / name).write_bytes(content)
        if how == "doctor":
            return examine(Path("zoo"))
        own = {"checkpoint": Path("zoo/2.safetensors")} if how == "checkpoint" else {"zoo": Path("zoo")}
        System(Order("own.py:make", "all", "digits", 16, TINY, **own), Path("out"))
        return None

    def system(folder: Path, name: str, content: bytes) -> object:
        shutil.copytree(grown, folder / "system", symlinks=True)
        (folder / "system" / name).write_bytes(content)
        return examine(Path("system"))

    ways = ("zoo", "doctor", "checkpoint")
    yield from (Case("p-diff, zoo", f"good, {how}", lambda folder, how=how: zoo(folder, states, how)) for how in ways)
    for place in range(45):
        what, own = changed_bytes(rng, whole) if place % 3 else next(_headers(rng, whole, False))
        how, files = ways[place % 3 if place % 5 else 1], {**states, "2.safetensors": own}
        yield Case(
            "p-diff, zoo", f"{what}, {how} ({place})", lambda folder, files=files, how=how: zoo(folder, files, how)
        )
    odd: dict[str, dict[str, bytes]] = {
        "three": dict(list(states.items())[:3]),
        "none": {},
        "equal": dict.fromkeys(states, whole),
        "another": {**states, "9.safetensors": b""},
        "named oddly": {**states, "\udce9.safetensors": whole[:-4]},
    }
    for what, files in odd.items():
        for how in ways[:2]:
            yield Case("p-diff, zoo", f"{what}, {how}", lambda folder, files=files, how=how: zoo(folder, files, how))
    about = json.loads((grown / "about.json").read_text())
    for what, content in written_oddly(about).items():
        yield Case("p-diff, system", what, lambda folder, own=content: system(folder, "about.json", own))
    for place in range(50):
        what, document = changed_json(rng, about)
        content = json.dumps(document).encode("utf-8", "surrogatepass")
        yield Case("p-diff, system", f"{what} ({place})", lambda folder, own=content: system(folder, "about.json", own))
    for name in ("rows.safetensors", "base.safetensors"):
        own = (grown / name).read_bytes()
        for place in range(12):
            what, content = changed_bytes(rng, own) if place % 2 else next(_headers(rng, own, False))
            yield Case(
                "p-diff, system",
                f"{name}, {what} ({place})",
                lambda folder, name=name, own=content: system(folder, name, own),
            )


def grown_system(root: Path) -> Path:
    """The folder of a p-diff system as far as its checkpoints."""
    (root / "own.py").write_text(OWN)
    order = Order(f"{root / 'own.py'}:make", "all", "digits", 16, TINY)
    for stage, _ in System(order, root / "system").run():
        if stage == "codec" or (root / "system" / "rows.safetensors").exists():
            break
    return root / "system"


def zoo_state(grown: Path, place: int) -> bytes:
    """One checkpoint of a zoo of one's own."""
    from safetensors.torch import load, save

    tensors = load((grown / "base.safetensors").read_bytes())
    moved = {
        name: value + noise(*value.shape, seed=place) if value.is_floating_point() and "running" not in name else value
        for name, value in tensors.items()
    }
    return save(moved)


# --- the tests

DOORS: dict[str, Callable[..., Cases]] = {
    "pictures": picture_cases,
    "photographs": photo_cases,
    "adapters": adapter_cases,
    "metadata": metadata_cases,
    "surveys": survey_cases,
    "questions": question_cases,
    "page": page_cases,
    "places": place_cases,
    "recipes": recipe_cases,
    "bundles": bundle_cases,
    "commands": command_cases,
    "p-diff": pdiff_cases,
}

#: Doors of more than two seconds.
LONG = ("bundles", "page", "p-diff", "commands", "adapters")


@pytest.mark.parametrize("door", [pytest.param(door, marks=pytest.mark.slow if door in LONG else ()) for door in DOORS])
def test_whatever_comes_in_is_accepted_or_refused_in_one_sentence(
    door: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(pages.LOG, "error", lambda text, exc_info: logged.append(repr(exc_info)))
    cases = list(DOORS[door](house, monkeypatch) if door == "commands" else DOORS[door](house))
    faults, took = [], []
    for place, case in enumerate(cases):
        begun = time.process_time()
        found = fault(case, tmp_path / str(place))
        took.append((time.process_time() - begun, case.name))
        faults += [found] if found else []
        faults += [f"{case.door} / {case.name}: logged {one}" for one in logged]
        logged.clear()
    if os.environ.get("CORPUS"):
        print(
            door,
            Counter(case.door for case in cases),
            f"{sum(own for own, _ in took):.1f} s",
            [f"{own:.1f} {name}" for own, name in sorted(took) if own > 0.2],
        )
    assert len(cases) >= 50
    assert not faults, f"{len(faults)} of {len(cases)}:\n" + "\n".join(faults)
