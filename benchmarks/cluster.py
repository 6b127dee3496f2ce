"""The Ray pool against the oracle on one core: throughput, and what it costs.

    python benchmarks/cluster.py [--rounds 9]
Ray starts while the digits' supernet trains; then populations of 70 are scored here, by one worker and by two, in turn.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
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


def everybody(pool: Pool) -> None:
    """Waits until all workers are ready."""
    while pool.running:
        list(pool._answers())


def throughput(pool: Pool, oracle, populations: Sequence[np.ndarray]) -> dict:
    """Seconds per population here, with one worker and with two, in turn. RuntimeError if the scores differ."""
    rounds = []
    pool._hire = lambda: None  # nobody takes the place of the one who is set aside
    for encodings in populations:
        everybody(pool)
        here, aside = seconds(oracle.accuracy, encodings), pool.idle.pop()
        one = seconds(pool.accuracy, encodings)
        pool.idle.append(aside)
        rounds.append({"here": here, "one": one, "two": seconds(pool.accuracy, encodings)})
        if (pool.accuracy(encodings) != oracle.accuracy(encodings)).any():
            raise RuntimeError("the pool's scores are not the oracle's")
    ratios = sorted(r["one"] / r["two"] for r in rounds)
    medians = {f"{side}_seconds": median(r[side] for r in rounds) for side in rounds[0]}
    return {"rounds": rounds, **medians, "ratio": median(ratios), "ratio_min": ratios[0], "ratio_max": ratios[-1]}


def overhead(pool: Pool, net: Supernet, space: SearchSpace, data: Data, populations: Sequence[np.ndarray]) -> dict:
    """Seconds per population where next to nothing is to be computed: one image."""
    pool.send(CONFIG, space, net, data._replace(score=data.score.take(np.arange(1))), 0, None)
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
        wait, start = begin(cluster.AUTO, "cpu"), time.perf_counter()
        net, _ = train.train(config, space, data)
    figures = {"training_seconds": time.perf_counter() - start, "waited_seconds": seconds(wait)}
    pool = wait().send(CONFIG, space, net, data, RECALIBRATE, None)
    populations = [space.sample(rng, POPULATION) for rng in map(np.random.default_rng, range(rounds))]
    figures |= throughput(pool, train.make_oracle(CONFIG, net, data, RECALIBRATE), populations)
    figures |= {"load": os.getloadavg()[0], **overhead(pool, net, space, data, populations)}
    print(record.save("cluster", figures))


if __name__ == "__main__":
    main()
