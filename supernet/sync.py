"""BatchNorm over the images of all processes of a training. PyTorch's own SyncBatchNorm is for GPUs only.

Shapes: B batch, C channels, H height, W width.
"""

import torch
import torch.distributed as dist
from torch import nn


def synchronised(net: nn.Module) -> nn.Module:
    """The net with synchronised BatchNorm in place of every BatchNorm2d, weights and statistics kept."""
    if next(net.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(net)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _same(child))
    return net


def _same(norm: nn.BatchNorm2d) -> "SyncBatchNorm2d":
    made = SyncBatchNorm2d(norm.num_features, norm.eps, norm.momentum, norm.affine)
    made.train(norm.training)
    for name, tensor in (*norm.named_parameters(), *norm.named_buffers()):
        setattr(made, name, tensor)
    return made


class SyncBatchNorm2d(nn.BatchNorm2d):
    """In training, mean and variance are those of all processes' images, equally many each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        dtype, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))  # of which statistics have the digits
        mean = _mean(x)
        centred = x - mean[:, None, None]
        variance = _mean(centred.square())
        self._move(mean.detach(), variance.detach(), x.numel() / x.shape[1] * dist.get_world_size())
        y = centred * (variance + self.eps).rsqrt()[:, None, None]
        return (y * self.weight[:, None, None] + self.bias[:, None, None] if self.affine else y).to(dtype)

    @torch.no_grad()
    def _move(self, mean: torch.Tensor, variance: torch.Tensor, n: float) -> None:
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * n / (n - 1), self.momentum)


def _mean(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (C,), over all processes."""
    return _Sum.apply(x.mean((0, 2, 3))) / dist.get_world_size()


class _Sum(torch.autograd.Function):
    """Over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx, tensor: torch.Tensor) -> torch.Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.forward(None, gradient.contiguous())
