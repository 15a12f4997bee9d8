"""What the names mean that people and programs give to what is on a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from ..labelled import is_empty
from .records import PERSON, VEHICLE

HUMANS = frozenset(["human", "humans", "person", "persons", "people", "homo sapiens", "homo", "hominidae", "hiker",
                    "camera trapper", "human camera trapper", "setup", "setup pickup"])  # fmt: skip
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
    plain = " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
    if plain in UNKNOWN:
        return Meaning.NOTHING
    if plain in HUMANS:
        return Meaning.PERSON
    if plain in VEHICLES:
        return Meaning.VEHICLE
    return Meaning.EMPTY if is_empty(name) else Meaning.ANIMAL


#: Kinds of boxes around what is no animal.
KINDS = {Meaning.PERSON: PERSON, Meaning.VEHICLE: VEHICLE}


class Seen(NamedTuple):
    """What all annotations of an image say together; see `Frame`."""

    species: tuple[str, ...] = ()
    empty: bool = False
    human: bool = False


def seen_in(names: Sequence[str | None]) -> Seen:
    """What names say of one photograph, taken together."""
    said = [(name, meaning(name)) for name in names if name is not None]
    species = tuple(dict.fromkeys(name.strip() for name, means in said if means is Meaning.ANIMAL))
    human = any(means in KINDS for _, means in said)
    return Seen(species, not human and any(means is Meaning.EMPTY for _, means in said), human)


def common_name(label: str) -> str:
    """What SpeciesNet's label `ID;class;order;family;genus;species;common name` calls it; any other text as it is."""
    ranks = [rank.strip() for rank in label.split(";")]
    if len(ranks) != 7:
        return label
    scientific = " ".join(rank for rank in ranks[4:6] if rank)
    return ranks[6] or scientific or next((rank for rank in reversed(ranks[1:4]) if rank), "")
