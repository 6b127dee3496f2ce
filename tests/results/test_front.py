import numpy as np
import pytest

import search_spaces
from evo.archive import Generation
from evo.objectives import parse_limits, parse_objectives
from results import front


def test_hypervolume_of_points_whose_volume_is_known():
    best, worst = np.array([0.0, 10.0]), np.array([4.0, 20.0])
    assert front.hypervolume(np.empty((0, 2)), best, worst) == 0
    assert front.hypervolume(best[None], best, worst) == pytest.approx(1)
    assert front.hypervolume(worst[None], best, worst) == pytest.approx(0)
    corners = np.array([[1.0, 15.0], [2.0, 12.5]])  # scaled (0.25, 0.5) and (0.5, 0.25)
    assert front.hypervolume(corners, best, worst) == pytest.approx(0.75 * 0.5 + 0.5 * 0.75 - 0.5 * 0.5)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_equals_the_share_of_random_points_that_are_dominated(m, rng):
    points, probes = rng.random((12, m)), rng.random((40_000, m))
    dominated = (points[None] <= probes[:, None]).all(2).any(1).mean()
    assert front.hypervolume(points, np.zeros(m), np.ones(m)) == pytest.approx(dominated, abs=0.01)


def test_an_objective_without_any_spread_does_not_break_it():
    assert front.hypervolume(np.array([[0.5, 7.0]]), np.array([0.0, 7.0]), np.array([1.0, 7.0])) == pytest.approx(0.5)


def test_front_is_sorted_feasible_and_not_dominated(rng):
    rows = np.column_stack([rng.integers(0, 9, 200) / 9, rng.integers(1, 9, (200, 2))]).astype(float)
    found = Generation(np.arange(200)[:, None], rows, ["random"] * 200)
    limits = parse_limits(max_madds="6")
    points = front.front(found, parse_objectives(["accuracy", "madds"]), limits)
    assert [p["accuracy"] for p in points] == sorted((p["accuracy"] for p in points), reverse=True)
    assert all(p["madds"] <= 6 for p in points)
    values = {(p["accuracy"], p["madds"]) for p in points}
    for accuracy, madds, _ in rows[rows[:, 1] <= 6]:
        assert any(a >= accuracy and c <= madds for a, c in values)
    for accuracy, madds in values:
        assert not any(
            a >= accuracy and c <= madds and (a, c) != (accuracy, madds) for a, c, _ in rows[rows[:, 1] <= 6]
        )


@pytest.mark.parametrize("score", ["accuracy", "likelihood", "corrected"])
@pytest.mark.parametrize("name", search_spaces.SPACES)
def test_the_table_fits_eighty_columns(name, score, capsys, rng):
    space = search_spaces.load(name)
    encodings = [[k - 1 for k in space.choices]] * 30
    madds, params = space.cost_range()[1].tolist()
    point = {"accuracy": 0.5, "madds": madds, "params": params, "proposer": "partial+noisy x mixed"}
    points = [{"encoding": e, **point} for e in encodings]
    front.show(space, points, [], "Pareto front", score)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 23
    assert space.code(encodings[0]) in lines[3]
    assert f"{madds:,}" in lines[3]
    assert "proposer"[:3] in lines[1]
    assert f" {score} " in lines[1]
    assert " par" in lines[3] or " pa…" in lines[3]
