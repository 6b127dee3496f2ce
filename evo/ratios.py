"""Who proposes how much, before the credit of each proposer is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from evo.predictor import Predictor
from evo.proposers import Natural, Proposer
from evo.reinforce import Controller, Regulator, Roulette

PROPOSERS = 5  # at most, of those that are no relaxations
LEARNABLE = 100_000  # numbers of the controller's policy, per hidden unit


@dataclass(frozen=True)
class Ratios:
    """Who proposes: shares at the beginning, before the credit of each proposer is known."""

    predictor: float = 0.9
    """Share of the Gaussian process; the next four share the rest."""
    natural: float = 0.2
    """Share of blind mutation (this and the next three: MoreMNAS, arXiv 1901.01074, and FairNAS)."""
    reinforced: float = 0.65
    """Share of the learned controller and the roulette wheel."""
    regulator: float = 0.15
    """Share of what the front repeats."""
    controller: float = 0.7
    """Of the reinforced ones, those by the controller; the others spin the roulette wheel."""
    mutation: float = 0.8
    """Probability that blind mutation follows crossover."""
    floor: float = 0.01
    """No proposer's quota falls below this."""

    def __post_init__(self):
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"--{name} must be between 0 and 1, got {value}")
        if self.natural + self.reinforced + self.regulator <= 0:
            raise ValueError("--natural, --reinforced and --regulator must not all be 0")
        if self.floor > 1 / PROPOSERS:
            raise ValueError(f"--floor must be at most 0.2, a fifth for each of five proposers, got {self.floor}")


def default_proposers(choices: Sequence[int], ratios: Ratios | None = None) -> dict[Proposer, float]:
    """All proposers with their shares; without the controller where its policy would have too many numbers to learn."""
    r = ratios or Ratios()
    shares: dict[Proposer, float] = {Natural(r.mutation): r.natural, Regulator(): r.regulator}
    shares |= {Roulette(): r.reinforced * (1 - r.controller)}
    if len(choices) * max(choices) <= LEARNABLE:
        shares |= {Controller(choices): r.reinforced * r.controller}
    rest = (1 - r.predictor) / sum(shares.values())
    shares = {proposer: share * rest for proposer, share in shares.items()}
    return {proposer: share for proposer, share in {Predictor(): r.predictor, **shares}.items() if share > 0}
