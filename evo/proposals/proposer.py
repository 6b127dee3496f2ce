"""A relaxation as a proposer: what its alphas meant, epoch by epoch, and what lies near what they mean now.

Shapes: n architectures, L decisions.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from evo.proposals import drawing, mixed
from evo.proposals.discretise import discretise
from evo.proposals.health import STOPS
from evo.proposals.methods import method
from evo.proposals.relax import Relaxed, relax
from evo.proposals.relaxation import Mixture
from evo.proposers import Proposer, State
from search_spaces import SearchSpace
from search_spaces.cell import Cell
from supernet.command import Whole
from supernet.data import Data
from supernet.files import write
from supernet.memory import Context

SHARE = 0.2  # of all proposals, before anything is known of their worth


class RelaxationProposer(Proposer):
    """Proposes the architectures of a trajectory, the last one first, then such as its last mixture draws.

    What it proposes is scored as everybody's proposals are: its own accuracy, which rises with skips, is never asked.
    """

    def __init__(self, relaxed: Relaxed, history: Sequence[Mapping]):
        """`history`: a row for every epoch, see `relax`."""
        self.space, self.groups, self.method = relaxed.space, relaxed.groups, relaxed.method
        self.name = self.method.name
        options = {name: torch.tensor(weights) for name, weights in history[-1]["weights"].items()}
        self.mixture = Mixture(options, {}, 0.0)
        latest = dict.fromkeys(tuple(row["encoding"]) for row in reversed(history))
        self.trajectory = np.array(list(latest), dtype=np.int64)

    def propose(self, rng: np.random.Generator, state: State, n: int) -> np.ndarray:
        """The trajectory and n more, (any number, L); `state` is not looked at."""
        threshold = self.method.threshold
        drawn = [discretise(self.space, self.groups, self.mixture, threshold, rng) for _ in range(n)]
        return np.concatenate([self.trajectory, np.array(drawn, dtype=np.int64).reshape(n, -1)])

    def learn(self, encodings: np.ndarray, reward: np.ndarray) -> None:
        """Nothing: its alphas learn from images."""


def undecided(relaxed: Relaxed, history: Sequence[Mapping]) -> bool:
    """Whether the threshold, which counts where nodes may have no edge, leaves nothing of the last weights."""
    thins = isinstance(relaxed.space, Cell) and relaxed.space.decisions.sparse
    return thins and max(np.max(weights) for weights in history[-1]["weights"].values()) < relaxed.method.threshold


def checkpoint_path(folder: Path, name: str) -> Path:
    """Where a run keeps the relaxation called `name`, be it "partial+noisy x mixed"."""
    return folder / f"proposer-{re.sub(r'[^a-z0-9_]+', '-', name)}.safetensors"


@dataclass(frozen=True)
class Proposals:
    """Relaxations that propose beside the evolution."""

    proposer: tuple[str, ...] = ()
    """darts, darts2, pc_darts, fair_darts, noisy_darts, milenas, milenas2, or any "partial+noisy x mixed"."""
    proposer_epochs: Whole = None
    """Epochs of each relaxation. Default: the published 50."""
    proposer_stop: str = "never"
    """Ends a relaxation early: never, skips (DARTS+) or eigenvalue (RobustDARTS)."""

    def __post_init__(self):
        if len({method(name).name for name in self.proposer}) < len(self.proposer):
            raise ValueError(f"--proposer takes different names, got {', '.join(self.proposer)}")
        if self.proposer_epochs is not None and self.proposer_epochs < 1:
            raise ValueError(f"--proposer-epochs must be at least 1, got {self.proposer_epochs}")
        if self.proposer_stop not in STOPS:
            raise ValueError(f"unknown --proposer-stop {self.proposer_stop!r}; known are {', '.join(STOPS)}")

    def check(self, space: SearchSpace) -> None:
        """ValueError if one of the relaxations cannot be one of this space."""
        for name in self.proposer:
            mixed.check(space, method(name).relaxation)

    def prepare(
        self, space: SearchSpace, data: Data, seed: int, folder: Path, context: Context = nullcontext
    ) -> list[RelaxationProposer]:
        """The proposers, each trained from `folder` as far as it is there, in `context`. Errors as in `relax`.

        Leaves proposer-NAME.safetensors and a picture of it, .svg, in the folder.
        """
        return [self._prepare(name, space, data, seed, folder, context) for name in self.proposer]

    def _prepare(
        self, name: str, space: SearchSpace, data: Data, seed: int, folder: Path, context: Context
    ) -> RelaxationProposer:
        chosen = method(name)
        if chosen.level.unrolled and context is not nullcontext:
            print(f"{name}: in float32, whatever --precision says; its differences of gradients need all digits")
        chosen = replace(chosen, epochs=self.proposer_epochs or chosen.epochs)
        path = checkpoint_path(folder, name)
        relaxed, history = relax(chosen, space, data, seed, path, self.proposer_stop, context)
        write(path.with_suffix(".svg"), drawing.search(space, relaxed.groups, history, name).encode())
        if undecided(relaxed, history):
            print(
                f"{name}: no option reaches its threshold of {chosen.threshold:g}, so it proposes only cells "
                "of one edge; with more --proposer-epochs or more images it would decide"
            )
        return RelaxationProposer(relaxed, history)
