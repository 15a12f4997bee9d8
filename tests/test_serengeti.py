"""Snapshot Serengeti from a server on this machine: what is chosen, what comes, and what is opened afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from corpus_files import documents
from serengeti_set import IMAGES, PLACES, ZIP, document, lila, zipped
from web import Web, served

from wildpdiff import cli
from wildpdiff.build.claim import claimed
from wildpdiff.build.own import OwnData, cast
from wildpdiff.errors import UserError
from wildpdiff.fetch.patience import Patience
from wildpdiff.lila import addresses, download
from wildpdiff.lila.choice import NAMED, Chosen, Wish, choose
from wildpdiff.lila.download import Order, Outcome, fetch_metadata, fetch_photographs, finish, ordered, plan
from wildpdiff.lila.reduced import reduced
from wildpdiff.survey.inspect import inspect
from wildpdiff.survey.open import open_coco, open_survey
from wildpdiff.worlds.base import EMPTY
from wildpdiff.worlds.coco import CocoWorld

WISH = Wish(locations=5, each=6, empties=8, least=6)
QUICK = Patience(first=0.001, longest=0.002, obeyed=0.001, timeout=0.5, tries=12)
FILES = lila()
ROOT = str(Path(__file__).parent.parent)


def order(web: Web, root: Path, wish: Wish = WISH) -> Order:
    return Order(root, web.address + ZIP, web.address + IMAGES, wish, patience=QUICK)


def downloaded(one: Order) -> Outcome:
    for _ in fetch_metadata(one):
        pass
    planned = plan(one)
    planned.check_room()
    *_, (_, tally) = fetch_photographs(planned)
    return finish(planned, tally)


def chosen(tmp_path: Path, wish: Wish = WISH, whole: Mapping[str, Any] | None = None) -> Chosen:
    (tmp_path / "m.json").write_text(json.dumps(whole or document()[0]))
    return choose(open_coco(tmp_path / "m.json", tmp_path), wish)


def command(capsys: pytest.CaptureFixture[str], *typed: str) -> tuple[int, str, str]:
    """Exit status and both streams of `wildpdiff data serengeti`."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["wildpdiff", "data", "serengeti", *typed])
        cli.main()
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def typed(web: Web, root: Path, *more: str) -> tuple[str, ...]:
    at = ("--root", str(root), "--metadata", web.address + ZIP, "--base-url", web.address + IMAGES)
    return (*at, "--locations", "5", "--each", "6", "--empties", "8", "--least", "6", *more)


# --- what is chosen


def test_named_locations_come_first_and_those_with_too_few_are_passed_over(tmp_path: Path) -> None:
    assert {"R10", "R12", "D03"} <= set(NAMED) and len(NAMED) == 15
    found = chosen(tmp_path, Wish(locations=3, least=6))
    assert found.locations == ("D03", "R10", "R12")
    assert found.species == ("wildebeest", "zebra", "gazellethomsons", "lionfemale", EMPTY)
    assert set(chosen(tmp_path).locations) == set(PLACES) - {"E09", "S07"}
    with pytest.raises(
        UserError, match=r"^'m.json' has 5 locations with 6 photographs of these animals and 6 empty ones"
    ):
        chosen(tmp_path, Wish(locations=6, least=6))


def test_each_class_of_a_location_has_at_most_as_many_as_asked_for_and_all_if_there_are_fewer(tmp_path: Path) -> None:
    found, whole = chosen(tmp_path), document()[0]
    category = {each["image_id"]: each["category_id"] for each in whole["annotations"]}
    counts = Counter((place, category[file.removesuffix(".JPG")]) for file, place in found.files.items())
    for place in found.locations:
        there = dict(enumerate(2 * count for count in PLACES[place]))
        assert counts[place, 0] == 8 and counts[place, 1] == 0
        assert [counts[place, animal] for animal in (2, 3, 4)] == [min(6, there[animal]) for animal in (2, 3, 4)]
    assert whole["images"][0]["file_name"] not in found.files  # it is corrupt


def test_the_same_wish_chooses_the_same_and_a_larger_one_more_of_the_same(tmp_path: Path) -> None:
    first = chosen(tmp_path)
    assert chosen(tmp_path) == first
    whole = document()[0]
    whole["images"].reverse()
    whole["images"] += whole["images"][:50]  # listed twice
    assert chosen(tmp_path, whole=whole).files == first.files
    assert first.files.items() < chosen(tmp_path, Wish(locations=5, each=9, empties=12, least=6)).files.items()
    assert chosen(tmp_path, Wish(locations=5, each=6, empties=8, least=6, seed=1)).files != first.files


