"""Relaxations and the methods made of them."""

import math

import pytest
import torch

import search_spaces
from evo.proposals import methods
from evo.proposals.levels import Level
from evo.proposals.relax import CLIP, MOMENTUM
from evo.proposals.relaxation import BETA, Noise, Relaxation


@pytest.fixture(scope="module")
def space():
    return search_spaces.load("darts")


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_zero_one_loss_is_zero_at_first_and_has_no_gradient_there(space, norm):
    relaxation = Relaxation("sigmoid", none=False, zero_one=10.0, norm=norm)
    alphas = {n: a.requires_grad_() for n, a in relaxation.alphas(relaxation.groups(space), seeded()).items()}
    assert sum(a.numel() for a in alphas.values()) == 196
    assert all((a == 0).all() for a in alphas.values())
    penalty = relaxation.penalty(alphas)
    penalty.backward()
    assert penalty.item() == 0
    assert all((a.grad == 0).all() for a in alphas.values())


@pytest.mark.parametrize(("norm", "lowest"), [("l1", -0.5), ("l2", -0.25)])
def test_zero_one_loss_is_lowest_where_everything_is_decided(space, norm, lowest):
    relaxation = Relaxation("sigmoid", none=False, zero_one=10.0, norm=norm)
    decided = {n: torch.where(torch.rand_like(a) < 0.5, -50.0, 50.0) for n, a in _alphas(relaxation, space).items()}
    assert relaxation.penalty(decided).item() == pytest.approx(10 * lowest)


def _alphas(relaxation, space):
    return relaxation.alphas(relaxation.groups(space), seeded())


def test_softmax_options_of_an_edge_sum_to_one_and_sigmoids_stand_alone(space):
    for gate, total in (("softmax", 1.0), ("sigmoid", 3.5)):
        relaxation = Relaxation(gate, none=False)
        options = relaxation.mixture(_alphas(relaxation, space), relaxation.groups(space)).options
        assert all(torch.allclose(w.sum(-1), torch.tensor(total)) for w in options.values())


def test_none_is_an_option_where_it_is_the_spaces_own():
    def first(name):
        return Relaxation().groups(search_spaces.load(name))["normal"].options[0]

    assert first("darts_s1") == ("skip_connect", "dil_conv_3x3")
    assert first("darts_s3") == ("none", "skip_connect", "sep_conv_3x3")
    assert first("darts_s4") == ("noise", "sep_conv_3x3")
    assert len(first("darts")) == 8
    assert len(Relaxation(none=False).groups(search_spaces.load("darts"))["normal"].options[0]) == 7


def test_a_space_with_nothing_to_choose_cannot_be_relaxed():
    layers = [
        layer._replace(options=dict(list(layer.options.items())[:1])) for layer in search_spaces.load("digits").layers
    ]
    chain = search_spaces.load("digits")
    chain.layers = layers
    with pytest.raises(ValueError, match="layer 0 has an edge with one option"):
        Relaxation().groups(chain)
    with pytest.raises(ValueError, match="one option"):
        Relaxation(none=False).groups(with_two_options())


