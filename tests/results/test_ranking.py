from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from results import ranking
from supernet.oracle import TableOracle

PLACES = [Path(__file__).parents[up] / part for up, part in ((2, "data"), (3, "shared/data"))]
DATA = next((place for place in PLACES if (place / "deeper_insights_64_truth.csv").exists()), PLACES[0])
STEPS, TRUTH = DATA / "deeper_insights_64_supernet_last128steps.csv", DATA / "deeper_insights_64_truth.csv"


def brute_force_tau_b(a, b) -> float:
    """(concordant - discordant) / sqrt of the pairs untied in a times those untied in b (Kendall 1945)."""
    x, y = (np.array([np.sign(v[i] - v[j]) for i, j in combinations(range(len(v)), 2)]) for v in (a, b))
    return (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())


@pytest.mark.parametrize("values", [3, 8, 1000])
def test_kendall_counts_pairs_and_ties_as_tau_b_does(values, rng):
    a, b = rng.integers(values, size=(2, 60))
    assert ranking.kendall(a, b) == pytest.approx(brute_force_tau_b(a, b))


@pytest.mark.parametrize("correlation", [ranking.kendall, ranking.spearman])
def test_planted_orders_have_the_correlation_they_were_given(correlation, rng):
    truth = rng.permutation(200)
    assert correlation(truth, truth) == pytest.approx(1)
    assert correlation(-truth, truth) == pytest.approx(-1)
    assert correlation(np.exp(truth / 50), truth) == pytest.approx(1)  # only the order counts
    assert abs(correlation(rng.random(200), truth)) < 0.15
    assert correlation(np.ones(200), truth) == 0


def test_tau_of_planted_swaps_is_known():
    truth = np.arange(20)
    scores = truth.copy()
    scores[[3, 4]] = scores[[4, 3]]  # one neighbouring pair of 190 turned round
    assert ranking.kendall(scores, truth) == pytest.approx(1 - 2 / 190)


def test_spearman_ignores_scale_and_shares_the_ranks_of_ties():
    assert ranking.spearman(np.array([1, 1, 2]), np.array([1, 2, 3])) == pytest.approx(np.sqrt(3) / 2)


@pytest.mark.parametrize(("n", "values"), [(40, 5), (40, 1000), (1203, 1000), (2203, 50)])
def test_resampled_taus_equal_those_of_the_repeated_networks(n, values, rng):
    a, b = rng.integers(values, size=(2, n))
    times = ranking.resample(n, rng, 5)
    assert (times.sum(1) == n).all()
    drawn = [np.repeat(np.arange(n), row) for row in times]
    expected = [ranking.kendall(a[i], b[i]) for i in drawn]
    assert ranking.kendall_resampled(a, b, times) == pytest.approx(expected, abs=1e-6)
    assert ranking.kendall_resampled(a, b, times, np.ones(n)) == pytest.approx(expected, abs=1e-6)  # of all pairs


def test_at_equal_cost_no_other_pairs_are_looked_at(rng, monkeypatch):
    """Or else comparing all of NAS-Bench-201 would take longer than a piece of benchmarks/ranking.sh."""
    looked, equal = [], ranking.equal
    monkeypatch.setattr(
        ranking, "equal", lambda rows, others: looked.append(len(rows) * len(others)) or equal(rows, others)
    )
    cost, (a, b) = rng.permutation(np.repeat(np.arange(1.0, 11), 600)), rng.integers(50, size=(2, 6000))
    ranking.kendall_at_equal_cost(a, b, cost)
    assert sum(looked) < 6000**2 / 4


@pytest.mark.parametrize(("n", "values"), [(40, 5), (1203, 1000)])
def test_at_equal_cost_only_pairs_within_two_percent_count(n, values, rng):
    a, b = rng.integers(values, size=(2, n))
    cost = rng.uniform(1, 1.5, n)
    i, j = np.array(list(combinations(range(n), 2))).T
    near = np.maximum(cost[i], cost[j]) <= 1.02 * np.minimum(cost[i], cost[j])
    x, y = (np.sign(v[i[near]] - v[j[near]]) for v in (a, b))
    expected = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
    assert ranking.kendall_at_equal_cost(a, b, cost) == pytest.approx(expected, abs=1e-6)
    assert ranking.equal_pairs(cost) == near.sum() == (ranking.equal(cost, cost).sum() - n) / 2
    assert ranking.kendall_at_equal_cost(a, b, np.ones(n)) == pytest.approx(ranking.kendall(a, b), abs=1e-6)


