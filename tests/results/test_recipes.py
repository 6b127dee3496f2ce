import pytest
import torch
from torch import nn

from results import recipes
from results.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_rates_rise_through_the_warm_up_and_then_only_fall(name):
    recipe = RECIPES[name]
    epochs = [k / 10 for k in range(10 * recipe.epochs)]
    rates = [recipe.rate(epoch) for epoch in epochs]
    top = int(10 * recipe.warmup)
    assert rates[0] == (0 if recipe.warmup else recipe.lr)
    assert rates[top] == pytest.approx(max(rates))
    assert all(a >= b for a, b in zip(rates[top:], rates[top + 1 :], strict=False))
    assert rates[-1] < recipe.lr / 50


@pytest.mark.parametrize("name", RECIPES)
def test_every_parameter_is_optimised_once_and_norms_decay_as_the_recipe_says(name):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    groups = RECIPES[name].make_optimizer(net).param_groups
    assert sorted(id(p) for group in groups for p in group["params"]) == sorted(map(id, net.parameters()))
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    recipe = RECIPES[name]
    assert decay[id(net[0].weight)] == recipe.weight_decay
    assert decay[id(net[1].weight)] == (recipe.weight_decay if recipe.decay_norms else 0)


def test_rmsprop_takes_the_steps_of_tensorflows_formula():
    weight = nn.Parameter(torch.tensor([1.0]))
    optimizer = RECIPES["imagenet_mnasnet"].make_optimizer(nn.ParameterList([weight]))
    optimizer.param_groups[0] |= {"weight_decay": 0.0, "lr": 0.01}
    mean, speed, value = 0.0, 0.0, 1.0
    for gradient in (100.0, -300.0, 200.0):  # large: there the place of epsilon does not matter
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient**2
        speed = 0.9 * speed + gradient / (mean + 0.001) ** 0.5
        value -= 0.01 * speed
        assert weight.item() == pytest.approx(value, rel=1e-4)


def test_recipes_are_found_by_name_and_by_data_set():
    assert recipes.find(None, "digits") is RECIPES["digits"]
    assert recipes.find(None, "cifar10") is RECIPES["cifar"]
    assert recipes.find("darts_cifar", "digits") is RECIPES["darts_cifar"]
    with pytest.raises(ValueError, match="unknown --recipe 'x'; known are digits, cifar"):
        recipes.find("x", "digits")
