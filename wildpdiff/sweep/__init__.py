"""Sweeps: many generated adapters over pairs of locations, blend weights, seeds, regimes and ways, each measured.

`Sweep` says what, `Sweep.cost` how long it takes, `run` does it; `Gathered` collects what comes.
"""

from .cells import Cell, Comparison, Gathered, by_weight, compare
from .record import Record
from .run import Made, run
from .spec import Sweep

__all__ = ["Cell", "Comparison", "Gathered", "Made", "Record", "Sweep", "by_weight", "compare", "run"]
