"""What the names mean that people and programs give to what is on a photograph."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from ..labelled import is_empty

HUMANS = frozenset(["human", "humans", "person", "persons", "people", "homo sapiens", "homo", "hominidae", "hiker",
                    "camera trapper", "human camera trapper", "setup", "setup pickup", "setup_pickup"])  # fmt: skip
VEHICLES = frozenset(["vehicle", "vehicles", "car", "truck", "motorcycle", "bicycle", "atv", "human vehicle"])
#: Words that say that nobody, or no program, knows what it is, not even whether it is an animal.
UNKNOWN = frozenset(["", "unlabeled", "unlabelled", "unclassified", "unreviewed", "no cv result", "null", "nan"])


class Meaning(Enum):
    """What a name says of a photograph."""

    ANIMAL = "animal"
    EMPTY = "empty"
    PERSON = "person"
    VEHICLE = "vehicle"
    NOTHING = "nothing"


@lru_cache(maxsize=10_000)
def meaning(name: str) -> Meaning:
    """What a name means, whatever its case."""
    plain = " ".join(name.replace("_", " ").casefold().split())
    if plain in UNKNOWN:
        return Meaning.NOTHING
    if plain in HUMANS:
        return Meaning.PERSON
    if plain in VEHICLES:
        return Meaning.VEHICLE
    return Meaning.EMPTY if is_empty(name) else Meaning.ANIMAL
