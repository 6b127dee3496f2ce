"""A space that narrows while its supernet trains: the worst-ranked options are trained no further.

After arXiv 2010.08219. Dropped options keep the weights they had, so every architecture can still be scored.
Shapes: L decisions, K options of a decision (the most), N networks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.decisions import Slots
from supernet.fairness import Sampler

ASKED = 100  # random networks whose accuracies rank the options
BEGIN, END = 1 / 3, 2 / 3  # of the training: options are dropped in between


def watch(net: nn.Module, space: SearchSpace) -> None:
    """From now on `net` holds, with its state, which options are open and how many epochs it has trained.

    ValueError if the decisions of the space are not one operation each.
    """
    if isinstance(space, Cell) and isinstance(space.decisions, Slots):
        raise ValueError(f"--prune is for spaces whose decisions are one operation each; those of {space.name} are not")
    options = torch.arange(max(space.choices))
    net.register_buffer("open", options < torch.tensor(space.choices)[:, None])
    net.register_buffer("epochs", torch.tensor(0))


def draw(net: nn.Module, sample: Sampler, seed: int, step: int) -> np.ndarray:
    """The paths (P, L) of a step, of open options alone."""
    options = [np.flatnonzero(row) for row in net.open.cpu().numpy()]
    paths = sample([len(row) for row in options], seed, step)
    return np.stack([row[column] for row, column in zip(options, paths.T, strict=True)], axis=1)


def after_epoch(net: nn.Module, share: float, choices: Sequence[int], epochs: int, seed: int, score: Callable) -> None:
    """Drops as many more options as are due after this one of the `epochs`; `score`: encodings (N, L) -> (N,).

    In the end the `share` of all that can be dropped is, for one option of every decision stays.
    """
    net.epochs += 1
    progress = (net.epochs.item() / epochs - BEGIN) / (END - BEGIN)
    due = round(share * sum(k - 1 for k in choices) * min(1.0, max(0.0, progress)))
    dropped = sum(choices) - int(net.open.sum())
    if due > dropped:
        encodings = np.concatenate([draw(net, _uniform, seed, n) for n in range(ASKED)])
        for decision, option in worst(net.open.cpu().numpy(), encodings, score(encodings))[: due - dropped]:
            net.open[decision, option] = False


def _uniform(choices: Sequence[int], seed: int, step: int) -> np.ndarray:
    return np.random.default_rng((seed, step)).integers(choices, size=(1, len(choices)))


def worst(open_: np.ndarray, encodings: np.ndarray, scores: np.ndarray) -> list[tuple[int, int]]:
    """Open options (decision, option), the one first whose networks are furthest behind those of the decision's best.

    open_ (L, K), encodings (N, L), scores (N,). The best of each decision is not among them, nor what no network has.
    """
    behind = []
    for decision, column in enumerate(encodings.T):
        mean = {k: scores[column == k].mean() for k in np.flatnonzero(open_[decision]).tolist() if (column == k).any()}
        best = max(mean, key=mean.get)
        behind += [(mean[best] - mean[k], decision, k) for k in mean if k != best]
    return [(decision, option) for _, decision, option in sorted(behind, reverse=True)]