def test_species_and_locations_can_be_named(tmp_path: Path) -> None:
    found = chosen(tmp_path, Wish(species=("Zebra",), locations=("S07", "B04"), each=2, empties=3))
    assert found.species == ("Zebra", EMPTY) and found.locations == ("B04", "S07")
    assert Counter(found.files.values()) == {"B04": 5, "S07": 4}  # the only zebra of S07 is beside a wildebeest


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        (lambda: Wish(species=("unicorn",)), "has no category 'unicorn'; choose species among"),
        (lambda: Wish(species=("human",)), "'human' is no animal"),
        (lambda: Wish(species=("zebra", "Zebra")), "A species is listed twice"),
        (lambda: Wish(locations=("X99",)), "Location 'X99' is not known; choose one of: B04"),
        (lambda: Wish(locations=()), "At least one location is needed"),
        (lambda: Wish(locations=0), "At least one location is needed"),
        (lambda: Wish(each=0), "'each' must be at least 1, not 0"),
        (lambda: Wish(seed=-1), "'seed' must be at least 0, not -1"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_one_sentence(
    tmp_path: Path, wish: Callable[[], Wish], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        chosen(tmp_path, wish())


@pytest.mark.parametrize("name", ["../x.JPG", "/etc/x.JPG", "C:\\x.JPG", "a/../../x.JPG", "..\\x.JPG"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    whole = document()[0]
    whole["images"][-1]["file_name"] = name
    with pytest.raises(
        UserError, match=r"^'m.json' names a file outside its folder \('.+'\); take the metadata from LILA"
    ):
        chosen(tmp_path, whole=whole)


def test_whatever_metadata_says_it_is_chosen_from_or_refused_in_one_sentence(tmp_path: Path) -> None:
    ended = Counter[str]()
    for _, data in documents():
        (tmp_path / "m.json").write_bytes(data)
        try:
            found = choose(open_coco(tmp_path / "m.json", tmp_path), Wish(locations=1, least=1))
            ended["chosen"] += len(found.files) > 0
        except UserError as error:
            ended["refused"] += str(error).endswith((".", "'"))
    assert ended["chosen"] > 5 and ended["refused"] > 5


def test_a_reduced_document_has_all_records_of_its_photographs_in_whatever_order_they_were(tmp_path: Path) -> None:
    whole, _ = document()
    files = [each["file_name"] for each in whole["images"][::7]]
    found, path = [], tmp_path / "m.json"
    for keys in (("categories", "images", "annotations"), ("annotations", "images", "categories")):
        path.write_text(json.dumps({key: whole[key] for key in keys}))
        found.append(reduced(lambda: path.open("rb"), path.name, files))
    assert found[0] == found[1]
    assert found[0]["images"] == whole["images"][::7] and found[0]["categories"] == whole["categories"]
    assert {each["image_id"] for each in found[0]["annotations"]} == {each["id"] for each in whole["images"][::7]}
    assert "NaN" not in json.dumps(found) and {each["resting"] for each in found[0]["annotations"]} == {None}


# --- what comes


@pytest.mark.parametrize(("share", "seed"), [(0.05, 5), (0.3, 1)])
def test_what_was_chosen_comes_whole_in_spite_of_faults_and_nothing_else(
    tmp_path: Path, share: float, seed: int
) -> None:
    with served(FILES, share=share, seed=seed) as web:
        outcome = downloaded(order(web, tmp_path / "s"))
    files = outcome.plan.chosen.files
    root = tmp_path / "s" / "images"
    there = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert there == {name: FILES[IMAGES + name] for name in files} and len(there) > 100
    assert set(web.whole.values()) == {1} and sum(web.faults.values()) > web.faults["none"]
    assert (tmp_path / "s" / "source" / Path(ZIP).name).read_bytes() == FILES[ZIP]
    assert outcome.photographs == outcome.tally.fetched == len(files)


def test_what_came_is_a_survey_and_a_world_of_whole_frames_and_one_of_own_cameras(tmp_path: Path) -> None:
    with served(FILES) as web:
        outcome = downloaded(order(web, tmp_path / "s"))
    root, species = tmp_path / "s", outcome.plan.chosen.species[:-1]
    seen = inspect(open_survey(root))
    assert seen.to_json()["kind"] == "COCO Camera Traps"
    world = CocoWorld.open(root / "metadata.json", root / "images", species=species, size=32, eval_share=0.3)
    assert world.locations == outcome.plan.chosen.locations
    for name in world.locations:
        assert len(world.images(name, "train").labels) > 4 and len(world.images(name, "eval").labels) > 0
        assert len(world.backgrounds(name)) > 2
    assert world.skipped == world.short == world.left_out == 0
    own = OwnData(root / "metadata.json", size=32).world()
    assert len(cast(own).seen) >= 2 and cast(own).unseen
    assert len(own.backgrounds(cast(own).seen[0])) > 1


def test_a_second_run_asks_for_nothing_and_a_larger_wish_for_what_lacks(tmp_path: Path) -> None:
    with served(FILES) as web:
        first = downloaded(order(web, tmp_path / "s"))
        web.asked.clear()
        again = downloaded(order(web, tmp_path / "s"))
        assert (again.tally.found, again.tally.fetched, web.asked) == (first.photographs, 0, [])
        larger = downloaded(order(web, tmp_path / "s", Wish(locations=5, each=9, empties=12, least=6)))
    assert (
        larger.tally.found == first.photographs and 0 < larger.tally.fetched == larger.photographs - larger.tally.found
    )
    assert set(web.whole.values()) == {1}


def test_the_total_is_told_and_refused_where_the_disk_is_too_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(FILES) as web:
        one = order(web, tmp_path / "s")
        for _ in fetch_metadata(one):
            pass
        planned = plan(one)
        assert web.at_once <= 8 and 1 <= sum(method == "HEAD" for method, _, _ in web.asked) <= download.ASKED
        true = sum(len(FILES[IMAGES + name]) for name in planned.chosen.files)
        assert abs(planned.estimate - true) < 0.1 * true
        count = len(planned.wanted)
        words = f"{count} photographs of 5 locations, 4 animals and empty; {count} files are to be fetched, about"
        assert planned.words().startswith(words) and planned.words().endswith(" GB are free.")
        usage = shutil._ntuple_diskusage(9, 9, true // 2)  # type: ignore[attr-defined]
        monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage)
        with pytest.raises(
            UserError, match=r"^The photographs need about [\d.]+ MB, and the disk of 's' has [\d.]+ MB; "
        ):
            plan(one).check_room()


def test_where_no_server_tells_a_size_a_usual_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(json.dumps(document()[0]))
    planned = plan(Order(tmp_path, str(tmp_path / "m.json"), "http://127.0.0.1:1/", WISH, patience=QUICK))
    assert planned.estimate == addresses.TYPICAL * len(planned.wanted)


def test_the_mirrors_are_addresses_of_the_same_files() -> None:
    for name, cloud in addresses.MIRRORS.items():
        one = ordered(Path("x"), WISH, mirror=name, base="", metadata="", connections=2)
        assert one.images == f"{cloud}snapshotserengeti-unzipped/" and one.metadata.startswith(cloud)
        assert one.file == Path("x/source/SnapshotSerengeti_S1-11_v2_1.json.zip") and one.connections == 2
    with pytest.raises(UserError, match="Mirror 'moon' is not known; choose one of: gcp, azure, aws"):
        ordered(Path("x"), WISH, mirror="moon", base="", metadata="", connections=2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": "ftp://a/"}, "'ftp://a/' is no address to fetch from"),
        ({"metadata": "file:///etc/passwd"}, "'file:///etc/passwd' is no address to fetch from"),
        ({"metadata": "/absent/m.json"}, "There is no metadata 'm.json'; give a file, or an address"),
        ({"connections": 0}, "'connections' must lie between 1 and 32, not 0"),
        ({"connections": 99}, "'connections' must lie between 1 and 32, not 99"),
    ],
)
def test_an_order_that_cannot_be_fetched_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Order(Path("x"), **{"metadata": "https://a/m.zip", "images": "https://a/"} | changes)


# --- the command


def test_the_command_says_the_total_first_and_ends_with_one_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(FILES) as web:
        status, out, err = command(capsys, *typed(web, tmp_path / "s", "--json"))
        found = json.loads(out)
        assert (
            status == 0 and found["photographs"] == found["fetched"] > 100 and found["absent"] == found["failed"] == 0
        )
        assert found["species"][-1] == EMPTY and len(found["locations"]) == 5
        assert err.index(" files are to be fetched, about ") < err.index("photos 1") and "metadata 1/1" in err
        status, out, err = command(capsys, *typed(web, tmp_path / "s"))
    assert status == 0 and out.startswith(f"'s' holds {found['photographs']} photographs of 5 locations, described by")
    assert "0 files are to be fetched" in err and not list((tmp_path / "s").glob(".running*"))
    assert (tmp_path / "s" / "metadata.json").is_file()


def test_photographs_that_the_server_does_not_have_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: data for name, data in FILES.items() if "/R10/" not in name or not name.endswith("1.JPG")}
    with served(files) as web:
        status, out, err = command(capsys, *typed(web, tmp_path / "s", "--json"))
        told = json.loads(out)
    assert status == 2 and told["absent"] > 0 and "Traceback" not in err
    count, total = told["absent"], told["absent"] + told["photographs"]
    assert (
        f"wildpdiff: {count} of {total} photographs did not come, '{told['first_problem'][7:]}' is the first (not"
        in err
    )
    listed = json.loads((tmp_path / "s" / "metadata.json").read_text())["images"]
    assert len(listed) == told["photographs"] and all(
        (tmp_path / "s/images" / one["file_name"]).is_file() for one in listed
    )


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, r"The metadata 'SnapshotSerengeti_S1-11_v2_1.json.zip' did not come from '127.0.0.1' \(not there, 404\)"),
        ({ZIP: b"no zip at all"}, "'SnapshotSerengeti_S1-11_v2_1.json.zip' "),
        ({ZIP: lila()[ZIP][:2_000]}, "'SnapshotSerengeti_S1-11_v2_1.json.zip' "),
        ({ZIP: zipped('{"images": [')}, "'SnapshotSerengeti_S1-11_v2_1.json.zip' is damaged"),
        ({ZIP: zipped("[]")}, "'SnapshotSerengeti_S1-11_v2_1.json.zip' "),
        ({ZIP: zipped("{}", "readme.txt")}, "'SnapshotSerengeti_S1-11_v2_1.json.zip' holds 0 .json files"),
    ],
)
def test_metadata_that_is_not_as_it_should_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, bytes], sentence: str
) -> None:
    with served(files) as web:
        status, out, err = command(capsys, *typed(web, tmp_path / "s"))
    last = err.strip().split("\n")[-1]
    assert status == 2 and not out and err.count("wildpdiff: ") == 1 and str(tmp_path) not in err
    assert re.match(f"wildpdiff: {sentence}", last) and last.endswith("."), last
    assert not (tmp_path / "s" / "metadata.json").exists()


