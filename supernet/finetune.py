"""Networks that train a little alone on what they inherit, before they are scored.

Shapes: N population, L decisions.
"""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import torch
from torch import nn

from supernet.data import Data
from supernet.draws import seeded
from supernet.fit import Recipe
from supernet.model import Supernet
from supernet.oracle import SupernetOracle

SLOWER = 0.1  # the share of the training's initial learning rate


class FinetunedOracle:
    """The supernet oracle's face: each architecture first trains `steps` mini-batches (arXiv 2001.01431).

    All see the same mini-batches, a function of the seed. The supernet's own weights stay as they are.
    """

    def __init__(self, net: Supernet, oracle: SupernetOracle, data: Data, recipe: Recipe, steps: int, seed: int):
        self.net, self.oracle, self.data, self.recipe, self.steps, self.seed = net, oracle, data, recipe, steps, seed

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1]."""
        return np.array([self._score(encoding) for encoding in np.asarray(encodings).tolist()])

    def _score(self, encoding: list[int]) -> float:
        model = self._trained(encoding)
        with self.oracle.context():
            return self.oracle.alone(model)

    def _trained(self, encoding: list[int]) -> nn.Module:
        model, recipe = self.net.extract(encoding).train(), self.recipe
        settings = {"momentum": recipe.momentum, "weight_decay": recipe.weight_decay}
        optimizer = torch.optim.SGD(model.parameters(), SLOWER * recipe.lr, **settings)
        with seeded(self.seed, self.data.mean.device):  # dropout
            for images, labels in islice(self._batches(), self.steps):
                optimizer.zero_grad()
                with self.oracle.context():
                    loss = recipe.loss(model(images), labels)
                loss.backward()
                optimizer.step()
        return model

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for epoch in count():
            yield from self.data.batches(self.recipe.batch_size, np.random.default_rng((self.seed, epoch)))
