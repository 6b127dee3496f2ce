"""Trains picked networks stand-alone. Called again it goes on where it was.
The weights land in RUN/trained/, `results.load(RUN, "A")` reads them.

    python results/train.py RUN --pick A
    python results/train.py RUN --pick A B C --seed 0 1 2                # mean and spread at the end
    python results/train.py RUN --pick A B C --seed 0 1 2 --ray auto     # all at once, on the cluster or the cores
    python results/train.py RUN --encoding "20 2350 0551 3113 3535 4" --name mine
    python results/train.py RUN --transfer A --data folder --data-root DIR
    torchrun --nproc-per-node 8 -- results/train.py RUN --pick A
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import re
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import torch
from torch import nn

import search_spaces
from results import fan_out, front, pick, recipes, stand_alone, trained
from search_spaces import SearchSpace
from search_spaces.blocks import initialise
from supernet import command, fit, lock, ranks, run_folder
from supernet import train as shared
from supernet.command import Run, Text, Whole
from supernet.compute import Compute, precision
from supernet.data import Data, DataConfig, load
from supernet.files import save_json
from supernet.kernels import quicken
from supernet.ranks import Split, Team
from supernet.train import read_options


@dataclass(frozen=True)
class Images:
    """Other images than the search's; what is left out is as it was there."""

    data: Text = None
    """Train on this data set: digits, folder, cifar10 or cifar100."""
    data_root: Text = None
    """Where the images lie, or lie now."""
    image_size: Whole = None
    """Pixels."""
    train_images: Whole = None
    """Use only so many training images."""
    score_images: Whole = None
    """Held out to choose the best epoch."""
    skip_corrupt: bool = False
    """Leave out images that cannot be read, instead of stopping."""
    stream: bool = False
    """Decode a folder's training and test images while they are needed."""
    workers: Whole = None
    """Processes that decode for --stream. Default: one per core."""

    def over(self, settings: dict) -> DataConfig:
        """The run's images with these flags in place of its own; those of another data set begin from the defaults."""
        known = {f.name for f in fields(DataConfig)} if self.data in (None, settings["data"]) else set()
        given = {name: value for name, value in vars(self).items() if value is not None and value is not False}
        return DataConfig(**{name: value for name, value in settings.items() if name in known} | given)

    def marks(self, settings: dict) -> list[str]:
        """What sets them apart from the images of the run, in words that go into a name; not where they lie."""
        if self.data is not None:
            return [self.data]
        given = {name: value for name, value in vars(self).items() if name not in ("data_root", "workers") and value}
        return [f"{k}{'' if v is True else v}" for k, v in given.items() if v != settings.get(k)]


@dataclass(frozen=True)
class Config:
    """What to train, and how."""

    run: Run
    """Run folder of a search."""
    pick: tuple[str, ...] = ("A",)
    """Picks of the run, one or more."""
    encoding: Text = None
    """Train this architecture instead of a pick."""
    transfer: Text = None
    """Begin with the weights of this trained network of the run, on other images."""
    name: Text = None
    """What to call the result. Default: the pick, with what sets it apart (own for an --encoding)."""
    seed: tuple[int, ...] = (0,)
    """Of the initial weights and the order of the images, one or more."""
    space_options: tuple[str, ...] = ()
    """Another size of the space than the search's, for example channels=36 cells=20, as DARTS trains its cells."""
    inherit: bool = False
    """Begin with the supernet's weights instead of fresh ones."""
    recipe: Text = None
    """digits, cifar, darts_cifar, imagenet_mnasnet or imagenet_modern. Default: digits for digits, else cifar."""
    split: Split = field(default_factory=Split)
    images: Images = field(default_factory=Images)
    training: fit.Training = field(default_factory=fit.Training)
    compute: Compute = field(default_factory=Compute)
    ray: Text = None
    """Train all picks and seeds at once on a Ray cluster: auto (that of this machine, or else one of its own) or
    HOST:PORT. All of it must share the disk of RUN."""

    def __post_init__(self):
        for flag in ("name", "pick"):
            given = getattr(self, flag) or ()
            for name in (given,) if isinstance(given, str) else given:
                if not re.fullmatch(front.NAME, name):
                    raise ValueError(f"--{flag} must be letters, digits, - or _; got {name!r}")
        if min(self.seed, default=-1) < 0 or len(set(self.seed)) < len(self.seed):
            given = " ".join(map(str, self.seed)) or "none"
            raise ValueError(f"--seed needs different numbers that are not negative, got {given}")
        if self.name and len(self.pick) > 1:
            raise ValueError("--name is for one network; leave it out, or train one --pick")
        if self.name in pick.STANDARD and (self.encoding or self.transfer or self.pick != (self.name,)):
            raise ValueError(f"--name must not be A, B, C or knee, which are picks; got {self.name!r}")
        if self.transfer is not None and (self.encoding is not None or self.inherit):
            raise ValueError("--transfer has its own architecture and weights: leave out --encoding and --inherit")
        read_options(self.space_options)


