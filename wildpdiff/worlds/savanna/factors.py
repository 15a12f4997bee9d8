"""What the numbers of an invented location mean, in words for its sliders."""

from __future__ import annotations

from typing import Any

from .location import BOUNDS

#: Groups of sliders: heading, what the group does, and for each number its label, the form in which its value is shown,
#: and what it changes.
_GROUPS: tuple[tuple[str, str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "Habitat",
        "decides which animals pass, and what grows",
        (
            ("trees", "Trees", "share", "Giraffe, impala and baboon come with trees; gazelles and topi leave."),
            ("bush", "Bush", "share", "Guineafowl, buffalo and reedbuck like it; gazelles and wildebeest do not."),
            ("wet", "Water", "share", "Green grass and broad leaves, above 70% a pool; hippopotamus and reedbuck."),
            ("rock", "Rocks", "share", "Boulders, with baboon and hyena."),
        ),
    ),
    (
        "Ground and sky",
        "changes the look only, not the animals",
        (
            ("soil_red", "Red soil", "share", "From sand to laterite."),
            ("soil_light", "Pale soil", "share", "How light the bare ground is."),
            ("grass_height", "Grass", "share", "How tall and how dense; tall grass hides legs and small animals."),
            ("hills", "Hills", "share", "Height of the ridges on the skyline."),
            ("cloud", "Clouds", "share", "Clouds in the sky; overcast hours have softer, greyer light."),
        ),
    ),
    (
        "Camera",
        "changes how the same scene is seen",
        (
            ("horizon", "Horizon", "share", "Share of the picture above the horizon: the camera's tilt."),
            ("camera_height", "Height", "metres", "Height above the ground."),
            ("zoom", "Zoom", "times", "Focal length in picture heights."),
            ("distance", "Distance", "times", "How far away animals pass, 1 being usual; the empty scene stays."),
            ("warmth", "Warmth", "signed", "White balance, from blue to orange."),
            ("exposure", "Brightness", "times", "Gain by day."),
            ("contrast", "Contrast", "times", "Steepness of the tone curve."),
            ("haze", "Haze", "haze", "Share of light lost over 50 metres."),
            ("noise", "Grain", "grain", "Standard deviation of the sensor's noise."),
            ("night_share", "At night", "share", "Share of photographs taken in the dark, in infrared."),
        ),
    ),
)

SLIDERS = tuple(key for _, _, numbers in _GROUPS for key, *_ in numbers)


def groups() -> list[dict[str, Any]]:
    """The groups for the browser: heading, note, and numbers with key, label, form, hint, low and high."""
    return [
        {"heading": heading, "note": note, "numbers": [_number(*number) for number in numbers]}
        for heading, note, numbers in _GROUPS
    ]


def _number(key: str, label: str, form: str, hint: str) -> dict[str, Any]:
    low, high = BOUNDS[key]
    return {"key": key, "label": label, "form": form, "hint": hint, "low": low, "high": high}
