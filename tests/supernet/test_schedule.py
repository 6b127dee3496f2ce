import numpy as np
import pytest
import torch

import search_spaces
from supernet import checkpoint, fit, train
from supernet.schedule import Schedule, drawer

SPACE = search_spaces.load("digits")


def paths(schedule: Schedule, fairness: str = "strict", seed: int = 0) -> np.ndarray:
    """Of three epochs of four steps."""
    draw = drawer(schedule, fairness, SPACE, None, seed, 4)
    return np.stack([draw(step) for step in range(12)])


@pytest.mark.parametrize("fairness", ["strict", "expectation", "uniform"])
def test_a_fixed_order_repeats_the_first_epoch_and_a_shuffled_one_does_not(fairness):
    shuffled, fixed = paths(Schedule(), fairness), paths(Schedule(order="fixed"), fairness)
    assert (fixed[:4] == shuffled[:4]).all()
    assert (fixed[4:8] == fixed[:4]).all()
    assert (fixed[8:] == fixed[:4]).all()
    assert (shuffled[4:8] != shuffled[:4]).any()


def test_an_order_seed_changes_the_paths_as_a_seed_does():
    assert (paths(Schedule(order_seed=3)) == paths(Schedule(), seed=3)).all()


def state(config: train.Config, data) -> dict:
    return train.train(config, SPACE, data)[0].state_dict()


@pytest.fixture
def small(digits):
    return digits._replace(train=digits.train.take(np.arange(60)), score=digits.score.take(np.arange(60)))


@pytest.fixture
def config(tmp_path):
    """config(name, **schedule): three epochs of two steps."""

    def make(name: str, **schedule) -> train.Config:
        return train.Config(
            run=str(tmp_path / name), snapshots=1, schedule=Schedule(**schedule), training=fit.Training(3, 30)
        )

    return make


def test_an_order_seed_leaves_the_first_weights_and_the_images_as_they_are(config, small):
    one, other = (train.make_net(config("a", order_seed=seed), SPACE, small.mean.device) for seed in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("schedule", [{"order": "fixed"}, {"prune": 0.9}], ids=str)
def test_a_training_that_was_stopped_goes_on_bit_for_bit(config, small, monkeypatch, schedule):
    whole = state(config("whole", **schedule), small)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", _stop_after(2))
        with pytest.raises(KeyboardInterrupt):
            state(config("parts", **schedule), small)
    parts = state(config("parts", **schedule), small)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def _stop_after(saves: int):
    """checkpoint.save, which is stopped after so many checkpoints and as many snapshots."""
    save, done = checkpoint.save, []

    def stopping(*args):
        if len(done) == 2 * saves:
            raise KeyboardInterrupt
        done.append(1)
        save(*args)

    return stopping


def test_dropped_options_keep_their_weights(config, small):
    state(config("pruned", prune=0.9), small)
    *_, before, last = fit.snapshots(config("pruned").folder / train.WEIGHTS).values()
    old, new = (fit.weights(checkpoint.load(path, "supernet")[0]) for path in (before, last))
    moved = {
        (layer, option): any(
            not torch.equal(old[name], new[name]) for name in new if name.startswith(f"layers.{layer}.{option}.")
        )
        for layer in range(6)
        for option in range(6)
    }
    assert old["open"].sum() < 36
    assert [moved[place] for place in moved] == old["open"].flatten().tolist()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--order", "odd"], "--order must be shuffled or fixed, got 'odd'"),
        (["--order-seed", "-1"], "--order-seed must not be negative"),
        (["--prune", "1"], "--prune must be from 0 to below 1"),
        (["--fairness", "turns", "--space", "fairnas", "--image-size", "32"], "turns is for spaces of at most 100,000"),
    ],
)
def test_wrong_schedules(script, tmp_path, flags, message):
    outcome = script(train, "--run", tmp_path / "run", *flags)
    assert outcome.code == 2
    assert message in outcome.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()
