import numpy as np
import pytest
import torch
from torch.nn import functional as F

import search_spaces
from supernet import fit, train
from supernet.fairness import strict, uniform
from supernet.model import ChainSupernet
from supernet.oracle import SupernetOracle
from supernet.sharing import GroupedOracle, GroupedSupernet, Sharing, build, group
from supernet.step import chunked, plain

LAYERS = 6  # of the digits' space


@pytest.fixture(scope="module")
def space():
    return search_spaces.load("digits")


def loss(logits, labels):
    return F.cross_entropy(logits, labels)


def batch(n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(n)


def weights(net, encoding) -> set[int]:
    return {id(parameter) for parameter in net.path(encoding).parameters()}


@pytest.mark.parametrize("groups", [2, 6, 7])
def test_similar_groups_are_equal_parts_of_the_space_in_their_order(space, groups):
    everything = np.stack(np.unravel_index(np.arange(space.size), space.choices), axis=1)[::36]
    found = group(space, Sharing(groups), 0, everything)
    assert (np.diff(found) >= 0).all()
    sizes = np.bincount(found)
    assert len(sizes) == groups
    assert np.ptp(sizes) <= 1
    if groups == 6:
        assert (found == everything[:, 0]).all()


def test_random_groups_are_about_equal_and_are_drawn_by_the_seed(space, rng):
    encodings = space.sample(rng, 2000)
    found, again, other = (group(space, Sharing(4, "random"), seed, encodings) for seed in (0, 0, 1))
    assert np.bincount(found).min() > 400
    assert (found == again).all()
    assert np.mean(found == other) == pytest.approx(1 / 4, abs=0.05)


def test_members_of_similar_groups_have_more_in_common_than_those_of_random_ones(space, rng):
    encodings = space.sample(rng, 400)
    alike = (encodings[:, None] == encodings).mean(2)
    common = []
    for grouping in ("similar", "random"):
        found = group(space, Sharing(4, grouping), 0, encodings)
        common.append(alike[found[:, None] == found].mean())
    assert common[0] > common[1] + 0.05


@pytest.mark.parametrize("grouping", ["similar", "random"])
def test_equal_networks_are_in_the_same_group(grouping):
    space = search_spaces.load("nas_bench_macro")
    equal = [[1, 1, 1, 0, 2, 1, 0, 1], [1, 1, 1, 2, 0, 1, 1, 0]]
    for seed in range(10):
        assert len(set(group(space, Sharing(50, grouping), seed, np.array(equal)))) == 1


@pytest.mark.parametrize("prefix", range(LAYERS + 1))
def test_two_groups_share_the_stem_and_the_first_layers_and_nothing_else(space, prefix):
    net = build(space, Sharing(2, "similar", prefix), 0)
    a, b = [0, 1, 2, 3, 4, 5], [5, 1, 2, 3, 4, 5]  # begin differently, and so are in different groups
    paths = net.path(a), net.path(b)
    alike = [{id(p) for p in module.parameters()} for module in (paths[0].stem, *paths[0].blocks[1:prefix])]
    expected = set().union(*alike) if prefix else set()
    assert weights(net, a) & weights(net, b) == expected
    assert weights(net, a) == weights(net, a)
    c = [0, 5, 2, 3, 4, 5]  # a's group, another block in the second layer
    assert len(weights(net, a) & weights(net, c)) == len(weights(net, a)) - len(list(paths[0].blocks[1].parameters()))


@pytest.mark.parametrize("prefix", range(5))
def test_two_groups_of_a_cell_space_share_the_stem_and_the_first_cells_and_nothing_else(prefix):
    net = build(search_spaces.load("three_edge", image_size=8, channels=2), Sharing(2, "similar", prefix), 0)
    a, b = net.path([0, 1, 2]), net.path([3, 1, 2])
    first = {id(p) for module in (a.stem, *(cell.preprocess for cell in a.cells[:prefix])) for p in module.parameters()}
    for one, other in zip(a.cells[:prefix], b.cells[:prefix], strict=True):
        first |= {id(p) for p in one.operations[1:].parameters()}  # the first edge's option differs
        assert all(
            p is q for p, q in zip(one.operations[1:].parameters(), other.operations[1:].parameters(), strict=True)
        )
    assert weights(net, [0, 1, 2]) & weights(net, [3, 1, 2]) == (first if prefix else set())


def test_a_grouped_cell_supernet_moves_its_statistics_in_training_mode_alone():
    net = build(search_spaces.load("three_edge", image_size=8, channels=2), Sharing(2), 0)
    images, path = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)), [[0, 1, 2]]
    for mode in (True, False, True):
        before = {name: tensor.clone() for name, tensor in net.named_buffers()}
        net.train(mode)(images, path)
        assert any(not torch.equal(before[name], tensor) for name, tensor in net.named_buffers()) is mode


def test_a_group_of_cells_gets_the_mean_gradient_of_what_all_its_paths_use():
    net = build(search_spaces.load("three_edge", image_size=8, channels=2), Sharing(2, "similar", 1), 0).eval()
    images, labels = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(2)
    paths = np.array([[0, 1, 2], [1, 0, 0], [3, 3, 3]])
    assert net.groups(paths).tolist() == [0, 0, 1]
    plain(net, loss, images, labels, paths)
    summed = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    net.average(paths)
    passes = dict.fromkeys(summed, 1)
    for module, times in ((net.members[0].head, 2), (net.members[0].stem, 3), (net.members[0].cells[0].preprocess, 3)):
        ids = {id(p) for p in module.parameters()}
        passes |= {name: times for name, p in net.named_parameters() if id(p) in ids}
    for cell in net.members[0].cells[1:]:
        ids = {id(p) for p in cell.preprocess.parameters()}
        passes |= {name: 2 for name, p in net.named_parameters() if id(p) in ids}
    for name, p in net.named_parameters():
        if name in summed:
            assert torch.allclose(p.grad * passes[name], summed[name]), name


