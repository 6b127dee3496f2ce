"""The engine: ask / tell, and nothing else.

NSGA-II (Deb et al. 2002) over encodings that never asks for the same architecture twice.
Shapes: N evaluated, n asked, L decisions, M objectives, all minimised.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from evo import survival, variation

ROUNDS = 50  # of children without enough new ones, before the engine looks elsewhere
ENUMERABLE = 100_000  # encodings that are listed one by one when chance no longer finds new ones

Encodings = np.ndarray


class NSGA2:
    """What has been told, who survives of it, and who is asked next.

    `canonical` maps encodings (n, L) to equal ones for equal networks. `free_violation` (n, L) -> (n,) says what
    limits are missed by, as far as that costs nothing: such architectures are never asked.
    """

    def __init__(
        self,
        choices: Sequence[int],
        population: int = 70,
        canonical: Callable[[Encodings], Encodings] = lambda encodings: encodings,
        free_violation: Callable[[Encodings], np.ndarray] | None = None,
    ):
        if population < 2:
            raise ValueError(f"the population must be at least 2, got {population}")
        if not len(choices) or min(choices) < 1:
            raise ValueError(f"every decision needs at least one option, got choices {tuple(choices)}")
        self.choices, self.size = tuple(map(int, choices)), population
        self.canonical, self.free_violation = canonical, free_violation
        self.seen: set[bytes] = set()
        self.encodings = np.empty((0, len(choices)), dtype=np.int64)  # the population's, (size, L)
        self.objectives, self.violation = np.empty((0, 0)), np.empty(0)
        self.rank, self.crowding = np.empty(0), np.empty(0)

    def ask(self, rng: np.random.Generator, n: int | None = None) -> Encodings:
        """Up to n (default: the population) new architectures, (<= n, L); none if there are no more."""
        n = self.size if n is None else n
        new: dict[bytes, np.ndarray] = {}
        if len(self.encodings):
            self._collect(new, n, lambda: self._children(rng))
        if len(new) < n:
            self._collect(new, n, lambda: self._sample(rng, self.size))
        if len(new) < n and self.free_violation is not None:
            self._collect(new, n, lambda: self.within_limits(rng, self.size), rounds=1)
        if len(new) < n and math.prod(self.choices) <= max(ENUMERABLE, 2 * len(self.seen)):
            self._collect(new, n, self._everything, rounds=1)
        return np.array(list(new.values()), dtype=np.int64).reshape(-1, len(self.choices))

    def tell(self, encodings: Encodings, objectives: np.ndarray, violation: np.ndarray | None = None) -> None:
        """The values (n, M) of what was asked (n, L), and what limits it misses by (n,). ValueError if not finite."""
        objectives = _finite(encodings, objectives)
        violation = np.zeros(len(encodings)) if violation is None else violation
        self.seen.update(row.tobytes() for row in np.ascontiguousarray(encodings, dtype=np.int64))
        if len(self.encodings):
            encodings = np.concatenate([self.encodings, encodings])
            objectives = np.concatenate([self.objectives, objectives])
            violation = np.concatenate([self.violation, violation])
        best, self.rank, self.crowding = survival.survive(objectives, violation, self.size)
        self.encodings, self.objectives, self.violation = encodings[best], objectives[best], violation[best]

    def within_limits(self, rng: np.random.Generator, n: int) -> Encodings:
        """Up to n distinct architectures that meet the free limits, found by evolving on the violation alone.

        Bounded: where chance finds none, it returns the n that come nearest.
        """
        pool = self._sample(rng, 4 * n)
        for _ in range(ROUNDS):
            pool = np.unique(pool, axis=0)
            missed = self.free_violation(pool)
            order = np.argsort(missed + (missed > 0), kind="stable")
            if len(order) >= n and missed[order[n - 1]] == 0:
                break
            parents = pool[order[: max(2, n)]]
            mothers, fathers = (parents[rng.integers(len(parents), size=2 * n)] for _ in range(2))
            pool = np.concatenate([parents, self._vary(rng, mothers, fathers)])
        missed = self.free_violation(pool)
        return pool[missed == 0][rng.permutation(int((missed == 0).sum()))] if (missed == 0).any() else pool[:n]

    def _sample(self, rng: np.random.Generator, n: int) -> Encodings:
        return self.canonical(rng.integers(self.choices, size=(n, len(self.choices))))

    def _children(self, rng: np.random.Generator) -> Encodings:
        chosen = variation.tournament(rng, self.rank, self.crowding, 2 * self.size)
        mothers, fathers = self.encodings[chosen].reshape(2, self.size, -1)
        return self._vary(rng, mothers, fathers)

    def _vary(self, rng: np.random.Generator, mothers: Encodings, fathers: Encodings) -> Encodings:
        children = variation.crossover(rng, mothers, fathers)
        return self.canonical(variation.mutate(rng, self.choices, children, 1 / len(self.choices)))

    def _everything(self) -> Encodings:
        listed = np.unravel_index(np.arange(math.prod(self.choices)), self.choices)
        return self.canonical(np.stack(listed, axis=1))

    def _collect(self, new: dict, n: int, propose: Callable[[], Encodings], rounds: int = ROUNDS) -> None:
        """Adds unseen proposals that meet the free limits to `new`, in their order, until it holds n."""
        for _ in range(rounds):
            proposed = propose()
            if self.free_violation is not None:
                proposed = proposed[self.free_violation(proposed) == 0]
            for row in np.ascontiguousarray(proposed):
                if len(new) < n and row.tobytes() not in self.seen:
                    new.setdefault(row.tobytes(), row)
            if len(new) >= n:
                return


def _finite(encodings: Encodings, objectives: np.ndarray) -> np.ndarray:
    objectives = np.asarray(objectives, dtype=np.float64)
    if objectives.ndim != 2 or len(objectives) != len(encodings):
        raise ValueError(f"objectives of {len(encodings)} architectures must be (N, M), got {objectives.shape}")
    bad = ~np.isfinite(objectives).all(1)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(f"architecture {encodings[first].tolist()} has objectives {objectives[first].tolist()}")
    return objectives


def generation_rng(seed: int, generation: int) -> np.random.Generator:
    """All randomness of a generation: a resumed search needs no saved generator."""
    return np.random.default_rng((seed, generation))


def minimise(
    choices: Sequence[int],
    objectives: Callable[[Encodings], np.ndarray],
    evaluations: int,
    seed: int = 0,
    population: int = 70,
) -> tuple[Encodings, np.ndarray]:
    """Minimises any black box over integers: objectives (n, L) -> (n, M), 0 <= encodings[:, l] < choices[l].

    Returns every evaluation in the order asked, encodings (E, L) and objectives (E, M), none of them twice;
    E < evaluations only if the space has no more. ValueError for values that are not finite.
    """
    engine, asked, told = NSGA2(choices, population), [], []
    for generation in range(evaluations):
        batch = engine.ask(generation_rng(seed, generation), min(population, evaluations - sum(map(len, asked))))
        if not len(batch):
            break
        values = _finite(batch, objectives(batch))
        engine.tell(batch, values)
        asked.append(batch)
        told.append(values)
    if not asked:
        raise ValueError(f"evaluations must be at least 1, got {evaluations}")
    return np.concatenate(asked), np.concatenate(told)
