import numpy as np
import pytest
import torch

import search_spaces
from search_spaces import cost
from search_spaces.blocks import InvertedResidual, initialise
from search_spaces.cell import Cell

IMAGE_SIZE = {"fairnas": 32, "mobilenet_v2": 32, "proxyless": 32}  # small, to be quick; others by default


@pytest.fixture(params=search_spaces.SPACES)
def space(request):
    name = request.param
    small = {"channels": 4, "cells": 3} if isinstance(search_spaces.load(name), Cell) else {}
    return search_spaces.load(name, image_size=IMAGE_SIZE.get(name), num_classes=7, **small)


def test_samples_are_in_the_space_and_reach_every_option(space, rng):
    encodings = space.sample(rng, 500)
    assert encodings.shape == (500, len(space.choices))
    assert (space.check(encodings) == encodings).all()
    if isinstance(space, Cell):
        assert all(set(column) == set(range(k)) for column, k in zip(encodings.T, space.choices, strict=True))
        return
    for column, layer in zip(encodings.T, space.layers, strict=True):
        moved = {"identity"}  # canonical encodings have it last
        assert {list(layer.options)[k] for k in column} | moved == set(layer.options) | moved


def test_describe_and_parse_are_inverse(space, rng):
    for encoding in space.sample(rng, 20):
        words, code = space.describe(encoding), space.code(encoding)
        assert space.parse(words) == space.parse(code) == space.parse(str(encoding.tolist())) == tuple(encoding)


def test_canonical_is_idempotent_and_keeps_the_cost(space, rng):
    encodings = space.sample(rng, 50)
    canonical = space.canonical(encodings)
    assert (space.canonical(canonical) == canonical).all()
    assert (space.cost(canonical) == space.cost(encodings)).all()


def test_builds_a_network_of_the_right_shape(space, rng):
    (encoding,) = space.sample(rng, 1)
    images = torch.zeros(2, space.in_channels, space.image_size, space.image_size)
    assert space.build(encoding).eval()(images).shape == (2, 7)


def test_spec_makes_the_same_space_again(space, rng):
    again = search_spaces.load(**space.spec)
    encodings = space.sample(rng, 10)
    assert (again.cost(encodings) == space.cost(encodings)).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda e: e[:, :-1], "shape"),
        (lambda e: e[0], "shape"),
        (lambda e: -1 - e, "decision 0 is -"),
        (lambda e: e + 100, "decision 0 is 1"),
        (lambda e: e + 0.5, "whole number"),
        (lambda e: e * np.nan, "whole number"),
        (lambda e: e.astype(str), "whole numbers"),
        (lambda e: [[1, 2], [1]], "numbers"),
    ],
)
def test_check_refuses_what_is_not_in_the_space(space, rng, bad, message):
    with pytest.raises(ValueError, match=message):
        space.cost(bad(space.sample(rng, 3)))


@pytest.mark.parametrize("text", ["", "k3e3", "9" * 40, "k9e9 " * 19, "-1 " * 19])
def test_parse_refuses_what_is_no_encoding(space, text):
    with pytest.raises(ValueError, match=r"layer|decision"):
        space.parse(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet"}, "known are .*fairnas"),
        ({"name": "fairnas", "image_size": 20}, "multiple of 32, for example 32"),
        ({"name": "fairnas", "image_size": 0}, "multiple of 32"),
        ({"name": "fairnas", "image_size": 40, "stem_stride": 1}, "multiple of 16"),
        ({"name": "fairnas", "stem_stride": 3}, "stem_stride"),
        ({"name": "fairnas", "num_classes": 1}, "at least 2 classes"),
        ({"name": "digits", "stem_stride": 1}, "no option 'stem_stride'"),
        ({"name": "digits", "image_size": 8.5}, "whole number"),
        ({"name": "digits", "in_channels": 0}, "channel"),
        ({"name": "darts", "image_size": 30}, "multiple of 4"),
        ({"name": "darts", "image_size": 200}, "multiple of 32"),
        ({"name": "darts", "channels": 15}, "even number of channels"),
        ({"name": "darts_s1", "cells": 0}, "at least 1 cell"),
        ({"name": "nas_bench_201", "image_size": 18}, "multiple of 4"),
    ],
)
def test_load_refuses_with_the_mend(options, message):
    with pytest.raises(ValueError, match=message):
        search_spaces.load(**options)


def test_sizes_of_the_spaces():
    assert search_spaces.load("fairnas").size == 6**19
    assert search_spaces.load("mobilenet_v2").size == 6**16
    assert search_spaces.load("digits").size >= 6**6
    choices = search_spaces.load("proxyless").choices
    assert (len(choices), choices.count(6), choices.count(7)) == (21, 6, 15)


def test_a_skip_costs_nothing_stand_alone_and_has_weights_in_the_supernet():
    space = search_spaces.load("proxyless", image_size=32)
    layer = space.layers[1]
    assert isinstance(layer.block(6), torch.nn.Identity)
    skip = layer.shared_block(6)
    assert [tuple(p.shape) for p in skip.parameters()] == [(24, 24, 1, 1)]
    with_skip, without = space.cost([[0, 6, *[0] * 19], [0] * 21])
    x = torch.zeros(1, 24, 8, 8)
    block = cost.measure(lambda: layer.block(0), x.shape[1:])[0]
    assert (without - with_skip == block).all()


def test_equal_networks_have_equal_encodings():
    space = search_spaces.load("proxyless", image_size=32)
    skips = [space.parse("0" + where + "0" * 17) for where in ("600", "060", "006")]
    assert len(np.unique(space.canonical(skips), axis=0)) == 1
    assert space.canonical(skips)[0].tolist() == list(skips[2])
    others = [space.parse("0" + where + "0" * 17) for where in ("612", "162", "126", "621")]
    assert len(np.unique(space.canonical(others), axis=0)) == 2  # the order of the blocks still counts


def test_residual_blocks_start_as_the_identity():
    block = InvertedResidual(8, 8, 1, kernel=3, expansion=2)
    initialise(block, torch.Generator().manual_seed(0))
    x = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", search_spaces.SPACES)
def test_no_architectures_cost_nothing(name):
    space = search_spaces.load(name)
    none = space.canonical(np.empty((0, len(space.choices)), dtype=np.int64))
    assert none.shape == (0, len(space.choices))
    assert space.cost(none).shape == (0, 2)
