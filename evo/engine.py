"""The engine: ask / tell, and nothing else.

NSGA-II (Deb et al. 2002) over encodings that never asks for the same architecture twice. Several proposers share one
population; each one's quota follows what it recently added to the hypervolume.
Shapes: T told, N evaluated, n asked, L decisions, M objectives, all minimised.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evo import survival, variation
from evo.credit import Credit
from evo.hypervolume import Ruler, directions
from evo.proposers import Encodings, Natural, Proposer, State
from evo.ratios import Ratios, default_proposers
from evo.rows import Rows

ROUNDS = 50  # of children without enough new ones, before the engine looks elsewhere
ENUMERABLE = 100_000  # encodings that are listed one by one when chance no longer finds new ones
FIRST, FEWEST, SHARE = 20, 10, 0.1  # evaluations of the first generation, of any other, of what is told before it
CROWDED = 3  # objectives up to which crowding says who survives; beyond, reference directions do
RAYS = 64  # directions in which gains are measured


class Asked(NamedTuple):
    """`proposers` names who proposed each of the encodings (n, L)."""

    encodings: Encodings
    proposers: list[str]


class Engine(ABC):
    """Ask / tell. All randomness of a generation comes from its generator, see `generation_rng`."""

    @abstractmethod
    def generation(self, most: int | None = None) -> int:
        """How many to ask next; not more than `most`."""

    @abstractmethod
    def ask(self, rng: np.random.Generator, n: int | None = None) -> Asked:
        """Up to n (default: `generation()`) new architectures; none if there are no more."""

    @abstractmethod
    def tell(
        self,
        encodings: Encodings,
        objectives: np.ndarray,
        violation: np.ndarray | None = None,
        proposers: Sequence[str] | None = None,
    ) -> None:
        """The values (n, M) of what was asked (n, L), what limits it misses by (n,), and who proposed it.

        ValueError if a value is not finite.
        """

    @abstractmethod
    def replay(self, rng: np.random.Generator, encodings: Encodings, objectives: np.ndarray, *others) -> None:
        """As `ask` and `tell` of a generation that was told before an interruption."""


class NSGA2(Engine):
    """What has been told, who survives of it, and who is asked next.

    `canonical` maps encodings (n, L) to equal ones for equal networks. `free_violation` (n, L) -> (n,) says what
    limits are missed by, as far as that costs nothing: such architectures are never asked. `cheap` maps columns of
    the objectives that cost nothing to their functions (n, L) -> (n,). `proposers` maps proposers to their shares.
    `weights` (M,) are those of the crowding; `given` (n, L) are asked before all others.
    """

    def __init__(
        self,
        choices: Sequence[int],
        population: int = 70,
        canonical: Callable[[Encodings], Encodings] = lambda encodings: encodings,
        free_violation: Callable[[Encodings], np.ndarray] | None = None,
        cheap: Mapping[int, Callable[[Encodings], np.ndarray]] | None = None,
        proposers: Mapping[Proposer, float] | None = None,
        floor: float = Ratios.floor,
        weights: Sequence[float] | None = None,
        given: Encodings | None = None,
    ):
        if population < 2:
            raise ValueError(f"the population must be at least 2, got {population}")
        if not len(choices) or min(choices) < 1:
            raise ValueError(f"every decision needs at least one option, got choices {tuple(choices)}")
        self.choices, self.size = tuple(map(int, choices)), population
        self.canonical, self.free_violation, self.cheap = canonical, free_violation, dict(cheap or {})
        proposers = default_proposers(self.choices) if proposers is None else proposers
        self.proposers = {proposer.name: proposer for proposer in proposers}
        if len(self.proposers) < len(proposers):
            raise ValueError(f"proposers need different names, got {', '.join(each.name for each in proposers)}")
        self.credit = Credit({proposer.name: share for proposer, share in proposers.items()}, floor)
        self.weights = None if weights is None else np.array(weights, dtype=np.float64)
        self.given = np.empty((0, len(choices)), dtype=np.int64) if given is None else given
        self.seen: set[bytes] = set()
        self.told = Rows(), Rows(), Rows()
        self.encodings = np.empty((0, len(choices)), dtype=np.int64)  # all told, (T, L)
        self.objectives, self.violation = np.empty((0, 0)), np.empty(0)
        self.population, self.rank, self.crowding = np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
        self.front = np.empty(0, dtype=np.int64)

    def generation(self, most=None):
        """A tenth of all told, at most the population."""
        told = len(self.encodings)
        n = min(self.size, max(FEWEST, int(SHARE * told)) if told else FIRST)
        return n if most is None else min(n, most)

    def ask(self, rng, n=None):
        n = self.generation() if n is None else n
        new: dict[bytes, tuple[np.ndarray, str]] = {}
        self._collect(new, n, lambda m: self.given, "given", rounds=1)
        if len(self.encodings):
            state = self._state(new)
            for name, quota in self.credit.quotas(rng, n - len(new)).items():
                propose = self.proposers[name].propose
                self._collect(new, len(new) + quota, lambda m, p=propose: p(rng, state, m), name, rounds=3)
            self._collect(new, n, lambda m: Natural().propose(rng, state, 2 * m), "natural")
        if len(new) < n:
            self._collect(new, n, lambda m: rng.integers(self.choices, size=(m, len(self.choices))), "random")
        if len(new) < n and self.free_violation is not None:
            self._collect(new, n, lambda m: self.within_limits(rng, self.size), "random", rounds=1)
        if len(new) < n and math.prod(self.choices) <= max(ENUMERABLE, 2 * len(self.seen)):
            self._collect(new, n, lambda m: self._everything(), "random", rounds=1)
        encodings = np.array([row for row, _ in new.values()], dtype=np.int64).reshape(-1, len(self.choices))
        return Asked(encodings, [name for _, name in new.values()])

    def replay(self, rng, encodings, objectives, *others):
        self.tell(encodings, objectives, *others)

    def tell(self, encodings, objectives, violation=None, proposers=None):
        encodings, objectives = np.ascontiguousarray(encodings, dtype=np.int64), finite(encodings, objectives)
        m = objectives.shape[1]
        if strange := sorted(set(self.cheap) - set(range(m))):
            raise ValueError(f"cheap names column {strange[0]}: the objectives have {m}, counted from 0")
        violation = np.zeros(len(encodings)) if violation is None else violation
        self.seen.update(keys(encodings))
        told = len(self.encodings)
        new = np.arange(told, told + len(encodings))
        columns = zip(self.told, (encodings, objectives, violation), strict=True)
        self.encodings, self.objectives, self.violation = (rows.append(column) for rows, column in columns)
        pool = np.concatenate([self.population, new])
        beats = survival.dominates(self.objectives[pool], self.violation[pool])
        if told and proposers is not None:
            self._reward(new, np.array(proposers), beats[: len(self.population), len(self.population) :])
        self._update_front(new[~beats[:, len(self.population) :].any(0)])
        values = self.objectives[pool]
        if m > CROWDED:
            best, self.rank, self.crowding = survival.survive_many(values, beats, self.size)
        else:
            best, self.rank, self.crowding = survival.survive(values, beats, self.size, self.weights)
        self.population = pool[best]

    def _state(self, new: dict) -> State:
        def fresh(encodings):
            return self._fresh(encodings, new)

        survivors = (self.population, self.rank, self.crowding, self.front)
        return State(self.choices, self.encodings, self.objectives, self.violation, *survivors, fresh, self.cheap)

    def _reward(self, new: np.ndarray, proposers: np.ndarray, beats: np.ndarray) -> None:
        """Credits the hypervolume that each added, and tells proposers what share of the survivors beats theirs."""
        near, values = self.objectives[self.population], self.objectives[new]
        rays = directions(np.random.default_rng(len(self.encodings)), RAYS, near.shape[1])
        ruler = Ruler(near[self.rank == 0], near.min(0), near.max(0), rays)
        self.credit.settle(proposers, ruler.gain(values) * (self.violation[new] == 0))
        reward = -beats.mean(0)
        for name, proposer in self.proposers.items():
            own = proposers == name
            if own.any():
                proposer.learn(self.encodings[new[own]], reward[own])

    def _update_front(self, new: np.ndarray) -> None:
        """`new` are those told last whom no survivor dominates, nor one another."""
        new = new[self.violation[new] == 0]
        beats, beaten = survival.versus(self.objectives[new], self.objectives[self.front])
        new_on_front = ~beaten.any(1)
        self.front = np.concatenate([self.front[~beats[new_on_front].any(0)], new[new_on_front]])

    def within_limits(self, rng: np.random.Generator, n: int) -> Encodings:
        """Up to n distinct architectures that meet the free limits, found by evolving on the violation alone.

        Bounded: where chance finds none, it returns the n that come nearest.
        """
        pool = self.canonical(rng.integers(self.choices, size=(4 * n, len(self.choices))))
        for _ in range(ROUNDS):
            pool = np.unique(pool, axis=0)
            missed = self.free_violation(pool)
            order = np.argsort(missed + (missed > 0), kind="stable")
            if len(order) >= n and missed[order[n - 1]] == 0:
                break
            parents = pool[order[: max(2, n)]]
            crossed = variation.crossover(rng, *parents[rng.integers(len(parents), size=(2, 2 * n))])
            mutated = variation.mutate(rng, self.choices, crossed, 1 / len(self.choices))
            pool = np.concatenate([parents, self.canonical(mutated)])
        missed = self.free_violation(pool)
        return pool[missed == 0][rng.permutation(int((missed == 0).sum()))] if (missed == 0).any() else pool[:n]

    def _everything(self) -> Encodings:
        listed = np.unravel_index(np.arange(math.prod(self.choices)), self.choices)
        return np.stack(listed, axis=1)

    def _fresh(self, encodings: Encodings, new: Mapping[bytes, object]) -> Encodings:
        """Of (n, L): canonical, in their order, each once, within the free limits, and not in `new` nor seen."""
        encodings = np.ascontiguousarray(self.canonical(encodings), dtype=np.int64)
        if self.free_violation is not None and len(encodings):
            encodings = encodings[self.free_violation(encodings) == 0]
        first: dict[bytes, int] = {}
        for i, key in enumerate(keys(encodings)):
            if key not in self.seen and key not in new:
                first.setdefault(key, i)
        return encodings[list(first.values())]

    def _collect(self, new: dict, n: int, propose: Callable[[int], Encodings], name: str, rounds: int = ROUNDS) -> None:
        """Adds fresh proposals to `new`, in their order, until it holds n."""
        for _ in range(rounds):
            if len(new) >= n:
                return
            proposed = propose(n - len(new))
            if not len(proposed):
                return
            fresh = self._fresh(proposed, new)[: n - len(new)]
            new.update((key, (row, name)) for key, row in zip(keys(fresh), fresh, strict=True))


def keys(encodings: Encodings) -> list[bytes]:
    """(n, L) contiguous int64 -> n keys that are equal for equal rows."""
    return encodings.view(np.dtype((np.void, encodings.shape[1] * 8))).ravel().tolist()


def finite(encodings: Encodings, objectives: np.ndarray) -> np.ndarray:
    """The objectives as (n, M) float64; ValueError names the first of the architectures (n, L) with a bad value."""
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
    cheap: Mapping[int, Callable[[Encodings], np.ndarray]] | Sequence[int] | None = None,
    population: int = 70,
    proposers: Mapping[Proposer, float] | None = None,
) -> tuple[Encodings, np.ndarray]:
    """Minimises any black box over integers: objectives (n, L) -> (n, M), 0 <= encodings[:, l] < choices[l].

    `cheap` names the columns whose exact values cost nothing: {column: its function (n, L) -> (n,)}, or only the
    columns if `objectives` itself may be called for them, uncounted. `proposers` remember what they were told: make
    new ones for every search (`ratios.default_proposers`). Returns every evaluation in the order asked,
    encodings (E, L) and objectives (E, M), none of them twice; E < evaluations only if the space has no more.
    ValueError for values that are not finite, and for cheap columns that there are not.
    """
    objectives = _on_a_copy(objectives)
    if isinstance(cheap, Mapping):
        cheap = {m: _on_a_copy(function) for m, function in cheap.items()}
    elif cheap is not None:
        cheap = {m: lambda encodings, m=m: np.asarray(objectives(encodings))[:, m] for m in cheap}
    engine = NSGA2(choices, population, cheap=cheap, proposers=proposers)
    for generation in range(evaluations):
        asked = engine.ask(generation_rng(seed, generation), engine.generation(evaluations - len(engine.encodings)))
        if not len(asked.encodings):
            break
        engine.tell(asked.encodings, objectives(asked.encodings), proposers=asked.proposers)
        if len(engine.encodings) == evaluations:
            break
    if not len(engine.encodings):
        raise ValueError(f"evaluations must be at least 1, got {evaluations}")
    return engine.encodings, engine.objectives


def _on_a_copy(function: Callable[[Encodings], np.ndarray]) -> Callable[[Encodings], np.ndarray]:
    """A black box may change what it is given; what was asked stays as it was."""
    return lambda encodings: function(encodings.copy())
