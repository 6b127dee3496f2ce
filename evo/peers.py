"""pymoo's and DEAP's NSGA-II behind the face of our engine: for comparison, and for those who trust them.

Each with the operators its documentation gives for integers. What they ask again is answered from memory, so that
they too pay for no architecture twice. Shapes: n proposed, L decisions, M objectives.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy

import numpy as np
from deap import base, tools
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling

from evo.engine import ROUNDS, Asked, Encodings, Engine, finite, keys

PARENTS = 4  # that DEAP's tournament takes at least
WORST = 1e15  # of an objective; what misses a limit is worse than all that does not


class Loop(ABC):
    """A library's own generations. All its randomness comes from the generator of the generation."""

    name: str
    size: int
    objectives: int

    @abstractmethod
    def propose(self, rng: np.random.Generator) -> Encodings:
        """A generation, (n, L)."""

    @abstractmethod
    def learn(self, encodings: Encodings, objectives: np.ndarray, violation: np.ndarray) -> None:
        """What became of the generation, (n, L), (n, M), (n,)."""


class Peer(Engine):
    """A loop, and the memory that answers what it asks again."""

    def __init__(
        self,
        loop: Loop,
        canonical: Callable[[Encodings], Encodings] = lambda encodings: encodings,
        free_violation: Callable[[Encodings], np.ndarray] = lambda encodings: np.zeros(len(encodings)),
    ):
        self.loop, self.canonical, self.free_violation = loop, canonical, free_violation
        self.memory: dict[bytes, tuple[np.ndarray, float]] = {}  # objectives (M,) and violation
        self.proposed: Encodings = np.empty((0, 0), dtype=np.int64)

    def generation(self, most=None):
        return self.loop.size if most is None else min(self.loop.size, most)

    def ask(self, rng, n=None):
        for _ in range(ROUNDS):
            self.proposed = self.loop.propose(rng)
            rows = self._canonical(self.proposed)
            rows = rows[self.free_violation(rows) == 0]
            new = {key: row for key, row in zip(keys(rows), rows, strict=True) if key not in self.memory}
            if new:
                rows = np.array(list(new.values()))[:n]
                return Asked(rows, [self.loop.name] * len(rows))
            self._answer()
        return Asked(self.proposed[:0], [])

    def tell(self, encodings, objectives, violation=None, proposers=None):
        encodings, objectives = np.ascontiguousarray(encodings, dtype=np.int64), finite(encodings, objectives)
        violation = np.zeros(len(encodings)) if violation is None else violation
        self.memory.update(zip(keys(encodings), zip(objectives, violation, strict=True), strict=True))
        self._answer()

    def replay(self, rng, encodings, objectives, violation=None, proposers=None):
        self.ask(rng, len(encodings))
        self.tell(encodings, objectives, violation, proposers)

    def _canonical(self, encodings: Encodings) -> Encodings:
        return np.ascontiguousarray(self.canonical(encodings), dtype=np.int64)

    def _answer(self) -> None:
        """Tells the loop what is known of its generation. What misses a free limit was never scored."""
        rows = self._canonical(self.proposed)
        some = np.zeros(self.loop.objectives)
        answers = [
            self.memory.get(key, (some, missed if missed > 0 else None))
            for key, missed in zip(keys(rows), self.free_violation(rows), strict=True)
        ]
        known = [i for i, (_, missed) in enumerate(answers) if missed is not None]
        if known:
            objectives, violation = zip(*(answers[i] for i in known), strict=True)
            self.loop.learn(self.proposed[known], np.array(objectives), np.array(violation, dtype=float))


class Pymoo(Loop):
    """NSGA-II with simulated binary crossover and polynomial mutation, rounded."""

    name = "pymoo"

    def __init__(self, choices: Sequence[int], objectives: int, population: int = 70):
        self.size, self.objectives, last = population, objectives, np.array(choices) - 1
        problem = Problem(n_var=len(choices), n_obj=objectives, n_ieq_constr=1, xl=0, xu=last, vtype=int)
        integer = {"prob": 1.0, "eta": 3.0, "vtype": float, "repair": RoundingRepair()}
        self.algorithm = NSGA2(population, IntegerRandomSampling(), crossover=SBX(**integer), mutation=PM(**integer))
        self.algorithm.setup(problem, termination=NoTermination())

    def propose(self, rng):
        self.algorithm.random_state = rng
        found = self.algorithm.ask()
        self.algorithm.termination.force_termination = False  # it ends where mating finds nothing new; we go on
        last = self.algorithm.problem.xu
        if found is not None and len(found):
            return found.get("X").astype(np.int64)
        return rng.integers(last + 1, size=(self.size, len(last)))

    def learn(self, encodings, objectives, violation):
        self.algorithm.tell(infills=Population.new("X", encodings, "F", objectives, "G", violation[:, None]))


class Deap(Loop):
    """NSGA-II as in DEAP's example: crowded tournaments, uniform crossover at 0.9, uniform mutation of one decision."""

    name = "deap"

    def __init__(self, choices: Sequence[int], objectives: int, population: int = 70):
        self.size, self.objectives, self.last = population, objectives, [k - 1 for k in choices]
        self.fitness = type("Fitness", (base.Fitness,), {"weights": (-1.0,) * objectives})
        self.population: list[Individual] = []

    def propose(self, rng):
        before = random.getstate()  # DEAP draws from the one global generator
        random.seed(int(rng.integers(2**63)))
        try:
            if len(self.population) < PARENTS:
                return np.array([[random.randint(0, last) for last in self.last] for _ in range(self.size)])
            parents = tools.selTournamentDCD(self.population, len(self.population) // 4 * 4)
            return np.array(self._vary([deepcopy(parent) for parent in parents]))
        finally:
            random.setstate(before)

    def _vary(self, children: "list[Individual]") -> "list[Individual]":
        for first, second in zip(children[::2], children[1::2], strict=True):
            if random.random() < 0.9:
                tools.cxUniform(first, second, 0.5)
        for child in children:
            tools.mutUniformInt(child, 0, self.last, 1 / len(child))
        return children

    def learn(self, encodings, objectives, violation):
        missed = violation[:, None]
        values = np.where(missed > 0, WORST * (1 + missed), objectives)  # a distance penalty
        pairs = zip(encodings.tolist(), values, strict=True)
        children = [Individual(row, self.fitness(tuple(value))) for row, value in pairs]
        self.population = tools.selNSGA2(self.population + children, self.size)


class Individual(list):
    """An encoding and its fitness, as DEAP wants them."""

    def __init__(self, encoding: Sequence[int], fitness: base.Fitness):
        super().__init__(encoding)
        self.fitness = fitness
