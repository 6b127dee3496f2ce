"""Do relaxations fall for skips and for noise? Short searches in RobustDARTS's reduced spaces S3 and S4.

    python benchmarks/darts_search.py [--epochs 25] [--seeds 1]
On scikit-learn's digits, real images of 8 pixels, with 8 channels and 3 cells: a reduced setting, not the papers'.
S3: skips among the 8 edges of the normal cell, after every epoch. S4: edges of both cells that chose noise, of 16.
Every method with its published settings, but for the epochs and batches of 64 where it has more.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import record
import torch

import search_spaces
from evo.proposals import methods
from evo.proposals.relax import relax
from search_spaces.cell_ops import NOISE
from supernet.data import DataConfig, load

METHODS = ("darts", "pc_darts", "fair_darts", "noisy_darts", "milenas")
BATCH = 64
SPACE = {"image_size": 8, "num_classes": 10, "in_channels": 1, "channels": 8, "cells": 3}


def noise_edges(space, encoding) -> int:
    return sum(edge.operation == NOISE for graph in space.graphs(encoding).values() for edge in graph.edges)


def search(space_name: str, name: str, epochs: int, seed: int) -> dict:
    """Skips and noise edges after every epoch, and the seconds it took."""
    space, data = search_spaces.load(space_name, **SPACE), load(DataConfig())
    method = replace(methods.method(name), epochs=epochs, batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder:
        _, history = relax(method, space, data, seed, Path(folder) / "relaxation.safetensors")
    encodings = [row["encoding"] for row in history]
    return {
        "skips": [row["skips"] for row in history],
        "noise": [noise_edges(space, encoding) for encoding in encodings],
        "accuracy": [row["accuracy"] for row in history],
        "genotype": space.describe(encodings[-1]),
        "seconds": sum(row["seconds"] for row in history),
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spaces = {
        space: {name: [search(space, name, arguments.epochs, s) for s in range(arguments.seeds)] for name in METHODS}
        for space in ("darts_s4", "darts_s3")
    }
    print(record.save("darts_search-cpu", {"epochs": arguments.epochs, "seeds": arguments.seeds, "spaces": spaces}))


if __name__ == "__main__":
    main()
