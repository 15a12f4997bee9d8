"""A bundle: the folder that the app opens - classifier, condition, generator, a thinned zoo, map and figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .bundled import bundled
from .condition.base import Condition
from .condition.clip import ClipCondition
from .condition.pooled import PooledCondition, described
from .errors import UserError
from .files import is_folder, load_json, load_tensors
from .generator import AdapterGenerator, GeneratorConfig
from .generator.config import CONFIG
from .generator.opened import Opened
from .hub import FETCHED, folder_of, is_address, origin
from .manifest import MANIFEST, check_inside, read_manifest
from .network.adapter import AdapterLayout
from .network.backbone import Backbone, Described
from .parts import fingerprints
from .picture import unpacked
from .universal.universal import FOLDER as UNIVERSAL
from .universal.universal import Universal
from .variant import OURS, PAPER, Variant, names, variants_from_json
from .weightspace import Map
from .worlds import open_world
from .worlds.base import World
from .zoo import CodedZoo

#: How the middle between two locations can be written; which of them a bundle has, its variants say.
WAYS = (OURS, PAPER)
BACKBONE = "backbone.safetensors"
#: Folders of the two kinds of condition; a bundle has one of them.
CLIP, POOLED = "clip", "pooled"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; parts are loaded when first asked for.

    Files: `bundle.json` (manifest with checksums, figures, the recipe and the world's spec),
    `backbone.safetensors`, `clip/` (an open_clip folder, its table of tokens packed, see `condition.packed`) or
    `pooled/` (see `condition.pooled`), `conditions.safetensors` (`mean` `[P, E]` and `views` `[P, G, E]` of
    the named locations), `pictures.safetensors` (by its name one background of each location to look at, as the
    bytes of a WebP file; the metadata has the digest of the pixels that were drawn, see `picture.digest`),
    `photographs.safetensors` (of a world that its spec alone does not open, see `worlds.stored`),
    `joint.safetensors` (`row` `[D]`, trained on all seen locations), `generator-FIRST/` (unconditional, of the
    first seen location), `universal/` (generator U, see `universal.Universal`; there may be none), `results/`
    (stored experiments), `pdiff/NAME/` (p-diff systems, see `pdiff.stored`; there may be none); and of each variant
    that the manifest lists (see `variant.Variant`) the generator's folder, its denoiser if it is another one, the
    zoo (all fine-tuned rows as latents, see `zoo.CodedZoo`), the curves (`anchors` and `hubs` as latents, `[Q, k]`
    each) and the map (see `weightspace.Map`).
    """

    folder: Path
    manifest: dict[str, Any]
    device: torch.device

    @classmethod
    def open(cls, folder: Path | str | None = None, device: torch.device | str = "cpu") -> Bundle:
        """Open a bundle, or the one that comes along, and compare every file with its checksum.

        Args:
            folder: of the bundle; or `hf-hub:owner/name@revision`, which opens one of the Hugging Face hub.
            device: where it computes.

        Raises:
            UserError: if a file is missing or damaged, the bundle is of another version, or it cannot be fetched.
        """
        if folder is not None and is_address(folder):
            return cls.from_pretrained(str(folder), device)
        return cls._at(Path(folder or bundled()), device)

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        device: torch.device | str = "cpu",
        *,
        revision: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> Bundle:
        """Open a bundle of a folder or, by a text, of a repository of the Hugging Face hub (see `hub.folder_of`).

        Args:
            folder: of the bundle, `owner/name` or `hf-hub:owner/name@revision`.
            device: where it computes.
            revision: a branch, a tag or a commit of the repository.
            token: of the hub; None is the one of `HF_TOKEN` or `hf auth login`.
            local_files_only: take what the hub's cache has, and ask nobody.

        Raises:
            UserError: as `open`, or if the bundle names files outside of it.
        """
        access: dict[str, Any] = {"revision": revision, "token": token, "local_files_only": local_files_only}
        return cls._at(folder_of(folder, (MANIFEST, *FETCHED), **access), device)

    @classmethod
    def _at(cls, folder: Path, device: torch.device | str) -> Bundle:
        repo = origin(folder)
        manifest = read_manifest(folder, str(repo) if repo else None)
        if repo:
            check_inside(manifest)
        return cls(folder, manifest, torch.device(device))

    def check_own(self) -> None:
        """Refuse to change a bundle that lies in the hub's cache: what is put there goes with it, and others share it.

        Raises:
            UserError: if it does.
        """
        if repo := origin(self.folder):
            raise UserError(
                f"'{repo}' lies in the hub's cache, where nothing is changed; fetch a copy of your own with "
                f"`hf download {repo.name} --local-dir DIR` and take --bundle DIR."
            )

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """A fingerprint of each part that numbers may depend on (see `parts.fingerprints`)."""
        return fingerprints(self.manifest, self.variants)

    def depends(self, parts: Iterable[str]) -> dict[str, str]:
        """The fingerprints of some parts; `generator`, `zoo`, `curves` and `map` stand for those of all regimes."""
        wanted = set(parts)
        return {part: own for part, own in self.fingerprints.items() if {part, part.partition("-")[0]} & wanted}

    @cached_property
    def variants(self) -> tuple[Variant, ...]:
        """Its generators, with their names and files."""
        return variants_from_json(self.manifest["variants"])

    def variant(self, regime: str, way: str = OURS) -> Variant:
        """The variant of a regime and a way.

        Raises:
            UserError: naming those that the bundle has.
        """
        if regime not in self.regimes:
            raise UserError(f"Regime '{regime[:20]}' is not in this bundle; choose one of: {', '.join(self.regimes)}.")
        own = {variant.way: variant for variant in self.variants if variant.regime == regime}
        if way not in own:
            raise UserError(f"The way to blend must be one of: {', '.join(own)}; not '{way[:20]}'.")
        return own[way]

    @property
    def regimes(self) -> tuple[str, ...]:
        """The regimes of its variants; of similarity: L, M and H (paper, section 4.3)."""
        return names(self.variants)

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways that every regime of it has."""
        return tuple(way for way in WAYS if all(way in self._ways(regime) for regime in self.regimes))

    def _ways(self, regime: str) -> set[str]:
        return {variant.way for variant in self.variants if variant.regime == regime}

    @property
    def regime(self) -> str:
        """The regime to begin with: H, where all locations start from one converged adapter, if there is one."""
        return "H" if "H" in self.regimes else self.regimes[0]

    @property
    def seen(self) -> tuple[str, ...]:
        """Locations that the generator was trained on."""
        return tuple(self.manifest["seen"])

    @property
    def unseen(self) -> tuple[str, ...]:
        """Named locations that nothing was trained on."""
        return tuple(self.manifest["unseen"])

    def figures(self, regime: str) -> dict[str, Any]:
        """Measured accuracies of a regime, as `measure.by_location.evaluate_locations` reports them."""
        return dict(self.manifest["figures"].get(regime, {}))

    @cached_property
    def world(self) -> World:
        """Where images come from."""
        return open_world(self.manifest["world"], self.folder)

    @property
    def backbone(self) -> Backbone:
        """The classifier that all adapters share.

        Raises:
            UserError: if it is damaged, or a generator that was opened before belongs to another one.
        """
        backbone = self._backbone
        self._generators.meet(backbone)
        return backbone

    @cached_property
    def _backbone(self) -> Backbone:
        with torch.inference_mode(False):  # whoever asks first: tensors of inference alone could never be loaded into
            return Backbone.load(self.folder / BACKBONE).to(self.device)

    @cached_property
    def described(self) -> Described:
        """The classifier by what its file says, without loading it."""
        return Described.of(self.folder / BACKBONE)

    @cached_property
    def layout(self) -> AdapterLayout:
        """What a row stands for, as the generator of `regime` has it; the classifier need not be loaded for it."""
        return GeneratorConfig.from_json(load_json(self.folder / self.variant(self.regime).generator / CONFIG)).layout

    @cached_property
    def condition(self) -> Condition:
        """What turns a background into an embedding, checked to be what the generator knows.

        Raises:
            UserError: if its files are missing or damaged, there are two of it, or the generator knows another one.
        """
        condition: Condition
        if self.reads_words:
            condition = ClipCondition.load(f"local-dir:{self.folder / CLIP}", device=self.device)
        else:
            with torch.inference_mode(False):  # as of the classifier, whose weights it may share
                condition = PooledCondition.load(self.folder / POOLED, self.backbone)
        self.generator(self.regime).check(condition_name=condition.name)
        return condition

    @cached_property
    def reads_words(self) -> bool:
        """Whether the condition understands captions, as a CLIP does and pooled features do not.

        Raises:
            UserError: if the bundle has both kinds.
        """
        kinds = {kind for kind in (CLIP, POOLED) if is_folder(self.folder / kind)}
        if len(kinds) > 1:
            raise UserError(f"The bundle '{self.folder.name}' has both '{CLIP}' and '{POOLED}'; make it anew.")
        return kinds != {POOLED}

    @cached_property
    def condition_words(self) -> str:
        """What an embedding of the condition is, in words, without loading it."""
        return "a CLIP embedding" if self.reads_words else described(self.folder / POOLED)

    def generator(self, regime: str, *, way: str = OURS) -> AdapterGenerator:
        """The generator of a regime, checked to fit the classifier as soon as that is loaded.

        Args:
            regime: one of `regimes`.
            way: `ours` samples around a mean that was trained on curves between locations, too; `paper` is the plain
                denoiser that never saw a blend.

        Raises:
            UserError: if the bundle has no such generator, or it is damaged.
        """
        return self._generators.of(self.variant(regime, way))

    @cached_property
    def unconditional(self) -> AdapterGenerator:
        """The generator of one location alone, the first seen one; it looks at no condition."""
        return self._generators.at(f"generator-{self.seen[0]}")

    @cached_property
    def has_universal(self) -> bool:
        """Whether it has a generator U, without loading it."""
        return is_folder(self.folder / UNIVERSAL)

    @cached_property
    def universal(self) -> Universal | None:
        """Generator U, for places that nobody fine-tuned at; None if the bundle has none.

        Raises:
            UserError: if it is damaged, or belongs to another classifier.
        """
        if not self.has_universal:
            return None
        with torch.inference_mode(False):
            return Universal.load(self.folder / UNIVERSAL, self.backbone)

    @cached_property
    def _zoos(self) -> dict[str, CodedZoo]:
        return {}

    @cached_property
    def _generators(self) -> Opened:
        return Opened(self.folder, self.device)

    def zoo(self, regime: str) -> CodedZoo:
        """All fine-tuned rows of every seen location in a regime, as latents of its generator."""
        if regime not in self._zoos:
            path = self.folder / self.variant(regime).zoo
            self._zoos[regime] = CodedZoo.load(path, self.seen, self.generator(regime))
        return self._zoos[regime]

    def curves(self, regime: str) -> tuple[Tensor, Tensor]:
        """Anchors and hubs of the curves between the seen locations, raw rows `[Q, D]` each (see `connect.curve`)."""
        tensors, _ = load_tensors(self.folder / self.variant(regime).curves)
        generator = self.generator(regime)
        anchors, hubs = (generator.decode(tensors[name][:, None]).cpu() for name in ("anchors", "hubs"))
        return anchors, hubs

    def means(self, regime: str) -> Tensor:
        """The mean fine-tuned row of each seen location in a regime, `[Q, D]`."""
        return self.curves(regime)[0]

    def map(self, regime: str) -> Map:
        """The flat map of a regime's zoo."""
        return Map.load(self.folder / self.variant(regime).map)

    @cached_property
    def joint(self) -> Tensor:
        """The one adapter trained on all seen locations together, `[D]`."""
        return load_tensors(self.folder / "joint.safetensors")[0]["row"].float()

    @cached_property
    def conditions(self) -> dict[str, Tensor]:
        """The mean embedding `[E]` of each named location."""
        means, names = load_tensors(self.folder / "conditions.safetensors")[0]["mean"], (*self.seen, *self.unseen)
        if len(means) != len(names) or not bool(means.isfinite().all()):
            raise UserError(
                f"'conditions.safetensors' does not have one finite embedding for each of the {len(names)} locations; "
                "fetch the bundle again or make it anew."
            )
        return dict(zip(names, means, strict=True))

    @cached_property
    def pictures(self) -> dict[str, Tensor]:
        """A background of each named location to look at, uint8 `[3, H, W]`."""
        pictures = load_tensors(self.folder / "pictures.safetensors")[0]
        return {name: unpacked(pictures[name]) for name in (*self.seen, *self.unseen)}

    def embedding(self, location: str) -> Tensor:
        """The mean embedding `[E]` of a named location.

        Raises:
            UserError: if there is none of that name.
        """
        if location not in self.conditions:
            raise UserError(f"Location '{location}' is not known; choose one of: {', '.join(self.conditions)}.")
        return self.conditions[location]


@lru_cache(maxsize=1)
def opened_bundle(folder: Path, device: str = "cpu") -> Bundle:
    """A bundle that a worker keeps for its next job; errors as of `Bundle.open`."""
    return Bundle.open(folder, device)


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a finished, undamaged bundle."""
    try:
        Bundle.open(folder)
    except UserError:
        return False
    return True
