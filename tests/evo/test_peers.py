import random

import numpy as np
import pytest

from evo.engine import generation_rng
from evo.peers import Deap, Peer, Pymoo

CHOICES = (3,) * 8
WEIGHTS = np.random.default_rng(0).random((8, 3, 2))
LOOPS = [Pymoo, Deap]


def values(encodings):
    return WEIGHTS[np.arange(8), encodings].sum(1) * [1, -1]


def search(engine, generations, replay=()):
    asked = list(replay)
    for generation, batch in enumerate(replay):
        engine.replay(generation_rng(0, generation), batch, values(batch))
    for generation in range(len(replay), generations):
        batch, names = engine.ask(generation_rng(0, generation))
        assert set(names) == {engine.loop.name}
        engine.tell(batch, values(batch))
        asked.append(batch)
    return asked


@pytest.mark.parametrize("loop", LOOPS)
def test_no_architecture_is_asked_twice_and_the_front_is_approached(loop):
    asked = np.concatenate(search(Peer(loop(CHOICES, 2, 20)), 15))
    assert len(np.unique(asked, axis=0)) == len(asked)
    assert (asked < 3).all()
    best = WEIGHTS.min(1).sum(0)[0]
    blind = np.random.default_rng(0).integers(CHOICES, size=(len(asked), 8))
    assert best <= values(asked)[:, 0].min() < values(blind)[:, 0].min()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_replayed_search_goes_on_as_the_whole_one(loop):
    whole = search(Peer(loop(CHOICES, 2, 20)), 8)
    resumed = search(Peer(loop(CHOICES, 2, 20)), 8, whole[:4])
    assert all((a == b).all() for a, b in zip(whole, resumed, strict=True))


@pytest.mark.parametrize("loop", LOOPS)
def test_free_limits_are_kept_and_equal_networks_count_once(loop):
    engine = Peer(
        loop(CHOICES, 2, 20),
        canonical=lambda encodings: np.sort(encodings, axis=1),
        free_violation=lambda encodings: np.maximum(0.0, encodings.sum(1) - 9.0),
    )
    seen = set()
    for generation in range(40):
        batch, _ = engine.ask(generation_rng(0, generation))
        if not len(batch):
            break
        assert (batch.sum(1) <= 9).all()
        assert (np.diff(batch, axis=1) >= 0).all()
        assert not seen & {tuple(row) for row in batch}
        seen |= {tuple(row) for row in batch}
        engine.tell(batch, values(batch), np.maximum(0.0, batch[:, 0] - 1.0))
    assert len(seen) > 15  # 29 multisets meet the limit


def test_deap_leaves_the_global_generator_as_it_was():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    search(Peer(Deap(CHOICES, 2, 20)), 2)
    assert random.random() == expected


def test_deap_keeps_whom_keeps_the_limits_before_whom_misses_them():
    loop, rows = Deap(CHOICES, 2, 4), np.arange(8)[:, None] * np.ones(8, dtype=int) % 3
    kept = np.array([[-0.9, 3e6], [-0.8, 2e6], [-0.7, 1e6], [-0.6, 5e5]])
    loop.learn(rows[:4], kept, np.zeros(4))
    loop.learn(rows[4:], np.zeros((4, 2)), np.full(4, 0.5))  # all miss a limit, and were never scored
    assert sorted(person.fitness.values for person in loop.population) == sorted(map(tuple, kept))
