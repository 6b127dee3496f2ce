import pytest
import torch
from torch import nn

from supernet.crop import CroppedConv2d, crop_kernels


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_a_cropped_kernel_gives_the_whole_ones_result_and_gradients(size, stride, kernel):
    torch.manual_seed(0)
    whole = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6).double()
    cropped = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6).double()
    cropped.load_state_dict(whole.state_dict())
    crop_kernels(cropped)
    assert isinstance(cropped, CroppedConv2d)
    results = []
    for conv in (whole, cropped):
        x = torch.randn(3, 6, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.double)
        x.requires_grad_()
        y = conv(x)
        (y * torch.arange(y.numel()).view_as(y)).sum().backward()
        results.append((y, x.grad, conv.weight.grad, conv.bias.grad))
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, padding=1),  # dense
        nn.Conv2d(4, 4, 3, groups=4),  # not padded
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4),
        nn.Conv2d(4, 4, 4, padding=2, groups=4),
    ],
)
def test_other_convolutions_are_left_alone(conv):
    assert type(crop_kernels(conv)) is nn.Conv2d
