"""A strictly fair step as one static graph: what changes from step to step is data, so one capture serves all.

Shapes: B batch, L layers, m options of every layer and paths of a step.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import nn

from supernet import fairness
from supernet.memory import Context, send
from supernet.model import ChainSupernet

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # logits (B, classes), labels (B,) -> scalar
WARM_UP = 3  # steps before a capture, in which libraries choose and allocate
SHAPES = 1000  # blocks of different shapes that torch.compile may meet; its own limit is meant for one function


class Unavailable(RuntimeError):
    """This machine cannot compile or begin the step; the message says what and why."""


class Uncaptured(ValueError):
    """A capture failed half-way. What PyTorch had set aside for it stays so: the process cannot go on."""


class StaticStep:
    """All m paths of a step at once. On a GPU it becomes one CUDA graph, for mini-batches of one shape.

    `compiler`: options of `torch.compile` for the blocks; None leaves them as they are.
    """

    def __init__(self, net: ChainSupernet, loss: Loss, context: Context = nullcontext, compiler: dict | None = None):
        self.net, self.loss, self.context, self.layers, self.limits = net, loss, context, net.layers, nullcontext
        if compiler is not None:
            self.layers = [[torch.compile(block, dynamic=False, **compiler) for block in layer] for layer in net.layers]
            limits = {"recompile_limit": SHAPES, "accumulated_recompile_limit": SHAPES}
            self.limits = partial(torch._dynamo.config.patch, limits)
        self.take: Callable | None = None

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, paths: np.ndarray) -> torch.Tensor:
        """Images (B, C, H, W), labels (B,), paths (m, L) -> losses (m,), detached; gradients are left in the net.

        Unavailable, or Uncaptured, if the first call finds that it cannot be done here.
        """
        inputs = images, labels, send(torch.from_numpy(fairness.order(paths)), images.device)
        if self.take is not None:
            return self.take(*inputs)
        try:
            self.take = Captured(self._step, self.net, inputs) if images.is_cuda else self._step
            return self.take(*inputs)
        except (torch.OutOfMemoryError, Uncaptured):
            raise
        except Exception as error:
            raise Unavailable(f"cannot compile or capture the step here ({type(error).__name__})") from error

    def _step(self, images: torch.Tensor, labels: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
        with self.context(), self.limits():
            logits = self.net.fair(images, order, self.layers)
            losses = torch.stack([self.loss(each, labels) for each in logits])
        losses.sum().backward()
        return losses.detach()


class Captured:
    """A step as a CUDA graph: inputs are copied to where it reads, gradients handed out from where it writes."""

    def __init__(self, step: Callable[..., torch.Tensor], net: nn.Module, inputs: tuple[torch.Tensor, ...]):
        self.inputs, self.graph = [tensor.clone() for tensor in inputs], torch.cuda.CUDAGraph()
        kept = [buffer.clone() for buffer in net.buffers()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    net.zero_grad()
                    step(*self.inputs)
        finally:
            torch.cuda.current_stream().wait_stream(side)
            for buffer, before in zip(net.buffers(), kept, strict=True):  # warming up has moved the statistics
                buffer.copy_(before)
            net.zero_grad()
        try:
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):  # others may load images meanwhile
                self.losses = step(*self.inputs)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            why = error.__context__ or error
            raise Uncaptured(f"the step cannot be captured as a CUDA graph here ({why}); use --compile off") from error
        self.gradients = [(parameter, parameter.grad) for parameter in net.parameters()]

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        for place, tensor in zip(self.inputs, inputs, strict=True):
            place.copy_(tensor, non_blocking=True)
        self.graph.replay()
        for parameter, gradient in self.gradients:
            parameter.grad = gradient
        return self.losses.clone()
