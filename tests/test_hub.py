"""The Hugging Face hub, by a stand-in on this machine: there and back, from the cache, and how it refuses."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest
import torch
from hub_server import READER, WRITER, StandIn, Stored, standing_in

from wildpdiff.bundle import Bundle
from wildpdiff.condition.source import CONFIG_FILE, WEIGHTS_FILE, source_of
from wildpdiff.errors import UserError
from wildpdiff.experiments.result import RESULTS
from wildpdiff.files import load_json, save_json, save_tensors
from wildpdiff.generator import AdapterGenerator
from wildpdiff.hub import Repo, folder_of, origin, sent
from wildpdiff.manifest import MANIFEST, check_inside, seal
from wildpdiff.pdiff.order import Order
from wildpdiff.pdiff.stored import Stored as StoredSystem
from wildpdiff.share.parcel import Parcel
from wildpdiff.studio.snippet import folder_of as called

NAME = "me/tiny"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with standing_in() as stand_in:
        hub_server.use(stand_in.address, home, monkeypatch)
        yield stand_in


@pytest.fixture
def pushed(hub: StandIn, tiny_bundle: Path) -> StandIn:
    """A stand-in that has the tiny bundle; nothing of it is in the cache."""
    hub.repos[NAME] = Stored()
    hub.repos[NAME].commit("main", files(tiny_bundle) | {"README.md": b"---\nlicense: mit\n---\n"})
    return hub


def files(folder: Path) -> dict[str, bytes]:
    """All that a bundle's manifest lists, and the manifest."""
    names = [MANIFEST, *load_json(folder / MANIFEST)["files"]]
    return {name: (folder / name).read_bytes() for name in names}


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_bundle_comes_back_from_the_hub_bit_by_bit(hub: StandIn, tiny_bundle: Path) -> None:
    Parcel.of(Bundle.open(tiny_bundle), Repo(NAME)).send(token=WRITER)
    assert hub.repos[NAME].files.keys() == {*files(tiny_bundle), "README.md"}
    assert len(hub.repos[NAME].commits) == 2
    assert hub.objects and any(len(part) < hub_server.LARGE for part in hub.repos[NAME].files.values())
    bundle = Bundle.open(f"hf-hub:{NAME}")
    assert files(bundle.folder) == files(tiny_bundle)
    assert hub.sent() and "README.md" not in hub.sent()
    here, there = Bundle.open(tiny_bundle).generator("H"), bundle.generator("H")
    condition = bundle.embedding(bundle.seen[0])[None]
    assert torch.equal(here.generate(condition, steps=2), there.generate(condition, steps=2))


def test_a_second_time_nothing_is_fetched_and_the_library_may_be_told_to_ask_nobody(pushed: StandIn) -> None:
    first = Bundle.from_pretrained(NAME)
    pushed.forget()
    assert Bundle.from_pretrained(NAME).folder == first.folder
    assert not pushed.sent()
    pushed.forget()
    assert Bundle.from_pretrained(NAME, local_files_only=True).folder == first.folder
    assert not pushed.asked


