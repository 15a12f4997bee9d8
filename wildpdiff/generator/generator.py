"""The generator: what a place looks like -> adapters. Everything that was trained, as one module and one folder."""

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..hub import Repo, folder_of
from ..network.adapter import AdapterLayout
from . import kept
from .codec import LinearCodec, LinearCodecConfig
from .config import CONFIG, AnyDenoiserConfig, ConditionConfig, GeneratorConfig, tagged, untagged
from .denoiser import Denoiser
from .diffusion import KarrasSchedule, NoiseSchedule, Schedule
from .residual import ResidualConfig, ResidualDenoiser
from .vae import VAECodec
from .walk import Blend, check_guidance, walked


def _denoiser(config: AnyDenoiserConfig) -> ResidualDenoiser | Denoiser:
    return ResidualDenoiser(config) if isinstance(config, ResidualConfig) else Denoiser(config)


class AdapterGenerator(nn.Module):
    """Writes adapters for a place: codec, denoiser and schedule, and the names of what they belong to."""

    def __init__(self, config: GeneratorConfig, notes: Mapping[str, str] | None = None) -> None:
        """A generator with random weights; see `untrained`, `train.train_generator` and `from_pretrained`.

        Args:
            config: shapes and names.
            notes: free text to keep with it, for example how it was trained.
        """
        super().__init__()
        self.config = config
        self.notes = dict(notes or {})
        codec = config.codec
        self.codec = LinearCodec(codec) if isinstance(codec, LinearCodecConfig) else VAECodec(codec)
        self.denoiser = _denoiser(config.denoiser)

    @classmethod
    def untrained(
        cls, config: GeneratorConfig, *, seed: int = 0, notes: Mapping[str, str] | None = None
    ) -> "AdapterGenerator":
        """A generator to train, whose starting weights depend on the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config, notes)

    @property
    def layout(self) -> AdapterLayout:
        """Names and shapes of the adapters that it writes."""
        return self.config.layout

    @property
    def schedule(self) -> Schedule:
        """The diffusion's noise levels."""
        return KarrasSchedule() if isinstance(self.denoiser, ResidualDenoiser) else NoiseSchedule()

    @property
    def numbers(self) -> int:
        """All numbers that it stores."""
        return sum(tensor.numel() for tensor in self.state_dict().values())

    @property
    def condition(self) -> ConditionConfig | None:
        """Whose embeddings it understands; None if it takes none."""
        return self.config.condition

    @property
    def backbone_fingerprint(self) -> str:
        """The shared network that its adapters belong to."""
        return self.config.backbone_fingerprint

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.denoiser.parameters()).device

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that depend on every weight."""
        return kept.digest(self.state_dict())

    @property
    def codec_fingerprint(self) -> str:
        """Twelve hexadecimal digits that depend on every weight but the denoiser's."""
        return kept.digest(
            {name: value for name, value in self.state_dict().items() if not name.startswith("denoiser.")}
        )

    def check(
        self,
        *,
        condition_name: str | None = None,
        layout: AdapterLayout | None = None,
        backbone_fingerprint: str | None = None,
    ) -> None:
        """Refuse company that the generator was not trained with; what is None is not checked.

        Raises:
            UserError: if the condition, the layout or the backbone is another one.
        """
        trained = self.condition.name if self.condition else "no"
        if condition_name not in (None, trained):
            raise UserError(f"This generator was trained on '{trained}' conditions, not '{condition_name}'.")
        if layout is not None and layout.fingerprint != self.layout.fingerprint:
            raise UserError(
                f"This generator writes adapters of layout {self.layout.fingerprint} ({self.layout.dim:,} numbers), "
                f"but the network takes layout {layout.fingerprint} ({layout.dim:,} numbers)."
            )
        if backbone_fingerprint not in (None, self.backbone_fingerprint):
            raise UserError(
                f"This generator writes adapters for network {self.backbone_fingerprint}, not {backbone_fingerprint}."
            )

    @torch.no_grad()
    def encode(self, rows: Tensor) -> Tensor:
        """Raw rows `[N, D]` -> latents `[N, C, L]` of about unit scale.

        Raises:
            UserError: if the rows have another D.
        """
        self.layout.check(rows)
        return self.codec.encode(rows.to(self.device))

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[N, C, L]` -> raw rows `[N, D]`."""
        return self.codec.decode(latents)

    def reconstruct(self, rows: Tensor) -> Tensor:
        """Raw rows `[N, D]` through the codec alone, there and back: what is lost here is not the diffusion's fault."""
        return self.decode(self.encode(rows))

    def path(self, condition: Tensor | None = None, **options: Any) -> Iterator[Tensor]:
        """Denoise from pure noise, one estimate after the other; arguments and errors as for `walk`.

        Yields:
            Estimates of the clean latents, `[N, C, L]`, S of them; `decode` makes adapters of them.
        """
        walked = self.walk(condition, **options)
        return (estimate for _, estimate in walked)

    def walk(
        self,
        condition: Tensor | None = None,
        *,
        count: int = 1,
        other: Tensor | None = None,
        weight: float | Tensor = 0.0,
        steps: int = 50,
        guidance: float = 1.0,
        seed: int = 0,
        eta: float = 0.0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Denoise from pure noise: the noisy latents and the estimate that is made from them, before each of S steps.

        A blend of two conditions is told as what it is, not as one embedding: the mean follows the blended embedding
        along its curve, and what is left is the same mixture of both conditions' residuals, from one noise. So the
        adapter walks from one end to the other; asked for the residual of a blended embedding, a denoiser would leap
        from one of its modes to the next. The paper's plain form sees the blended embedding alone.

        Args:
            condition: one embedding for each adapter, `[N, E]`; None for a generator that takes no condition.
            count: N where there is no condition, as no blend and no guidance.
            other: a second one for each, to blend with, `[N, E]`; None blends nothing.
            weight: how far to go towards `other`, 0..1, for all or for each `[N]`.
            steps: S, sampling steps.
            guidance: how far to follow the condition: 0 ignores it, 1 follows it as trained, more exaggerates it.
            seed: row i of the batch starts from the noise of seed + i, so it is the adapter that
                `condition[i:i+1]` with `seed + i` gives, on every device.
            eta: fresh noise in every step: 0 none (DDIM), 1 as much as DDPM.

        Yields:
            (noisy, estimate), each `[N, C, L]`.

        Raises:
            UserError: at once, if a condition is missing, has another shape or is not finite, or `count`, `weight`,
                `steps`, `guidance` or `eta` is out of range.
        """
        blend = Blend.of(self.condition, condition, condition if other is None else other, weight, self.device)
        check_guidance(guidance)
        count = count if blend is None else len(blend.first)
        if count < 1:
            raise UserError(f"The number of adapters must be at least 1, not {count}.")
        if not 0 <= seed < 2**62:
            raise UserError(f"The seed must be a whole number from 0 to 2^62, not {seed}.")
        if not 0 <= eta <= 1:
            raise UserError(f"The share of fresh noise (eta) must lie in 0..1, not {eta:g}.")
        self.schedule.times(steps)
        rngs = [torch.Generator().manual_seed(seed + i) for i in range(count)]
        noise = torch.stack([torch.randn(self.config.latent_shape, generator=rng) for rng in rngs]).to(self.device)
        return walked(self.denoiser, self.schedule, blend, noise, steps, guidance=guidance, eta=eta, rngs=rngs)

    def generate(self, condition: Tensor | None = None, **options: Any) -> Tensor:
        """Raw rows `[N, D]` for embeddings `[N, E]`, or `count` of them; arguments and errors as for `walk`."""
        *_, latents = self.path(condition, **options)
        return self.decode(latents)

    def half_precision_(self) -> "AdapterGenerator":
        """Round every weight to what float16 can hold, so that saving as float16 loses nothing; returns itself."""
        with torch.no_grad():
            for tensor in self.state_dict().values():
                tensor.copy_(kept.stored(tensor, torch.float16))
        return self

    def save_pretrained(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write `config.json` and `model.safetensors` into a folder.

        Args:
            folder: made if it is missing.
            dtype: of the stored weights; call `half_precision_` before storing float16, or rows change a little.
        """
        kept.write(Path(folder), self.config, self.notes, self.state_dict(), dtype)

    def with_fresh_denoiser(self, config: AnyDenoiserConfig | None = None, *, seed: int = 0) -> "AdapterGenerator":
        """A generator with this one's codec and an untrained denoiser (None: of the same shape) whose weights depend on
        the seed alone."""
        other = copy.deepcopy(self)
        other.config = dataclasses.replace(self.config, denoiser=config or self.config.denoiser)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            other.denoiser = _denoiser(other.config.denoiser).to(self.device)
        return other

    def save_denoiser(self, path: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the denoiser alone, for `with_denoiser` of a generator with the same codec."""
        weights = {name: kept.stored(tensor, dtype) for name, tensor in self.denoiser.state_dict().items()}
        about = {"codec": self.codec_fingerprint, "denoiser": json.dumps(tagged(self.config.denoiser))}
        save_tensors(path, weights, about)

    def with_denoiser(self, path: Path) -> "AdapterGenerator":
        """This generator with the denoiser that `save_denoiser` wrote.

        Raises:
            UserError: if the file is missing or damaged, or was trained over another codec.
        """
        tensors, metadata = load_tensors(path)
        if metadata.get("codec") != self.codec_fingerprint:
            raise UserError(f"'{Path(path).name}' belongs to another codec; fetch or make the generator anew.")
        try:
            other = self.with_fresh_denoiser(untagged(json.loads(metadata["denoiser"])))
            other.denoiser.load_state_dict(tensors)
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"'{Path(path).name}' does not fit '{CONFIG}'; fetch or make it anew.") from error
        return other.eval()

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = False,
        revision: str | None = None,
        token: str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> str:
        """Send what `save_pretrained` writes, and a card, to a repository of the Hugging Face hub.

        Args:
            repo_id: `owner/name`; made if it is missing.
            private: make the repository one that others do not see.
            revision: a branch, made if it is missing; None is `main`.
            token: of the hub; None is the one of `HF_TOKEN` or `hf auth login`.
            dtype: as of `save_pretrained`.

        Returns:
            The commit's address.

        Raises:
            UserError: if the hub cannot be reached, or lets nobody write there.
        """
        whole = (Repo.of(repo_id, revision), self.config, self.notes, self.state_dict(), dtype)
        return kept.send(*whole, private=private, token=token)

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        device: torch.device | str = "cpu",
        *,
        subfolder: str = "",
        revision: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
    ) -> "AdapterGenerator":
        """Load what `save_pretrained` wrote, ready to generate.

        Args:
            folder: where it is; or, as a text, a repository of the Hugging Face hub (see `hub.folder_of`).
            device: where it computes.
            subfolder: of the folder or repository, such as `generator-H` of a bundle's.
            revision: a branch, a tag or a commit of a repository.
            token: of the hub; None is the one of `HF_TOKEN` or `hf auth login`.
            local_files_only: take what the hub's cache has, and ask nobody.

        Raises:
            UserError: if a file is missing, damaged, or of another version, or cannot be fetched.
        """
        wanted = [f"{subfolder}/{name}" if subfolder else name for name in (CONFIG, kept.WEIGHTS)]
        access: dict[str, Any] = {"revision": revision, "token": token, "local_files_only": local_files_only}
        config, notes, tensors = kept.read(folder_of(folder, wanted, **access) / subfolder)
        generator = cls(config, notes)
        try:
            generator.load_state_dict(tensors)
        except RuntimeError as error:
            raise UserError(f"'{kept.WEIGHTS}' does not fit '{CONFIG}'; fetch or make the generator anew.") from error
        return generator.to(device).eval()