class Job(NamedTuple):
    """One architecture to train, from given weights (None: fresh), and what is known of its accuracy."""

    name: str
    encoding: list[int]
    start: str
    weights: dict[str, torch.Tensor] | None
    supernet_accuracy: float | None


def jobs(config: Config, folder: Path, content: dict, space: SearchSpace) -> list[Job]:
    """What the config asks for; ValueError lists the picks if it asks for another."""
    if config.transfer is not None:
        card, weights = trained.card(folder, config.transfer), trained.load(folder, config.transfer).state_dict()
        name = config.name or f"{config.transfer}-{config.images.data or 'again'}"
        return [Job(name, card["encoding"], config.transfer, weights, None)]
    if config.encoding is not None:
        points = {config.name or "own": {"encoding": list(space.parse(config.encoding)), "accuracy": None}}
    else:
        points, known = {}, pick.of(content)
        for name in config.pick:
            if name not in known:
                raise ValueError(f"{folder} has no pick {name!r}; it has {', '.join(known) or 'none'}")
            points[config.name or name] = known[name]
    others = config.images.marks(run_folder.require(folder)["settings"].get("supernet", {}))
    others += [f"{name}{value}" for name, value in read_options(config.space_options).items()]
    marks = ["inherited"] * config.inherit + others
    start = "supernet" if config.inherit else "scratch"
    return [
        Job(
            name if config.name else "-".join([name, *marks]),
            point["encoding"],
            start,
            inherited(folder, space, point["encoding"]) if config.inherit else None,
            None if others else point["accuracy"],
        )
        for name, point in points.items()
    ]


def inherited(folder: Path, space: SearchSpace, encoding: list[int]) -> dict[str, torch.Tensor]:
    """A path's weights in the run's supernet, as the search judged it."""
    settings = run_folder.require(folder)["settings"].get("supernet", {})
    config = run_folder.merge(shared.Config(), {"supernet": settings})
    net = shared.restore(config, space, torch.device("cpu"), folder / shared.WEIGHTS)
    return net.extract(encoding).state_dict()


def begin(net: nn.Module, weights: dict[str, torch.Tensor]) -> list[str]:
    """Puts in all weights whose name and shape `net` has; the names of what stays fresh."""
    own = net.state_dict()
    fitting = {name: tensor for name, tensor in weights.items() if name in own and own[name].shape == tensor.shape}
    net.load_state_dict(fitting, strict=False)
    return sorted(own.keys() - fitting.keys())


def main(config: Config) -> None:
    cards = train_at_once(config) if config.ray else train_all(config)
    if len(cards) > 1:
        summary(cards)


def train_at_once(config: Config) -> list[dict]:
    """Each pick and seed by itself on the cluster; their cards."""
    folder = Path(config.run)
    space = search_spaces.load(**run_folder.require(folder)["space"])
    jobs(config, folder, front.load(folder), space)  # picks that are not there end here
    picks = config.pick if config.encoding is None and config.transfer is None else config.pick[:1]
    single = [replace(config, pick=(pick,), seed=(seed,), ray=None) for pick in picks for seed in config.seed]
    return fan_out.run(config.ray, train_all, single, folder)


def train_all(config: Config) -> list[dict]:
    """One network after another; their cards."""
    with ranks.team(config.split.parts, config.compute.target()) as team:
        return _train_all(config, team)


def _train_all(config: Config, team: Team) -> list[dict]:
    folder = Path(config.run)
    saved, content = run_folder.require(folder), front.load(folder)
    space = search_spaces.load(**saved["space"])
    asked = jobs(config, folder, content, space)
    if "classes" not in saved["data"] and config.images.data is None:
        raise ValueError(f"{folder} searched a table and has no images: give --data, and --data-root for a folder")
    images = config.images.over(saved["settings"]["supernet"])
    recipe = config.training.over(recipes.find(config.recipe, images.data))
    team.check(recipe.batch_size)
    target = config.compute.target()
    data = team.in_turn(lambda: load(images))
    config.compute.set_threads(data.image_size)
    moved = Images(data_root=config.images.data_root, workers=config.images.workers)
    if config.images == moved and data.fingerprint() != saved["data"]:
        raise ValueError(f"the images are not those that {folder} searched with; give their place by --data-root")
    known = saved["data"].get("classes", list(data.classes))
    if list(data.classes) != known:
        print(f"other classes than the search's: {len(data.classes)} instead of {len(known)}")
    fits = {"image_size": data.image_size, "num_classes": len(data.classes), "in_channels": data.channels}
    size = saved["space"] if config.transfer is None else trained.card(folder, config.transfer)["space"]
    space = search_spaces.load(**{**size, **fits, **read_options(config.space_options)})
    team.check_shared(folder)
    data = data.to(target)
    return [train(config, folder, job, seed, space, data, recipe, team) for job in asked for seed in config.seed]


