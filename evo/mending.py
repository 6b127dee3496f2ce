"""What can stand for a supernet's scores, without a network being trained alone.

Smoothing: what a supernet says of a network beyond the sum of its options is mostly noise, and what shared weights have
learned of one another; fitted to scores in place of true accuracies, the model of `evo/correction.py` takes it out
(a predictor, as in arXiv 1912.00848, but of the supernet).

Size: shared weights place large networks too low (arXiv 2010.08219), for they have learned least of what they could.
So the multiply-adds have a word of their own, in the same logarithms: of two networks of one score the larger is taken
for the better, by so many standard deviations of the errors for one of the sizes.
Shapes: F networks that are fitted to, N others, L decisions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evo.correction import FEWEST, Correction, Trained, log_error
from search_spaces import SearchSpace

MOST = 2000  # networks that may smooth, and take seconds
DRAWN = 100  # networks that tell the deviations where none smooth
Scores = Callable[[np.ndarray], np.ndarray]  # encodings (N, L) -> accuracies (N,)
Mended = Callable[[np.ndarray, np.ndarray | None], np.ndarray]  # encodings (N, L), their scores (N,) -> accuracies (N,)


@dataclass(frozen=True)
class Mending:
    """What is to stand for a supernet's scores."""

    smooth: int = 0
    """Fit what the options say to the scores of so many networks, for example 300, and let it stand for every score."""
    size_weight: float = 0.0
    """Let multiply-adds speak too: for one standard deviation of them so many of the error, for example 0.5."""

    def __post_init__(self):
        if self.smooth and not FEWEST <= self.smooth <= MOST:
            raise ValueError(f"--smooth needs 0, or {FEWEST} to {MOST:,} networks, got {self.smooth}")
        if not 0 <= self.size_weight < np.inf:
            raise ValueError(f"--size-weight must be a number from 0 on, got {self.size_weight}")

    def __bool__(self) -> bool:
        return bool(self.smooth or self.size_weight)

    @property
    def name(self) -> str:
        """smoothed, sized, or both; empty if nothing is mended."""
        return " and ".join(["smoothed"] * bool(self.smooth) + ["sized"] * bool(self.size_weight))

    @property
    def flags(self) -> str:
        """How it is asked for."""
        smooth = [f"--smooth {self.smooth}"] if self.smooth else []
        return " ".join(smooth + ([f"--size-weight {self.size_weight:g}"] if self.size_weight else []))

    def fitted(self, space: SearchSpace, encodings: np.ndarray, scores: np.ndarray) -> Mended:
        """Fitted to scores (F,) of networks (F, L)."""
        mended = smoothing(space, encodings, scores) if self.smooth else _unchanged
        if not self.size_weight:
            return mended
        sized = sizing(space, encodings, mended(encodings, scores), self.size_weight)
        return lambda encodings, scores: sized(encodings, mended(encodings, scores))

    def of(self, space: SearchSpace, accuracy: Scores, seed: int) -> Scores:
        """What stands for `accuracy`; smoothed, that is asked of the networks alone that are drawn, by the seed."""
        if not self:
            return accuracy
        drawn = np.unique(space.sample(np.random.default_rng(seed), self.smooth or DRAWN), axis=0)
        fitted = self.fitted(space, drawn, accuracy(drawn))
        return lambda encodings: fitted(encodings, None if self.smooth else accuracy(encodings))


def _unchanged(encodings: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return scores


def smoothing(space: SearchSpace, encodings: np.ndarray, scores: np.ndarray) -> Mended:
    """What the options say of scores (F,) of networks (F, L); those of others are not looked at."""
    fitted = Correction(space, Trained(encodings, scores))
    return lambda encodings, scores: fitted(encodings)


def sizing(space: SearchSpace, encodings: np.ndarray, scores: np.ndarray, weight: float) -> Mended:
    """A word of this weight for the multiply-adds; deviations are those of scores (F,) of networks (F, L)."""
    size = np.log(space.cost(encodings)[:, 0])
    slope = weight * log_error(scores).std() / max(size.std(), 1e-9)

    def sized(encodings: np.ndarray, scores: np.ndarray) -> np.ndarray:  # each in [0, 1]
        larger = np.log(space.cost(encodings)[:, 0]) - size.mean()
        return np.clip(1 - np.exp(log_error(scores) - slope * larger), 0.0, 1.0)

    return sized
