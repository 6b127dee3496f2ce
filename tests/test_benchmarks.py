"""What the figures rest on beside the product's own code."""

import sys
from pathlib import Path

import numpy as np
import pytest

import search_spaces

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import picks
import ranking


@pytest.mark.parametrize("option", [0, 1, 5])  # the cheapest network of all, where nearly none is as cheap; a dear one
def test_rivals_cost_what_the_pick_costs_and_are_others(option):
    space = search_spaces.load("fairnas", image_size=32, num_classes=10)
    encoding = [option] * 18 + [3]
    point = {"encoding": encoding, "madds": int(space.cost(np.array([encoding]))[0, 0])}
    found = picks.rivals(space, point, 3, np.random.default_rng(0))
    assert len(np.unique(found, axis=0)) == 3
    assert encoding not in found.tolist()
    assert (np.abs(space.cost(found)[:, 0] / point["madds"] - 1) <= picks.NEAR).all()


def test_nobody_is_ahead_of_himself_and_the_truth_is_ahead_of_its_reverse():
    truth = np.random.default_rng(0).random(20).tolist()
    right, wrong = ({"truth": truth, "score": [sign * value for value in truth]} for sign in (1, -1))
    assert ranking.lead([right], [right])["mean"] == (0, 0, 0)
    value, low, high = ranking.lead([right, right], [wrong])["mean"]
    assert value == pytest.approx(2)
    assert low == pytest.approx(high)
