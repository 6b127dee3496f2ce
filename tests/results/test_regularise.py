from dataclasses import replace

import pytest
import torch

import search_spaces
from results import regularise
from results.recipes import RECIPES

PLAIN = RECIPES["digits"]


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def test_cutout_blanks_one_square_of_at_most_its_size():
    out = regularise.cutout(torch.ones(200, 3, 16, 16), 0.5)
    holes = (out == 0).all(1)
    assert (holes == (out == 0).any(1)).all()  # the same in all channels
    rows, columns = holes.any(2).sum(1), holes.any(1).sum(1)
    assert (holes.sum((1, 2)) == rows * columns).all()  # a rectangle
    assert rows.max() == columns.max() == 8  # [centre - 4, centre + 4), as the authors cut
    assert rows.min() >= 4  # the centre lies inside


def test_mixed_labels_are_shares_of_the_images_own():
    images = torch.arange(8.0)[:, None, None, None].expand(8, 1, 4, 4)
    labels = torch.arange(8)
    assert regularise.mixed(images, labels, PLAIN, 8)[1] is labels
    for kind in ("mixup", "cutmix"):
        mixed, shares = regularise.mixed(images, labels, replace(PLAIN, **{kind: 1.0}), 8)
        assert shares.sum(1) == pytest.approx(torch.ones(8))
        assert mixed.mean((1, 2, 3)) == pytest.approx(shares @ torch.arange(8.0), abs=1e-5)


@pytest.fixture
def net():
    return search_spaces.load("digits").build([2] * 6)


@pytest.fixture
def cells():
    """DARTS's published cells: separable convolutions and identities."""
    space = search_spaces.load("darts", image_size=8, in_channels=1, channels=4, cells=4)
    return space.build(search_spaces.published.ARCHITECTURES["DARTS_V2"].genotype)


def test_paths_are_dropped_in_training_alone_and_the_hooks_go(net):
    images = torch.randn(64, 1, 8, 8)
    whole = net.eval()(images)
    recipe = replace(PLAIN, drop_path=1.0, drop_path_grows=True)
    residuals = [block for block in net.blocks if block.residual]
    with regularise.drop_path(net, recipe) as grow:
        grow(1.0)
        assert torch.equal(net.eval()(images), whole)
        x = torch.randn(4, residuals[0].body[0].in_channels, 4, 4)
        assert torch.equal(residuals[0].train()(x), x)  # all dropped
    assert not torch.equal(residuals[0](x), x)


def test_a_cell_drops_every_operation_but_the_identity(cells):
    cell = cells.cells[0].train()
    with regularise.drop_path(cells, replace(PLAIN, drop_path=1.0, drop_path_grows=True)) as grow:
        grow(1.0)
        states = [torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8)]
        inputs = [layer(x) for layer, x in zip(cell.preprocess, states, strict=True)]
        made = dict(enumerate(inputs))
        for (_, to, source), operation in zip(cell.graph.edges, cell.operations, strict=True):
            kept = made[source] if isinstance(operation, torch.nn.Identity) else torch.zeros_like(inputs[0])
            made[to] = made[to] + kept if to in made else kept
        wanted = torch.cat([made[node] for node in cell.graph.concat], 1)
        assert {isinstance(operation, torch.nn.Identity) for operation in cell.operations} == {True, False}
        assert torch.equal(cell(*states), wanted)
    assert not torch.equal(cell(*states), wanted)


def test_dropped_paths_keep_the_mean_and_deeper_ones_drop_more(net):
    recipe = replace(PLAIN, drop_path=0.4)
    residuals = [block for block in net.blocks if block.residual]
    kept = []
    with regularise.drop_path(net, recipe):
        for block in residuals:
            x = torch.zeros(4000, block.body[0].in_channels, 2, 2)
            block.body.train()
            for norm in block.modules():
                if isinstance(norm, torch.nn.BatchNorm2d):
                    norm.eval()
                    norm.bias.data += 1.0
            out = block(x)
            kept.append((out.flatten(1) != 0).any(1).float().mean().item())
            full = out[(out.flatten(1) != 0).any(1)][0]
            assert out.mean(0) == pytest.approx(full * kept[-1], abs=1e-4)
    wanted = [1 - 0.4 * (k + 1) / len(residuals) for k in range(len(residuals))]
    assert kept == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("kind", ["net", "cells"])
def test_the_auxiliary_classifier_leaves_the_networks_own_output_alone(kind, request):
    net, images = request.getfixturevalue(kind), torch.randn(4, 1, 8, 8)
    watched = regularise.Watched(net, images, 10)
    logits, extra = watched.eval()(images)
    assert torch.equal(logits, net.eval()(images))
    assert extra.shape == (4, 10)
    labels = torch.arange(4)
    recipe = replace(PLAIN, auxiliary=0.4, label_smoothing=0.0)
    wanted = regularise.loss(logits, labels, recipe) + 0.4 * regularise.loss(extra, labels, recipe)
    assert regularise.loss((logits, extra), labels, recipe) == pytest.approx(wanted)
    assert not any(module._forward_hooks for module in net.modules())


def test_randaugment_keeps_shape_and_type_and_takes_each_image_by_itself():
    images = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).repeat(16, 1, 1, 1)
    out = regularise.randaugment(images, 2)
    assert (out.shape, out.dtype) == (images.shape, torch.uint8)
    assert len({image.numpy().tobytes() for image in out}) > 4
