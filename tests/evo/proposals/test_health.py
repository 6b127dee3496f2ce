"""The figures that say when a relaxation fails."""

import math

import numpy as np
import pytest
import torch

import search_spaces
from evo.proposals import health
from evo.proposals.relaxation import Relaxation
from search_spaces import published


def test_skips_of_published_normal_cells():
    space = search_spaces.load("darts")
    counted = {n: health.skips(space, a.encoding) for n, a in published.ARCHITECTURES.items() if n.startswith("noisy")}
    table = {
        "a": 1,
        "b": 2,
        "c": 2,
        "d": 2,
        "e": 2,
        "f": 3,
        "g": 1,
        "h": 1,
        "i": 1,
        "j": 2,
    }  # as the authors' code says
    assert counted == {f"noisy_darts_{letter}": n for letter, n in table.items()}


def test_skips_of_a_chain_are_its_identities():
    space = search_spaces.load("proxyless")
    assert health.skips(space, [0] * 21) == 0
    assert health.skips(space, [k - 1 for k in space.choices]) == 15


def test_entropy_is_log_k_at_first_and_zero_when_decided():
    space = search_spaces.load("darts")
    for relaxation, first in ((Relaxation(), math.log(8)), (Relaxation("sigmoid", none=False), math.log(2))):
        groups = relaxation.groups(space)
        alphas = {name: torch.zeros(14, len(group.options[0])) for name, group in groups.items()}
        assert health.entropy(relaxation, alphas, groups) == pytest.approx(first)
        for alpha in alphas.values():
            alpha -= 60
            alpha[:, 3] += 120
        assert health.entropy(relaxation, alphas, groups) == pytest.approx(0, abs=1e-9)


def test_dominant_eigenvalue_is_the_hessians():
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.float64))
    hessian = basis @ torch.diag(torch.tensor([5.0, -1.0, *[0.3] * 10], dtype=torch.float64)) @ basis.T
    alphas = {"a": torch.randn(3, 2, dtype=torch.float64), "b": torch.randn(6, dtype=torch.float64)}

    def gradient(alphas):
        flat = torch.cat([alphas["a"].flatten(), alphas["b"]])
        product = hessian @ flat
        return [product[:6].reshape(3, 2), product[6:]]

    assert health.dominant_eigenvalue(gradient, alphas, generator) == pytest.approx(5.0, rel=1e-3)
    assert health.dominant_eigenvalue(lambda a: [0 * t for t in a.values()], alphas, generator) == 0


@pytest.mark.parametrize(("counts", "epoch"), [([0, 1, 1, 0], None), ([0, 1, 2, 7], 2), ([4, 4], 0), ([], None)])
def test_stop_by_skips_ends_with_the_second_skip(counts, epoch):
    assert health.too_many_skips(counts) == epoch


def test_stop_by_eigenvalue_returns_to_where_it_began_to_grow():
    calm, growing = [0.2] * 20, [0.2] * 10 + [0.5] * 10
    assert health.too_sharp(calm) is None
    assert health.too_sharp(growing[:10]) is None
    index = health.too_sharp(growing)
    # the window around index + 4 has one of the larger values (0.26 on average, 1.3 times as much) from index + 6 on
    assert index == 5  # its earliest: epoch 10, as an eigenvalue is taken every second
    assert health.too_sharp([*growing[:10], 0.45]) is None  # 1.25 times
    assert health.too_sharp([0.2] * 11) is None  # a window around index 9 ends with index 11


def test_stop_by_eigenvalue_is_the_rule_of_the_authors_code():
    """theirs: trailing means of 5, compared with the one 4 before, from epoch 22 on; the epoch 12 before is taken."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = np.abs(np.cumsum(rng.normal(0.02, 0.1, 25)) + 0.3).tolist()
        trailing = {i: np.mean(values[i - 4 : i + 1]) for i in range(4, 25)}
        theirs = [i - 6 for i in range(11, 25) if trailing[i] / trailing[i - 4] > 1.3]
        assert health.too_sharp(values) == (theirs[0] if theirs else None)


def test_stop_looks_at_measured_epochs_alone():
    values = [0.2, None] * 10 + [0.5, None] * 6
    history = [{"eigenvalue": value, "skips": 0} for value in values]
    found = health.stopped(history, "eigenvalue")
    assert values[found] == 0.2
    assert found == 2 * health.too_sharp([v for v in values if v is not None])
    assert health.stopped(history, "never") is None
    assert health.stopped(history, "skips") is None
