"""Several processes that train one network, as torchrun starts them: each computes its share of every batch, and one
all-reduce a step makes their gradients one.

Batch and learning rate are the whole training's, however many processes there are: more of them change the time, not
what is learned. PyTorch's DistributedDataParallel reduces in every backward pass, of which a strictly fair step may
have as many as paths; here the gradients of all paths go out together, once.
Shapes: B batch, P paths.
"""

import contextlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from supernet import files
from supernet.sync import synchronised

T = TypeVar("T")
VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of torchrun
PATIENCE = 15.0  # seconds in which a file must show on all hosts
WAIT = timedelta(hours=12)  # for the others, who may be reading millions of images; of a death torchrun tells sooner


@dataclass(frozen=True)
class Split:
    """How a batch is computed."""

    parts: int = 1
    """Compute every batch, or each process's share of it, in so many parts, where it does not fit in memory."""
    sync_batch_norm: bool = False
    """Under torchrun: BatchNorm statistics of the whole batch, not of each process's share."""

    def __post_init__(self):
        if self.parts < 1:
            raise ValueError(f"--parts must be at least 1, got {self.parts}")


class Team:
    """The processes of a training, this one being `rank` of `size`, each computing its share in `parts`."""

    def __init__(self, rank: int = 0, size: int = 1, parts: int = 1, device: torch.device | None = None):
        self.rank, self.size, self.parts, self.device = rank, size, parts, device

    @property
    def first(self) -> bool:
        """Whether this one writes the files and speaks."""
        return self.rank == 0

    def check(self, batch: int) -> None:
        """ValueError if a batch of so many images cannot be split evenly."""
        pieces = self.size * self.parts
        if pieces > 1 and (batch % pieces or batch < 2 * pieces):
            raise ValueError(
                f"a batch of {batch} images cannot be split into {self.size} x {self.parts} (processes x --parts) "
                f"equal pieces of two or more: use a --batch-size that is a multiple of {pieces}"
            )

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's rows of a whole batch (B, ...). ValueError if it cannot be split evenly."""
        self.check(len(batch))
        return batch.chunk(self.size)[self.rank]

    def step(
        self, net: nn.Module, backward: Callable, images: torch.Tensor, labels: torch.Tensor, seed: int
    ) -> torch.Tensor:
        """The mean gradient of all pieces of a batch is left in `net`; the losses (P,) are the own pieces' mean.

        `images` and `labels` are the own share; `backward(images, labels)` leaves a piece's gradients and gives its
        losses, detached. What a piece draws (dropout) is a function of the seed and its place in the batch.
        """
        if self.size * self.parts == 1:
            return backward(images, labels)
        total, losses = 0.0, 0.0
        for part, (x, y) in enumerate(zip(images.chunk(self.parts), labels.chunk(self.parts), strict=True)):
            torch.manual_seed(int(np.random.SeedSequence((seed, self.rank * self.parts + part)).generate_state(1)[0]))
            net.zero_grad()
            losses = losses + backward(x, y) / self.parts
            used = [parameter for parameter in net.parameters() if parameter.grad is not None]
            total = total + torch.cat([parameter.grad.reshape(-1) for parameter in used])
        total = self.sum(total) / (self.size * self.parts)
        for parameter, gradient in zip(used, total.split([p.numel() for p in used]), strict=True):
            parameter.grad.copy_(gradient.view(parameter.shape))
        return losses

    def mean(self, value: float) -> float:
        """The processes' mean of a number."""
        return self.sum(torch.tensor(value, dtype=torch.float64, device=self.device)).item() / self.size

    def least(self, value: int) -> int:
        """The smallest of the processes' numbers."""
        least = torch.tensor(value, device=self.device)
        self._together(lambda: dist.all_reduce(least, dist.ReduceOp.MIN))
        return int(least.item())

    def average_statistics(self, net: nn.Module) -> None:
        """Running BatchNorm statistics become the processes' mean."""
        if self.size > 1:
            buffers = [buffer for buffer in net.buffers() if buffer.is_floating_point()]
            mean = self.sum(torch.cat([buffer.reshape(-1) for buffer in buffers])) / self.size
            for buffer, values in zip(buffers, mean.split([b.numel() for b in buffers]), strict=True):
                buffer.copy_(values.view(buffer.shape))

    def synchronised(self, net: nn.Module) -> nn.Module:
        """The net with BatchNorm statistics over all processes."""
        return synchronised(net) if self.size > 1 else net

    def in_turn(self, work: Callable[[], T]) -> T:
        """What `work` gives, in every process, once it is done in the first: so one downloads, the others read."""
        if not self.first:
            self.wait()
        result = work()
        if self.first:
            self.wait()
        return result

    def check_shared(self, folder: Path) -> None:
        """ValueError where a process does not see what the first writes into the folder."""
        if self.size == 1:
            return
        token = self.agreed(torch.randint(2**62, (1,), device=self.device))
        path, text = folder / ".shared", str(token.item())
        if self.first:
            files.write(path, text.encode())
        self.wait()
        seen = _appears(path, text)
        self.wait()
        if self.first:
            path.unlink(missing_ok=True)
        if not seen:
            raise ValueError(
                f"process {self.rank} on {socket.gethostname()} does not see what the first one writes to {folder}: "
                "--run must be in a folder that all hosts share"
            )

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Over all processes, in place. ConnectionError if another one has ended, as in all that they do together."""
        self._together(lambda: dist.all_reduce(tensor))
        return tensor

    def agreed(self, tensor: torch.Tensor) -> torch.Tensor:
        """What the first process has, in place."""
        self._together(lambda: dist.broadcast(tensor, 0))
        return tensor

    def wait(self) -> None:
        """Until all processes are here."""
        self._together(dist.barrier)

    def _together(self, work: Callable[[], object]) -> None:
        try:
            if self.size > 1:
                work()
        except RuntimeError as error:
            raise ConnectionError(f"process {self.rank} lost the others: {str(error).splitlines()[0]}") from error


def _appears(path: Path, text: str) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if path.exists() and path.read_text() == text:
            return True
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def team(parts: int, device: torch.device) -> Iterator[Team]:
    """The processes that torchrun has started, this one alone if it has not; all but the first are silent.

    ValueError if its variables are half set or wrong, or if there is no GPU for this process; ConnectionError if the
    others cannot be reached.
    """
    there = [name for name in VARIABLES if name in os.environ]
    if not set(there) & {"RANK", "LOCAL_RANK", "WORLD_SIZE"}:
        yield Team(parts=parts)
        return
    if len(there) < len(VARIABLES):
        missing = ", ".join(name for name in VARIABLES if name not in there)
        raise ValueError(
            f"torchrun's variables are half set: {missing} missing; start with torchrun, or unset the rest"
        )
    rank, local, size, _ = (_number(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT"))
    if rank >= size:
        raise ValueError(f"torchrun's variable RANK is {rank}, of WORLD_SIZE {size} from 0; start with torchrun")
    _take_gpu(local, device)
    _meet(rank, size, "nccl" if device.type == "cuda" else "gloo")
    with _silent(rank > 0):
        yield Team(rank, size, parts, device)
    dist.destroy_process_group()


def _meet(rank: int, size: int, backend: str) -> None:
    """Waits for the others. ConnectionError if they cannot be reached."""
    try:
        store, *_ = next(dist.rendezvous("env://"))
        store = dist.PrefixStore(_start(store, rank, size), store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=WAIT)
    except RuntimeError as error:
        raise ConnectionError(f"process {rank} cannot reach the others: {str(error).splitlines()[0]}") from error


def _start(store: dist.Store, rank: int, size: int) -> str:
    """A name that all processes of this start have, and of no other: the store outlives restarts, with what was in it.

    The first one makes it, and tells it to whoever asks until all have said that they heard. Hosts have no common count
    of restarts: torchrun's own leaves out those that another host began.
    """
    own, others = secrets.token_hex(8), range(1, size)
    if rank > 0:
        store.set(f"asks/{rank}", own)
        start = store.get(own).decode()
        store.set(f"{start}/{rank}", "")
        return start
    while others and not store.check([f"{own}/{other}" for other in others]):
        for other in others:
            store.set(store.get(f"asks/{other}").decode(), own)  # who asked may be of an earlier start: then once more
        time.sleep(0.02)
    return own


def _number(name: str) -> int:
    if not os.environ[name].isdigit():
        raise ValueError(f"torchrun's variable {name} is {os.environ[name]!r}, not a number; start with torchrun")
    return int(os.environ[name])


def _take_gpu(local: int, device: torch.device) -> None:
    if device.type != "cuda":
        return
    if device.index is not None:
        raise ValueError(f"torchrun gives every process a GPU of its own: --device cuda in place of {device}")
    if local >= torch.cuda.device_count():
        raise ValueError(
            f"process {local} on {socket.gethostname()} has no GPU of its own, there are {torch.cuda.device_count()}: "
            f"use torchrun --nproc-per-node {torch.cuda.device_count()}"
        )
    torch.cuda.set_device(local)


@contextlib.contextmanager
def _silent(silent: bool) -> Iterator[None]:
    """Errors that leave the block are heard again."""
    with contextlib.ExitStack() as stack:
        if silent:
            nothing = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stdout(nothing))
            stack.enter_context(contextlib.redirect_stderr(nothing))
        yield
