import pytest
import torch
from torch import nn

from supernet.averaging import Average


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def moved(model: nn.Module, step: int) -> nn.Module:
    for parameter in model.parameters():
        nn.init.constant_(parameter, float(step))
    return model


def test_it_is_the_moving_average_of_all_weights_and_decays_faster_at_first():
    model, expected = net(), None
    average = Average(model, 0.5)
    expected = model[0].weight.detach().clone()
    for step in range(1, 20):
        moved(model, step)
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert torch.allclose(average.tensors()["mean.0.weight"], expected)


def test_whole_numbers_are_copied():
    model = net()
    average = Average(model, 0.9)
    model(torch.randn(4, 3))
    average.update()
    assert average.tensors()["mean.1.num_batches_tracked"] == 1


def test_without_decay_nothing_is_kept():
    average = Average(net(), 0.0)
    average.update()
    assert average.tensors() == {}


@pytest.mark.parametrize("stop", [1, 5])
def test_restored_it_goes_on_as_if_never_stopped(stop):
    model = net()
    whole, parts = Average(model, 0.9), Average(model, 0.9)
    for step in range(8):
        if step == stop:
            kept = {name: tensor.clone() for name, tensor in parts.tensors().items()}
            parts = Average(model, 0.9)
            parts.restore(kept, step)
        moved(model, step)
        for average in (whole, parts):
            average.update()
    assert all(torch.equal(a, b) for a, b in zip(whole.mean.values(), parts.mean.values(), strict=True))
