"""Mixed networks: their sizes, the plain way, partial channels."""

import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import search_spaces
from evo.proposals import methods, mixed, mixed_cell
from evo.proposals.methods import METHODS
from evo.proposals.relax import Relaxed
from evo.proposals.relaxation import BETA, Noise, Relaxation
from search_spaces.cell_ops import OPERATIONS

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
from plain_darts import PlainNetwork, PlainSearch, convolutions, same_weights

SOFTMAX, PARTIAL = Relaxation(), Relaxation(partial=4)


def tiny(name: str = "darts", channels: int = 8, cells: int = 3):
    return search_spaces.load(name, image_size=8, num_classes=5, in_channels=1, channels=channels, cells=cells)


def made(space, relaxation, seed: int = 0):
    """The network, its groups and alphas that differ."""
    groups = relaxation.groups(space)
    net = mixed.build(space, relaxation, groups, torch.Generator().manual_seed(seed))
    alphas = relaxation.alphas(groups, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    return net, groups, {name: torch.randn(a.shape, generator=generator) for name, a in alphas.items()}


@pytest.mark.parametrize(
    ("method", "weights", "architecture", "madds"),
    [
        ("darts", 1_930_618, 224, 300_255_744),
        ("fair_darts", 1_930_618, 196, 300_255_744),
        ("pc_darts", 299_578, 252, 56_596_992),
    ],
)
def test_search_networks_have_the_sizes_of_the_authors_code(method, weights, architecture, madds, monkeypatch):
    monkeypatch.setattr(mixed_cell, "FEW", 0)  # products with zeros do not count, nor does the sum of the options
    monkeypatch.setattr(mixed_cell, "_free", lambda leaving, share, _: [share.free(leaving.free[0])] * len(leaving[0]))
    relaxation = METHODS[method]().relaxation
    net, groups, alphas = made(search_spaces.load("darts"), relaxation)
    assert sum(p.numel() for p in net.parameters()) == weights
    assert sum(a.numel() for a in alphas.values()) == architecture
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 32, 32), relaxation.mixture(alphas, groups))
    assert counter.get_total_flops() == 2 * madds


