"""The COCO Camera Traps format (Snapshot Serengeti and the other sets of LILA), read as a stream.

Annotations are read first, into some numbers an image; then images go by one after the other. Seven million of them
need about 0.3 GB.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .bursts import all_seconds, moment_in
from .folder import Folder
from .json_parts import Open, parts, pieces, read_safely
from .names import KINDS, Meaning, Seen, meaning, seen_in
from .records import ANIMAL, Box, Frame
from .survey import Oddities, Survey
from .values import box_of, text_of

KIND = "COCO Camera Traps"
_LISTS = ("images", "annotations", "categories")


def coco_survey(opened: Open, source: str, images: Path) -> Survey:
    """A survey from a COCO Camera Traps document.

    Args:
        opened: opens the document anew.
        source: what to call it.
        images: the folder that file names start from.
    """
    labels: list[Labels] = []

    def read(odd: Oddities) -> Iterator[Frame]:
        with read_safely(source):
            if not labels:
                labels.append(_scan(opened, source))
            odd.take(labels[0].odd)
            yield from _frames(opened, labels[0], source, Folder(images), odd)

    return Survey(KIND, source, images, read)


class Labels:
    """What annotations say, by the hash of their image's id."""

    def __init__(self) -> None:
        self.images_at: int | None = None
        self.names: list[str | None] = []
        self.odd = Oddities()
        self.any_boxes = False
        self._keys, self._codes, self._boxed = array("q"), array("i"), array("i")
        self._edges = array("f")
        self._category: dict[Any, int] = {}
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
                self.odd.add("Annotations without 'image_id' or 'category_id'", text_of(_get(record, "id")) or "")
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
        code = next((own for other, own in self._category.items() if text_of(other) == name), len(self._category))
        self._category[value] = code
        return code

    def close(self, categories: Sequence[Any], source: str) -> None:
        """Sort by image, when all annotations are there.

        Raises:
            UserError: if there are categories or annotations and none can be used.
        """
        named = {key: name for each in categories if (key := text_of(_get(each, "id"))) and
                 (name := text_of(_get(each, "name")))}  # fmt: skip
        if categories and not named:
            lacking = "id" if all(text_of(_get(each, "id")) is None for each in categories) else "name"
            raise UserError(_needs(source, "categories", lacking))
        codes = {code: text_of(value) for value, code in self._category.items()}
        self.names = [named.get(codes[code] or "") for code in range(len(codes))]
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


def _scan(opened: Open, source: str) -> Labels:
    """Read annotations and categories, and note where images begin.

    Raises:
        UserError: if one of the three lists is missing, or no annotation can be used.
    """
    labels, there, categories, count = _lists(opened, leap=frozenset(["images"]))
    if len(there) < len(_LISTS):  # an image may have had a list of such a name itself
        labels, there, categories, count = _lists(opened, leap=frozenset())
    for key in _LISTS:
        if key not in there:
            raise UserError(f"'{source}' is not in COCO Camera Traps format: it needs a list named '{key}'.")
    if count and labels.nothing:
        raise UserError(_needs(source, "annotations", "image_id' and 'category_id"))
    labels.close(categories, source)
    return labels


def _lists(opened: Open, *, leap: frozenset[str]) -> tuple[Labels, set[str], list[Any], int]:
    """Annotations taken in, which lists are there, the categories, and how many annotations there are."""
    labels, there, categories, count = Labels(), set[str](), list[Any](), 0
    for part in parts(opened, leap=leap, names=frozenset(_LISTS)):
        if part.key not in _LISTS or not isinstance(part.value, list):
            continue
        there.add(part.key)
        if part.key == "images":
            labels.images_at = part.at if part.records and labels.images_at is None else labels.images_at
        elif part.key == "categories":
            categories += part.value
        else:
            count += len(part.value)
            labels.add(part.value)
    return labels, there, categories, count


def _frames(opened: Open, labels: Labels, source: str, folder: Folder, odd: Oddities) -> Iterator[Frame]:
    if labels.images_at is None:
        return
    usable = lacking = 0
    for piece in pieces(opened, labels.images_at):
        good = piece if _all_usable(piece) else [record for record in piece if _usable(record)]
        lacking, usable = lacking + len(piece) - len(good), usable + len(good)
        yield from _batch(good, labels, folder)
    if lacking and not usable:
        raise UserError(_needs(source, "images", "id' and 'file_name"))
    if lacking:
        odd.add("Images without 'id' or 'file_name'", count=lacking)


def _batch(records: Sequence[Mapping[str, Any]], labels: Labels, folder: Folder) -> Iterator[Frame]:
    """Frames of many records, field by field, which is three times faster than one by one."""
    ids, files = ([record[key] for record in records] for key in ("id", "file_name"))
    keys = list(map(hash, ids)) if _names(ids) else list(map(key_of, ids))
    locations, sequences = (_texts([record.get(key) for record in records]) for key in ("location", "seq_id"))
    seen, places = labels.of(keys)
    boxes: Iterable[tuple[Box, ...] | None] = repeat(None)
    if labels.any_boxes:
        pairs = zip(records, places, seen, strict=True)
        boxes = [_boxes(record, own, labels, folder, empty=said.empty) for record, own, said in pairs]
    corrupt = [bool(record.get("corrupt")) for record in records]
    species, empty, human = zip(*seen, strict=True) if seen else ((), (), ())
    moments = [record.get("datetime") for record in records]
    seconds = all_seconds(moments if _names(moments) else list(map(moment_in, records)))
    return map(Frame, _texts(files), locations, species, empty, human, sequences, seconds, boxes, corrupt)  # type: ignore[arg-type]


def _names(values: Sequence[Any]) -> bool:
    """Whether all values are texts, and none is nothing."""
    return set(map(type, values)) == {str} and "" not in values


def _texts(values: list[Any]) -> list[str | None]:
    return values if _names(values) else list(map(text_of, values))


def _all_usable(records: Sequence[Any]) -> bool:
    try:
        return all(_names([record[key] for record in records]) for key in ("id", "file_name"))
    except (TypeError, KeyError):
        return False


def _usable(record: Any) -> bool:
    return text_of(_get(record, "file_name")) is not None and text_of(_get(record, "id")) is not None


def _boxes(
    record: Mapping[str, Any], places: tuple[int, ...], labels: Labels, folder: Folder, *, empty: bool
) -> tuple[Box, ...] | None:
    """The boxes of an image; none of them where it is known to be empty; None where nobody drew any."""
    if not labels.has_box(places):
        return () if empty else None
    width, height = record.get("width"), record.get("height")
    if not isinstance(width, int | float) or not isinstance(height, int | float) or not (width > 0 and height > 0):
        size = folder.size(str(record["file_name"]))
        if size is None:
            return None
        width, height = size
    return labels.boxes(places, width, height)


def _get(record: Any, key: str) -> Any:
    return record.get(key) if isinstance(record, dict) else None


def _needs(source: str, kind: str, key: str) -> str:
    return f"'{source}' is not in COCO Camera Traps format: every record of '{kind}' needs '{key}'."
