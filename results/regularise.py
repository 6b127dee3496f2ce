"""What recipes do to batches and networks against overfitting. Shapes: B batch, C channels, H height, W width."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from results.recipes import Recipe
from search_spaces import cell_net
from search_spaces.blocks import InvertedResidual
from search_spaces.cell_net import CellNet, GraphCell
from search_spaces.chain import ChainNet


def cutout(images: torch.Tensor, share: float) -> torch.Tensor:
    """(B, C, H, W) normalised -> the same with a square of each at the mean, 0 (arXiv 1708.04552, section 3).

    The square's side is that share of the image's; its centre lies anywhere, so that part of it may lie outside.
    """
    b, _, h, w = images.shape
    rows, columns = (torch.arange(side) - torch.randint(side, (b, 1)) + share * side / 2 for side in (h, w))
    rows, columns = (rows >= 0) & (rows < share * h), (columns >= 0) & (columns < share * w)
    inside = rows[:, :, None] & columns[:, None, :]
    return images.masked_fill(inside[:, None].to(images.device), 0.0)


def randaugment(images: torch.Tensor, operations: int) -> torch.Tensor:
    """(B, C, H, W) uint8 -> the same, each image by itself (arXiv 1909.13719)."""
    transform = v2.RandAugment(operations)
    return torch.stack([transform(image) for image in images])


def mixed(
    images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised images (B, C, H, W) and labels (B,) -> mixed images, and labels (B, classes) if anything was mixed."""
    kinds: list[Callable] = [v2.MixUp(alpha=recipe.mixup, num_classes=classes)] if recipe.mixup else []
    kinds += [v2.CutMix(alpha=recipe.cutmix, num_classes=classes)] if recipe.cutmix else []
    return kinds[int(torch.randint(len(kinds), ()))](images, labels) if kinds else (images, labels)


def _paths(net: nn.Module) -> list[nn.Module]:
    """What may be left out: the bodies of a chain's residuals, and of a cell every operation but the identity."""
    bodies = [block.body for block in net.modules() if isinstance(block, InvertedResidual) and block.residual]
    operations = [operation for cell in net.modules() if isinstance(cell, GraphCell) for operation in cell.operations]
    return bodies + [operation for operation in operations if not isinstance(operation, nn.Identity)]


@contextmanager
def drop_path(net: nn.Module, recipe: Recipe) -> Iterator[Callable[[float], None]]:
    """While open, in training, blocks and cells leave out paths at random, image by image (arXiv 1603.09382).

    Gives a function that takes how much of the training is done, 0..1.
    """
    paths, done = _paths(net) if recipe.drop_path else [], [0.0]

    def hook(k: int, path: nn.Module, _, output: torch.Tensor) -> torch.Tensor:
        grown = done[0] if recipe.drop_path_grows else (k + 1) / len(paths)
        return cell_net.drop_path(output, recipe.drop_path * grown) if path.training else output

    handles = [path.register_forward_hook(partial(hook, k)) for k, path in enumerate(paths)]
    try:
        yield lambda share: done.__setitem__(0, share)
    finally:
        for handle in handles:
            handle.remove()


class Auxiliary(nn.Module):
    """A classifier on what is made two thirds down, (B, C, H, W) -> (B, classes): DARTS's.

    Maps of other sizes than on CIFAR-10 (8 pixels) and ImageNet (7) are pooled to 2 x 2 too, evenly.
    """

    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        stride = {8: 3, 7: 2}.get(size)
        two = nn.AvgPool2d(5, stride, count_include_pad=False) if stride else nn.AdaptiveAvgPool2d(2)
        conv = nn.Conv2d(channels, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(inplace=True)
        wide = nn.Conv2d(128, 768, 2, bias=False), nn.BatchNorm2d(768), nn.ReLU(inplace=True)
        pool = nn.ReLU(), two
        self.body = nn.Sequential(*pool, *conv, *wide, nn.Flatten(), nn.Linear(768, classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.body(features)


class Watched(nn.Module):
    """A network and its auxiliary classifier, trained together."""

    def __init__(self, net: ChainNet | CellNet, example: torch.Tensor, classes: int):
        super().__init__()
        self.net = net
        with torch.no_grad():
            _, channels, size, _ = self.eval()._both(example)[1].shape
        self.auxiliary = Auxiliary(channels, size, classes).to(example.device)

    def _both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, classes), and what the block or cell two thirds down made (B, C, H, W)."""
        layers, seen = self.net.blocks if isinstance(self.net, ChainNet) else self.net.cells, []
        with layers[2 * len(layers) // 3].register_forward_hook(lambda *passed: seen.append(passed[-1])):
            return self.net(images), seen[0]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, classes) of the network, and of the auxiliary classifier."""
        logits, features = self._both(images)
        return logits, self.auxiliary(features)


def loss(outputs, labels: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Cross entropy of logits (B, classes), or of a `Watched` network's two."""
    logits, *second = outputs if isinstance(outputs, tuple) else (outputs,)
    total = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
    for extra in second:
        total = total + recipe.auxiliary * F.cross_entropy(extra, labels, label_smoothing=recipe.label_smoothing)
    return total
