"""What is optimised, in which direction, under which limits.

Everything known of an architecture is one row: MEASURES, then latency and functions of the user's if they are asked
for. Shapes: N architectures, C columns of a row, M objectives.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from evo.latency import LatencyTable
from search_spaces import SearchSpace
from search_spaces.cost import COLUMNS

MEASURES = ("accuracy", *COLUMNS)
LATENCY = "latency"
DIRECTIONS = {"accuracy": "max", "madds": "min", "params": "min", LATENCY: "min"}
FIXED = ("id", "encoding", "proposer", "generation", "at")  # an archive's columns; between them stand the measures
TAKEN = (*FIXED, "rowid", "oid", "why")  # names in SQLite, and of a pick's file
NOUNS = {"madds": "multiply-adds", "params": "params", LATENCY: "ms"}
MOST = 5  # objectives
DIGITS = 1e-7  # relative, of accuracies: those of float32
UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}


def word(by_loss: bool, mended: bool, corrected: bool) -> str:
    """What people call the score of an architecture that was asked for so: the supernet's accuracy or another."""
    return "corrected" if corrected else "mended" if mended else "likelihood" if by_loss else "accuracy"


def nouns(score: str = "accuracy") -> dict[str, str]:
    """What people call the measures, and the `score`, see `word`."""
    return {"accuracy": score, **NOUNS}


class Objective(NamedTuple):
    name: str
    direction: str  # min or max
    file: str = ""  # where the user's own function of that name is


class Limit(NamedTuple):
    name: str
    side: str  # "max": at most `bound`; "min": at least
    bound: float


def parse_objectives(words: Sequence[str]) -> tuple[Objective, ...]:
    """'accuracy', 'params:max', 'FILE.py::FUNCTION:max', ...

    ValueError for an unknown name or direction, a repetition, none at all or more than five.
    """
    found = []
    for word in words:
        file, _, rest = word.rpartition("::")
        name, _, direction = rest.partition(":")
        if not file and name not in DIRECTIONS:
            raise ValueError(f"unknown objective {name!r}; known are {', '.join(DIRECTIONS)} and FILE.py::FUNCTION")
        if direction not in ("", "min", "max"):
            raise ValueError(f"objective {word!r}: the direction must be min or max, for example {name}:max")
        if file and (name.lower() in {*DIRECTIONS, *TAKEN} or not name.isidentifier()):
            raise ValueError(f"objective {word!r}: the function must have a name of its own, not {name!r}")
        found.append(Objective(name, direction or DIRECTIONS.get(name, "min"), file))
    if not 1 <= len(found) <= MOST or len({o.name.lower() for o in found}) < len(found):
        raise ValueError(f"--objectives needs one to five different names, got {' '.join(words) or 'none'}")
    return tuple(found)


def columns(objectives: Sequence[Objective], limits: Sequence["Limit"] = ()) -> tuple[str, ...]:
    """What a row holds: MEASURES first, then what else these name."""
    return tuple(dict.fromkeys([*MEASURES, *(each.name for each in (*objectives, *limits))]))


def parse_number(text: str) -> float:
    """'350M', '5.1m', '300k', '1.2G' or plain; ValueError otherwise."""
    digits, unit = text.strip(), 1.0
    if digits[-1:].lower() in UNITS:
        digits, unit = digits[:-1], UNITS[digits[-1].lower()]
    try:
        value = float(digits) * unit
    except ValueError:
        raise ValueError(f"{text!r} is no number; write for example 350M, 5.1M or 4000000") from None
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"a limit must be a positive number, got {text!r}")
    return value


def parse_limits(**flags: str | None) -> tuple[Limit, ...]:
    """max_madds='350M', min_accuracy='0.9', ...: flags named SIDE_MEASURE; None is no limit."""
    parts = [(*flag.split("_", 1), text) for flag, text in flags.items() if text is not None]
    limits = tuple(Limit(name, side, parse_number(text)) for side, name, text in parts)
    for limit in limits:
        if limit.name == "accuracy" and limit.bound > 1:
            raise ValueError(f"accuracies are from 0 to 1, for example 0.9; got {limit.bound:g}")
    return limits


def minimised(rows: np.ndarray, objectives: Sequence[Objective], names: Sequence[str] = MEASURES) -> np.ndarray:
    """Rows (N, C) of what `names` says -> (N, M), the smaller the better."""
    signs = [1.0 if o.direction == "min" else -1.0 for o in objectives]
    return rows[:, [names.index(o.name) for o in objectives]] * signs


def violation(rows: np.ndarray, limits: Sequence[Limit], names: Sequence[str] = MEASURES) -> np.ndarray:
    """Rows (N, C) -> (N,): the sum of what each limit is missed by, relative to it; 0 if all are met."""
    total = np.zeros(len(rows))
    for limit in limits:
        bound = limit.bound * (1 - DIGITS) if limit.name == "accuracy" else limit.bound
        excess = rows[:, names.index(limit.name)] / bound - 1.0
        total += np.maximum(0.0, excess if limit.side == "max" else -excess)
    return total


class Costs:
    """What costs no evaluation: multiply-adds, params, and latency where there is a table of it."""

    def __init__(self, space: SearchSpace, latency: LatencyTable | None = None):
        self.space, self.latency = space, latency
        self.names = COLUMNS if latency is None else (*COLUMNS, LATENCY)

    def rows(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) -> (N, C): `names`."""
        costs = self.space.cost(encodings)
        return costs if self.latency is None else np.column_stack([costs, self.latency.cost(encodings)])

    def range(self) -> np.ndarray:
        """(2, C): the lowest and the highest of each column by itself."""
        extremes = self.space.cost_range()
        return extremes if self.latency is None else np.column_stack([extremes, self.latency.bounds()])

    def violation(self, encodings: np.ndarray, limits: Sequence[Limit]) -> np.ndarray:
        """(N, L) -> (N,): as `violation`, for the limits that need no evaluation."""
        return violation(self.rows(encodings), [limit for limit in limits if limit.name in self.names], self.names)

    def cheap(self, objectives: Sequence[Objective]) -> dict[int, Callable[[np.ndarray], np.ndarray]]:
        """The objectives that need no evaluation: their column -> encodings (N, L) to minimised values (N,)."""
        return {
            m: lambda encodings, o=o: minimised(self.rows(encodings), [o], self.names)[:, 0]
            for m, o in enumerate(objectives)
            if o.name in self.names
        }

    def check(self, limits: Sequence[Limit]) -> None:
        """ValueError if one limit alone already excludes every architecture; it names the extreme that exists."""
        low, high = self.range()
        for limit in limits:
            if limit.name not in self.names:
                continue
            extreme, word = (low, "cheapest") if limit.side == "max" else (high, "largest")
            if violation(extreme[None].astype(float), [limit], self.names)[0] > 0:
                value = extreme[self.names.index(limit.name)]
                raise ValueError(
                    f"no architecture of {self.space.name} meets --{limit.side}-{limit.name} {limit.bound:,.10g}: "
                    f"the {word} has {value:,.10g} {NOUNS[limit.name]}"
                )


def scale(costs: Costs, objectives: Sequence[Objective]) -> tuple[np.ndarray, np.ndarray]:
    """Best and worst value (M,) that each minimised objective can have; not a number where nobody can know."""
    names = ("accuracy", *costs.names, *(o.name for o in objectives if o.file))
    unknown = np.full((2, len(names) - 1 - len(costs.names)), np.nan)
    values = minimised(np.column_stack([[0.0, 1.0], costs.range(), unknown]), objectives, names)
    return values.min(0), values.max(0)
