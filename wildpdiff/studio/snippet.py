"""The present state as Python and as command lines; what it prints is what the page shows."""

from __future__ import annotations

from pathlib import Path

from ..bundled import bundled
from ..hub import origin
from .setting import Setting, is_own

PICTURE = "your-picture-{side}.jpg"


def python_of(setting: Setting, folder: str) -> str:
    """A Python program that writes a setting's adapters again and measures them at A and at B.

    Args:
        setting: with or without backgrounds of one's own, which the program reads from files.
        folder: of the bundle, as `folder_of` calls it.
    """
    where = f'Path("{folder}")' if folder else ""
    names = ["Bundle", "accuracy"] + (["load_picture"] if setting.own else [])
    places = list(setting.chosen)
    lines = [
        "from pathlib import Path",
        "",
        f"from wildpdiff import {', '.join(names)}",
        "",
        f"bundle = Bundle.open({where})",
        f"a = {_embedding(setting.a, 'a')}",
        f"b = {_embedding(setting.b, 'b')}",
        f'generator = bundle.generator("{setting.regime}", way="{setting.way}")',
        f"first, last = a.expand({setting.samples}, -1), b.expand({setting.samples}, -1)",
        f"options = {{'steps': {setting.steps}, 'seed': {setting.seed}}}".replace("'", '"'),
        f"rows = generator.generate(first, other=last, weight={setting.weight!r}, **options)",
    ]
    if places:
        lines += [
            f"for location in {places}:".replace("'", '"'),
            f'    images = bundle.world.images(location, "eval", first={setting.images})',
            "    print(location, accuracy(bundle.backbone, rows, images.pixels, images.labels).tolist())",
        ]
    return "\n".join(lines) + "\n"


def command_of(setting: Setting) -> str:
    """What to type to measure a setting's adapters and to write them as PEFT folders; a sentence where that cannot be.

    The command line reads a picture of one's own alone, not blended with another place.
    """
    if setting.own:
        return "# The command line blends named locations only; for a picture of your own take the Python above."
    tail = f"--seed {setting.seed} --steps {setting.steps} --regime {setting.regime} --way {setting.way}"
    ends = f"--location {setting.a} --blend-with {setting.b} --weight {setting.weight:g}"
    write = f"wildpdiff generate {ends} --samples {setting.samples} {tail} --out adapters"
    if setting.a == setting.b:
        return write
    pair = f"--pairs {setting.a}:{setting.b} --weights {setting.weight:g} --seeds {setting.samples}"
    return f"wildpdiff sweep {pair} {tail} --images {setting.images} --out sweep.csv\n{write}"


def folder_of(folder: Path) -> str:
    """How a bundle's folder is called in code: not at all if it comes along, else by its place on the hub or in a
    project, or its name."""
    if folder.resolve() == bundled():
        return ""
    if repo := origin(folder):
        return str(repo)
    return f"assets/{folder.name}" if folder.parent.name == "assets" else folder.name


def _embedding(name: str, side: str) -> str:
    if not is_own(name):
        return f'bundle.embedding("{name}")'
    return f'bundle.condition(load_picture(Path("{PICTURE.format(side=side)}"))[None])'
