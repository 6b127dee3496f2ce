"""What networks reach when they are trained alone: from a published table, or trained here, from scratch.

Shapes: N networks, L decisions.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from results import stand_alone
from results.recipes import Recipe
from results.stand_alone import Files
from search_spaces import SearchSpace
from search_spaces.blocks import initialise
from supernet import lock
from supernet.compute import precision
from supernet.data import Data
from supernet.kernels import quicken
from supernet.memory import Context
from supernet.table import TableOracle

Truth = Callable[[np.ndarray], np.ndarray]  # encodings (N, L) -> accuracies (N,)
PARTS = ("test", "score")  # images that judge a network trained alone: unseen ones, and those that a search may know


def from_table(path: str, space: SearchSpace) -> Truth:
    """The table at `path`; ValueError if it is not one of this space."""
    oracle = TableOracle(path)
    choices = (oracle.table.encodings.max(0) + 1).tolist()
    if choices != list(space.choices):
        raise ValueError(
            f"{path} does not match the run's space: its decisions have {_show(choices)} options, those of "
            f"{space.name} {_show(space.choices)}; give the table of {space.name}, or leave out --table"
        )
    return oracle.accuracy


def _show(choices: Sequence[int]) -> str:
    return ", ".join(map(str, choices))


def trained(
    folder: Path, space: SearchSpace, data: Data, recipe: Recipe, seed: int, context: Context, encodings: np.ndarray
) -> np.ndarray:
    """Accuracies (2, N) of the networks (N, L) after this recipe, by PARTS. Checkpoints in `folder`: called again, it
    goes on.

    A folder of its own for every recipe and seed, so that truths of different budgets never mix.
    """
    key = hashlib.blake2b(json.dumps([vars(recipe), seed]).encode(), digest_size=4).hexdigest()
    accuracies = []
    for i, encoding in enumerate(encodings.tolist()):
        path, title = folder / key / f"{space.code(encoding)}.safetensors", f"network {i + 1} of {len(encodings)}"
        accuracies.append(alone(path, title, encoding, space, data, recipe, seed, context))
    return np.array(accuracies).reshape(-1, len(PARTS)).T


def alone(
    path: Path,
    title: str,
    encoding: Sequence[int],
    space: SearchSpace,
    data: Data,
    recipe: Recipe,
    seed: int,
    context: Context,
) -> list[float]:
    """Accuracies of one network trained from scratch, by PARTS."""
    net = space.build(encoding)
    initialise(net, torch.Generator().manual_seed(seed))
    net = quicken(net).to(data.mean.device, memory_format=torch.channels_last)
    meta = {"kind": "stand-alone", "space": space.spec, "encoding": encoding, "seed": seed, "recipe": vars(recipe)}
    meta |= precision(context)
    files = Files(path, path.with_suffix(".last.safetensors"))
    with lock.hold(path.with_name(lock.NAME)):
        stand_alone.fit(net, data, recipe, seed, files, meta, title, context=context)
    return [stand_alone.scores(net, getattr(data, part), data.normalise, context)["accuracy"] for part in PARTS]
