import numpy as np
import pytest

from supernet import trie


def walked(encodings):
    """Rows and the prefixes their states stand for, and the steps taken."""
    steps = []

    def step(state, layer, option):
        assert len(state) == layer
        steps.append((*state, option))
        return steps[-1]

    return list(trie.walk(encodings, (), step)), steps


@pytest.mark.parametrize("n", [0, 1, 2, 200])
def test_every_row_gets_its_own_path_and_every_prefix_is_made_once(n, rng):
    encodings = rng.integers(3, size=(n, 6))
    rows, steps = walked(encodings)
    assert sorted(row for row, _ in rows) == list(range(n))
    assert all(state == tuple(encodings[row]) for row, state in rows)
    prefixes = {tuple(e[:depth]) for e in encodings.tolist() for depth in range(1, 7)}
    assert len(steps) == len(set(steps)) == len(prefixes) == trie.size(encodings)
    assert set(steps) == prefixes


def test_the_whole_of_nas_bench_macro_takes_9840_steps_instead_of_52488():
    everything = np.stack(np.unravel_index(np.arange(3**8), (3,) * 8), axis=1)
    assert (trie.size(everything), everything.size) == (9840, 52488)


@pytest.mark.parametrize("n", [0, 1, 2, 70])
@pytest.mark.parametrize("into", [1, 2, 7, 100])
def test_pieces_hold_every_row_once_in_order_and_little_is_made_twice(n, into, rng):
    encodings = rng.integers(3, size=(n, 6))
    lots = trie.pieces(encodings, into)
    assert len(lots) <= into
    assert all(len(lot) for lot in lots)
    rows = np.concatenate([*lots, np.empty(0, dtype=int)])
    assert sorted(rows) == list(range(n))
    assert (encodings[rows] == encodings[np.lexsort(encodings.T[::-1])]).all()
    steps = [trie.size(encodings[lot]) for lot in lots]
    whole = trie.size(encodings)
    assert sum(steps) <= whole + 6 * max(0, len(lots) - 1)
    if into < 7 and n == 70:
        assert max(steps) <= whole / into + 2 * 6
    if into == 1:
        assert sum(steps) == whole
