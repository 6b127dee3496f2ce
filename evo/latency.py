"""Latency as an objective: milliseconds per decision and option, measured on the user's own device, one image at once.

latency.json: {"format": 1, "space": what `search_spaces.load` takes, "device": ..., "fixed": ms of stem and head,
"table": [[ms of each option] of each decision], "error": how far sums are off whole networks, relative}.
Shapes: N population, L decisions, K options of a decision.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from search_spaces import SearchSpace
from search_spaces.chain import ChainNet
from supernet.checkpoint import load_json, save_json
from supernet.progress import Progress

WARM_UP, REPEATS = 3, 15  # runs of a block, and those whose median counts
WHOLE = 8  # random networks against which the sums are checked


class LatencyTable:
    """`cost` is a gather and a sum; `error` the median relative difference to whole networks when it was measured."""

    def __init__(self, fixed: float, table: list[list[float]], error: float):
        self.fixed, self.error = fixed, error
        self.table = [np.array(options) for options in table]

    def cost(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) -> (N,): milliseconds."""
        return self.fixed + sum(options[chosen] for options, chosen in zip(self.table, encodings.T, strict=True))

    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest latency of the space."""
        low, high = (sum(pick(options) for options in self.table) for pick in (np.min, np.max))
        return self.fixed + low, self.fixed + high


def load_or_measure(path: Path, space: SearchSpace, device: torch.device) -> LatencyTable:
    """The table at `path`; where there is none, measured now and written there. ValueError if it is another space's."""
    if not path.exists():
        save_json(path, measure(space, device))
    content = load_json(path, {"space", "fixed", "table", "error"}, "delete it to measure again")
    if content["space"] != space.spec or [len(row) for row in content["table"]] != list(space.choices):
        raise ValueError(f"{path} was measured on another space: {content['space']}, not {space.spec}")
    return LatencyTable(content["fixed"], content["table"], content["error"])


def measure(space: SearchSpace, device: torch.device) -> dict:
    """What latency.json holds, without its format. ValueError if the space's networks are not chains of blocks."""
    if not isinstance(space.build([0] * len(space.choices)), ChainNet):
        raise ValueError(f"latency needs a chain of blocks; {space.name} has none: use --objectives FILE.py::FUNCTION")
    shape = (1, space.in_channels, space.image_size, space.image_size)
    image = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    table, fixed = [[] for _ in space.choices], 0.0
    with Progress("latency", max(space.choices)) as progress, torch.inference_mode():
        for option in range(max(space.choices)):
            net = space.build([min(option, k - 1) for k in space.choices]).to(device).eval()
            x = net.stem(image)
            for options, block, k in zip(table, net.blocks, space.choices, strict=True):
                if option < k:
                    options.append(milliseconds(block, x))
                x = block(x)
            fixed = milliseconds(net.stem, image) + milliseconds(net.head, x)
            progress.advance()
        sums = LatencyTable(fixed, table, 0.0)
        nets = space.sample(np.random.default_rng(0), WHOLE)
        whole = [milliseconds(space.build(encoding).to(device).eval(), image) for encoding in nets]
    error = float(np.median(np.abs(sums.cost(nets) / whole - 1)))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"space": space.spec, "device": name, "fixed": fixed, "table": table, "error": error}


def milliseconds(module: Callable[[torch.Tensor], torch.Tensor] | nn.Module, x: torch.Tensor) -> float:
    """The median over repeated runs, after some that do not count."""
    return median([_once(module, x) for _ in range(WARM_UP + REPEATS)][WARM_UP:])


def _once(module: nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    module(x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return (time.perf_counter() - start) * 1e3
