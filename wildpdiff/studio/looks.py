"""In which order photographs are named: a first look at the chosen locations, one at the others, then the rest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .setting import Live, Setting

#: How many photographs are named at the first look: at the two chosen locations, and at each of the others.
CHOSEN_FIRST, OTHERS_FIRST = 16, 24
#: How many locations share one frame after the chosen ones.
GROUP = 4

#: A location, and how many of its photographs are to be named by then.
Look = tuple[str, int]


def looks_of(setting: Setting, seen: Sequence[str]) -> list[list[Look]]:
    """Which locations to measure in each frame, on how many images: A and B, the others, A and B again."""
    first = min(CHOSEN_FIRST, setting.images)
    others = [name for name in seen if name not in setting.chosen]
    count = min(OTHERS_FIRST, setting.images)
    groups = [[(name, count) for name in others[at : at + GROUP]] for at in range(0, len(others), GROUP)]
    again = [[(name, more) for name in setting.chosen] for more in _more(first, setting.images)]
    begin = [(name, first) for name in setting.chosen]
    return [frame for frame in (begin, *groups, *again) if frame]


def _more(first: int, most: int) -> list[int]:
    """Counts of photographs from the first look to the last, in small bites."""
    return [*range(first + CHOSEN_FIRST, most, CHOSEN_FIRST), most] if first < most else []


def joined(before: Live | None, right: Tensor, count: int) -> Live:
    """What was known, with which further photographs each of N networks named rightly, bool `[N, M]`: of `count`."""
    earlier = [round(share * before.count) for share in before.shares] if before else [0] * len(right)
    new = right.sum(dim=1).tolist()
    return Live(tuple((more + old) / count for more, old in zip(new, earlier, strict=True)), count)
