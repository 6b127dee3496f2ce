"""The main job: trains a fair supernet, evolves a population against it, prints the Pareto front.
Called again with the same --run it goes on where it was.

    python evo/search.py
    python evo/search.py --space fairnas --data folder --data-root DIR
    python evo/search.py --space nas_bench_macro --table nas-bench-macro_cifar10.json
    python evo/search.py --ray auto
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np

import search_spaces
from evo import correction, latency, user, warm_start
from evo import objectives as goals
from evo.archive import Archive, Generation
from evo.config import Config
from evo.engine import NSGA2, Engine, generation_rng
from evo.peers import Deap, Peer, Pymoo
from evo.pool import Pool, begin
from evo.proposals.proposer import SHARE, RelaxationProposer
from evo.ratios import default_proposers
from results import front, pick
from search_spaces import SearchSpace
from supernet import command, files, lock, run_folder, train, untrained
from supernet.data import Data
from supernet.oracle import SupernetOracle, TableOracle
from supernet.progress import Progress

PEERS = {"pymoo": Pymoo, "deap": Deap}
LATENCIES = "latency.json"  # of a run folder
STALL = 1e-3  # by what share the hypervolume must grow not to count as stalled


def table_path(config: Config) -> Path:
    """Where the latency table is, or will be: a run that has begun has its own."""
    own = config.folder / LATENCIES
    return own if not config.latency or (own.exists() and run_folder.read(config.folder)) else Path(config.latency)


def load_costs(config: Config, space: SearchSpace) -> goals.Costs:
    """Costs of the space; where latency is asked for, with its table."""
    if goals.LATENCY not in config.names():
        return goals.Costs(space)
    own, path = config.folder / LATENCIES, table_path(config)
    if not path.exists() and (config.folder / "archive.sqlite").exists():
        raise ValueError(f"{path} is gone, by which the run was measured: put it back, or begin another --run")
    table = latency.load_or_measure(path, space, config.supernet.compute.target())
    if path != own:
        files.write(own, path.read_bytes())
    print(f"latency table {path}: sums are {table.error:.1%} off whole networks (median of {latency.WHOLE})")
    return goals.Costs(space, table)


def make_engine(
    config: Config,
    space: SearchSpace,
    costs: goals.Costs,
    given: np.ndarray | None = None,
    relaxations: Sequence[RelaxationProposer] = (),
) -> Engine:
    """The engine, after a look whether anything can meet the limits; ValueError if not.

    The architectures `given` (n, L) are asked first; trained `relaxations` begin with a share of all proposals.
    """
    objectives, limits = goals.parse_objectives(config.objectives), config.limits()
    costs.check(limits)
    free = partial(costs.violation, limits=limits) if limits else None
    proposers = default_proposers(space.choices, config.ratios)
    if relaxations:
        proposers = {proposer: share * (1 - SHARE) for proposer, share in proposers.items()}
        proposers |= {relaxation: SHARE / len(relaxations) for relaxation in relaxations}
    engine = NSGA2(
        space.choices,
        config.population,
        space.canonical,
        free,
        costs.cheap(objectives),
        proposers,
        config.ratios.floor,
        config.crowding_weights or None,
        given,
    )
    if free is not None:
        nearest = engine.within_limits(generation_rng(config.supernet.seed, 0), config.population)
        if free(nearest).min() > 0:
            madds, params = space.cost(nearest[free(nearest).argmin()][None])[0]
            raise ValueError(
                f"no architecture of {space.name} was found that meets all limits; the nearest has "
                f"{madds:,} multiply-adds and {params:,} params"
            )
    if config.engine == "fairfront":
        return engine
    loop = PEERS[config.engine](space.choices, len(objectives), config.population)
    return Peer(loop, space.canonical, **({"free_violation": free} if free else {}))


def load_own(config: Config) -> dict[str, user.Function]:
    """The user's own objectives by name."""
    return {o.name: user.load(o.name, o.file) for o in goals.parse_objectives(config.objectives) if o.file}


def make_judge(config: Config, oracle, space: SearchSpace, data: Data, trained: correction.Trained | None) -> Callable:
    """Encodings (n, L) -> accuracies (n,): the supernet's, mended if asked for, corrected by what was trained."""
    seed, mending = config.supernet.seed, config.mending
    if mending:
        print(f"scores are mended by {mending.flags}: {mending.drawn} random networks are looked at first", flush=True)
    asked = [name for name, weight in mending.untrained.items() if weight]
    told = {name: untrained.MEASURES[name](space, data, seed) for name in asked}
    accuracy = mending.of(space, oracle.accuracy, seed, told)
    if trained is None:
        return accuracy
    corrected = correction.Correction(space, trained, accuracy(trained.encodings))
    return lambda encodings: corrected(encodings, accuracy(encodings))


