import copy
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional as F

import search_spaces
from search_spaces import chain
from search_spaces.blocks import classifier, conv_bn_act, identity, inverted_residuals, linear_skip
from supernet import fairness, model, step
from supernet.static import StaticStep
from supernet.step import FairStep

BATCH = 8  # BatchNorm over 4 values, on maps of one pixel, would magnify rounding


def quiet(net: nn.Module) -> nn.Module:
    """Without dropout, in double precision, and with blocks that are not the identity."""
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return net.double().train()


def tiny_space(skip: bool) -> chain.Chain:
    """Two layers of three blocks each; with `skip` the second may also be skipped."""
    options = dict(list(inverted_residuals((3, 5), (1, 2)).items())[:3])
    all_options = {**options, chain.IDENTITY: identity} if skip else options
    layers = chain.layers([(4, 2, 2)], 4, all_options, options, {chain.IDENTITY: linear_skip} if skip else None)
    spec = {"name": "tiny", "image_size": 4, "num_classes": 5, "in_channels": 1}
    return chain.Chain(spec, lambda: nn.Sequential(*conv_bn_act(1, 4, 3)), layers, lambda: classifier(4, 8, 5))


SPACES = {
    "equal": lambda: search_spaces.load("digits", num_classes=5),
    "unequal": lambda: tiny_space(skip=True),
}