def train(
    config: Config,
    folder: Path,
    job: Job,
    seed: int,
    space: SearchSpace,
    data: Data,
    recipe: recipes.Recipe,
    team: Team,
) -> dict:
    """Trains, tests, writes the card and prints it."""
    name = job.name + (f"-seed{seed}" if seed else "")
    net = space.build(job.encoding)
    initialise(net, torch.Generator().manual_seed(seed))
    fresh = begin(net, job.weights) if job.weights else []
    if fresh:
        print(f"{name}: begins afresh, for its shape is another: {', '.join(fresh)}")
    net = quicken(net).to(data.mean.device, memory_format=torch.channels_last)
    if config.split.sync_batch_norm:
        net = team.synchronised(net)
    meta = {"kind": "stand-alone", "space": space.spec, "encoding": job.encoding, "seed": seed, "start": job.start}
    meta |= {"recipe": asdict(recipe), "parts": config.split.parts, "images": data.fingerprint()}
    meta["input"] = {"scale": "0..255", "mean": data.mean.tolist(), "std": data.std.tolist()}
    where, context = trained.files(folder, name), config.compute.context(data.mean.device)
    meta |= precision(context)
    with lock.hold(where.best.with_suffix(".lock")) if team.first else nullcontext():
        history = stand_alone.fit(net, data, recipe, seed, where, meta, name, team, context)
    score, test = (stand_alone.scores(net, part, data.normalise, context) for part in (data.score, data.test))
    madds, params = space.cost([job.encoding])[0].tolist()
    card = {"name": name, "pick": job.name, **meta, "madds": madds, "params": params}
    card |= {"supernet_accuracy": job.supernet_accuracy, "best_epoch": best_epoch(history), "epochs": len(history)}
    card |= {"score_accuracy": score["accuracy"], "test_accuracy": test["accuracy"], "test_top5": test["top5"]}
    if team.first:
        save_json(folder / "trained" / f"{name}.json", card)
    show(card, space, data, folder)
    return card


def best_epoch(history: list[dict]) -> int:
    """The last one of the highest accuracy, counted from 1: that which is kept."""
    best = max(row["accuracy"] for row in history)
    return max(row["epoch"] for row in history if row["accuracy"] == best)


def show(card: dict, space: SearchSpace, data: Data, folder: Path) -> None:
    name = card["name"]
    print(f"{name}: {space.describe(card['encoding'])}")
    print(f"{card['madds']:,} multiply-adds, {card['params']:,} params; epoch {card['best_epoch']} of {card['epochs']}")
    held_out = f"the {len(data.score.labels):,} held-out images"
    if card["supernet_accuracy"] is not None:
        print(said(folder).format(card["supernet_accuracy"], held_out))
    print(f"stand-alone         {card['score_accuracy']:.4f} on {held_out}, which chose the epoch")
    searched_table = "table" in run_folder.read(folder)["data"]  # which was of some test images, maybe these
    unseen = "test images" if searched_table else "images that no search has seen"
    print(f"stand-alone, test   {card['test_accuracy']:.4f} on {len(data.test.labels):,} {unseen}")
    if len(data.classes) > 5:
        print(f"among the first 5   {card['test_top5']:.4f}")
    print(f'in Python: results.load("{folder}", "{name}")')


def said(folder: Path) -> str:
    """By which name a score of the run's search goes, which may be another than the supernet's accuracy."""
    return {
        "corrected": "supernet, corrected {:.4f}",
        "mended": "supernet, mended    {:.4f}",
        "likelihood": "supernet, by loss   {:.4f} on {}",
        "accuracy": "the supernet said   {:.4f} on {}",
    }[front.called(run_folder.read(folder))]


def summary(cards: list[dict]) -> None:
    """Test accuracy per architecture, over its seeds, and that on held-out images, by which to choose one."""
    print("\ntest accuracy, mean and standard deviation over the seeds")
    for name in dict.fromkeys(card["pick"] for card in cards):
        own = [card for card in cards if card["pick"] == name]
        found, held_out = ([card[key] for card in own] for key in ("test_accuracy", "score_accuracy"))
        spread = f" +- {stdev(found):.4f}" if len(found) > 1 else ""
        ends = f"of {len(found)}, {min(found):.4f} to {max(found):.4f}"
        print(f"{name:12} {mean(found):.4f}{spread}   {ends}; held out {mean(held_out):.4f}")


if __name__ == "__main__":
    from results.train import Config, main  # by the names that other processes know

    command.call(main, Config, __doc__)
