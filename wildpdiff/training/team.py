"""One training shared by several processes: each computes a part of every batch, and all have the same weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import UserError

if TYPE_CHECKING:
    from accelerate import Accelerator

#: How long processes wait for one that has work of its own to do.
PATIENCE = timedelta(days=30)
#: What a lost connection is called by those who carry it (gloo, NCCL and the store through which processes meet).
_LOST = ("onnection", "NCCL", "roken pipe", "imed out", "imeout")


@dataclass(frozen=True)
class Team:
    """The processes that train one thing together; one process alone shares nothing and waits for nobody.

    What is random in a step is drawn for the whole batch, on the CPU and by every process. Each then computes its own
    part of the batch, and gradients and losses are added up. So losses and weights are those of one process but for
    rounding, and a training may go on with another number of processes than it was begun with.

    Attributes:
        device: where this process computes: cpu or cuda.
        bf16: compute in bfloat16 what bears it (`torch.autocast`); weights and AdamW's state stay as they are.
        accelerator: the door to the other processes; None where there are none.
    """

    device: str = "cpu"
    bf16: bool = False
    accelerator: Accelerator | None = None

    @property
    def size(self) -> int:
        """Processes."""
        return 1 if self.accelerator is None else self.accelerator.num_processes

    @property
    def main(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.accelerator is None or self.accelerator.is_main_process

    def part(self, count: int) -> slice:
        """The samples of a batch of `count` that this process computes; all parts together are the batch.

        Raises:
            UserError: if there are fewer samples than processes.
        """
        rank = 0 if self.accelerator is None else self.accelerator.process_index
        if count < self.size:
            raise UserError(f"A batch of {count} cannot be shared by {self.size} processes; start at most {count}.")
        return slice(count * rank // self.size, count * (rank + 1) // self.size)

    def precision(self) -> AbstractContextManager[Any]:
        """In which a loss is computed."""
        return torch.autocast(self.device, torch.bfloat16) if self.bf16 else nullcontext()

    def backward(self, loss: Tensor, count: int, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Give `parameters` the gradients of a whole batch's mean loss.

        Args:
            loss: mean over this process's part of the batch.
            count: samples in the whole batch.
            parameters: whose gradients are wanted.

        Returns:
            The mean loss of the whole batch, the same in all processes.
        """
        if self.accelerator is None:
            loss.backward()
            return loss
        own = self.part(count)
        share = loss * ((own.stop - own.start) / count)
        share.backward()
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = [share.detach().float().reshape(1), *(gradient.reshape(-1) for gradient in gradients)]
        whole, *parts = self.sum(torch.cat(flat)).split([1, *map(torch.numel, gradients)])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return whole[0]

    def sum(self, numbers: Tensor) -> Tensor:
        """The sum over all processes, the same in all of them; gradients do not pass."""
        return numbers if self.accelerator is None else self.accelerator.reduce(numbers, "sum")

    def begin(self, module: nn.Module, done: int) -> int:
        """Begin together: with the main process's weights, after the same number of steps `done`, which is returned.

        Raises:
            UserError: if this process found another checkpoint than the main one.
        """
        if self.agreed(done) != done:
            raise UserError("The processes see different checkpoints; give them one --out folder that all of them see.")
        self.level(module)
        return done

    def level(self, module: nn.Module) -> None:
        """Give a module the main process's numbers, in every process."""
        if self.accelerator is not None:
            from accelerate.utils import broadcast

            state = {name: value.detach().clone().contiguous() for name, value in module.state_dict().items()}
            module.load_state_dict(broadcast(state))

    def agreed(self, number: int) -> int:
        """The whole number that the main process has."""
        if self.accelerator is None:
            return number
        from accelerate.utils import broadcast

        return int(broadcast(torch.tensor([number], device=self.accelerator.device))[0])

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()

    def once(self, work: Callable[[], None]) -> None:
        """Let the main process do something while the others wait for its end."""
        if self.main:
            work()
        self.wait()


ALONE = Team()


@contextmanager
def launched(device: str, *, bf16: bool = False) -> Iterator[Team]:
    """The processes that `accelerate launch` or `torchrun` started, or this one alone.

    Args:
        device: cpu or cuda, one GPU for each process.
        bf16: as `Team.bf16`; `accelerate launch --mixed_precision bf16` says the same.

    Raises:
        UserError: if there are fewer GPUs than processes, another precision is asked for, or bf16 without a GPU; and,
            of the body, if another process has ended.
    """
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    precision = "bf16" if bf16 else asked
    if precision not in ("no", "bf16"):
        raise UserError(f"Training in {precision} is not possible here; choose --mixed_precision no or bf16.")
    team = _team(device, precision == "bf16")
    if team.bf16 and team.device == "cpu":
        raise UserError("bf16 is for GPUs, on a processor it is slower; train without it there.")
    try:
        yield team
    except RuntimeError as error:
        if team.size > 1 and any(word in str(error) for word in _LOST):
            raise UserError(
                "Another process of this training has ended; run the same command again to go on."
            ) from error
        raise
    if team.accelerator is not None:
        team.accelerator.end_training()


def _team(device: str, bf16: bool) -> Team:
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        return Team(device, bf16)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device == "cuda" and here > torch.cuda.device_count():
        have = torch.cuda.device_count()
        raise UserError(f"{here} processes need {here} GPUs, but this computer has {have}; start fewer.")
    from accelerate import Accelerator, InitProcessGroupKwargs

    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if bf16 else "no",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    return Team(accelerator.device.type, bf16, accelerator)
