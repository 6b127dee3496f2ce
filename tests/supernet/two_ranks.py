"""Run by torchrun in two processes: a strictly fair step of a double-precision supernet, its gradients written by the
first process to FOLDER/{share,synced}.safetensors, how many all-reduces it took to FOLDER/count; and what the
processes agree on to FOLDER/agreed{0,1}.
"""

import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.nn import functional as F

import search_spaces
from supernet import fairness, model, ranks
from supernet.step import chunked

SPACE = {"name": "digits", "image_size": 8}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(16, 1, 8, 8, generator=generator).double(), torch.randint(10, (16,), generator=generator)


def gradients(team: ranks.Team, synced: bool = False) -> dict[str, torch.Tensor]:
    """Of one strictly fair step on the whole batch, as `team` computes it."""
    space = search_spaces.load(**SPACE)
    net = model.build(space, torch.Generator().manual_seed(0)).double()
    for module in net.modules():
        module.p = 0.0  # no dropout
    net = team.synchronised(net) if synced else net
    paths = fairness.strict(space.choices, 0, 0)
    images, labels = map(team.share, batch())
    team.step(net.train(), lambda x, y: chunked(net, F.cross_entropy, x, y, paths, 2), images, labels, 0)
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def main(folder: Path) -> None:
    calls, reduce = [], dist.all_reduce
    with ranks.team(1, torch.device("cpu")) as team:
        dist.all_reduce = lambda tensor: (calls.append(1), reduce(tensor))
        shares, count = gradients(team), len(calls)
        dist.all_reduce = reduce
        synced = gradients(team, synced=True)
        if team.first:
            save_file(shares, folder / "share.safetensors")
            save_file(synced, folder / "synced.safetensors")
            (folder / "count").write_text(str(count))
        said = team.agreed(torch.tensor([True, False]) if team.first else torch.tensor([False, False]))
        (folder / f"agreed{team.rank}").write_text(f"{said.tolist()} {team.least(5 + team.rank)}")
        own = folder / str(team.rank)
        own.mkdir()
        try:
            team.check_shared(own)
        except ValueError as error:
            (folder / f"refused{team.rank}").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