def test_what_says_the_cost_alone_says_nothing_at_equal_cost(rng):
    cost = np.repeat([1.0, 2.0, 4.0], 30)
    truth = cost + rng.random(90)
    assert ranking.kendall(cost, truth) > 0.7
    assert ranking.kendall_at_equal_cost(cost, truth, cost) == 0
    assert ranking.kendall_at_equal_cost(truth, truth, cost) == pytest.approx(1)
    times = ranking.resample(90, rng, 5)
    drawn = [np.repeat(np.arange(90), row) for row in times]
    expected = [ranking.kendall_at_equal_cost(-truth[i], truth[i], cost[i]) for i in drawn]
    assert ranking.kendall_resampled(-truth, truth, times, cost) == pytest.approx(expected, abs=1e-6)


def test_within_limits_the_truth_gives_up_nothing_and_others_what_they_miss_there():
    cost, truth = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.1, 0.5, 0.4, 0.9])
    shares = np.array([0.25, 0.5, 1.0])
    assert ranking.regret_within(truth, truth, cost, 1, shares) == 0
    assert ranking.regret_within(-truth, truth, cost, 1, shares) == pytest.approx((0 + 0.4 + 0.8) / 3)
    assert ranking.regret_within(-truth, truth, cost, 2, shares) == pytest.approx((0 + 0 + 0.5) / 3)


def correlated(n, rng):
    """Two normal orders whose tau is 2 / pi arcsin(0.7)."""
    return rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], n).T


def interval(a, b, rng) -> ranking.Estimate:
    resampled = ranking.kendall_resampled(a, b, ranking.resample(len(a), rng))
    return ranking.estimate(ranking.kendall(a, b), resampled)


def test_the_interval_covers_the_true_tau_about_as_often_as_it_says():
    rngs = [np.random.default_rng(seed) for seed in range(60)]
    found = [interval(*correlated(80, rng), rng) for rng in rngs]
    assert all(each.low <= each.value <= each.high for each in found)
    assert 52 <= sum(each.low <= 2 / np.pi * np.arcsin(0.7) <= each.high for each in found) <= 60


def test_the_interval_narrows_with_the_networks(rng):
    few, many = (interval(*correlated(n, rng), rng) for n in (40, 640))
    assert many.high - many.low < (few.high - few.low) / 2


def test_a_constant_order_has_no_tau():
    assert (ranking.kendall_resampled(np.ones(20), np.arange(20), np.ones((3, 20))) == 0).all()


@pytest.mark.parametrize("correlation", [ranking.kendall, ranking.spearman])
def test_what_is_no_number_has_no_tau_rather_than_none_at_all(correlation):
    truth, scores = np.arange(12.0), np.arange(12.0)
    scores[3] = np.nan
    assert np.isnan([correlation(scores, truth), correlation(truth, scores)]).all()
    assert np.isnan(ranking.kendall_resampled(scores, truth, np.ones((2, 12)))).all()
    assert correlation(truth[:1], truth[:1]) == 0


def test_s_tau_is_the_mean_over_all_pairs_of_seeds():
    up, down = np.arange(10), -np.arange(10)
    assert ranking.s_tau(np.stack([up, up, up])) == pytest.approx(1)
    assert ranking.s_tau(np.stack([up, up, down])) == pytest.approx((1 - 1 - 1) / 3)


def test_true_rank_and_regret_of_a_planted_order():
    truth = np.array([0.5, 0.9, 0.7, 0.8, 0.6])
    scores = np.array([5, 1, 4, 3, 2])  # puts 0.5 first, then 0.7, 0.8, 0.6 and the best last
    assert [ranking.true_rank(scores, truth, n) for n in (1, 2, 3, 4, 5)] == [5, 3, 2, 2, 1]
    expected = [0.4, 0.2, 0.1, 0.1, 0]
    assert [ranking.regret(scores, truth, n) for n in (1, 2, 3, 4, 5)] == pytest.approx(expected)


def test_ties_count_against_the_scores():
    truth = np.array([0.9, 0.1, 0.5])
    assert ranking.true_rank(np.ones(3), truth, 1) == 3
    assert ranking.true_rank(np.ones(3), truth[::-1], 1) == 3


def test_the_best_share_takes_all_that_equal_its_last():
    truth = np.array([1, 2, 3, 3, 3, 4, 0, 0, 0, 0])
    assert ranking.best(truth, 0.1).tolist() == [5]
    assert ranking.best(truth, 0.2).tolist() == [2, 3, 4, 5]
    assert ranking.best(truth, 0.01).tolist() == [5]


