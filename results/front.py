"""The Pareto front of a run: front.json, its hypervolume, and how it is printed.

front.json: {"format": 1, "space": name, "space_options": the rest of what `search_spaces.load` takes,
"objectives": {name: "max" | "min"}, "limits": {"max_madds": 350000000.0, ...}, "evaluations": n,
"hypervolume": 0..1, "front": [point, ...], "picks": {"A": point, ...}}; a point is {"encoding": [...], "accuracy": ...,
"madds": ..., "params": ..., "proposer": ...} and the other objectives, and a pick has also "why". With an objective of
the user's, whose range nobody knows, the hypervolume is measured by the box of what was scored first, and may be more
than 1.
"""

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from pymoo.indicators.hv import HV
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evo.archive import Generation
from evo.mending import Mending
from evo.objectives import MEASURES, Costs, Limit, Objective, columns, minimised, nouns, scale, violation, word
from evo.survival import nondominated, versus
from search_spaces import SearchSpace
from search_spaces.cost import COLUMNS
from supernet.files import load_json

Point = dict
NAME = r"[A-Za-z0-9][\w-]{,49}"  # of a pick: it becomes a file's name
MOST = 20  # rows of a table
WIDE = 13  # letters of a column's head
MIN_NAME = 3  # of a proposer's, in a narrow table
KEYS = {"space", "space_options", "objectives", "front", "picks"}  # what its readers rely on


def front(
    found: Generation, objectives: Sequence[Objective], limits: Sequence[Limit], names: Sequence[str] = MEASURES
) -> list[Point]:
    """The non-dominated architectures within the limits, the most accurate first; `names` are those of the rows."""
    feasible = np.flatnonzero(violation(found.rows, limits, names) == 0)
    best = feasible[nondominated(minimised(found.rows[feasible], objectives, names))]
    best = best[np.lexsort((found.rows[best, 1], -found.rows[best, 0]))]
    return [
        {
            "encoding": found.encodings[i].tolist(),
            **{
                name: int(value) if name in COLUMNS else float(value)
                for name, value in zip(names, found.rows[i], strict=True)
            },
            "proposer": found.proposers[i],
        }
        for i in best
    ]


def hypervolume(objectives: np.ndarray, best: np.ndarray, worst: np.ndarray) -> float:
    """Share of the box between the space's best and worst values (M,) that the points (N, M) dominate, 0..1."""
    scaled = (objectives - best) / np.where(worst > best, worst - best, 1.0)
    return float(HV(ref_point=np.ones(len(best)))(scaled)) if len(objectives) else 0.0


class Tracker:
    """The front of all rows added so far, as the search sees it: its hypervolume and the best accuracy.

    An objective whose best and worst nobody knows is measured by those of the rows that are added first.
    """

    def __init__(self, costs: Costs, objectives: Sequence[Objective], limits: Sequence[Limit]):
        self.objectives, self.limits = objectives, limits
        self.names = columns(objectives, limits)
        self.best, self.worst = scale(costs, objectives)
        self.points = np.empty((0, len(objectives)))
        self.accuracy = 0.0

    def add(self, rows: np.ndarray) -> None:
        """(n, C) of `columns(objectives, limits)`; rows that miss a limit do not count."""
        values = minimised(rows, self.objectives, self.names)
        self.best = np.where(np.isnan(self.best), values.min(0), self.best)
        self.worst = np.where(np.isnan(self.worst), values.max(0), self.worst)
        feasible = violation(rows, self.limits, self.names) == 0
        new = values[feasible][nondominated(values[feasible])]
        beats, beaten = versus(self.points, new)
        self.points = np.concatenate([self.points[~beaten.any(1)], new[~beats.any(0)]])
        self.accuracy = max(self.accuracy, *rows[feasible, 0], 0.0)

    def hypervolume(self) -> float:
        return hypervolume(self.points, self.best, self.worst)


def load(folder: Path) -> dict:
    """front.json as documented above; ValueError if there is none yet or it cannot be read."""
    path, again = folder / "front.json", f"python evo/search.py --run {shlex.quote(str(folder))}"
    if not path.exists():
        raise ValueError(f"{folder} has no front.json yet: finish the search with {again}")
    mend = f"{again} writes it again"
    content = load_json(path, KEYS, mend)
    if not (isinstance(content["front"], list) and isinstance(content["picks"], dict)):
        raise ValueError(f"{path} is damaged: its front must be a list and its picks an object; {mend}")
    for name, point in [*enumerate(content["front"]), *content["picks"].items()]:
        if not _is_point(point) or (isinstance(name, str) and not re.fullmatch(NAME, name)):
            raise ValueError(f"{path} is damaged: its point {name!r} is none; {mend}")
    return content


def _is_point(point) -> bool:
    """Whether it has all that a point needs; a pick by hand need not have been scored."""
    if not isinstance(point, dict) or not isinstance(point.get("encoding"), list):
        return False
    numbers = [point.get("accuracy") or 0.0, *(point.get(name) for name in MEASURES[1:])]
    real = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
    whole = all(type(option) is int and option >= 0 for option in point["encoding"])
    return bool(point["encoding"]) and real and whole and isinstance(point.get("proposer"), str)


def called(saved: dict) -> str:
    """What the scores of the run with this settings.json are called, see `word`; of a damaged one accuracies."""
    try:
        search = saved["settings"]["search"]
        mended = any(search.get(field.name) for field in fields(Mending))
        return word(bool(search.get("by_loss")), mended, bool(search.get("correct")))
    except (KeyError, TypeError, AttributeError):
        return "accuracy"


def _number(value: float | None, name: str) -> str:
    """A pick by hand need not have been measured."""
    if value is None:
        return "not scored"
    return f"{value:,}" if name in COLUMNS else f"{value:.4g}"


def show(
    space: SearchSpace, points: Sequence[Point], names: Sequence[str], title: str, score: str = "accuracy"
) -> None:
    """Prints points as a table that fits 80 columns, for which long names of proposers are cut; of more than MOST,
    evenly spread ones.
    """
    kept = np.unique(np.linspace(0, len(points) - 1, min(MOST, len(points))).astype(int))
    rest = f", {len(kept)} of {len(points)} shown" if len(kept) < len(points) else ""
    print(title + rest)
    table = Table(box=None, pad_edge=False)
    measured = [name for name in points[0] if name not in ("encoding", "accuracy", "proposer", "why")]
    called = nouns(score)
    for column in ("", called["accuracy"], *(called.get(name, name)[:WIDE] for name in measured)):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("proposer", min_width=MIN_NAME)
    table.add_column("encoding", no_wrap=True)
    for i in kept:
        point = points[i]
        costs = (_number(point.get(name), name) for name in measured)
        accuracy = "not scored" if point["accuracy"] is None else f"{point['accuracy']:.4f}"
        by = Text(point["proposer"], no_wrap=True, overflow="ellipsis")
        table.add_row(names[i] if names else "", accuracy, *costs, by, space.code(point["encoding"]))
    Console(width=max(80, Console().width)).print(table)
