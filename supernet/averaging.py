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
        live = net.state_dict()
        pairs = [(mean, live[name]) for name, mean in self.mean.items()]
        self.real = [pair for pair in pairs if pair[0].is_floating_point()]
        self.whole = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """After a step of the optimiser. All tensors in one call: on a GPU thousands of them outlast the step."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        if self.real:
            torch._foreach_lerp_([mean for mean, _ in self.real], [live for _, live in self.real], share)
        if self.whole:
            torch._foreach_copy_([mean for mean, _ in self.whole], [live for _, live in self.whole])

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps."""
        return {f"{PREFIX}{name}": tensor for name, tensor in self.mean.items()}

    def restore(self, tensors: dict[str, torch.Tensor], steps: int) -> None:
        """From a checkpoint's tensors, after so many steps."""
        self.steps = steps
        for name, mean in self.mean.items():
            mean.copy_(tensors[f"{PREFIX}{name}"])
