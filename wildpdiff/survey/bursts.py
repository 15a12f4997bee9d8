"""Which pictures of a camera belong together, by sequence or by time, so that none stands on both sides of a split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

GAP = 60
"""Seconds without a picture after which a new burst begins, where the metadata has no sequences."""

_TIMES = ("datetime", "date_captured", "DateTimeOriginal", "date_time", "timestamp")
_FORMS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%Y%m%d %H%M%S")


def taken(record: Mapping[str, Any]) -> int | None:
    """When an image of the metadata was taken, in seconds; None if it does not say."""
    return seconds_of(moment_in(record))


def moment_in(record: Mapping[str, Any]) -> Any:
    """The time that an image of the metadata tells, as it is written."""
    return next((record[key] for key in _TIMES if record.get(key)), None)


def seconds_of(moment: Any) -> int | None:
    """A time as cameras and data sets write it (`2010-07-20 06:14:06`, `2010:07:20 06:14:06`, ISO 8601), in seconds;
    None if it is none."""
    if not isinstance(moment, str):
        return None
    if len(moment) == 19 and moment[10] == " " and moment[13] == moment[16] == ":":  # nearly all; the rest is slow
        day, clock = _day(moment[:10]), (moment[11:13], moment[14:16], moment[17:])
        if day is not None and all(map(str.isdecimal, clock)) and clock < ("24", "60", "60"):
            hours, minutes, seconds = map(int, clock)
            if minutes < 60 and seconds < 60:
                return day + 3600 * hours + 60 * minutes + seconds
    text = re.sub(r"^(\d{4})[:/](\d{1,2})[:/](\d{1,2})", r"\1-\2-\3", moment.strip())
    for form in ("", *_FORMS):
        try:
            found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
            return int((found.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds())
        except (ValueError, OverflowError):
            continue
    return None


def all_seconds(moments: Sequence[Any]) -> list[int | None]:
    """`seconds_of` of many, at once where all are written as `2010-07-20 06:14:06`."""
    try:
        text = "".join(moments).encode("ascii")
    except (TypeError, UnicodeEncodeError):
        return [seconds_of(moment) for moment in moments]
    if set(map(len, moments)) != {19}:
        return [seconds_of(moment) for moment in moments]
    letters = np.frombuffer(text, np.uint8).reshape(-1, 19).astype(np.int64)
    digits = letters[:, _DIGITS] - ord("0")
    marks = (letters[:, [4, 7, 10, 13, 16]] == np.frombuffer(b"-- ::", np.uint8)).all()
    if not marks or digits.min() < 0 or digits.max() > 9:
        return [seconds_of(moment) for moment in moments]
    clock = digits[:, 8:] @ np.array([36_000, 3_600, 600, 60, 10, 1])
    pairs = digits[:, 8::2] * 10 + digits[:, 9::2]
    days = [_day(moment[:10]) for moment in moments]
    if None in days or (pairs > (23, 59, 59)).any():
        return [seconds_of(moment) for moment in moments]
    return list(map(int.__add__, days, clock.tolist()))  # type: ignore[arg-type]


_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]


@lru_cache(maxsize=20_000)
def _day(text: str) -> int | None:
    """The first second of a day written as `2010-07-20`; None if it is none."""
    try:
        return int((datetime.strptime(text, "%Y-%m-%d") - datetime(1970, 1, 1)).total_seconds())
    except ValueError:
        return None


class Moment(NamedTuple):
    """One image of a location: its id, its sequence and its time in seconds, as far as the metadata says."""

    identity: str
    sequence: str | None
    seconds: int | None


def bursts_of(place: str, moments: Sequence[Moment]) -> tuple[list[str], str]:
    """The burst that each image of a location belongs to, so that none stands on both sides of the split; and a
    sentence if that is a guess.

    A burst is a sequence of the metadata. Where there are none, or one for all images, pictures less than `GAP` seconds
    apart are one; where that is one for all again, those of a day.
    """
    known = {moment.sequence for moment in moments if moment.sequence is not None}
    alone = len(known) == 1 and len(moments) > 1 and all(moment.sequence is not None for moment in moments)
    loose = [moment for moment in moments if alone or moment.sequence is None]
    by_time = _by_time(place, loose)
    if alone and len(set(by_time.values())) < 2:
        return [str(moment.sequence) for moment in moments], (
            f"Location '{place}': all {len(moments):,} images are one sequence, so all are on one side of the split."
        )
    bursts = [
        str(moment.sequence)
        if moment.sequence is not None and not alone
        else by_time.get(moment.identity, moment.identity)
        for moment in moments
    ]
    guessed = sum(moment.identity not in by_time for moment in loose)
    if not guessed:
        return bursts, ""
    return bursts, (
        f"Location '{place}': {guessed:,} of {len(moments):,} images have neither a sequence nor a usable time, so "
        "pictures of one burst may stand on both sides of the split."
    )


def _by_time(place: str, moments: Sequence[Moment]) -> dict[str, str]:
    """A burst for each image that has a time; none at all if times tell nothing apart."""
    timed = sorted((moment.seconds, moment.identity) for moment in moments if moment.seconds is not None)
    bursts: dict[str, str] = {}
    before, burst = -GAP, ""
    for seconds, identity in timed:
        if seconds - before >= GAP:
            burst = f"{place}#{seconds}"
        bursts[identity], before = burst, seconds
    if len(set(bursts.values())) < 2:
        bursts = {identity: f"{place}#day {seconds // 86_400}" for seconds, identity in timed}
    return bursts if len(set(bursts.values())) > 1 or len(timed) == 1 else {}