def test_rank_errors_sum_to_zero_and_say_who_is_placed_too_high():
    truth = np.arange(10.0)
    scores = truth.copy()
    scores[0] = 99
    error = ranking.rank_error(scores, truth)
    assert error.sum() == pytest.approx(0)
    assert error[0] == pytest.approx(0.9)
    assert (error[1:] == -0.1).all()


def test_a_planted_bias_towards_an_operation_is_found(rng):
    operations = rng.integers(3, size=(2000, 8))
    counts = np.stack([(operations == o).sum(1) for o in range(3)], axis=1)
    quality = rng.normal(size=2000)
    error = ranking.rank_error(quality + 0.3 * counts[:, 2], quality)
    bias = ranking.operation_bias(error, counts)
    assert bias.sum() == pytest.approx(0)
    assert bias[2] > 0.03
    assert bias[0] == pytest.approx(bias[1], abs=0.01)


def test_operation_bias_recovers_a_linear_error_exactly(rng):
    operations = rng.integers(3, size=(100, 5))
    counts = np.stack([(operations == o).sum(1) for o in range(3)], axis=1)
    assert ranking.operation_bias(counts @ [0.1, -0.3, 0.2], counts) == pytest.approx([0.1, -0.3, 0.2])


def test_a_planted_bias_towards_large_networks_is_found(rng):
    size, truth = rng.random(400), rng.random(400)
    bias = ranking.size_bias(ranking.rank_error(truth + size, truth), size)
    assert (np.diff(bias) > 0).all()
    assert bias.mean() == pytest.approx(0)
    assert np.abs(ranking.size_bias(ranking.rank_error(truth, truth), size)).max() == 0


def write_study(folder: Path, rng) -> tuple[Path, Path]:
    """Two files in the study's format: 64 networks' accuracies at 12 steps, and alone."""
    truth = rng.random(64).round(5)
    scores = (truth + 0.3 * rng.normal(size=(12, 64))).round(2)  # with ties
    rows = [f"{step}," + ",".join(map(str, row)) for step, row in enumerate(scores.tolist())]
    labels = ["".join(map(str, label)) for label in product((1, 2, 3, 4), repeat=3)]
    nets = [f"{i},{label},{truth[i]},0.01,{1 + (truth > truth[i]).sum()}" for i, label in enumerate(labels)]
    steps, table = folder / "steps.csv", folder / "truth.csv"
    steps.write_text("\n".join(["," + ",".join(map(str, range(64))), *rows]))
    table.write_text("\n".join(["index,label,gt_mean,gt_std,gt_rank", *nets]))
    return steps, table


def read_study(steps: Path, table: Path) -> tuple[np.ndarray, np.ndarray]:
    """Scores (T, 64) and truth (64,), in the order of the encodings."""
    everything = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1)
    return np.loadtxt(steps, delimiter=",", skiprows=1)[:, 1:], TableOracle(table).accuracy(everything)


def test_the_figures_of_a_study_are_those_of_their_definitions(tmp_path, rng):
    scores, truth = read_study(*write_study(tmp_path, rng))
    assert ranking.gt_tau(scores, truth) == pytest.approx([brute_force_tau_b(row, truth) for row in scores])
    assert ranking.kendall(scores.mean(0), truth) == pytest.approx(brute_force_tau_b(scores.mean(0), truth))
    worst_of_first = [min(truth[row == row.max()]) for row in scores]  # ties count against the scores
    ranks = [1 + sum(truth > reached) for reached in worst_of_first]
    assert [ranking.true_rank(row, truth, 1) for row in scores] == ranks
    assert ranking.kendall(scores.mean(0), truth) > ranking.gt_tau(scores, truth).max()  # averaging takes out noise


@pytest.mark.skipif(not (STEPS.exists() and TRUTH.exists()), reason=f"the study's tables are not there: {STEPS}")
def test_the_figures_of_deeper_insights_are_reproduced():
    """arXiv 2001.01431: 64 networks at the supernet's last 128 steps, against their stand-alone means."""
    scores, truth = read_study(STEPS, TRUTH)
    taus = ranking.gt_tau(scores, truth)
    assert [round(value, 3) for value in (taus.mean(), taus.min(), taus.max())] == [0.508, 0.131, 0.741]
    assert round(ranking.kendall(scores.mean(0), truth), 3) == 0.658
    ranks = [ranking.true_rank(row, truth, 1) for row in scores]
    assert (round(np.mean(ranks), 1), min(ranks), max(ranks)) == (13.9, 1, 32)
