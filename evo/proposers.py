"""Who may propose architectures: one face, and the plain leaves. The learned ones: reinforce.py, predictor.py.

Shapes: T told, P population, n proposed, L decisions, M objectives.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from evo import variation

Encodings = np.ndarray


class State(NamedTuple):
    """What a proposer may look at: everything told, and who survives of it."""

    choices: tuple[int, ...]
    encodings: Encodings  # (T, L), in the order told
    objectives: np.ndarray  # (T, M), minimised
    violation: np.ndarray  # (T,)
    population: np.ndarray  # (P,) indices of survivors, best first
    rank: np.ndarray  # (P,)
    crowding: np.ndarray  # (P,)
    front: np.ndarray  # indices of all told that meet the limits and nobody dominates
    fresh: Callable[[Encodings], Encodings]  # canonical, each once, never asked, within the free limits
    cheap: dict[int, Callable[[Encodings], np.ndarray]]  # columns of the objectives that cost nothing


class Proposer(ABC):
    """Proposes new architectures and may learn from what became of them.

    What it does must be a function of its arguments and of what it was told: a resumed search replays the telling only.
    """

    name: str

    @abstractmethod
    def propose(self, rng: np.random.Generator, state: State, n: int) -> Encodings:
        """About n encodings (any number, L), the best first. The engine drops those that are not new."""

    @abstractmethod
    def learn(self, encodings: Encodings, reward: np.ndarray) -> None:
        """Of its proposals (n, L): the higher the reward (n,), the better; see `engine.rewards`."""


class Natural(Proposer):
    """NSGA-II's own children: crossover of tournament winners; with probability `mutation` then random mutation."""

    name = "natural"

    def __init__(self, mutation: float = 0.8):
        self.mutation = mutation

    def propose(self, rng, state, n):
        crossed = children(rng, state, n)
        mutated = variation.mutate(rng, state.choices, crossed, 1 / len(state.choices))
        return np.where(rng.random((n, 1)) < self.mutation, mutated, crossed)

    def learn(self, encodings, reward):
        pass


def children(rng: np.random.Generator, state: State, n: int) -> Encodings:
    """(n, L): uniform crossover of parents who won a tournament."""
    chosen = state.population[variation.tournament(rng, state.rank, state.crowding, 2 * n)]
    return variation.crossover(rng, *state.encodings[chosen].reshape(2, n, -1))


def parts(rng: np.random.Generator, n: int, decisions: int, rate: float = 0.5) -> np.ndarray:
    """(n, L) bool: which decisions are drawn anew, each with probability `rate` and at least one."""
    chosen = rng.random((n, decisions)) < rate
    chosen[np.arange(n), rng.integers(decisions, size=n)] = True
    return chosen
