"""What a person keeps: the front, the picks, trained networks."""

from pathlib import Path

from torch import nn

__all__ = ["load"]


def load(run: str | Path, pick: str) -> nn.Module:
    """The network picked from a run, with the weights that `results/train.py RUN --pick PICK` gave it, in eval mode.

    Takes normalised images (B, C, H, W) to logits (B, classes). ValueError if there is no such pick, or no weights yet.
    """
    from results import trained

    return trained.load(Path(run), pick)
