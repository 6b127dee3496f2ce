import numpy as np
import pytest
import torch

from evo.engine import NSGA2
from evo.proposers import State
from evo.reinforce import Controller, Policy, Regulator, Roulette, cheapness

CHOICES = (3, 2, 4)
EVERYTHING = np.stack(np.unravel_index(np.arange(24), CHOICES), axis=1)


def trained(policy: Policy) -> Policy:
    generator = torch.Generator().manual_seed(1)
    for parameter in (policy.weight, policy.bias):
        parameter.data += torch.randn(parameter.shape, generator=generator)
    return policy


def state(encodings, objectives, choices=CHOICES, cheap=()) -> State:
    engine = NSGA2(choices, 20, cheap={m: lambda e, m=m: e[:, m] for m in cheap})
    engine.tell(encodings, objectives)
    return engine._state({})


def test_the_policy_is_a_distribution_over_the_space_and_uniform_before_training():
    x = torch.from_numpy(EVERYTHING)
    for policy in (Policy(CHOICES), trained(Policy(CHOICES))):
        assert policy.log_probability(x).exp().sum().item() == pytest.approx(1, abs=1e-5)
    assert Policy(CHOICES).log_probability(x).exp().detach().numpy() == pytest.approx(np.full(24, 1 / 24))


def test_it_draws_as_often_as_its_probabilities_say(rng):
    policy = trained(Policy(CHOICES))
    start = np.zeros((20_000, 3), dtype=np.int64)
    drawn = policy.redraw(rng, start, np.ones_like(start, dtype=bool))
    counts = np.bincount(np.ravel_multi_index(drawn.T, CHOICES), minlength=24) / 20_000
    assert counts == pytest.approx(
        policy.log_probability(torch.from_numpy(EVERYTHING)).exp().detach().numpy(), abs=0.015
    )


def test_only_the_decisions_marked_are_drawn_anew(rng):
    start = rng.integers(CHOICES, size=(500, 3))
    marked = rng.random(start.shape) < 0.5
    drawn = trained(Policy(CHOICES)).redraw(rng, start, marked)
    assert (drawn[~marked] == start[~marked]).all()
    assert (drawn[marked] != start[marked]).any()
    assert (drawn < CHOICES).all()


def test_the_policy_learns_on_a_planted_landscape(rng):
    """Neighbouring decisions must agree, which no decision shows by itself."""
    choices = (4,) * 8
    controller = Controller(choices)
    parents = rng.integers(choices, size=(60, 8))
    view = state(parents, rng.random((60, 2)), choices)

    def reward(encodings):
        return (encodings[:, 1:] == encodings[:, :-1]).mean(1)

    before = reward(controller.propose(rng, view, 500)).mean()
    assert before == pytest.approx(0.25, abs=0.05)
    for _ in range(60):
        proposed = controller.propose(rng, view, 64)
        controller.learn(proposed, reward(proposed))
    blind = rng.integers(choices, size=(500, 8))
    learnt = controller.policy.redraw(rng, blind, np.ones_like(blind, dtype=bool))
    assert reward(learnt).mean() > reward(blind).mean() + 0.25
    assert reward(controller.propose(rng, view, 500)).mean() > before + 0.05


def test_learning_is_a_function_of_what_was_told(rng):
    told = [(rng.integers(CHOICES, size=(40, 3)), rng.random(40)) for _ in range(8)]
    first, second = Controller(CHOICES), Controller(CHOICES)
    for controller in (first, second):
        for encodings, reward in told:
            controller.learn(encodings, reward)
    assert all(torch.equal(a, b) for a, b in zip(first.policy.parameters(), second.policy.parameters(), strict=True))
    assert first.policy.bias[0, 0, :3].abs().max() > 0


def test_roulette_gives_cheap_options_larger_slices(rng):
    slices = cheapness(np.array([0, 0, 1, 1, 2, 2]), np.array([1.0, 1.0, 2.0, 2.0, 6.0, 6.0]), 3)
    assert slices[0] > slices[1] > slices[2] > 0
    encodings = EVERYTHING
    view = state(encodings, encodings[:, [0, 2]].astype(float), cheap=(0, 1))
    proposed = Roulette().propose(rng, view, 4000)
    assert np.bincount(proposed[:, 0])[0] > np.bincount(proposed[:, 0])[2] > 0
    assert len(Roulette().propose(rng, state(encodings, encodings.astype(float)), 10)) == 0  # nothing is cheap


def test_the_regulator_repeats_what_the_front_repeats(rng):
    encodings = np.concatenate([rng.integers(CHOICES, size=(40, 3)), np.full((1, 3), 1)])
    objectives = np.ones((41, 2))
    objectives[-1] = 0.0  # the front is 1 1 1
    view = state(encodings, objectives)
    assert (Regulator().propose(rng, view, 3000) == 1).mean() > (view.encodings == 1).mean()
