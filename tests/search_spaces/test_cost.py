"""The cost table against the papers, torchvision, and three counters run on the built networks."""

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import search_spaces
from search_spaces import cost
from search_spaces.cell import Cell

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # both use what their own dependencies call deprecated
    import thop
    from fvcore.nn import FlopCountAnalysis

MACRO = Path(__file__).parents[3] / "shared" / "data" / "nas-bench-macro_cifar10.json"
SPACES = [
    ("fairnas", 64),
    ("fairnas", 224),
    ("mobilenet_v2", 96),
    ("digits", 8),
    ("digits", 32),
    ("nas_bench_macro", 32),
    ("darts", 16),
    ("darts", 128),
    ("darts_s1", 8),
    ("darts_s4", 8),
    ("nas_bench_201", 16),
    ("three_edge", 8),
]
SHALLOW = {"darts": 4, "darts_s1": 4, "darts_s4": 4, "nas_bench_201": 1, "three_edge": 2}  # cells
UNCOUNTED = (nn.BatchNorm2d, nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.ReLU6, nn.ReLU, nn.Dropout)


@pytest.mark.parametrize("name", search_spaces.published.ARCHITECTURES)
def test_published_architectures_cost_what_their_authors_code_costs(name):
    architecture = search_spaces.published.ARCHITECTURES[name]
    if architecture.genotype is not None:
        assert search_spaces.darts.cost(architecture.genotype, 36, 20, 32, 10) == architecture.cost
    if architecture.encoding is not None:
        published = {"channels": 36, "cells": 20} if architecture.genotype else {}
        space = search_spaces.load(architecture.space, **published)
        assert tuple(space.cost([architecture.encoding])[0]) == architecture.cost


def test_fairnas_extremes():
    low, high = search_spaces.load("fairnas").cost_range()
    assert (round(low[0] / 1e6, 2), round(high[0] / 1e6, 2)) == (247.13, 557.41)
    assert (round(low[1] / 1e6, 3), round(high[1] / 1e6, 3)) == (3.189, 5.090)


def test_all_k3e6_is_mobilenet_v2():
    space = search_spaces.load("mobilenet_v2")
    encoding = space.parse("k3e6 " * 16)
    with torch.device("meta"):
        reference = torchvision.models.mobilenet_v2()
    madds, params = space.cost([encoding])[0]
    assert params == sum(p.numel() for p in reference.parameters())
    assert madds == cost.measure(lambda: reference, (3, 224, 224))[0][0]
    assert round(madds / 1e6, 2) == 300.77
    ours = [tuple(p.shape) for p in space.build(encoding).parameters()]
    assert ours == [tuple(p.shape) for p in reference.parameters()]


@pytest.mark.skipif(not MACRO.exists(), reason=f"the published table is not there: {MACRO}")
def test_nas_bench_macro_costs_are_the_published_ones():
    space, table = search_spaces.load("nas_bench_macro"), json.loads(MACRO.read_text())
    encodings = [space.parse(key) for key in table]
    published = [[row["flops"], row["params"]] for row in table.values()]
    assert (space.cost(encodings) == published).all()


def test_nas_bench_macro_has_the_known_number_of_distinct_networks():
    space = search_spaces.load("nas_bench_macro")
    everything = np.stack(np.unravel_index(np.arange(space.size), space.choices), axis=1)
    distinct = np.unique(space.canonical(everything), axis=0)
    assert (len(everything), len(distinct)) == (6561, 3969)
    assert (space.cost(space.canonical(everything)) == space.cost(everything)).all()


def fvcore_count(net: nn.Module, images: torch.Tensor) -> int:
    counter = FlopCountAnalysis(net, images).unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    free = dict.fromkeys(("aten::batch_norm", "aten::adaptive_avg_pool2d"), lambda inputs, outputs: 0)
    return int(counter.set_op_handle(**free).total())


def thop_count(net: nn.Module, images: torch.Tensor) -> int:
    free = dict.fromkeys(UNCOUNTED, lambda module, x, y: None)
    return int(thop.profile(net, (images,), custom_ops=free, verbose=False)[0])  # writes into the net: give a copy


def reads_all(space, encoding) -> bool:
    """Whether every cell reads all of its inputs: fvcore leaves out what nothing reads, though it is computed."""
    if not isinstance(space, Cell):
        return True
    graphs = space.graphs(encoding).values()
    return all({edge.source for edge in graph.edges} >= set(range(space.inputs)) for graph in graphs)


@pytest.mark.filterwarnings("ignore")  # the witnesses' own deprecations
@pytest.mark.parametrize(("name", "image_size"), SPACES)
def test_table_equals_three_counters_on_built_networks(name, image_size, rng):
    options = {"cells": SHALLOW[name]} if name in SHALLOW else {}
    space = search_spaces.load(name, image_size=image_size, num_classes=11, **options)
    encodings = [encoding for encoding in space.sample(rng, 30) if reads_all(space, encoding)]
    for encoding in encodings[:3]:
        net = space.build(encoding).eval()
        images = torch.zeros(1, space.in_channels, image_size, image_size)
        madds, params = space.cost([encoding])[0]
        assert params == sum(p.numel() for p in net.parameters())
        assert madds == cost.measure(lambda e=encoding: space.build(e), images.shape[1:])[0][0]
        assert madds == fvcore_count(net, images)
        assert madds == thop_count(space.build(encoding).eval(), images)


@pytest.mark.parametrize("name", search_spaces.SPACES)
def test_range_is_reached_and_never_left(name, rng):
    space = search_spaces.load(name)
    low, high = space.cost_range()
    costs = space.cost(space.sample(rng, 2000))
    assert (low <= costs).all()
    assert (costs <= high).all()
    assert (space.cost([CHEAPEST[name](space)])[0] == low).all()


def lone_edge(option: int):
    """Cells of a single edge, with this option in the reduction cell, from their last input to their first node."""
    return lambda space: [1, 1, *[0] * 14, 1, option, *[0] * 14]


def skips(space) -> list[int]:
    """The skip where there is one, else the first option."""
    return [k - 1 if k == 7 else 0 for k in space.choices]


CHEAPEST = dict.fromkeys(search_spaces.SPACES, skips)
CHEAPEST |= dict.fromkeys(("darts", "darts_s1", "darts_s4"), lone_edge(1))  # a pool, a pool, noise
CHEAPEST |= dict.fromkeys(("darts_s2", "darts_s3"), lone_edge(1))  # a skip


def test_a_hundred_thousand_encodings_cost_under_a_tenth_of_a_second(rng):
    space = search_spaces.load("fairnas")
    encodings = space.sample(rng, 100_000)
    space.cost(encodings[:1])  # measures the table
    times = []
    for _ in range(5):
        start = time.process_time()  # a busy machine takes longer by the clock
        space.cost(encodings)
        times.append(time.process_time() - start)
    assert np.median(times) < 0.1
