from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from search_spaces import chain
from supernet import memory, model


def one_layer() -> chain.Chain:
    """A chain whose blocks are a ReLU or nothing, between a convolution and a linear layer."""
    options = {"relu": lambda *_: nn.ReLU(), "nothing": lambda *_: nn.Identity()}
    layers = chain.layers([(1, 1, 1)], 1, options)
    spec = {"name": "one", "image_size": 4, "num_classes": 2, "in_channels": 1}
    return chain.Chain(spec, lambda: nn.Conv2d(1, 1, 1), layers, lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 2)))


def test_what_a_path_holds_for_its_backward_pass_is_counted_to_the_byte():
    space = one_layer()
    each = memory.per_path(model.build(space), space.choices, torch.rand(3, 1, 4, 4))
    assert each == 2 * 16 * 4  # the convolution's input, the linear layer's; the ReLU's result is that too


def test_copies_of_the_weights_that_autocast_makes_do_not_grow_with_the_images():
    space, context = one_layer(), partial(torch.autocast, "cpu", torch.bfloat16)
    assert memory.per_path(model.build(space), space.choices, torch.rand(3, 1, 4, 4), context) == 2 * 16 * 2


def test_an_images_outputs_and_largest_tensor_are_counted_to_the_byte():
    held, largest = memory.per_image(model.build(one_layer()).eval(), torch.rand(1, 1, 4, 4))
    assert (held, largest) == (3 * 16 * 4, 16 * 4)  # the image, the stem's and the layer's


def test_all_outputs_of_a_network_are_counted_to_the_byte():
    net = model.build(one_layer()).eval().path([0])
    held, largest = memory.per_network(net, torch.rand(1, 1, 4, 4))
    assert (held, largest) == (4 * 16 * 4 + 2 * 4, 16 * 4)  # image, three maps, logits


def test_networks_of_cells_are_measured_too():
    space = search_spaces.load("darts", channels=4, cells=3)
    net = model.build(space).eval().path(space.sample(np.random.default_rng(0), 1)[0])
    held, largest = memory.per_network(net, torch.rand(1, 3, 32, 32))
    assert held > 4 * largest >= 4 * 3 * 32 * 32 * 4


def test_measuring_leaves_the_net_and_the_generator_as_they_were():
    space = search_spaces.load("digits")
    net = model.build(space, torch.Generator().manual_seed(0)).eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    images, state = torch.rand(2, 1, 8, 8), torch.get_rng_state()
    memory.per_path(net, space.choices, images)
    assert torch.equal(torch.get_rng_state(), state)
    memory.per_image(net, torch.rand(1, 1, 8, 8))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not net.training
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(("text", "size"), [("2G", 2**31), ("1.5k", 1536), ("300", 300), ("1T", 2**40)])
def test_sizes_are_read(text, size):
    assert memory.parse(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "nan", "inf", "1e999", "two", "1GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="--memory takes a size"):
        memory.parse(text)


def test_some_memory_is_free():
    assert 2**20 < memory.free(torch.device("cpu")) < 2**50
