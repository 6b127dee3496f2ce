"""Mutations that are not blind (MoreMNAS, arXiv 1901.01074; FairNAS, arXiv 1907.01845): a learned controller for what
is hard to know, a roulette wheel for what is cheap to compute, and a regulator that repeats what the front repeats.

Each draws about half the decisions of a crossover's child anew. Shapes: n encodings, L decisions, K options of the
decision that has most, H hidden.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from evo.proposers import Encodings, Proposer, State, children, parts

HIDDEN = 16
CLIP, EPOCHS, LR, ENTROPY = 0.2, 3, 0.03, 0.01  # PPO (arXiv 1707.06347), section 3 and 5
RECENT = 500  # of what was told, by which costs of options are judged
BATCH = 32  # proposals with their reward, before the policy takes a step


class Policy(nn.Module):
    """p(encoding) as a product over decisions, each given those before it. Uniform until it is trained."""

    def __init__(self, choices: Sequence[int], seed: int = 0):
        super().__init__()
        shape, generator = (len(choices), max(choices)), torch.Generator().manual_seed(seed)
        self.embedding = nn.Parameter(torch.randn(*shape, HIDDEN, generator=generator))
        self.weight = nn.Parameter(torch.zeros(len(choices), HIDDEN, max(choices)))
        self.bias = nn.Parameter(torch.zeros(shape))
        legal = torch.arange(max(choices)) < torch.tensor(choices)[:, None]
        self.register_buffer("illegal", torch.zeros(shape).masked_fill(~legal, -torch.inf))

    def log_probability(self, encodings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(n, L) -> log p(encoding) (n,), and the entropy of the decisions it meets, summed, (n,)."""
        layers = torch.arange(encodings.shape[1])
        chosen = self.embedding[layers, encodings]  # (n, L, H)
        context = torch.tanh(chosen.cumsum(1) - chosen)
        logits = torch.einsum("nlh,lhk->nlk", context, self.weight) + self.bias + self.illegal
        log_p = logits.log_softmax(-1)
        entropy = -(log_p.exp() * log_p.clamp(min=-1e9)).sum((1, 2))
        return log_p.gather(2, encodings[:, :, None]).sum((1, 2)), entropy

    def redraw(self, rng: np.random.Generator, encodings: Encodings, chosen: np.ndarray) -> Encodings:
        """The decisions marked in `chosen` (n, L), each drawn given what stands before it."""
        embedding, weight, bias, illegal = (
            tensor.detach().numpy() for tensor in (self.embedding, self.weight, self.bias, self.illegal)
        )
        encodings, context = encodings.copy(), np.zeros((len(encodings), HIDDEN), dtype=np.float32)
        for layer in range(encodings.shape[1]):
            logits = np.tanh(context) @ weight[layer] + bias[layer] + illegal[layer]
            drawn = draw(rng, logits)
            encodings[:, layer] = np.where(chosen[:, layer], drawn, encodings[:, layer])
            context += embedding[layer, encodings[:, layer]]
        return encodings


def draw(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    """(n, K) -> (n,): one option of each row, with the probabilities whose logs these are (the Gumbel trick)."""
    return (logits + rng.gumbel(size=logits.shape)).argmax(-1)


class Controller(Proposer):
    """The policy, trained by PPO on what became of its proposals."""

    name = "controller"

    def __init__(self, choices: Sequence[int], seed: int = 0):
        self.policy = Policy(choices, seed)
        self.optimiser = torch.optim.Adam(self.policy.parameters(), lr=LR)
        self.waiting: list[tuple[Encodings, np.ndarray]] = []

    def propose(self, rng, state, n):
        crossed = children(rng, state, n)
        return self.policy.redraw(rng, crossed, parts(rng, *crossed.shape))

    def learn(self, encodings, reward):
        self.waiting.append((encodings, reward))
        if sum(len(reward) for _, reward in self.waiting) >= BATCH:
            encodings, reward = (np.concatenate(column) for column in zip(*self.waiting, strict=True))
            self.waiting.clear()
            self._update(torch.from_numpy(encodings), torch.from_numpy(reward).float())

    def _update(self, encodings: torch.Tensor, reward: torch.Tensor) -> None:
        advantage = (reward - reward.mean()) / (reward.std() + 1e-6)
        with torch.no_grad():
            before, _ = self.policy.log_probability(encodings)
        for _ in range(EPOCHS):
            after, entropy = self.policy.log_probability(encodings)
            ratio = (after - before).exp()
            surrogate = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
            self.optimiser.zero_grad()
            (-surrogate.mean() - ENTROPY * entropy.mean()).backward()
            self.optimiser.step()


class Roulette(Proposer):
    """Cheap options get larger slices, for one of the cheap objectives at a time; none are proposed without such."""

    name = "roulette"

    def propose(self, rng, state, n):
        if not state.cheap:
            return np.empty((0, len(state.choices)), dtype=np.int64)
        cost = state.objectives[-RECENT:, rng.choice(list(state.cheap))]
        decisions = zip(state.encodings[-RECENT:].T, state.choices, strict=True)
        return spin(rng, state, [cheapness(options, cost, k) for options, k in decisions], n)

    def learn(self, encodings, reward):
        pass


class Regulator(Proposer):
    """Prior knowledge: what the front has often is drawn often."""

    name = "regulator"

    def propose(self, rng, state, n):
        decisions = zip(state.encodings[state.front].T, state.choices, strict=True)
        return spin(rng, state, [np.bincount(options, minlength=k) + 1.0 for options, k in decisions], n)

    def learn(self, encodings, reward):
        pass


def cheapness(options: np.ndarray, cost: np.ndarray, k: int) -> np.ndarray:
    """Options (T,) of one decision and costs (T,) -> (k,): exp(-z) of each option's mean cost, z over the options."""
    count = np.bincount(options, minlength=k)
    mean = np.bincount(options, cost - cost.mean(), minlength=k) / np.maximum(count, 1)
    return np.exp(-(mean - mean.mean()) / (mean.std() or 1.0))


def spin(rng: np.random.Generator, state: State, slices: Sequence[np.ndarray], n: int) -> Encodings:
    """n children; about half the decisions of each are drawn anew, options by the size of their slices, L x (K,)."""
    crossed = children(rng, state, n)
    edges = [np.cumsum(each) / each.sum() for each in slices]
    drawn = np.stack([np.searchsorted(edge[:-1], rng.random(n)) for edge in edges], axis=1)
    return np.where(parts(rng, *crossed.shape), drawn, crossed)
