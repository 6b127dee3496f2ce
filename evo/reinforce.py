"""Mutations that are not blind (MoreMNAS, arXiv 1901.01074; FairNAS, arXiv 1907.01845): a learned controller for what
is hard to know, a roulette wheel for what is cheap to compute, and a regulator that repeats what the front repeats.

Each draws about half the decisions of a crossover's child anew. Shapes: n encodings, L decisions, K options of the
decision that has most, H hidden.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from evo.proposers import Encodings, Proposer, State, children, parts

HIDDEN = 16
CLIP, EPOCHS, LR = 0.2, 2, 0.03  # PPO (arXiv 1707.06347), equation 7
UNIFORM = 0.1  # of the draws are blind, so that no option ever dies out
RECENT = 500  # of what was told, by which costs of options are judged
BATCH = 128  # proposals with their reward, before the policy takes a step


class Policy(nn.Module):
    """p(encoding) as a product over decisions, each given those before it. Uniform until it is trained."""

    def __init__(self, choices: Sequence[int], seed: int = 0):
        super().__init__()
        decisions, most = len(choices), max(choices)
        start = torch.randn(decisions * most, HIDDEN, generator=torch.Generator().manual_seed(seed))
        self.embedding = nn.Parameter(start)  # of option k of decision l: row l * most + k
        self.weight = nn.Parameter(torch.zeros(decisions, HIDDEN, most))
        illegal = torch.arange(most) >= torch.tensor(choices)[:, None]
        self.bias = nn.Parameter(torch.zeros(decisions, 1, most).masked_fill(illegal[:, None], -torch.inf))
        self.register_buffer("first", torch.arange(decisions)[:, None] * most)

    def log_probability(self, encodings: torch.Tensor) -> torch.Tensor:
        """(n, L) -> log p(encoding), (n,)."""
        options = encodings.T  # (L, n)
        chosen = functional.embedding(options + self.first, self.embedding)  # (L, n, H)
        context = torch.tanh(chosen.cumsum(0) - chosen)
        log_p = torch.baddbmm(self.bias, context, self.weight).log_softmax(-1)
        return log_p.gather(2, options[:, :, None]).sum((0, 2))

    def redraw(self, rng: np.random.Generator, encodings: Encodings, chosen: np.ndarray) -> Encodings:
        """The decisions marked in `chosen` (n, L), each drawn given what stands before it (by the Gumbel trick)."""
        embedding, weight, bias = (p.detach().numpy() for p in (self.embedding, self.weight, self.bias))
        embedding = embedding.reshape(len(weight), -1, HIDDEN)
        encodings, context = encodings.T.copy(), np.zeros((len(encodings), HIDDEN), dtype=np.float32)
        noise = rng.gumbel(size=(len(weight), len(context), weight.shape[2])).astype(np.float32) + bias
        for options, anew, *layer in zip(encodings, chosen.T, embedding, weight, noise, strict=True):
            logits = np.tanh(context) @ layer[1]
            logits += layer[2]
            np.copyto(options, logits.argmax(1), where=anew)
            context += layer[0].take(options, axis=0)
        return encodings.T


class Controller(Proposer):
    """The policy, trained by PPO on what became of its proposals."""

    name = "controller"

    def __init__(self, choices: Sequence[int], seed: int = 0):
        self.policy = Policy(choices, seed)
        self.parameters = list(self.policy.parameters())
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        self.steps = 0
        self.waiting: list[tuple[Encodings, np.ndarray]] = []

    def propose(self, rng, state, n):
        crossed = children(rng, state, n)
        anew = parts(rng, *crossed.shape)
        blind = np.where(rng.random(anew.shape) < UNIFORM, rng.integers(state.choices, size=anew.shape), crossed)
        return self.policy.redraw(rng, np.where(anew, blind, crossed), anew & (blind == crossed))

    def learn(self, encodings, reward):
        self.waiting.append((encodings, reward))
        if sum(len(reward) for _, reward in self.waiting) >= BATCH:
            encodings, reward = (np.concatenate(column) for column in zip(*self.waiting, strict=True))
            self.waiting.clear()
            self._update(torch.from_numpy(encodings), torch.from_numpy(reward).float())

    def _update(self, encodings: torch.Tensor, reward: torch.Tensor) -> None:
        advantage, before = (reward - reward.mean()) / (reward.std() + 1e-6), None
        for _ in range(EPOCHS):
            after = self.policy.log_probability(encodings)
            before = after.detach() if before is None else before
            ratio = (after - before).exp()
            gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
            self._climb(torch.autograd.grad(gain.mean(), self.parameters))

    @torch.no_grad()
    def _climb(self, gradients: Sequence[torch.Tensor]) -> None:
        """A step of Adam (arXiv 1412.6980); torch.optim's takes seconds to import."""
        self.steps += 1
        for parameter, gradient, (mean, square) in zip(self.parameters, gradients, self.moments, strict=True):
            mean.lerp_(gradient, 0.1)
            square.lerp_(gradient**2, 0.001)
            scale = (square / (1 - 0.999**self.steps)).sqrt_() + 1e-8
            parameter += LR / (1 - 0.9**self.steps) * mean / scale


class Roulette(Proposer):
    """Cheap options get larger slices, for one of the cheap objectives at a time; none are proposed without such."""

    name = "roulette"

    def propose(self, rng, state, n):
        if not state.cheap:
            return np.empty((0, len(state.choices)), dtype=np.int64)
        cost = state.objectives[-RECENT:, rng.choice(list(state.cheap))]
        decisions = zip(state.encodings[-RECENT:].T, state.choices, strict=True)
        return spin(rng, state, np.concatenate([cheapness(options, cost, k) for options, k in decisions]), n)

    def learn(self, encodings, reward):
        pass


class Regulator(Proposer):
    """Prior knowledge: what the front has often is drawn often."""

    name = "regulator"

    def propose(self, rng, state, n):
        options = state.encodings[state.front] + firsts(state.choices)
        return spin(rng, state, np.bincount(options.ravel(), minlength=sum(state.choices)) + 1.0, n)

    def learn(self, encodings, reward):
        pass


def cheapness(options: np.ndarray, cost: np.ndarray, k: int) -> np.ndarray:
    """Options (T,) of one decision and costs (T,) -> (k,): exp(-z) of each option's mean cost, z over the options."""
    count = np.bincount(options, minlength=k)
    mean = np.bincount(options, cost - cost.mean(), minlength=k) / np.maximum(count, 1)
    return np.exp(-(mean - mean.mean()) / (mean.std() or 1.0))


def spin(rng: np.random.Generator, state: State, slices: np.ndarray, n: int) -> Encodings:
    """n children; about half the decisions of each are drawn anew, options by the size of their slices.

    `slices` (sum of the choices,) are those of the first decision's options, then of the second's, and so on.
    """
    crossed, first, choices = children(rng, state, n), firsts(state.choices), np.array(state.choices)
    wheels = np.cumsum(slices / np.repeat(np.add.reduceat(slices, first), choices))  # one turn each
    turned = np.arange(len(first))[:, None] + rng.random((len(first), n))
    drawn = np.searchsorted(wheels, turned).T - first
    return np.where(parts(rng, *crossed.shape), drawn.clip(0, choices - 1), crossed)


def firsts(choices: Sequence[int]) -> np.ndarray:
    """(L,): where each decision's options begin, if all options stand in one row."""
    return np.cumsum([0, *choices[:-1]])
