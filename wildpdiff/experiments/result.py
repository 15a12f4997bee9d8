"""What an experiment found, and how: as a value, in a file, and as a bundle keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..errors import UserError
from ..files import load_json, save_json
from ..manifest import seal
from .lab import Data, Experiment

FORMAT = 2
#: The folder of a bundle that holds its results.
RESULTS = "results"


@dataclass(frozen=True)
class Result:
    """What an experiment found, and how.

    Attributes:
        name: of the experiment.
        data: as the experiment's `measure` yields it last; empty if it could not be measured.
        depends: fingerprints of the parts of the bundle that it was measured on (see `Bundle.fingerprints`).
        samples: generated adapters a cell.
        seed: of the first generated adapter.
        quick: whether few samples were drawn to be quick.
        seconds: that measuring took.
        command: that was typed.
        commit: of the program, or its version.
        versions: of the packages that numbers depend on, by name.
        left_out: sentences on what could not be used.
        stored: whether it came with the bundle, and was not measured by this command.
        problem: why it could not be measured, or nothing.
    """

    name: str
    data: Data
    depends: dict[str, str]
    samples: int
    seed: int
    quick: bool
    seconds: float
    command: str
    commit: str
    versions: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    stored: bool = False
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a JSON document with the number of its format."""
        return {"format": FORMAT, **asdict(self), "left_out": list(self.left_out)}

    @classmethod
    def from_json(cls, document: Any, source: str) -> Result:
        """The result that `to_json` made a document of; `source` is the file's name.

        Raises:
            UserError: if it is of another format or not whole.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise UserError(f"'{source}' is a result of another format; measure it anew with this version.")
        values = {key: value for key, value in document.items() if key != "format"}
        try:
            result = cls(**values)
            data, depends = dict(result.data), dict(result.depends)
            return replace(result, data=data, depends=depends, left_out=tuple(result.left_out))
        except (TypeError, ValueError) as error:
            raise UserError(f"'{source}' is damaged (parts of the result are missing); measure it anew.") from error


def read_result(path: Path) -> Result:
    """A result's file.

    Raises:
        UserError: if it is missing, damaged or of another format.
    """
    return Result.from_json(load_json(path), path.name)


def stored_result(bundle: Bundle, experiment: Experiment) -> Result:
    """The result of an experiment that a bundle keeps; whoever shows its numbers gets them here.

    Raises:
        UserError: if it is missing, damaged, or was measured on other parts than the bundle's.
    """
    name, long = experiment.name, " --retrain --run DIR" if experiment.trains else ""
    command = f"`wildpdiff reproduce {name}{long} --out DIR`"
    path = bundle.folder / RESULTS / f"{name}.json"
    if not path.exists():
        raise UserError(f"This bundle does not store {name}; {command} measures it.")
    result = read_result(path)
    if differ := differing(result, experiment, bundle):
        raise UserError(f"The stored {name} is stale: it was measured on another {differ}; {command} measures it anew.")
    return replace(result, stored=True)


def keep(bundle: Bundle, result: Result) -> None:
    """Store a result in a bundle's folder, numbers to five significant digits, and seal the folder again."""
    save_json(bundle.folder / RESULTS / f"{result.name}.json", _short(result.to_json()), close=True)
    seal(bundle.folder, bundle.manifest)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list | tuple) else value


def differing(result: Result, experiment: Experiment, bundle: Bundle) -> str:
    """The parts that a result was measured on and a bundle has otherwise, in words; nothing if it is the bundle's."""
    then, now = result.depends, bundle.depends(experiment.depends)
    return ", ".join(part for part in sorted(then | now) if then.get(part) != now.get(part))
