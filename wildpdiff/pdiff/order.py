"""What a p-diff system is made of, as it was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import UserError
from .recipe import OURS, Recipe

#: The file of a system's folder that says what it was asked to be.
ABOUT = "about.json"


@dataclass(frozen=True)
class Order:
    """What a p-diff system is made of.

    Attributes:
        network: see `networks.network_of`.
        parameters: see `choice.subset_of`.
        data: see `sources.pictures_of`.
        size: side of the pictures in pixels.
        recipe: how it is trained and measured.
        seed: of everything.
        pretrained: whether one of timm's networks starts from ImageNet weights.
        checkpoint: a state dict to use as the base; None: one is trained.
        zoo: a folder of one's own checkpoints; None: they are fine-tuned.
        root: where sets of pictures lie.
    """

    network: str
    parameters: str
    data: str = "digits"
    size: int = 32
    recipe: Recipe = OURS
    seed: int = 0
    pretrained: bool = False
    checkpoint: Path | None = None
    zoo: Path | None = None
    root: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON value that `from_json` reads, with whole paths: for the folder itself."""
        paths = {name: None if path is None else str(Path(path).resolve()) for name, path in self._paths.items()}
        return asdict(self) | {"recipe": self.recipe.to_json()} | paths

    @classmethod
    def from_json(cls, value: Any) -> Order:
        """What `to_json` wrote.

        Raises:
            UserError: if it is damaged.
        """
        try:
            Recipe.from_json(value["recipe"])  # refuses what it does not know
            if value.keys() != {one.name for one in fields(cls)}:
                raise KeyError("a part is missing, or unknown")
            return _adapter().validate_json(json.dumps(value), strict=True)  # type: ignore[no-any-return]
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"'{ABOUT}' is damaged or of another version; use another --out folder.") from error

    def public(self) -> dict[str, Any]:
        """As a JSON value for results; of paths the last part, so that no result names somebody's folders."""
        paths = {name: path and Path(path).name for name, path in self._paths.items() if name != "root"}
        kept = {key: value for key, value in self.to_json().items() if key != "root"}
        return kept | paths | {name: _last(kept[name]) for name in ("network", "data")}

    @property
    def _paths(self) -> dict[str, Path | None]:
        return {"checkpoint": self.checkpoint, "zoo": self.zoo, "root": self.root}


@lru_cache(maxsize=1)
def _adapter() -> Any:
    """Reads orders; pydantic is imported only where that is asked for."""
    from pydantic import TypeAdapter

    return TypeAdapter(Order)


def _last(text: str) -> str:
    """The last part of a path; any other text as it is."""
    return text.replace("\\", "/").rpartition("/")[2] or text


def but_root(order: Mapping[str, Any]) -> dict[str, Any]:
    """An order without where its pictures lie, which may move."""
    return {key: value for key, value in order.items() if key != "root"}