def make_score(config: Config, space: SearchSpace, costs: goals.Costs, own: dict, accuracy: Callable) -> Callable:
    """Encodings (n, L) -> rows (n, C) of `config.names()`."""

    def score(encodings):
        values = {"accuracy": accuracy(encodings)}
        values |= dict(zip(costs.names, costs.rows(encodings).T, strict=True))
        values |= {name: user.call(name, function, space, encodings) for name, function in own.items()}
        return np.column_stack([values[name] for name in config.names()])

    return score


def evolve(config: Config, costs: goals.Costs, score: Callable, engine: Engine, archive: Archive) -> None:
    """Replays what the archive holds, then goes on until enough is scored or the space has no more."""
    objectives, limits, names = goals.parse_objectives(config.objectives), config.limits(), config.names()
    tracker, seed = front.Tracker(costs, objectives, limits), config.supernet.seed

    def told(found: Generation) -> tuple:
        values, missed = goals.minimised(found.rows, objectives, names), goals.violation(found.rows, limits, names)
        return found.encodings, values, missed, found.proposers

    generation = 0
    for found in archive.generations():
        engine.replay(generation_rng(seed, generation), *told(found))
        tracker.add(found.rows)
        generation += 1
    grown, spent = archive.hypervolumes(), archive.seconds()
    with Progress("search", config.evaluations, len(archive)) as progress:
        while len(archive) < config.evaluations and not stopped(config, grown, spent, len(archive)):
            start, left = time.monotonic(), config.evaluations - len(archive)
            asked = engine.ask(generation_rng(seed, generation), engine.generation(left))
            if not len(asked.encodings):
                who = "the space has no more" if config.engine == "fairfront" else f"{config.engine} proposes no more"
                print(f"{who} architectures: ended after {len(archive)} evaluations")
                break
            found = Generation(asked.encodings, score(asked.encodings), asked.proposers)
            engine.tell(*told(found))
            tracker.add(found.rows)
            grown.append(tracker.hypervolume())
            seconds = time.monotonic() - start
            archive.record(generation, found, grown[-1], seconds)
            generation, spent = generation + 1, spent + seconds
            best = {config.score: tracker.accuracy}
            progress.advance(len(found.rows), hypervolume=grown[-1], **best)


def stopped(config: Config, grown: Sequence[float], seconds: float, evaluations: int) -> bool:
    """Whether one of the other stops is reached, by the hypervolume after every generation; says which."""
    reason = None
    if config.generations and len(grown) >= config.generations:
        reason = f"--generations {config.generations}"
    if config.minutes and seconds >= 60 * config.minutes:
        reason = f"--minutes {config.minutes:g}"
    if config.stalled and len(grown) > config.stalled and grown[-1] <= grown[-1 - config.stalled] * (1 + STALL):
        reason = f"--stalled {config.stalled}"
    if reason:
        print(f"{reason}: ended after {evaluations} evaluations")
    return reason is not None


def finish(config: Config, space: SearchSpace, archive: Archive) -> None:
    """Writes front.json and prints it."""
    objectives, limits = goals.parse_objectives(config.objectives), config.limits()
    points = front.front(archive.everything(), objectives, limits, archive.measures)
    options = {name: value for name, value in space.spec.items() if name != "name"}
    picks = pick.abc(points)
    content = {"space": space.name, "space_options": options, "objectives": {o.name: o.direction for o in objectives}}
    content |= {"limits": {f"{limit.side}_{limit.name}": limit.bound for limit in limits}}
    content |= {"evaluations": len(archive), "hypervolume": archive.hypervolume()}
    content |= {"front": points, "picks": picks | _by_hand(config.folder)}
    files.save_json(config.folder / "front.json", content)
    show(config, space, points, picks, len(archive))


def _by_hand(folder: Path) -> dict[str, front.Point]:
    """The picks that a person has added to an earlier front.json of the run, as far as it can be read."""
    try:
        return {name: point for name, point in front.load(folder)["picks"].items() if name not in pick.STANDARD}
    except ValueError:
        return {}


def show(config: Config, space: SearchSpace, points: Sequence[front.Point], picks: dict, evaluations: int) -> None:
    if not points:
        print(f"no architecture of {evaluations} scored ones meets the limits; raise --evaluations or loosen them")
        return
    print()
    front.show(space, points, [], f"Pareto front: {len(points)} of {evaluations} architectures", config.score)
    print()
    title = "Picks: the most accurate under falling multiply-adds"
    front.show(space, list(picks.values()), list(picks), title, config.score)
    folder, files = config.folder, "front.json, archive.sqlite, supernet.safetensors, settings.json"
    print(f"\nWritten to {folder}:")
    print(f"       {files.replace('supernet.safetensors, ', '') if config.table else files}")
    for picture in sorted(folder.glob("proposer-*.svg")):
        print(f"       {picture.name}")
    run = shlex.quote(str(folder))
    print(f"Next:  python results/pick.py {run} --max-madds {picks['B']['madds']}")
    if not config.table:
        print(f"       python results/train.py {run} --pick A")


