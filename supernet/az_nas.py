"""What can be told of an architecture before any training: AZ-NAS (arXiv 2403.19232).

Four measures of a network with random weights, on one batch of images, block by block. Expressivity: over how many
directions the features of all blocks spread. Progressivity: how many more they are after a block than before it, where
that is least. Trainability: how near to isometries the blocks' Jacobians are. Complexity: multiply-adds. What is bad by
one of them is bad, however good by the others: the logarithms of its ranks add up (section 3.5).

Where we differ: one draw of the weights tells little, so blocks are measured in a few untrained supernets and averaged;
ranks are among networks as if normally distributed, so that none is beyond them; a block that is the identity counts as
any other, so that a network of few blocks does not seem the better one.
Shapes: B images, C channels, N architectures, R of them for reference, L decisions, D blocks, M measures.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple, final

import numpy as np
import torch
from scipy.special import log_ndtr
from torch import nn
from torch.nn import functional as F

from search_spaces import SearchSpace
from supernet import model, trie
from supernet.data import Data
from supernet.kernels import quicken
from supernet.model import ChainSupernet, Supernet

IMAGES = 64  # of a batch, as in the paper
DRAWS = 3  # of the weights
REFERENCE = 100  # random networks, among which others rank
WORST = -3.0  # deviations: outliers are no worse
QUARTILE = 0.6745  # deviations of a normal distribution from its median
PLACES = 64  # of blocks, whose signs are remembered
SMALL = 1e-6  # keeps what divides by nothing finite


def expressivity(features: torch.Tensor) -> float:
    """Entropy, in nats, of the shares of variance along the principal axes of features (B, C, H, W); 0 without any
    variance (equation 2).
    """
    pixels = features.permute(0, 2, 3, 1).flatten(0, 2)
    pixels = pixels - pixels.mean(0)
    axes = torch.linalg.eigvalsh((pixels.T @ pixels).double().cpu()).clamp(min=0)
    return torch.special.entr(axes / axes.sum()).sum().item() if axes.sum() > 0 else 0.0


def trainability(gradient: torch.Tensor | None, signs: torch.Tensor) -> float:
    """0 for an isometry, less for others: what a block makes of random signs (B, C', H', W') at its outputs is a
    gradient (B, C, H, W) at its inputs; by the largest singular value of what takes one to the other (equation 7).
    """
    if gradient is None:
        return 2 - 1 / SMALL
    gradient = F.pixel_unshuffle(gradient, gradient.shape[-1] // signs.shape[-1])
    inputs, outputs = (side.permute(0, 2, 3, 1).flatten(0, 2) for side in (gradient, signs))
    norm = torch.linalg.matrix_norm((inputs.T @ outputs).double().cpu() / len(outputs), 2).item()
    return 2 - norm - 1 / (norm + SMALL)


class State(NamedTuple):
    """`outputs` of blocks that the next one reads, the last being the block before; and what was measured so far."""

    outputs: tuple[torch.Tensor, ...]
    entropies: tuple[float, ...]  # of the stem and D blocks
    norms: tuple[float, ...] = ()  # of D blocks


def through(block: Callable[..., torch.Tensor], state: State, place: int) -> State:
    """The state after another block."""
    *earlier, before = state.outputs
    leaf = before.detach().requires_grad_()
    with torch.enable_grad():
        output = block(*earlier, leaf.clone())  # which some overwrite
    signs = _signs(place, output.shape, output.device).float()
    gradient = torch.autograd.grad(output, leaf, signs)[0] if output.requires_grad else None
    output = output.detach()
    measured = (*state.entropies, expressivity(output)), (*state.norms, trainability(gradient, signs))
    return State((*state.outputs[1:], output), *measured)


@lru_cache(maxsize=PLACES)
def _signs(place: int, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """Random ones, always the same at a place: (B, C, H, W) int8. Drawing them takes longer than a GPU's block."""
    generator = torch.Generator().manual_seed(place)
    return (torch.randint(0, 2, shape, generator=generator) * 2 - 1).to(device, torch.int8)


def assembled(measures: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Measures (N, M) -> (N,): by each the logarithm of the share of networks like the reference (R, M) that is no
    better, added up; and of that the cube root, which is nearly normal (Fisher's method, by Wilson and Hilferty 1931),
    so that few bad networks do not set the scale.
    """
    low, middle, high = np.percentile(reference, (25, 50, 75), axis=0)
    deviation = np.maximum((high - low) / (2 * QUARTILE), SMALL)
    shares = log_ndtr(np.maximum((measures - middle) / deviation, WORST))
    return np.cbrt(shares.mean(1))


@final
class AzNas:
    """`assembled` measures of encodings (N, L), on the first training images, with weights drawn by the seed."""

    def __init__(self, space: SearchSpace, data: Data, seed: int):
        self.space, generator = space, torch.Generator().manual_seed(seed)
        self.nets = [_untrained(space, generator).to(data.mean.device) for _ in range(DRAWS)]
        self.images = data.normalise(data.train.images[:IMAGES])  # which are in random order
        drawn = np.unique(space.sample(np.random.default_rng(seed), REFERENCE), axis=0)
        self.reference = self.measures(drawn)
        self._known = dict(zip(map(tuple, drawn.tolist()), self.reference, strict=True))  # `Mending.of` draws them too

    def __call__(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, the higher the better."""
        keys = list(map(tuple, np.asarray(encodings).tolist()))
        new = [i for i, key in enumerate(keys) if key not in self._known]
        known = self._known | dict(zip((keys[i] for i in new), self.measures(encodings[new]), strict=True))
        return assembled(np.array([known[key] for key in keys]).reshape(-1, 4), self.reference)

    def measures(self, encodings: np.ndarray, walk: bool = True) -> np.ndarray:
        """(N, L) ints -> (N, 4): expressivity, progressivity, trainability, log of the multiply-adds. Equal first
        layers of chains are measured once; without `walk`, the definition, each path is a network of its own.
        """
        if not len(encodings):
            return np.empty((0, 4))
        found = [self._states(net, np.asarray(encodings), walk) for net in self.nets]
        entropies = np.mean([[state.entropies for state in states] for states in found], axis=0)  # (N, 1 + D)
        norms = np.mean([[state.norms for state in states] for states in found], axis=0)  # (N, D)
        size = np.log(self.space.cost(encodings)[:, 0])
        return np.column_stack([entropies.sum(1), np.diff(entropies).min(1), norms.mean(1), size])

    def _states(self, net: Supernet, encodings: np.ndarray, walk: bool) -> list[State]:
        """At the end of every network."""
        stem = net.stem(self.images)
        chain = isinstance(net, ChainSupernet)
        root = State((stem,) if chain else net.entry(stem), (expressivity(stem),))
        if not (chain and walk):
            paths = map(net.path, encodings)
            return [_along(path.blocks if chain else path.cells, root) for path in paths]
        walked = trie.walk(encodings, root, lambda state, i, option: through(net.layers[i][option], state, i))
        found = {row: state._replace(outputs=()) for row, state in walked}
        return [found[row] for row in range(len(encodings))]


def _along(blocks: Iterable[nn.Module], state: State) -> State:
    for place, block in enumerate(blocks):
        state = through(block, state, place)
    return state._replace(outputs=())


def _untrained(space: SearchSpace, generator: torch.Generator) -> Supernet:
    """A supernet whose BatchNorms take the statistics of the batch, and whose blocks do not begin as the identity."""
    net = quicken(model.build(space, generator)).to(memory_format=torch.channels_last)
    for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 0.0
        if norm.affine:
            nn.init.ones_(norm.weight)
    return net.train().requires_grad_(False)
