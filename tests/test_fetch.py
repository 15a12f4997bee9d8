"""Many files from a server that fails: all arrive, bit by bit, none of them twice, and what cannot come is said."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from web import BUSY, CUT, FAULTS, LONG, STALL, Web, served

from wildpdiff.errors import UserError
from wildpdiff.fetch import part as parts
from wildpdiff.fetch.ledger import Ledger
from wildpdiff.fetch.lengths import lengths
from wildpdiff.fetch.many import Tally, fetch_all
from wildpdiff.fetch.part import Part, parts_in
from wildpdiff.fetch.patience import Patience, asked_for
from wildpdiff.fetch.wanted import Wanted, below, checked_address, place_of

RNG = random.Random(0)
FILES = {f"/S{at % 3}/P{at:04d}.JPG": RNG.randbytes(RNG.randint(1, 9_000)) for at in range(200)}
QUICK = {"first": 0.001, "longest": 0.002, "obeyed": 0.001, "timeout": 0.5}


def wanted(web: Web, names: Sequence[str] = ()) -> list[Wanted]:
    return [Wanted(web.address + name, name[1:]) for name in names or web.files]


def fetched(web: Web, folder: Path, names: Sequence[str] = (), **patience: Any) -> Tally:
    *_, tally = fetch_all(
        wanted(web, names), folder / "files", folder / "ledger.json", patience=Patience(**QUICK | patience)
    )
    return tally


def there(folder: Path) -> dict[str, bytes]:
    """All files below the folder, by path."""
    root = folder / "files"
    return {f"/{path.relative_to(root).as_posix()}": path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("share", "seed"), [(0.0, 0), (0.05, 1), (0.05, 2), (0.4, 3)])
def test_whatever_goes_wrong_for_a_while_all_files_come_and_none_comes_twice(
    tmp_path: Path, share: float, seed: int
) -> None:
    with served(FILES, share=share, seed=seed) as web:
        tally = fetched(web, tmp_path, tries=12)
    assert there(tmp_path) == FILES
    assert (tally.files, tally.fetched, tally.found, tally.problems) == (200, 200, 0, [])
    assert set(web.whole.values()) == {1} and set(web.whole) == set(FILES)
    assert {name: web.bytes[name] for name in FILES} == {name: len(data) for name, data in FILES.items()}
    assert tally.bytes == tally.expected == sum(map(len, FILES.values()))
    assert (sum(web.faults[kind] for kind in FAULTS) > 0) == (share > 0)
    assert len(web.agents) == 1 and next(iter(web.agents)).startswith("wildpdiff/")
    assert web.at_once <= 8 or share  # the server notices late that nobody listens any more


def test_a_second_run_asks_for_nothing_and_a_damaged_file_comes_anew(tmp_path: Path) -> None:
    few = dict(list(FILES.items())[:20])
    with served(few) as web:
        fetched(web, tmp_path)
        web.asked.clear()
        assert (fetched(web, tmp_path).found, web.asked) == (20, [])
        first, second, *_ = few
        (tmp_path / f"files{first}").write_bytes(few[first][:-1])
        (tmp_path / f"files{second}").unlink()
        assert fetched(web, tmp_path).fetched == 2
        assert {path for _, path, _ in web.asked} == {first, second}
        (tmp_path / "ledger.json").write_text("{broken")
        assert fetched(web, tmp_path).found == 20
    assert there(tmp_path) == few


def test_an_end_in_the_middle_leaves_parts_that_a_later_run_goes_on_from(tmp_path: Path) -> None:
    large = {f"/{at}.bin": random.Random(at).randbytes(400_000) for at in range(6)}
    with served(large, block=20_000, pause=0.1) as web:
        run = fetch_all(wanted(web), tmp_path / "files", tmp_path / "ledger.json", connections=3)
        for tally in run:
            if tally.bytes:
                break
        run.close()
        begun = parts_in(tmp_path / "files")
        assert begun and not any(path.exists() for path in begun) and tally.fetched < 6
        had = {f"/{path.name}": part.stat().st_size for path, part in begun.items()}
        late = [name for name in large if name not in had and name not in there(tmp_path)]
        web.asked.clear()
        web.pause = 0
        fetched(web, tmp_path)
    assert there(tmp_path) == large
    asked = {name: f"bytes={size}-" for name, size in had.items()} | dict.fromkeys(late)
    assert {path: range_ for _, path, range_ in web.asked} == asked and len(web.asked) == len(asked)


class Kept(NamedTuple):
    """A part of a file that an earlier run left, and what a later run asks for."""

    share: float
    data: bytes
    ranges: bool
    asks: list[str | None]


NEW = bytes(range(250)) * 40


@pytest.mark.parametrize(
    "kept",
    [
        Kept(0.5, NEW, True, ["bytes=5000-"]),
        Kept(0.5, NEW, False, ["bytes=5000-"]),
        Kept(1.0, NEW, True, []),
        Kept(0.5, bytes(10_000), True, ["bytes=5000-", None]),
        Kept(0.5, bytes(700), True, ["bytes=5000-", None]),
    ],
    ids=["goes on", "no ranges", "whole but for its name", "another version", "shorter meanwhile"],
)
def test_a_part_is_gone_on_with_only_where_it_fits(tmp_path: Path, kept: Kept) -> None:
    with served({"/a": NEW}) as web:
        before = httpx.head(web.address + "/a").headers["ETag"]
    half = Part(tmp_path / "files" / "a")
    half.begin(len(NEW), before)
    with half.opened() as file:
        file.write(NEW[: int(kept.share * len(NEW))])
    with served({"/a": kept.data}, ranges=kept.ranges) as web:
        assert fetched(web, tmp_path).fetched == 1
        assert web.gets("/a") == kept.asks
    assert there(tmp_path) == {"/a": kept.data}


def test_what_is_not_there_is_told_and_stops_nothing(tmp_path: Path) -> None:
    few = dict(list(FILES.items())[:20])
    with served(few) as web:
        tally = fetched(web, tmp_path, ["/absent.JPG", *few, "/S9/none.JPG"])
        assert web.gets("/absent.JPG") == [None]
    assert there(tmp_path) == few
    assert [tuple(one) for one in sorted(tally.problems)] == [
        ("S9/none.JPG", "not there, 404", True),
        ("absent.JPG", "not there, 404", True),
    ]


def test_a_file_that_never_comes_right_is_given_up_and_the_others_come(tmp_path: Path) -> None:
    few = dict(list(FILES.items())[:9])
    name = next(iter(few))
    with served(few) as web:
        only = [Wanted(one.address, one.name, 5 if one.address.endswith(name) else None) for one in wanted(web)]
        *_, tally = fetch_all(only, tmp_path / "files", tmp_path / "l.json", patience=Patience(**QUICK, tries=2))
        assert len(web.gets(name)) == 3
    assert there(tmp_path) == {key: data for key, data in few.items() if key != name}
    reason = f"it has {len(few[name]):,} bytes there, where 5 were told"
    assert [tuple(one) for one in tally.problems] == [(name[1:], reason, False)]


@pytest.mark.parametrize(("kind", "reason"), [(BUSY, "the server is busy, 503"), ("reset", "the connection was cut")])
def test_a_server_that_gives_nothing_ends_it_with_one_sentence(tmp_path: Path, kind: str, reason: str) -> None:
    with (
        served(FILES, share=1.0, kinds=(kind,)) as web,
        pytest.raises(UserError, match=rf"^'127.0.0.1' does not give its files \({reason}\); 200 are not there yet: "),
    ):
        fetched(web, tmp_path, tries=1)
    assert len(web.asked) < 40
    with pytest.raises(UserError, match="does not give its files"):
        fetched(web, tmp_path, tries=1)  # nobody is at the address any more
    assert not there(tmp_path)


def test_waits_grow_are_spread_and_never_shorter_than_the_server_asks(tmp_path: Path) -> None:
    patience = Patience(chance=lambda: 0.0)
    assert [patience.delay(failures, None) for failures in (1, 2, 3, 6, 99)] == [0.5, 1, 2, 16, 30]
    assert Patience(chance=lambda: 1.0).delay(3, None) == 4
    assert (patience.delay(1, 7.0), patience.delay(9, 7.0), patience.delay(1, 1e9)) == (7, 30, 600)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    with served({"/a": b"a" * 99}, share=1.0, kinds=(BUSY,)) as web:
        told = fetched(web, tmp_path, tries=3, sleep=sleep, obeyed=600.0)
    assert slept == [7.0] * 3
    assert told.problems[0].reason == "the server is busy, 503"


def test_the_header_that_asks_for_patience_has_seconds_or_a_date() -> None:
    assert asked_for("120") == 120
    assert asked_for("Wed, 21 Oct 2026 07:28:00 GMT", now=lambda: 1_792_567_670.0) == 10
    assert asked_for("Wed, 21 Oct 2020 07:28:00 GMT") == 0
    assert [asked_for(text) for text in (None, "", "soon", "-3", "²", "1e3")] == [None] * 6


@pytest.mark.parametrize("kind", [CUT, STALL, LONG])
def test_a_body_without_its_end_is_gone_on_with(tmp_path: Path, kind: str) -> None:
    data = RNG.randbytes(5_000)
    seed = next(at for at in range(99) if Web({}, 0.5, (kind,), at).fault("/a", 1))
    with served({"/a": data}, share=0.5, kinds=(kind,), seed=seed) as web:
        assert fetched(web, tmp_path, tries=20).fetched == 1
    assert there(tmp_path) == {"/a": data} and web.bytes["/a"] == 5_000
    assert web.gets("/a")[1] == ("bytes=5000-" if kind == LONG else "bytes=2500-")


def test_a_full_disk_ends_it_at_once_with_nothing_half_under_a_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {f"/{at}.bin": random.Random(at).randbytes(200_000) for at in range(40)}
    room, add = 4_000_000, parts.add

    def write(file: Any, data: bytes, name: str) -> None:
        nonlocal room
        room -= len(data)
        if room < 0:
            with parts.written(name):
                raise OSError(errno.ENOSPC, "No space left on device")
        add(file, data, name)

    with served(large) as web:
        with monkeypatch.context() as patch:
            patch.setattr("wildpdiff.fetch.one.add", write)
            with pytest.raises(
                UserError, match=r"^The disk is full: '\d+\.bin' does not fit; free some space, then run"
            ):
                fetched(web, tmp_path)
        whole = {name: data for name, data in there(tmp_path).items() if not name.endswith(".part")}
        assert whole and whole.items() <= large.items() and len(web.asked) < 40
        web.asked.clear()
        fetched(web, tmp_path)
    assert there(tmp_path) == large and not whole.keys() & {path for _, path, _ in web.asked}


def test_a_file_that_is_larger_than_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 98))  # type: ignore[attr-defined]
    with served({"/a": b"a" * 99}) as web, pytest.raises(UserError, match=r"^The disk is full: 'a' does not fit"):
        fetched(web, tmp_path)
    assert not there(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file where the folder should be")
    with served({"/a": b"a" * 99}) as web, pytest.raises(UserError, match=r"^'a' could not be written \(.+\); choose"):
        fetched(web, tmp_path)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", ".", "a\0b", "\ud800"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is no name of a file inside the folder; nothing is written there"):
        place_of(tmp_path, name)
    with pytest.raises(UserError, match="is no name of a file"):
        next(fetch_all([Wanted("http://127.0.0.1:1/x", name)], tmp_path, tmp_path / "l.json"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "address", ["ftp://host/x", "file:///etc/passwd", "host/x", "", "http://", "https:///x", "http://[::1", "http://a:x/",
                "http://a\nb/", "gs://bucket/x", "http://a:0/"]
)  # fmt: skip
def test_only_addresses_of_the_web_are_fetched_from(address: str) -> None:
    with pytest.raises(UserError, match="is no address to fetch from; it must begin with https://"):
        checked_address(address)
    assert checked_address("https://[::1]:8/a") == "https://[::1]:8/a"


def test_odd_letters_of_a_name_are_written_as_an_address_has_them(tmp_path: Path) -> None:
    assert below("http://a/b/", "S 1/é#?%.JPG") == "http://a/b/S%201/%C3%A9%23%3F%25.JPG"
    with served({"/S%201/%C3%A9%23%3F%25.JPG": b"odd"}) as web:
        one = Wanted(below(web.address, "S 1/é#?%.JPG"), "S 1/é#?%.JPG")
        list(fetch_all([one, one], tmp_path / "files", tmp_path / "l.json", patience=Patience(**QUICK)))
        assert len(web.asked) == 1
    assert there(tmp_path) == {"/S 1/é#?%.JPG": b"odd"}


def test_lengths_are_those_that_the_server_tells(tmp_path: Path) -> None:
    few = list(FILES)[:9]
    with served(FILES) as web:
        asked = [web.address + name for name in [*few, "/absent"]]
        assert sorted(lengths(asked, connections=4, patience=Patience())) == sorted(len(FILES[name]) for name in few)
        assert {method for method, _, _ in web.asked} == {"HEAD"} and web.at_once <= 4
    assert lengths(asked, connections=4, patience=Patience()) == []


def test_the_ledger_is_written_now_and_then_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"four")
    ledger = Ledger(tmp_path / "l.json")
    ledger.note("a", 4)
    assert not (tmp_path / "l.json").exists()
    monkeypatch.setattr("wildpdiff.fetch.ledger.OFTEN", 0.0)
    ledger.note("b", 1)
    again = Ledger(tmp_path / "l.json")
    assert again.sizes == {"a": 4, "b": 1}
    assert again.has("a", tmp_path / "a") and not again.has("b", tmp_path / "b") and not again.has("b", tmp_path / "a")


def test_ctrl_c_ends_it_within_a_moment_while_nothing_comes(tmp_path: Path) -> None:
    with served({"/a": bytes(9_000)}, share=1.0, kinds=(STALL,), stalled=20.0) as web:
        run = fetch_all(wanted(web), tmp_path / "files", tmp_path / "l.json")
        threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT)).start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            for _ in run:
                pass
        assert time.monotonic() - begun < 5
    assert [part.stat().st_size for part in parts_in(tmp_path / "files").values()] == [4_500]


def test_ctrl_c_at_any_moment_is_ctrl_c_and_nothing_else_and_nothing_is_lost(tmp_path: Path) -> None:
    with served(FILES, block=3_000, pause=0.004) as web:
        for after in (0.03, 0.06, 0.1, 0.14, 0.2, 0.25, 0.3):
            timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                fetched(web, tmp_path / f"{after}", tries=0)
                timer.join()  # on a fast machine everything is there before
            files = there(tmp_path / f"{after}")
            assert {name: data for name, data in files.items() if not name.endswith(".part")}.items() <= FILES.items()
        fetched(web, tmp_path / "0.3")
    assert there(tmp_path / "0.3") == FILES
