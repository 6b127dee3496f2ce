import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from supernet import checkpoint, fit, train

RECIPE = fit.Recipe(epochs=4, batch_size=64, lr=0.1, weight_decay=1e-3)
META = {"kind": "test"}


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 10)
    )


def convolutions() -> nn.Module:
    """Weights that lie in memory otherwise than a file has them."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 10)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def run(model, digits, path, poison=None, recipe=RECIPE, seed=0, meta=META, evaluate=None, keep=0):
    """Trains; the loss of the step `poison` is no number."""
    evaluate = evaluate or (lambda net: fit.accuracy(net.eval(), *digits.score, digits.normalise).item())

    def backward(images, labels, step):
        loss = recipe.loss(model(images) * (float("nan") if step == poison else 1.0), labels)
        loss.backward()
        return loss.detach()

    return fit.fit(model, backward, evaluate, digits, recipe, seed, path, meta, "test", keep)


def equal(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_training_learns(digits, tmp_path):
    history = run(net(), digits, tmp_path / "net")
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["accuracy"] > 0.8


@pytest.mark.parametrize("make", [net, convolutions])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(digits, tmp_path, stop_after, make):
    whole, parts = make(), make()
    expected = run(whole, digits, tmp_path / "whole")
    calls = []

    def interrupted(net):
        calls.append(1)
        if len(calls) > stop_after:
            raise KeyboardInterrupt
        return fit.accuracy(net.eval(), *digits.score, digits.normalise).item()

    with pytest.raises(KeyboardInterrupt):
        run(parts, digits, tmp_path / "parts", evaluate=interrupted)
    torch.manual_seed(123)  # nothing may depend on the global generator
    resumed = make()
    history = run(resumed, digits, tmp_path / "parts")
    assert equal(whole, resumed)
    assert [(r["loss"], r["accuracy"]) for r in history] == [(r["loss"], r["accuracy"]) for r in expected]


def test_the_callers_generator_is_left_alone(digits, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = net()
    torch.manual_seed(5)
    run(model, digits, tmp_path / "net", recipe=fit.Recipe(1, 64, 0.1, 0.0))
    assert torch.equal(torch.rand(3), expected)


def test_different_seeds_differ(digits, tmp_path):
    a, b = net(), net()
    run(a, digits, tmp_path / "a", seed=1)
    run(b, digits, tmp_path / "b", seed=2)
    assert not equal(a, b)


def test_a_finished_training_is_not_repeated(digits, tmp_path):
    run(net(), digits, tmp_path / "net")
    before = (tmp_path / "net").stat().st_mtime_ns
    run(net(), digits, tmp_path / "net", poison=0)
    assert (tmp_path / "net").stat().st_mtime_ns == before


def test_snapshots_are_the_weights_of_every_so_many_epochs_also_after_a_kill(digits, tmp_path):
    states = []

    def evaluate(net):
        states.append({name: tensor.clone() for name, tensor in net.state_dict().items()})
        if len(states) == 3:
            raise KeyboardInterrupt
        return 0.0

    def train(path):
        return run(net(), digits, path, evaluate=evaluate, keep=2)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "net.safetensors")
    train(tmp_path / "net.safetensors")
    del states[2]  # of the epoch that was interrupted
    found = fit.snapshots(tmp_path / "net.safetensors")
    assert list(found) == [2, 4]
    for epoch, path in found.items():
        kept = fit.weights(checkpoint.load(path, "test")[0])
        assert all(torch.equal(kept[name], tensor) for name, tensor in states[epoch - 1].items())


def test_a_checkpoint_of_other_settings_is_refused(digits, tmp_path):
    run(net(), digits, tmp_path / "net", meta={**META, "seed": 1})
    with pytest.raises(ValueError, match="seed 1, not 2"):
        run(net(), digits, tmp_path / "net", meta={**META, "seed": 2})


def test_nan_loss_stops_at_the_last_good_epoch(digits, tmp_path):
    with pytest.raises(FloatingPointError, match=r"nan in epoch 2, step 9, .*last good checkpoint.*--lr"):
        run(net(), digits, tmp_path / "net", poison=25)
    tensors, meta = checkpoint.load(tmp_path / "net", "test")
    assert len(meta["history"]) == 1
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_weights_that_the_last_step_of_an_epoch_spoils_do_not_replace_those_before(digits, tmp_path):
    model = net()

    def backward(images, labels, step):
        loss = RECIPE.loss(model(images), labels)
        (loss * (float("inf") if step == 2 * digits.steps(RECIPE.batch_size) - 1 else 1.0)).backward()
        return loss.detach()

    with pytest.raises(FloatingPointError, match=r"weights are no numbers any more in epoch 2, .*last good.*--lr"):
        fit.fit(model, backward, lambda net: 0.0, digits, RECIPE, 0, tmp_path / "net", META, "test")
    tensors, meta = checkpoint.load(tmp_path / "net", "test")
    assert len(meta["history"]) == 1
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"lr": 0.0}, {"lr": float("nan")}, {"label_smoothing": 1.0}]
)
def test_recipes_that_cannot_train_are_refused(wrong):
    with pytest.raises(ValueError, match=f"--{next(iter(wrong)).replace('_', '-')}"):
        fit.Recipe(**{**vars(RECIPE), **wrong})


def trained(tmp_path, digits, fairness) -> tuple[list, list]:
    """Paths of all passes, and the history, of a supernet trained for one strictly fair epoch's worth of passes."""
    space = search_spaces.load("digits")
    data = digits._replace(train=digits.train.take(np.arange(100)))
    config = train.Config(
        run=str(tmp_path / fairness), fairness=fairness, training=fit.Training(epochs=1, batch_size=20)
    )
    paths = []
    sampler = train.SAMPLERS[fairness]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train.SAMPLERS, fairness, lambda *key: paths.extend(drawn := sampler(*key)) or drawn)
        _, history = train.train(config, space, data)
    return paths, history