def make(name: str) -> tuple:
    """A space, its supernet, images and labels; the same ones every time."""
    space = SPACES[name]()
    net = quiet(model.build(space, torch.Generator().manual_seed(0)))
    shape = (BATCH, space.in_channels, space.image_size, space.image_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    return space, net, images, torch.arange(BATCH) % 5


def outcome(name: str, take) -> tuple[torch.Tensor, dict, dict]:
    """Losses, gradients and statistics that a way to take a step, take(net, images, labels, paths), leaves."""
    space, net, images, labels = make(name)
    return left(net, take(net, images, labels, fairness.strict(space.choices, 0, 0)))


def left(net: nn.Module, losses: torch.Tensor) -> tuple[torch.Tensor, dict, dict]:
    gradients = {key: parameter.grad for key, parameter in net.named_parameters() if parameter.grad is not None}
    return losses, gradients, {key: value.clone() for key, value in net.named_buffers()}


def same(a: tuple, b: tuple) -> None:
    """The stem's running statistics may differ: it runs once or once per path."""
    torch.testing.assert_close(a[0], b[0], rtol=1e-9, atol=1e-12)
    for x, y in zip(a[1:], b[1:], strict=True):
        assert x.keys() == y.keys()
        scale = max(value.abs().max().item() for value in y.values())
        for key in x:
            if not (key.startswith("stem.") and key in a[2]):
                torch.testing.assert_close(x[key], y[key], rtol=1e-9, atol=1e-10 * scale, msg=key)


@pytest.fixture(scope="module", params=SPACES)
def plain(request):
    """The space's name, and what the definition leaves."""
    return request.param, outcome(request.param, lambda *args: step.plain(args[0], F.cross_entropy, *args[1:]))


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_chunked_step_leaves_what_one_pass_per_path_leaves(plain, size):
    name, expected = plain
    same(outcome(name, lambda *args: step.chunked(args[0], F.cross_entropy, *args[1:], size)), expected)


@pytest.mark.parametrize("alive", [[0], [0, 0], [1, 0]])
def test_networks_of_which_no_image_comes_out_leave_what_one_pass_per_path_leaves(alive):
    space = search_spaces.load("nas_bench_201", image_size=8, channels=4, cells=1)
    paths = np.array(alive)[:, None] * np.full(len(space.choices), 3)  # all none, or all convolutions
    images = torch.randn(BATCH, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.double)

    def outcome(take) -> tuple:
        net = quiet(model.build(space, torch.Generator().manual_seed(0)))
        return left(net, take(net, F.cross_entropy, images, torch.arange(BATCH), paths))

    expected = outcome(step.plain)
    same(outcome(lambda *args: step.chunked(*args, 1)), expected)


def test_a_static_step_leaves_what_one_pass_per_path_leaves():
    expected = outcome("equal", lambda *args: step.plain(args[0], F.cross_entropy, *args[1:]))
    same(outcome("equal", lambda net, *inputs: StaticStep(net, F.cross_entropy)(*inputs)), expected)


def test_a_step_is_static_only_if_every_block_is_on_one_path():
    for name, static in (("equal", True), ("unequal", False)):
        space, net, *_ = make(name)
        assert step.can_be_static(net, space.choices) is static


def test_without_crossing_paths_no_activation_is_mixed_up():
    """Every path through the static graph alone gives its own logits."""
    space, net, images, _ = make("equal")
    net.eval()
    for number in range(5):
        paths = fairness.strict(space.choices, 0, number)
        with torch.no_grad():
            together = net.fair(images, torch.from_numpy(fairness.order(paths)))
            torch.testing.assert_close(together, net(images, paths), rtol=1e-9, atol=1e-12)


@pytest.fixture
def tiny():
    """A net of two layers x three blocks, images, labels."""
    net = quiet(model.build(tiny_space(skip=False), torch.Generator().manual_seed(0)))
    images = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    return net, images, torch.arange(6) % 5


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch.compile looks at it
def test_a_compiled_step_is_compiled_once_whatever_the_permutations(tiny):
    net, images, labels = tiny
    expected = copy.deepcopy(net)
    counter, counts = CompileCounter(), []
    take = FairStep(net, F.cross_entropy, 3, static=StaticStep(net, F.cross_entropy, compiler={"backend": counter}))
    for number in range(6):
        paths = fairness.strict((3, 3), 0, number)
        losses = take(images, labels, paths)
        torch.testing.assert_close(losses, step.plain(expected, F.cross_entropy, images, labels, paths))
        counts.append(counter.frame_count)
    assert len({fairness.strict((3, 3), 0, number).tobytes() for number in range(6)}) > 3
    assert counts == [6] * 6  # the blocks, once each
    for (key, got), want in zip(net.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad, rtol=1e-7, atol=1e-9, msg=key)


def test_without_a_compiler_it_says_so_once_and_goes_on(tiny, capsys):
    def broken(*_):
        raise RuntimeError("no compiler here")

    net, images, labels = tiny
    expected = copy.deepcopy(net)
    take = FairStep(net, F.cross_entropy, 3, static=StaticStep(net, F.cross_entropy, compiler={"backend": broken}))
    for number in range(2):
        paths = fairness.strict((3, 3), 0, number)
        losses = take(images, labels, paths)
        torch.testing.assert_close(losses, step.plain(expected, F.cross_entropy, images, labels, paths))
    for got, want in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad, rtol=1e-7, atol=1e-9)
    assert capsys.readouterr().err.count("cannot compile or capture") == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_captured_step_leaves_what_the_plain_one_leaves(tiny):
    net, images, labels = tiny
    net, images, labels = net.cuda(), images.cuda(), labels.cuda()
    expected = copy.deepcopy(net)
    take = StaticStep(net, F.cross_entropy)
    for number in range(6):
        paths = fairness.strict((3, 3), 0, number)
        net.zero_grad()
        expected.zero_grad()
        losses = take(images, labels, paths)
        torch.testing.assert_close(losses, step.plain(expected, F.cross_entropy, images, labels, paths))
        for (key, got), want in zip(net.named_parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(got.grad, want.grad, rtol=1e-7, atol=1e-9, msg=key)
    for (key, got), want in zip(net.head.named_buffers(), expected.head.buffers(), strict=True):
        torch.testing.assert_close(got, want, msg=key)


def cramp(net, room: int, monkeypatch) -> None:
    """From now on the memory holds the activations of `room` paths at a time."""
    held, follow, backward = [], net.follow, torch.Tensor.backward

    def limited(x, path):
        held.append(path)
        if len(held) > room:
            held.clear()
            raise torch.OutOfMemoryError
        return follow(x, path)

    def freeing(*args, **kwargs):
        backward(*args, **kwargs)
        held.clear()

    monkeypatch.setattr(net, "follow", limited)
    monkeypatch.setattr(torch.Tensor, "backward", freeing)


def test_out_of_memory_halves_the_paths_held_and_changes_no_gradient(tiny, monkeypatch, capsys):
    net, images, labels = tiny
    expected, paths = copy.deepcopy(net), fairness.strict((3, 3), 0, 0)
    step.plain(expected, F.cross_entropy, images, labels, paths)
    cramp(net, 1, monkeypatch)
    take = FairStep(net, F.cross_entropy, 3)
    take(images, labels, paths)
    assert take.size == 1
    assert "out of GPU memory: 1 paths at a time from now on" in capsys.readouterr().err
    for got, want in zip(net.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(got.grad, want.grad, rtol=1e-7, atol=1e-9)


def test_where_not_even_one_path_fits_the_message_names_the_mend(tiny, monkeypatch):
    net, images, labels = tiny
    cramp(net, 0, monkeypatch)
    with pytest.raises(ValueError, match="--batch-size"):
        FairStep(net, F.cross_entropy, 3)(images, labels, fairness.strict((3, 3), 0, 0))


def test_on_a_cpu_one_path_at_a_time(capsys):
    space, net, images, _ = make("equal")
    assert step.paths_that_fit(net, space.choices, images, 64, torch.no_grad, 2**40) == 1
    assert "1 of 6 paths at a time" in capsys.readouterr().err


def test_bfloat16_leaves_the_gradients_nearly_as_they_are():
    space, net, images, labels = make("equal")
    net.float()
    images, paths = images.float(), fairness.strict(space.choices, 0, 0)
    gradients = []
    for context in (nullcontext, lambda: torch.autocast("cpu", torch.bfloat16)):
        net.zero_grad()
        step.chunked(net, F.cross_entropy, images, labels, paths, 6, context)
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in net.head.parameters()]))
    assert (gradients[1] - gradients[0]).norm() < 0.1 * gradients[0].norm()


def test_order_undoes_itself_over_many_steps():
    """Following `order` from layer to layer gives every path its own blocks."""
    for number in range(20):
        paths = fairness.strict((5,) * 7, 3, number)
        order = fairness.order(paths)
        place = paths[:, 0]  # of every path: the block that it is in
        for layer in range(6):
            inputs = {int(source): block for block, source in enumerate(order[layer])}
            place = np.array([inputs[int(p)] for p in place])
            assert (place == paths[:, layer + 1]).all()
        assert (order[-1] == paths[:, -1]).all()
