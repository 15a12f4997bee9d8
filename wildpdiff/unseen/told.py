"""The study in tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from ..experiments.lab import Data, Table
from ..measure.statistics import points, size
from ..plots import Figure
from ..plots.charts import Series, bars, lines
from .ways import WAYS

#: Ways of the figure, from nothing to all.
STEPS = ("pretrained", "joint", "joint_prior", "u", "u_16", "u_unlabelled", "u_most", "oracle")


def tables(data: Data) -> list[Table]:
    """Every way; what is gained over others; the share of the oracle's gain; far pictures."""
    ways, gains = data["ways"], data["gains"]
    head = ("way", "accuracy, %", "mean over classes, %", "minus pretrained", "minus joint")
    ranked = tuple(
        (
            WAYS[way],
            points(ways[way]["all"]),
            points(ways[way]["classes"]),
            _gain(data, way, "pretrained"),
            _gain(data, way, "joint"),
        )
        for way in WAYS
        if way in ways
    )
    note = (
        f"{data['places']} places that nothing was trained at or chosen on ({data['named']} of them the paper's), "
        f"{data['photographs']} photographs each, {data['seeds']} training seeds of U; its codec, 16 pictures, "
        "200 unlabelled, a caption and samples are of one; 95% intervals over places. "
        f"U learned at {data['training_places']:,} places."
    )
    others = tuple(
        (_words(name), points(own, signed=True))
        for name, own in gains.items()
        if name.partition("-")[2] not in ("pretrained", "joint")
    )
    way_to = tuple(
        (WAYS[way], f"{own['mean']:.0%} ({own['low']:.0%} to {own['high']:.0%})")
        for way, own in data["share_of_oracle"].items()
    )
    far = data["far"]
    closed = (("pictures of no place of this world", f"{far['count']}"),
              ("of these the gate closes for", f"{far['closed']}"),
              ("mean gain over pretrained, points", f"{100 * far['mean']:+.1f}"),
              ("worst gain, points", f"{100 * far['worst']:+.1f}"))  # fmt: skip
    return [
        Table("Every way to serve a place that nothing was trained at", head, ranked, note),
        Table("One way minus another, points", ("difference", "points (95% interval)"), others),
        Table("Share of the way from pretrained to fine-tuned there", ("way", "share (95% interval)"), way_to),
        Table("Adapters for pictures of something else", ("what", "measured"), closed,
              f"Held against photographs of {far['places']} places that the pictures do not show."),
    ]  # fmt: skip


def figures(data: Data) -> list[Figure]:
    """Accuracy by way, from nothing to all."""
    names = [WAYS[way] for way in STEPS if way in data["ways"]]
    cells = [data["ways"][way]["all"] for way in STEPS if way in data["ways"]]
    return [
        bars(
            "Places never seen, step by step",
            names,
            [Series.of("mean over places", names, cells)],
            y="accuracy",
            percent=True,
        )
    ]


def findings(data: Data) -> list[str]:
    """What is shown and what is not."""
    gains, sentences = data["gains"], []
    for way, other in (
        ("u", "pretrained"),
        ("u", "joint"),
        ("u", "joint_prior"),
        ("u", "u_prior"),
        ("u", "paste80_prior"),
        ("u", "rough40_prior"),
        ("u", "codec"),
        ("u", "u_shuffled"),
    ):
        own = gains.get(f"{way}-{other}")
        if own is not None:
            sentences.append(_sentence(WAYS[way], WAYS[other], own))
    best = max((way for way in ("u", "u_unlabelled", "u_most")), key=lambda way: data["share_of_oracle"][way]["mean"])
    share = data["share_of_oracle"]
    sentences.append(
        f"From one picture U goes {share['u']['mean']:.0%} of the way from pretrained to an adapter fine-tuned there "
        f"with labels; the most that it can be told ({WAYS[best]}) makes it {share[best]['mean']:.0%}."
    )
    return sentences


def _sentence(way: str, other: str, gain: Data) -> str:
    if not gain["real"]:
        return f"{way} and {other}: no difference is shown, {points(gain, signed=True)} points."
    word = "more" if gain["mean"] > 0 else "less"
    return f"{way} names {size(gain)} points {word} right than {other}."


def _gain(data: Data, way: str, other: str) -> str:
    own = data["gains"].get(f"{way}-{other}")
    return points(own, signed=True) if own else "–"


def _words(name: str) -> str:
    way, _, other = name.partition("-")
    return f"{WAYS[way]} − {WAYS[other]}"


def rows(data: Data) -> Iterator[tuple[object, ...]]:
    """What the README says of it: what, ours, the paper's."""
    ways, gains, share = data["ways"], data["gains"], data["share_of_oracle"]
    where = f", {data['places']} places never seen, {data['photographs']} photographs each, {data['seeds']} seeds"
    for way in ("pretrained", "zoo_mean", "joint", "joint_prior", "u", "paste80_prior", "rough40_prior", "oracle"):
        if way in ways:
            told = f"**{WAYS[way]}**" if way == "u" else WAYS[way]
            yield told + (where if way == "pretrained" else ""), points(ways[way]["all"]), ""
    for way, other in (("u", "pretrained"), ("u", "joint"), ("u", "joint_prior"), ("u", "u_shuffled")):
        if f"{way}-{other}" in gains:
            yield f"{WAYS[way]} minus {WAYS[other]}, points", points(gains[f"{way}-{other}"], signed=True), ""
    told = "; ".join(f"{share[way]['mean']:.0%}" for way in ("u", "u_unlabelled"))
    yield "share of the way from pretrained to fine-tuned there: one picture; with 16 unlabelled photographs", told, ""


def scaling_tables(data: Data) -> list[Table]:
    """Accuracy by the number of training places."""
    rows = tuple((f"{int(count):,}", points(own)) for count, own in data["counts"].items())
    note = (
        f"From one picture, {data['places']} places never seen, {data['photographs']} photographs each. One seed; "
        "25,600 photographs teach the joint row and 19,200 the rest, whatever the number of places. "
        "95% intervals over places."
    )
    return [Table("Accuracy of U by the number of training places", ("training places", "accuracy, %"), rows, note)]


def scaling_figures(data: Data) -> list[Figure]:
    """The same as a curve."""
    counts = [int(count) for count in data["counts"]]
    series = [Series.of("U, one picture", counts, list(data["counts"].values()))]
    return [lines("Accuracy by the number of training places", series, x="training places", y="accuracy", percent=True)]


def scaling_findings(data: Data) -> list[str]:
    """From the fewest to the most places."""
    first, *_, last = data["counts"].items()
    fewest, most = int(first[0]), int(last[0])
    return [f"From {fewest:,} to {most:,} training places U goes from {points(first[1])}% to {points(last[1])}%."]
