"""Scoring a population at once against one by one, both in the same run, on populations that share prefixes.

    python benchmarks/oracle.py [--rounds 5] [--threads 1]
Three populations: the survivors of a real search on the digits, with and without BatchNorm recalibration; the whole
NAS-Bench-Macro space (6,561 networks), on random weights and images of 16 pixels: speed does not depend on them.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import record
import torch

import search_spaces
from evo import objectives as goals
from evo.archive import Archive
from evo.engine import NSGA2
from supernet import checkpoint, fit, model, trie
from supernet.data import DataConfig, load
from supernet.oracle import SupernetOracle


def survivors(folder: Path, space) -> np.ndarray:
    """The last population of the run."""
    engine = NSGA2(space.choices, 70, space.canonical)
    chosen = goals.parse_objectives(("accuracy", "madds", "params"))
    for found in Archive(folder / "archive.sqlite").generations():
        engine.tell(found.encodings, goals.minimised(found.rows, chosen))
    return engine.encodings


def compare(oracle: SupernetOracle, encodings: np.ndarray, rounds: int) -> dict:
    """Seconds of both ways in turn, and the ratio of each pair. RuntimeError if they do not agree."""
    at_once, one_by_one = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        fast = oracle.accuracy(encodings)
        middle = time.perf_counter()
        plain = oracle.one_by_one(encodings)
        at_once.append(middle - start)
        one_by_one.append(time.perf_counter() - middle)
        if not (fast == plain).all():
            raise RuntimeError("the two ways do not agree")
    ratios = sorted(b / a for a, b in zip(at_once, one_by_one, strict=True))
    return {
        "architectures": len(encodings),
        "block_evaluations": trie.size(encodings),
        "block_evaluations_one_by_one": encodings.size,
        "images": len(oracle.labels),
        "seconds": median(at_once),
        "seconds_one_by_one": median(one_by_one),
        "ratio": median(ratios),
        "ratio_min": ratios[0],
        "ratio_max": ratios[-1],
    }


def digits(rounds: int) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run"
        command = [sys.executable, "evo/search.py", "--run", str(folder)]
        subprocess.run(command, cwd=record.ROOT, check=True, stdout=subprocess.DEVNULL)
        space, data = search_spaces.load("digits"), load(DataConfig())
        net = model.build(space)
        net.load_state_dict(fit.weights(checkpoint.load(folder / "supernet.safetensors", "supernet")[0]))
        encodings = survivors(folder, space)
    net = net.to(memory_format=torch.channels_last)
    running = SupernetOracle(net, *data.score, data.normalise)
    recalibrated = SupernetOracle(net, *data.score, data.normalise, data.train.images[:500])
    return {
        "converged population, running statistics": compare(running, encodings, rounds),
        "converged population, recalibrated": compare(recalibrated, encodings, rounds),
    }


def nas_bench_macro(rounds: int) -> dict[str, dict]:
    space = search_spaces.load("nas_bench_macro", image_size=16)
    net = model.build(space, torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    images = torch.randn(32, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    oracle = SupernetOracle(net, images.contiguous(memory_format=torch.channels_last), torch.arange(32) % 10)
    everything = np.stack(np.unravel_index(np.arange(space.size), space.choices), axis=1)
    return {"whole NAS-Bench-Macro space, running statistics": compare(oracle, everything, rounds)}


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    populations = nas_bench_macro(max(1, arguments.rounds // 2)) | digits(arguments.rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        record.save("oracle-cpu", {"threads": arguments.threads, "peak_memory_mib": peak, "populations": populations})
    )


if __name__ == "__main__":
    main()
