"""p-diff systems in a bundle, and the tab that samples them: what is live is what was stored."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pdiff_folder import TINY, own_file
from served import CHROMIUM, WAIT, chromium, serving, visiting

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.evaluate import overlap
from wildpdiff.files import load_json, load_tensors
from wildpdiff.pdiff.order import Order
from wildpdiff.pdiff.stored import FOLDER, Stored, check_shippable, keep, names
from wildpdiff.pdiff.system import System
from wildpdiff.plots.pdiff import Stop, trajectory
from wildpdiff.studio.pdiff import MEASURED, MOST, Hall, Wish, opened, sampled
from wildpdiff.studio.results import tabs

BUNDLE = Path(__file__).parent.parent / "assets" / "savanna"
NAME = "tiny-net"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    made = System(Order("convnet-mini", "all", recipe=TINY), tmp_path_factory.mktemp("system") / "out")
    for _ in made.run():
        pass
    return made


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, system: System, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with one system; read only."""
    folder = tmp_path_factory.mktemp("bundle") / "own"
    shutil.copytree(tiny_bundle, folder)
    keep(system, Bundle.open(folder), NAME)
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def hall(bundle: Bundle) -> Hall:
    return Hall(bundle)


def frames(hall: Hall, count: int = 3, seed: int = 0) -> list[dict[str, Any]]:
    return list(sampled(hall, Wish(NAME, count, seed)))


def test_a_kept_system_is_a_part_of_its_own_and_changes_no_other_fingerprint(tiny_bundle: Path, bundle: Bundle) -> None:
    before, after = Bundle.open(tiny_bundle).fingerprints, bundle.fingerprints
    assert set(after) - set(before) == {"pdiff"}
    assert {part: after[part] for part in before} == before


def test_a_bundle_without_systems_shows_no_tab(tiny_bundle: Path, bundle: Bundle) -> None:
    assert "pdiff" not in tabs(Bundle.open(tiny_bundle))
    assert "pdiff" in tabs(bundle) and names(bundle) == (NAME,)


