import pytest
import torch
from torch import nn

import search_spaces
from supernet import model
from supernet.kernels import DepthwiseConv2d, PointwiseConv2d, quicken


def results(conv: nn.Module, size: int) -> tuple[torch.Tensor, ...]:
    """The output and all gradients of a convolution of 6 channels."""
    x = torch.randn(3, 6, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    y = conv(x)
    (y * torch.arange(y.numel()).view_as(y)).sum().backward()
    return y, x.grad, conv.weight.grad, conv.bias.grad


def compare(plain: nn.Conv2d, quick_type: type, size: int) -> None:
    shape = plain.kernel_size, plain.stride, plain.padding, plain.dilation
    quick = nn.Conv2d(6, plain.out_channels, *shape, groups=plain.groups)
    quick.double().load_state_dict(plain.state_dict())
    assert type(quicken(quick)) is quick_type
    for expected, got in zip(results(plain, size), results(quick, size), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-8)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_cropped_and_thinned_kernel_gives_the_whole_ones_result_and_gradients(size, stride, dilation, kernel):
    padding = dilation * (kernel // 2)
    compare(nn.Conv2d(6, 6, kernel, stride, padding, dilation, groups=6).double(), DepthwiseConv2d, size)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_pointwise_convolution_gives_the_same_as_a_product_of_matrices(size, stride):
    compare(nn.Conv2d(6, 4, 1, stride).double(), PointwiseConv2d, size)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=1),  # dense
        nn.Conv2d(4, 4, 3, groups=4),  # not padded
        nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=4),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4),
        nn.Conv2d(4, 4, 4, padding=2, groups=4),
        nn.Conv2d(4, 4, 1, padding=1),
    ],
)
def test_other_convolutions_are_left_alone(conv):
    assert type(quicken(conv)) is nn.Conv2d


def test_a_quickened_supernet_keeps_its_weights_and_memory_order():
    net = model.build(search_spaces.load("digits"), torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    images = torch.randn(4, 1, 8, 8).contiguous(memory_format=torch.channels_last)
    expected = net.eval()(images, [[0] * 6, [5] * 6])
    assert quicken(net) is net
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    torch.testing.assert_close(net(images, [[0] * 6, [5] * 6]), expected)
    assert net.layers[0][0](net.stem(images)).is_contiguous(memory_format=torch.channels_last)
