"""A run folder as far as it can be read, running, finished or damaged: what cannot be is named in `problems`.

Shapes: N architectures scored, L decisions, C measures of each.
"""

import json
import operator
import shlex
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import search_spaces
from evo import archive
from evo.archive import Generation
from evo.objectives import DIRECTIONS, MEASURES, Limit, Objective, columns, nouns, parse_limits, parse_objectives
from results import front, pick
from search_spaces import SearchSpace
from supernet import checkpoint, files, run_folder
from supernet.files import Damaged

if TYPE_CHECKING:
    from results.relaxed import Relaxed

OPTIONS = 1000  # more than any decision has, where the space is unknown
READABLE = ("settings.json", "front.json", "archive.sqlite")  # one of them makes a folder a run


class Ranking(NamedTuple):
    """Of ranking.json: `tau` holds the value, low and high end of every order; `points` (N, 2) truth and score."""

    facts: dict[str, str | float]
    tau: dict[str, list[float]]
    points: np.ndarray | None


class Run(NamedTuple):
    """`settings` and `front` are the two JSON files, empty where there is none."""

    folder: Path
    settings: dict
    front: dict
    space: SearchSpace | None
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...]
    names: tuple[str, ...]  # of the measures
    scored: Generation
    supernet: list[dict]  # the supernet's figures, epoch by epoch
    trained: dict[str, dict]  # cards of the stand-alone networks
    relaxations: dict[str, "Relaxed"]
    ranking: Ranking
    problems: list[str]

    @property
    def nouns(self) -> dict[str, str]:
        """What people call the measures."""
        return nouns(front.called(self.settings))

    @property
    def finished(self) -> bool:
        """Whether the search has written its front, and scored nothing since."""
        return self.front.get("evaluations", -1) == len(self.scored.rows)

    def points(self) -> list[front.Point]:
        """The front of what was scored, the most accurate first."""
        return front.front(self.scored, self.objectives, self.limits, self.names)

    def picks(self) -> dict[str, front.Point]:
        """A, B, C, the knee, and what front.json names besides, as far as it is of this space."""
        given = self.front.get("picks", {})
        kept = {name: point for name, point in given.items() if _fits(point["encoding"], self.space)}
        return kept | pick.standard(self.points(), self.objectives)  # of an unfinished search the file's are old


def read(folder: Path) -> Run:
    """ValueError only if `folder` is no run at all."""
    if not any((folder / name).exists() for name in READABLE):
        raise ValueError(f"{folder} is no run folder: it has no settings.json (python evo/search.py makes one)")
    problems: list[str] = []

    def attempt(make: Callable, otherwise):
        try:
            return make()
        except (ValueError, TypeError, LookupError, AttributeError, OSError, sqlite3.Error) as error:
            problems.append(" ".join(str(error).split()) or repr(error))
            return otherwise

    settings = attempt(lambda: run_folder.read(folder), {})
    content = attempt(lambda: front.load(folder), {}) if (folder / "front.json").exists() else {}
    space = attempt(lambda: _space(settings, content), None)
    search = _part(_part(settings, "settings"), "search")
    objectives = attempt(lambda: _objectives(search, content), parse_objectives(MEASURES))
    limits = attempt(lambda: _limits(search or _part(content, "limits")), ())
    names = columns(objectives, limits)
    scored = attempt(lambda: _scored(folder, content, space, names, problems), _nothing(space, names))
    supernet = attempt(lambda: _history(folder / "supernet.safetensors", "supernet"), [])
    cards = {p.stem: attempt(lambda p=p: _card(p), {}) for p in sorted((folder / "trained").glob("*.json"))}
    relaxations = attempt(lambda: _relaxations(folder, search, space), {})
    ranking = attempt(lambda: _ranking(folder / "ranking.json"), Ranking({}, {}, None))
    parts = (space, objectives, limits, names, scored, supernet, cards, relaxations, ranking)
    return Run(folder, settings, content, *parts, problems)


def _part(content: dict, name: str) -> dict:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _space(settings: dict, content: dict) -> SearchSpace | None:
    spec = dict(settings.get("space") or {})
    if not spec and content:
        spec = {"name": content["space"], **content["space_options"]}
    return search_spaces.load(spec.pop("name"), **spec) if spec else None


def _objectives(search: dict, content: dict) -> tuple[Objective, ...]:
    if "objectives" in search:
        return parse_objectives(search["objectives"])
    given = content.get("objectives") or dict.fromkeys(MEASURES, "")
    return parse_objectives([f"{name}:{direction}" for name, direction in given.items()])