def test_a_bundle_of_the_cache_opens_when_the_hub_is_gone_or_offline_mode_is_set(
    home: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing_in() as hub:
        hub_server.use(hub.address, home, monkeypatch)
        hub.repos[NAME] = Stored()
        hub.repos[NAME].commit("main", files(tiny_bundle))
        folder = Bundle.open(f"hf-hub:{NAME}").folder
        hub.down = 503
        assert Bundle.open(f"hf-hub:{NAME}").folder == folder
    assert Bundle.open(f"hf-hub:{NAME}").folder == folder
    with pytest.raises(UserError, match=r"^The hub cannot be reached, and its cache lacks 'me/other'; try again"):
        Bundle.open("hf-hub:me/other")
    offline(monkeypatch)
    assert Bundle.open(f"hf-hub:{NAME}").folder == folder
    with pytest.raises(UserError, match=r"^The hub is not asked here, and its cache lacks 'me/other'; let the"):
        Bundle.open("hf-hub:me/other")


def test_only_what_changed_on_the_hub_is_fetched_anew(pushed: StandIn, tiny_bundle: Path, tmp_path: Path) -> None:
    before = Bundle.open(f"hf-hub:{NAME}").folder
    changed = shutil.copytree(tiny_bundle, tmp_path / "changed")
    save_json(changed / RESULTS / "note.json", {"told": "anew"})
    manifest = load_json(changed / MANIFEST)
    seal(changed, {key: value for key, value in manifest.items() if key not in ("format", "files", "sum")})
    Parcel.of(Bundle.open(changed), Repo(NAME)).send(token=WRITER)
    pushed.forget()
    after = Bundle.open(f"hf-hub:{NAME}").folder
    assert sorted(pushed.sent()) == sorted([MANIFEST, f"{RESULTS}/note.json"])
    assert files(after) == files(changed)
    assert Bundle.open(f"hf-hub:{NAME}@{before.name}").folder == before


def test_what_an_earlier_bundle_left_goes_and_a_branch_is_made(
    pushed: StandIn, tiny_bundle: Path, tmp_path: Path
) -> None:
    fewer = shutil.copytree(tiny_bundle, tmp_path / "fewer")
    shutil.rmtree(fewer / "clip")
    manifest = load_json(fewer / MANIFEST)
    seal(fewer, {key: value for key, value in manifest.items() if key not in ("format", "files", "sum")})
    Parcel.of(Bundle.open(fewer), Repo(NAME, "small")).send(token=WRITER)
    repo = pushed.repos[NAME]
    left = set(repo.files) - set(repo.commits[repo.branches["small"]])
    assert left == {f"clip/{name}" for name in (CONFIG_FILE, WEIGHTS_FILE)}
    assert not (Bundle.open(f"hf-hub:{NAME}@small").folder / "clip").exists()
    assert (Bundle.open(f"hf-hub:{NAME}").folder / "clip").exists()


def test_a_damaged_file_of_the_hub_is_found_by_the_manifest(pushed: StandIn) -> None:
    repo = pushed.repos[NAME]
    broken = repo.files["zoo-H.safetensors"][:-1] + b"x"
    repo.commit("main", repo.files | {"zoo-H.safetensors": broken})
    with pytest.raises(
        UserError, match=r"^The bundle's 'zoo-H.safetensors' is damaged \(its checksum differs\); fetch"
    ):
        Bundle.open(f"hf-hub:{NAME}")
    repo.commit("main", {name: part for name, part in repo.files.items() if name != "zoo-H.safetensors"})
    with pytest.raises(UserError, match=r"^The bundle 'hf-hub:me/tiny@\w{40}' lacks 'zoo-H.safetensors'"):
        Bundle.open(f"hf-hub:{NAME}")


def test_nothing_but_safetensors_and_json_is_fetched_and_of_something_else_nothing(pushed: StandIn) -> None:
    repo = pushed.repos[NAME]
    repo.commit("main", repo.files | {"generator-H/model.bin": b"code", "setup.py": b"code", "x.pkl": b"code"})
    folder = Bundle.open(f"hf-hub:{NAME}").folder
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}
    pushed.repos["me/other"] = Stored()
    pushed.repos["me/other"].commit("main", {"model.safetensors": b"x" * 20_000, "config.json": b"{}"})
    pushed.forget()
    with pytest.raises(UserError, match=r"^The hub's 'me/other' is something else \(it has no bundle.json\)"):
        Bundle.open("hf-hub:me/other")
    assert not pushed.sent()