def doubled(space):
    """Ours and the plain search, with the same weights and alphas, in float64."""
    ours = Relaxed(methods.darts(), space, 0)
    ours.net.double()
    ours.weights = dict(ours.net.named_parameters())
    for alpha in ours.alphas.values():
        alpha.data = torch.randn(alpha.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = PlainNetwork(space).double()
    for kind, alpha in plain.alphas.items():
        plain.alphas[kind] = alpha.detach().double().requires_grad_()
    same_weights(plain, ours.net, ours.alphas)
    return ours, PlainSearch(plain)


def test_shared_and_folded_operations_give_what_the_plain_way_gives():
    ours, plain = doubled(tiny())
    images = torch.randn(6, 1, 8, 8).double()
    last = images.contiguous(memory_format=torch.channels_last)
    a, b = ours.net(last, ours.mixture()), plain.net(images)
    assert torch.allclose(a, b, rtol=1e-9, atol=1e-11)
    (a.square().sum()).backward()
    (b.square().sum()).backward()
    for kind, alpha in ours.alphas.items():
        assert torch.allclose(alpha.grad, plain.net.alphas[kind].grad, rtol=1e-7, atol=1e-10)
    for mine, other in zip(ours.net.cells, plain.net.cells, strict=True):
        for p, q in zip(convolutions(mine.bodies), convolutions(other.edges), strict=True):
            assert torch.allclose(p.grad, q.grad, rtol=1e-6, atol=1e-9)


def test_steps_of_a_search_are_those_of_the_plain_way():
    ours, plain = doubled(tiny())
    for step in range(2):
        images = torch.randn(2, 6, 1, 8, 8, generator=torch.Generator().manual_seed(step)).double()
        train, val = ((batch, torch.arange(6) % 5) for batch in images)
        ours.step_alphas(train, val)
        loss = ours.step_weights(train)
        assert loss.item() == pytest.approx(plain.step(train, val).item(), rel=1e-6)
    for kind, alpha in ours.alphas.items():
        assert torch.allclose(alpha, plain.net.alphas[kind], rtol=1e-6, atol=1e-8)


def test_shuffle_deals_channels_round():
    x = torch.arange(8.0).reshape(1, 8, 1, 1)
    assert mixed_cell.shuffle(x, 4).flatten().tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert mixed_cell.shuffle(x, 1) is x


def edge_by_edge(cell, inputs, options, edges):
    """PC-DARTS as its paper says: each edge mixes its first channels, lets the others pass, and shuffles."""
    states = [layer(x) for layer, x in zip(cell.preprocess, inputs, strict=True)]
    e = 0
    for to in dict.fromkeys(cell.group.to):
        total = 0
        for source in range(to):
            x, stride = states[source], cell.stride if source < 2 else 1
            part, rest = x[:, : cell.portion], x[:, cell.portion :]
            terms = []
            for name, weight in zip(cell.group.options[e], options[e] / edges[e], strict=True):
                bodies = cell.bodies[f"{to}-{source}"]
                y = bodies[name](part.relu()) if name in bodies else OPERATIONS[name](cell.portion, stride)(part)
                free = name == "none" or (name == "skip_connect" and stride == 1)
                terms.append(weight * (y if free else F.batch_norm(y, None, None, training=True)))
            past = F.max_pool2d(rest, 2, 2) if stride == 2 else rest
            total = total + edges[e] * mixed_cell.shuffle(torch.cat([sum(terms), past], dim=1), cell.partial)
            e += 1
        states.append(total)
    return torch.cat(states[2:], dim=1)


@pytest.mark.parametrize("place", [0, 1])
def test_one_shuffle_a_node_is_a_shuffle_an_edge(place):
    space = tiny(cells=3)  # a normal cell, then a reduction cell
    net, groups, alphas = made(space, PARTIAL)
    net, alphas = net.double(), {name: alpha.double() for name, alpha in alphas.items()}
    mixture, states = PARTIAL.mixture(alphas, groups), net.entry(net.stem(torch.randn(4, 1, 8, 8).double()))
    for kind, cell in zip(net.kinds[:place], net.cells[:place], strict=True):
        states = (*states[1:], cell(states, mixture.options[kind], mixture.edges[kind], 0.0))
    cell, kind = net.cells[place], net.kinds[place]
    ours = cell(states, mixture.options[kind], mixture.edges[kind], 0.0)
    assert torch.allclose(ours, edge_by_edge(cell, states, mixture.options[kind], mixture.edges[kind]))


def test_channels_that_pass_come_through_bit_for_bit():
    space = tiny(cells=3)
    net, _, _ = made(space, PARTIAL)
    cell, kind = net.cells[0], net.kinds[0]
    options = torch.zeros(14, 8)
    edges = torch.zeros(14)
    edges[0] = 1.0  # node 2 reads state 0 alone
    state = net.entry(net.stem(torch.randn(2, 1, 8, 8)))
    out = cell(state, options, edges, 0.0)
    rest = cell.preprocess[0](state[0])[:, cell.portion :]
    expected = mixed_cell.shuffle(torch.cat([torch.zeros_like(rest[:, : cell.portion]), rest], dim=1), 4)
    assert kind == "normal"
    assert torch.equal(out[:, :8], expected)


def test_betas_sum_to_one_at_every_node():
    space = tiny()
    _, groups, alphas = made(space, PARTIAL)
    mixture = PARTIAL.mixture(alphas, groups)
    for kind, group in groups.items():
        assert alphas[BETA + kind].shape == (14,)
        for node in (2, 3, 4, 5):
            total = sum(beta for beta, to in zip(mixture.edges[kind], group.to, strict=True) if to == node)
            assert total.item() == pytest.approx(1)
        expected = alphas[kind].softmax(-1) * mixture.edges[kind][:, None]
        assert torch.allclose(mixture.options[kind], expected)


def test_a_chain_layer_is_the_weighted_sum_of_its_blocks():
    space = search_spaces.load("digits", num_classes=5)
    net, groups, alphas = made(space, SOFTMAX)
    layer, weights = net.layers[1], alphas["layer 1"].softmax(-1)[0]
    x = torch.randn(4, 16, 4, 4)
    expected = sum(w * block(x) for w, block in zip(weights, layer.blocks, strict=True))
    assert torch.allclose(layer(x, weights, 0.0), expected, atol=1e-6)
    assert net(torch.randn(4, 1, 8, 8), SOFTMAX.mixture(alphas, groups)).shape == (4, 5)


def test_partial_channels_of_a_chain_pass_where_their_number_stays():
    net, _, alphas = made(search_spaces.load("digits"), PARTIAL)
    assert [layer.partial for layer in net.layers] == [4, 4, 4, 1, 4, 4]
    assert not any(name.startswith(BETA) for name in alphas)  # a layer has one edge
    weights = alphas["layer 1"].softmax(-1)[0]
    x = torch.randn(2, 16, 4, 4)
    undone = mixed_cell.shuffle(net.layers[1](x, weights, 0.0), 16 // 4)
    assert torch.equal(undone[:, 4:], x[:, 4:])


def test_partial_must_divide_the_channels():
    with pytest.raises(ValueError, match="do not divide 8 channels"):
        made(tiny(), Relaxation(partial=3))
    with pytest.raises(ValueError, match="do not divide 16 channels"):
        made(search_spaces.load("digits"), Relaxation(partial=3))


@pytest.mark.parametrize("noise", [Noise("additive", 0.5), Noise("multiplicative", 0.5), Noise("uniform", 0.5)])
def test_noise_has_the_deviation_asked_for_and_leaves_the_mean(noise):
    x = 3 * torch.randn(20, 10, 10, 100, generator=torch.Generator().manual_seed(0)) + 7
    torch.manual_seed(0)
    added = noise(x, 1.0) - x
    scale = x if noise.kind == "multiplicative" else x.std()
    assert (added / scale).std().item() == pytest.approx(0.5, rel=0.02)
    assert (added / scale).mean().item() == pytest.approx(0, abs=0.01)
    assert torch.equal(noise(x, 0.0), x)


def test_no_gradient_flows_through_noise():
    x = torch.randn(5, 2, 5, 1, requires_grad=True)
    Noise("additive", 0.5)(x, 1.0).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_noise_decays_to_zero_or_not_at_all():
    assert [Noise(decay=True).scale(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1, 0.5, 0])
    assert Noise().scale(1.0) == 1


def test_noise_of_a_chain_is_on_its_identities_alone_and_in_training_alone():
    space = search_spaces.load("nas_bench_macro", image_size=8, num_classes=5)
    layer = next(layer for layer in made(space, Relaxation(noise=Noise()))[0].layers if "identity" in layer.names)
    x = torch.randn(2, layer.portion, 8, 8)
    for training, identity, noisy in ((True, 1.0, True), (True, 0.0, False), (False, 1.0, False)):
        layer.train(training)
        weights = torch.tensor([identity if name == "identity" else 0.5 for name in layer.names])
        with torch.no_grad():
            assert torch.equal(layer(x, weights, 1.0), layer(x, weights, 1.0)) is not noisy


def test_noise_is_on_skips_alone_and_in_training_alone():
    relaxation = Relaxation(none=False, noise=Noise())
    net, groups, alphas = made(tiny(), relaxation)
    images = torch.randn(2, 1, 8, 8)

    def twice(net, alphas):
        mixture = relaxation.mixture(alphas, groups)
        return net(images, mixture), net(images, mixture)

    with torch.no_grad():
        first, second = twice(net.eval(), alphas)
        assert torch.equal(first, second)
        first, second = twice(net.train(), alphas)
        assert not torch.equal(first, second)
        without = {name: alpha.clone() for name, alpha in alphas.items()}
        for name, group in groups.items():
            without[name][:, group.options[0].index("skip_connect")] = -torch.inf
        first, second = twice(net.train(), without)
        assert torch.equal(first, second)
