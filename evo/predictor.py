"""A proposer that predicts: of many mutants, the candidates that have most to gain by what was told.

Shapes: T told, F fitted, N candidates, M objectives, S samples, L decisions.
"""

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from evo import variation
from evo.gaussian_process import Kernel, Model, best_kernel, normal_scores, values_of
from evo.hypervolume import Ruler, directions
from evo.proposers import Encodings, Proposer, State, children

FITTED = 600  # architectures that the model is fitted to
WEIGHED = 150  # of them, those that choose its kernel
POOL, SHORT, FINAL = 2000, 300, 60  # candidates: made, those whose uncertainty is computed, those whose gain is
SAMPLES, RAYS = 8, 128  # of each prediction; directions in which a gain is measured


class Predictor(Proposer):
    """Half of its proposals have the largest expected hypervolume gain, given those already chosen; the others are
    the most likely to be on the front; a share `explore` (up to half) are those of which the model knows least."""

    name = "predictor"

    def __init__(self, explore: float = 0.1):
        self.explore = explore
        self.kernels: dict[int, Kernel] = {}  # by the number of rows told that chose them

    @threadpool_limits.wrap(limits=1)  # small matrices: a second thread costs more than it brings, and rounds otherwise
    def propose(self, rng, state, n):
        pool = state.fresh(mutants(rng, state, POOL))
        outlook = Outlook(state, self._kernel(state))
        mean = outlook.mean(pool)
        short = best(outlook.lead(mean, outlook.unit), SHORT)
        pool, mean, deviation = pool[short], mean[short], outlook.deviation(pool[short])
        lead = outlook.lead(mean, deviation)
        final, unknown = best(lead, FINAL), best(deviation.sum(1), round(self.explore * n))
        samples = outlook.samples(rng, mean[final], deviation[final])
        gainful = final[greedy(outlook.ruler(rng), samples, (n + 1) // 2)]
        order = np.concatenate([gainful, final[: max(0, n // 2 - len(unknown))], unknown, best(lead, SHORT)])
        return pool[list(dict.fromkeys(order.tolist()))]

    def learn(self, encodings, reward):
        pass

    def _kernel(self, state: State) -> Kernel:
        """Chosen anew whenever the told have doubled, by those told till then."""
        told = 2 ** int(np.log2(len(state.encodings)))
        if told not in self.kernels:
            rows = slice(max(0, told - WEIGHED), told)
            values = np.delete(state.objectives[rows], list(state.cheap), axis=1)
            self.kernels[told] = best_kernel(state.choices, state.encodings[rows], normal_scores(values))
        return self.kernels[told]


class Outlook:
    """What a model of everything told expects of candidates: cheap objectives as they are, others as normal scores.

    Where some miss a limit, by how much is one column more; where all do, it is the only one.
    """

    def __init__(self, state: State, kernel: Kernel):
        self.cheap, self.columns, front = state.cheap, state.objectives, state.front
        self.limited = bool(state.violation.any())
        if not len(front):
            self.cheap, self.columns = {}, state.violation[:, None]
            front = np.flatnonzero(state.violation == state.violation.min())
            self.limited = False
        self.m = self.columns.shape[1]
        self.front = slice(0, min(len(front), FITTED // 2))
        rows = fitted(front[-FITTED // 2 :], len(self.columns))
        self.near, self.columns = self.columns[state.population], self.columns[rows]
        if self.limited:
            self.columns = np.column_stack([self.columns, state.violation[rows]])
        self.uncertain = [m for m in range(self.columns.shape[1]) if m not in self.cheap]
        self.unit = np.isin(np.arange(self.columns.shape[1]), self.uncertain)[None].astype(float)
        self.scores = self.columns.copy()
        self.scores[:, self.uncertain] = normal_scores(self.columns[:, self.uncertain])
        self.model = Model(state.choices, state.encodings[rows], self.scores[:, self.uncertain], kernel)

    def mean(self, candidates: Encodings) -> np.ndarray:
        """(N, L) -> (N, M)."""
        mean = np.empty((len(candidates), self.scores.shape[1]))
        mean[:, self.uncertain] = self.model.mean(candidates)
        for m, cost in self.cheap.items():
            mean[:, m] = cost(candidates)
        return mean

    def deviation(self, candidates: Encodings) -> np.ndarray:
        """(N, L) -> (N, M): standard deviations of what `mean` says, 0 where it is exact."""
        deviation = np.zeros((len(candidates), self.scores.shape[1]))
        deviation[:, self.uncertain] = self.model.deviation(candidates)
        return deviation

    def lead(self, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """How many standard deviations each candidate (N, M) is predicted beyond the front, (N,).

        Against the member that it is least ahead of, in the objective where it is most ahead; exact objectives count
        all or nothing. With one uncertain objective this is the normal quantile of the probability that nobody on
        the front dominates the candidate.
        """
        front, deviation = self.scores[self.front], np.broadcast_to(deviation, mean.shape)
        most = np.full((len(mean), len(front)), -np.inf, dtype=np.float32)
        for m in range(self.m):
            if m in self.cheap:
                most[front[:, m] > mean[:, m, None]] = np.inf
            else:
                ours, theirs, unit = (each.astype(np.float32) for each in (mean[:, m], front[:, m], deviation[:, m]))
                np.maximum(most, (theirs - ours[:, None]) / unit[:, None], out=most)
        lead = most.min(1)
        return np.minimum(lead, self._met(mean, deviation)) if self.limited else lead

    def _met(self, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """The normal quantile of the probability that no limit is missed, (N,)."""
        met = self.columns[:, -1] == 0
        edge = torch.special.ndtri(torch.tensor(met.mean() * (1 - 1e-6), dtype=torch.float64)).item()
        return (edge - mean[:, -1]) / deviation[:, -1]

    def samples(self, rng: np.random.Generator, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """(N, M), (N, M) -> (N, S, M) objectives: even quantiles of each prediction, objectives in random pairs."""
        quantiles = torch.special.ndtri((torch.arange(SAMPLES).double() + 0.5) / SAMPLES).numpy()
        samples = np.repeat(mean[:, None, : self.m], SAMPLES, axis=1)
        for m in set(self.uncertain) & set(range(self.m)):
            drawn = rng.permuted(np.broadcast_to(quantiles, samples.shape[:2]), axis=1)
            drawn = samples[:, :, m] + deviation[:, m, None] * drawn
            samples[:, :, m] = values_of(drawn, self.scores[:, m], self.columns[:, m])
        return samples

    def ruler(self, rng: np.random.Generator) -> Ruler:
        front, rays = self.columns[self.front, : self.m], directions(rng, RAYS, self.m)
        return Ruler(front, self.near.min(0), self.near.max(0), rays)


def fitted(front: np.ndarray, told: int) -> np.ndarray:
    """Indices (F,) of what the model is fitted to: the front, then the newest others."""
    others = np.setdiff1d(np.arange(max(0, told - FITTED), told), front)
    return np.concatenate([front, others[max(0, len(others) - (FITTED - len(front))) :]])


def mutants(rng: np.random.Generator, state: State, n: int) -> Encodings:
    """n candidates: half one step from the front, a third children two steps from it, the rest from anywhere."""
    parents = state.front if len(state.front) else state.population
    steps = variation.step(rng, state.choices, state.encodings[rng.choice(parents, n // 2)])
    mutated = variation.mutate(rng, state.choices, children(rng, state, n // 3), min(1.0, 2 / len(state.choices)))
    anywhere = rng.integers(state.choices, size=(n - n // 2 - n // 3, len(state.choices)))
    return np.concatenate([steps, mutated, anywhere])


def best(values: np.ndarray, n: int) -> np.ndarray:
    """Indices of the n largest, the largest first, equal ones in their order."""
    return np.argsort(-values, kind="stable")[:n]


def greedy(ruler: Ruler, samples: np.ndarray, n: int) -> np.ndarray:
    """n indices into (N, S, M), each of whose samples add most in the mean to the front and those chosen before."""
    reached, front, chosen = ruler.reach(samples), ruler.front, []  # (N, S, Q), (Q,)
    for _ in range(min(n, len(samples))):
        gain = np.maximum(0.0, reached - front).sum((1, 2))
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        front = np.maximum(front, reached[chosen[-1]].mean(0))
    return np.array(chosen, dtype=int)
