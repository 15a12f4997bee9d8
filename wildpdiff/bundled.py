"""Where the bundle lies that comes along: inside the installed package, or in the checkout around it."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled() -> Path:
    """The first folder with a manifest in the `assets` of the package, else of the checkout; or the latter if none."""
    around = _PACKAGE.parent / "assets"
    found = (path.parent for home in (_PACKAGE / "assets", around) for path in sorted(home.glob("*/bundle.json")))
    return next(found, around)
