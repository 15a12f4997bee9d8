"""The trained whole: generating, saving, loading, refusing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wildpdiff.errors import UserError
from wildpdiff.files import load_tensors
from wildpdiff.generator.codec import LinearCodec, LinearCodecConfig
from wildpdiff.generator.denoiser import DenoiserConfig
from wildpdiff.generator.generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from wildpdiff.generator.kept import SMALL
from wildpdiff.generator.residual import ResidualConfig, ResidualDenoiser
from wildpdiff.generator.vae import VAEConfig
from wildpdiff.network.adapter import AdapterLayout

LAYOUT = AdapterLayout(("a", "b"), ((5, 6), (20,)))
#: Large enough that tensors as long as a row are stored in half precision.
WIDE = AdapterLayout(("a", "b"), ((100, 150), (5000,)))


def small_config(layout: AdapterLayout = LAYOUT, *, plain: bool = False, alone: bool = False) -> GeneratorConfig:
    """Ours, or the paper's plain form; `alone`: without a condition."""
    condition = None if alone else ConditionConfig("clip", 6)
    told = condition.dim if condition else 0
    if plain:
        vae = VAEConfig(layout.dim, chunks=8, channels=4, width=8, depth=1)
        unet = DenoiserConfig(told, channels=4, length=8, widths=(8, 16), embedding=12)
        return GeneratorConfig(layout, vae, unet, condition, "b0")
    residual = ResidualConfig(told, length=8, mean_width=12, width=16, depth=2)
    return GeneratorConfig(layout, LinearCodecConfig(layout.dim, 8), residual, condition, "b0")


def small_generator(
    seed: int = 0, layout: AdapterLayout = LAYOUT, *, plain: bool = False, alone: bool = False
) -> AdapterGenerator:
    """A generator whose weights are random, all of them at work."""
    config = small_config(layout, plain=plain, alone=alone)
    generator = AdapterGenerator.untrained(config, seed=seed, notes={"trained": "never"})
    rng = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for tensor in generator.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(0.2 * torch.randn(tensor.shape, generator=rng) + (0.7 if tensor.ndim == 0 else 0.0))
        generator.denoiser.condition_scale.abs_().add_(0.1)
        if isinstance(generator.codec, LinearCodec):
            generator.codec.fit(torch.randn(12, layout.dim, generator=rng))
        else:
            generator.codec.standardizer.scale.abs_().add_(0.1)
        if isinstance(generator.denoiser, ResidualDenoiser):
            generator.denoiser.fit_residuals(torch.randn(40, 8, generator=rng))
    return generator.eval()


@pytest.fixture(params=["ours", "the paper's plain form"])
def generator(request: pytest.FixtureRequest) -> AdapterGenerator:
    return small_generator(plain=request.param != "ours")


@pytest.fixture
def condition() -> torch.Tensor:
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(7))


def test_generated_rows_are_finite_and_the_same_each_time(generator: AdapterGenerator, condition: torch.Tensor) -> None:
    rows = generator.generate(condition, steps=5)
    assert rows.shape == (3, 50) and rows.isfinite().all()
    assert torch.equal(rows, generator.generate(condition, steps=5))
    assert not torch.allclose(rows, generator.generate(condition, steps=5, seed=1))


def test_fresh_noise_makes_other_rows_of_the_same_seed(generator: AdapterGenerator, condition: torch.Tensor) -> None:
    plain, noisy, again = (generator.generate(condition, steps=5, eta=eta) for eta in (0.0, 1.0, 1.0))
    assert torch.equal(noisy, again)
    assert not torch.allclose(plain, noisy, atol=1e-2)


def test_a_generated_row_can_be_trained_further(generator: AdapterGenerator, condition: torch.Tensor) -> None:
    row = generator.generate(condition, steps=2).requires_grad_()
    row.square().sum().backward()
    assert row.grad is not None and torch.allclose(row.grad, 2 * row)