def test_uniform_training_is_matched_by_passes_and_strict_is_fair(tmp_path, digits):
    strict, strict_history = trained(tmp_path, digits, "strict")
    uniform, uniform_history = trained(tmp_path, digits, "uniform")
    assert len(strict) == len(uniform) == 5 * 6
    assert (len(strict_history), len(uniform_history)) == (1, 6)
    assert (np.sort(strict, axis=0).reshape(6, 5, 6) == np.arange(6)[:, None, None]).all()
    assert any(np.ptp(np.bincount(column, minlength=6)) for column in np.array(uniform).T)


def test_the_accuracy_shown_is_that_of_alone_standing_paths_with_statistics_of_their_own(tmp_path, digits):
    space = search_spaces.load("digits")
    config = train.Config(run=str(tmp_path), seed=3, training=fit.Training(epochs=1, batch_size=20))
    data = digits._replace(train=digits.train.take(np.arange(200)))
    supernet, history = train.train(config, space, data)
    calibration, (images, labels) = data.normalise(data.train.images[: train.CALIBRATED]), data.score
    right = []
    for encoding in space.sample(np.random.default_rng(3), train.PROBES):
        alone = supernet.extract(encoding)
        for module in (m for m in alone.modules() if isinstance(m, nn.BatchNorm2d)):
            module.reset_running_stats()
            module.momentum = None  # the mean
        with torch.no_grad():
            alone.train()(calibration)
            right.append((alone.eval()(data.normalise(images)).argmax(-1) == labels).double().mean().item())
    assert history[-1]["accuracy"] == pytest.approx(np.mean(right), abs=1e-3)


def test_score_and_test_images_train_nothing(tmp_path, digits):
    """The trained weights do not depend on them."""
    space = search_spaces.load("digits")
    small = digits._replace(train=digits.train.take(np.arange(60)))
    other = small._replace(score=digits.test, test=digits.score)
    states = []
    for name, data in (("a", small), ("b", other)):
        config = train.Config(run=str(tmp_path / name), training=fit.Training(epochs=1, batch_size=20))
        states.append(train.train(config, space, data)[0].state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
