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
EVERY = [np.eye(6, dtype=int)[layer] * np.arange(6)[:, None] for layer in range(6)]  # one layer's options, all else 0


def gradients(take) -> tuple[torch.Tensor, dict]:
    net = model.build(SPACE, torch.Generator().manual_seed(0)).double().eval()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    losses = take(net, F.cross_entropy, images, torch.arange(4), PATHS)
    return losses, {name: p.grad for name, p in net.named_parameters() if p.grad is not None}


def taught(share: float, strength: float = 0.0, cosine: float = 1.0):
    return gradients(
        lambda net, loss, *batch: improved.ImprovedStep(net, loss, SPACE, share, strength, nullcontext)(*batch, cosine)
    )


def test_without_a_share_and_a_strength_it_is_the_plain_step():
    expected, found = gradients(lambda *args: chunked(*args, 1)), taught(0.0, 0.0, 0.3)
    assert torch.allclose(expected[0], found[0])
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


def test_each_path_has_the_rate_of_its_size():
    plain, found = taught(0.0)[1], taught(0.0, 1.0, 0.5)[1]
    for path, rate in zip(PATHS, improved.rates(SPACE, PATHS, 0.5, 1.0), strict=True):
        names = [name for name in plain if name.startswith(blocks(path))]
        assert all(torch.allclose(found[name], rate * plain[name]) for name in names)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_large_paths_keep_a_higher_rate_for_longer(strength):
    paths = np.stack([SPACE.cost(options).argsort(0)[[0, -1], 0] for options in EVERY], axis=1)
    begin, middle = (improved.rates(SPACE, paths, cosine, strength) for cosine in (1.0, 0.5))
    assert begin.tolist() == [1, 1]
    assert middle == pytest.approx([0.5 ** (2.0**strength - 1), 0.5 ** (2.0**-strength - 1)])
