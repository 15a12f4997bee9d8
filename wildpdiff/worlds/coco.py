"""Real photographs: any data set in COCO Camera Traps format (Snapshot Serengeti and the other sets of LILA)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import UserError, readable
from ..files import is_folder
from ..picture import read_frame
from ..survey.folder import Folder
from ..survey.open import open_coco
from .base import EMPTY, Images, Split, location_of
from .coco_metadata import (
    Photo,
    chosen_locations,
    classes_of,
    drawn_photos,
    index_photos,
)
from .hashed import fraction

BACKGROUNDS = 16
BACKGROUND_CANDIDATES = 64


class CocoWorld:
    """Photographs that lie in a folder, described by one COCO Camera Traps file.

    Attributes:
        spec: what `open_world` opens it again from.
        species: the listed names in their order, then `empty`.
        locations: camera sites with at least one usable image.
        left_out: images of these sites that the metadata rules out: two classes at once, no listed class, a human,
            no annotation, no location, marked as corrupt, or a file that is listed twice.
        notes: sentences on images that are left out, on locations whose split may not keep bursts together, and on
            files that could not be read, or not to their end, among those that were met so far.

    Many sets, Snapshot Serengeti among them, label whole bursts: a frame may carry a species that has left the picture.
    """

    kind = "coco"
    portable = False
    caution = (
        "A whole burst often carries one label, so a frame may be labelled with a species that has left the picture."
    )

    def __init__(
        self,
        folder: Path,
        species: Sequence[str],
        photos: Mapping[str, Sequence[Photo]],
        spec: Mapping[str, Any],
        *,
        size: int,
        left_out: int,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.species = tuple(species)
        self.locations = tuple(photos)
        self.size = size
        self.spec = spec
        self.left_out = left_out
        self._notes = notes
        self._folder = Folder(folder)
        self._photos = photos
        self._unreadable: set[str] = set()
        self._short: set[str] = set()

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

        Memory: about half a kilobyte an image of the kept locations, measured with records as long as Snapshot
        Serengeti's, whose 7 million images thus need about 3.7 GB, and 1.1 GB with two locations, in under a minute.

        Args:
            metadata: a `.json` file, or a `.zip` with one in it.
            images: the folder that each `file_name` of the metadata is relative to.
            species: category names, in any case. A picture of a listed and an unlisted one keeps the listed.
            locations: camera sites to keep; all by default.
            size: H and W of the pixels. The whole frame is squeezed into the square, so that no animal is cropped away.
            eval_share: share of the sequences kept for evaluation. A sequence's side depends on its `seq_id` and the
                seed alone, so it is the same for any choice of species, locations or `max_images`. Where there are no
                sequences, or one for all, gaps in time make them (see `survey.bursts.bursts_of`), or `notes` says so.
            max_images: at most this many images of a location, both splits together, drawn by a hash of the file name.
            seed: for the split and for the draw of `max_images`.

        Raises:
            UserError: if the metadata is missing, damaged or another format; if a species or location is not in it; if
                the folder is missing; if an option is out of range; if no image shows a listed species.
        """
        _check_options(size, eval_share, max_images)
        if not is_folder(images):
            raise UserError(
                f"The images' folder '{images.name}' is missing; name the folder that file names start from."
            )
        classes = classes_of(species)
        index = index_photos(open_coco(metadata, images), classes, locations, eval_share, seed)
        found = index.found
        photos = {name: drawn_photos(found[name], max_images, seed) for name in chosen_locations(found, locations)}
        if not any(photo.label < len(classes) - 1 for listed in photos.values() for photo in listed):
            raise UserError(f"'{metadata.name}' has no usable image of {', '.join(classes[:-1])}; list other species.")
        spec = {"metadata": str(metadata), "images": str(images), "species": list(species), "size": size, "seed": seed}
        spec |= {"eval_share": eval_share, "max_images": max_images, "locations": locations and list(locations)}
        ruled_out = index.left_out - (index.nowhere if locations is None else 0)
        notes = (*index.notes, *_notes_of_ruled_out(ruled_out))
        return cls(images, classes, photos, spec, size=size, left_out=index.left_out, notes=notes)

    @property
    def about(self) -> str:
        """What the photographs are."""
        source = Path(self.spec["metadata"]).name.partition(".")[0]
        return f"All photographs here are real ones of camera traps ({source}), with {len(self.species) - 1} species."

    def to_json(self) -> dict[str, Any]:
        """The spec that it is opened again from."""
        return {"kind": self.kind, **self.spec}

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of how the set was read."""
        found = list(self._notes)
        if self._unreadable:
            one = readable(min(self._unreadable))
            found.append(f"Files that cannot be read are left out, {len(self._unreadable):,} so far; '{one}' is one.")
        if self._short:
            found.append(f"The end of {len(self._short):,} files is missing; what is there was read.")
        return tuple(found)

    @property
    def skipped(self) -> int:
        """Files met so far that were missing, damaged or too large."""
        return len(self._unreadable)

    @property
    def short(self) -> int:
        """Files met so far whose end is missing, and of which the rest was read."""
        return len(self._short)

    def labels(self, location: str, split: Split, first: int | None = None) -> Tensor:
        """Labels `[M]` by the metadata, those of files that cannot be read included; no file is opened."""
        return torch.tensor([photo.label for photo in self._listed(location, split)[:first]], dtype=torch.int64)

    def images(self, location: str, split: Split, first: int | None = None) -> Images:
        """Decode the (first) photographs of one location: uint8 `[M, 3, size, size]`, in order of their file names.

        Raises:
            UserError: if the location is not known, has no image in this split, or none of the files can be read.
        """
        listed = self._listed(location, split)
        if not listed:
            raise UserError(
                f"Location '{location}' has no {split} image; choose one with more sequences or another eval_share."
            )
        return self._decoded(location, listed, len(listed) if first is None else first)

    def backgrounds(self, location: str) -> Tensor:
        """Daylight pictures of the empty place, uint8 `[G, 3, size, size]`, brightest first, G at most `BACKGROUNDS`.

        Daylight is guessed from the mean over all pixels: of `BACKGROUND_CANDIDATES` empty training images, drawn by
        a hash of their names, the brightest are kept. Night pictures remain where there is nothing else.

        Raises:
            UserError: if the location is not known, has no empty training image, or none of the files can be read.
        """
        return torch.stack([image for _, image in self._brightest(location)[:BACKGROUNDS]])

    def show(self, location: str, height: int) -> Tensor:
        """The brightest background in its own shape, uint8 `[3, height, W]`.

        Raises:
            UserError: as `backgrounds`.
        """
        return read_frame(self._folder.find(self._brightest(location)[0][0].file), height).pixels

    def _brightest(self, location: str) -> list[tuple[Photo, Tensor]]:
        """Candidates for backgrounds, the brightest first."""
        empty = [photo for photo in self._listed(location, "train") if photo.label == self.species.index(EMPTY)]
        if not empty:
            raise UserError(f"Location '{location}' has no empty training image; choose a location that has one.")
        drawn = sorted(empty, key=lambda photo: fraction("background", photo.file))
        found = list(islice(self._readable(drawn), BACKGROUND_CANDIDATES))
        if not found:
            raise self._nothing(location, drawn[0].file)
        return sorted(found, key=lambda pair: -float(pair[1].float().mean()))

    def _listed(self, location: str, split: Split) -> list[Photo]:
        return [photo for photo in self._photos[location_of(location, self.locations)] if photo.split == split]

    def _decoded(self, location: str, listed: Sequence[Photo], limit: int) -> Images:
        pixels = torch.empty(min(limit, len(listed)), 3, self.size, self.size, dtype=torch.uint8)
        labels: list[int] = []
        for photo, image in islice(self._readable(listed), limit):
            pixels[len(labels)] = image
            labels.append(photo.label)
        if not labels and limit:
            raise self._nothing(location, listed[0].file)
        return Images(pixels[: len(labels)], torch.tensor(labels, dtype=torch.int64))

    def _nothing(self, location: str, wanted: str) -> UserError:
        return UserError(f"No photograph of location '{location}' can be read {self._folder.missing(wanted)}.")

    def _readable(self, listed: Iterable[Photo]) -> Iterator[tuple[Photo, Tensor]]:
        for photo in listed:
            try:
                seen = read_frame(self._folder.find(photo.file), self.size, self.size)
            except UserError:
                self._unreadable.add(photo.file)
                continue
            if seen.note:
                self._short.add(photo.file)
            yield photo, seen.pixels


def _notes_of_ruled_out(count: int) -> tuple[str, ...]:
    why = "by the metadata they show two classes, none of the listed ones or a person, or are corrupt or listed twice"
    return (f"{count:,} images are left out: {why}.",) if count else ()


def open_world(spec: Mapping[str, Any], folder: Path) -> CocoWorld:
    """A set from what `CocoWorld.open` wants to know, by the same names; paths may start from `folder`.

    Raises:
        UserError: as `CocoWorld.open`, or if the spec lacks something or names something unknown.
    """
    options = {key: value for key, value in spec.items() if key != "kind"}
    try:
        metadata, images = folder / options.pop("metadata"), folder / options.pop("images")
        return CocoWorld.open(metadata, images, **options)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"The world's spec does not fit a set of COCO Camera Traps ({error}).") from None


def _check_options(size: int, eval_share: float, max_images: int | None) -> None:
    if size < 1:
        raise UserError(f"size must be at least 1 pixel, not {size}.")
    if not 0 < eval_share < 1:
        raise UserError(f"eval_share must lie between 0 and 1, not {eval_share}.")
    if max_images is not None and max_images < 1:
        raise UserError(f"max_images must be at least 1, or None for all, not {max_images}.")
