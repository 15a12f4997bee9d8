"""The way from noise to an adapter: its frames, numbers and figures, and what is sent of it."""

import base64
import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch

from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct, wilson
from wildpdiff.network.backbone import ADAPTED
from wildpdiff.network.standard import IMAGENET
from wildpdiff.plots import denoise as plots
from wildpdiff.plots.denoise import Curve, Mark
from wildpdiff.plots.map import Scene, umap
from wildpdiff.studio import trajectory as denoise
from wildpdiff.studio import watch as messaging
from wildpdiff.studio.pictures import Upload
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.trajectory import BINS, Film, Statistics, bins, measured, path_frames, shown, walk
from wildpdiff.studio.watch import LEVELS, NOT_LABELLED, messages, packed, regions, said
from wildpdiff.ui.frame import wish_panel
from wildpdiff.ui.page import Page
from wildpdiff.ui.watch import Watch
from wildpdiff.worlds.savanna.world import SEEN, UNSEEN

SETTING = Setting(SEEN[0], SEEN[1], 0.4, regime="M", seed=3, steps=6)
COUNT = 4


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Iterator[Studio]:
    opened = Studio.open(tiny_bundle)
    before = {name: value.clone() for name, value in opened.bundle.backbone.network.state_dict().items()}
    yield opened
    for name, value in opened.bundle.backbone.network.state_dict().items():
        assert torch.equal(value, before[name]), f"some test changed the shared network's '{name}'"


@pytest.fixture(scope="module")
def films(studio: Studio) -> list[Film]:
    return list(path_frames(studio, SETTING, photographs=COUNT))


def test_frames_come_in_order_and_the_picture_only_grows(films: list[Film]) -> None:
    order = ["sampling", "measuring", "done"]
    stages = [order.index(film.stage) for film in films]
    assert stages == sorted(stages) and films[0].stage == "sampling" and films[-1].stage == "done"
    known = [film for film in films if film.way]
    assert [len(film.marks) for film in known] == list(range(len(known)))
    assert all(film.way is known[0].way for film in known), "latents and statistics are all there before accuracies"
    places = [at for at, _, _ in films[-1].marks]
    assert places == list(measured(known[0].way.steps)) and places[0] == 0 and places[-1] == SETTING.steps


def test_the_way_ends_in_the_row_that_is_written_for_the_setting(studio: Studio, films: list[Film]) -> None:
    way = films[-1].way
    assert torch.equal(way.rows[-1:], studio.write(SETTING))
    assert torch.equal(way.guessed[-1], way.rows[-1]) and torch.equal(way.noisy[-1], way.guesses[-1])
    assert way.steps == tuple(range(7))


def test_of_several_adapters_the_first_is_shown(studio: Studio, films: list[Film]) -> None:
    several = replace(SETTING, samples=3)
    film = next(film for film in path_frames(studio, several, photographs=COUNT) if film.way)
    assert torch.equal(film.way.rows[-1], films[-1].way.rows[-1])


