"""Picks networks from a run's front.

A is the most accurate. B is the most accurate within the budget half-way between A's multiply-adds and the cheapest
on the front, C within half of what is then left: they fall in cost as FairNAS-A/B/C do (arXiv 1907.01845, table 2).
The knee trades all objectives best. Limits add the most accurate one within them, and any encoding can be picked by
hand. Each pick gets a model card, RUN/picks/NAME.json.

    python results/pick.py RUN
    python results/pick.py RUN --max-madds 350M --name small
    python results/pick.py RUN --encoding "20 2350 0551 3113 3535 4" --name mine
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import search_spaces
from evo.archive import Archive
from evo.objectives import MEASURES, NOUNS, Limit, Objective, columns, minimised, parse_limits, violation
from results import card, front
from search_spaces import SearchSpace
from search_spaces.cost import COLUMNS
from supernet import command, run_folder
from supernet.command import Run, Text
from supernet.files import save_json

STANDARD = ("A", "B", "C", "knee")


@dataclass(frozen=True)
class Config:
    """What to pick."""

    run: Run
    """Run folder."""
    max_madds: Text = None
    """At most so many multiply-adds, for example 350M."""
    max_params: Text = None
    """At most so many parameters, for example 5M."""
    max_latency: Text = None
    """At most so many milliseconds, for example 12, where the search has measured them."""
    min_accuracy: Text = None
    """At least this accuracy, for example 0.9."""
    encoding: Text = None
    """Pick this architecture, by block names or option numbers, whether it was scored or not."""
    name: Text = None
    """What to call the pick made under limits (default: limited) or by hand (default: own)."""

    def __post_init__(self):
        if self.name is not None and (not re.fullmatch(front.NAME, self.name) or self.name in STANDARD):
            raise ValueError(f"--name must be letters, digits, - or _, and not A, B, C or knee; got {self.name!r}")
        if self.encoding is not None and self.limits():
            raise ValueError("--encoding picks by hand: leave out the limits")
        if self.name is not None and self.encoding is None and not self.limits():
            raise ValueError("--name is for a pick under limits or by --encoding: give one of them")

    def limits(self) -> tuple[Limit, ...]:
        flags = ("max_madds", "max_params", "max_latency", "min_accuracy")
        return parse_limits(**{flag: getattr(self, flag) for flag in flags})


def rows(points: Sequence[front.Point], names: Sequence[str] = MEASURES) -> np.ndarray:
    """(N, C): what the points say of `names`."""
    return np.array([[p[name] for name in names] for p in points], dtype=float).reshape(-1, len(names))


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
    names = [objective.name for objective in objectives]
    values = minimised(rows(points, names), objectives, names)
    span = np.ptp(values, axis=0)
    scaled = (values - values.min(0)) / np.where(span > 0, span, 1.0)
    return {**points[int(scaled.sum(1).argmin())], "why": "the knee of the front: the best trade of all objectives"}


def standard(points: Sequence[front.Point], objectives: Sequence[Objective]) -> dict[str, front.Point]:
    """A, B, C and the knee; nothing of an empty front."""
    return abc(points) | ({"knee": knee(points, objectives)} if points else {})


def of(content: dict) -> dict[str, front.Point]:
    """The standard picks of what front.json holds, and those that it names besides."""
    objectives = [Objective(*item) for item in content["objectives"].items()]
    return content["picks"] | standard(content["front"], objectives)


def within(points: Sequence[front.Point], limits: Sequence[Limit]) -> front.Point:
    """The most accurate point within the limits; ValueError says which comes nearest if none is, or what is unknown."""
    names = columns((), limits)
    for name in names:
        if any(name not in point for point in points):
            raise ValueError(f"the search has not measured {name}: it is no objective or limit of it")
    missed = violation(rows(points, names), limits, names)
    wanted = ", ".join(f"{limit.side}-{limit.name} {limit.bound:,.10g}" for limit in limits)
    if not len(missed) or missed.min() > 0:
        near = f": the nearest has {_figures(points[int(missed.argmin())], names)}" if len(missed) else ""
        raise ValueError(f"no point of the front is within {wanted}{near}")
    return {**points[int(np.flatnonzero(missed == 0)[0])], "why": f"most accurate within {wanted}"}


def _figures(point: front.Point, names: Sequence[str]) -> str:
    return ", ".join(f"{point[name]:,.10g} {NOUNS.get(name, name)}" for name in names)


def by_hand(space: SearchSpace, encoding: Sequence[int], archive: Archive | None) -> front.Point:
    """Any architecture as a point: with what the search knows of it, else with its costs alone."""
    (encoding,) = space.canonical([encoding]).tolist()
    line = archive.find(encoding) if archive else None
    point = {
        "encoding": encoding,
        "accuracy": None,
        **dict(zip(COLUMNS, space.cost([encoding])[0].tolist(), strict=True)),
    }
    if line is None:
        return {**point, "proposer": "hand", "why": "chosen by hand; the search has not scored it"}
    return {**point, **{name: line[name] for name in (*archive.measures, "proposer")}, "why": "chosen by hand"}


def main(config: Config) -> None:
    folder = Path(config.run)
    content = front.load(folder)
    space = search_spaces.load(content["space"], **content["space_options"])
    path = folder / "archive.sqlite"
    archive = Archive(path) if path.exists() else None
    content["picks"] = picks = of(content)
    new = config.name or ("limited" if config.encoding is None else "own")
    if config.limits():
        picks[new] = within(content["front"], config.limits())
        picks[new]["why"] += f", of {content['evaluations']:,} scored"  # more may be, and it stays
    if config.encoding is not None:
        picks[new] = by_hand(space, space.parse(config.encoding), archive)
    if not picks:
        raise ValueError(f"the front of {folder} is empty: no architecture met the limits; --encoding picks any")
    save_json(folder / "front.json", content)
    (folder / "picks").mkdir(exist_ok=True)
    for name, pick in picks.items():
        save_json(folder / "picks" / f"{name}.json", card.make(folder, name, pick, space, archive))
    saved = run_folder.require(folder)
    front.show(space, list(picks.values()), list(picks), f"Picks of {folder}", front.called(saved))
    for name, pick in picks.items():
        print(f"{name}: {pick['why']}\n   {space.describe(pick['encoding'])}")
    print(f"\nModel cards: {folder / 'picks'}")
    images = " --data folder --data-root DIR" if "table" in saved["data"] else ""
    flags = f"{shlex.quote(str(folder))} --pick {new if new in picks else 'A'}{images}"
    print(f"Train one from scratch: python results/train.py {flags}")


if __name__ == "__main__":
    command.call(main, Config, __doc__)
