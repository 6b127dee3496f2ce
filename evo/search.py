"""The main job: trains a fair supernet, evolves a population against it, prints the Pareto front.
Called again with the same --run it goes on where it was.

    python evo/search.py
    python evo/search.py --space fairnas --data folder --data-root DIR
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from evo import objectives as goals
from evo.archive import Archive, Generation
from evo.engine import NSGA2, generation_rng
from results import front, pick
from search_spaces import SearchSpace
from supernet import command, run_folder, train
from supernet.checkpoint import save_json
from supernet.command import Real, Text
from supernet.oracle import SupernetOracle
from supernet.progress import Progress


@dataclass(frozen=True)
class Config:
    """The search; below, its supernet."""

    supernet: train.Config = field(default_factory=train.Config)
    objectives: tuple[str, ...] = ("accuracy", "madds", "params")
    """What to optimise: accuracy, madds, params; NAME:max or NAME:min turns one round."""
    max_madds: Text = None
    """At most so many multiply-adds, for example 350M."""
    max_params: Text = None
    """At most so many parameters, for example 5M."""
    min_accuracy: Text = None
    """At least this accuracy on the supernet, for example 0.9."""
    population: int = 70
    """Survivors, and children per generation."""
    evaluations: int = 1000
    """Architectures to score, none twice. A finished run goes on if this is raised."""
    recalibrate: int = 500
    """Training images that measure each architecture's BatchNorm statistics afresh; 0: the supernet's running ones."""
    cut: Real = None
    """What surely stays under this accuracy is judged by the first eighth of the images. Default: nothing."""

    def __post_init__(self):
        goals.parse_objectives(self.objectives)
        self.limits()
        if self.population < 2 or self.evaluations < 1 or self.recalibrate < 0 or self.recalibrate == 1:
            raise ValueError(
                "need --population >= 2, --evaluations >= 1 and --recalibrate 0 or >= 2, "
                f"got {self.population}, {self.evaluations} and {self.recalibrate}"
            )
        if self.cut is not None and not 0 < self.cut < 1:
            raise ValueError(f"--cut is an accuracy between 0 and 1, got {self.cut}")

    @property
    def folder(self) -> Path:
        return self.supernet.folder

    def limits(self) -> tuple[goals.Limit, ...]:
        bounds = {"max_madds": self.max_madds, "max_params": self.max_params, "min_accuracy": self.min_accuracy}
        return goals.parse_limits(**bounds)


def make_engine(config: Config, space: SearchSpace) -> NSGA2:
    """The engine, after a look whether anything can meet the limits; ValueError if not."""
    objectives, limits = goals.parse_objectives(config.objectives), config.limits()
    free = partial(goals.cost_violation, space, limits=limits) if limits else None
    engine = NSGA2(space.choices, config.population, space.canonical, free, goals.cheap(space, objectives))
    goals.check_limits(space, limits)
    if free is not None:
        nearest = engine.within_limits(generation_rng(config.supernet.seed, 0), config.population)
        if free(nearest).min() > 0:
            madds, params = space.cost(nearest[free(nearest).argmin()][None])[0]
            raise ValueError(
                f"no architecture of {space.name} was found that meets all limits; the nearest has "
                f"{madds:,} multiply-adds and {params:,} params"
            )
    return engine


def evolve(config: Config, space: SearchSpace, oracle: SupernetOracle, engine: NSGA2, archive: Archive) -> None:
    """Replays what the archive holds, then goes on until enough is scored or the space has no more."""
    objectives, limits = goals.parse_objectives(config.objectives), config.limits()
    tracker = front.Tracker(space, objectives, limits)

    def tell(found: Generation) -> None:
        values, missed = goals.minimised(found.rows, objectives), goals.violation(found.rows, limits)
        engine.tell(found.encodings, values, missed, found.proposers)
        tracker.add(found.rows)

    generation = 0
    for found in archive.generations():
        tell(found)
        generation += 1
    with Progress("search", config.evaluations, len(archive)) as progress:
        while len(archive) < config.evaluations:
            start, left = time.monotonic(), config.evaluations - len(archive)
            asked = engine.ask(generation_rng(config.supernet.seed, generation), engine.generation(left))
            if not len(asked.encodings):
                print(f"the space has no more architectures: ended after {len(archive)} evaluations")
                break
            rows = np.column_stack([oracle.accuracy(asked.encodings), space.cost(asked.encodings)])
            found = Generation(asked.encodings, rows, asked.proposers)
            tell(found)
            archive.record(generation, found, tracker.hypervolume(), time.monotonic() - start)
            generation += 1
            progress.advance(len(rows), hypervolume=tracker.hypervolume(), accuracy=tracker.accuracy)


def finish(config: Config, space: SearchSpace, archive: Archive) -> None:
    """Writes front.json and prints it."""
    objectives, limits = goals.parse_objectives(config.objectives), config.limits()
    points = front.front(archive.everything(), objectives, limits)
    options = {name: value for name, value in space.spec.items() if name != "name"}
    picks = pick.abc(points)
    content = {"space": space.name, "space_options": options, "objectives": {o.name: o.direction for o in objectives}}
    content |= {"limits": {f"{limit.side}_{limit.name}": limit.bound for limit in limits}}
    content |= {"evaluations": len(archive), "hypervolume": archive.hypervolume(), "front": points, "picks": picks}
    save_json(config.folder / "front.json", content)
    show(config.folder, space, points, picks, len(archive))


def show(folder: Path, space: SearchSpace, points: Sequence[front.Point], picks: dict, evaluations: int) -> None:
    if not points:
        print(f"no architecture of {evaluations} scored ones meets the limits; raise --evaluations or loosen them")
        return
    print()
    front.show(space, points, [], f"Pareto front: {len(points)} of {evaluations} architectures")
    print()
    front.show(space, list(picks.values()), list(picks), "Picks: the most accurate under falling multiply-adds")
    print(f"\nWritten to {folder}:")
    print("       front.json, archive.sqlite, supernet.safetensors, settings.json")
    print(f"Next:  python results/pick.py {folder} --max-madds {picks['B']['madds']}")
    print(f"       python results/train.py {folder} --pick A")


def main(config: Config) -> None:
    space, data = train.load_inputs(config.supernet)
    engine = make_engine(config, space)
    supernet, everything = run_folder.flat(config.supernet), run_folder.flat(config)
    search = {name: value for name, value in everything.items() if name not in supernet}
    run_folder.claim(config.folder, {"supernet": supernet, "search": search}, space.spec, data.fingerprint())
    print(
        f"{space.name}: {space.size:,} architectures; {len(data.train.labels):,} images train, "
        f"{len(data.score.labels):,} score; run folder {config.folder}"
    )
    net, _ = train.train(config.supernet, space, data)
    oracle = train.make_oracle(config.supernet, net, data, config.recalibrate, config.cut)
    archive = Archive(config.folder / "archive.sqlite")
    evolve(config, space, oracle, engine, archive)
    finish(config, space, archive)


if __name__ == "__main__":
    command.call(main, Config, __doc__)
