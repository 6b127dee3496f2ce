import numpy as np
import pytest

from evo.credit import Credit

SHARES = {"a": 0.6, "b": 0.3, "c": 0.1}


def test_before_any_gain_the_shares_are_those_given():
    credit = Credit(SHARES)
    credit.settle(["a", "b"], np.zeros(2))
    assert credit.shares() == pytest.approx([0.6, 0.3, 0.1])


def test_quotas_follow_recent_gains_and_nobody_falls_below_the_floor():
    credit = Credit(SHARES, floor=0.05)
    for _ in range(50):
        credit.settle(["a", "b", "c"] * 5, np.array([0.0, 0.0, 1.0] * 5))
    assert credit.shares().sum() == pytest.approx(1)
    assert credit.shares()[2] > 0.7
    assert credit.shares().min() >= 0.05
    for _ in range(100):  # what was long ago is forgotten
        credit.settle(["a", "b", "c"] * 5, np.array([1.0, 0.0, 0.0] * 5))
    assert credit.shares()[0] > 0.7


def test_gains_count_per_evaluation():
    credit = Credit({"a": 0.5, "b": 0.5}, floor=0.0)
    for _ in range(50):
        credit.settle(["a"] * 9 + ["b"], np.full(10, 0.1))
    a, b = credit.shares()
    assert a == pytest.approx(b, rel=0.2)


@pytest.mark.parametrize("n", [1, 7, 70])
def test_quotas_add_up_and_are_right_in_the_mean(n, rng):
    credit = Credit(SHARES)
    drawn = np.array([list(credit.quotas(rng, n).values()) for _ in range(2000)])
    assert (drawn.sum(1) == n).all()
    assert drawn.mean(0) == pytest.approx(n * credit.shares(), abs=0.05)


@pytest.mark.parametrize(
    ("shares", "floor"), [({}, 0.0), ({"a": -1.0, "b": 2.0}, 0.0), ({"a": 0.0}, 0.0), (SHARES, 0.5)]
)
def test_impossible_shares_are_refused(shares, floor):
    with pytest.raises(ValueError, match=r"shares|floor"):
        Credit(shares, floor)
