"""The gradients of the alphas, against exact double-backward in float64."""

import pytest
import torch
from torch.func import functional_call
from torch.nn import functional as F

import search_spaces
from evo.proposals import mixed
from evo.proposals.levels import Level, Step, unroll
from evo.proposals.relaxation import Relaxation

STEP = {"lr": 0.05, "decay": 3e-4}


class Problem:
    """A loss of weights and alphas on two random batches."""

    def __init__(self, loss, weights, alphas, train, val):
        self.loss, self.weights, self.alphas, self.train, self.val = loss, weights, alphas, train, val
        generator = torch.Generator().manual_seed(1)
        self.momentum = {n: 0.1 * torch.randn(w.shape, generator=generator).double() for n, w in weights.items()}
        self.step = Step(momentum=self.momentum, **STEP)

    def gradient(self, level: Level, step: Step | None = None) -> torch.Tensor:
        parts = level.gradient(self.loss, self.weights, self.alphas, self.train, self.val, step or self.step)
        return torch.cat([part.flatten() for part in parts])

    def exact(self, batch) -> torch.Tensor:
        """d/d alpha of L(w - lr (momentum + dL_train/dw + decay w), alpha), differentiated through the step."""
        weights = list(self.weights.values())
        inner = torch.autograd.grad(self.loss(self.weights, self.alphas, self.train), weights, create_graph=True)
        ahead = {
            name: w - self.step.lr * (self.momentum[name] + g + self.step.decay * w)
            for (name, w), g in zip(self.weights.items(), inner, strict=True)
        }
        parts = torch.autograd.grad(self.loss(ahead, self.alphas, batch), list(self.alphas.values()))
        return torch.cat([part.flatten() for part in parts])


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def smooth() -> Problem:
    """Two layers that each mix the identity, tanh and a sine of linear maps: a loss without kinks."""
    generator = torch.Generator().manual_seed(0)
    weights = {f"{layer}{f}": normal(generator, 4, 4) for layer in (0, 1) for f in ("tanh", "sin")}
    alphas = {str(layer): normal(generator, 3) for layer in (0, 1)}
    images = torch.randn(2, 6, 4, generator=generator).double()
    train, val = ((images[i], (torch.arange(6) + i) % 3) for i in range(2))

    def loss(weights, alphas, batch):
        x, labels = batch
        for layer, alpha in alphas.items():
            options = (x, (x @ weights[f"{layer}tanh"]).tanh(), (x @ weights[f"{layer}sin"]).sin())
            x = sum(w * y for w, y in zip(alpha.softmax(0), options, strict=True))
        return F.cross_entropy(x, labels)

    return Problem(loss, weights, alphas, train, val)


def network(name: str) -> Problem:
    """A real mixed network. Its ReLUs make a loss with kinks, so differences must be small not to cross any."""
    options = {"channels": 2, "cells": 3} if name == "darts" else {}
    space = search_spaces.load(name, image_size=8, num_classes=3, in_channels=1, **options)
    relaxation, generator = Relaxation(), torch.Generator().manual_seed(0)
    groups = relaxation.groups(space)
    net = mixed.build(space, relaxation, groups, generator).double().eval()
    alphas = {n: normal(generator, *a.shape) for n, a in relaxation.alphas(groups, generator).items()}
    images = torch.randn(2, 6, 1, 8, 8, generator=generator).double()
    train, val = ((images[i], (torch.arange(6) + i) % 3) for i in range(2))

    def loss(weights, alphas, batch):
        images, labels = batch
        return F.cross_entropy(functional_call(net, weights, (images, relaxation.mixture(alphas, groups))), labels)

    return Problem(loss, dict(net.named_parameters()), alphas, train, val)


@pytest.fixture(scope="module")
def problem():
    return smooth()


