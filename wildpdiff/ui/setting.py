"""What a user chooses and what the page shows for it, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..evaluate import wilson

Stage = Literal["known", "written", "measuring", "done"]


@dataclass(frozen=True)
class Upload:
    """A user's own background: its name on the page, its embedding `[E]`, the square that the model sees
    (uint8 `[3, size, size]`), and the seen locations that look most like it with their similarity, best first."""

    name: str
    embedding: Tensor
    picture: Tensor
    nearest: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Setting:
    """What the user chose: two locations, how far to go from A to B (0..1), seed, adapters, DDIM steps.

    An upload takes the place of its location.
    """

    a: str
    b: str
    weight: float = 0.0
    seed: int = 0
    samples: int = 1
    steps: int = 50
    upload_a: Upload | None = None
    upload_b: Upload | None = None

    @property
    def names(self) -> tuple[str, str]:
        """What the page calls A and B."""
        return (self.upload_a.name if self.upload_a else self.a), (self.upload_b.name if self.upload_b else self.b)


@dataclass(frozen=True)
class Live:
    """Accuracy measured now: the share of `count` images that each sample names correctly."""

    shares: tuple[float, ...]
    count: int

    @property
    def share(self) -> float:
        """Mean over the samples, 0..1."""
        return sum(self.shares) / len(self.shares)

    @property
    def right(self) -> int:
        """Images named correctly, rounded over the samples."""
        return round(self.share * self.count)

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval: uncertainty from few images, not spread over seeds."""
        return wilson(self.right, self.count)


@dataclass(frozen=True)
class Bar:
    """One location: measured beforehand (None where it was not), and now.

    `own` is the mean accuracy of adapters generated from this very location's condition.
    """

    location: str
    images: int
    pretrained: float | None
    fine_tuned: float | None
    own: float | None
    live: Live | None = None


@dataclass(frozen=True)
class Result:
    """One frame. `rows` `[N, D]` are the raw adapters; `points` are their places on the map, `alike` the mean cosine
    of the samples with each seen location's mean row."""

    setting: Setting
    stage: Stage
    bars: tuple[Bar, ...]
    seconds: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    alike: tuple[float, ...] = ()
    rows: Tensor | None = None

    @property
    def live(self) -> bool:
        """Whether bars were measured now."""
        return any(bar.live for bar in self.bars)

    def bar(self, name: str) -> Bar | None:
        """The bar of a location, if there is one."""
        return next((bar for bar in self.bars if bar.location == name), None)


@dataclass(frozen=True)
class Known:
    """What never changes: places of the zoo's rows on the map `[J, 2]` with their location's index `[J]`,
    and the cosine of the locations' mean rows with each other."""

    locations: tuple[str, ...]
    points: tuple[tuple[float, float], ...]
    index: tuple[int, ...]
    alike: tuple[tuple[float, ...], ...]
