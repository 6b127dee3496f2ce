import numpy as np
import pytest
import torch

import search_spaces
from supernet import fit, train
from supernet.sharing import Sharing

SPACE = search_spaces.load("digits")


@pytest.fixture
def small(digits):
    return digits._replace(train=digits.train.take(np.arange(100)), score=digits.score.take(np.arange(100)))


def scores(data, steps: int, encodings, groups: int = 1, recalibrate: int = 0) -> np.ndarray:
    config = train.Config(sharing=Sharing(groups), training=fit.Training(batch_size=50))
    net = train.make_net(config, SPACE, data.mean.device)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    found = train.make_oracle(config, net, data, recalibrate, finetune=steps).accuracy(encodings)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    return found


@pytest.mark.parametrize("groups", [1, 2])
def test_networks_are_trained_alone_and_leave_the_supernet_as_it_is(small, rng, groups):
    encodings = SPACE.sample(rng, 3)
    one, again = (scores(small, 2, encodings, groups) for _ in range(2))
    assert (one == again).all()
    alone = [scores(small, 2, encoding[None], groups)[0] for encoding in encodings]
    assert alone == one.tolist()


def test_a_network_learns_by_it(small):
    encodings = np.array([[0] * 6])
    assert scores(small, 60, encodings, recalibrate=100)[0] > scores(small, 0, encodings, recalibrate=100)[0] + 0.1
