"""From an order to a folder that worlds and surveys open: metadata, choice, photographs, and what describes them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import UserError, readable
from ..fetch.ledger import Ledger
from ..fetch.lengths import lengths
from ..fetch.many import CONNECTIONS, Tally, fetch_all
from ..fetch.part import written
from ..fetch.patience import Patience
from ..fetch.wanted import Wanted, below, checked_address, host_of, is_address, place_of
from ..files import is_file, save_json
from ..survey.open import PICTURES, open_coco, opened_json
from ..training.loop import Step
from . import addresses
from .choice import Chosen, Wish, choose
from .reduced import reduced

#: What describes the photographs of the folder.
METADATA = "metadata.json"
#: Folder of what came as it is at LILA, and of the sizes of all that came.
SOURCE, LEDGER = "source", "fetched.json"
#: Connections at once, at most: more would be a burden.
MOST = 32
#: Files whose size is asked to tell the total.
ASKED = 12
_MEGA, _GIGA = 1_000_000, 1_000_000_000


@dataclass(frozen=True)
class Order:
    """What to download, and where to.

    Attributes:
        root: the folder.
        metadata: address of a COCO Camera Traps file (`.json`, or a `.zip` with one), or its path.
        images: the address that file names start from.
        wish: which photographs.
        connections: files at once.
        patience: with the server.
    """

    root: Path
    metadata: str
    images: str
    wish: Wish = field(default_factory=Wish)
    connections: int = CONNECTIONS
    patience: Patience = field(default_factory=Patience)

    def __post_init__(self) -> None:
        """Refuse what cannot be fetched.

        Raises:
            UserError: naming what would be right.
        """
        checked_address(self.images)
        if is_address(self.metadata):
            checked_address(self.metadata)
        elif not is_file(Path(self.metadata)):
            name = readable(Path(self.metadata).name)[:80]
            raise UserError(f"There is no metadata '{name}'; give a file, or an address that begins with https://.")
        if not 1 <= self.connections <= MOST:
            raise UserError(f"'connections' must lie between 1 and {MOST}, not {self.connections}.")

    @property
    def file(self) -> Path:
        """Where the metadata lies, or will."""
        if not is_address(self.metadata):
            return Path(self.metadata)
        name = PurePosixPath(unquote(urlsplit(self.metadata).path)).name
        return place_of(self.root / SOURCE, name or METADATA)

    @property
    def ledger(self) -> Path:
        """Where sizes are written down."""
        return self.root / SOURCE / LEDGER


def ordered(root: Path, wish: Wish, *, mirror: str, base: str, metadata: str, connections: int) -> Order:
    """An order to one of LILA's mirrors; `base` and `metadata`, where they are given, take the place of its addresses.

    Raises:
        UserError: if there is no such mirror, or as `Order`.
    """
    if mirror not in addresses.MIRRORS:
        raise UserError(f"Mirror '{mirror}' is not known; choose one of: {', '.join(addresses.MIRRORS)}.")
    cloud = addresses.MIRRORS[mirror]
    return Order(
        root, metadata or cloud + addresses.METADATA, base or cloud + addresses.IMAGES, wish, connections=connections
    )


def fetch_metadata(order: Order) -> Iterator[Step]:
    """Fetch the metadata, unless it is there; steps are megabytes.

    Raises:
        UserError: if it does not come, or cannot be written.
    """
    if not is_address(order.metadata):
        return
    wanted = Wanted(order.metadata, order.file.relative_to(order.root).as_posix())
    for tally in fetch_all([wanted], order.root, order.ledger, connections=1, patience=order.patience):
        if tally.problems:
            raise UserError(
                f"The metadata '{order.file.name}' did not come from '{host_of(order.metadata)}' "
                f"({tally.problems[0].reason}); check the address and the network, then run the same command again."
            )
        if tally.bytes:
            total = max(1, -(-tally.expected // _MEGA))
            yield Step(total if tally.fetched else min(total - 1, tally.bytes // _MEGA), total, float("nan"))


@dataclass(frozen=True)
class Plan:
    """What will be fetched.

    Attributes:
        order: what was ordered.
        chosen: the photographs.
        wanted: the same as files, those that are there included.
        there: how many are there.
        estimate: bytes of those that are not.
        free: bytes of the disk.
    """

    order: Order
    chosen: Chosen
    wanted: tuple[Wanted, ...]
    there: int
    estimate: int
    free: int

    def words(self) -> str:
        """All of it in a sentence."""
        left = len(self.wanted) - self.there
        there = f", {self.there:,} of them there already" if self.there else ""
        return (
            f"{len(self.wanted):,} photographs of {len(self.chosen.locations)} locations, "
            f"{len(self.chosen.species) - 1} animals and empty{there}; {left:,} files are to be fetched, about "
            f"{_size(self.estimate)}, and {_size(self.free)} are free."
        )

    def check_room(self) -> None:
        """Raises UserError if the disk has not as much room."""
        if self.estimate > self.free:
            raise UserError(
                f"The photographs need about {_size(self.estimate)}, and the disk of '{self.order.root.name}' has "
                f"{_size(self.free)}; ask for fewer (--locations, --each, --empties) or free some space."
            )


def plan(order: Order) -> Plan:
    """Choose the photographs and ask the server how large some of them are.

    Raises:
        UserError: as `choose`, or if a name cannot be one of a file inside the folder.
    """
    chosen = choose(open_coco(order.file, order.root / PICTURES), order.wish)
    wanted = tuple(_wanted(order.images, file) for file in chosen.files)
    ledger = Ledger(order.ledger)
    lacking = [one for one in wanted if not ledger.has(one.name, place_of(order.root, one.name))]
    asked = [one.address for one in lacking[:: max(1, len(lacking) // ASKED)][:ASKED]]
    known = lengths(asked, connections=order.connections, patience=order.patience) if asked else []
    estimate = len(lacking) * (sum(known) / len(known) if known else addresses.TYPICAL)
    with written(order.root.name):
        free = shutil.disk_usage(order.root).free
    return Plan(order, chosen, wanted, len(wanted) - len(lacking), round(estimate), free)


def _wanted(base: str, file: str) -> Wanted:
    plain = file.replace("\\", "/")
    place_of(Path(PICTURES), plain)
    return Wanted(below(base, plain), f"{PICTURES}/{plain}")


def fetch_photographs(planned: Plan) -> Iterator[tuple[Step, Tally]]:
    """Fetch what is not there; steps are files.

    Raises:
        UserError: if the disk is full, or the server gives none.
    """
    order, total = planned.order, len(planned.wanted)
    for tally in fetch_all(
        planned.wanted, order.root, order.ledger, connections=order.connections, patience=order.patience
    ):
        yield Step(tally.done * total // max(1, tally.files), total, float("nan")), tally


@dataclass(frozen=True)
class Outcome:
    """What came of an order.

    Attributes:
        plan: what was to be fetched.
        tally: what came.
        photographs: how many the folder's metadata describes; those that did not come are left out.
    """

    plan: Plan
    tally: Tally
    photographs: int

    def to_json(self) -> dict[str, Any]:
        """Counts, and the classes and locations."""
        absent = [problem.name for problem in self.tally.problems if problem.lasting]
        return {
            "metadata": METADATA,
            "species": list(self.plan.chosen.species),
            "locations": list(self.plan.chosen.locations),
            "photographs": self.photographs,
            "there_before": self.tally.found,
            "fetched": self.tally.fetched,
            "bytes": self.tally.bytes,
            "absent": len(absent),
            "failed": len(self.tally.problems) - len(absent),
            "first_problem": self.tally.problems[0].name if self.tally.problems else None,
        }

    def words(self) -> str:
        """What is there now, in a sentence."""
        return (
            f"'{self.plan.order.root.name}' holds {self.photographs:,} photographs of "
            f"{len(self.plan.chosen.locations)} locations, described by {METADATA}: {self.tally.fetched:,} fetched, "
            f"{_size(self.tally.bytes)}, and {self.tally.found:,} there before."
        )

    def check(self) -> None:
        """Raises UserError if files did not come, with how many, the first of them, and what helps."""
        problems = self.tally.problems
        if not problems:
            return
        later = [problem for problem in problems if not problem.lasting]
        first = readable(problems[0].name.removeprefix(f"{PICTURES}/"))
        helps = "run the same command again, as some may come later" if later else "this server does not have them"
        raise UserError(
            f"{len(problems):,} of {len(self.plan.wanted):,} photographs did not come, '{first}' is the first "
            f"({problems[0].reason}); {METADATA} leaves them out, and {helps}."
        )


def finish(planned: Plan, tally: Tally) -> Outcome:
    """Write what describes the photographs that are there.

    Raises:
        UserError: if the metadata is damaged, or cannot be written.
    """
    order, absent = planned.order, {problem.name for problem in tally.problems}
    files = {file for file, one in zip(planned.chosen.files, planned.wanted, strict=True) if one.name not in absent}
    document = reduced(opened_json(order.file), order.file.name, files)
    wish = {"each": order.wish.each, "empties": order.wish.empties, "seed": order.wish.seed}
    info = {"description": f"Some photographs of {order.file.name}, chosen and fetched by wildpdiff", **wish}
    save_json(order.root / METADATA, {"info": info, **document}, close=True)
    return Outcome(planned, tally, len(files))


def _size(count: int) -> str:
    return f"{count / _GIGA:,.1f} GB" if count >= _GIGA // 10 else f"{count / _MEGA:,.1f} MB"