def test_nothing_that_is_kept_names_somebody_s_folders_or_is_anything_but_safetensors_and_json(
    bundle: Bundle, system: System
) -> None:
    files = [path for path in (bundle.folder / FOLDER).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    assert not any(str(system.out.parent) in path.read_text() for path in files if path.suffix == ".json")


def test_live_samples_of_the_stored_seeds_are_the_stored_ones(hall: Hall, system: System) -> None:
    """The same networks, as accurate, as like to originals and at the same places, from the files alone."""
    count = 5
    stored = load_json(system.out / "results.json")
    *_, last = hall.system(NAME).walk(count, system.order.seed)
    torch.testing.assert_close(last.rows, load_tensors(system.out / "samples.safetensors")[0]["rows"][:count])
    torch.testing.assert_close(
        last.places, torch.tensor(stored["plane"]["points"]["generated"][:count]), atol=1e-3, rtol=1e-3
    )
    samples = frames(hall, count)[-1]["samples"]
    points = stored["groups"]["generated"]["points"]
    assert [one["right"] / one["total"] for one in samples] == pytest.approx(points["test"][:count], abs=1e-6)
    assert [one["likeness"] for one in samples] == pytest.approx(points["iou"][:count], abs=6e-4)


def test_the_estimates_on_the_way_end_at_the_sample(hall: Hall) -> None:
    messages = frames(hall, 2, seed=5)
    assert [one["stage"] for one in messages] == ["measured", "walking", "done"]
    way = messages[-1]["figures"]["pdiff-way"]
    lines = {trace["name"]: trace for trace in way["data"] if "live" in trace["name"]}
    assert list(lines) == ["seed 5, live", "seed 6, live"]
    for line, sample in zip(lines.values(), messages[0]["samples"], strict=True):
        assert tuple(line["x"]) == MEASURED
        assert line["y"][-1] == pytest.approx(sample["right"] / sample["total"])


@pytest.mark.parametrize("originals", [0.967, 0.9671, 0.99, 0.4])
def test_the_axis_of_the_way_holds_all_of_it_and_its_ticks_differ(originals: float) -> None:
    way = [Stop(0, 0.966, (0.0, 0.0)), Stop(50, 0.9672, (1.0, 0.0))]
    for ways in ([], [("seed 0, live", way)]):
        low, high = trajectory(ways, originals, 0.967)["layout"]["yaxis"]["range"]
        values = [originals, 0.967, *(stop.accuracy for _, stops in ways for stop in stops)]
        assert low < min(values) and max(values) < high
        assert high - low >= 0.01, "half a dozen ticks with one decimal of a percent would say the same twice"


def test_pictures_that_changed_are_counted_by_who_is_right(hall: Hall) -> None:
    first, stored = frames(hall)[0], hall.system(NAME)
    *_, last = stored.walk(3, 0)
    for at, found in enumerate(first["changed"]["samples"]):
        state = stored.shared.state(last.rows[at])
        with torch.no_grad():
            logits = torch.func.functional_call(
                stored.shared.network, state, (stored.shared.inputs(stored.images.pixels),)
            )
        says, base, truth = logits.argmax(dim=1), stored.base_says, stored.images.labels
        assert found["gained"] == int(((says == truth) & (base != truth)).sum())
        assert found["lost"] == int(((says != truth) & (base == truth)).sum())
        assert found["all"] == int((says != base).sum())
        for number, label, before, now in found["shown"]:
            assert (label, before, now) == (int(truth[number]), int(base[number]), int(says[number]))
            grey = base64.b64decode(first["changed"]["pixels"][number])
            assert grey == stored.images.pixels[number, 0].numpy().tobytes()


def test_likeness_is_the_overlap_of_errors_with_an_original(hall: Hall) -> None:
    stored = hall.system(NAME)
    known = load_tensors(stored.folder / "live.safetensors")[0]["right"]
    found = stored.likeness(known[:2])
    assert found.tolist() == pytest.approx(
        [
            float(row.topk(2).values @ torch.tensor([1 - 1 / len(known), 1 / len(known)]).double())
            for row in overlap(known[:2], known)
        ]
    )


def test_every_figure_says_of_each_row_whether_it_is_live_or_stored(hall: Hall) -> None:
    stored, first = opened(hall, NAME)["figures"], frames(hall)[0]["figures"]
    for name in ("pdiff-likeness", "pdiff-accuracy", "pdiff-map"):
        assert {row[1] for row in stored[name]["table"]["rows"]} == {"stored"}
        assert [row[0] for row in first[name]["table"]["rows"] if row[1] == "live"] == [
            f"seed {seed}, live" for seed in range(3)
        ]


def test_work_for_an_older_wish_ends_with_its_present_sample(hall: Hall) -> None:
    asked = iter([True, False])
    assert [one["stage"] for one in sampled(hall, Wish(NAME, 4), lambda: next(asked))] == ["measured", "walking"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"system": NAME, "count": 0, "seed": 0}, f"Between 1 and {MOST}"),
        ({"system": NAME, "count": MOST + 1, "seed": 0}, f"Between 1 and {MOST}"),
        ({"system": NAME, "count": 2.5, "seed": 0}, "whole number"),
        ({"system": NAME, "count": float("nan"), "seed": 0}, "whole number"),
        ({"system": NAME, "count": True, "seed": 0}, "whole number"),
        ({"system": NAME, "count": 1, "seed": -1}, "The seed must"),
        ({"system": NAME, "count": 1, "seed": 2**31}, "The seed must"),
        ({"system": NAME, "count": 1, "seed": "1"}, "The seed must"),
        ({"count": 1, "seed": 1}, "not whole"),
        ("nonsense", "not whole"),
        ({"system": "../../etc", "count": 1, "seed": 0}, "There is no p-diff system"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_one_sentence(hall: Hall, wish: object, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        next(sampled(hall, Wish.of(wish)))
    assert str(caught.value).count(". ") == 0 and str(caught.value).endswith(".")


def test_what_others_could_not_measure_or_a_bad_name_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    for order, name, words in (
        (Order("convnet-mini", "all"), "../x", "small letters"),
        (Order("convnet-mini", "all", data="cifar10"), "x", "Only systems on digits"),
        (Order(own_file(tmp_path), "all"), "x", "Only p-diff's small networks"),
    ):
        with pytest.raises(UserError, match=words):
            check_shippable(order, name)


def test_the_bundle_that_comes_along_has_three_systems_of_at_most_two_megabytes_whose_numbers_are_its_own() -> None:
    opened_bundle = Bundle.open(BUNDLE)
    files = [path for path in (BUNDLE / FOLDER).rglob("*") if path.is_file()]
    assert len(names(opened_bundle)) >= 3 and sum(path.stat().st_size for path in files) <= 2_000_000
    for name in names(opened_bundle):
        stored = Stored.of(opened_bundle, name)
        base = float((stored.base_says == stored.images.labels).float().mean())
        assert stored.generator.layout == stored.shared.layout
        assert base == pytest.approx(
            stored.results["groups"]["base"]["points"]["test"][0], abs=1.5 / len(stored.images)
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install one to test the page")
def test_a_visitor_samples_networks_among_the_stored_ones_and_sees_what_changed(browser: Any, bundle: Bundle) -> None:
    """On a phone; nothing is asked before the tab is opened."""
    with (
        serving(bundle.folder, 7970) as address,
        visiting(browser, address, viewport={"width": 390, "height": 844}, has_touch=True) as page,
    ):
        assert page.locator("#pdiff-run").count() == 0
        page.evaluate("wpd.open('pdiff')")
        page.wait_for_selector(".pdiff[data-stage=stored]", timeout=WAIT)
        assert page.inner_text(".pdiff-stored").startswith("Stored, mean test accuracy: ")
        page.wait_for_selector("#pdiff-likeness .chart-node[data-drawn=stored]", timeout=WAIT)
        page.fill("#pdiff-count", "9")
        page.click("#pdiff-run")
        assert page.inner_text(".pdiff-status").startswith("Between 1 and 8 networks")
        page.fill("#pdiff-count", "2")
        page.click("#pdiff-run")
        page.wait_for_selector(".pdiff[data-stage=done]", timeout=WAIT)
        assert page.inner_text(".pdiff-status").startswith("Live, seeds 0 to 1: ")
        assert page.locator(".pdiff-tiles li").count() == 2
        live = (
            "document.querySelector('#pdiff-likeness .chart-node').data.find(t => t.name === 'live samples').x.length"
        )
        page.wait_for_function(f"{live} === 2", timeout=WAIT)
        page.click("#pdiff-next")
        page.wait_for_function("document.querySelector('.pdiff-status').textContent.startsWith('Live, seeds 2 to 3')")
        page.wait_for_selector(".pdiff[data-stage=done]", timeout=WAIT)
        page.click("#pdiff-changed .choices label:nth-child(2)")
        assert page.inner_text(".pdiff-told").startswith("Live, seed 3. ")
        page.locator("#pdiff-map").scroll_into_view_if_needed()
        ends = """() => { const node = document.querySelector('#pdiff-map .chart-node'); if (!node.data) return false;
          const find = (name) => node.data.find((trace) => trace.name === name), way = find('way of the sample');
          return way.x.length > 2 && way.x[way.x.length - 1] === find('live samples').x[1]; }"""
        page.wait_for_function(ends, timeout=WAIT)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
