import numpy as np
import pytest

import search_spaces
from evo import objectives as goals

ROWS = np.array([[0.9, 200e6, 3e6], [0.8, 400e6, 6e6]])


def test_directions_turn_signs():
    chosen = goals.parse_objectives(["accuracy", "madds", "params:max"])
    assert goals.minimised(ROWS, chosen).tolist() == [[-0.9, 200e6, -3e6], [-0.8, 400e6, -6e6]]


@pytest.mark.parametrize(
    "words",
    [["speed"], ["madds:up"], [], ["madds", "madds:max"], ["a.py::Generation"], ["a.py::why"], ["a.py::x", "a.py::X"]],
)
def test_unknown_objectives_are_refused(words):
    with pytest.raises(ValueError, match="objective"):
        goals.parse_objectives(words)


@pytest.mark.parametrize(("text", "number"), [("350M", 350e6), ("5.1m", 5.1e6), ("300k", 3e5), ("1G", 1e9), ("12", 12)])
def test_numbers_with_units(text, number):
    assert goals.parse_number(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "M", "fast", "-3", "0", "nan", "inf", "1e400"])
def test_what_is_no_positive_number_is_refused(text):
    with pytest.raises(ValueError, match="number"):
        goals.parse_number(text)


def test_a_limit_is_met_by_what_equals_it_in_the_digits_of_accuracies():
    for right in range(1, 360):
        share = right / 360
        rows = np.array([[float(np.float32(share)), 1.0, 1.0], [share, 1.0, 1.0], [share - 1e-3, 1.0, 1.0]])
        missed = goals.violation(rows, goals.parse_limits(min_accuracy=str(share)))
        assert missed[:2].tolist() == [0.0, 0.0]
        assert missed[2] > 0


def test_violation_is_relative_and_adds_up():
    limits = goals.parse_limits(max_madds="200M", max_params="3M", min_accuracy="0.85")
    assert goals.violation(ROWS, limits).tolist() == pytest.approx([0.0, 1.0 + 1.0 + 1 - 0.8 / 0.85])
    assert goals.violation(ROWS, goals.parse_limits(max_madds=None)).tolist() == [0.0, 0.0]


def test_impossible_limits_name_the_extreme_that_exists():
    space = search_spaces.load("fairnas")
    with pytest.raises(ValueError, match=r"--max-madds 100,000,000: the cheapest has 247,129,856 multiply-adds"):
        goals.Costs(space).check(goals.parse_limits(max_madds="100M"))
    goals.Costs(space).check(goals.parse_limits(max_madds="300M", max_params="4M"))


def test_scale_bounds_every_architecture(rng):
    space = search_spaces.load("digits")
    chosen = goals.parse_objectives(["accuracy", "madds", "params:max"])
    best, worst = goals.scale(goals.Costs(space), chosen)
    encodings = space.sample(rng, 500)
    values = goals.minimised(np.column_stack([rng.random(500), space.cost(encodings)]), chosen)
    assert (best <= values).all()
    assert (values <= worst).all()
