"""A supernet's scores, corrected by a few networks that were trained alone.

A supernet places sizes and options too high or too low (arXiv 2010.08219); some networks trained alone show by how
much. An option is taken to divide the error, so it gains most where much is left: the logarithm of a network's error
alone is linear in that of its error in the supernet, in that of its multiply-adds and in its options, each of the three
weighed by how that tells networks left out (ridge regression, Hoerl and Kennard 1970). A score may come to count
nothing, but never against a network.
Shapes: F networks trained, N others, D features of a group, L decisions.
"""

import shlex
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from search_spaces import SearchSpace
from supernet import files

VARIANCES = (0.01, 0.1, 1.0, 10.0)  # of a group's weights, relative to that of the noise
FEWEST = 10  # networks that may be fitted to
TINY = 1e-300  # sum of squares that counts, so that its logarithm is finite where the truth is constant
LEAST = 1e-3  # error that counts, so that its logarithm is finite
NAME = "correction.json"


class Trained(NamedTuple):
    """Encodings (F, L) and accuracies (F,) of networks that were trained alone, on held-out images: a search that knew
    what they reach on test images would choose by these.
    """

    encodings: np.ndarray
    accuracy: np.ndarray


def load(folder: Path, source: str, space: SearchSpace, data: dict) -> Trained:
    """What the run's `folder` keeps, so that a run goes on with what it began with; else the ranking.json at `source`.

    ValueError if it is not there, of another space or of other images than those with the fingerprint `data`, too
    small, or of test accuracies.
    """
    own = folder / NAME
    if not own.exists() and (folder / "archive.sqlite").exists():
        raise ValueError(
            f"{folder} was searched without {own}: put it back if it is gone, or search in another --run, with "
            f"--supernet-of {shlex.quote(str(folder))}"
        )
    path = own if own.exists() else Path(source)
    content = files.load_json(
        path, {"space", "encoding"}, "--correct takes a ranking.json, which python results/rank.py RUN writes"
    )
    known = content.get("held_out", content.get("truth") if path == own else None)  # runs of old knew test accuracies
    if content.get("table") or known is None:
        raise ValueError(
            f"--correct {path} holds accuracies on test images, by which a search must not choose: take the "
            "ranking.json of python results/rank.py RUN without --table, for another --run"
        )
    if content["space"] != space.name:
        raise ValueError(f"--correct {path} is of space {content['space']}, not {space.name}")
    if content.get("of", {"space": space.spec, "data": data}) != {"space": space.spec, "data": data}:
        raise ValueError(f"--correct {path} is of other images, or of networks of another size, than this run")
    try:
        found = Trained(space.canonical(content["encoding"]), np.array(known, dtype=float))
    except (ValueError, TypeError) as error:
        raise ValueError(f"--correct {path} is damaged: {error}") from error
    if len(found.accuracy) < FEWEST or found.accuracy.shape != found.encodings.shape[:1]:
        raise ValueError(f"--correct {path} needs {FEWEST} networks or more: python results/rank.py RUN trains some")
    return found


def keep(folder: Path, space: SearchSpace, trained: Trained) -> None:
    """Writes what `load` reads."""
    columns = {"encoding": trained.encodings.tolist(), "held_out": trained.accuracy.tolist()}
    files.save_json(folder / NAME, {"space": space.name, **columns})


@final
class Correction:
    """Scores of a supernet -> accuracies alone. `scores` (F,) are what the `trained` networks score; without them the
    accuracies are told from multiply-adds and options.
    """

    def __init__(self, space: SearchSpace, trained: Trained, scores: np.ndarray | None = None):
        self.space = space
        groups = self._groups(trained.encodings, scores)
        self.means = [group.mean(0) for group in groups]
        self.scales = [1.0] + [max(group.std(), 1e-9) for group in groups[1:]]
        truth = log_error(trained.accuracy)
        self.mean = truth.mean()
        self.weights = mean_weights(self._scaled(groups), truth - self.mean, scores is not None)

    def __call__(self, encodings: np.ndarray, scores: np.ndarray | None = None) -> np.ndarray:
        """Encodings (N, L) and their scores (N,) -> accuracies (N,), each in [0, 1]."""
        groups = self._scaled(self._groups(encodings, scores))
        told = self.mean + sum(group @ weights for group, weights in zip(groups, self.weights, strict=True))
        return np.clip(1 - np.exp(told), 0.0, 1.0)

    def _groups(self, encodings: np.ndarray, scores: np.ndarray | None) -> list[np.ndarray]:
        size = np.log(self.space.cost(encodings)[:, :1])
        return [options(self.space, encodings), size] + ([] if scores is None else [log_error(scores)[:, None]])

    def _scaled(self, groups: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [(group - mean) / scale for group, mean, scale in zip(groups, self.means, self.scales, strict=True)]


def log_error(accuracy: np.ndarray) -> np.ndarray:
    """Accuracies 0..1 -> the natural logarithms of what they lack."""
    return np.log(np.maximum(1 - np.asarray(accuracy), LEAST))


def options(space: SearchSpace, encodings: np.ndarray) -> np.ndarray:
    """(N, L) -> (N, D): how often a network has each option at each place, scaled so that networks that share none are
    as far apart in every space.
    """
    places, picked = space.picked(encodings)
    width = [len(there) for there in space.parts()]
    found = np.zeros((len(encodings), sum(width)))
    columns = (np.cumsum(width) - width)[places] + picked
    np.add.at(found, (np.arange(len(found))[:, None], columns), 1 / np.sqrt(places.shape[1]))
    return found


def mean_weights(groups: Sequence[np.ndarray], truth: np.ndarray, scored: bool = False) -> list[np.ndarray]:
    """Groups (F, D) and what they should sum to, (F,), both around 0 -> the weights (D,) of each group.

    Ridge regression with every group's weights as free as each of VARIANCES lets them be; the mean over all
    combinations, which count as they tell each network from the others (pseudo-BMA, arXiv 1704.02030). `scored`: the
    last group is the one column of the scores, whose weight is nothing where it would be negative.
    """
    products = [group @ group.T for group in groups]

    def solve(variances: Sequence[float]) -> tuple[float, list[np.ndarray]]:
        """How well these tell each network from the others, and the weights."""
        inverse = np.linalg.inv(np.eye(len(truth)) + sum(v * p for v, p in zip(variances, products, strict=True)))
        solved = inverse @ truth
        left_out = solved / np.diag(inverse)
        weights = [v * group.T @ solved for v, group in zip(variances, groups, strict=True)]
        if scored and weights[-1] < 0:  # what few networks say against the scores would put the very worst first
            return solve((*variances[:-1], 0.0))
        return -len(truth) / 2 * np.log(max((left_out**2).sum(), TINY)), weights

    fits, found = zip(*map(solve, product(VARIANCES, repeat=len(groups))), strict=True)
    counts = np.exp(np.array(fits) - max(fits))
    return [np.average(weights, axis=0, weights=counts) for weights in zip(*found, strict=True)]
