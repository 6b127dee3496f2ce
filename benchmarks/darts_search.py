"""Do relaxations fall for skips and for noise? Short searches in RobustDARTS's reduced spaces on real images.

    python benchmarks/darts_search.py data/cifar10 [--folder runs/darts_search]
    python benchmarks/darts_search.py data/cifar10 --images 10240 --spaces darts_s4    four times as long
CIFAR-10 as a folder of one subfolder per class, at 16 pixels and few of its images, networks of 8 channels and 4 cells:
a reduced setting, not the papers'. Every method has its published settings but for epochs and batches, and for the
rate of its alphas: rate x steps is as published, since a hundredth of the steps would leave all of them where they
began. FairDARTS's, whose rate is ten times DARTS's, is raised only as far as its threshold takes: higher, its zero-one
loss decides before the weights have learned anything, and keeps noise.
Called again it goes on, search by search and epoch by epoch; the record holds those that are done.
"""

import math
from dataclasses import replace
from pathlib import Path

import record
import torch

import search_spaces
from evo.proposals import methods
from evo.proposals.methods import Method
from evo.proposals.relax import relax
from search_spaces.cell_ops import NOISE
from supernet.data import Data, DataConfig, load

METHODS = ("darts", "noisy_darts", "fair_darts", "pc_darts")
SPACES = {"darts_s4": METHODS, "darts_s3": METHODS, "darts_s1": METHODS[:3]}
NETWORK = {"image_size": 16, "channels": 8, "cells": 4}
IMAGES, SCORE, EPOCHS, BATCH = 2560, 500, 30, 64
PUBLISHED = 25_000  # images of an epoch of the papers' searches, half of CIFAR-10


def shortened(name: str, images: int, epochs: int = EPOCHS) -> Method:
    """The published method in fewer steps on so many images, of which each moves the alphas further."""
    method = methods.method(name)
    steps, fewer = method.epochs * PUBLISHED / method.batch_size, epochs * (images // 2 // BATCH)
    rate = method.alpha_lr * steps / fewer
    if method.threshold:
        rate = max(method.alpha_lr, math.log(method.threshold / (1 - method.threshold)) / fewer)
    return replace(method, epochs=epochs, batch_size=BATCH, alpha_lr=rate)


def search(space_name: str, name: str, data: Data, folder: Path) -> dict:
    """What it chose after every epoch, and the seconds it took; goes on where it was."""
    space = search_spaces.load(space_name, **NETWORK)
    method = shortened(name, len(data.train.labels))
    _, history = relax(method, space, data, 0, folder / f"{space_name}-{name}.safetensors")
    cells = [[edge.operation for g in space.graphs(row["encoding"]).values() for edge in g.edges] for row in history]
    return {
        "skips": [row["skips"] for row in history],
        "noise": [operations.count(NOISE) for operations in cells],
        "edges": [len(operations) for operations in cells],
        "entropy": [row["entropy"] for row in history],
        "eigenvalue": [row["eigenvalue"] for row in history],
        "accuracy": [row["accuracy"] for row in history],
        "genotype": space.describe(history[-1]["encoding"]),
        "alpha_lr": method.alpha_lr,
        "seconds": sum(row["seconds"] for row in history),
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("root", help="CIFAR-10 as a folder of one subfolder per class")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--folder", type=Path, default=record.ROOT / "runs" / "darts_search")
    arguments = parser.parse_args()
    more = [str(arguments.images), *arguments.spaces] if arguments.images != IMAGES else []
    record_name = "-".join(["darts_search-cpu", *more])
    torch.set_num_threads(1)
    size = NETWORK["image_size"]
    data = load(DataConfig("folder", arguments.root, size, train_images=arguments.images, score_images=SCORE))
    figures = {"network": NETWORK, "images": arguments.images, "epochs": EPOCHS, "batch": BATCH, "spaces": {}}
    for space in arguments.spaces:
        found = figures["spaces"][space] = {}
        for name in SPACES[space]:
            found[name] = search(space, name, data, arguments.folder)
            print(record.save(record_name, figures))


if __name__ == "__main__":
    main()