def test_without_a_network_one_sentence_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download.Patience, "delay", lambda *_: 0.0)
    web = Web({}, address="http://127.0.0.1:1")
    status, _, err = command(capsys, *typed(web, tmp_path / "s"))
    assert status == 2 and "did not come from '127.0.0.1' (no connection); check the address and the network" in err


def test_a_second_run_into_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(FILES) as web, claimed(tmp_path, "s"):
        status, _, err = command(capsys, *typed(web, tmp_path))
    assert status == 2 and web.asked == []
    assert f"Another run is at work in '{tmp_path.name}'; wait for its end, or choose another --root." in err


def sizes(root: Path) -> dict[str, int]:
    """Bytes of the files that are under way."""
    found = {}
    for path in root.rglob("*.part"):
        with suppress(FileNotFoundError):
            found[path.name.rsplit(".", 3)[0]] = path.stat().st_size
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path: Path, how: signal.Signals) -> None:
    root = tmp_path / "s"
    given = {**os.environ, "PYTHONPATH": ROOT}
    files = {name: data if name == ZIP else data + bytes(40_000) for name, data in FILES.items()}
    with served(files, block=4_000, pause=0.03) as web:
        run = ["/usr/bin/env", "--default-signal=INT", sys.executable, "-m", "wildpdiff", "data", "serengeti"]
        run += [*typed(web, root), "--connections", "4"]
        first = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given)
        begun = time.monotonic()
        while len(list(root.rglob("*.JPG"))) < 30 or not any(sizes(root).values()):
            assert time.monotonic() - begun < 200 and first.poll() is None, first.stderr and first.stderr.read()
            time.sleep(0.02)
        first.send_signal(how)
        _, told = first.communicate(timeout=30)
        if how == signal.SIGINT:
            assert first.returncode == 130, told
            assert told.strip().endswith("run the same command again to go on.")
        had = {path.relative_to(root / "images").as_posix() for path in root.rglob("*.JPG")}
        parts = sizes(root)
        assert parts and not (root / "metadata.json").exists()
        for path in root.rglob("*.JPG"):
            assert path.read_bytes() == files[IMAGES + path.relative_to(root / "images").as_posix()]
        web.asked.clear()
        web.pause = 0
        again = subprocess.run([*run, "--json"], capture_output=True, text=True, env=given, check=True, timeout=200)
    found = json.loads(again.stdout)
    assert found["there_before"] == len(had) and found["photographs"] == len(had) + found["fetched"]
    asked = {path.removeprefix(IMAGES): range_ for method, path, range_ in web.asked if method == "GET"}
    assert not had & asked.keys() and ZIP not in asked
    resumed = {Path(name).name: range_ for name, range_ in asked.items() if range_}
    assert resumed == {name: f"bytes={size}-" for name, size in parts.items() if size}
    assert not list(root.rglob("*.part")) and not (root / ".running").exists()
