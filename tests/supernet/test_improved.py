from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import search_spaces
from supernet import improved, model
from supernet.fairness import strict
from supernet.step import chunked

SPACE = search_spaces.load("digits")
PATHS = strict(SPACE.choices, 0, 0)


def gradients(take) -> tuple[torch.Tensor, dict]:
    net = model.build(SPACE, torch.Generator().manual_seed(0)).double().eval()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    losses = take(net, F.cross_entropy, images, torch.arange(4), PATHS)
    return losses, {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def taught(share: float, weight=None):
    size, weight = SPACE.cost(PATHS)[:, 0], np.ones(6) if weight is None else weight
    return gradients(lambda *args: improved.taught(*args, size, share, weight, nullcontext))


def test_without_a_share_and_with_equal_weights_it_is_the_plain_step():
    expected, found = gradients(lambda *args: chunked(*args, 1)), taught(0.0)
    assert torch.allclose(expected[0].float(), found[0])
    assert expected[1].keys() == found[1].keys()
    assert all(torch.allclose(expected[1][name], found[1][name]) for name in expected[1])


def blocks(path: np.ndarray) -> tuple[str, ...]:
    return tuple(f"layers.{layer}.{option}." for layer, option in enumerate(path))


def test_the_largest_path_is_not_taught_and_all_others_are():
    plain, found = taught(0.0)[1], taught(0.5)[1]
    largest = SPACE.cost(PATHS)[:, 0].argmax()
    for i, path in enumerate(PATHS):
        same = [torch.equal(plain[name], found[name]) for name in plain if name.startswith(blocks(path))]
        assert all(same) if i == largest else not all(same)


def test_a_weight_scales_the_gradient_of_its_path_alone():
    plain, found = taught(0.0)[1], taught(0.0, np.array([1, 1, 3, 1, 1, 1]))[1]
    for i, path in enumerate(PATHS):
        share = 3 if i == 2 else 1
        names = [name for name in plain if name.startswith(blocks(path))]
        assert all(torch.allclose(found[name], share * plain[name]) for name in names)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_large_paths_keep_a_higher_rate_for_longer(strength):
    paths = np.array([[0] * 6, [5] * 6])  # the smallest and the largest
    begin, middle = (improved.weights(SPACE, paths, cosine, strength) for cosine in (1.0, 0.5))
    assert begin.tolist() == [1, 1]
    assert middle == pytest.approx([0.5**strength, 0.5 ** (2.0**-strength - 1)] if strength else [1, 1])
