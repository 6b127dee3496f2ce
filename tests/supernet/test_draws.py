import pytest
import torch

from supernet.draws import seeded

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.mark.parametrize("name", DEVICES)
def test_draws_are_those_of_the_seed_and_others_go_on_as_if_none_had_been(name):
    device = torch.device(name)
    torch.manual_seed(7)
    expected = torch.rand(3, device=device)
    torch.manual_seed(1)
    whole = torch.cat([torch.rand(3, device=device) for _ in range(2)])
    torch.manual_seed(1)
    first = torch.rand(3, device=device)
    with seeded(7, device):
        assert torch.equal(torch.rand(3, device=device), expected)
    assert torch.equal(torch.cat([first, torch.rand(3, device=device)]), whole)