def test_a_strangers_bundle_names_nothing_outside_of_it_and_runs_nothing(tmp_path: Path, tiny_bundle: Path) -> None:
    manifest = load_json(tiny_bundle / MANIFEST)
    check_inside(manifest)
    check_inside(manifest | {"world": {"kind": "stored", "locations": ["/a", "b/../c", "D:1"]}})
    for part, value in (
        ("files", {"../secret.json": ""}),
        ("files", {"C:\\x.json": ""}),
        ("variants", [{"generator": "/elsewhere"}]),
        ("world", {"kind": "cameras", "path": "/elsewhere/photographs"}),
    ):
        with pytest.raises(UserError, match="names what lies outside of it"):
            check_inside(manifest | {part: value})
    order = Order("os:abort", "all").public() | {"root": None}
    save_json(tmp_path / "bad" / "about.json", {"order": order})
    with pytest.raises(UserError, match=r"^Only p-diff's small networks are stored \(.*\), not 'os:abort'\.$"):
        StoredSystem(tmp_path / "bad").order  # noqa: B018
    save_json(tmp_path / CONFIG_FILE, {"model_cfg": {"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}}})
    save_tensors(tmp_path / WEIGHTS_FILE, {"x": torch.zeros(1)})
    with pytest.raises(UserError, match="asks for code of somebody else's to be run"):
        source_of(f"local-dir:{tmp_path}", None)


def test_the_hub_opens_no_bundle_that_names_files_outside(pushed: StandIn, tiny_bundle: Path, tmp_path: Path) -> None:
    bad = shutil.copytree(tiny_bundle, tmp_path / "bad")
    manifest = load_json(bad / MANIFEST)
    about = {key: value for key, value in manifest.items() if key not in ("format", "files", "sum")}
    seal(bad, about | {"world": {"kind": "cameras", "path": str(tmp_path)}})
    Bundle.open(bad)
    repo = pushed.repos[NAME]
    repo.commit("main", repo.files | {MANIFEST: (bad / MANIFEST).read_bytes()})
    with pytest.raises(UserError, match="names what lies outside of it"):
        Bundle.open(f"hf-hub:{NAME}")


def test_a_bundle_in_the_cache_is_not_changed_and_code_calls_it_by_its_commit(pushed: StandIn) -> None:
    bundle = Bundle.open(f"hf-hub:{NAME}")
    with pytest.raises(
        UserError, match=r"'hf-hub:me/tiny@\w{40}' lies in the hub's cache.* `hf download me/tiny --local"
    ):
        bundle.check_own()
    assert called(bundle.folder) == str(origin(bundle.folder)) == f"hf-hub:{NAME}@{bundle.folder.name}"
    assert Bundle.open(Path(called(bundle.folder))).folder == bundle.folder


def test_a_generator_goes_to_the_hub_and_comes_back_bit_by_bit(hub: StandIn, tiny_bundle: Path) -> None:
    own = AdapterGenerator.from_pretrained(tiny_bundle / "generator-H")
    own.push_to_hub(f"{NAME}@first", token=WRITER, private=True)
    repo = hub.repos[NAME]
    assert repo.private and set(repo.commits[repo.branches["first"]]) == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    card = repo.commits[repo.branches["first"]]["README.md"].decode()
    assert 'from_pretrained("me/tiny")' in card and "- regime: H\n- classifier" in card
    with pytest.raises(UserError, match="shows you no repository 'me/tiny'"):
        AdapterGenerator.from_pretrained("hf-hub:me/tiny@first", token="hf_nobody")
    back = AdapterGenerator.from_pretrained(NAME, revision="first", token=READER)
    assert back.fingerprint == own.fingerprint and back.notes == own.notes


def test_a_generator_of_a_bundle_is_fetched_without_the_rest(pushed: StandIn, tiny_bundle: Path) -> None:
    own = AdapterGenerator.from_pretrained(str(tiny_bundle), subfolder="generator-L")
    pushed.forget()
    back = AdapterGenerator.from_pretrained(NAME, subfolder="generator-L")
    assert sorted(pushed.sent()) == ["generator-L/config.json", "generator-L/model.safetensors"]
    assert back.fingerprint == own.fingerprint
    with pytest.raises(UserError, match=r"'me/tiny' is something else \(it has no generator-X/config.json\)"):
        AdapterGenerator.from_pretrained(NAME, subfolder="generator-X")


@pytest.mark.parametrize("name", ["./runs/mine", "/runs/mine", "~/mine", "runs/mine/h", "mine", "../mine", "a b/c", ""])
def test_a_text_that_can_be_no_repository_is_a_folder_and_asks_nobody(hub: StandIn, name: str) -> None:
    assert folder_of(name, ["config.json"]) == Path(name)
    assert folder_of(Path("runs/mine"), ["config.json"]) == Path("runs/mine")
    with pytest.raises(UserError, match=r"^'config.json' is missing"):
        AdapterGenerator.from_pretrained(name)
    assert not hub.asked


def test_a_folder_of_this_machine_wins(hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "me" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert folder_of(NAME, ["config.json"]) == Path(NAME)
    assert not hub.asked


def test_a_bundle_that_is_no_folder_is_said_so_as_before_and_asks_nobody(hub: StandIn) -> None:
    with pytest.raises(UserError, match=r"^'mine' is not a bundle \(it has no bundle.json\); make one with `wildpdiff"):
        Bundle.open(Path("runs/mine"))
    with pytest.raises(UserError, match=r"^'mine' is not a bundle"):
        Bundle.open("runs/mine")
    assert not hub.asked


@pytest.mark.parametrize(
    "address", ["hf-hub:mine", "hf-hub:a/b/c", "hf-hub:", "hf-hub:../x", "hf-hub:a/b@c d", "hf-hub:a/é"]
)
def test_a_repository_of_another_form_is_refused_at_once(hub: StandIn, address: str) -> None:
    with pytest.raises(
        UserError, match=r"^A repository of the hub is called owner/name or owner/name@revision, not 'hf"
    ):
        Bundle.open(address)
    assert not hub.asked


def test_a_name_that_the_hubs_own_client_refuses_is_one_sentence(hub: StandIn) -> None:
    with pytest.raises(UserError, match=r"^The hub lets no repository be called 'a/b--c'"):
        Bundle.open("hf-hub:a/b--c")


def test_reading_is_refused_in_sentences(pushed: StandIn) -> None:
    pushed.repos["me/private"] = Stored(private=True)
    pushed.repos["me/gated"] = Stored(gated=True)
    for name in ("me/none", "me/private", "me/gated"):
        with pytest.raises(
            UserError, match=rf"^The hub shows you no repository '{name}'; .* `hf auth login` or set HF_"
        ):
            Bundle.open(f"hf-hub:{name}")
    with pytest.raises(
        UserError, match=r"^There is no folder 'me/none', and the hub shows you no repository 'me/none'"
    ):
        Bundle.from_pretrained("me/none")
    with pytest.raises(UserError, match=r"^The hub's 'me/tiny' has no revision 'v9'; name a branch, tag or commit\.$"):
        Bundle.open(f"hf-hub:{NAME}@v9")
    pushed.down = 500
    with pytest.raises(UserError, match=r"^The hub cannot be reached, and its cache lacks 'me/tiny'"):
        Bundle.open(f"hf-hub:{NAME}")


def test_sending_is_refused_in_sentences(hub: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo, something = Repo(NAME), {"config.json": b"{}"}
    with pytest.raises(
        UserError, match=r"^The hub takes files only of whom it knows; log in with `hf auth login` or set"
    ):
        sent(repo, something, message="x")
    assert not hub.asked
    with pytest.raises(UserError, match=r"^The hub does not let you write to 'me/tiny'; log in .* may write there\.$"):
        sent(repo, something, message="x", token=READER)
    hub.repos[NAME] = Stored()
    with pytest.raises(UserError, match=r"^The hub does not let you write to 'me/tiny'"):
        sent(repo, something, message="x", token=READER)
    with pytest.raises(UserError, match=r"^The hub shows 'me/tiny' to everybody; make it private there, or choose"):
        sent(repo, something, message="x", token=WRITER, private=True)
    hub.repos[NAME].commit("main", {"model.safetensors": b"of somebody's"})
    with pytest.raises(UserError, match=r"^The hub's 'me/tiny' holds something else \(it has no bundle.json\)"):
        sent(repo, something, message="x", token=WRITER, whole=MANIFEST)
    assert hub.repos[NAME].files == {"model.safetensors": b"of somebody's"}
    hub.down = 502
    with pytest.raises(UserError, match=r"^The hub answered with an error \(502\) for 'me/tiny'; try again later\.$"):
        sent(repo, something, message="x", token=WRITER)
    offline(monkeypatch)
    with pytest.raises(
        UserError, match=r"^The hub is not asked while HF_HUB_OFFLINE is set; unset it and try again\.$"
    ):
        sent(repo, something, message="x", token=WRITER)


def test_sending_to_a_hub_that_is_gone_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standing_in() as hub:
        address = hub.address
    hub_server.use(address, home, monkeypatch)
    with pytest.raises(UserError, match=r"^The hub cannot be reached, or 'me/tiny' not moved \(ConnectError\)"):
        sent(Repo(NAME), {"config.json": b"{}"}, message="x", token=WRITER)


@pytest.mark.slow
def test_the_command_line_sends_a_bundle_and_opens_it_in_processes_of_their_own(
    hub: StandIn, home: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    def typed(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | hub_server.environment(hub.address, home) | more
        command = [sys.executable, "-m", "wildpdiff", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=variables, check=False, cwd=tmp_path)

    ended = typed("push", "--bundle", tiny_bundle, "--repo", NAME, "--private", HF_TOKEN=WRITER)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{hub.address}/{NAME}/commit/") and len(ended.stdout.splitlines()) == 1
    write = ("generate", "--location", "R10", "--steps", 2, "--bundle", f"hf-hub:{NAME}", "--device", "cpu", "--json")
    there = typed(*write, "--out", tmp_path / "there", HF_TOKEN=READER)
    assert there.returncode == 0, there.stderr
    hub.forget()
    again = typed(*write, "--out", tmp_path / "again", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert not hub.asked
    one, two = (next((tmp_path / name).rglob("*.safetensors")).read_bytes() for name in ("there", "again"))
    assert one == two and json.loads(again.stdout)["adapters"]
