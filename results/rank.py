"""How far a run's supernet can be trusted: its order of networks against the true one.
The truth is a published table, or trained here, network by network; called again it goes on where it was.

    python results/rank.py RUN --table nas-bench-macro_cifar10.json
    python results/rank.py RUN --networks 30 --epochs 20
    python results/rank.py RUN --others RUN2 RUN3

The others differ from RUN by their seeds alone. RUN/ranking.json holds all that is printed, and every network.
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from results import ranking, recipes, truth, verdict, verdict_tables
from results.judged import RECALIBRATE, Judged, Reading
from results.recipes import Recipe
from search_spaces import SearchSpace
from supernet import files, fit, run_folder
from supernet.command import Run, Text, Whole, call
from supernet.compute import Compute

WITH_TABLE, TRAINED = 300, 30  # networks
POOL = 20_000  # of a larger space only so many random networks are looked at to choose from


@dataclass(frozen=True)
class Config:
    """What to compare with what."""

    run: Run
    """Run folder with a trained supernet."""
    table: Text = None
    """Take the truth from this published table. Default: train every network."""
    networks: Whole = None
    """How many, spread evenly over the space's multiply-adds. Default: 300 with a table, else 30."""
    others: tuple[str, ...] = ()
    """Further runs of the same space and images, of other seeds: how far do they agree?"""
    reading: Reading = field(default_factory=Reading)
    data_root: Text = None
    """Where the images lie now, if they have moved."""
    seed: int = 0
    """Of the choice of networks, their weights and the intervals."""
    training: fit.Training = field(default_factory=fit.Training)
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self):
        if self.networks is not None and self.networks < ranking.FEWEST:
            raise ValueError(
                f"Kendall's tau means nothing on fewer than {ranking.FEWEST} networks, got --networks {self.networks}"
            )
        if self.seed < 0:
            raise ValueError(f"--seed must not be negative, got {self.seed}")


def sample(space: SearchSpace, n: int, rng: np.random.Generator) -> np.ndarray:
    """Up to n different networks, one drawn from each of n equal parts of the space by multiply-adds: (n, L)."""
    if space.size <= POOL:
        pool = space.canonical(np.stack(np.unravel_index(np.arange(space.size), space.choices), axis=1))
    else:
        pool = space.sample(rng, max(POOL, 10 * n))
    pool = np.unique(pool, axis=0)
    by_cost = pool[np.argsort(space.cost(pool)[:, 0], kind="stable")]
    parts = np.array_split(np.arange(len(pool)), min(n, len(pool)))
    return by_cost[[rng.choice(part) for part in parts]]


