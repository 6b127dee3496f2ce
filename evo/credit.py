"""Who proposes how much: quotas follow what each proposer recently added to the hypervolume.

Shapes: n evaluations of a generation.
"""

from collections.abc import Mapping, Sequence

import numpy as np

MEMORY = 200  # evaluations after which a gain counts 1/e
PRIOR = 20  # evaluations that a proposer's share from the settings is worth


class Credit:
    """`shares` are the quotas of proposers before anything is known of them; nobody falls below `floor`."""

    def __init__(self, shares: Mapping[str, float], floor: float = 0.02):
        if not shares or min(shares.values()) < 0 or not sum(shares.values()) > 0:
            raise ValueError(f"shares must not be negative, nor all zero; got {dict(shares)}")
        if not 0 <= floor * len(shares) <= 1:
            raise ValueError(f"a floor of {floor} for {len(shares)} proposers must be between 0 and 1 in all")
        self.names, self.floor = tuple(shares), floor
        self.prior = np.array(list(shares.values())) / sum(shares.values())
        self.gain, self.count = np.zeros(len(shares)), np.zeros(len(shares))

    def shares(self) -> np.ndarray:
        """Of the next generation; they sum to 1."""
        mean = self.gain.sum() / max(self.count.sum(), 1.0)
        if mean == 0:
            return self.prior
        rate = (self.gain + PRIOR * mean * len(self.names) * self.prior) / (self.count + PRIOR)
        return self.floor + (1 - self.floor * len(self.names)) * rate / rate.sum()

    def quotas(self, rng: np.random.Generator, n: int) -> dict[str, int]:
        """n split by the shares, each rounded up or down by one draw: right in the mean."""
        edges = np.floor(np.concatenate([[0.0], np.cumsum(self.shares())]) * n + rng.random())
        return dict(zip(self.names, np.diff(edges).astype(int).tolist(), strict=True))

    def settle(self, proposers: Sequence[str], gain: np.ndarray) -> None:
        """What each of n evaluations added to the hypervolume (n,)."""
        fade = np.exp(-len(proposers) / MEMORY)
        self.gain, self.count = self.gain * fade, self.count * fade
        for i, name in enumerate(self.names):
            own = np.array([proposer == name for proposer in proposers], dtype=bool)
            self.gain[i] += gain[own].sum()
            self.count[i] += own.sum()