def test_one_group_is_the_plain_supernet_and_every_weight_is_held_once(space):
    assert isinstance(build(space, Sharing(), 0), ChainSupernet)
    sizes = {}
    for prefix in (0, 3, LAYERS):
        net = build(space, Sharing(3, "random", prefix), 0)
        pointers = [tensor.data_ptr() for tensor in net.state_dict().values() if tensor.numel() > 1]
        assert len(pointers) == len(set(pointers))
        sizes[prefix] = sum(p.numel() for p in net.parameters())
    one = build(space, Sharing(), 0)
    head = sum(p.numel() for p in one.head.parameters())
    total = sum(p.numel() for p in one.parameters())
    assert sizes[0] == 3 * total
    assert sizes[0] > sizes[3] > sizes[LAYERS] == total + 2 * head


def test_a_step_of_one_group_leaves_the_other_as_it_is(space):
    net = build(space, Sharing(2), 0).train()
    plain(net, loss, *batch(), np.array([[0, 1, 2, 3, 4, 5]]))
    assert all(parameter.grad is None for parameter in net.members[1].parameters())
    assert all(parameter.grad is not None for parameter in net.path([0, 1, 2, 3, 4, 5]).parameters())


@pytest.mark.parametrize("prefix", [0, 2])
def test_chunked_steps_leave_the_gradients_of_plain_ones_and_averages_divide_by_the_passes(space, prefix):
    paths, (images, labels) = strict(space.choices, 0, 0), batch()
    gradients = []
    for step in (plain, lambda *args: chunked(*args, size=4), lambda *args: chunked(*args, size=1)):
        net = build(space, Sharing(2, "similar", prefix), 0).double().eval()
        step(net, loss, images.double(), labels, paths)
        trained = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
        gradients.append(trained)
    for other in gradients[1:]:
        assert other.keys() == gradients[0].keys()
        assert all(torch.allclose(gradients[0][name], other[name]) for name in other)
    net.average(paths)
    times = np.bincount(net.groups(paths))
    assert times.tolist() == [3, 3]  # a strict step deals every first option once
    for name, parameter in net.named_parameters():
        if name not in gradients[0]:
            continue
        head = any(parameter is p for member in net.members for p in member.head.parameters())
        stem = any(parameter is p for member in net.members for p in member.stem.parameters())
        share = 3 if head else (6 if prefix else 3) if stem else 1
        assert torch.allclose(parameter.grad * share, gradients[0][name]), name


def test_every_architecture_is_scored_by_its_own_group(space, digits, rng):
    net = build(space, Sharing(3, "random"), 0)
    images, labels = digits.score.images[:50], digits.score.labels[:50]
    oracle = GroupedOracle(net, lambda member: SupernetOracle(member, images, labels, digits.normalise))
    encodings = space.sample(rng, 8)
    expected = [fit.accuracy(net.path(e).eval(), images, labels, digits.normalise).item() for e in encodings]
    assert oracle.accuracy(encodings) == pytest.approx(expected, abs=1e-7)


def test_a_grouped_training_resumes_bit_for_bit_and_can_be_restored(space, digits, tmp_path, monkeypatch):
    small = digits._replace(train=digits.train.take(np.arange(60)), score=digits.score.take(np.arange(60)))
    whole, parts = (
        train.Config(run=str(tmp_path / name), sharing=Sharing(2, "similar", 1), training=fit.Training(2, 30))
        for name in ("whole", "parts")
    )
    expected = train.train(whole, space, small)[0].state_dict()
    accuracies = iter([0.5])  # the second epoch's fails
    with monkeypatch.context() as patch:
        patch.setattr(train, "mean_accuracy", lambda *_: next(accuracies, None) or _interrupt())
        with pytest.raises(RuntimeError, match="interrupted"):
            train.train(parts, space, small)
    resumed = train.train(parts, space, small)[0]
    assert isinstance(resumed, GroupedSupernet)
    restored = train.restore(parts, space, small.mean.device, tmp_path / "whole" / train.WEIGHTS)
    for net in (resumed, restored):
        assert all(torch.equal(expected[name], tensor) for name, tensor in net.state_dict().items())
    assert train.make_oracle(parts, restored, small, 0).accuracy(uniform(space.choices, 0, 0)).shape == (1,)


def _interrupt():
    raise RuntimeError("interrupted")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--groups", "0"], "--groups of at least 1"),
        (["--grouping", "random"], "give --groups of at least 2"),
        (["--shared-prefix", "2"], "give --groups of at least 2"),
        (["--grouping", "odd"], "--grouping must be similar or random, got 'odd'"),
        (["--groups", "2", "--shared-prefix", "7"], "digits has 6 layers and 46,656 encodings"),
        (["--groups", "50000"], "digits has 6 layers and 46,656 encodings"),
    ],
)
def test_wrong_sharing(script, tmp_path, flags, message):
    outcome = script(train, "--run", tmp_path / "run", *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
