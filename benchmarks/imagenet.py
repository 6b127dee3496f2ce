"""What a supernet needs of a machine at ImageNet's size: decoding, reading, memory. One core, made photographs.

    python benchmarks/imagenet.py [--space fairnas] [--images 200]
The photographs have ImageNet's usual 500 x 375 pixels; they are noise, smooth and fine, so that their files are about
as large. Memory per image is what a process takes more for a step of 16 than for one of 8. Seconds are the
processor's.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import record
import torch
from PIL import Image

import search_spaces
from search_spaces.chain import Chain
from supernet import fairness, memory, model
from supernet.kernels import quicken
from supernet.step import FairStep
from supernet.stream import LOADED, Stream

SIZE, CLASSES, BATCHES = 224, 1000, (8, 16)


def photographs(folder: Path, n: int) -> list[tuple[str, int]]:
    """Paths and labels of n JPEGs."""
    rng = np.random.default_rng(0)
    for i in range(n):
        smooth = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((500, 375))
        fine = rng.normal(0, 12, (375, 500, 1))
        pixels = (np.asarray(smooth) + fine).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.JPEG", quality=90)
    return [(str(folder / f"{i}.JPEG"), i % CLASSES) for i in range(n)]


def rate(batches, n: int) -> float:
    """Images a second of this process."""
    start = time.process_time()
    for _ in batches:
        pass
    return n / (time.process_time() - start)


def loading(n: int) -> dict:
    """What one process decodes: training crops, and centres."""
    with tempfile.TemporaryDirectory() as folder:
        samples = photographs(Path(folder), n)
        stream = Stream(samples, SIZE, workers=0)
        groups = [range(start, min(n, start + LOADED)) for start in range(0, n, LOADED)]
        return {
            "bytes_per_image": sum(os.path.getsize(path) for path, _ in samples) / n,
            "crops_per_second": rate(stream.batches(groups, 0), n),
            "centres_per_second": rate(stream.chunks(LOADED), n),
        }


def supernet(space_name: str) -> tuple[Chain, torch.nn.Module]:
    space = search_spaces.load(space_name, image_size=SIZE, num_classes=CLASSES)
    return space, quicken(model.build(space, torch.Generator().manual_seed(0))).train()


def peak(space_name: str, batch: int) -> int:
    """Bytes that this process takes at most for a strictly fair step."""
    space, net = supernet(space_name)
    step = FairStep(net, torch.nn.functional.cross_entropy)
    images = torch.randn(batch, space.in_channels, SIZE, SIZE)
    step(images, torch.arange(batch) % CLASSES, fairness.strict(space.choices, 0, 0))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def step_memory(space_name: str) -> dict:
    """Measured per image of the batch, beside what `supernet.memory` says without a step; and what weights take."""
    command = [sys.executable, __file__, "--space", space_name, "--batch"]
    low, high = (
        int(subprocess.run([*command, str(batch)], capture_output=True, text=True, check=True).stdout)
        for batch in BATCHES
    )
    space, net = supernet(space_name)
    return {
        "paths": max(space.choices),
        "bytes_per_image_of_a_step": (high - low) / (BATCHES[1] - BATCHES[0]),
        "predicted": memory.per_path(net, space.choices, torch.randn(2, space.in_channels, SIZE, SIZE)),
        "bytes_of_weights": sum(parameter.nbytes for parameter in net.parameters()),
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--space", default="fairnas")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--batch", type=int, help="print the peak memory of one step and end")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.batch:
        print(peak(arguments.space, arguments.batch))
        return
    figures = {"space": arguments.space, "image_size": SIZE, "images": arguments.images}
    print(record.save("imagenet", {**figures, **loading(arguments.images), **step_memory(arguments.space)}))


if __name__ == "__main__":
    main()