def error(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return ((ours - exact).norm() / exact.norm()).item()


def test_second_order_is_the_gradient_through_the_step(problem):
    exact = problem.exact(problem.val)
    assert error(problem.gradient(Level(unrolled=True)), exact) < 1e-3
    assert error(problem.gradient(Level()), exact) > 1e-2  # first order is something else


def test_its_error_shrinks_with_the_square_of_epsilon(problem):
    exact = problem.exact(problem.val)
    errors = [error(problem.gradient(Level(unrolled=True, epsilon=e)), exact) for e in (1e-1, 1e-2, 1e-3)]
    assert errors[0] > 50 * errors[1] > 50 * 50 * errors[2]


def test_mixed_level_second_order_is_the_sum_of_both_gradients_through_the_same_step(problem):
    exact = problem.exact(problem.train) + 0.5 * problem.exact(problem.val)
    assert error(problem.gradient(Level(train=1.0, val=0.5, unrolled=True)), exact) < 1e-3


@pytest.mark.parametrize("name", ["darts", "digits"])
def test_it_holds_on_the_mixed_networks_of_cells_and_chains(name):
    problem = network(name)
    assert error(problem.gradient(Level(unrolled=True, epsilon=1e-6)), problem.exact(problem.val)) < 1e-8


def test_a_step_of_no_length_makes_second_order_first_order(problem):
    still = problem.step._replace(lr=0.0)
    assert torch.equal(problem.gradient(Level(unrolled=True), still), problem.gradient(Level()))


def test_mixed_level_with_lambda_val_0_is_single_level(problem):
    loss = problem.loss(problem.weights, problem.alphas, problem.train)
    single = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(problem.alphas.values()))])
    assert torch.equal(problem.gradient(Level(train=1.0, val=0.0)), single)


def test_mixed_level_with_lambda_train_0_is_first_order_darts(problem):
    assert torch.equal(problem.gradient(Level(train=0.0, val=1.0)), problem.gradient(Level()))


def test_mixed_level_adds_both_gradients_at_the_same_weights(problem):
    single, bilevel = problem.gradient(Level(train=1.0, val=0.0)), problem.gradient(Level())
    assert torch.allclose(problem.gradient(Level(train=1.0, val=0.3)), single + 0.3 * bilevel, rtol=1e-12)


def test_passes_of_one_step_drop_the_same_units():
    """Else their difference, divided by a radius, is of another order for every epsilon."""
    problem = smooth()
    plain = problem.loss

    def loss(weights, alphas, batch):
        images, labels = batch
        return plain(weights, alphas, (F.dropout(images, 0.3), labels))

    problem.loss, found = loss, []
    for epsilon in (1e-2, 1e-4):
        torch.manual_seed(0)
        found.append(problem.gradient(Level(unrolled=True, epsilon=epsilon)))
    assert error(*found) < 1e-4


def test_the_unrolled_step_is_the_one_that_sgd_takes(problem):
    ahead = unroll(problem.loss, problem.weights, problem.alphas, problem.train, problem.step)
    weights = {name: w.detach().clone().requires_grad_() for name, w in problem.weights.items()}
    sgd = torch.optim.SGD(weights.values(), problem.step.lr, 0.9, weight_decay=problem.step.decay)
    for name, weight in weights.items():
        sgd.state[weight]["momentum_buffer"] = problem.momentum[name] / 0.9
    problem.loss(weights, problem.alphas, problem.train).backward()
    sgd.step()
    for name, weight in weights.items():
        assert torch.allclose(ahead[name], weight, rtol=1e-9, atol=1e-12)


def test_nothing_but_the_gradient_is_left_behind():
    problem = smooth()
    before = {name: weight.detach().clone() for name, weight in problem.weights.items()}
    problem.gradient(Level(train=1.0, val=1.0, unrolled=True))
    assert all(torch.equal(before[name], weight) for name, weight in problem.weights.items())
    assert all(tensor.grad is None for tensor in (*problem.weights.values(), *problem.alphas.values()))


@pytest.mark.parametrize("wrong", [{"train": -1.0}, {"val": 0.0}, {"epsilon": 0.0}])
def test_levels_without_a_gradient_are_refused(wrong):
    with pytest.raises(ValueError, match="level needs"):
        Level(**wrong)
