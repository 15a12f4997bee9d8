"""The endpoints on a real server: every answer against its own computation, every mistake a sentence."""

import base64
import importlib.metadata
import json
import re
import ssl
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import Request, urlopen

import gradio as gr
import pytest
import torch
from gradio.route_utils import delete_files_created_by_app
from gradio.utils import get_function_description
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image
from tiny_bundle import ON_MAP

from wildpdiff import cli
from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct, wilson
from wildpdiff.network.peft_folder import load_peft
from wildpdiff.similarity import compare
from wildpdiff.studio.api import lookups
from wildpdiff.studio.api.endpoints import Answers
from wildpdiff.studio.api.lookups import Lookups
from wildpdiff.studio.api.requests import from_base64
from wildpdiff.studio.peft_zip import pack
from wildpdiff.studio.places import KEPT
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.ui import api
from wildpdiff.ui.app import build, free_port, launch_options
from wildpdiff.ui.page import MODEL, WRONG

ROOT = Path(__file__).resolve().parent.parent
NAMES = {"health", "locations", "precomputed", "generate", "evaluate", "evaluate_file"}
NAMES |= {"similarity", "map", "sweep", "unseen"}
BLEND: dict[str, Any] = {"a": "R10", "b": "R12", "weight": 0.5, "steps": 2}
ASKED = Setting("R10", "R12", 0.5, steps=2)
SWEEP: dict[str, Any] = {"pairs": [["R10", "R12"]], "weights": [0, 0.5], "seeds": 2, "steps": 2, "images": 3}


@dataclass(frozen=True)
class Served:
    """The page on a server, the studio behind it, and the folder that the server keeps files in."""

    address: str
    page: gr.Blocks
    studio: Studio
    files: Path
    visitor: Client

    def ask(self, endpoint: str, **values: Any) -> Any:
        """A question of the one visitor."""
        return self.visitor.predict(api_name=f"/{endpoint}", **values)

    def kept(self) -> set[Path]:
        """Files that the server holds now."""
        return {path for path in self.files.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def served(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    files = tmp_path_factory.mktemp("server") / "files"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(files))
        # Every question of the client makes one anew, which reads all certificates; nothing here is encrypted.
        patch.setattr(ssl, "create_default_context", lru_cache(ssl.create_default_context))
        studio = Studio.open(tiny_bundle)
        page = build(studio)
        port = free_port("127.0.0.1", 8100)
        page.queue(max_size=64, default_concurrency_limit=8).launch(
            server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, **launch_options()
        )
        address = f"http://127.0.0.1:{port}/"
        yield Served(address, page, studio, files, client(address, files.parent / "downloads"))
        page.close()


def client(address: str, downloads: Path) -> Client:
    return Client(address, verbose=False, download_files=str(downloads))


def picture() -> bytes:
    stream = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, "JPEG")
    return stream.getvalue()


def as_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def right(studio: Studio, row: torch.Tensor, location: str, images: int) -> int:
    """The count by the library's own measure, on photographs drawn anew."""
    world, backbone = studio.bundle.world, studio.bundle.backbone
    shown = world.photograph(world.location(location), "eval", images)
    return int(correct(backbone, row[None], shown.pixels, shown.labels).sum())


def test_exactly_these_endpoints_are_offered(served: Served) -> None:
    offered = served.visitor.view_api(return_format="dict", print_info=False)
    assert set(offered["named_endpoints"]) == {f"/{name}" for name in NAMES}
    assert offered["unnamed_endpoints"] == {}


