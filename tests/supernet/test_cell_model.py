"""The supernet of cells, and who trains next in it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import search_spaces
from supernet import model
from supernet.fairness import sampler, strict_slots
from supernet.oracle import SupernetOracle

SPACES = ["darts", "darts_s1", "darts_s4", "nas_bench_201", "three_edge"]


@pytest.fixture(params=SPACES)
def space(request):
    return tiny(request.param)


def tiny(name: str = "darts"):
    cells = {"nas_bench_201": 1, "three_edge": 2}.get(name, 3)
    return search_spaces.load(name, image_size=8, num_classes=5, in_channels=1, channels=4, cells=cells)


def supernet(space):
    return model.build(space, torch.Generator().manual_seed(0))


@pytest.fixture
def images():
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def sparse(space, rng, n: int) -> np.ndarray:
    """Encodings of which many have dead nodes."""
    raw = rng.integers(space.choices, size=(n, len(space.choices)))
    if space.decisions.sparse:
        raw[:, 1::2] *= rng.random((n, len(space.choices) // 2)) < 0.4
    return space.canonical(raw)


def test_stand_alone_net_with_a_paths_weights_gives_equal_logits(space, images, rng):
    net = supernet(space)
    net.train()(images, sampler("strict", space)(0, 0))  # moves the running statistics
    paths = np.concatenate([space.sample(rng, 3), sparse(space, rng, 3)])
    with torch.inference_mode():
        together = net.eval()(images, paths)
        for path, logits in zip(paths, together, strict=True):
            alone = space.build(path)
            alone.load_state_dict(net.extract(path).state_dict())
            # dead nodes' zeros are left out of the sums, which rounds them otherwise
            assert torch.allclose(alone.eval()(images), logits, rtol=1e-5, atol=1e-6)


def test_extracted_path_is_a_copy(space, images, rng):
    net, (path,) = supernet(space), space.sample(rng, 1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    copy = net.extract(path).train()
    copy(images)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_a_steps_gradient_is_the_sum_of_its_paths(images):
    space = tiny()
    net, labels = supernet(space).double().train(), torch.arange(4)
    paths, images = sampler("strict", space)(0, 0), images.double()
    sum(F.cross_entropy(logits, labels) for logits in net(images, paths)).backward()
    together = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    net.zero_grad()
    for path in paths:
        F.cross_entropy(net(images, path[None])[0], labels).backward()
    for name, parameter in net.named_parameters():
        if name in together:
            assert torch.allclose(together[name], parameter.grad, rtol=1e-9, atol=1e-12), name


def counts(slots, steps: int, seed: int = 0) -> dict[tuple[int, int], np.ndarray]:
    """(kind, node) -> how often each (source, option) was trained."""
    paths = np.concatenate([strict_slots(slots, seed, step) for step in range(steps)])
    slotted = paths.reshape(len(paths), *slots.shape)
    table = {}
    for kind, node in np.ndindex(slots.shape[:2]):
        pairs = slotted[:, kind, node].reshape(-1, 2)
        table[kind, node] = np.zeros((slots.inputs + node, slots.options), dtype=int)
        np.add.at(table[kind, node], tuple(pairs.T), 1)
    return table


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20])
def test_edges_of_a_node_and_options_of_an_edge_never_differ_by_more_than_one(steps):
    for table in counts(tiny().decisions, steps).values():
        assert table.sum() == 2 * 8 * steps
        assert np.ptp(table.sum(1)) <= 1
        assert (np.ptp(table, axis=1) <= 1).all()


def test_after_whole_decks_every_option_of_every_edge_was_trained_equally_often():
    for table in counts(tiny().decisions, 30).values():  # 240 passes: a multiple of 2 x 8 x (2, 3, 4, 5) / 2
        assert np.ptp(table) == 0


def test_a_pass_takes_two_different_edges_of_every_node():
    slots = tiny().decisions
    for step in range(60):
        pairs = strict_slots(slots, 3, step).reshape(-1, *slots.shape)
        assert (pairs[..., 0, 0] != pairs[..., 1, 0]).all()


def test_every_pair_of_edges_comes_up():
    slots = tiny().decisions
    sources = np.concatenate([strict_slots(slots, 0, step) for step in range(200)]).reshape(-1, *slots.shape)[..., 0]
    pairs = {tuple(sorted(pair)) for pair in sources[:, 0, 3].tolist()}
    assert len(pairs) == 10


def test_spaces_of_one_decision_an_edge_train_every_block_once_a_step():
    paths = sampler("strict", tiny("nas_bench_201"))(0, 0)
    assert (np.sort(paths, axis=0) == np.arange(5)[:, None]).all()


def test_oracle_scores_cells_one_by_one_without_touching_them(images, rng):
    space = tiny()
    net = supernet(space)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    oracle = SupernetOracle(net, images, torch.arange(4), calibration=images)
    encodings = space.sample(rng, 5)
    assert (oracle.accuracy(encodings) == oracle.one_by_one(encodings)).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
