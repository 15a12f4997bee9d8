"""The trained whole: generating, saving, loading, refusing."""

import json
from pathlib import Path

import pytest
import torch

from wildpdiff.adapter import AdapterLayout
from wildpdiff.denoiser import DenoiserConfig
from wildpdiff.diffusion import NoiseSchedule
from wildpdiff.errors import UserError
from wildpdiff.generator import AdapterGenerator, GeneratorConfig
from wildpdiff.vae import VAEConfig

LAYOUT = AdapterLayout(("a", "b"), ((5, 6), (20,)))


def small_generator(seed: int = 0) -> AdapterGenerator:
    """A generator whose weights are random, all of them at work."""
    vae = VAEConfig(50, chunks=8, channels=4, width=8, depth=1)
    denoiser = DenoiserConfig(6, channels=4, length=8, widths=(8, 16), embedding=12)
    config = GeneratorConfig(LAYOUT, vae, denoiser, NoiseSchedule(), "clip", "b0")
    generator = AdapterGenerator.untrained(config, seed=seed, notes={"trained": "never"})
    rng = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for tensor in generator.state_dict().values():
            tensor.copy_(0.2 * torch.randn(tensor.shape, generator=rng) + (0.7 if tensor.ndim == 0 else 0.0))
        generator.standardizer.scale.abs_().add_(0.1)
        generator.denoiser.condition_scale.abs_().add_(0.1)
    return generator.eval()


@pytest.fixture
def condition() -> torch.Tensor:
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(7))


def test_generated_rows_are_finite_and_the_same_each_time(condition: torch.Tensor) -> None:
    generator = small_generator()
    rows = generator.generate(condition, steps=5)
    assert rows.shape == (3, 50) and rows.isfinite().all()
    assert torch.equal(rows, generator.generate(condition, steps=5))
    assert not torch.allclose(rows, generator.generate(condition, steps=5, seed=1))


def test_a_generated_row_can_be_trained_further(condition: torch.Tensor) -> None:
    row = small_generator().generate(condition, steps=2).requires_grad_()
    row.square().sum().backward()
    assert row.grad is not None and torch.allclose(row.grad, 2 * row)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_row_i_of_a_batch_is_the_row_of_seed_plus_i_alone(condition: torch.Tensor, guidance: float) -> None:
    generator = small_generator()
    together = generator.generate(condition, steps=7, seed=40, guidance=guidance)
    alone = [generator.generate(condition[i : i + 1], steps=7, seed=40 + i, guidance=guidance) for i in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_the_path_has_s_estimates_and_ends_at_what_generate_gives(condition: torch.Tensor) -> None:
    generator = small_generator()
    path = list(generator.path(condition, steps=6, seed=3))
    assert len(path) == 6 and {latents.shape for latents in path} == {torch.Size((3, 4, 8))}
    assert torch.equal(generator.decode(path[-1]), generator.generate(condition, steps=6, seed=3))


def test_guidance_zero_ignores_the_condition_and_two_exaggerates_it(condition: torch.Tensor) -> None:
    generator = small_generator()
    rows = [generator.generate(condition, steps=1, guidance=g) for g in (0.0, 1.0, 2.0)]
    assert torch.allclose(rows[0], generator.generate(-condition, steps=1, guidance=0.0))
    latents = [generator.encode(row) for row in rows]
    assert not torch.allclose(latents[0], latents[1], atol=1e-3)
    estimates = [next(generator.path(condition, steps=1, guidance=g)) for g in (0.0, 1.0, 2.0)]
    assert torch.allclose(estimates[2] - estimates[1], estimates[1] - estimates[0], atol=1e-4)


def test_guidance_one_asks_the_network_once_a_step(condition: torch.Tensor) -> None:
    generator = small_generator()
    sizes: list[int] = []
    generator.denoiser.register_forward_hook(lambda module, args, out: sizes.append(len(args[0])))
    generator.generate(condition, steps=4)
    assert sizes == [3, 3, 3, 3]


def test_encoding_and_decoding_work_on_raw_rows() -> None:
    generator = small_generator()
    rows = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    latents = generator.encode(rows)
    assert latents.shape == (4, 4, 8)
    assert torch.equal(generator.reconstruct(rows), generator.decode(latents))
    with pytest.raises(UserError, match=r"49 .* 50"):
        generator.encode(rows[:, 1:])


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_generator_generates_bit_identical_rows(tmp_path: Path, condition: torch.Tensor, half: bool) -> None:
    generator = small_generator()
    if half:
        generator.half_precision_()
    generator.save_pretrained(tmp_path / "g", dtype=torch.float16 if half else torch.float32)
    loaded = AdapterGenerator.from_pretrained(tmp_path / "g")
    assert torch.equal(loaded.generate(condition, steps=5), generator.generate(condition, steps=5))
    assert loaded.config == generator.config and loaded.notes == {"trained": "never"}
    assert loaded.fingerprint == generator.fingerprint


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    generator = small_generator()
    generator.save_pretrained(tmp_path / "full")
    generator.save_pretrained(tmp_path / "half", dtype=torch.float16)
    sizes = [sum(tensor.numel() for tensor in generator.state_dict().values()) * width for width in (4, 2)]
    full, half = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half"))
    assert full - half == pytest.approx(sizes[0] - sizes[1], abs=100)


def test_the_fingerprint_notices_one_changed_number() -> None:
    generator = small_generator()
    before = generator.fingerprint
    with torch.no_grad():
        generator.vae.local[0, 0, 0] += 1e-3
    assert generator.fingerprint != before


def test_starting_weights_depend_on_the_seed_alone() -> None:
    config = small_generator().config
    torch.manual_seed(1)
    first, state = AdapterGenerator.untrained(config, seed=5), torch.random.get_rng_state()
    torch.manual_seed(2)
    assert first.fingerprint == AdapterGenerator.untrained(config, seed=5).fingerprint
    assert first.fingerprint != AdapterGenerator.untrained(config, seed=6).fingerprint
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, name: str) -> None:
    small_generator().save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=f"'{name}' is missing"):
        AdapterGenerator.from_pretrained(tmp_path)


