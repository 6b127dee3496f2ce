"""Against brute force, pymoo and DEAP, on random populations full of ties."""

import numpy as np
import pytest
from deap import base, creator, tools
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from evo import survival


def tied(rng, n, m, levels=5) -> np.ndarray:
    return rng.integers(0, levels, (n, m)).astype(float)


def brute_ranks(points) -> np.ndarray:
    rank, left, current = np.full(len(points), -1), set(range(len(points))), 0
    while left:
        beaten = {j for j in left for i in left if all(points[i] <= points[j]) and any(points[i] < points[j])}
        for i in left - beaten:
            rank[i] = current
        left, current = beaten, current + 1
    return rank


def deap_population(points):
    if not hasattr(creator, "TestFitness"):
        creator.create("TestFitness", base.Fitness, weights=(-1.0,))
        creator.create("TestIndividual", list, fitness=creator.TestFitness)
    population = []
    for i, row in enumerate(points):
        individual = creator.TestIndividual([i])
        individual.fitness.weights = (-1.0,) * len(row)
        individual.fitness.values = tuple(row)
        population.append(individual)
    return population


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_ranks_equal_brute_force_pymoo_and_deap(m, seed):
    points = tied(np.random.default_rng(seed), 60, m)
    ours = survival.ranks(points)
    assert (ours == brute_ranks(points)).all()
    for rank, front in enumerate(NonDominatedSorting().do(points)):
        assert set(front) == set(np.flatnonzero(ours == rank))
    for rank, front in enumerate(tools.sortNondominated(deap_population(points), len(points))):
        assert {individual[0] for individual in front} == set(np.flatnonzero(ours == rank))


@pytest.mark.parametrize("levels", [1, 2, 5, 1000])
@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_crowding_equals_pymoo_with_ties(n, levels, rng):
    points = tied(rng, n, 3, levels)
    ours = survival.crowding(points)
    if n > 2:
        assert ours == pytest.approx(pymoo_crowding(points))
    else:
        assert np.isinf(ours).all()


def pymoo_crowding(points) -> np.ndarray:
    """pymoo's, but a column without any spread counts as nothing there and here."""
    return calc_crowding_distance(points) if np.ptp(points, axis=0).any() else np.zeros(len(points))


@pytest.mark.parametrize("seed", range(10))
def test_survivors_equal_pymoo_and_deap(seed):
    # Few equal rows, many fronts: every column has ties, the whole rows are distinct.
    rng = np.random.default_rng(seed)
    points = np.unique(tied(rng, 120, 3, levels=12), axis=0)
    rng.shuffle(points)
    n = len(points) // 2
    best, rank, distance = survival.survive(points, survival.dominates(points), n)
    assert (survival.ranks(points)[best] == rank).all()

    fronts = NonDominatedSorting().do(points, n_stop_if_ranked=n)
    whole = np.concatenate([*fronts[:-1], np.empty(0, int)]).astype(int)
    assert set(whole) <= set(best)
    last = np.asarray(fronts[-1])
    by_crowding = np.sort(calc_crowding_distance(points[last]))[::-1][: n - len(whole)]
    assert np.sort(distance[rank == rank.max()])[::-1] == pytest.approx(by_crowding)

    theirs = {individual[0] for individual in tools.selNSGA2(deap_population(points), n)}
    assert set(whole) <= theirs
    assert len(theirs) == len(best)


@pytest.mark.parametrize("seed", range(20))
def test_survivors_are_the_same_individuals_unless_equals_are_cut_apart(seed):
    points = np.random.default_rng(seed).random((80, 3))
    everyone, rank, distance = survival.survive(points, survival.dominates(points), 80)
    if (rank[39], distance[39]) == (rank[40], distance[40]):  # both at an end of the last front
        assert np.isinf(distance[39])
        return
    assert set(everyone[:40]) == {individual[0] for individual in tools.selNSGA2(deap_population(points), 40)}


def test_constraint_domination(rng):
    points = tied(rng, 60, 2)
    violation = np.where(rng.random(60) < 0.5, 0.0, rng.integers(1, 4, 60).astype(float))
    rank = survival.ranks(points, violation)
    feasible = violation == 0
    assert (rank[feasible] == brute_ranks(points[feasible])).all()
    assert rank[feasible].max() < rank[~feasible].min()
    missed, order = violation[~feasible], rank[~feasible]
    assert (np.sign(missed[:, None] - missed) == np.sign(order[:, None] - order)).all()


