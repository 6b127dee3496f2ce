"""How much memory there is, and how much a supernet's activations take of it: measured on a few images.

Shapes: B images, C channels, H height, W width, L layers.
"""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from torch import nn

from supernet import limits
from supernet.draws import seeded
from supernet.model import ChainSupernet, Supernet

Context = Callable[[], AbstractContextManager]  # entered around every forward pass: autocast, or nothing
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def parse(text: str) -> int:
    """'2G' -> bytes; ValueError if it is no size above zero."""
    number, unit = (text[:-1], UNITS[text[-1].upper()]) if text[-1:].upper() in UNITS else (text, 1)
    try:
        size = int(float(number) * unit)
    except (ValueError, OverflowError):
        size = 0
    if size < 1:
        raise ValueError(f"--memory takes a size such as 500M or 2G, got {text!r}")
    return size


def show(size: float) -> str:
    """Bytes for people."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The CPU's tensor, of any shape, on the device; a GPU is not waited for."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def free(device: torch.device) -> int:
    """Bytes that are free on the device now; what PyTorch keeps of a GPU's without need is given back first."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(device)[0]
    available = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    return min([int(available[1]) * 1024, *limits.left()])


def per_path(net: Supernet, choices: Sequence[int], images: torch.Tensor, context: Context = nullcontext) -> int:
    """Bytes per image that the most costly path holds for its backward pass; at least two images (B, C, H, W).

    Measured on the paths that take the same option in every layer, as far as it is there: what twice as many images
    take more, for autocast's copies of the weights do not grow with them.
    """
    net = copy.deepcopy(net).train()
    weights = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    paths = [[min(option, k - 1) for k in choices] for option in range(max(choices))]
    more = torch.cat([images, images])

    def grown(path: Sequence[int]) -> int:
        twice, once = (_held_for_backward(net, given, path, weights, context) for given in (more, images))
        return twice - once

    with seeded(0, images.device):  # dropout
        return max(map(grown, paths)) // len(images)


def _held_for_backward(net: Supernet, images, path: Sequence[int], weights: set[int], context: Context) -> int:
    held: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), context():
        logits = net(images, [path])
    del logits
    return sum(held.values())


def per_image(net: ChainSupernet, image: torch.Tensor, context: Context = nullcontext) -> tuple[int, int]:
    """One image (1, C, H, W) in eval mode -> bytes of all layers' outputs along a path, and of the largest tensor."""
    with _outputs(net) as sizes, torch.inference_mode(), context():
        x = net.stem(image)
        held = image.nbytes + x.nbytes
        for blocks in net.layers:
            x, *_ = [block(x) for block in blocks]
            held += x.nbytes
        net.head(x)
    return held, max(sizes)


def per_network(net: nn.Module, image: torch.Tensor, context: Context = nullcontext) -> tuple[int, int]:
    """One image (1, C, H, W) in eval mode -> bytes of the outputs of all its modules, more than are alive at a time;
    and of the largest tensor.
    """
    with _outputs(net) as sizes, torch.inference_mode(), context():
        net(image)
    return image.nbytes + sum(sizes), max(sizes)


@contextmanager
def _outputs(net: nn.Module) -> Iterator[list[int]]:
    """While open, collects the bytes of what the net's modules give, in their order."""
    sizes: list[int] = []
    modules = [module for module in net.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(lambda _, __, out: sizes.append(_bytes(out))) for module in modules]
    try:
        yield sizes
    finally:
        for hook in hooks:
            hook.remove()


def _bytes(output: torch.Tensor | tuple[torch.Tensor, ...]) -> int:
    return output.nbytes if isinstance(output, torch.Tensor) else sum(map(_bytes, output))
