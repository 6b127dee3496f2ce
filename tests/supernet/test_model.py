import numpy as np
import pytest
import torch
from torch.nn import functional as F

import search_spaces
from supernet import model
from supernet.fairness import strict


@pytest.fixture(params=["digits", "fairnas", "mobilenet_v2"])
def space(request):
    size = {"digits": 8}.get(request.param, 32)
    return search_spaces.load(request.param, image_size=size, num_classes=5)


@pytest.fixture
def net(space):
    return model.build(space, torch.Generator().manual_seed(0))


@pytest.fixture
def images(space):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, space.in_channels, space.image_size, space.image_size, generator=generator)


def test_stand_alone_net_with_a_paths_weights_gives_bit_equal_logits(space, net, images, rng):
    net.train()(images, strict(space.choices, 0, 0))  # moves the running statistics
    paths = space.sample(rng, 3)
    with torch.inference_mode():
        together = net.eval()(images, paths)
        for path, logits in zip(paths, together, strict=True):
            alone = space.build(path)
            alone.load_state_dict(net.extract(path).state_dict())
            assert torch.equal(alone.eval()(images), logits)


def test_a_path_with_linear_skips_is_scored_as_it_was_trained():
    space = search_spaces.load("proxyless", image_size=32, num_classes=5)
    net = model.build(space, torch.Generator().manual_seed(0)).eval()
    path = [k - 1 for k in space.choices]
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(net.extract(path)(images), net(images, [path])[0])
    assert isinstance(space.build(path).blocks[1], torch.nn.Identity)


def test_extracted_path_is_a_copy(space, net, images, rng):
    (path,) = space.sample(rng, 1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    copy = net.extract(path).train()
    copy(images)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_averaged_shared_gradients_are_the_mean_over_passes_and_blocks_keep_theirs(rng):
    space = search_spaces.load("digits")
    gradients = []
    for average in (False, True):
        net = model.build(space, torch.Generator().manual_seed(0)).double().eval()
        images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).double()
        for path in strict(space.choices, 0, 0):
            F.cross_entropy(net(images, path[None])[0], torch.arange(4)).backward()
        if average:
            net.average(strict(space.choices, 0, 0))
        gradients.append({name: parameter.grad for name, parameter in net.named_parameters()})
    summed, mean = gradients
    for name in summed:
        share = 1 if name.startswith("layers") else 6
        assert torch.allclose(summed[name], mean[name] * share, rtol=1e-9, atol=1e-12), name


def test_size_of_the_fairnas_supernet():
    with torch.device("meta"):
        net = model.ChainSupernet(search_spaces.load("fairnas"))
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == 15.99


def test_same_generator_same_weights(space):
    a, b, c = (model.build(space, torch.Generator().manual_seed(seed)).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_paths_come_back_in_order(space, net, images):
    paths = np.stack([np.zeros(len(space.choices), int), np.ones(len(space.choices), int)])
    with torch.inference_mode():
        forward, backward = net.eval()(images, paths), net(images, paths[::-1].copy())
    assert torch.equal(forward, backward.flip(0))


@pytest.mark.parametrize("wrong", [[[-1] * 6], [[6] * 6], [[0] * 5], [0] * 6, [[0.5] * 6]])
@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_paths_that_are_not_in_the_space_are_refused_and_not_taken_for_others(wrong, kind):
    net = model.build(search_spaces.load("digits")).eval()
    with pytest.raises(ValueError, match="digits"):
        net(torch.zeros(2, 1, 8, 8), kind(wrong))


def test_no_network_is_made_of_an_encoding_that_is_not_in_the_space():
    net = model.build(search_spaces.load("digits"))
    for make in (net.path, net.extract):
        with pytest.raises(ValueError, match="decision 0 is -1"):
            make([-1] * 6)


@pytest.mark.parametrize("none", [[], np.empty((0, 6), dtype=int)])
def test_no_paths_give_no_logits(none):
    net = model.build(search_spaces.load("digits")).eval()
    assert net(torch.zeros(2, 1, 8, 8), none).shape == (0, 2, 10)
