"""Are the picks better than chance at the same cost? A, B, C against random networks of equal multiply-adds.

python benchmarks/picks.py RUN [--name digits] [-- FLAGS]

The random networks become picks of RUN too, named random-*; all are trained stand-alone there, with the same recipe and
the same seeds. Called again it goes on where it was. FLAGS go to results/train.py.
"""

import argparse
import json
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import record

import search_spaces
from results import front, pick
from search_spaces import SearchSpace
from supernet.files import save_json

PICKS = ("A", "B", "C")
NEAR = 0.01  # of the pick's multiply-adds
WALKS, STEPS = 10, 2000  # of each rival that is wanted; changes of a walk


def rivals(space: SearchSpace, point: dict, n: int, rng: np.random.Generator) -> np.ndarray:
    """n distinct random encodings (n, L) whose multiply-adds are within NEAR of the pick's, or else the nearest.

    Random networks of the whole space hardly ever cost as little as a good pick. So each walks: one decision at a time
    is drawn anew, and kept if that brings it nearer or leaves it within NEAR, where all are equally likely in the end.
    """
    encodings = space.sample(rng, WALKS * n)
    far = _far(space, encodings, point)
    for _ in range(STEPS):
        changed, walk = encodings.copy(), np.arange(len(encodings))
        decision = rng.integers(len(space.choices), size=len(walk))
        changed[walk, decision] = rng.integers(np.array(space.choices)[decision])
        distance = _far(space, changed, point)
        kept = distance <= np.maximum(far, NEAR)
        encodings[kept], far[kept] = changed[kept], distance[kept]
    found = np.unique(space.canonical(encodings), axis=0)
    found = rng.permutation(found[(found != point["encoding"]).any(1)])
    return found[np.argsort(np.maximum(_far(space, found, point), NEAR), kind="stable")[:n]]


def _far(space: SearchSpace, encodings: np.ndarray, point: dict) -> np.ndarray:
    return np.abs(space.cost(encodings)[:, 0] / point["madds"] - 1)


def choose(run: Path, n: int) -> dict[str, list[str]]:
    """Gives each of PICKS n random rivals, which become picks of the run; their names."""
    content = front.load(run)
    space = search_spaces.load(content["space"], **content["space_options"])
    names = {}
    for k, own in enumerate(PICKS):
        others = rivals(space, content["picks"][own], n, np.random.default_rng(k))
        names[own] = [f"random-{own}-{i}" for i in range(n)]
        for name, encoding in zip(names[own], others, strict=True):
            why = f"random, of the multiply-adds of {own}"
            content["picks"][name] = pick.by_hand(space, encoding, None) | {"proposer": "chance", "why": why}
    save_json(run / "front.json", content)
    return names


def training(run: Path, chosen: dict[str, list[str]], seeds: list[str], flags: list[str]) -> list[str]:
    """The script that trains them all, and its flags."""
    names = [name for own, others in chosen.items() for name in (own, *others)]
    return ["results/train.py", str(run), "--pick", *names, "--seed", *seeds, *flags]


def compare(run: Path, chosen: dict[str, list[str]], seeds: list[str]) -> dict[str, dict]:
    """Figures of each pick, once all are trained, with those of its rivals under "random"."""
    return {
        own: _figures(run, own, seeds) | {"random": [_figures(run, name, seeds) for name in others]}
        for own, others in chosen.items()
    }


def _figures(run: Path, name: str, seeds: list[str]) -> dict:
    """Test accuracy over the seeds."""
    files = [run / "trained" / f"{name}{'' if seed == '0' else f'-seed{seed}'}.json" for seed in seeds]
    cards = [json.loads(file.read_text()) for file in files]
    found = [card["test_accuracy"] for card in cards]
    spread = stdev(found) if len(found) > 1 else 0.0
    return {"test_accuracy": mean(found), "spread": spread, "seeds": found, "madds": cards[0]["madds"]}


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags before --, and those after it."""
    parser = record.parser(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", help="of the record; default: the folder's")
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2"])
    parser.add_argument("--random", type=int, default=3, help="networks per pick")
    own = list(takewhile(lambda word: word != "--", argv))
    return parser.parse_args(own), argv[len(own) + 1 :]


def main() -> None:
    given, flags = parse(sys.argv[1:])
    chosen = choose(given.run, given.random)
    command = training(given.run, chosen, given.seeds, flags)
    subprocess.run([sys.executable, *command], cwd=record.ROOT, check=True)
    print(
        record.save(
            f"picks-{given.name or given.run.resolve().name}", {"picks": compare(given.run, chosen, given.seeds)}
        )
    )


if __name__ == "__main__":
    main()
