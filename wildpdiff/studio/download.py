"""A written adapter as a file to take away."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from .setting import OWN, Setting, is_own
from .studio import Studio


def download(studio: Studio, setting: Setting, folder: Path) -> Path:
    """Write a setting's first adapter as a zipped PEFT folder into `folder`.

    Raises:
        UserError: as `Studio.write`, or if the disk is full.
    """
    from ..network.peft_folder import save_peft

    row = studio.write(replace(setting, samples=1))[0]
    (a, b), weight = studio.names(setting), setting.weight
    ends = "-".join(OWN if is_own(name) else name for name in (setting.a, setting.b))
    card = {"condition": f"{1 - weight:.2f} of {a}, {weight:.2f} of {b}", "seed": str(setting.seed)}
    card |= {"steps": str(setting.steps), "regime": setting.regime, "way": setting.way}
    card |= {"generator": studio.generator(setting).fingerprint, "world": studio.bundle.world.about}
    name = f"adapter-{ends}-{weight:.2f}-{setting.regime}-{setting.way}-seed{setting.seed}"
    save_peft(studio.bundle.backbone, row, folder / name, card=card)
    return Path(shutil.make_archive(str(folder / name), "zip", root_dir=folder, base_dir=name))
