"""The figures that say when a relaxation fails."""

import math

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


@pytest.mark.parametrize(("counts", "epoch"), [([0, 1, 2, 2], None), ([0, 1, 3, 7], 1), ([4, 4], 0), ([], None)])
def test_stop_by_skips_returns_to_the_epoch_before(counts, epoch):
    assert health.too_many_skips(counts) == epoch


def test_stop_by_eigenvalue_returns_to_where_it_began_to_grow():
    calm, growing = [0.2] * 12, [0.2] * 8 + [0.5] * 6
    assert health.too_sharp(calm) is None
    assert health.too_sharp(growing[:8]) is None
    index = health.too_sharp(growing)
    assert 0 < index < 8  # before the growth: the means of five say 1.3 x while it has just begun


def test_stop_looks_at_measured_epochs_alone():
    values = [0.2, None] * 8 + [0.5, None] * 6
    history = [{"eigenvalue": value, "skips": 0} for value in values]
    found = health.stopped(history, "eigenvalue")
    assert values[found] == 0.2
    assert found == 2 * health.too_sharp([v for v in values if v is not None])
    assert health.stopped(history, "never") is None
    assert health.stopped(history, "skips") is None