@pytest.mark.parametrize(("guidance", "eta"), [(1.0, 0.0), (2.5, 0.0), (1.0, 0.6)])
def test_row_i_of_a_batch_is_the_row_of_seed_plus_i_alone(
    generator: AdapterGenerator, condition: torch.Tensor, guidance: float, eta: float
) -> None:
    options = {"steps": 7, "guidance": guidance, "eta": eta}
    together = generator.generate(condition, seed=40, **options)
    alone = [generator.generate(condition[i : i + 1], seed=40 + i, **options) for i in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_the_path_has_s_estimates_and_ends_at_what_generate_gives(
    generator: AdapterGenerator, condition: torch.Tensor
) -> None:
    path = list(generator.path(condition, steps=6, seed=3))
    assert len(path) == 6 and {latents.shape for latents in path} == {(3, *generator.config.latent_shape)}
    assert torch.equal(generator.decode(path[-1]), generator.generate(condition, steps=6, seed=3))


def test_a_walk_tells_the_noisy_latents_beside_the_estimates_of_the_path(
    generator: AdapterGenerator, condition: torch.Tensor
) -> None:
    walked = list(generator.walk(condition, steps=4, seed=3))
    path = list(generator.path(condition, steps=4, seed=3))
    assert all(torch.equal(guess, estimate) for (_, guess), estimate in zip(walked, path, strict=True))
    rngs = [torch.Generator().manual_seed(3 + i) for i in range(3)]
    noise = torch.stack([torch.randn(generator.config.latent_shape, generator=rng) for rng in rngs])
    with torch.no_grad():
        assert torch.allclose(walked[0][0], generator.denoiser.place(noise, condition), atol=1e-5)
    assert not torch.allclose(walked[1][0], walked[0][0], atol=1e-2)


def test_guidance_zero_ignores_the_condition_and_two_exaggerates_it(
    generator: AdapterGenerator, condition: torch.Tensor
) -> None:
    rows = [generator.generate(condition, steps=1, guidance=g) for g in (0.0, 1.0, 2.0)]
    assert torch.allclose(rows[0], generator.generate(-condition, steps=1, guidance=0.0))
    latents = [generator.encode(row) for row in rows]
    assert not torch.allclose(latents[0], latents[1], atol=1e-3)
    estimates = [next(generator.path(condition, steps=1, guidance=g)) for g in (0.0, 1.0, 2.0)]
    assert torch.allclose(estimates[2] - estimates[1], estimates[1] - estimates[0], atol=1e-4)


def test_guidance_one_asks_the_network_once_a_step(generator: AdapterGenerator, condition: torch.Tensor) -> None:
    sizes: list[int] = []
    generator.denoiser.register_forward_hook(lambda module, args, out: sizes.append(len(args[0])))
    generator.generate(condition, steps=4)
    assert sizes == [3, 3, 3, 3]


def test_encoding_and_decoding_work_on_raw_rows(generator: AdapterGenerator) -> None:
    rows = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    latents = generator.encode(rows)
    assert latents.shape == (4, *generator.config.latent_shape)
    assert torch.equal(generator.reconstruct(rows), generator.decode(latents))
    with pytest.raises(UserError, match=r"49 .* 50"):
        generator.encode(rows[:, 1:])


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_a_saved_generator_generates_bit_identical_rows(
    tmp_path: Path, condition: torch.Tensor, half: bool, plain: bool
) -> None:
    generator = small_generator(layout=WIDE, plain=plain)
    before = generator.generate(condition, steps=5)
    if half:
        generator.half_precision_()
    assert torch.equal(generator.generate(condition, steps=5), before) is not half, "rounding changes the rows"
    generator.save_pretrained(tmp_path / "g", dtype=torch.float16 if half else torch.float32)
    loaded = AdapterGenerator.from_pretrained(tmp_path / "g")
    assert torch.equal(loaded.generate(condition, steps=5), generator.generate(condition, steps=5))
    assert loaded.config == generator.config and loaded.notes == {"trained": "never"}
    assert loaded.fingerprint == generator.fingerprint


@pytest.mark.parametrize("plain", [False, True])
def test_half_precision_halves_large_tensors_and_no_others(tmp_path: Path, plain: bool) -> None:
    generator = small_generator(layout=WIDE, plain=plain)
    generator.save_pretrained(tmp_path / "full")
    generator.save_pretrained(tmp_path / "half", dtype=torch.float16)
    large = [tensor for tensor in generator.state_dict().values() if tensor.numel() >= SMALL]
    saved = 2 * sum(tensor.numel() for tensor in large if tensor.is_floating_point())
    full, half = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("full", "half"))
    assert saved > 0 and full - half == pytest.approx(saved, abs=400)


def test_half_precision_leaves_small_measurements_and_whole_numbers_as_they_are() -> None:
    generator = small_generator(layout=WIDE)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    after = generator.half_precision_().state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed == {"codec.mean"}
    assert before["codec.basis"].dtype == torch.int8 and before["codec.basis"].numel() > SMALL


def test_the_fingerprint_notices_one_changed_number(generator: AdapterGenerator) -> None:
    before = generator.fingerprint
    with torch.no_grad():
        next(generator.denoiser.parameters()).view(-1)[0] += 1e-3
    assert generator.fingerprint != before