def true_accuracies(config: Config, net: Judged) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Encodings (N, L) -> accuracies (N,) in truth, and those that a search may know, which must not learn from test
    images: from the table, or from training each network alone on the run's images.
    """
    if config.table is not None:
        find = truth.from_table(config.table, net.space)
        return lambda encodings: (find(encodings),) * 2
    how = (budget(config, net), config.seed, config.compute.context(net.data.mean.device))
    return partial(truth.trained, net.folder / "ranking", net.space, net.data, *how)


def budget(config: Config, net: Judged) -> Recipe:
    """By which networks are trained alone."""
    return config.training.over(recipes.find(None, net.data.name))


def compare(config: Config, net: Judged, along: bool = True) -> dict:
    """What ranking.json holds; tau along the training only if asked for. What spoils an order is found before the truth
    is paid for.
    """
    find, twins = true_accuracies(config, net), [net.twin(Path(other)) for other in config.others]
    seeds = [each.config.seed for each in (net, *twins)]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"--others takes runs of other seeds, each once; got the seeds {', '.join(map(str, seeds))}")
    rng = np.random.default_rng(config.seed)
    encodings = sample(net.space, config.networks or (TRAINED if config.table is None else WITH_TABLE), rng)
    epochs = net.along(encodings, along)
    scores = list(epochs.values())[-1]
    verdict.check(scores, net.space.num_classes, len(net.data.score.labels), net.by_loss)
    seeds = np.stack([scores, *(twin.scores(encodings) for twin in twins)])
    told, (found, held_out) = {name: tell(encodings) for name, tell in net.told().items()}, find(encodings)
    others = {verdict.UNTRAINED[name]: values for name, values in told.items()}
    others |= {} if net.by_loss else {verdict.BY_LOSS: net.likelihoods(encodings)}
    if config.reading.mending:
        others, scores = others | {verdict.UNMENDED: scores}, net.mended(encodings)
    else:
        others |= verdict.mended(net.space, encodings, scores, told, smoothing(net))
    figures = verdict.judge(net.space, encodings, scores, found, others, rng, held_out)
    figures["gt_tau"] = {str(epoch): ranking.kendall(row, found) for epoch, row in epochs.items()}
    figures["s_tau"] = ranking.s_tau(seeds) if twins else None
    columns = {"encoding": encodings, "score": scores, "truth": found, "cost": net.space.cost(encodings)}
    columns |= told | {"held_out": held_out}
    columns = {name: column.tolist() for name, column in columns.items()}
    about = {"space": net.space.name, "table": config.table, "recalibrate": net.recalibrate}
    about["of"] = {"space": net.space.spec, "data": net.saved["data"]}
    about["reading"] = run_folder.flat(config.reading) | {"by_loss": net.by_loss}
    about["asked"] = config.reading.mending.flags
    about["budget"] = vars(budget(config, net)) if config.table is None else None
    return {**about, "sentence": verdict.sentence(figures), **figures, **columns}


def smoothing(net: Judged) -> tuple[np.ndarray, np.ndarray] | None:
    """What a search with `--smooth` would fit to: other networks than those it is judged by. None where no search can.

    Its networks (F, L) and their scores (F,).
    """
    if not net.reading.searched:
        return None
    drawn = verdict.MENDS["smoothed"].networks(net.space, net.config.seed)
    return drawn, net.scores(drawn)


def main(config: Config) -> None:
    net = Judged(config.run, config.reading, config.compute, config.data_root)
    content = compare(config, net)
    path = net.folder / "ranking.json"
    files.save_json(path, content)
    alone = content["budget"] and f"trained alone with --epochs {content['budget']['epochs']}"
    source = alone or f"as in {Path(config.table).name}"
    print(f"{net.folder}: {content['networks']} networks of {net.space.name}, {source}\n")
    verdict_tables.show(content)
    trained, whole = net.progress()
    if trained < whole:
        print(f"the supernet is trained for {trained} of {whole} epochs; to the end:")
        print(f"  python supernet/train.py --run {shlex.quote(str(net.folder))}")
    print(f"written to {path}")
    if not config.reading.searched:
        print("no search can read scores in this way")
    elif flags := advised(config, net, content):
        print("to search with scores that rank better here:")
        print(f"  python evo/search.py --run NEW --supernet-of {shlex.quote(str(net.folder))} {flags}")
    elif content["asked"]:
        print(f"scores rank no better here with {content['asked']}")


def advised(config: Config, net: Judged, content: dict) -> str:
    """Flags of a search whose scores rank better than the run's own; none if those asked for do not."""
    asked = config.reading.mending
    if asked and content["ahead"][verdict.UNMENDED][0] <= 0:
        return ""
    corrected = config.table is None and verdict.corrects(content["corrected" if asked else "corrected_mended"])
    correct = f"--correct {shlex.quote(str(net.folder / 'ranking.json'))}" if corrected else ""
    mending = (asked or verdict.advised(content)).flags
    by_loss = "--by-loss" if config.reading.by_loss or (net.by_loss and (correct or mending)) else ""
    flags = list(filter(None, (correct, by_loss, mending)))
    return " ".join([*flags, f"--recalibrate {net.recalibrate}"] if flags and net.recalibrate != RECALIBRATE else flags)


if __name__ == "__main__":
    call(main, Config, __doc__)
