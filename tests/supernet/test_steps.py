import pytest
import torch
from torch import nn

from supernet import fit, progress, steps
from supernet.progress import Progress
from supernet.steps import Steps

RECIPE = fit.Recipe(epochs=4, batch_size=100, lr=0.1, weight_decay=0.0)


@pytest.fixture
def epoch(digits):
    """The third of four epochs, of 11 steps."""
    with Progress("net", RECIPE.epochs, 2) as shown:
        yield Steps(shown, 2, digits, RECIPE, "mend it")


def test_steps_are_counted_over_all_epochs_and_rates_follow_the_recipe(epoch):
    assert (epoch.total, epoch.number, epoch.rate()) == (11, 22, RECIPE.rate(2))
    for k in range(11):
        assert epoch.rate() == RECIPE.rate(2 + k / 11)
        epoch.passed(torch.tensor(float(k)))
    assert epoch.number == 33
    assert epoch.end(nn.Linear(1, 1)) == 5.0


def test_losses_are_looked_at_now_and_then_and_at_the_end(epoch, monkeypatch):
    looks = []
    monkeypatch.setattr(steps, "LOOK", 4)
    monkeypatch.setattr(epoch, "_look", lambda losses: looks.append(losses.tolist()))
    for k in range(11):
        epoch.passed(torch.tensor(float(k)))
    assert [seen[-1] for seen in looks] == [3, 7, 10]
    assert {k for seen in looks for k in seen} == set(range(11))


@pytest.mark.parametrize("bad", [0, 5, 10])
def test_the_first_loss_that_is_no_number_is_named(epoch, monkeypatch, bad):
    monkeypatch.setattr(steps, "LOOK", 4)
    losses = torch.ones(11)
    losses[bad:] = float("nan")
    with pytest.raises(FloatingPointError, match=rf"nan in epoch 3, step {bad + 1}, .*: mend it"):
        list(map(epoch.passed, losses))


def test_parts_of_an_epoch_are_shown_with_their_speed_and_the_time_left(epoch, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    epoch.passed(torch.tensor(1.0))
    line = capsys.readouterr().err
    assert line.startswith("net 2.09/4  images/s ")
    assert line.endswith("s left\n")
    epoch.progress.advance(1, loss=1.0)
    assert capsys.readouterr().err.startswith("net 3/4  loss 1.000 images/s ")
