"""What is optimised, in which direction, under which limits.

Everything known of an architecture is one row of MEASURES. Shapes: N architectures, M objectives.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from search_spaces import SearchSpace
from search_spaces.cost import COLUMNS

MEASURES = ("accuracy", *COLUMNS)
DIRECTIONS = {"accuracy": "max", "madds": "min", "params": "min"}
NOUNS = {"madds": "multiply-adds", "params": "params"}
UNITS = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}


class Objective(NamedTuple):
    name: str
    direction: str  # min or max


class Limit(NamedTuple):
    name: str
    side: str  # "max": at most `bound`; "min": at least
    bound: float


def parse_objectives(words: Sequence[str]) -> tuple[Objective, ...]:
    """'accuracy', 'params:max', ... ValueError for an unknown name or direction, a repetition, or none at all."""
    found = []
    for word in words:
        name, _, direction = word.partition(":")
        if name not in MEASURES:
            raise ValueError(f"unknown objective {name!r}; known are {', '.join(MEASURES)}")
        if direction not in ("", "min", "max"):
            raise ValueError(f"objective {word!r}: the direction must be min or max, for example {name}:max")
        found.append(Objective(name, direction or DIRECTIONS[name]))
    if not found or len({o.name for o in found}) < len(found):
        raise ValueError(f"--objectives needs one or more different names, got {' '.join(words) or 'none'}")
    return tuple(found)


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
    return tuple(Limit(name, side, parse_number(text)) for side, name, text in parts)


def minimised(rows: np.ndarray, objectives: Sequence[Objective]) -> np.ndarray:
    """Rows of MEASURES (N, 3) -> (N, M), the smaller the better."""
    signs = [1.0 if o.direction == "min" else -1.0 for o in objectives]
    return rows[:, [MEASURES.index(o.name) for o in objectives]] * signs


def cheap(space: SearchSpace, objectives: Sequence[Objective]) -> dict[int, Callable[[np.ndarray], np.ndarray]]:
    """The objectives that need no evaluation: their column -> encodings (N, L) to minimised values (N,)."""

    def cost(encodings, objective):
        sign = 1.0 if objective.direction == "min" else -1.0
        return sign * space.cost(encodings)[:, COLUMNS.index(objective.name)]

    return {m: partial(cost, objective=o) for m, o in enumerate(objectives) if o.name in COLUMNS}


def violation(rows: np.ndarray, limits: Sequence[Limit]) -> np.ndarray:
    """Rows of MEASURES (N, 3) -> (N,): the sum of what each limit is missed by, relative to it; 0 if all are met."""
    total = np.zeros(len(rows))
    for limit in limits:
        excess = rows[:, MEASURES.index(limit.name)] / limit.bound - 1.0
        total += np.maximum(0.0, excess if limit.side == "max" else -excess)
    return total


def cost_violation(space: SearchSpace, encodings: np.ndarray, limits: Sequence[Limit]) -> np.ndarray:
    """Encodings (N, L) -> (N,): as `violation`, for the limits that need no evaluation."""
    rows = np.column_stack([np.zeros(len(encodings)), space.cost(encodings)])
    return violation(rows, [limit for limit in limits if limit.name in COLUMNS])


def scale(space: SearchSpace, objectives: Sequence[Objective]) -> tuple[np.ndarray, np.ndarray]:
    """Best and worst value (M,) that each minimised objective can have in this space."""
    extremes = np.column_stack([[0.0, 1.0], space.cost_range()])
    values = minimised(extremes, objectives)
    return values.min(0), values.max(0)


def check_limits(space: SearchSpace, limits: Sequence[Limit]) -> None:
    """ValueError if one limit alone already excludes every architecture; it names the extreme that exists."""
    low, high = space.cost_range()
    for limit in limits:
        if limit.name not in COLUMNS:
            continue
        column = COLUMNS.index(limit.name)
        extreme, word = (low[column], "cheapest") if limit.side == "max" else (high[column], "largest")
        if violation(np.array([[0.0, *(low if limit.side == "max" else high)]]), [limit])[0] > 0:
            raise ValueError(
                f"no architecture of {space.name} meets --{limit.side}-{limit.name} {limit.bound:,.0f}: "
                f"the {word} has {extreme:,} {NOUNS[limit.name]}"
            )
