"""The Ray pool against the oracle on one core: throughput, and what it costs.

    python benchmarks/cluster.py [--rounds 9]
Ray starts while the digits' supernet trains; then populations of 70 are scored here, by one worker and by two, in turn.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import record
import torch

from evo import cluster
from evo.pool import Pool, begin
from search_spaces import SearchSpace
from supernet import train
from supernet.compute import Compute
from supernet.data import Data
from supernet.model import Supernet

POPULATION, RECALIBRATE = 70, 500
CONFIG = train.Config(compute=Compute(device="cpu", threads=1))


def seconds(work: Callable, *given) -> float:
    start = time.perf_counter()
    work(*given)
    return time.perf_counter() - start


def processor_seconds(processes: Sequence[int]) -> float:
    """Seconds of the processor that they have taken so far."""
    stats = (Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in processes)
    return sum(int(user) + int(system) for user, system in (stat[11:13] for stat in stats)) / os.sysconf("SC_CLK_TCK")


def everybody(pool: Pool) -> None:
    """Waits until all workers are ready."""
    while pool.running:
        list(pool._answers())


def throughput(pool: Pool, oracle, populations: Sequence[np.ndarray]) -> dict:
    """Seconds per population here, with one worker and with two, in turn: by the clock, and of the processor.

    RuntimeError if the scores differ.
    """
    everybody(pool)
    processes = [pool.ray.get(worker.__ray_call__.remote(lambda worker: os.getpid())) for worker in pool.idle]
    pool._hire = lambda: None  # nobody takes the place of the one who is set aside
    rounds = []
    for encodings in populations:
        measured = {"here": _measured(oracle, encodings, [os.getpid()])}
        aside = pool.idle.pop()
        measured["one"] = _measured(pool, encodings, processes)
        pool.idle.append(aside)
        measured["two"] = _measured(pool, encodings, processes)
        everybody(pool)
        if (pool.accuracy(encodings) != oracle.accuracy(encodings)).any():
            raise RuntimeError("the pool's scores are not the oracle's")
        rounds.append(measured)
    ratios = sorted(r["one"][0] / r["two"][0] for r in rounds)
    medians = {side: [median(r[side][i] for r in rounds) for i in range(2)] for side in rounds[0]}
    return {"seconds": medians, "ratio": median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1]}


def _measured(oracle, encodings: np.ndarray, processes: Sequence[int]) -> tuple[float, float]:
    before = processor_seconds(processes)
    return seconds(oracle.accuracy, encodings), processor_seconds(processes) - before


def overhead(pool: Pool, net: Supernet, space: SearchSpace, data: Data, populations: Sequence[np.ndarray]) -> dict:
    """Seconds per population where next to nothing is to be computed: one image."""
    pool.send(CONFIG, space, net, data._replace(score=data.score.take(np.arange(1))), 0, {})
    everybody(pool)
    times = sorted(seconds(pool.accuracy, encodings) for encodings in populations)
    return {"overhead_seconds": median(times), "overhead_min": times[0], "overhead_max": times[-1]}


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        config = replace(CONFIG, run=home)
        space, data = train.load_inputs(config)
        with begin(cluster.AUTO, "cpu") as wait:
            start = time.perf_counter()
            net, _ = train.train(config, space, data)
            figures = {"training_seconds": time.perf_counter() - start, "waited_seconds": seconds(wait)}
    pool = wait().send(CONFIG, space, net, data, RECALIBRATE, {})
    populations = [space.sample(rng, POPULATION) for rng in map(np.random.default_rng, range(rounds))]
    figures |= throughput(pool, train.make_oracle(CONFIG, net, data, RECALIBRATE), populations)
    figures |= {"load": os.getloadavg()[0], **overhead(pool, net, space, data, populations)}
    print(record.save("cluster", figures))


if __name__ == "__main__":
    main()
