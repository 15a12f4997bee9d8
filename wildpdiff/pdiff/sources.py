"""Where pictures come from: scikit-learn's digits, a folder by class, CIFAR-10 in a file, torchvision's sets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from ..errors import UserError
from ..files import is_folder, load_tensors
from ..picture import upright
from ..worlds.base import Images
from .pictures import Pictures, parted

#: torchvision's sets by name: the class, and the options of its training and of its test part.
SETS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "cifar10": ("CIFAR10", {"train": True}, {"train": False}),
    "cifar100": ("CIFAR100", {"train": True}, {"train": False}),
    "stl10": ("STL10", {"split": "train"}, {"split": "test"}),
    "flowers102": ("Flowers102", {"split": "train"}, {"split": "test"}),
    "pets": ("OxfordIIITPet", {"split": "trainval"}, {"split": "test"}),
    "food101": ("Food101", {"split": "train"}, {"split": "test"}),
}
#: Pixels that a side may have.
SIDES = (8, 1024)
#: Pictures of a part that are kept; of larger parts every so manyth.
MOST = 50_000
_CIFAR = "cifar10.safetensors"
#: Where CIFAR-10's file is looked for, beside the folder that was named.
_NEARBY = (Path("../shared/data/cifar10"), Path(__file__).parents[3] / "shared" / "data" / "cifar10")


def pictures_of(name: str, size: int, *, root: Path | None = None) -> Pictures:
    """A set of pictures, S = `size` pixels wide and high.

    Args:
        name: digits, a name of `SETS`, or a folder: with a folder a class, or `train` and `test` of such.
        size: S.
        root: where torchvision's sets lie or are put, or CIFAR-10's safetensors; None: `~/.cache/wildpdiff`.

    Raises:
        UserError: if there is no such set, it cannot be fetched, or its pictures are too few.
    """
    if not SIDES[0] <= size <= SIDES[1]:
        raise UserError(f"Pictures need {SIDES[0]} to {SIDES[1]} pixels a side, not {size}.")
    if name == "digits":
        return digits(size)
    if name in SETS:
        return (_cifar_file(size, root) if name == "cifar10" else None) or _of_torchvision(name, size, root)
    folder = Path(name)
    if is_folder(folder):
        return _of_folder(folder, size)
    raise UserError(f"There is no set or folder '{name}'; name a folder, or one of: digits, {', '.join(SETS)}.")


def digits(size: int) -> Pictures:
    """scikit-learn's 1,797 handwritten digits of 8 x 8 (always there), as grey pictures."""
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = torch.from_numpy(found.images).float().mul(255 / 16)[:, None]
    pixels = _resized(grey, size).expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(found.target).long()
    return parted("digits", [str(place) for place in range(10)], pixels, labels, flips=False)


def _cifar_file(size: int, root: Path | None) -> Pictures | None:
    for folder in ([root, root / "cifar10"] if root else []) + list(_NEARBY):
        if (folder / _CIFAR).exists():
            tensors, about = load_tensors(folder / _CIFAR)
            classes = about.get("classes", "0,1,2,3,4,5,6,7,8,9").split(",")
            parts = [_resized(tensors[f"{part}_pixels"], size) for part in ("train", "test")]
            test = Images(parts[1], tensors["test_labels"].long())
            return parted("cifar10", classes, parts[0], tensors["train_labels"].long(), test=test)
    return None


def _of_torchvision(name: str, size: int, root: Path | None) -> Pictures:
    from torchvision import datasets

    kind, train, test = SETS[name]
    folder = root or Path.home() / ".cache" / "wildpdiff"
    try:
        parts = [getattr(datasets, kind)(str(folder), download=True, **options) for options in (train, test)]
    except Exception as error:
        raise UserError(
            f"The pictures of '{name}' are not in '{root.name if root else '~/.cache/wildpdiff'}' and could not be "
            f"fetched ({type(error).__name__}); go online once, or name a folder of pictures by class."
        ) from error
    images = [_read(part, size) for part in parts]
    classes = [str(own) for own in getattr(parts[0], "classes", range(int(images[0].labels.max()) + 1))]
    return parted(name, classes, images[0].pixels, images[0].labels, test=images[1])


def _of_folder(folder: Path, size: int) -> Pictures:
    if (folder / "train").is_dir():
        held = next((folder / part for part in ("test", "val", "valid") if (folder / part).is_dir()), None)
        train = _image_folder(folder / "train")
        if held is not None:
            test = _image_folder(held)
            if test.classes != train.classes:
                raise UserError(f"'{held.name}' in '{folder.name}' has other classes than 'train'.")
            images = _read(train, size)
            return parted(folder.name, train.classes, images.pixels, images.labels, test=_read(test, size))
        folder = folder / "train"
    found = _image_folder(folder)
    images = _read(found, size)
    return parted(folder.name, found.classes, images.pixels, images.labels)


def _image_folder(folder: Path) -> Any:
    from torchvision.datasets import ImageFolder

    try:
        return ImageFolder(str(folder), loader=_upright)
    except (OSError, RuntimeError) as error:
        empty = re.search(r"for the classes (.+?)\. ", str(error))
        reason = f"there is no picture in {empty[1]}" if empty else "there is none, or one cannot be read"
        raise UserError(f"'{folder.name}' needs one folder of pictures for each class ({reason}).") from error


def _upright(path: str) -> Image.Image:
    """A picture as every other door reads it: turned as its EXIF says, 16 bits scaled, in sRGB."""
    with Image.open(path) as image:
        return upright(image)


def _read(found: Any, size: int) -> Images:
    """Every picture of a torchvision set, or of a large one every so manyth, resized: the middle square of each."""
    from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

    pixels, labels = [], []
    for place in torch.linspace(0, len(found) - 1, min(len(found), MOST)).round().long().tolist():
        try:
            picture, label = found[place]
            picture = picture.convert("RGB")
        except Exception as error:  # a damaged file makes Pillow raise nearly anything
            samples = getattr(found, "samples", None)
            name = f"'{'/'.join(Path(samples[place][0]).parts[-2:])}'" if samples else f"Picture {place} of the set"
            raise UserError(f"{name} cannot be read (damaged, or no picture); remove it.") from error
        side = min(picture.size)
        pixels.append(pil_to_tensor(resize(center_crop(picture, [side, side]), [size, size], antialias=True)))
        labels.append(int(label))
    return Images(torch.stack(pixels), torch.tensor(labels))


def _resized(pixels: Tensor, size: int) -> Tensor:
    """Pictures `[M, C, H, W]` as uint8 of another size."""
    if pixels.shape[-1] == size:
        return pixels.round().to(torch.uint8) if pixels.is_floating_point() else pixels
    parts = [
        interpolate(part.float(), (size, size), mode="bilinear", antialias=size < part.shape[-1])
        for part in pixels.split(2000)
    ]
    return torch.cat(parts).round().clamp(0, 255).to(torch.uint8)
