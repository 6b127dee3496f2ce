import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from supernet import prune
from supernet.fairness import strict

CHOICES = (3, 2, 3)


@pytest.fixture
def net() -> nn.Module:
    net = nn.Linear(1, 1)
    net.register_buffer("open", torch.arange(3) < torch.tensor(CHOICES)[:, None])
    net.register_buffer("epochs", torch.tensor(0))
    return net


def quality(encodings: np.ndarray) -> np.ndarray:
    """Option 0 costs most in the first decision, less in the second, nothing in the third."""
    return (encodings == 0) @ [-1.0, -0.5, 0.0]


def drop(net: nn.Module, share: float, epochs: int) -> list[int]:
    """How many options are open after every epoch."""
    left = []
    for _ in range(epochs):
        prune.after_epoch(net, share, CHOICES, epochs, 0, quality)
        left.append(int(net.open.sum()))
    return left


def test_options_go_in_the_second_third_of_the_training_and_the_worst_first(net):
    assert drop(net, 0.4, 9) == [8, 8, 8, 7, 7, 6, 6, 6, 6]
    assert not net.open[0, 0]
    assert not net.open[1, 0]


def test_one_option_of_every_decision_stays(net):
    assert drop(net, 0.99, 30)[-1] == 3
    assert net.open.sum(1).tolist() == [1, 1, 1]


def test_the_worst_are_those_furthest_behind_the_best_of_their_decision(rng):
    encodings = rng.integers(CHOICES, size=(4000, 3))
    found = prune.worst(np.arange(3) < np.array(CHOICES)[:, None], encodings, quality(encodings))
    assert found[:2] == [(0, 0), (1, 0)]
    assert len(found) == sum(CHOICES) - len(CHOICES)


def test_paths_take_open_options_alone_and_are_fair_among_them(net):
    net.open[0, 1] = False
    paths = np.concatenate([prune.draw(net, strict, 0, step) for step in range(20)])
    assert sorted(set(paths[:, 0].tolist())) == [0, 2]
    counts = [np.bincount(column, minlength=3) for column in paths.T]
    assert counts[0].tolist() == [30, 0, 30]
    assert counts[2].tolist() == [20, 20, 20]


def test_spaces_of_free_edges_are_refused():
    with pytest.raises(ValueError, match="whose decisions are one operation each; those of darts are not"):
        prune.watch(nn.Linear(1, 1), search_spaces.load("darts"))
