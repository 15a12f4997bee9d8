"""What annotations of a COCO Camera Traps document say, kept as some numbers each."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import UserError
from .names import KINDS, Meaning, Seen, meaning, seen_in
from .records import ANIMAL, Box
from .survey import Oddities
from .values import box_of, text_of


class Labels:
    """What annotations say, by the hash of their image's id."""

    def __init__(self) -> None:
        self.images_at: int | None = None
        self.names: list[str | None] = []
        self.categories: tuple[str, ...] = ()
        self.odd = Oddities()
        self.any_boxes, self.lacking = False, "image_id"
        self._keys, self._codes, self._boxed = array("q"), array("i"), array("i")
        self._edges = array("f")
        self._category: dict[Any, int] = {}
        self._written: list[str | None] = []
        self.seen: list[Seen] = []

    @property
    def nothing(self) -> bool:
        """Whether no annotation was taken in."""
        return not self._codes

    def add(self, records: Sequence[Any]) -> None:
        """Take in a piece of the annotations."""
        keys, codes, boxed = [], [], []
        category, place = self._category, len(self._edges) // 4
        for record in records:
            try:
                image, code = record["image_id"], category.get(record["category_id"])
                key = hash(image) if type(image) is str else key_of(image)
            except (KeyError, TypeError):
                self.odd.add("Annotations without 'image_id' or 'category_id'", text_of(field(record, "id")) or "")
                self.lacking = "image_id" if text_of(field(record, "image_id")) is None else "category_id"
                continue
            if code is None:
                code = self._new_category(record["category_id"])
            box = record.get("bbox")
            at = -1
            if box is not None:
                at = place if self._take_box(box) else -1
                place = len(self._edges) // 4
            keys.append(key)
            codes.append(code)
            boxed.append(at)
        self._keys.extend(keys)
        self._codes.extend(codes)
        self._boxed.extend(boxed)

    def _take_box(self, box: Any) -> bool:
        try:
            left, top, wide, high = map(float, box)
            if not left + top + wide + high < 1e9:
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            self.odd.add("Boxes that are not four numbers", str(box)[:40])
            return False
        self._edges.extend((left, top, wide, high))
        self.any_boxes = True
        return True

    def _new_category(self, value: Any) -> int:
        name = text_of(value)
        if name not in self._written:
            self._written.append(name)
        code = self._category[value] = self._written.index(name)
        return code

    def close(self, categories: Sequence[Any], source: str) -> None:
        """Sort by image, when all annotations are there.

        Raises:
            UserError: if there are categories or annotations and none can be used.
        """
        named = {key: name for each in categories if (key := text_of(field(each, "id"))) and
                 (name := text_of(field(each, "name")))}  # fmt: skip
        if categories and not named:
            lacking = "id" if all(text_of(field(each, "id")) is None for each in categories) else "name"
            raise UserError(needs(source, "categories", lacking))
        self.categories = tuple(dict.fromkeys(named.values()))
        self.names = [named.get(written or "") for written in self._written]
        keys = np.frombuffer(self._keys, np.int64) if self._keys else np.zeros(0, np.int64)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        ordered = keys[self._order]
        starts = np.flatnonzero(np.r_[len(ordered) > 0, ordered[1:] != ordered[:-1]][: len(ordered)]).astype(np.int32)
        self._sorted, self._start = ordered[starts], starts
        self._count = np.diff(np.r_[starts, len(ordered)].astype(np.int32))
        self._label = self._labels_of_all()
        # Most files have images and annotations in one order: then the next ones asked for are the next ones here.
        first = self._order[starts]
        self._listed = np.argsort(first).astype(np.int32)
        self._place = np.empty_like(self._listed)
        self._place[self._listed] = np.arange(len(first), dtype=np.int32)
        self._next_keys, self._next_label, self._next = self._sorted[self._listed], self._label[self._listed], 0
        self._keys = array("q")
        unnamed = sum(count for code, count in enumerate(np.bincount(np.frombuffer(self._codes, np.int32))) if not
                      self.names[code]) if self._codes else 0  # fmt: skip
        if unnamed:
            self.odd.add("Annotations of a category that is not listed", count=int(unnamed))

    def _labels_of_all(self) -> Any:
        """For each image in order of the hashes, the place in `seen` of what is said of it."""
        codes = np.frombuffer(self._codes, np.int32) if self._codes else np.zeros(0, np.int32)
        self.seen = [seen_in([name]) for name in self.names]
        labels = codes[self._order[self._start]] if len(codes) else codes
        known: dict[tuple[int, ...], int] = {}
        for at in np.flatnonzero(self._count > 1).tolist():
            start = int(self._start[at])
            key = tuple(codes[self._order[start : start + int(self._count[at])]].tolist())
            if key not in known:
                known[key] = len(self.seen)
                self.seen.append(seen_in([self.names[code] for code in key]))
            labels[at] = known[key]
        self.seen.append(Seen())
        return labels

    def of(self, keys: Sequence[int]) -> tuple[list[Seen], list[tuple[int, ...]]]:
        """What is said of each image, and, where there are boxes, its places in the annotations."""
        asked, end = np.array(keys, np.int64), self._next + len(keys)
        if not self.any_boxes and np.array_equal(self._next_keys[self._next : end], asked):
            labels, self._next = self._next_label[self._next : end], end
            return [self.seen[label] for label in labels.tolist()], []
        if not len(self._sorted):
            return [Seen()] * len(keys), [()] * len(keys)
        found = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        there = self._sorted[found] == asked
        if there.any():
            self._next = int(self._place[found[there][-1]]) + 1
        labels = np.where(there, self._label[found], len(self.seen) - 1)
        return [self.seen[label] for label in labels.tolist()], self._places(found, there) if self.any_boxes else []

    def _places(self, found: Any, there: Any) -> list[tuple[int, ...]]:
        count = np.where(there, self._count[found], 0)
        return [
            tuple(self._order[start : start + many].tolist())
            for start, many in zip(self._start[found].tolist(), count.tolist(), strict=True)
        ]

    def boxes(self, places: tuple[int, ...], width: float, height: float) -> tuple[Box, ...]:
        """Boxes of these annotations in a picture of that size."""
        found = []
        for place in places:
            at, name = 4 * self._boxed[place], self.names[self._codes[place]]
            means = meaning(name) if name else Meaning.ANIMAL
            if at >= 0 and means is not Meaning.EMPTY:
                box = box_of(self._edges[at : at + 4], KINDS.get(means, ANIMAL), width=width, height=height)
                if box is None:
                    self.odd.add("Boxes outside their picture")
                else:
                    found.append(box)
        return tuple(found)

    def has_box(self, places: tuple[int, ...]) -> bool:
        """Whether any of these annotations has a box."""
        return any(self._boxed[place] >= 0 for place in places)


def key_of(identity: Any) -> int:
    """The hash of an image's id, which is the same for 7, 7.0 and "7".

    Raises:
        TypeError: if it is neither text nor a number.
    """
    text = text_of(identity)
    if text is None:
        raise TypeError
    return hash(text)


def field(record: Any, key: str) -> Any:
    """What a record says, if it is one at all."""
    return record.get(key) if isinstance(record, dict) else None


def needs(source: str, kind: str, key: str) -> str:
    """A sentence on records that lack something."""
    return f"'{source}' is not in COCO Camera Traps format: every record of '{kind}' needs '{key}'."
