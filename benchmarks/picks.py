"""Are the picks better than chance at the same cost? A, B, C against random networks of equal multiply-adds.

python benchmarks/picks.py RUN --name digits

All are trained stand-alone in RUN, with the same recipe and the same seeds; called again it goes on where it was.
What follows -- goes to results/train.py.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import record

import search_spaces
from results import front
from search_spaces import SearchSpace

PICKS = ("A", "B", "C")
NEAR = 0.01  # of the pick's multiply-adds
TRIES = 1_000_000  # random architectures looked at


def rivals(space: SearchSpace, madds: int, n: int, rng: np.random.Generator) -> list[str]:
    """n distinct random architectures whose multiply-adds are the nearest to `madds`; ValueError if one is too far."""
    encodings = np.unique(space.sample(rng, min(TRIES, 20 * space.size)), axis=0)
    far = np.abs(space.cost(encodings)[:, 0] / madds - 1)
    near = rng.permutation(np.flatnonzero(far <= NEAR))[:n]
    if len(near) < n:
        raise ValueError(f"of {len(encodings)} random architectures {len(near)} are within {NEAR:.0%} of {madds:,}")
    return [space.code(encodings[i]) for i in near]


def train(run: Path, name: str, seeds: list[str], flags: list[str]) -> list[dict]:
    """The cards of one architecture, seed by seed."""
    subprocess.run(
        [sys.executable, "results/train.py", str(run), *flags, "--seed", *seeds], cwd=record.ROOT, check=True
    )
    names = [name + (f"-seed{seed}" if seed != "0" else "") for seed in seeds]
    return [json.loads((run / "trained" / f"{name}.json").read_text()) for name in names]


def figures(cards: list[dict]) -> dict:
    found = [card["test_accuracy"] for card in cards]
    spread = stdev(found) if len(found) > 1 else 0.0
    return {"test_accuracy": mean(found), "spread": spread, "seeds": found, "madds": cards[0]["madds"]}


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2"])
    parser.add_argument("--random", type=int, default=3, help="networks per pick")
    parser.add_argument("flags", nargs="*")
    arguments = parser.parse_args()
    content = front.load(arguments.run)
    space = search_spaces.load(content["space"], **content["space_options"])
    found = {}
    for k, pick in enumerate(PICKS):
        point = content["picks"][pick]
        others = rivals(space, point["madds"], arguments.random, np.random.default_rng(k))
        own = train(arguments.run, pick, arguments.seeds, ["--pick", pick, *arguments.flags])
        found[pick] = figures(own) | {"random": []}
        for i, code in enumerate(others):
            name = f"random-{pick}-{i}"
            flags = ["--encoding", code, "--name", name, *arguments.flags]
            found[pick]["random"].append(figures(train(arguments.run, name, arguments.seeds, flags)))
    print(record.save(f"picks-{arguments.name}", {"picks": found}))


if __name__ == "__main__":
    main()