def _limits(flags: dict) -> tuple[Limit, ...]:
    """Of all flags, those called SIDE_MEASURE."""
    known = [name for name in flags if name.split("_", 1)[0] in ("max", "min") and name.split("_", 1)[-1] in DIRECTIONS]
    return parse_limits(**{name: None if flags[name] is None else str(flags[name]) for name in known})


def _nothing(space: SearchSpace | None, names: Sequence[str]) -> Generation:
    return Generation(np.empty((0, len(space.choices) if space else 0), int), np.empty((0, len(names))), [])


def _scored(
    folder: Path, content: dict, space: SearchSpace | None, names: Sequence[str], problems: list[str]
) -> Generation:
    """The archive in the order scored; the points of front.json where there is none of it."""
    path = folder / "archive.sqlite"
    lines = _lines(path, names, problems) if path.exists() else []
    if not lines:
        points = content.get("front", [])
        lines = [(json.dumps(p["encoding"]), p["proposer"], *(p[name] for name in names)) for p in points]
    good = [line for line in map(_checked, lines) if line]
    length = len(good[0][0]) if good else 0
    good = [line for line in good if len(line[0]) == length and _fits(line[0], space)]
    if len(good) < len(lines):
        problems.append(f"{len(lines) - len(good)} of {len(lines)} scored rows are left out: not of this space")
    if not good:
        return _nothing(space, names)
    encodings, proposers, *rows = zip(*good, strict=True)
    return Generation(np.array(encodings, dtype=np.int64), np.array(rows, dtype=np.float64).T, list(proposers))


def _fits(encoding: tuple[int, ...], space: SearchSpace | None) -> bool:
    choices = [OPTIONS] * len(encoding) if space is None else space.choices
    return len(encoding) == len(choices) and all(map(operator.lt, encoding, choices))


def _lines(path: Path, names: Sequence[str], problems: list[str]) -> list[tuple]:
    """All rows up to the first that SQLite cannot read."""
    lines = []
    try:
        with closing(archive.connect(path)) as db:
            db.execute("PRAGMA query_only = 1")
            try:
                archive.check(db, path)
            except Damaged as error:
                problems.append(str(error))
            wanted = ", ".join(f'"{name}"' for name in ("encoding", "proposer", *names))
            for line in db.execute(f"SELECT {wanted} FROM evaluations ORDER BY id"):
                lines.append(line)
    except sqlite3.Error as error:
        problems.append(f"{path} is damaged ({error}): {len(lines)} rows of it could be read")
    return lines


def _checked(line: tuple) -> tuple | None:
    """(encoding, proposer, *measures) if the row can be one."""
    try:
        encoding = tuple(json.loads(line[0]))
        measures = [float(value) for value in line[2:]]
    except (ValueError, TypeError):
        return None
    whole = encoding and all(type(option) is int and option >= 0 for option in encoding)
    return (encoding, str(line[1]), *measures) if whole and np.isfinite(measures).all() else None


def _history(path: Path, kind: str) -> list[dict]:
    """The figures per epoch that a checkpoint was saved with; none if it does not exist."""
    history = checkpoint.meta(path, kind).get("history", []) if path.exists() else []
    return [{name: float(row[name]) for name in ("loss", "accuracy")} for row in history]


def _card(path: Path) -> dict:
    card = files.load_json(path, {"encoding"}, "python results/train.py writes it again")
    return {**card, "history": _history(path.with_name(f"{path.stem}.last.safetensors"), "stand-alone")}


def _relaxations(folder: Path, search: dict, space: SearchSpace | None) -> dict:
    if not search.get("proposer") or space is None:
        return {}
    from results import relaxed  # most runs have none

    return relaxed.read_all(folder, search, space)


def _ranking(path: Path) -> Ranking:
    content = files.load_json(path, set(), "delete it to leave it out") if path.exists() else {}
    facts = {
        name: value for name, value in content.items() if isinstance(value, int | float | str) and name != "format"
    }
    tau = {name: [float(number) for number in values] for name, values in content.get("tau", {}).items()}
    points = np.array([content[name] for name in ("truth", "score") if name in content], dtype=float).T
    if any(len(values) != 3 for values in tau.values()) or (points.size and points.shape[1:] != (2,)):
        raise ValueError(f"{path} is damaged: python results/rank.py {shlex.quote(str(path.parent))} writes it again")
    return Ranking(facts, tau, points if points.size else None)
