"""Architectures that a search begins with: published ones, encodings, or the front of an earlier run."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evo.archive import Archive
from evo.objectives import MEASURES, minimised, parse_objectives
from evo.survival import nondominated
from search_spaces import SearchSpace
from search_spaces.published import ARCHITECTURES
from supernet import files, run_folder

NAME = "warm_start.json"
DAMAGED = "put it back, or begin another --run"


def allowed(given: np.ndarray, missed: np.ndarray, evaluations: int) -> np.ndarray:
    """Of what is given (n, L), what misses no limit by what costs nothing, (n,); says how many do, and if what is left
    takes all evaluations.
    """
    if missed.any():
        print(f"--warm-start: {(missed > 0).sum()} of {len(given)} architectures miss the limits and are left out")
    given = given[missed == 0]
    if len(given) >= evaluations:
        print(f"--warm-start: {len(given)} architectures leave nothing to try of --evaluations {evaluations}")
    return given


def load(folder: Path, words: Sequence[str], space: SearchSpace) -> np.ndarray:
    """What the run's `folder` keeps, so that a run goes on with what it began with; else as `read`."""
    path = folder / NAME
    if not path.exists():
        return read(words, space)
    try:
        return space.check(files.load_json(path, {"encodings"}, DAMAGED)["encodings"])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


def keep(folder: Path, given: np.ndarray) -> None:
    """Writes what `load` reads: (n, L)."""
    files.save_json(folder / NAME, {"encodings": given.tolist()})


def read(words: Sequence[str], space: SearchSpace) -> np.ndarray:
    """Names of published architectures, encodings as `space.parse` reads them, run folders -> (n, L).

    ValueError for what is none of these, or of another space.
    """
    found = [_read(word, space) for word in words]
    return np.concatenate([np.empty((0, len(space.choices)), dtype=np.int64), *found])


def _read(word: str, space: SearchSpace) -> np.ndarray:
    if word in ARCHITECTURES:
        if ARCHITECTURES[word].space != space.name:
            raise ValueError(f"--warm-start {word} is of space {ARCHITECTURES[word].space}, not {space.name}")
        if ARCHITECTURES[word].encoding is None:
            raise ValueError(f"--warm-start {word} has larger cells than {space.name}'s encodings: leave it out")
        return space.check([ARCHITECTURES[word].encoding])
    if os.path.exists(f"{word}/archive.sqlite"):  # False, not an error, for what can be no path
        return _front(Path(word), space)
    try:
        return space.check([space.parse(word)])
    except ValueError as error:
        raise ValueError(
            f"--warm-start {word} is no run folder, no published architecture ({', '.join(ARCHITECTURES)}) "
            f"and no encoding: {error}"
        ) from error


def _front(folder: Path, space: SearchSpace) -> np.ndarray:
    """Of everything the run scored: whom nobody beats in accuracy, multiply-adds and params."""
    name = run_folder.require(folder)["space"].get("name")
    if name != space.name:
        raise ValueError(f"--warm-start {folder} is a run of space {name}, not {space.name}")
    archive = Archive(folder / "archive.sqlite")
    found = archive.everything()
    if not len(found.rows):
        raise ValueError(f"--warm-start {folder} has scored nothing yet")
    values = minimised(found.rows, parse_objectives(MEASURES), archive.measures)
    return space.check(found.encodings[nondominated(values)])
