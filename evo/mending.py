"""What can stand for a supernet's scores, without a network being trained alone.

Smoothing: what a supernet says of a network beyond the sum of its options is mostly noise, and what shared weights have
learned of one another; fitted to scores in place of true accuracies, the model of `evo/correction.py` takes it out
(a predictor, as in arXiv 1912.00848, but of the supernet).

Words: what is free of that noise speaks too, in the same logarithms: by so many standard deviations of the errors for
one of its own. Shared weights place large networks too low (arXiv 2010.08219), for they have learned least of what they
could: so the multiply-adds have a word. So have NASWOT and AZ-NAS (`supernet/untrained.py`), which look at weights
before they are shared.
Shapes: F networks that are fitted to, N others, L decisions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from evo.correction import FEWEST, Correction, Trained, log_error
from search_spaces import SearchSpace

MOST = 2000  # networks that may smooth, and take seconds
DRAWN = 100  # networks that tell the deviations where none smooth
Scores = Callable[[np.ndarray], np.ndarray]  # encodings (N, L) -> accuracies, or another measure, (N,)
NOTHING: Mapping[str, Scores] = MappingProxyType({})  # is told of networks before any training
Mended = Callable[[np.ndarray, np.ndarray | None], np.ndarray]  # encodings (N, L), their scores (N,) -> accuracies (N,)


@dataclass(frozen=True)
class Mending:
    """What is to stand for a supernet's scores."""

    smooth: int = 0
    """Fit what the options say to the scores of so many networks, for example 300, and let it stand for every score."""
    size_weight: float = 0.0
    """Let multiply-adds speak too: for one standard deviation of them so many of the error, for example 0.5."""
    naswot_weight: float = 0.0
    """The same for NASWOT, which untrained weights tell of a network (arXiv 2006.04647)."""
    az_nas_weight: float = 0.0
    """The same for AZ-NAS, four measures of untrained weights (arXiv 2403.19232)."""

    def __post_init__(self):
        if self.smooth and not FEWEST <= self.smooth <= MOST:
            raise ValueError(f"--smooth needs 0, or {FEWEST} to {MOST:,} networks, got {self.smooth}")
        for name, weight in {"size": self.size_weight, **self.untrained}.items():
            if not 0 <= weight < np.inf:
                raise ValueError(f"--{name}-weight must be a number from 0 on, got {weight}")

    def __bool__(self) -> bool:
        return bool(self.smooth or self.size_weight or any(self.untrained.values()))

    @property
    def drawn(self) -> int:
        """How many random networks it is fitted to."""
        return self.smooth or DRAWN

    def networks(self, space: SearchSpace, seed: int) -> np.ndarray:
        """These networks: (F, L), fewer where some are drawn twice."""
        return np.unique(space.sample(np.random.default_rng(seed), self.drawn), axis=0)

    @property
    def untrained(self) -> dict[str, float]:
        """Weights of what tells of networks before any training, named as in `supernet/untrained.py`."""
        return {"naswot": self.naswot_weight, "az-nas": self.az_nas_weight}

    @property
    def name(self) -> str:
        """For example "smoothed, sized and naswot"; empty if nothing is mended."""
        parts = {"smoothed": self.smooth, "sized": self.size_weight, **self.untrained}
        return " and ".join(", ".join(name for name, on in parts.items() if on).rsplit(", ", 1))

    @property
    def flags(self) -> str:
        """How it is asked for."""
        values = {"smooth": self.smooth, "size-weight": self.size_weight}
        values |= {f"{name}-weight": weight for name, weight in self.untrained.items()}
        return " ".join(f"--{name} {value:g}" for name, value in values.items() if value)

    def fitted(
        self, space: SearchSpace, encodings: np.ndarray, scores: np.ndarray, told: Mapping[str, Scores] = NOTHING
    ) -> Mended:
        """Fitted to scores (F,) of networks (F, L); what tells of untrained ones is needed if it is to speak."""
        mended = smoothing(space, encodings, scores) if self.smooth else _unchanged
        words = [(self.size_weight, sizes(space))] if self.size_weight else []
        words += [(weight, told[name]) for name, weight in self.untrained.items() if weight]
        if not words:
            return mended
        spoken = telling(words, encodings, mended(encodings, scores))
        return lambda encodings, scores: spoken(encodings, mended(encodings, scores))

    def of(self, space: SearchSpace, accuracy: Scores, seed: int, told: Mapping[str, Scores] = NOTHING) -> Scores:
        """What stands for `accuracy`; smoothed, that is asked of the networks alone that are drawn, by the seed."""
        if not self:
            return accuracy
        drawn = self.networks(space, seed)
        fitted = self.fitted(space, drawn, accuracy(drawn), told)
        return lambda encodings: fitted(encodings, None if self.smooth else accuracy(encodings))


def _unchanged(encodings: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return scores


def sizes(space: SearchSpace) -> Scores:
    """Encodings (N, L) -> logarithms of their multiply-adds (N,)."""
    return lambda encodings: np.log(space.cost(encodings)[:, 0])


def known(encodings: np.ndarray, values: np.ndarray) -> Scores:
    """What is known already, values (N,) of networks (N, L); of others nothing is."""
    rows = dict(zip(map(tuple, encodings.tolist()), values, strict=True))
    return lambda encodings: np.array([rows[tuple(encoding)] for encoding in encodings.tolist()])


def smoothing(space: SearchSpace, encodings: np.ndarray, scores: np.ndarray) -> Mended:
    """What the options say of scores (F,) of networks (F, L); those of others are not looked at."""
    fitted = Correction(space, Trained(encodings, scores))
    return lambda encodings, scores: fitted(encodings)


def telling(words: Sequence[tuple[float, Scores]], encodings: np.ndarray, scores: np.ndarray) -> Mended:
    """A word of so much weight for each measure; deviations are those of networks (F, L) and of their scores (F,)."""
    error = log_error(scores).std()
    fitted = [(weight * error, word, *_moments(word(encodings))) for weight, word in words]

    def told(encodings: np.ndarray, scores: np.ndarray) -> np.ndarray:  # each in [0, 1]
        better = sum(slope * (word(encodings) - mean) / deviation for slope, word, mean, deviation in fitted)
        return np.clip(1 - np.exp(log_error(scores) - better), 0.0, 1.0)

    return told


def _moments(values: np.ndarray) -> tuple[float, float]:
    return values.mean(), max(values.std(), 1e-9)
