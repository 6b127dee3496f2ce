from dataclasses import replace

import numpy as np
import pytest
import torch

import search_spaces
from results import stand_alone
from results.recipes import RECIPES
from results.stand_alone import Files
from search_spaces.blocks import initialise
from supernet import checkpoint
from supernet.fit import accuracy
from supernet.ranks import Team

EVERYTHING = replace(
    RECIPES["darts_cifar"], epochs=3, batch_size=64, ema=0.9, mixup=0.2, cutmix=1.0, randaugment=1, warmup=1
)
KINDS = {
    "cells": replace(RECIPES["darts_cifar"], epochs=3, batch_size=64),
    "everything": EVERYTHING,
    "adamw": replace(RECIPES["imagenet_modern"], epochs=3, batch_size=64, randaugment=0),
    "rmsprop": replace(RECIPES["imagenet_mnasnet"], epochs=3, batch_size=64, lr=0.01, ema=0.0),
    "digits": replace(RECIPES["digits"], epochs=3),
}


class Stopped(Exception):
    pass


@pytest.fixture
def small(digits):
    return digits._replace(train=digits.train.take(torch.arange(256).numpy()))


def network(kind: str) -> torch.nn.Module:
    if kind != "cells":
        return search_spaces.load("digits").build([1, 3, 0, 2, 4, 0])
    space = search_spaces.load("darts", image_size=8, in_channels=1, channels=2, cells=3)
    return space.build(space.sample(np.random.default_rng(1), 1)[0])


def fit(small, recipe, folder, parts=1, kind="chain"):
    net = network(kind)
    initialise(net, torch.Generator().manual_seed(0))
    files = Files(folder / "best.safetensors", folder / "last.safetensors")
    return net, files, stand_alone.fit(net, small, recipe, 0, files, {"kind": "stand-alone"}, "net", Team(parts=parts))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_training_ends_as_the_uninterrupted_one_bit_for_bit(kind, small, tmp_path, monkeypatch):
    whole, _, history = fit(small, KINDS[kind], tmp_path / "whole", kind=kind)
    save, saved = checkpoint.save, []

    def stop(path, *rest):
        save(path, *rest)
        saved.append(path.name)
        if saved.count("last.safetensors") == 2:
            raise Stopped

    monkeypatch.setattr(checkpoint, "save", stop)
    with pytest.raises(Stopped):
        fit(small, KINDS[kind], tmp_path / "parts", kind=kind)
    monkeypatch.undo()
    again, _, resumed = fit(small, KINDS[kind], tmp_path / "parts", kind=kind)
    for row in history + resumed:
        row.pop("seconds")
    assert resumed == history
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_what_is_kept_is_the_last_of_the_best_epochs(small, tmp_path):
    net, files, history = fit(small, KINDS["digits"], tmp_path)
    best = max(row["accuracy"] for row in history)
    assert accuracy(net, *small.score, small.normalise).item() == best
    meta = checkpoint.meta(files.best, "stand-alone")
    assert meta["best_epoch"] == max(row["epoch"] for row in history if row["accuracy"] == best)


def test_the_mean_of_weights_follows_its_recurrence():
    slow, net = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    net.weight.data[:] = torch.tensor([3.0, 5.0])
    net.num_batches_tracked += 7
    for _ in range(3):
        stand_alone._average(slow, net, 0.5)
    assert torch.equal(slow.weight, torch.tensor([3.0 - 2 / 8, 5.0 - 4 / 8]))
    assert slow.num_batches_tracked == 7


def test_the_mean_of_a_short_trainings_weights_has_learned(small, tmp_path):
    _, _, history = fit(small, replace(KINDS["digits"], epochs=10, ema=0.9999), tmp_path)
    assert history[-1]["accuracy"] > 0.5  # of ten classes


def test_a_batch_in_parts_gives_the_gradient_of_the_whole():
    recipe = replace(RECIPES["digits"], weight_decay=0.0, momentum=0.0, clip=0.5)
    images, labels = torch.randn(12, 6), torch.arange(12) % 4
    after = []
    for parts in (1, 3):
        net = torch.nn.Linear(6, 4)
        torch.nn.init.ones_(net.weight)
        torch.nn.init.zeros_(net.bias)
        state = stand_alone.Trained(net, net, recipe.make_optimizer(net))
        loss = stand_alone._update(state, images, labels, recipe, Team(parts=parts), 0, stand_alone.nullcontext)
        after.append((loss, net.weight.detach()))
    assert after[0][0] == pytest.approx(after[1][0])
    assert torch.allclose(after[0][1], after[1][1], atol=1e-6)


def test_scores_are_the_shares_by_hand(digits):
    logits = torch.zeros(len(digits.test.labels), 10)
    logits[torch.arange(len(logits)), (digits.test.labels + 1) % 10] = 2.0  # the right one is always second
    logits[torch.arange(len(logits)), digits.test.labels] = 1.0
    chunks = iter(logits.split(stand_alone.CHUNK))

    class Oracle(torch.nn.Module):
        def forward(self, images):
            return next(chunks)

    assert stand_alone.scores(Oracle(), digits.test, digits.normalise) == {"accuracy": 0.0, "top5": 1.0}


def test_a_loss_that_is_no_number_keeps_the_last_good_epoch(small, tmp_path):
    with pytest.raises(FloatingPointError, match="the loss became"):
        fit(small, replace(KINDS["digits"], lr=1e30), tmp_path)
