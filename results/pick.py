"""Picks networks from a run's front.

A is the most accurate. B is the most accurate within the budget half-way between A's multiply-adds and the cheapest
on the front, C within half of what is then left: they fall in cost as FairNAS-A/B/C do (arXiv 1907.01845, table 2).
Limits add the most accurate one within them.

    python results/pick.py RUN
    python results/pick.py RUN --max-madds 350M --name small
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import search_spaces
from evo.objectives import MEASURES, Limit, Objective, minimised, parse_limits, violation
from results import front
from supernet import command
from supernet.checkpoint import save_json
from supernet.command import Run, Text


@dataclass(frozen=True)
class Config:
    """What to pick."""

    run: Run
    """Run folder."""
    max_madds: Text = None
    """At most so many multiply-adds, for example 350M."""
    max_params: Text = None
    """At most so many parameters, for example 5M."""
    min_accuracy: Text = None
    """At least this accuracy, for example 0.9."""
    name: str = "limited"
    """What to call the pick made under limits."""

    def __post_init__(self):
        if not re.fullmatch(r"\w[\w-]*", self.name) or self.name in ("A", "B", "C"):
            raise ValueError(f"--name must be letters, digits, - or _, and not A, B or C; got {self.name!r}")


def rows(points: Sequence[front.Point]) -> np.ndarray:
    """(N, 3), MEASURES."""
    return np.array([[p[name] for name in MEASURES] for p in points], dtype=float).reshape(-1, len(MEASURES))


def abc(points: Sequence[front.Point]) -> dict[str, front.Point]:
    """The picks A, B and C of a front (most accurate first); equal ones where the front has too few points."""
    if not points:
        return {}
    picks = {"A": {**points[0], "why": "most accurate"}}
    cheapest, last = min(p["madds"] for p in points), points[0]["madds"]
    for name in "BC":
        budget = (cheapest + last) // 2
        best = next(p for p in points if p["madds"] <= budget)
        picks[name] = {**best, "why": f"most accurate up to {budget:,} multiply-adds"}
        last = best["madds"]
    return picks


def knee(points: Sequence[front.Point], objectives: Sequence[Objective]) -> front.Point:
    """The point farthest below the plane through the front's extremes, each objective scaled to its range there.

    (Das, On characterizing the "knee" of the Pareto curve, 1999.)
    """
    values = minimised(rows(points), objectives)
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(0)) / np.where(span > 0, span, 1.0)
    return {**points[int(scaled.sum(1).argmin())], "why": "knee: the best trade of all objectives against each other"}


def standard(points: Sequence[front.Point], objectives: Sequence[Objective]) -> dict[str, front.Point]:
    """A, B, C and the knee; nothing of an empty front."""
    return abc(points) | ({"knee": knee(points, objectives)} if points else {})


def within(points: Sequence[front.Point], limits: Sequence[Limit]) -> front.Point:
    """The most accurate point within the limits; ValueError says which comes nearest if none is."""
    missed = violation(rows(points), limits)
    wanted = ", ".join(f"{limit.side}-{limit.name} {limit.bound:,.10g}" for limit in limits)
    if not len(missed) or missed.min() > 0:
        near = f": the nearest has {points[int(missed.argmin())]}" if len(missed) else ""
        raise ValueError(f"no point of the front is within {wanted}{near}")
    return {**points[int(np.flatnonzero(missed == 0)[0])], "why": f"most accurate within {wanted}"}


def main(config: Config) -> None:
    folder = Path(config.run)
    content = front.load(folder)
    limits = parse_limits(max_madds=config.max_madds, max_params=config.max_params, min_accuracy=config.min_accuracy)
    content["picks"] |= abc(content["front"])
    if limits:
        content["picks"][config.name] = within(content["front"], limits)
    save_json(folder / "front.json", content)
    space = search_spaces.load(content["space"], **content["space_options"])
    picks = content["picks"]
    front.show(space, list(picks.values()), list(picks), f"Picks of {folder}")
    for name, pick in picks.items():
        print(f"{name}: {pick['why']}\n   {space.describe(pick['encoding'])}")
    print(f"\nTrain one from scratch: python results/train.py {folder} --pick {next(reversed(picks), 'A')}")


if __name__ == "__main__":
    command.call(main, Config, __doc__)
