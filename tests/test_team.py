"""One training over two processes: the losses and weights of one, kill and resume, and what cannot be shared."""

import json
import os
import shutil
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from team_run import KILLED_AT, PRETRAINING, STEPS, all_trainings, pretraining, small_backbone
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from wildpdiff.errors import UserError
from wildpdiff.files import load_tensors
from wildpdiff.training.team import ALONE, Team, launched
from wildpdiff.training.whole_batch import _batch_norm, whole_batch

HERE = Path(__file__).parent
ASKED = [("pretraining", STEPS), ("ours mean", STEPS), ("ours denoiser", STEPS)]
FURTHER = [("plain codec", 40), ("plain denoiser", 40), ("resumed", 30)]


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def start(folder: Path, rank: int, port: int) -> subprocess.Popen[str]:
    """One of two processes, told what `torchrun` tells."""
    known = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    told = {name: str(value) for name, value in known.items()} | {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    paths = os.pathsep.join([str(HERE), str(HERE.parent)])
    command = [sys.executable, str(HERE / "team_run.py"), str(folder)]
    return subprocess.Popen(command, env={**os.environ, **told, "PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str]]]:
    """What one process and two processes have written of the same trainings, and how the two ended."""
    folder = tmp_path_factory.mktemp("team")
    list(islice(pretraining(small_backbone(), folder / "begun.part"), 12))
    begun = (folder / "begun.part").read_bytes()
    all_trainings(folder, "one")
    (folder / "begun.part").write_bytes(begun)
    port = free_port()
    runs = [start(folder, rank, port) for rank in range(2)]
    told = [run.communicate(timeout=900)[1] for run in runs]
    return folder, [(run.returncode, text) for run, text in zip(runs, told, strict=True)]


def losses(folder: Path, name: str) -> dict[str, list[float]]:
    assert (folder / f"{name}.json").exists(), (folder / "told").read_text()
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("training", "steps"), ASKED + FURTHER)
def test_two_processes_have_the_losses_of_one(trained: tuple[Path, Any], training: str, steps: int) -> None:
    """Batches of 7, 9 and 11 samples: the two never have equally many."""
    one, main, second = (losses(trained[0], name)[training] for name in ("one", "main", "second"))
    assert len(one) == len(main) == steps and main == second
    assert max(abs(a - b) for a, b in zip(one, main, strict=True)) < 1e-5
    assert steps < STEPS or one[-1] < 0.95 * one[0]


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one_and_with_the_same(trained: tuple[Path, Any]) -> None:
    one, main, second = (load_tensors(trained[0] / f"{name}.safetensors")[0] for name in ("one", "main", "second"))
    untrained = small_backbone().state_dict()
    assert set(one) == set(main) == set(second)
    for name, value in one.items():
        assert torch.equal(main[name], second[name]), name
        assert torch.allclose(main[name].double(), value.double(), rtol=1e-3, atol=1e-3), name
    assert any(not torch.allclose(one[f"backbone/{name}"], value, atol=0.05) for name, value in untrained.items())


@pytest.mark.slow
def test_where_one_process_is_killed_the_other_says_so_in_a_sentence(trained: tuple[Path, Any]) -> None:
    folder, ((code, told), (killed, _)) = trained
    assert killed == -9 and code == 2 and "Traceback" not in told
    sentence = "Another process of this training has ended; run the same command again to go on."
    assert (folder / "told").read_text() == sentence


@pytest.mark.slow
def test_one_process_goes_on_where_two_were_killed(trained: tuple[Path, Any], tmp_path: Path) -> None:
    shutil.copy(trained[0] / "killed.part", tmp_path)
    rest = [step.loss for step in islice(pretraining(small_backbone(), tmp_path / "killed.part"), 50)]
    saved = KILLED_AT - KILLED_AT % PRETRAINING.save_every
    assert rest == pytest.approx(losses(trained[0], "one")["pretraining"][saved : saved + 50], abs=1e-5)


@pytest.mark.slow
def test_a_batch_of_fewer_samples_than_processes_is_refused_in_all_of_them(trained: tuple[Path, Any]) -> None:
    for main in (True, False):
        told = (trained[0] / f"refused-{main}").read_text()
        assert told == "A batch of 1 cannot be shared by 2 processes; start at most 1."


class Door:
    """Stands for accelerate's: the other processes have nothing to add."""

    def __init__(self, size: int) -> None:
        self.num_processes, self.process_index, self.is_main_process = size, 0, True
        self.given: list[Tensor] = []

    def reduce(self, numbers: Tensor, way: str) -> Tensor:
        assert way == "sum"
        self.given.append(numbers)
        return numbers


@pytest.mark.parametrize("count", [2, 3, 7, 64])
@pytest.mark.parametrize("size", [1, 2])
def test_the_parts_of_a_batch_are_the_batch(count: int, size: int) -> None:
    batch, door = torch.arange(count), Door(size)
    team = Team(accelerator=door)  # type: ignore[arg-type]
    parts = []
    for door.process_index in range(size):
        parts.append(batch[team.part(count)])
    assert torch.equal(torch.cat(parts), batch)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert torch.equal(batch[ALONE.part(count)], batch)


@pytest.mark.parametrize("shape", [(6, 5, 7, 3), (6, 5)], ids=["pictures", "numbers"])
@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_norm_over_the_whole_batch_is_torch_s(shape: tuple[int, ...], affine: bool) -> None:
    """Where the team's sums are those of one process, which has everything."""
    rng = torch.Generator().manual_seed(0)
    inputs, aim = 3 + 2 * torch.randn(shape, generator=rng), torch.randn(shape, generator=rng)
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    plain, whole = kind(5, affine=affine), kind(5, affine=affine)
    team = Team(accelerator=Door(1))  # type: ignore[arg-type]
    found = []
    for norm, size in ((plain, 1), (whole, 2)):
        team.accelerator.num_processes = size  # type: ignore[union-attr]
        for _ in range(3):
            own = inputs.clone().requires_grad_()
            with whole_batch(team):
                out = norm(own)
            norm.zero_grad()
            (out - aim).square().sum().backward()
        found.append((out, own.grad, *(weight.grad for weight in norm.parameters()), *norm.state_dict().values()))
    assert len(team.accelerator.given) == 6  # type: ignore[union-attr]
    for first, second in zip(*found, strict=True):
        assert torch.allclose(first, second, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_batch_norm_over_the_whole_batch_is_its_slope() -> None:
    team = Team(accelerator=Door(1))  # type: ignore[arg-type]
    rng = torch.Generator().manual_seed(0)
    inputs = torch.randn(4, 3, 2, dtype=torch.float64, generator=rng).requires_grad_()
    weight, bias = torch.randn(2, 3, dtype=torch.float64, generator=rng).requires_grad_()
    turn = torch.randn(4, 3, 2, dtype=torch.float64, generator=rng)

    def loss(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return (_batch_norm(team, inputs, None, None, weight, bias, True) * turn).square().sum()

    assert torch.autograd.gradcheck(loss, (inputs, weight, bias))


def test_a_batch_norm_in_evaluation_asks_nobody() -> None:
    door = Door(2)
    norm = nn.BatchNorm2d(3).eval()
    inputs = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with whole_batch(Team(accelerator=door)):  # type: ignore[arg-type]
        out = norm(inputs)
    assert torch.equal(out, norm(inputs)) and not door.given


def test_in_bfloat16_a_batch_norm_gives_what_it_is_given_and_keeps_its_gradients_whole() -> None:
    inputs = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    norm, door = nn.BatchNorm2d(3), Door(2)
    with whole_batch(Team(accelerator=door)):  # type: ignore[arg-type]
        out = norm(inputs.bfloat16())
    out.float().square().sum().backward()
    assert out.dtype == torch.bfloat16 and norm.weight.grad is not None and norm.weight.grad.dtype == torch.float32
    assert torch.allclose(out.float(), F.batch_norm(inputs, None, None, training=True), atol=0.03)


def test_in_bfloat16_the_loss_is_computed_in_it_and_the_weights_stay_whole() -> None:
    layer = nn.Linear(4, 2)
    with Team(bf16=True).precision():
        out = layer(torch.ones(3, 4))
    assert out.dtype == torch.bfloat16 and layer.weight.dtype == torch.float32
    with ALONE.precision():
        assert layer(torch.ones(3, 4)).dtype == torch.float32


def test_one_process_is_a_team_of_one_that_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    with launched("cpu") as team:
        assert team == ALONE and team.main and team.size == 1
        assert team.agreed(7) == 7 and team.begin(nn.Linear(1, 1), 3) == 3


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("bf16", r"^bf16 is for GPUs, on a processor it is slower; train without it there\.$"),
        ("fp16", r"^Training in fp16 is not possible here; choose --mixed_precision no or bf16\.$"),
    ],
)
def test_a_precision_that_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str, sentence: str) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", asked)
    with pytest.raises(UserError, match=sentence), launched("cpu"):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "64", "LOCAL_WORLD_SIZE": "64"}.items():
        monkeypatch.setenv(name, value)
    sentence = r"^64 processes need 64 GPUs, but this computer has \d+; start fewer\.$"
    with pytest.raises(UserError, match=sentence), launched("cuda"):
        pass


def test_an_error_of_one_s_own_is_not_taken_for_a_lost_process() -> None:
    with pytest.raises(RuntimeError, match="of my own"), launched("cpu"):
        raise RuntimeError("A Connection of my own.")
    with pytest.raises(UserError, match="see different checkpoints"):
        _Behind().begin(nn.Linear(1, 1), 3)


class _Behind(Team):
    def agreed(self, number: int) -> int:
        return number + 1
