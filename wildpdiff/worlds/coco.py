"""Real photographs: any data set in COCO Camera Traps format (Snapshot Serengeti and the other sets of LILA)."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import UserError
from .base import EMPTY, Images, Split, location_of
from .coco_metadata import (
    Photo,
    chosen_locations,
    classes_of,
    drawn_photos,
    fraction,
    image_labels,
    index_photos,
    read_document,
)

MAX_PIXELS = 64_000_000
BACKGROUNDS = 16
BACKGROUND_CANDIDATES = 64

_FORMATS = ("JPEG", "PNG")
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


class CocoWorld:
    """Photographs that lie in a folder, described by one COCO Camera Traps file.

    Attributes:
        species: the listed names in their order, then `empty`.
        locations: camera sites with at least one usable image.
        left_out: images of these sites that the metadata rules out: two classes at once, no listed class, a human,
            no annotation, marked as corrupt, or a file that is listed twice.

    Many sets, Snapshot Serengeti among them, label whole bursts: a frame may carry a species that has left the picture.
    """

    def __init__(
        self, folder: Path, species: Sequence[str], photos: Mapping[str, Sequence[Photo]], *, size: int, left_out: int
    ) -> None:
        self.species = tuple(species)
        self.locations = tuple(photos)
        self.left_out = left_out
        self._folder = folder
        self._photos = photos
        self._size = size
        self._unreadable: set[str] = set()

    @classmethod
    def open(
        cls,
        metadata: Path,
        images: Path,
        *,
        species: Sequence[str],
        locations: Sequence[str] | None = None,
        size: int = 224,
        eval_share: float = 0.1,
        max_images: int | None = None,
        seed: int = 0,
    ) -> Self:
        """Read the metadata and index it by location; no photograph is opened yet.

        Memory: about 1.5 KB an image while reading and 0.6 KB afterwards, less where `locations` or `max_images` narrow
        it; measured with records as long as Snapshot Serengeti's, whose 7 million images thus need about 11 GB and a
        minute or two. A file of one season needs a tenth.

        Args:
            metadata: a `.json` file, or a `.zip` with one in it.
            images: the folder that each `file_name` of the metadata is relative to.
            species: category names, in any case. A picture of a listed and an unlisted one keeps the listed.
            locations: camera sites to keep; all by default.
            size: H and W of the pixels. The whole frame is squeezed into the square, so that no animal is cropped away.
            eval_share: share of the sequences kept for evaluation. A sequence's side depends on its `seq_id` and the
                seed alone, so it is the same for any choice of species, locations or `max_images`.
            max_images: at most this many images of a location, both splits together, drawn by a hash of the file name.
            seed: for the split and for the draw of `max_images`.

        Raises:
            UserError: if the metadata is missing, damaged or another format; if a species or location is not in it; if
                the folder is missing; if an option is out of range; if no image shows a listed species.
        """
        _check_options(size, eval_share, max_images)
        if not images.is_dir():
            raise UserError(
                f"The images' folder '{images.name}' is missing; name the folder that file names start from."
            )
        classes = classes_of(species)
        document = read_document(metadata)
        labels = image_labels(document, classes, metadata.name)
        found, left_out = index_photos(document, labels, locations, metadata.name, eval_share, seed)
        del document, labels
        photos = {name: drawn_photos(found[name], max_images, seed) for name in chosen_locations(found, locations)}
        if not any(photo.label < len(classes) - 1 for listed in photos.values() for photo in listed):
            raise UserError(f"'{metadata.name}' has no usable image of {', '.join(classes[:-1])}; list other species.")
        return cls(images, classes, photos, size=size, left_out=left_out)

    @property
    def skipped(self) -> int:
        """Files met so far that were missing, damaged or above `MAX_PIXELS`."""
        return len(self._unreadable)

    def tally(self, location: str, split: Split) -> tuple[int, ...]:
        """Images of each of the K classes by the metadata, without opening a file."""
        labels = [photo.label for photo in self._listed(location, split)]
        return tuple(labels.count(label) for label in range(len(self.species)))

    def images(self, location: str, split: Split) -> Images:
        """Decode the photographs of one location: uint8 `[M, 3, size, size]`, in order of their file names.

        Raises:
            UserError: if the location is not known, has no image in this split, or none of the files can be read.
        """
        listed = self._listed(location, split)
        if not listed:
            raise UserError(
                f"Location '{location}' has no {split} image; choose one with more sequences or another eval_share."
            )
        return self._decoded(location, listed, len(listed))

    def backgrounds(self, location: str) -> Tensor:
        """Daylight pictures of the empty place, uint8 `[G, 3, size, size]`, brightest first, G at most `BACKGROUNDS`.

        Daylight is guessed from the mean over all pixels: of `BACKGROUND_CANDIDATES` empty training images, drawn by
        a hash of their names, the brightest are kept. Night pictures remain where there is nothing else.

        Raises:
            UserError: if the location is not known, has no empty training image, or none of the files can be read.
        """
        empty = [photo for photo in self._listed(location, "train") if photo.label == self.species.index(EMPTY)]
        if not empty:
            raise UserError(f"Location '{location}' has no empty training image; choose a location that has one.")
        drawn = sorted(empty, key=lambda photo: fraction("background", photo.file))
        pixels = self._decoded(location, drawn, BACKGROUND_CANDIDATES).pixels
        brightness = pixels.flatten(1).float().mean(1)
        return pixels[brightness.argsort(descending=True, stable=True)[:BACKGROUNDS]]

    def _listed(self, location: str, split: Split) -> list[Photo]:
        return [photo for photo in self._photos[location_of(location, self.locations)] if photo.split == split]

    def _decoded(self, location: str, listed: Sequence[Photo], limit: int) -> Images:
        pixels = torch.empty(min(limit, len(listed)), 3, self._size, self._size, dtype=torch.uint8)
        labels: list[int] = []
        for photo, image in islice(self._readable(listed), limit):
            pixels[len(labels)] = image
            labels.append(photo.label)
        if not labels:
            raise UserError(
                f"No photograph of location '{location}' can be read in folder '{self._folder.name}'; "
                "fetch its files or name the folder that file names start from."
            )
        return Images(pixels[: len(labels)], torch.tensor(labels, dtype=torch.int64))

    def _readable(self, listed: Iterable[Photo]) -> Iterator[tuple[Photo, Tensor]]:
        for photo in listed:
            try:
                image = _decode(self._folder, photo.file, self._size)
            except _UNREADABLE:
                self._unreadable.add(photo.file)
            else:
                yield photo, image


def _decode(folder: Path, file: str, size: int) -> Tensor:
    """Pixels uint8 `[3, size, size]` of one file; shrunk while decoding (three times faster at 3 megapixels)."""
    inside = PurePosixPath(file)
    if inside.is_absolute() or ".." in inside.parts:
        raise ValueError("the file lies outside the images' folder")
    with Image.open(folder / inside, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("the image has too many pixels")
        image.draft("RGB", (2 * size, 2 * size))
        small = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)


def _check_options(size: int, eval_share: float, max_images: int | None) -> None:
    if size < 1:
        raise UserError(f"size must be at least 1 pixel, not {size}.")
    if not 0 < eval_share < 1:
        raise UserError(f"eval_share must lie between 0 and 1, not {eval_share}.")
    if max_images is not None and max_images < 1:
        raise UserError(f"max_images must be at least 1, or None for all, not {max_images}.")
