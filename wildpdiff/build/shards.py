"""Parts of a zoo that were grown apart, each in a folder of its own: what each is, and putting them together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from ..files import header, load_json, save_json
from ..manifest import digest
from ..network.adapter import AdapterLayout
from ..training.loop import Step
from .claim import claimed
from .jobs import Job
from .recipes import Recipe
from .starts import start_row

#: File in a zoo's folder that says which rows belong into it.
DEED = "zoo.json"


@dataclass(frozen=True)
class Deed:
    """Which rows belong into a zoo's folder.

    Attributes:
        recipe: digest of how they are grown; rows of different ones are no one zoo.
        rows: of each location.
        own: locations whose rows are grown into this folder.
        whole: locations of the zoo that it is part of.
    """

    recipe: str
    rows: int
    own: tuple[str, ...]
    whole: tuple[str, ...]

    @classmethod
    def of(cls, jobs: Sequence[Job], whole: Sequence[str], layout: AdapterLayout, recipe: Recipe) -> Deed:
        """What jobs of one zoo are to write."""
        how = asdict(replace(jobs[0].recipe, rows=1)) | {"layout": layout.fingerprint}
        how |= {"world": recipe.world, "seed": recipe.seed, "start": recipe.start, "shared": asdict(recipe.shared)}
        own = tuple(sorted(job.name for job in jobs))
        return cls(digest(how), jobs[0].recipe.rows, own, tuple(sorted(whole)))

    @classmethod
    def read(cls, folder: Path) -> Deed:
        """That of a folder.

        Raises:
            UserError: if there is none, or it is damaged.
        """
        found = load_json(folder / DEED)
        try:
            return cls(found["recipe"], found["rows"], tuple(found["own"]), tuple(found["whole"]))
        except (KeyError, TypeError) as error:
            raise UserError(f"'{DEED}' of '{folder.name}' is damaged; grow that part anew.") from error

    def write(self, folder: Path) -> None:
        """Keep it in a zoo's folder, with what was grown there before.

        Raises:
            UserError: if that was by another recipe.
        """
        now = self
        if (folder / DEED).exists():
            before = Deed.read(folder)
            if before.recipe != self.recipe:
                raise UserError(f"'{folder.name}' was begun with another recipe; choose another --out folder.")
            own, whole = ({*a, *b} for a, b in ((before.own, self.own), (before.whole, self.whole)))
            now = replace(self, own=tuple(sorted(own)), whole=tuple(sorted(whole)))
        save_json(folder / DEED, asdict(now))


def merge(parts: Sequence[Path], out: Path) -> Iterator[tuple[str, Step]]:
    """Put together zoos of which each of `parts` has a share, as `out/zoo-REGIME-INTERVAL`; yields (zoo, step).

    Everything is checked before anything is written, and a zoo appears whole or not at all.

    Raises:
        UserError: if a part is missing, unfinished, there twice or of another recipe, or `out` has such a zoo.
    """
    names = sorted({folder.name for part in parts for folder in part.glob("zoo-*") if (folder / DEED).exists()})
    if not names:
        raise UserError("There is no zoo in these folders; name those that `wildpdiff zoo --shard I/N --out` wrote.")
    with claimed(out, out.name):
        shares = {name: _checked(name, parts, out) for name in names}
        for name, share in shares.items():
            yield from ((name, step) for step in _together(name, share, out))


def _checked(name: str, parts: Sequence[Path], out: Path) -> dict[Path, Deed]:
    """The folders of one zoo with their deeds."""
    if (out / name).exists():
        raise UserError(f"'{out.name}' has a '{name}' already; choose another --out folder.")
    shares = {part / name: Deed.read(part / name) for part in parts if (part / name / DEED).exists()}
    first = next(iter(shares.values()))
    for folder, deed in shares.items():
        if (deed.recipe, deed.rows, deed.whole) != (first.recipe, first.rows, first.whole):
            raise UserError(f"The '{name}' in '{folder.parent.name}' is of another order than the first; grow it anew.")
    _check_cover(name, shares, first.whole)
    for folder, deed in shares.items():
        _check_rows(folder, deed)
    _check_starts(list(shares))
    return shares


def _check_cover(name: str, shares: Mapping[Path, Deed], whole: Sequence[str]) -> None:
    """See that every location is in one part, and in one alone."""
    owners: dict[str, str] = {}
    for folder, deed in shares.items():
        for location in deed.own:
            if location in owners:
                both = f"'{owners[location]}' and '{folder.parent.name}'"
                raise UserError(f"Location '{location}' of '{name}' is in both {both}; name each part once.")
            owners[location] = folder.parent.name
    if missing := [location for location in whole if location not in owners]:
        raise UserError(f"'{name}' lacks {len(missing)} locations, '{missing[0]}' first; name all its parts.")


def _check_rows(folder: Path, deed: Deed) -> None:
    """See that a part is finished."""
    for location in deed.own:
        path = folder / f"{location}.safetensors"
        count = header(path)[0]["accuracy"][0] if path.exists() else 0
        if count < deed.rows:
            where = f"'{folder.parent.name}'"
            raise UserError(f"Location '{location}' in {where} has {count} of {deed.rows} rows; go on with that part.")


def _check_starts(folders: Sequence[Path]) -> None:
    """See that all parts began at the same rows, up to the rounding of different computers."""
    first: dict[str, Any] = {}
    for folder in folders:
        for path in sorted(folder.parent.glob("start-*.safetensors")):
            row = first.setdefault(path.name, start_row(path))
            if not torch.allclose(row, start_row(path), rtol=1e-2, atol=1e-4):
                raise UserError(f"'{path.name}' in '{folder.parent.name}' is another row than the first part's.")


def _together(name: str, shares: Mapping[Path, Deed], out: Path) -> Iterator[Step]:
    """Copy checked parts into one folder, which gets its name when it is whole."""
    fresh, deeds = out / f".{name}.part", list(shares.values())
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    rows = [folder / f"{location}.safetensors" for folder, deed in shares.items() for location in deed.own]
    for count, path in enumerate(rows, start=1):
        shutil.copyfile(path, fresh / path.name)
        yield Step(count, len(rows), float("nan"))
    for path in {path.name: path for folder in shares for path in folder.parent.glob("start-*.safetensors")}.values():
        shutil.copyfile(path, out / path.name)
    save_json(fresh / DEED, asdict(replace(deeds[0], own=deeds[0].whole)))
    fresh.rename(out / name)
