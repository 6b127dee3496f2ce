"""Latency as an objective: milliseconds of each option at each place, measured on the user's own device, one image
at once.

latency.json: {"format": 1, "space": what `search_spaces.load` takes, "device": ..., "fixed": ms of all that is not
chosen, "table": [[ms of each option] of each place], "error": how far sums are off whole networks, relative}.
Shapes: N population, L decisions.
"""

import time
from collections.abc import Callable
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from search_spaces import SearchSpace
from search_spaces.space import Part
from supernet.files import load_json, save_json
from supernet.progress import Progress

WARM_UP, REPEATS = 3, 15  # runs of a module, and those whose median counts
MEND = "take the latency.json of a run, or measure again without this one"
WHOLE = 8  # random networks that say what the fixed rest takes, and as many against which the sums are checked


class LatencyTable:
    """`cost` is a gather and a sum; `error` the median relative difference to whole networks when it was measured."""

    def __init__(self, space: SearchSpace, fixed: float, table: list[list[float]], error: float):
        self.space, self.fixed, self.table, self.error = space, fixed, table, error
        self.padded = np.zeros((len(table), max(map(len, table))))
        for row, options in zip(self.padded, table, strict=True):
            row[: len(options)] = options

    def cost(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) -> (N,): milliseconds."""
        return self.fixed + self.padded[self.space.picked(encodings)].sum(1)

    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest latency of the space."""
        low, high = self.space.extremes(self.table)
        return self.fixed + low, self.fixed + high


def load_or_measure(path: Path, space: SearchSpace, device: torch.device) -> LatencyTable:
    """The table at `path`; where there is none, measured now and written there. ValueError if it is another space's."""
    if not path.exists():
        table = measure(space, device)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_json(path, table)
    content = load_json(path, {"space", "fixed", "table", "error"}, MEND)
    fixed, table, error = _numbers(path, content)
    if content["space"] != space.spec or list(map(len, table)) != list(map(len, space.parts())):
        raise ValueError(f"{path} was measured on another space: {content['space']}, not {space.spec}")
    return LatencyTable(space, fixed, table, error)


def _numbers(path: Path, content: dict) -> tuple[float, list[list[float]], float]:
    """What is fixed, the table and its error; ValueError if they are no times."""
    try:
        fixed, error = float(content["fixed"]), float(content["error"])
        table = [[float(time) for time in row] for row in content["table"]]
    except (TypeError, ValueError) as wrong:
        raise ValueError(f"{path} is no latency table ({wrong}); {MEND}") from wrong
    if not all(0 <= number < np.inf for number in (fixed, error, *chain(*table))):
        raise ValueError(f"{path} has times that are negative or not finite; {MEND}")
    return fixed, table, error


def measure(space: SearchSpace, device: torch.device) -> dict:
    """What latency.json holds, without its format."""

    @cache
    def timed(part: Part) -> float:
        return milliseconds(part.make().to(device).eval(), _image(part.shape, device))

    places, nets = space.parts(), space.sample(np.random.default_rng(0), 2 * WHOLE)
    image = _image((space.in_channels, space.image_size, space.image_size), device)
    table, whole = [], []
    with Progress("latency", len(places) + len(nets)) as progress, torch.inference_mode():
        for options in places:
            table.append([sum(map(timed, parts)) for parts in options])
            progress.advance()
        for net in nets:
            whole.append(milliseconds(space.build(net).to(device).eval(), image))
            progress.advance()
    rest = whole - LatencyTable(space, 0.0, table, 0.0).cost(nets)
    fixed = max(0.0, float(np.median(rest[:WHOLE])))
    error = float(np.median(np.abs((fixed - rest) / whole)[WHOLE:]))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"space": space.spec, "device": name, "fixed": fixed, "table": table, "error": error}


def _image(shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    return torch.randn((1, *shape), generator=torch.Generator().manual_seed(0)).to(device)


def milliseconds(module: Callable[[torch.Tensor], torch.Tensor] | nn.Module, x: torch.Tensor) -> float:
    """The median over repeated runs, after some that do not count."""
    return median([_once(module, x) for _ in range(WARM_UP + REPEATS)][WARM_UP:])


def _once(module: nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    module(x)
    if x.is_cuda:
        torch.cuda.synchronize(x.device)
    return (time.perf_counter() - start) * 1e3
