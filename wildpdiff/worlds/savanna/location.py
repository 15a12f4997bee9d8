"""A location as plain data: what a camera site looks like, and how its camera sees it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from ...errors import UserError

#: Bounds of every number of a location; the app's sliders and the checks share them.
BOUNDS: dict[str, tuple[float, float]] = {
    "trees": (0.0, 1.0),
    "bush": (0.0, 1.0),
    "wet": (0.0, 1.0),
    "rock": (0.0, 1.0),
    "soil_red": (0.0, 1.0),
    "soil_light": (0.0, 1.0),
    "grass_height": (0.0, 1.0),
    "hills": (0.0, 1.0),
    "cloud": (0.0, 1.0),
    "horizon": (0.24, 0.52),
    "camera_height": (0.6, 2.4),
    "zoom": (0.75, 1.6),
    "warmth": (-0.5, 0.5),
    "tint": (-0.35, 0.35),
    "exposure": (0.5, 1.8),
    "contrast": (0.6, 1.5),
    "haze": (0.0, 0.08),
    "noise": (0.0, 0.12),
    "vignette": (0.0, 0.9),
    "night_share": (0.0, 0.5),
    "flash_reach": (5.0, 25.0),
    "distance": (0.7, 1.6),
}


@dataclass(frozen=True)
class Location:
    """A camera site.

    Habitat, each 0..1: `trees`, `bush`, `wet` (green, water at the top end), `rock` (kopjes). They drive the species.
    Look, 0..1: `soil_red`, `soil_light`, `grass_height`, `hills`, `cloud`.
    Camera: `horizon` (share of the picture above it), `camera_height` (metres), `zoom` (focal length in picture
    heights), `warmth` and `tint` (log2 gains red-blue and green), `exposure` (gain), `contrast` (exponent),
    `haze` (per metre), `noise` (standard deviation, full scale 1), `vignette` (darkening of the corners),
    `night_share` (share of infrared frames), `flash_reach` (metres), `distance` (how far animals pass, relative),
    `strip` (0 none, 1 below, 2 above: the camera's time stamp). `seed` lays out the scene.
    """

    name: str
    trees: float = 0.4
    bush: float = 0.4
    wet: float = 0.4
    rock: float = 0.1
    soil_red: float = 0.4
    soil_light: float = 0.5
    grass_height: float = 0.4
    hills: float = 0.4
    cloud: float = 0.4
    horizon: float = 0.38
    camera_height: float = 1.1
    zoom: float = 1.05
    warmth: float = 0.0
    tint: float = 0.0
    exposure: float = 1.0
    contrast: float = 1.0
    haze: float = 0.01
    noise: float = 0.02
    vignette: float = 0.2
    night_share: float = 0.2
    flash_reach: float = 12.0
    distance: float = 1.0
    strip: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UserError(f"A location's {name} must lie in {low:g}..{high:g}, not {value:g}.")
        if self.strip not in (0, 1, 2):
            raise UserError(f"A location's strip must be 0 (none), 1 (below) or 2 (above), not {self.strip}.")

    @property
    def habitat(self) -> np.ndarray:
        """The four factors that drive the species, each centred on 0 with a spread of about 1: `[4]`."""
        return factors(self.trees, self.bush, self.wet, self.rock)


def factors(trees: float, bush: float, wet: float, rock: float) -> np.ndarray:
    """What drives the species, each centred on 0 with a spread of about 1: `[4]`."""
    return np.array([trees - 0.4, bush - 0.4, wet - 0.4, rock - 0.2]) / 0.28


def rng_of(*key: object) -> np.random.Generator:
    """Random numbers that depend on the key alone, the same on every machine."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def draw_location(name: str, *, seed: int, shift: float) -> Location:
    """Draw a location's numbers; `shift` sets how far cameras and light differ between locations (0: not at all)."""
    rng = _rng_of_location(name, seed)

    def near(key: str, centre: float, spread: float) -> float:
        low, high = BOUNDS[key]
        return float(np.clip(centre + shift * spread * _bell(rng), low, high))

    habitat = _draw_habitat(rng)
    drawn = {
        "grass_height": near("grass_height", 0.12 + 0.4 * habitat["wet"], 0.2),
        "soil_red": near("soil_red", 0.45, 0.3),
        "soil_light": near("soil_light", 0.5, 0.27),
        "hills": near("hills", 0.4, 0.35),
        "cloud": near("cloud", 0.35, 0.3),
        "horizon": near("horizon", 0.38, 0.06),
        "camera_height": near("camera_height", 1.15, 0.35),
        "zoom": near("zoom", 1.08, 0.17),
        "warmth": near("warmth", 0.0, 0.22),
        "tint": near("tint", 0.0, 0.11),
        "exposure": near("exposure", 1.0, 0.24),
        "contrast": near("contrast", 1.0, 0.17),
        "haze": near("haze", 0.012, 0.014),
        "noise": near("noise", 0.018, 0.016),
        "vignette": near("vignette", 0.25, 0.24),
        "night_share": near("night_share", 0.22, 0.14),
        "flash_reach": near("flash_reach", 12.0, 4.0),
        "distance": near("distance", 1.0, 0.17),
    }
    strip = int(rng.integers(0, 3))
    return Location(name=name, **habitat, **drawn, strip=strip, seed=int(rng.integers(2**31)))


def draw_habitat(name: str, *, seed: int) -> dict[str, float]:
    """The habitat of the location that `draw_location` draws, without the rest of it."""
    return _draw_habitat(_rng_of_location(name, seed))


def with_habitat(location: Location, *, trees: float, bush: float, wet: float, rock: float) -> Location:
    """The same camera in another habitat."""
    return replace(location, trees=trees, bush=bush, wet=wet, rock=rock)


def _rng_of_location(name: str, seed: int) -> np.random.Generator:
    return rng_of("location", seed, name)


def _draw_habitat(rng: np.random.Generator) -> dict[str, float]:
    """One of five habitats, with a spread of its own around it."""
    centre = _HABITATS[int(rng.integers(len(_HABITATS)))]
    values = [float(np.clip(value + 0.12 * _bell(rng), 0, 1)) for value in centre]
    return dict(zip(("trees", "bush", "wet", "rock"), values, strict=True))


#: Short-grass plain, long-grass plain, open woodland, thicket, river bank, kopje: trees, bush, wet, rock.
_HABITATS = (
    (0.05, 0.10, 0.20, 0.10),
    (0.15, 0.25, 0.50, 0.05),
    (0.65, 0.35, 0.40, 0.10),
    (0.55, 0.85, 0.40, 0.15),
    (0.60, 0.55, 0.90, 0.10),
    (0.30, 0.35, 0.25, 0.80),
)


def _bell(rng: np.random.Generator) -> float:
    """A bell-shaped number with standard deviation 1 and no tail beyond 2.4 (a sum of two uniform ones)."""
    return float((rng.random() + rng.random() - 1) * 6**0.5)
