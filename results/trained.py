"""The stand-alone networks of a run folder: RUN/trained/NAME.safetensors, its best weights, and NAME.json, its card.

NAME.last.safetensors is where a training goes on.
"""

import shlex
from pathlib import Path

from torch import nn

import search_spaces
from results.stand_alone import Files
from search_spaces import SearchSpace
from supernet import checkpoint, fit, run_folder
from supernet.files import load_json

KEYS = {"space", "encoding"}  # what a card must have


def files(folder: Path, name: str) -> Files:
    """Where the checkpoints of a training are."""
    return Files(*(folder / "trained" / f"{name}{ending}.safetensors" for ending in ("", ".last")))


def card(folder: Path, name: str) -> dict:
    """NAME.json; ValueError lists what is trained if that is not."""
    run_folder.require(folder)
    known = sorted(path.stem for path in (folder / "trained").glob("*.json"))
    if name not in known or not files(folder, name).best.exists():
        raise ValueError(
            f"{folder} has no trained {name!r} (trained are: {', '.join(known) or 'none'}); "
            f"python results/train.py {shlex.quote(str(folder))} --pick {name} trains it"
        )
    return load_json(folder / "trained" / f"{name}.json", KEYS, "train it again")


def space(meta: dict) -> SearchSpace:
    """That of a card."""
    return search_spaces.load(**meta["space"])


def build(meta: dict) -> nn.Module:
    """The network of a card, untrained."""
    return space(meta).build(meta["encoding"])


def load(folder: Path, name: str) -> nn.Module:
    """See `results.load`."""
    card(folder, name)
    path = files(folder, name).best
    tensors, meta = checkpoint.load(path, "stand-alone")
    try:
        net = build(meta)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} does not say which network it holds ({error}); train it again") from error
    checkpoint.fill(net, fit.weights(tensors), path, "train it again")
    return net.eval()
