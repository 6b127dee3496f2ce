import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from supernet.naswot import Naswot, counted, score


@pytest.fixture
def images():
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def layers(*widths: int, inplace: bool = False) -> nn.Sequential:
    """Linear layers of these widths, each with ReLUs, from 5 features on."""
    torch.manual_seed(0)
    sizes = zip((5, *widths), widths, strict=False)
    return nn.Sequential(*(part for size in sizes for part in (nn.Linear(*size), nn.ReLU(inplace)))).eval()


def told(net: nn.Module, images: torch.Tensor) -> float:
    return score(counted(net, images)[1])


def test_the_kernel_is_the_number_of_relus_less_those_in_which_two_images_differ(images):
    net = layers(4, 6)
    hidden = net[0](images)
    on = torch.cat([hidden, net[2](hidden.relu())], dim=1) > 0
    differ = (on[:, None] != on).sum(2)
    assert torch.equal(counted(net, images)[1], 10 - differ.double())


def test_relus_that_overwrite_their_input_are_counted_alike(images):
    plain, inplace = layers(4, 6), layers(4, 6, inplace=True)
    assert torch.equal(counted(plain, images)[1], counted(inplace, images)[1])


def test_networks_are_in_the_order_of_the_papers_determinant(images):
    nets = [layers(*widths) for widths in ((20,), (40,), (20, 20), (80, 10), (200, 200))]
    paper = [torch.linalg.slogdet(counted(net, images)[1])[1].item() for net in nets]
    assert np.isfinite(paper).all()
    assert (np.argsort([told(net, images) for net in nets]) == np.argsort(paper)).all()


def test_what_tells_no_images_apart_is_the_least(images):
    same = images[:1].expand(7, 5)
    assert told(nn.Linear(5, 3), images) == pytest.approx(1)  # without a ReLU
    assert told(layers(4, 6), same) == pytest.approx((1 + 7 * 10) ** (1 / 7))
    assert told(layers(4, 6), images) > told(layers(4, 6), same)


@pytest.mark.parametrize("name", ["digits", "nas_bench_201"])
def test_a_network_is_scored_by_itself_with_weights_of_the_seed(name, digits, rng):
    space = search_spaces.load(name, image_size=8, num_classes=10, in_channels=1)
    encodings = space.sample(rng, 6)
    judge = Naswot(space, digits, seed=0)
    found = judge(encodings)
    assert (judge(encodings[::-1])[::-1] == found).all()
    assert (judge.one_by_one(encodings) == found).all()
    assert (Naswot(space, digits, seed=0)(encodings[3:]) == found[3:]).all()
    assert (Naswot(space, digits, seed=1)(encodings) != found).any()
    assert len(set(found)) > 1


def test_larger_networks_tell_more_apart(digits):
    space = search_spaces.load("digits")
    madds = space.cost(encodings := space.sample(np.random.default_rng(0), 60))[:, 0]
    found = Naswot(space, digits, seed=0)(encodings)
    assert np.corrcoef(np.log(madds), np.log(found))[0, 1] > 0.3
