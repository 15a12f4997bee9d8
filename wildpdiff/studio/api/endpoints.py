"""What the API answers by running networks, as plain JSON: checked at the door, computed by the studio; no gradio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import UserError
from ...evaluate import best_batch, correct_of
from ...network.folded import prepared_batches
from ...picture import MAX_BYTES
from ...sweep import run
from ...weightspace import cosine
from ..ood import findings, standing
from ..peft_zip import MAX_ZIP, pack, unpack
from ..setting import IMAGES, Setting
from ..studio import Studio
from ..upload import Strangers
from .lookups import SWEEP, SWEEP_STEPS, Lookups, asked, rounded, share
from .requests import chosen, from_base64, sweep_of, text, within

Json = dict[str, Any]
#: Whether an answer is still waited for; asked at every step of the sampler.
Wanted = Callable[[], bool]


def always() -> bool:
    """For an answer that is wanted in any case."""
    return True


@dataclass(frozen=True)
class Answers:
    """Answers for one studio, for any number of threads; it holds nothing of its users."""

    lookups: Lookups

    @property
    def studio(self) -> Studio:
        """Writes and measures."""
        return self.lookups.studio

    @cached_property
    def strangers(self) -> Strangers:
        """What there is to say of pictures that nobody trained on."""
        return Strangers(self.studio)

    def generate(self, setting: Setting, folder: Path, wanted: Wanted = always) -> tuple[Json, Path]:
        """Write adapters: what is known of each, and a zip of them in `folder`.

        Raises:
            UserError: as `Studio.write`, or if the disk is full.
        """
        (rows, note), bundle = self.studio.write_noting(setting, wanted), self.studio.bundle
        terrain = self.lookups.places.terrain(setting.regime)
        alike, spots = cosine(rows, self.studio.means(setting.regime)).tolist(), terrain.spots(rows)
        adapters = [
            {
                "seed": setting.seed + place,
                "nearest": bundle.seen[near.index(max(near))],
                "cosines": {name: round(value, 5) for name, value in zip(bundle.seen, near, strict=True)},
                "norm": round(float(row.norm()), 4),
                "umap": rounded(spot.umap),
                "pca": rounded(spot.pca),
            }
            for place, (row, near, spot) in enumerate(zip(rows, alike, spots, strict=True))
        ]
        name = f"adapter-{setting.a}-{setting.b}-{setting.weight:.2f}-{setting.regime}-{setting.way}-seed{setting.seed}"
        packed = pack(bundle.backbone, rows, self._card(setting), seed=setting.seed, folder=folder, name=name)
        return {"setting": asked(setting), "numbers": rows.shape[1], "adapters": adapters, "note": note}, packed

    def evaluate(self, setting: Setting, location: object, images: object, wanted: Wanted = always) -> Json:
        """Write one adapter and let it name photographs of a location.

        Raises:
            UserError: as `Studio.write`, or if the location is unknown or the number out of range.
        """
        where, count = self._looked_at(location, images)
        rows, note = self.studio.write_noting(setting, wanted)
        return {"setting": asked(setting), "note": note} | self._named(rows[0], where, count)

    def evaluate_file(self, adapter: object, location: object, images: object) -> Json:
        """Let an adapter that somebody sent name photographs of a location.

        Raises:
            UserError: as `peft_zip.unpack`, or if the location is unknown or the number out of range.
        """
        where, count = self._looked_at(location, images)
        data = decoded(adapter, "adapter", MAX_ZIP, "a zipped PEFT folder")
        return self._named(unpack(data, self.studio.bundle.backbone), where, count)

    def sweep(self, spec: object, wanted: Wanted = always) -> Json:
        """Write and measure all adapters of a small sweep.

        Raises:
            UserError: as `Sweep.of` and `Sweep.check`, or if it is too large for a shared server.
        """
        bundle, asked_for = self.studio.bundle, sweep_of(spec)
        steps = asked_for.size * asked_for.steps
        if asked_for.size > SWEEP or steps > SWEEP_STEPS or asked_for.images > IMAGES[-1]:
            raise UserError(
                f"Here a sweep writes at most {SWEEP} adapters with {SWEEP_STEPS:,} sampler steps in all, on at most "
                f"{IMAGES[-1]} photographs a location; larger ones run on your own computer: wildpdiff sweep."
            )
        asked_for.check(bundle)
        records = [made.record.to_json() for made in run(bundle, asked_for, wanted, self.studio.images)]
        return {"adapters": len(records), "records": records}

    def unseen(self, image: object) -> Json:
        """What there is to know of a background that nobody trained on; no accuracy is claimed.

        Raises:
            UserError: if it is not a usable picture.
        """
        upload = self.studio.upload(decoded(image, "image", MAX_BYTES, "a JPEG, PNG or WebP picture"))
        gauge, bundle = self.strangers.gauge, self.studio.bundle
        reading = gauge.read(upload.embedding)
        return {
            "nearest": [{"location": name, "cosine": round(value, 5)} for name, value in reading.nearest],
            "distance": round(reading.distance, 5),
            "verdict": reading.verdict,
            "said": standing(reading, gauge, "pictures"),
            "notes": list(upload.notes),
            "findings": findings(bundle, bundle.regime),
        }

    def setting(self, **values: object) -> Setting:
        """What was asked for, checked as on the page, and against the bundle.

        Raises:
            UserError: for any value of another kind or out of range.
        """
        setting = chosen(**values)
        self.studio.pictures.check(setting.own, "")
        self.studio.check(setting)
        return setting

    def _looked_at(self, location: object, images: object) -> tuple[str, int]:
        name = text(location, "location")
        self.studio.bundle.embedding(name)
        return name, within(images, "images", 1, IMAGES[-1])

    def _named(self, row: Tensor, location: str, images: int) -> Json:
        own, plain = self._right(torch.stack([row, torch.zeros_like(row)]), location, images)
        return {"location": location} | share(own, images) | {"pretrained": share(plain, images)}

    @torch.inference_mode()
    def _right(self, rows: Tensor, location: str, images: int) -> list[int]:
        """How many photographs of a location each raw row `[J, D]` names correctly."""
        shown = self.studio.images(location, images)
        device = self.studio.bundle.device
        with self.studio.wearing(rows) as networks:
            standard = networks[0].standard
            batches = prepared_batches(shown.pixels[:images], best_batch(device), device, standard)
            return [int(count) for count in correct_of(networks, batches, shown.labels[:images]).sum(dim=1)]

    def _card(self, setting: Setting) -> dict[str, str]:
        blend = f"{1 - setting.weight:.2f} of {setting.a}, {setting.weight:.2f} of {setting.b}"
        card = {"condition": blend, "steps": str(setting.steps), "regime": setting.regime, "way": setting.way}
        return card | {"generator": self.studio.generator(setting).fingerprint, "world": self.studio.bundle.world.about}


def decoded(value: object, name: str, most: int, what: str) -> bytes:
    """The bytes that a base64 text or data address means.

    Raises:
        UserError: if it is none, or too long.
    """
    if not isinstance(value, str) or not value:
        raise UserError(f"'{name}' must be the base64 text of {what}.")
    if len(value) > most * 7 // 5 + 200:  # four letters for three bytes, and line breaks
        raise UserError(f"'{name}' is larger than {most // 1_000_000} MB; send {what} that is smaller.")
    try:
        return from_base64(value)
    except ValueError:
        raise UserError(f"'{name}' is not base64; send the base64 text of {what}.") from None