def test_starting_weights_depend_on_the_seed_alone(generator: AdapterGenerator) -> None:
    config = generator.config
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
    [
        {"format": 99},
        {"format": 1},
        {"condition": "clip"},
        {"condition": {"name": "clip", "dim": 5}},
        {"layout": {}},
        {"codec": {"kind": "LinearCodecConfig", "dim": "x"}},
        {"codec": {"kind": "Path", "dim": 50}},
        {"codec": {"kind": "ResidualConfig", "condition_dim": 6}},
        {"codec": {"dim": 50}},
        {"denoiser": None},
        {"denoiser": {"kind": "ResidualConfig", "condition_dim": 6, "speed": 3}},
    ],
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
    about["denoiser"]["width"] = 20
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


@pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])
def test_a_generator_without_a_condition_is_told_how_many_to_write(tmp_path: Path, plain: bool) -> None:
    generator = small_generator(plain=plain, alone=True)
    rows = generator.generate(count=3, steps=4, seed=5)
    assert rows.shape == (3, LAYOUT.dim) and len(rows.unique(dim=0)) == 3
    assert torch.allclose(rows[1:2], generator.generate(count=1, steps=4, seed=6), atol=1e-6)
    assert not torch.equal(rows, generator.generate(count=3, steps=4, seed=5, eta=0.5))
    generator.save_pretrained(tmp_path)
    again = AdapterGenerator.from_pretrained(tmp_path)
    assert again.condition is None and torch.equal(again.generate(count=3, steps=4, seed=5), rows)
    with pytest.raises(UserError, match="takes no condition"):
        generator.generate(torch.zeros(1, 6))
    with pytest.raises(UserError, match="at least 1"):
        generator.generate(count=0)
    with pytest.raises(UserError, match="'no' conditions, not 'clip'"):
        generator.check(condition_name="clip")


def test_bad_arguments_are_refused_before_the_first_step(generator: AdapterGenerator, condition: torch.Tensor) -> None:
    with pytest.raises(UserError, match=r"\[N, 6\]"):
        generator.path(condition[:, 1:])
    with pytest.raises(UserError, match=r"\[N, 6\]"):
        generator.path(condition[0])
    with pytest.raises(UserError, match="missing"):
        generator.path()
    with pytest.raises(UserError, match="finite"):
        generator.path(condition * torch.nan)
    with pytest.raises(UserError, match="1 to 1000"):
        generator.path(condition, steps=0)
    with pytest.raises(UserError, match="guidance"):
        generator.path(condition, guidance=float("inf"))
    for eta in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"eta.*0\.\.1"):
            generator.path(condition, eta=eta)
    with pytest.raises(UserError, match="seed"):
        generator.path(condition, seed=-1)


def test_the_default_generator_fits_ten_megabytes_as_float16(tmp_path: Path) -> None:
    layout = AdapterLayout(("a",), ((65_580,),))
    config = GeneratorConfig.of(layout, condition=ConditionConfig("clip", 512), backbone_fingerprint="b0")
    AdapterGenerator(config).save_pretrained(tmp_path, torch.float16)
    assert (tmp_path / "model.safetensors").stat().st_size < 9.9e6


def test_the_plain_form_has_a_unet_over_the_same_latents_and_on_request_the_autoencoder() -> None:
    layout = AdapterLayout(("a",), ((500,),))
    ours = GeneratorConfig.of(layout, condition=ConditionConfig("clip", 7), backbone_fingerprint="b0", components=32)
    plain, whole = ours.plain(), ours.plain(autoencoder=True)
    assert (plain.codec, plain.latent_shape) == (ours.codec, (1, 32))
    assert whole.codec == VAEConfig(500) and whole.latent_shape == (16, 64)
    for config in (plain, whole):
        assert isinstance(config.denoiser, DenoiserConfig) and config.denoiser.condition_dim == 7
        assert config.condition == ConditionConfig("clip", 7) and config.layout == layout
        assert GeneratorConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_all_numbers_are_counted(generator: AdapterGenerator, tmp_path: Path) -> None:
    generator.save_pretrained(tmp_path)
    assert generator.numbers == sum(
        tensor.numel() for tensor in load_tensors(tmp_path / "model.safetensors")[0].values()
    )


def test_parts_that_do_not_fit_each_other_are_refused(generator: AdapterGenerator) -> None:
    config = generator.config
    with pytest.raises(ValueError, match="fit"):
        replace(config, codec=replace(config.codec, dim=51))
    with pytest.raises(ValueError, match="fit"):
        replace(config, denoiser=replace(config.denoiser, length=16))