def with_two_options():
    """DARTS's space with `none` and one pool everywhere: without `none` there is nothing to choose."""
    space = search_spaces.load("darts")
    space.decisions.edges = tuple(edge._replace(options=edge.options[:2]) for edge in space.decisions.edges)
    return space


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Relaxation("argmax"), "gate"),
        (lambda: Relaxation(partial=0), "K >= 1"),
        (lambda: Relaxation(norm="l3"), "norm"),
        (lambda: Noise("white"), "noise must be"),
        (lambda: Noise(std=-1.0), "noise must be"),
        (lambda: methods.method("darts3"), "known are darts, darts2, pc_darts"),
        (lambda: methods.method("partial+loud x mixed"), "products of"),
        (lambda: methods.method("partial x trilevel"), "products of"),
        (lambda: methods.method("partial+partial x mixed"), "products of"),
        (lambda: methods.method("softmax+sigmoid x mixed"), "not both"),
    ],
)
def test_what_is_no_relaxation_or_method_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "batch", "weights", "alphas", "betas", "warmup", "threshold"),
    [
        ("darts", 64, (0.025, 0.001), 3e-4, (0.5, 0.999), 0, 0.0),
        ("darts2", 64, (0.025, 0.001), 3e-4, (0.5, 0.999), 0, 0.0),
        ("pc_darts", 256, (0.1, 0.0), 6e-4, (0.5, 0.999), 15, 0.0),
        ("fair_darts", 128, (0.005, 0.001), 3e-3, (0.9, 0.999), 0, 0.85),
        ("noisy_darts", 128, (0.05, 0.001), 3e-4, (0.5, 0.999), 0, 0.0),
        ("milenas", 64, (0.025, 0.001), 3e-4, (0.5, 0.999), 0, 0.0),
        ("milenas2", 64, (0.025, 0.001), 3e-4, (0.5, 0.999), 0, 0.0),
    ],
)
def test_published_settings(name, batch, weights, alphas, betas, warmup, threshold):
    m = methods.method(name)
    assert (m.batch_size, (m.lr, m.lr_min), m.alpha_lr, m.alpha_betas) == (batch, weights, alphas, betas)
    assert (m.epochs, m.decay, m.alpha_decay) == (50, 3e-4, 1e-3)
    assert (m.resting, m.threshold) == (warmup, threshold)
    assert (MOMENTUM, CLIP) == (0.9, 5.0)


def test_published_parts():
    levels = {name: make().level for name, make in methods.METHODS.items()}
    assert [name for name, level in levels.items() if level.unrolled] == ["darts2", "milenas2"]
    assert [name for name, level in levels.items() if level.train] == ["milenas", "milenas2"]
    relaxations = {name: make().relaxation for name, make in methods.METHODS.items()}
    assert [name for name, r in relaxations.items() if not r.none] == ["fair_darts", "noisy_darts"]
    assert (relaxations["fair_darts"].gate, relaxations["fair_darts"].norm) == ("sigmoid", "l2")
    assert (relaxations["fair_darts"].zero_one, relaxations["pc_darts"].partial) == (10.0, 4)
    assert relaxations["noisy_darts"].noise == Noise("additive", 0.2, 0.0, decay=False)


def test_published_methods_are_products_of_their_parts():
    for name, product in {
        "darts": "softmax x bilevel",
        "darts2": "softmax x bilevel2",
        "pc_darts": "partial x bilevel",
        "fair_darts": "sigmoid x bilevel",
        "noisy_darts": "noisy x bilevel",
        "milenas": "softmax x mixed",
        "milenas2": "softmax x mixed2",
    }.items():
        made, published = methods.method(product), methods.method(name)
        assert vars(made) | {"name": name} == vars(published)


def test_any_other_product_has_both_parts():
    made = methods.method("partial+noisy x mixed")
    assert (made.relaxation.partial, made.relaxation.noise, made.relaxation.none) == (4, Noise(std=0.2), False)
    assert made.level == Level(train=1.0, val=1.0)
    assert (made.lr, made.batch_size) == (0.1, 256)  # the first part's
    assert methods.method("noisy+partial x bilevel").lr == 0.05
    assert methods.method("sigmoid+partial x bilevel").threshold == 0.0


def test_first_alphas_are_small_and_betas_belong_to_partial_channels(space):
    assert not any(name.startswith(BETA) for name in _alphas(Relaxation(), space))
    alphas = _alphas(Relaxation(partial=4), space)
    assert sum(a.numel() for a in alphas.values()) == 252
    values = torch.cat([a.flatten() for a in alphas.values()])
    assert values.std().item() == pytest.approx(1e-3, rel=0.2)
    assert math.isclose(values.mean().item(), 0, abs_tol=3e-4)
