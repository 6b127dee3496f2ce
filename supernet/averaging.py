"""A running mean of a network's weights beside the weights that learn."""

import torch
from torch import nn

PREFIX = "mean."  # of its tensors in a checkpoint


class Average:
    """Exponential moving average of all floating-point state, BatchNorm statistics too (Polyak and Juditsky 1992).

    `decay` 0: nothing is kept. Its first steps decay faster, (1 + t) / (10 + t), so that it forgets the first weights.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.mean = {name: tensor.clone() for name, tensor in net.state_dict().items()} if decay else {}

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """After a step of the optimiser."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        state = net.state_dict() if self.mean else {}
        for name, mean in self.mean.items():
            if mean.is_floating_point():
                mean.lerp_(state[name], share)
            else:
                mean.copy_(state[name])

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {f"{PREFIX}{name}": tensor for name, tensor in self.mean.items()}

    def restore(self, tensors: dict[str, torch.Tensor], steps: int) -> None:
        """From a checkpoint's tensors, after so many steps."""
        self.steps = steps
        for name, mean in self.mean.items():
            mean.copy_(tensors[f"{PREFIX}{name}"])
