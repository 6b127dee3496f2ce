"""Scoring a population at once against one by one, both in the same run, on populations that share prefixes.

    python benchmarks/oracle.py [--rounds 5] [--threads 1]
    python benchmarks/oracle.py --device cuda --images 10000 --image-size 32 --one-by-one 60
Three populations: the whole NAS-Bench-Macro space (6,561 networks), on random weights and images, for speed does not
depend on them; on a CPU also the survivors of a real search on the digits, with and without BatchNorm recalibration,
and their NASWOT.
"""

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
from supernet.compute import Compute
from supernet.data import DataConfig, load
from supernet.kernels import quicken
from supernet.naswot import Naswot
from supernet.oracle import SupernetOracle

TOLERANCE = 0.005  # of an accuracy on a GPU, whose sums depend on the size of a batch
BUDGET, BUDGET_IMAGES = 2**28, 1000  # does scoring so many images keep within so many bytes?


def survivors(folder: Path, space) -> np.ndarray:
    """The last population of the run."""
    engine = NSGA2(space.choices, 70, space.canonical)
    chosen = goals.parse_objectives(("accuracy", "madds", "params"))
    for found in Archive(folder / "archive.sqlite").generations():
        engine.tell(found.encodings, goals.minimised(found.rows, chosen))
    return engine.encodings[engine.population]


def compare(judge: SupernetOracle | Naswot, encodings: np.ndarray, rounds: int, sample: int | None = None) -> dict:
    """Seconds of both ways in turn, and the ratio of each pair. RuntimeError if they do not agree.

    With `sample` only so many architectures, evenly spread, are scored one by one, and their time is scaled up.
    """
    chosen = np.linspace(0, len(encodings) - 1, sample or len(encodings)).astype(int)
    accuracy = judge if isinstance(judge, Naswot) else judge.accuracy
    at_once, one_by_one, difference = [], [], 0.0
    if judge.images.device.type != "cpu":
        accuracy(encodings[chosen])  # libraries begin, and choose their ways
    for _ in range(rounds):
        start = time.perf_counter()
        fast = accuracy(encodings)
        middle = time.perf_counter()
        plain = judge.one_by_one(encodings[chosen])
        at_once.append(middle - start)
        one_by_one.append((time.perf_counter() - middle) * len(encodings) / len(chosen))
        difference = max(difference, float(np.abs(fast[chosen] - plain).max()))
    if difference > (0 if judge.images.device.type == "cpu" else TOLERANCE):
        raise RuntimeError(f"the two ways do not agree: {difference}")
    ratios = sorted(b / a for a, b in zip(at_once, one_by_one, strict=True))
    return {
        "architectures": len(encodings),
        "block_evaluations": trie.size(encodings),
        "block_evaluations_one_by_one": encodings.size,
        "measured_one_by_one": len(chosen),
        "images": len(judge.images),
        "seconds": median(at_once),
        "seconds_one_by_one": median(one_by_one),
        "ratio": median(ratios),
        "ratio_min": ratios[0],
        "ratio_max": ratios[-1],
        "difference": difference,
    }


def digits(rounds: int) -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run"
        command = [sys.executable, "evo/search.py", "--run", str(folder)]
        subprocess.run(command, cwd=record.ROOT, check=True, stdout=subprocess.DEVNULL)
        space, data = search_spaces.load("digits"), load(DataConfig())
        net = quicken(model.build(space))
        net.load_state_dict(fit.weights(checkpoint.load(folder / "supernet.safetensors", "supernet")[0]))
        encodings = survivors(folder, space)
    net = net.to(memory_format=torch.channels_last)
    running = SupernetOracle(net, *data.score, data.normalise)
    recalibrated = SupernetOracle(net, *data.score, data.normalise, data.train.images[:500])
    return {
        "converged population, running statistics": compare(running, encodings, rounds),
        "converged population, recalibrated": compare(recalibrated, encodings, rounds),
        "converged population, NASWOT": compare(Naswot(space, data, 0), encodings, rounds),
    }


def nas_bench_macro(device: torch.device, images: int, image_size: int) -> tuple[SupernetOracle, np.ndarray]:
    """An oracle of random weights on random images, and the whole space."""
    space, generator = search_spaces.load("nas_bench_macro", image_size=image_size), torch.Generator().manual_seed(0)
    net = quicken(model.build(space, generator)).to(device, memory_format=torch.channels_last)
    pixels = torch.randn(images, 3, image_size, image_size, generator=generator).to(device)
    pixels, labels = pixels.contiguous(memory_format=torch.channels_last), torch.arange(images, device=device) % 10
    everything = np.stack(np.unravel_index(np.arange(space.size), space.choices), axis=1)
    return SupernetOracle(net, pixels, labels, context=Compute().context(device)), everything


def budget_kept(oracle: SupernetOracle, encodings: np.ndarray, budget: int) -> dict[str, int]:
    """What activations may take, and how far the process grew beyond what it had, both in bytes."""
    small = SupernetOracle(oracle.net, oracle.images, oracle.labels, budget=budget)
    small.accuracy(encodings[:1])  # what libraries take for themselves
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before = _status("VmRSS")
    small.accuracy(encodings)
    return {"budget_bytes": budget, "peak_bytes": _status("VmHWM") - before}


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--one-by-one", type=int, help="how many architectures to score so; default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    macro, everything = nas_bench_macro(Compute(arguments.device).target(), arguments.images, arguments.image_size)
    rounds = max(1, arguments.rounds // 2)
    whole = compare(macro, everything, rounds, arguments.one_by_one)
    figures = vars(arguments) | {"populations": {"whole NAS-Bench-Macro space, running statistics": whole}}
    if arguments.device == "cpu":
        figures["populations"] |= digits(arguments.rounds)
        many, _ = nas_bench_macro(torch.device("cpu"), BUDGET_IMAGES, 32)
        figures["memory"] = budget_kept(many, everything[:: len(everything) // 8], BUDGET)
    print(record.save(f"oracle-{arguments.device}", figures))


if __name__ == "__main__":
    main()
