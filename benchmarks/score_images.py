"""How many held-out images does a supernet's order need, by accuracy and by loss? Of strictly fair supernets.

    python benchmarks/score_images.py --tables DIR      after benchmarks/ranking.py --scale medium

Shapes: N networks, B images.
"""

from pathlib import Path

import numpy as np
import record
import torch
from ranking import BENCHES

from results import rank, ranking, truth
from results.judged import Judged, Reading
from supernet import train
from supernet.compute import Compute
from supernet.oracle import fresh_statistics

NUMBERS, DRAWS = (100, 250, 500, 1000), 20  # images, and how often so many are drawn


def told(judged: Judged, encodings: np.ndarray) -> dict[str, np.ndarray]:
    """(N, B) each: whether an image is answered rightly, and the logarithm of what its true class is given."""
    net = train.restore(judged.config, judged.space, judged.data.mean.device, judged.folder / train.WEIGHTS)
    oracle = train.make_oracle(judged.config, net, judged.data, judged.recalibrate)
    right, given = [], []
    for model in (net.path(encoding) for encoding in encodings):
        with fresh_statistics(model, oracle.calibration), torch.inference_mode():
            logits = model(oracle.prepare(oracle.images)).log_softmax(-1)
        right.append((logits.argmax(-1) == oracle.labels).numpy())
        given.append(logits.gather(1, oracle.labels[:, None])[:, 0].numpy())
    return {"accuracy": np.array(right), "loss": np.array(given)}


def taus(values: np.ndarray, true: np.ndarray) -> dict[int, float]:
    """By the number of images, drawn from all of (N, B): tau of the networks' means, in the mean over draws."""
    rng, found = np.random.default_rng(0), {}
    for number in NUMBERS:
        draws = [rng.permutation(values.shape[1])[:number] for _ in range(DRAWS)]
        found[number] = float(np.mean([ranking.kendall(values[:, some].mean(1), true) for some in draws]))
    return found


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--tables", required=True, help="folder with the published tables")
    parser.add_argument("--scale", default="medium")
    arguments, figures = parser.parse_args(), {}
    for space, bench in BENCHES.items():
        for folder in sorted((record.ROOT / "runs" / f"ranking-{arguments.scale}" / space).glob("strict-*")):
            judged = Judged(str(folder), Reading(), Compute(threads=1))
            networks = bench.scales[arguments.scale][1]
            encodings = rank.sample(judged.space, networks, np.random.default_rng(0))
            true = truth.from_table(str(Path(arguments.tables) / bench.table), judged.space)(encodings)
            found = {way: taus(values, true) for way, values in told(judged, encodings).items()}
            figures.setdefault(space, {})[folder.name] = found
            print(space, folder.name, found, flush=True)
    print(record.save("score_images", {"scale": arguments.scale, "draws": DRAWS, "spaces": figures}))


if __name__ == "__main__":
    main()
