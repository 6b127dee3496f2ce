import numpy as np
import pytest

from supernet.fairness import rounds, strict, uniform

EQUAL, UNEQUAL = (6,) * 19, (2, 3, 4, 6)


def counts(sampler, choices, steps, rng) -> list[np.ndarray]:
    """Updates of every option, layer by layer."""
    paths = np.concatenate([sampler(choices, rng) for _ in range(steps)])
    return [np.bincount(column, minlength=options) for column, options in zip(paths.T, choices, strict=True)]


def test_every_strict_step_uses_every_block_exactly_once(rng):
    for _ in range(100):
        paths = strict(EQUAL, rng)
        assert paths.shape == (6, 19)
        assert (np.sort(paths, axis=0) == np.arange(6)[:, None]).all()


@pytest.mark.parametrize("choices", [EQUAL, UNEQUAL, (1, 5)])
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_after_any_number_of_strict_steps_update_counts_are_equal(choices, steps, rng):
    for layer in counts(strict, choices, steps, rng):
        assert layer.min() == layer.max() > 0


def test_uniform_counts_are_not_equal(rng):
    layers = counts(uniform, EQUAL, 6 * 40, rng)
    assert all(layer.sum() == 240 for layer in layers)
    assert any(layer.min() < layer.max() for layer in layers)


def test_uniform_counts_have_the_variance_of_the_paper(rng):
    # FairNAS, section 3.2: after n updates the variance of a block's count is n (m - 1) / m^2.
    n, m = 60, 6
    first = [counts(uniform, (m,), n, rng)[0][0] for _ in range(3000)]
    assert np.var(first) == pytest.approx(n * (m - 1) / m**2, rel=0.1)


def test_layers_are_permuted_independently(rng):
    pairs = {tuple(path) for _ in range(300) for path in strict((3, 3), rng)}
    assert len(pairs) == 9


def test_samplers_are_matched_by_passes(rng):
    for choices in (EQUAL, UNEQUAL):
        assert len(strict(choices, rng)) * rounds("strict", choices) == len(uniform(choices, rng)) * rounds(
            "uniform", choices
        )