def load_table(config: Config) -> tuple[SearchSpace, TableOracle]:
    """The space and the table; ValueError if they are not of one another."""
    space, oracle = search_spaces.load(config.supernet.space), TableOracle(config.table)
    if config.supernet.space_options:
        raise ValueError("a table is of the space as published: leave out --space-options")
    try:
        space.check(oracle.table.encodings)
    except ValueError as error:
        raise ValueError(f"{config.table} is no table of --space {space.name}: {error}") from error
    return space, oracle


def train_everything(
    config: Config, space: SearchSpace, data: Data, pool: Callable[[], Pool] | None
) -> tuple[list[RelaxationProposer], SupernetOracle | Pool]:
    """The relaxations that propose, and the supernet that judges: here, or in the `pool` once it is there."""
    print(
        f"{space.name}: {space.size:,} architectures; {len(data.train.labels):,} images train, "
        f"{len(data.score.labels):,} score{' by loss' if config.by_loss else ''}; run folder {config.folder}"
    )
    context = config.supernet.compute.context(data.mean.device)
    relaxations = config.proposals.prepare(space, data, config.supernet.seed, config.folder, context)
    net, _ = train.train(config.supernet, space, data)
    how = {"cut": config.cut, "by_loss": config.by_loss}
    if pool:
        return relaxations, pool().send(config.supernet, space, net, data, config.recalibrate, how)
    return relaxations, train.make_oracle(config.supernet, net, data, config.recalibrate, **how)


def claims(config: Config, space: SearchSpace, data: Data) -> tuple[dict, dict, dict]:
    """What makes a run this one and no other, see `run_folder.check`: configs by part, space, images."""
    return {"supernet": config.supernet, "search": config}, space.spec, data.fingerprint()


def take_over(config: Config, space: SearchSpace, data: Data) -> bytes | None:
    """The supernet of --supernet-of, for a run that has none; ValueError if it is not the one that is asked for, or if
    the run has trained its own.
    """
    if not config.supernet_of:
        return None
    other = Path(config.supernet_of)
    if (config.folder / train.WEIGHTS).exists():
        if run_folder.read(config.folder).get("settings", {}).get("search", {}).get("supernet_of") is None:
            raise ValueError(
                f"{config.folder} has a supernet of its own: leave out --supernet-of, or use another --run"
            )
        return None
    if not config.supernet.run or config.folder.resolve() == other.resolve():
        raise ValueError(f"--supernet-of {other} needs a --run of its own to search in")
    run_folder.check(other, {"supernet": config.supernet}, space.spec, data.fingerprint())
    if not (other / train.WEIGHTS).exists():
        raise ValueError(
            f"{other} has no supernet yet: python supernet/train.py --run {shlex.quote(str(other))} trains one"
        )
    return (other / train.WEIGHTS).read_bytes()


def main(config: Config) -> None:
    space, data = load_table(config) if config.table else train.load_inputs(config.supernet)
    own, given = load_own(config), warm_start.load(config.folder, config.warm_start, space)
    trained = correction.load(config.folder, config.correct, space, data.fingerprint()) if config.correct else None
    if config.latency and not table_path(config).exists():
        raise ValueError(f"there is no latency table {config.latency}; leave out --latency to measure one")
    timed = goals.LATENCY in config.names()
    if not timed:
        make_engine(config, space, goals.Costs(space))  # limits that nothing meets end here, before anything is written
    claimed, taken = claims(config, space, data), take_over(config, space, data)
    ray = begin(config.ray, config.supernet.compute.device) if config.ray else nullcontext()
    with ray as pool, lock.hold(config.folder / lock.NAME):  # Ray starts during the training
        run_folder.check(config.folder, *claimed)
        costs, asked = load_costs(config, space), given
        given = warm_start.allowed(given, costs.violation(given, config.limits()), config.evaluations)
        if timed:
            make_engine(config, space, costs)  # those of latency end here
        if not config.table:
            train.check(config.supernet, space)
            config.proposals.check(space)
        run_folder.claim(config.folder, *claimed)
        if trained is not None:
            correction.keep(config.folder, space, trained)
        if config.warm_start:
            warm_start.keep(config.folder, asked)
        if taken is not None:
            files.write(config.folder / train.WEIGHTS, taken)
        if config.table:
            print(f"{space.name}: {space.size:,} architectures, scored by {config.table}; run folder {config.folder}")
            oracle, relaxations = data, []
        else:
            relaxations, oracle = train_everything(config, space, data, pool)
        archive = Archive(config.folder / "archive.sqlite", config.names())
        engine = make_engine(config, space, costs, given, relaxations)
        judge = make_judge(config, oracle, space, data, trained)
        evolve(config, costs, make_score(config, space, costs, own, judge), engine, archive)
        finish(config, space, archive)


if __name__ == "__main__":
    command.call(main, Config, __doc__)