@pytest.mark.parametrize("way", ["ours", "paper"])
def test_the_noisy_latents_are_those_that_the_sampler_holds(studio: Studio, way: str) -> None:
    """Each guess is what the denoiser makes of the noisy latent beside it, at its own time."""
    setting = replace(SETTING, way=way)
    generator, embedding = studio.generator(setting), studio.condition(setting)
    denoiser, told = generator.denoiser, embedding[None]
    pairs = list(walk(generator, embedding, steps=5, seed=3))
    times = generator.schedule.times(5)
    noise = torch.randn(generator.config.latent_shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for (noisy, guess), time in zip(pairs, times, strict=False):
            held = denoiser.residuals(noisy, told) if way == "ours" else noisy
            expected = denoiser.place(denoiser(held, torch.tensor([time]), told), told)
            assert torch.allclose(guess, expected, atol=1e-4)
        assert torch.allclose(pairs[0][0], denoiser.place(noise[None], told), atol=1e-6)
    assert torch.equal(pairs[-1][0], pairs[-2][1]) and len(pairs) == 6


@pytest.mark.slow
def test_the_same_seed_gives_the_same_frames_and_another_gives_others(studio: Studio, films: list[Film]) -> None:
    again = list(path_frames(studio, SETTING, photographs=COUNT))[-1]
    last = films[-1]
    assert torch.equal(again.way.noisy, last.way.noisy) and torch.equal(again.way.rows, last.way.rows)
    assert again.marks == last.marks and again.pretrained == last.pretrained
    other = next(film for film in path_frames(studio, replace(SETTING, seed=4)) if film.way)
    assert not torch.equal(other.way.noisy[0], last.way.noisy[0])


def test_counts_are_those_of_the_studio_on_the_same_photographs(studio: Studio, films: list[Film]) -> None:
    _, right, guess = films[-1].marks[-1]
    *_, result = studio.results(replace(SETTING, images=COUNT))
    assert right == {name: result.live[name].right for name in SEEN[:2]} == guess


def test_every_measured_count_is_what_evaluation_counts(studio: Studio, films: list[Film]) -> None:
    way, backbone = films[-1].way, studio.bundle.backbone
    for at, right, guess in (films[-1].marks[0], films[-1].marks[3]):
        for name in SEEN[:2]:
            images = studio.images(name, COUNT)
            rows = torch.stack([way.rows[at], way.guessed[at], torch.zeros_like(way.rows[at])])
            table = correct(backbone, rows, images.pixels[:COUNT], images.labels[:COUNT])
            assert [right[name], guess[name], films[-1].pretrained[name]] == table.sum(dim=1).tolist()


def test_the_work_ends_when_it_is_not_wanted_any_more(studio: Studio) -> None:
    asked = 0

    def until(most: int) -> bool:
        nonlocal asked
        asked += 1
        return asked <= most

    assert not [film for film in path_frames(studio, SETTING, lambda: until(3), photographs=COUNT) if film.way]
    asked = 0
    ended = list(path_frames(studio, SETTING, lambda: until(SETTING.steps + 3), photographs=COUNT))[-1]
    assert ended.stage == "measuring" and len(ended.marks) == 2


def test_a_network_that_was_worn_goes_back_when_the_frames_are_closed(studio: Studio, films: list[Film]) -> None:
    before = len(studio._spare)
    frames = path_frames(studio, SETTING, photographs=COUNT)
    assert next(film for film in frames if film.marks)
    frames.close()
    assert len(studio._spare) == before >= 1
    images = studio.images(SEEN[0], COUNT)
    with studio.wearing(torch.zeros_like(films[-1].way.rows[:1])) as (network,):
        logits = network(IMAGENET.prepared(images.pixels[:COUNT]))
    assert torch.allclose(logits, studio.bundle.backbone(images.pixels[:COUNT]), atol=1e-4)


def test_statistics_are_those_that_one_computes_by_hand(studio: Studio, films: list[Film]) -> None:
    rows, known = films[-1].way.rows, films[-1].statistics
    table = rows.double().numpy()
    apart = np.sqrt(((table - table[-1]) ** 2).sum(axis=1))
    assert known.norm.numpy() == pytest.approx(np.sqrt((table**2).sum(axis=1)), rel=1e-5)
    assert known.gap.numpy() == pytest.approx(apart / apart[0], abs=1e-5)
    assert known.gap[0] == 1 and known.gap[-1] == 0
    layout = studio.bundle.backbone.layout
    for at in (0, 4):
        norms = [float(change.norm()) for change in ADAPTED.products(layout, rows[at]).values()]
        assert known.layers[at].tolist() == pytest.approx(norms, rel=1e-3, abs=1e-6)
    assert torch.allclose(known.umap, studio.map("M").place(rows), atol=1e-5)


def test_the_histogram_counts_every_weight_once_in_bins_that_are_the_same_for_all_steps(films: list[Film]) -> None:
    rows, known = films[-1].way.rows, films[-1].statistics
    assert known.counts.shape == (7, BINS)
    assert known.counts.sum(dim=1).tolist() == [rows.shape[1]] * 7
    edges = known.edges.numpy()
    for at in (0, 6):
        inside = np.clip(rows[at].numpy(), (edges[0] + edges[1]) / 2, (edges[-1] + edges[-2]) / 2)
        expected, _ = np.histogram(inside, edges)
        assert np.abs(expected - known.counts[at].numpy()).sum() <= 4, "rounding of an edge may move a weight"
    beyond = (rows[[0, -1]].abs() > known.edges[-1]).float().mean(dim=1)
    assert float(beyond.max()) <= 0.0011


def test_bins_lie_evenly_around_zero() -> None:
    edges = bins(torch.linspace(-0.234, 0.234, 2001).repeat(2, 1))
    assert edges[-1] == pytest.approx(0.24) and torch.allclose(edges, -edges.flip(0), atol=1e-6)
    assert len(bins(torch.zeros(2, 5))) == BINS + 1


def test_the_places_of_a_way_lead_from_the_noise_to_the_row(studio: Studio, films: list[Film]) -> None:
    alone = Statistics.of(studio, "M", films[-1].way.rows[[2, 6]], torch.zeros(2, 1, 128))
    assert torch.allclose(alone.pca, films[-1].statistics.pca[[2, 6]], atol=1e-4)


def test_the_other_ways_end_at_the_adapters_of_the_next_seeds(studio: Studio, films: list[Film]) -> None:
    others = films[-1].statistics.others
    rows = torch.cat([studio.write(replace(SETTING, seed=SETTING.seed + 1 + more)) for more in range(denoise.OTHERS)])
    assert others["umap"].shape == others["pca"].shape == (len(films[-1].way.steps), denoise.OTHERS, 2)
    assert torch.allclose(others["umap"][-1], studio.map("M").place(rows), atol=1e-3)
    assert not torch.allclose(others["pca"][0], others["pca"][-1], atol=1e-3)


@pytest.mark.parametrize(
    ("latents", "drawn"), [((16, 64), (16, 64)), ((1, 64), (8, 8)), ((1, 16), (4, 4)), ((1, 9), (1, 9))]
)
def test_a_latent_that_is_one_long_row_is_drawn_in_several(latents: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert messaging._shape(torch.zeros(3, *latents)) == drawn


@pytest.mark.parametrize("steps", [1, 2, 10, 25, 50, 100, 200])
def test_shown_and_measured_steps_begin_and_end_with_the_way_and_never_turn_back(steps: int) -> None:
    some = shown(steps)
    assert some[0] == 0 and some[-1] == steps and len(some) == min(steps, 50) + 1
    assert list(some) == sorted(set(some))
    at = measured(some)
    assert at[0] == 0 and some[at[-1]] == steps and len(at) <= len(denoise.MEASURED)
    assert list(at) == sorted(set(at))


def test_noise_falls_from_all_to_nothing(films: list[Film]) -> None:
    noise = films[-1].way.noise
    assert noise[0] > 0.999 and noise[-1] == 0 and list(noise) == sorted(noise, reverse=True)


@pytest.mark.slow
def test_a_message_is_json_of_bounded_size_and_holds_what_the_earlier_ones_held(studio: Studio) -> None:
    long = replace(SETTING, steps=60)
    sent = list(messages(studio, path_frames(studio, long, photographs=COUNT)))
    sizes = [len(json.dumps(message)) for message in sent]
    assert max(sizes) < 300_000 and sizes[0] < 400
    late = [message for message in sent if "frames" in message]
    assert all(message["frames"] == late[0]["frames"] for message in late)
    assert all(len(late[0]["frames"][key]) == 51 for key in ("steps", "noisy", "guesses", "spread", "umap", "pca"))
    assert [len(message["marks"]) for message in late] == list(range(len(late)))
    assert sent[-1]["stage"] == "done" and sent[-1]["state"]["t"] == 0.4


def test_a_latent_is_read_back_from_its_bytes() -> None:
    latents = torch.randn(2, 3, 5)
    latents[0, 0, 0] = 9.0
    read = [np.frombuffer(base64.b64decode(text), dtype=np.int8).reshape(3, 5) / LEVELS for text in packed(latents)]
    assert np.abs(np.stack(read) - latents.clamp(-127 / LEVELS, 127 / LEVELS).numpy()).max() <= 0.5 / LEVELS + 1e-6


def test_the_last_sentence_tells_the_counts(films: list[Film]) -> None:
    right, plain = sum(films[-1].marks[-1][1].values()), sum(films[-1].pretrained.values())
    assert said(films[-1]) == f"Step 6 of 6: names {right} of {2 * COUNT} photographs; pretrained {plain}."
    assert not any(said(film) for film in films[:-1])


def test_regions_share_out_the_row(studio: Studio) -> None:
    parts = regions(studio)
    assert [name for name, _ in parts] == ["stem", *(f"stage {place}" for place in range(5))]
    assert sum(share for _, share in parts) == pytest.approx(1, abs=1e-4)


def test_an_unseen_location_is_measured_and_a_single_one_once(studio: Studio) -> None:
    setting = Setting(UNSEEN[0], UNSEEN[0], steps=1, regime="M")
    *_, message = messages(studio, path_frames(studio, setting, photographs=COUNT))
    assert message["places"] == [UNSEEN[0]] and [mark["at"] for mark in message["marks"]] == [0, 1]
    assert message["figures"]["accuracy"]["data"][2]["marker"]["symbol"] == "star-diamond"


def test_a_picture_of_ones_own_gets_no_accuracy_and_the_page_says_why(studio: Studio) -> None:
    own = Upload("mine", studio.bundle.embedding(SEEN[2]), torch.zeros(3, 8, 8, dtype=torch.uint8), ((SEEN[2], 1.0),))
    name = studio.pictures.add("me", own)
    alone = Setting(name, name, steps=2, regime="M")
    *_, message = messages(studio, path_frames(studio, alone, photographs=COUNT))
    assert message["stage"] == "done" and not message["marks"] and NOT_LABELLED in message["said"]
    assert message["figures"]["accuracy"]["layout"]["annotations"][0]["text"] == NOT_LABELLED
    mixed = replace(alone, b=SEEN[0])
    *_, message = messages(studio, path_frames(studio, mixed, photographs=COUNT))
    assert message["places"] == [SEEN[0]] and message["marks"]


def test_what_the_bundle_cannot_answer_is_refused_at_once(studio: Studio) -> None:
    with pytest.raises(UserError):
        next(path_frames(studio, replace(SETTING, a="nowhere")))


def curve(side: int = 0) -> Curve:
    marks = [Mark(step, right, *wilson(right, 10), guess) for step, right, guess in ((0, 4, 8), (5, 6, 9), (10, 9, 9))]
    return Curve(("X1", "X2")[side], side, side, marks, 5, 10)


def test_the_accuracy_figure_draws_what_was_measured_with_its_interval() -> None:
    figure = plots.accuracy([curve(), curve(1)], 10)
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert by_name["at X1"]["x"] == [0, 5, 10] and by_name["at X1"]["y"] == [0.4, 0.6, 0.9]
    assert by_name["guess at X1"]["y"] == [0.8, 0.9, 0.9] and by_name["pretrained at X1"]["y"] == [0.5, 0.5]
    now = by_name[f"{plots.NOW} at X2"]
    assert now["y"][0] + now["error_y"]["array"][0] == pytest.approx(wilson(9, 10)[1])
    assert by_name["at X1"]["line"]["dash"] != by_name["at X2"]["line"]["dash"]
    assert by_name["at X1"]["marker"]["symbol"] != by_name["at X2"]["marker"]["symbol"]
    assert figure["layout"]["yaxis"]["range"][0] < 0.4 and not figure["layout"]["annotations"]
    assert figure["table"]["rows"][1][:4] == ["0", "4/10", "17% to 69%", "8/10"]
    assert "from 4 to 9 of 10" in figure["summary"]


def test_before_the_first_measurement_the_figure_says_so() -> None:
    figure = plots.accuracy([], 10, note="soon")
    assert figure["layout"]["annotations"][0]["text"] == "soon" and not figure["table"]["rows"]


def test_spread_and_layers_show_this_step_and_the_final_row() -> None:
    figure = plots.spread([-1, 0, 1], [[3, 1], [2, 2]])
    assert [trace["name"] for trace in figure["data"]] == [plots.NOW, plots.FINAL]
    assert figure["data"][0]["x"] == [-0.5, 0.5] and figure["data"][1]["y"] == [2, 2]
    assert figure["layout"]["yaxis"]["range"][1] > 3
    figure = plots.strengths(["stem", "narrow"], ["stem", "stage 0"], [[5.0, 1.0], [2.0, 3.0]])
    assert figure["data"][1]["y"] == [2.0, 3.0] and figure["layout"]["yaxis"]["range"][1] > 5
    assert figure["table"]["rows"] == [["stem", "5.00", "2.00"], ["narrow", "1.00", "3.00"]]


def test_the_way_is_drawn_over_a_map_that_stays_as_it_was() -> None:
    base = umap(Scene(["X1"], [(0.0, 0.0), (1.0, 1.0)], [0, 0], ends=["X1"]))
    before = copy.deepcopy(base)
    figure = plots.trajectory_on(base, (0, 5, 10), [(3.0, 3.0), (2.0, 2.0), (0.5, 0.5)], [(0.1, 0.2), (0.3, 0.4)])
    assert base == before
    traces = {trace["name"]: trace for trace in figure["data"]}
    assert list(traces) == ["X1", "the whole way", plots.SO_FAR, plots.OTHERS, plots.HERE]
    assert (traces[plots.OTHERS]["x"], traces[plots.OTHERS]["y"]) == ([0.1, 0.3], [0.2, 0.4])
    assert figure["data"][-1]["x"] == [0.5] and figure["data"][1]["text"] == ["step 0", "step 5", "step 10"]
    assert figure["table"]["rows"][-1] == ["step 10", "1", "0.500", "0.500"]


STATE = {"a": SEEN[0], "b": SEEN[1], "t": 0.4, "m": "M", "w": "ours", "seed": 3, "steps": 6}


@pytest.fixture
def tab(studio: Studio) -> Watch:
    with gr.Blocks():
        made = Watch(Page(studio, wish_panel(), gr.State("")))
        made.build()
    return made


def event(session: str = "me", **data: Any) -> tuple[Any, Any]:
    return SimpleNamespace(session_hash=session), SimpleNamespace(_data=data)


def test_a_newer_run_of_the_same_visitor_ends_the_older_one_and_nobody_elses(tab: Watch) -> None:
    tab.note(*event(stamp=1.0))
    tab.note(*event("other", stamp=1.0))
    mine, theirs = (tab.run(*event(who, stamp=1.0, state=STATE)) for who in ("me", "other"))
    assert next(mine)["stage"] == next(theirs)["stage"] == "sampling"
    tab.note(*event(stamp=2.0))
    assert not list(mine)
    assert "frames" in next(theirs)


@pytest.mark.parametrize("state", [None, [], {}, STATE | {"a": "nowhere"}, STATE | {"t": 7}, STATE | {"a": "own"}])
def test_a_setting_that_cannot_be_answered_is_told_in_one_sentence(tab: Watch, state: Any) -> None:
    (told,) = tab.run(*event(stamp=5.0, state=state))
    assert told["stage"] == "failed" and told["stamp"] == 5.0
    assert told["problem"].endswith(".") and "Traceback" not in told["problem"]
