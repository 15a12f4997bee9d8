"""Numbers to plotly figures, nothing else.

A figure is a plain dict that plotly.js draws (`data`, `layout`), with what to change on a narrow screen (`narrow`),
where a point's location stands (`pick`, see `ui.chart`), and a `summary` in words and a `table` (`head`, `rows`) for
readers who do not see it. Colours are names of CSS variables, so that one figure fits light and dark pages.
"""

from .common import CIVIDIS, SHAPES, Figure

__all__ = ["CIVIDIS", "SHAPES", "Figure"]
