import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from supernet import memory, model
from supernet.fit import accuracy
from supernet.oracle import INDEXED, TENSORS, SupernetOracle, _even, fresh_statistics


def lively(net: nn.Module) -> nn.Module:
    """With blocks that are not the identity."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return net


@pytest.fixture
def space():
    return search_spaces.load("digits")


@pytest.fixture
def net(space, digits):
    """Untrained, but with running statistics of its own."""
    net = lively(model.build(space, torch.Generator().manual_seed(0))).train()
    with torch.no_grad():
        net(digits.normalise(digits.train.images[:50]), space.sample(np.random.default_rng(0), 20))
    return net


def oracle(net, data, recalibrate=0, **options) -> SupernetOracle:
    calibration = data.train.images[:recalibrate] if recalibrate else None
    return SupernetOracle(net, *data.score, data.normalise, calibration, **options)


@pytest.mark.parametrize("recalibrate", [0, 100])
def test_scores_are_those_of_stand_alone_networks(space, net, digits, recalibrate, rng):
    encodings = space.sample(rng, 6)
    scores = oracle(net, digits, recalibrate).accuracy(encodings)
    for encoding, score in zip(encodings, scores, strict=True):
        alone = net.extract(encoding).eval()
        if recalibrate:
            for module in alone.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
                    module.momentum = None
                    module.train()
            with torch.no_grad():
                alone(digits.normalise(digits.train.images[:recalibrate]))
            alone.eval()
        assert score == accuracy(alone, *digits.score, digits.normalise).item()


def test_batch_statistics_are_those_of_training_mode_and_leave_the_running_ones(space, net, digits, rng):
    encodings = space.sample(rng, 4)
    before = {name: tensor.clone() for name, tensor in net.named_buffers()}
    scores, by_loss = (oracle(net, digits, batch=True, by_loss=way).accuracy(encodings) for way in (False, True))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.named_buffers())
    for encoding, score, likelihood in zip(encodings, scores, by_loss, strict=True):
        alone = net.extract(encoding).train()
        for module in alone.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        with torch.no_grad():
            logits = alone(digits.normalise(digits.score.images))
        assert score == (logits.argmax(-1) == digits.score.labels).float().mean().item()
        assert likelihood == pytest.approx((-nn.functional.cross_entropy(logits, digits.score.labels)).exp().item())


def test_by_loss_a_score_is_the_geometric_mean_of_what_the_true_classes_are_given(space, net, digits, rng):
    encodings = space.sample(rng, 6)
    images, labels = digits.score
    for options in ({}, {"chunk": 100}):
        scores = oracle(net, digits, by_loss=True, **options).accuracy(encodings)
        for encoding, score in zip(encodings, scores, strict=True):
            alone = net.extract(encoding).eval()
            with torch.no_grad():
                given = alone(digits.normalise(images)).double().softmax(-1)[range(len(labels)), labels]
            assert score == pytest.approx(np.exp(np.log(given.numpy()).mean()), rel=1e-5)
        assert len(set(scores)) == len(scores)


def test_an_accuracy_to_cut_at_says_nothing_of_losses(net, digits):
    with pytest.raises(ValueError, match="leave out --cut or --by-loss"):
        oracle(net, digits, cut=0.5, by_loss=True)


@pytest.mark.parametrize("name", ["digits", "nas_bench_macro"])
@pytest.mark.parametrize("recalibrate", [0, 30])
@pytest.mark.parametrize("by_loss", [False, True])
def test_a_population_at_once_equals_one_by_one_bit_for_bit(name, recalibrate, by_loss, rng):
    space = search_spaces.load(name, image_size=8, num_classes=4)
    net = lively(model.build(space, torch.Generator().manual_seed(0)))
    images = torch.randn(40, space.in_channels, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(40) % 4
    calibration = images[:recalibrate] + 1 if recalibrate else None
    judge = SupernetOracle(net, images, labels, calibration=calibration, chunk=25, by_loss=by_loss)
    encodings = np.concatenate([space.sample(rng, 12), space.sample(rng, 5)[[0, 0, 1]]])
    assert len(set(judge.accuracy(encodings))) > 3
    assert (judge.accuracy(encodings) == judge.one_by_one(encodings)).all()


@pytest.mark.parametrize("recalibrate", [0, 100])
def test_no_candidate_touches_another(space, net, digits, recalibrate, rng):
    encodings = space.sample(rng, 8)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    judge = oracle(net, digits, recalibrate)
    forward, backward = judge.accuracy(encodings), judge.accuracy(encodings[::-1])
    assert (forward == backward[::-1]).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(m.momentum == 0.1 for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def test_statistics_come_back_after_an_error(net, space):
    path = net.path([0] * len(space.choices))
    before = {name: tensor.clone() for name, tensor in path.state_dict().items()}
    with pytest.raises(RuntimeError), fresh_statistics(path, [torch.zeros(2, 3, 8, 8)]):
        pass  # three channels: not reached
    assert all(torch.equal(before[name], tensor) for name, tensor in path.state_dict().items())


def test_empty_population_scores_empty(net, digits):
    for none in ([], np.empty((0, 6), dtype=int)):
        assert oracle(net, digits).accuracy(none).shape == (0,)


@pytest.mark.parametrize("wrong", [[[-1] * 6], [[6] * 6], [[0] * 5], [0] * 6, [[0.5] * 6]])
def test_encodings_that_are_not_in_the_space_are_refused_and_not_taken_for_others(net, digits, wrong):
    judge = oracle(net, digits)
    for score in (judge.accuracy, judge.one_by_one):
        with pytest.raises(ValueError, match="digits"):
            score(wrong)


def test_whole_numbers_of_any_type_are_encodings(space, net, digits, rng):
    encodings, judge = space.sample(rng, 3), oracle(net, digits)
    for same in (encodings.tolist(), encodings.astype(float), encodings.astype(np.uint8), torch.from_numpy(encodings)):
        assert (judge.accuracy(same) == judge.accuracy(encodings)).all()


@pytest.mark.parametrize("recalibrate", [0, 100])
def test_training_after_the_oracle_was_made_changes_no_way_of_scoring(space, net, digits, recalibrate, rng):
    encodings, judge = space.sample(rng, 6), oracle(net, digits, recalibrate)
    before, scores = {name: tensor.clone() for name, tensor in net.state_dict().items()}, judge.accuracy(encodings)
    net.train()
    assert (judge.accuracy(encodings) == scores).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, labels: (images, labels.repeat(2)), "a label of each"),
        (lambda images, labels: (images, labels[:-1]), "a label of each"),
        (lambda images, labels: (images[:0], labels[:0]), "a label of each"),
        (lambda images, labels: (images, labels + 1), "labels must be from 0 to 9, got 1 to 10"),
        (lambda images, labels: (images, labels - 1), "labels must be from 0 to 9, got -1 to 8"),
    ],
)
def test_labels_that_are_not_the_images_are_refused(net, digits, change, message):
    with pytest.raises(ValueError, match=message):
        SupernetOracle(net, *change(*digits.score), digits.normalise)


def test_a_smaller_budget_changes_no_score_and_is_kept(space, net, digits, rng):
    encodings = space.sample(rng, 6)
    whole = oracle(net, digits, 100)
    held, largest = memory.per_image(net, digits.normalise(digits.score.images[:1]))
    small = oracle(net, digits, 100, budget=held * 150 + largest * 400)
    assert small.group < 100 < whole.group
    assert small.chunk * TENSORS * largest + (small.group + 100) * held <= held * 150 + largest * 400
    np.testing.assert_allclose(small.accuracy(encodings), whole.accuracy(encodings), atol=1 / 287)


def test_no_tensor_of_cells_is_larger_than_kernels_can_index():
    space, images = search_spaces.load("darts", channels=8, cells=2), torch.empty(1, 3, 224, 224, device="meta")
    net = model.build(space, torch.Generator().manual_seed(0)).to("meta")  # not the CPU, whose chunk is always the same
    chunk = SupernetOracle(net, images, torch.zeros(1), budget=2**50).chunk
    _, largest = memory.per_network(net.path(space.sample(np.random.default_rng(0), 1)[0]), images)
    assert INDEXED // 2 < chunk * largest <= INDEXED


def test_a_budget_that_holds_nothing_names_the_mend(net, digits):
    with pytest.raises(ValueError, match=r"scoring needs .* MiB .*--memory"):
        oracle(net, digits, 100, budget=1000)


def test_the_cut_spares_the_hopeless_and_no_other(space, net, digits, rng):
    encodings = space.sample(rng, 12)
    whole = oracle(net, digits).accuracy(encodings)
    assert (oracle(net, digits, cut=0.01).accuracy(encodings) == whole).all()
    early = len(digits.score.labels) // 8
    first = digits._replace(score=digits.score.take(np.arange(early)))
    assert (oracle(net, digits, cut=0.99).accuracy(encodings) == oracle(net, first).accuracy(encodings)).all()


def test_the_cut_is_the_same_whatever_the_memory(space, net, digits, rng):
    encodings = space.sample(rng, 12)
    cut = oracle(net, digits, 100).accuracy(encodings).max() + 0.1  # not out of reach after an eighth, but soon
    whole = oracle(net, digits, 100, cut=cut)
    held, largest = memory.per_image(net, digits.normalise(digits.score.images[:1]))
    small = oracle(net, digits, 100, cut=cut, budget=held * 115 + largest * 400)
    assert small.group < len(digits.score.labels) // 8
    np.testing.assert_allclose(small.accuracy(encodings), whole.accuracy(encodings), atol=1e-6)


@pytest.mark.parametrize("n", [2, 500, 501, 1001])
def test_no_calibration_batch_is_left_with_a_single_image(n):
    sizes = [len(batch) for batch in _even(torch.zeros(n, 1))]
    assert sum(sizes) == n
    assert 2 <= min(sizes) <= max(sizes) <= 500
    assert max(sizes) - min(sizes) <= 1


def test_statistics_of_a_single_image_are_refused(net, digits):
    with pytest.raises(ValueError, match="at least 2 images"):
        oracle(net, digits, 1)