def test_all_infeasible_population_survives_by_violation(rng):
    violation = rng.permutation(np.arange(1.0, 21.0))
    points = tied(rng, 20, 2)
    best, _, _ = survival.survive(points, survival.dominates(points, violation), 5)
    assert set(violation[best]) == {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.parametrize("m", [1, 2, 3])
def test_nondominated_equals_rank_zero(m, rng):
    for levels in (2, 6, 10_000):
        points = tied(rng, 150, m, levels)
        assert (survival.nondominated(points) == (survival.ranks(points) == 0)).all()


def test_empty_and_single():
    assert survival.nondominated(np.empty((0, 2))).shape == (0,)
    assert survival.survive(np.array([[1.0, 2.0]]), np.zeros((1, 1), dtype=bool), 5)[0].tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_domination_with_ties_and_limits_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    points, missed = tied(rng, 40, 3, 3), rng.integers(0, 3, 40).astype(float)

    def beats(i, j):
        if missed[i] != missed[j] or missed[i] > 0:
            return missed[i] < missed[j]
        return all(points[i] <= points[j]) and any(points[i] < points[j])

    expected = [[beats(i, j) for j in range(40)] for i in range(40)]
    assert (survival.dominates(points, missed) == expected).all()


def test_two_sets_against_each_other_are_judged_as_one_set_is(rng):
    points, missed = tied(rng, 40, 3, 3), rng.integers(0, 3, 40).astype(float)
    beats = survival.dominates(points, missed)
    ours, theirs = survival.versus(points[:15], points[15:], missed[:15], missed[15:])
    assert (ours == beats[:15, 15:]).all()
    assert (theirs == beats[15:, :15].T).all()


def test_fronts_beyond_the_nth_may_stay_unsorted(rng):
    points = tied(rng, 80, 3, 8)
    whole, part = survival.ranks(points), survival.fronts(survival.dominates(points), 20)
    last = np.sort(whole)[:20].max()
    assert (np.minimum(whole, last + 1) == part).all()


def test_weighted_crowding_is_the_weighted_mean_of_the_gaps(rng):
    points = rng.random((30, 2))
    alone = [survival.crowding(points, np.array(w)) for w in ([1.0, 0.0], [0.0, 1.0])]
    both = survival.crowding(points, np.array([3.0, 1.0]))
    inner = np.isfinite(both)
    assert both[inner] == pytest.approx(0.75 * alone[0][inner] + 0.25 * alone[1][inner])
    assert survival.crowding(points, np.array([2.0, 2.0])) == pytest.approx(survival.crowding(points))


@pytest.mark.parametrize("m", [4, 5])
def test_many_objectives_keep_whole_fronts_and_then_spread(m, rng):
    """NSGA-III leaves fewer directions without anybody than crowding does."""
    points = np.abs(rng.standard_normal((400, m)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)  # nobody dominates another
    points[:40] += 1.0  # but these are behind
    beats, n = survival.dominates(points), 70
    best, rank, _ = survival.survive_many(points, beats, n)
    assert len(set(best)) == n
    assert (rank == survival.ranks(points)[best]).all()
    assert (rank == 0).all()

    def empty(chosen):
        rays = survival.spread(m, n)
        rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return len(rays) - len(set((points[chosen] @ rays.T).argmax(1)))

    assert empty(best) < empty(survival.survive(points, beats, n)[0])


def test_many_objectives_let_nobody_who_misses_a_limit_push_out_whom_keeps_them(rng):
    points, violation = rng.random((30, 4)), np.repeat([0.0, 0.1], [8, 22])  # equally far off
    points[8:] -= 1.0  # and better in all objectives
    best, _, _ = survival.survive_many(points, survival.dominates(points, violation), 12)
    assert len(set(best)) == 12
    assert set(range(8)) <= set(best)


def test_many_objectives_keep_the_better_front_whole(rng):
    points = tied(rng, 100, 4, 4)
    beats = survival.dominates(points)
    best, rank, _ = survival.survive_many(points, beats, 50)
    everyone = survival.ranks(points)
    assert set(np.flatnonzero(everyone < rank.max())) <= set(best)
    assert (np.diff(rank) >= 0).all()
