"""What can be said to evo/search.py."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evo import objectives as goals
from evo.engine import CROWDED
from evo.mending import Mending
from evo.proposals.proposer import Proposals
from evo.ratios import PROPOSERS, Ratios
from supernet import train
from supernet.command import Real, Text

ENGINES = ("fairfront", "pymoo", "deap")


@dataclass(frozen=True)
class Config:
    """The search; below, its supernet."""

    supernet: train.Config = field(default_factory=train.Config)
    supernet_of: Text = None
    """Search on the supernet that this other run folder trained, with its settings. Default: train one."""
    table: Text = None
    """Published table to search in place of a supernet: NAS-Bench-Macro's JSON, NAS-Bench-201's or three_edge's CSV."""
    objectives: tuple[str, ...] = ("accuracy", "madds", "params")
    """One to five of accuracy, madds, params, latency, FILE.py::FUNCTION; NAME:max or NAME:min turns one round."""
    max_madds: Text = None
    """At most so many multiply-adds, for example 350M."""
    max_params: Text = None
    """At most so many parameters, for example 5M."""
    max_latency: Text = None
    """At most so many milliseconds, for example 12."""
    min_accuracy: Text = None
    """At least this accuracy on the supernet, for example 0.9; or this likelihood, or mended or corrected score."""
    latency: Text = None
    """Latency table of an earlier run (latency.json). Default: measured on this device, kept in the run folder."""
    engine: str = "fairfront"
    """fairfront; or pymoo's or deap's NSGA-II, for comparison."""
    population: int = 70
    """Survivors, and the most that are asked at once."""
    crowding_weights: tuple[float, ...] = ()
    """Weight of each objective in the crowding distance (MoGA). Default: equal."""
    ratios: Ratios = field(default_factory=Ratios)
    proposals: Proposals = field(default_factory=Proposals)
    warm_start: tuple[str, ...] = ()
    """What to begin with: published names (FairNAS-A), encodings, run folders (their fronts)."""
    evaluations: int = 1000
    """Architectures to score, none twice. A finished run goes on if this is raised."""
    generations: int = 0
    """Stop after so many generations. 0: no limit, as for the next two."""
    minutes: float = 0.0
    """Stop after so much time of searching."""
    stalled: int = 0
    """Stop after so many generations in which the hypervolume grew by less than a thousandth in all."""
    recalibrate: int = 500
    """Training images that measure each architecture's BatchNorm statistics afresh; 0: the supernet's running ones."""
    by_loss: bool = False
    """Score by likelihood, exp(-cross-entropy), in place of accuracy: it tells more where few images score."""
    mending: Mending = field(default_factory=Mending)
    correct: Text = None
    """Correct the scores by networks trained alone: those of this ranking.json, which results/rank.py writes."""
    cut: Real = None
    """What surely stays under this accuracy is judged by the first eighth of the images; of chains alone. Default:
    nothing."""
    ray: Text = None
    """Score on a Ray cluster: auto (that of this machine, or else one of its own) or HOST:PORT."""

    def __post_init__(self):
        objectives = goals.parse_objectives(self.objectives)
        self.limits()
        if self.population < 2 or self.evaluations < 1 or self.recalibrate < 0 or self.recalibrate == 1:
            raise ValueError(
                "need --population >= 2, --evaluations >= 1 and --recalibrate 0 or >= 2, "
                f"got {self.population}, {self.evaluations} and {self.recalibrate}"
            )
        if self.cut is not None and not 0 < self.cut < 1:
            raise ValueError(f"--cut is an accuracy between 0 and 1, got {self.cut}")
        if min(self.generations, self.stalled) < 0 or not 0 <= self.minutes < np.inf:
            raise ValueError("--generations, --minutes and --stalled must not be negative, nor nan or infinite")
        if self.engine not in ENGINES:
            raise ValueError(f"unknown --engine {self.engine!r}; known are {', '.join(ENGINES)}")
        if self.engine == "deap" and self.population < 4:
            raise ValueError(f"DEAP's tournaments need --population >= 4, got {self.population}")
        if self.supernet_of and self.table:
            raise ValueError("--supernet-of takes a supernet; a --table needs none: leave out one of them")
        if (self.correct or self.mending or self.by_loss) and self.table:
            raise ValueError(
                "--correct, --smooth, --size-weight, --naswot-weight, --az-nas-weight and --by-loss are for the scores "
                "of a supernet; a --table is the truth"
            )
        if self.cut is not None and self.table:
            raise ValueError("--cut spares a supernet's images; a --table is read at once: leave out one of them")
        if self.latency and goals.LATENCY not in self.names():
            raise ValueError(
                "--latency is read where latency is an objective or a limit: add it, or leave out --latency"
            )
        if self.cut is not None and self.by_loss:
            raise ValueError("--cut is an accuracy, and --by-loss scores by another measure: leave out one of them")
        if self.ray and self.table:
            raise ValueError("--ray shares out a supernet; a --table is read at once: leave out one of them")
        proposers = PROPOSERS + len(self.proposals.proposer)
        if self.ratios.floor * proposers > 1:
            raise ValueError(
                f"--floor must be at most {1 / proposers:.3g} for {proposers} proposers, got {self.ratios.floor}"
            )
        if self.proposals.proposer and (self.engine != "fairfront" or self.table):
            raise ValueError("--proposer needs images to learn from and --engine fairfront")
        if self.crowding_weights and (
            len(self.crowding_weights) != len(objectives)
            or min(self.crowding_weights) < 0
            or not 0 < sum(self.crowding_weights) < np.inf
        ):
            raise ValueError(f"--crowding-weights needs {len(objectives)} numbers >= 0, one per objective")
        if self.crowding_weights and len(objectives) > CROWDED:
            raise ValueError(f"--crowding-weights is for up to {CROWDED} objectives: of more, none is crowded")
        if self.engine != "fairfront" and (self.warm_start or self.crowding_weights):
            raise ValueError(f"--warm-start and --crowding-weights are fairfront's: leave them out with {self.engine}")

    @property
    def folder(self) -> Path:
        if self.table and not self.supernet.run:
            return Path(f"runs/{self.supernet.space}-{Path(self.table).stem}-{self.supernet.seed}")
        return self.supernet.folder

    @property
    def score(self) -> str:
        """What its scores are called."""
        return goals.word(self.by_loss, bool(self.mending), bool(self.correct))

    def limits(self) -> tuple[goals.Limit, ...]:
        flags = ("max_madds", "max_params", "max_latency", "min_accuracy")
        return goals.parse_limits(**{flag: getattr(self, flag) for flag in flags})

    def names(self) -> tuple[str, ...]:
        """Of what is known of every architecture."""
        return goals.columns(goals.parse_objectives(self.objectives), self.limits())