def test_an_answer_says_when_the_cpu_stood_in_for_a_lent_gpu(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.ask("generate", **BLEND)["note"] == ""
    monkeypatch.setattr(served.studio, "writer", lambda *_: (None, "No GPU was lent."))
    place = {**BLEND, "seed": 77}
    assert served.ask("generate", **place)["note"] == "No GPU was lent."
    assert served.ask("evaluate", **place, location="R10", images=2)["note"] == "No GPU was lent."


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_endpoint_and_every_argument_says_what_it_is(served: Served, name: str) -> None:
    offered = served.visitor.view_api(return_format="dict", print_info=False)
    endpoint = offered["named_endpoints"][f"/{name}"]
    assert len(endpoint["description"]) > 40
    assert [part["type"]["type"] for part in endpoint["returns"]] == ["object"]
    _, told, _ = get_function_description(getattr(api.Api, name))
    for argument in endpoint["parameters"]:
        assert set(argument["type"]) & {"type", "oneOf"}, argument["parameter_name"]
        assert len(told[argument["parameter_name"]]) > 5, argument["parameter_name"]


def test_what_runs_networks_takes_turns_with_the_page(served: Served) -> None:
    running = [fn for fn in served.page.fns.values() if fn.api_name in api.RUNNING]
    assert {fn.api_name for fn in running} == set(api.RUNNING)
    assert {(fn.concurrency_id, fn.concurrency_limit) for fn in running} == {(MODEL, 2)}
    assert set(api.RUNNING) | set(api.READING) == NAMES


def test_health_tells_what_runs_and_what_may_be_asked(served: Served) -> None:
    told = served.ask("health")
    assert (told["state"], told["device"], told["seen"], told["unseen"]) == ("ready", "CPU", 10, 5)
    assert told["regimes"] == ["L", "M", "H"]
    assert told["limits"]["adapters"] == 16 and told["limits"]["sweep_adapters"] == 64


def test_locations_come_with_their_measured_accuracies(served: Served) -> None:
    places = {place["name"]: place for place in served.ask("locations")["locations"]}
    assert list(places) == list(served.studio.locations)
    assert places["R10"]["pretrained"] == 0.5
    assert places["R10"]["regimes"]["H"] == {"fine_tuned": 0.75, "generated": 0.73}
    assert not places["D03"]["seen"]
    assert places["D03"]["regimes"]["H"] == {"fine_tuned": None, "generated": None}


def test_generated_adapters_are_the_studios_and_load_with_peft(served: Served, tmp_path: Path) -> None:
    found = served.ask("generate", **BLEND, samples=2, seed=7)
    rows = served.studio.write(Setting("R10", "R12", 0.5, steps=2, samples=2, seed=7))
    assert [adapter["seed"] for adapter in found["adapters"]] == [7, 8]
    zipfile.ZipFile(found["file"]).extractall(tmp_path)
    (folder,) = tmp_path.iterdir()
    for row, adapter in zip(rows, found["adapters"], strict=True):
        own = folder / f"seed{adapter['seed']}"
        assert torch.equal(load_peft(served.studio.bundle.backbone, own), row)
        assert f"- seed: {adapter['seed']}\n" in (own / "README.md").read_text()
        assert adapter["norm"] == pytest.approx(float(row.norm()), abs=1e-3)
        alike = torch.cosine_similarity(served.studio.means("H"), row[None]).tolist()
        assert list(adapter["cosines"].values()) == pytest.approx(alike, abs=1e-4)
        assert adapter["nearest"] == served.studio.bundle.seen[alike.index(max(alike))]


def test_a_written_file_is_gone_when_gradio_cleans_up(served: Served) -> None:
    before = served.kept()
    served.ask("generate", **BLEND, seed=11)
    new = served.kept() - before
    assert [path.suffix for path in new] == [".zip"]
    delete_files_created_by_app(served.page, None)
    assert not new & served.kept()


def test_evaluate_counts_what_the_library_counts(served: Served) -> None:
    found = served.ask("evaluate", **BLEND, location="R12", images=4)
    row = served.studio.write(ASKED)[0]
    assert found["right"] == right(served.studio, row, "R12", 4) and found["images"] == 4
    assert (found["low"], found["high"]) == pytest.approx(wilson(found["right"], 4), abs=1e-5)
    assert found["pretrained"]["right"] == right(served.studio, torch.zeros_like(row), "R12", 4)
    assert served.ask("evaluate", **BLEND, images=4)["location"] == "R10"


def test_an_adapter_of_ones_own_is_measured_like_the_generated_one_that_it_is(served: Served) -> None:
    written = Path(served.ask("generate", **BLEND)["file"]).read_bytes()
    before = served.kept()
    own = served.ask("evaluate_file", adapter=as_text(written), location="R12", images=4)
    measured = served.ask("evaluate", **BLEND, location="R12", images=4)
    assert own == {name: value for name, value in measured.items() if name not in ("setting", "note")}
    assert served.kept() == before, "what a visitor sent must not be kept"


def test_similarity_is_that_of_the_mean_fine_tuned_rows(served: Served) -> None:
    found = served.ask("similarity", a="R10", b="U11", regime="M")
    means, layout = served.studio.means("M"), served.studio.bundle.backbone.layout
    alike = compare(layout, means[:1], means[2:3])
    assert found["factors"] == pytest.approx(float(alike.whole_factors), abs=1e-5)
    assert found["products"] == pytest.approx(float(alike.whole_products), abs=1e-5)
    assert [layer["factors"] for layer in found["layers"]] == pytest.approx(alike.factors[:, 0, 0].tolist(), abs=1e-5)
    one = served.ask("similarity", a="R10", b="U11", regime="M", layer=3)
    assert one | {} == {"a": "R10", "b": "U11", "regime": "M"} | found["layers"][2]


def test_the_map_holds_the_fine_tuned_adapters_of_every_seen_location(served: Served) -> None:
    flat = served.ask("map", regime="L")["locations"]
    known = served.studio.map("L")
    assert flat["R12"] == [pytest.approx(point, abs=1e-3) for point in known.points[known.index == 1].tolist()]
    for view in ("umap", "pca", "ruler"):
        shown = served.ask("map", view=view, a="R10", b="R12")["locations"]
        each = KEPT if view == "ruler" else ON_MAP
        assert {name: len(points) for name, points in shown.items()} == dict.fromkeys(served.studio.bundle.seen, each)
    shares = [sum(point[0] for point in shown[name]) / KEPT for name in ("R10", "R12")]
    assert shares == pytest.approx([0, 1], abs=0.25)


def test_a_sweep_has_a_record_of_every_adapter(served: Served) -> None:
    found = served.ask("sweep", spec=SWEEP)
    asked = [(record["weight"], record["seed"]) for record in found["records"]]
    assert found["adapters"] == 4 and asked == [(0, 0), (0, 1), (0.5, 0), (0.5, 1)]
    row = served.studio.write(ASKED)[0]
    assert found["records"][2]["right_b"] == right(served.studio, row, "R12", 3)


def test_an_unseen_picture_gets_its_neighbours_and_no_accuracy(served: Served) -> None:
    before = served.kept()
    found = served.ask("unseen", image=as_text(picture()))
    upload = served.studio.upload(picture())
    assert [(near["location"], near["cosine"]) for near in found["nearest"][:3]] == [
        (name, pytest.approx(value, abs=1e-4)) for name, value in upload.nearest
    ]
    assert found["verdict"] in ("like a known location", "between", "outside", "cannot tell")
    assert not {"accuracy", "right", "share"} & set(found)
    assert served.ask("unseen", image="data:image/jpeg;base64," + as_text(picture())) == found
    assert served.kept() == before, "what a visitor sent must not be kept"


def test_base64_is_read_as_anything_writes_it() -> None:
    for size in (300, 301, 302):
        data = bytes((7 * number) % 256 for number in range(size)) + b"\xfb\xff\xfe"
        plain, address = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
        broken = base64.encodebytes(data).decode()
        assert "\n" in broken and ("-" in address or "_" in address)
        for text in (plain, address, broken, broken.replace("\n", "\r\n"), plain.rstrip("="), address.rstrip("=")):
            for head in ("", "data:image/jpeg;base64,", "data:;base64,\n"):
                assert from_base64(head + text) == data
    for text in ("%%%", "abc%", "a", "ä" * 8, "ab=cd"):
        with pytest.raises(ValueError):
            from_base64(text)


def test_a_picture_without_its_end_is_read_with_a_word(served: Served) -> None:
    assert served.ask("unseen", image=as_text(picture()))["notes"] == []
    assert (
        "the end of the picture is missing" in served.ask("unseen", image=as_text(picture()[:-2]))["notes"][0].lower()
    )


def test_weights_so_large_that_they_name_nothing_are_no_score(served: Served, tmp_path: Path) -> None:
    backbone = served.studio.bundle.backbone
    row = torch.full((1, backbone.layout.dim), 3e38)
    packed = pack(backbone, row, {}, seed=0, folder=tmp_path, name="huge").read_bytes()
    with pytest.raises(UserError, match="outputs are not finite"):
        Answers(Lookups(served.studio)).evaluate_file(as_text(packed), "R10", 4)


def test_stored_counts_are_read_from_either_end_of_a_pair(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = {"ours": [[90, 80, 70], [10, 50, 95]], "weights": [[60, 61, 62], [63, 64, 65]]}
    stored = {"weights": [0, 0.5, 1], "images": 100, "seed": 0, "steps": 50}
    stored |= {"pretrained": {"R10": 40, "R12": 30}, "curves": {"H": {"R10+R12": curve}}}
    monkeypatch.setattr(lookups, "curves", lambda bundle: stored)
    found = served.ask("precomputed", a="R10", b="R12", weight=1)
    assert [found["locations"][name]["right"] for name in ("R10", "R12")] == [70, 95]
    assert (found["locations"]["R12"]["low"], found["pretrained"]["R10"]["share"]) == (
        pytest.approx(0.8882, abs=1e-3),
        0.4,
    )
    assert served.ask("precomputed", a="R12", b="R10", weight=1)["locations"]["R10"]["right"] == 90
    assert served.ask("precomputed", a="R12", b="R12", weight=0.5)["locations"] == {"R12": found["locations"]["R12"]}
    assert served.ask("precomputed", a="R10", b="R12", way="weights")["locations"]["R12"]["right"] == 63
    with pytest.raises(AppError, match=r"0, 0\.5, 1"):
        served.ask("precomputed", a="R10", b="R12", weight=0.3)
    with pytest.raises(AppError, match="No curve of R10 and U11"):
        served.ask("precomputed", a="R10", b="U11")


MISTAKES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no such location": ("generate", BLEND | {"b": "Z99"}, "'Z99' is not known"),
    "no such location to look at": ("evaluate", BLEND | {"location": "Z99"}, "'Z99' is not known"),
    "a location that is no text": ("generate", BLEND | {"a": 5}, "'a' must be a text"),
    "an endless name": ("generate", BLEND | {"a": "R" * 10_000}, "1 to 40 letters"),
    "a weight beyond": ("generate", BLEND | {"weight": 1.5}, "0..1"),
    "a weight in words": ("evaluate", BLEND | {"weight": "half"}, "'weight' must be a number"),
    "a yes for a weight": ("evaluate", BLEND | {"weight": True}, "'weight' must be a number"),
    "no such regime": ("evaluate", BLEND | {"regime": "Z"}, "L, M, H"),
    "no such way": ("generate", BLEND | {"way": "magic"}, "ours, paper"),
    "half a seed": ("generate", BLEND | {"seed": 0.5}, "'seed' must be a whole number"),
    "a huge seed": ("generate", BLEND | {"seed": 10**30}, "too large"),
    "a negative seed": ("generate", BLEND | {"seed": -1}, "0 to 2147483647"),
    "no steps": ("generate", BLEND | {"steps": 0}, "1 to 200 steps"),
    "too many adapters": ("generate", BLEND | {"samples": 17}, "1 and 16 adapters"),
    "too many photographs": ("evaluate", BLEND | {"images": 101}, "1 to 100"),
    "a picture of your own": ("generate", BLEND | {"a": "own"}, "named location"),
    "no curves": ("precomputed", {"a": "R10", "b": "R12"}, "does not store curves"),
    "an unseen location compared": ("similarity", {"a": "R10", "b": "D03"}, "No adapter was fine-tuned at 'D03'"),
    "no such layer": ("similarity", {"a": "R10", "b": "R12", "layer": 45}, "0 to 44"),
    "no such view": ("map", {"view": "globe"}, "umap, pca, ruler"),
    "a ruler without ends": ("map", {"view": "ruler", "a": "R10", "b": "R10"}, "two different seen locations"),
    "a map of no regime": ("map", {"regime": "Z"}, "L, M, H"),
    "a sweep of nothing": ("sweep", {"spec": {}}, "needs at least one pair"),
    "a sweep that is a list": ("sweep", {"spec": [1]}, "must be an object"),
    "a sweep with a stranger": ("sweep", {"spec": SWEEP | {"magic": 1}}, "no 'magic'"),
    "a sweep too large": ("sweep", {"spec": SWEEP | {"seeds": 16, "weights": [0, 0.1, 0.2, 0.3, 1]}}, "64 adapters"),
    "a sweep too long": ("sweep", {"spec": SWEEP | {"seeds": 16, "steps": 200}}, "3,200 sampler steps"),
    "a sweep of endless lists": ("sweep", {"spec": SWEEP | {"weights": [0.5] * 10_000}}, "at most 64"),
    "a sweep with a single location": ("sweep", {"spec": SWEEP | {"pairs": [["R10"]]}}, "two locations"),
    "a sweep at no location": ("sweep", {"spec": SWEEP | {"pairs": [["R10", "Z99"]]}}, "'Z99' is not known"),
    "a picture that is none": ("unseen", {"image": as_text(b"no picture")}, "not a JPEG, PNG or WebP"),
    "a picture that is no base64": ("unseen", {"image": "%%%"}, "not base64"),
    "a picture that is a number": ("unseen", {"image": 5}, "base64 text of a JPEG"),
    "a picture too large": ("unseen", {"image": "A" * 28_100_000}, "larger than 20 MB"),
    "a damaged picture": ("unseen", {"image": as_text(picture()[:200])}, "damaged"),
    "an adapter that is no zip": ("evaluate_file", {"adapter": as_text(b"no zip"), "location": "R10"}, "no zip"),
    "an adapter for nowhere": ("evaluate_file", {"adapter": "", "location": "Z99"}, "'Z99' is not known"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_one_sentence_that_names_the_rule(served: Served, mistake: str) -> None:
    endpoint, values, words = MISTAKES[mistake]
    with pytest.raises(AppError) as refused:
        served.ask(endpoint, **values)
    told = str(refused.value)
    assert words in told
    assert told.endswith(".") and "\n" not in told and "Traceback" not in told
    assert len(told) < 400 and "/" not in told


def test_a_fault_of_the_program_is_told_without_a_path(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(setting: Setting) -> torch.Tensor:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(served.studio, "write_noting", broken)
    with pytest.raises(AppError, match=re.escape(WRONG)) as told:
        served.ask("generate", **BLEND)
    assert "secret" not in str(told.value)


def test_a_file_of_the_server_cannot_be_asked_for(served: Served) -> None:
    stolen = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [stolen, "R10", 4]}).encode()
    call = Request(f"{served.address}gradio_api/call/evaluate_file", body, {"Content-Type": "application/json"})
    with urlopen(call) as answer:
        event = json.load(answer)["event_id"]
    with urlopen(f"{served.address}gradio_api/call/evaluate_file/{event}") as answer:
        told = answer.read().decode()
    assert "error" in told and "root:" not in told and "passwd" not in told


@pytest.mark.slow
def test_visitors_at_once_get_what_each_would_get_alone(served: Served, tmp_path: Path) -> None:
    questions: list[tuple[str, dict[str, Any]]] = [
        ("evaluate", BLEND | {"weight": weight, "regime": regime, "images": 4, "location": "R12"})
        for weight, regime in ((0, "H"), (1, "L"), (0.5, "M"))
    ]
    questions += [("generate", BLEND | {"seed": seed}) for seed in (1, 2)]
    questions += [("unseen", {"image": as_text(picture())}), ("similarity", {"a": "R10", "b": "R12"})]

    def answer(number: int) -> Any:
        endpoint, values = questions[number]
        visitor = client(served.address, tmp_path / str(number))
        found = visitor.predict(api_name=f"/{endpoint}", **values)
        packed = found.pop("file", None)
        return found, packed and names_and_weights(Path(packed))

    alone = [answer(number) for number in range(len(questions))]
    with ThreadPoolExecutor(len(questions)) as visitors:
        together = list(visitors.map(answer, range(len(questions))))
    assert together == alone
    assert alone[3] != alone[4], "the test needs visitors who asked for different things"


def names_and_weights(packed: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(packed) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".safetensors")}


def test_the_python_of_the_readme_runs_against_a_server(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (snippet,) = (part for part in re.findall(r"```py\n(.*?)```", readme, re.DOTALL) if "gradio_client" in part)
    assert snippet.count("http://127.0.0.1:7860") == 1
    snippet = snippet.replace("http://127.0.0.1:7860", served.address)
    exec(compile(snippet, "README.md", "exec"), {})
    told = capsys.readouterr().out
    assert re.search(r"\d+ of \d+ photographs", told) and ".zip" in told


def no_mcp(name: str) -> str:
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("version", "words"), [(no_mcp, "is not installed"), (lambda name: "2.3.0", "is of version 2.3.0")]
)
def test_tools_without_their_package_end_with_the_pip_command(
    version: Callable[[str], str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(api, "importlib", SimpleNamespace(metadata=SimpleNamespace(
        version=version, PackageNotFoundError=importlib.metadata.PackageNotFoundError)))  # fmt: skip
    with pytest.raises(UserError, match=f"{words}.*pip install 'wildpdiff\\[mcp\\]'"):
        api.check_mcp()
    assert not api.has_mcp()
    monkeypatch.setattr("sys.argv", ["wildpdiff", "serve", "--mcp"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    told = capsys.readouterr().err
    assert end.value.code == 2 and len(told.splitlines()) == 1 and words in told


def test_the_endpoints_are_tools_for_assistants(served: Served) -> None:
    pytest.importorskip("mcp", reason="the package mcp is not installed: pip install 'wildpdiff[mcp]'")
    if not api.has_mcp():
        pytest.skip("this version of mcp is not the one that Gradio speaks")
    import anyio
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    page = build(served.studio)
    port = free_port("127.0.0.1", 8200)
    page.queue(max_size=64).launch(
        server_name="127.0.0.1",
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        mcp_server=True,
        **launch_options(),
    )

    async def talk() -> tuple[Any, Any, Any]:
        door = f"http://127.0.0.1:{port}/gradio_api/mcp/"
        async with streamablehttp_client(door) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            tools = await session.list_tools()
            good = await session.call_tool("evaluate", BLEND | {"images": 4})
            return tools.tools, good, await session.call_tool("evaluate", BLEND | {"b": "Z99"})

    tools, good, bad = anyio.run(talk)
    page.close()
    assert {tool.name for tool in tools} == NAMES
    (weight,) = (tool.inputSchema["properties"]["weight"] for tool in tools if tool.name == "evaluate")
    assert weight["type"] == "number" and "0 to 1" in weight["description"]
    assert not good.isError and "'right'" in good.content[0].text
    assert bad.isError and "'Z99' is not known" in bad.content[0].text


def test_lookups_alone_need_no_server(tiny_bundle: Path) -> None:
    studio = Studio.open(tiny_bundle)
    assert Lookups(studio).health()["bundle"] == studio.bundle.manifest["sum"][:12]