def test_a_changed_weights_file_is_called_damaged(tmp_path: Path) -> None:
    small_generator().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        AdapterGenerator.from_pretrained(tmp_path)
    path.write_bytes(data[:-100])
    with pytest.raises(UserError, match="damaged"):
        AdapterGenerator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"format": 99}, {"layout": {}}, {"vae": {"dim": "x"}}, {"denoiser": None}, {"schedule": {"speed": 3}}],
)
def test_a_changed_configuration_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    small_generator().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError):
        AdapterGenerator.from_pretrained(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    small_generator().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    about = json.loads(path.read_text())
    about["vae"]["width"] = 16
    path.write_text(json.dumps(about))
    with pytest.raises(UserError, match="does not fit"):
        AdapterGenerator.from_pretrained(tmp_path)


def test_another_condition_layout_or_backbone_is_refused() -> None:
    generator = small_generator()
    generator.check(condition_name="clip", layout=LAYOUT, backbone_fingerprint="b0")
    generator.check()
    with pytest.raises(UserError, match=r"'clip'.*'colour'"):
        generator.check(condition_name="colour")
    with pytest.raises(UserError, match=r"50 numbers.*50 numbers"):
        generator.check(layout=AdapterLayout(("a", "b"), ((6, 5), (20,))))
    with pytest.raises(UserError, match="b0, not b7"):
        generator.check(backbone_fingerprint="b7")


def test_bad_arguments_are_refused_before_the_first_step(condition: torch.Tensor) -> None:
    generator = small_generator()
    with pytest.raises(UserError, match=r"\[N, 6\]"):
        generator.path(condition[:, 1:])
    with pytest.raises(UserError, match=r"\[N, 6\]"):
        generator.path(condition[0])
    with pytest.raises(UserError, match="finite"):
        generator.path(condition * torch.nan)
    with pytest.raises(UserError, match="1 to 1000"):
        generator.path(condition, steps=0)
    with pytest.raises(UserError, match="guidance"):
        generator.path(condition, guidance=float("inf"))


def test_the_default_generator_fits_ten_megabytes_as_float16() -> None:
    layout = AdapterLayout(("a",), ((65_580,),))
    config = GeneratorConfig.of(layout, condition_name="clip", condition_dim=512, backbone_fingerprint="b0")
    numbers = sum(tensor.numel() for tensor in AdapterGenerator(config).state_dict().values())
    assert 2 * numbers < 9.9e6


def test_parts_that_do_not_fit_each_other_are_refused() -> None:
    config = small_generator().config
    with pytest.raises(ValueError, match="fit"):
        GeneratorConfig(LAYOUT, VAEConfig(51), config.denoiser, NoiseSchedule(), "clip", "b0")
