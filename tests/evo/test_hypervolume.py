import numpy as np
import pytest
from pymoo.indicators.hv import HV

from evo.hypervolume import Ruler, directions, reach


@pytest.mark.parametrize("m", [2, 3, 5])
def test_the_mean_over_directions_is_the_hypervolume(m, rng):
    points = rng.random((15, m))
    exact = HV(ref_point=np.ones(m))(points)
    assert reach(points, directions(rng, 60_000, m)).max(0).mean() == pytest.approx(exact, rel=0.02)


def test_one_objective_is_exact(rng):
    assert reach(np.array([[0.25], [2.0]]), directions(rng, 3, 1)) == pytest.approx(np.array([[0.75] * 3, [0.0] * 3]))


def test_gains_are_what_pymoo_says_the_front_grows_by(rng):
    front, new = rng.random((10, 3)), rng.random((6, 3)) * 0.7
    ruler = Ruler(front, np.zeros(3), np.ones(3), directions(rng, 60_000, 3))
    volume = HV(ref_point=np.ones(3))
    grown = [volume(np.vstack([front, row])) - volume(front) for row in new]
    assert ruler.gain(new) == pytest.approx(np.array(grown), abs=2e-3)


def test_who_is_dominated_or_beyond_the_reference_point_gains_nothing(rng):
    front = np.array([[0.2, 0.2]])
    ruler = Ruler(front, np.zeros(2), np.ones(2), directions(rng, 500, 2))
    assert ruler.gain(np.array([[0.2, 0.2], [0.3, 0.2], [0.1, 1.1]])).tolist() == [0.0, 0.0, 0.0]
    assert ruler.gain(np.array([[0.1, 0.9]]))[0] > 0
