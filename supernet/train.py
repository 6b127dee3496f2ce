"""Trains a supernet, fairly. Called again with the same --run it goes on where it was.

python supernet/train.py
python supernet/train.py --space fairnas --data folder --data-root DIR
torchrun --nproc-per-node 8 -- supernet/train.py --space fairnas --data folder --data-root DIR
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import shlex
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

import search_spaces
from search_spaces import SearchSpace
from supernet import checkpoint, command, fit, lock, prune, ranks, run_folder, sharing
from supernet.command import Text
from supernet.compute import Compute, Speed
from supernet.data import Data, DataConfig, load
from supernet.fairness import SAMPLERS, rounds, sampler
from supernet.finetune import FinetunedOracle
from supernet.kernels import quicken
from supernet.model import Supernet
from supernet.oracle import SupernetOracle, fresh_statistics
from supernet.ranks import Split, Team
from supernet.schedule import Schedule, drawer
from supernet.sharing import GroupedOracle, GroupedSupernet, Sharing
from supernet.step import FairStep, can_be_static, paths_that_fit

RECIPES = {  # by data set; FairNAS's is from memory of arXiv 1907.01845, section 4.2
    "digits": fit.Recipe(epochs=30, batch_size=64, lr=0.1, weight_decay=1e-3),
    "fairnas": fit.Recipe(epochs=150, batch_size=256, lr=0.045, weight_decay=4e-5),
}
WEIGHTS = "supernet.safetensors"
OF_IMAGES = ("image_size", "num_classes", "in_channels")  # of a space, but not its options
LATEST = 100  # steps whose paths are remembered, in case one goes wrong; more than between two looks at losses
PROBES = 8  # random paths whose mean accuracy is shown after every epoch
CALIBRATED = 128  # training images that measure their BatchNorm statistics


@dataclass(frozen=True)
class Config:
    """The supernet: its space, its images, its training."""

    run: Text = None
    """Run folder. Default: runs/SPACE-DATA-SEED."""
    seed: int = 0
    """Of every random choice but the split of the images."""
    space: str = "digits"
    """Search space: digits, fairnas, mobilenet_v2, proxyless, nas_bench_macro, darts, darts_s1, darts_s2, darts_s3,
    darts_s4, nas_bench_201 or three_edge."""
    space_options: tuple[str, ...] = ()
    """The space's own options, for example stem_stride=1."""
    images: DataConfig = field(default_factory=DataConfig)
    fairness: str = "strict"
    """Who trains next: strict or expectation (FairNAS), dealt (strict, but an update after every path), uniform (SPOS),
    or turns, each architecture in turn. A training makes equally many passes with each."""
    shared_gradient: str = "mean"
    """Of stem and head, which every pass of a strictly fair step uses: mean, or sum as in FairNAS's Algorithm 1."""
    schedule: Schedule = field(default_factory=Schedule)
    sharing: Sharing = field(default_factory=Sharing)
    snapshots: int = 0
    """Keep the weights of every so many epochs, which results/rank.py compares. 0: only the last."""
    training: fit.Training = field(default_factory=fit.Training)
    compute: Compute = field(default_factory=Compute)
    speed: Speed = field(default_factory=Speed)
    split: Split = field(default_factory=Split)

    def __post_init__(self):
        if self.fairness not in SAMPLERS:
            raise ValueError(f"unknown --fairness {self.fairness!r}; known are {', '.join(SAMPLERS)}")
        if self.space not in search_spaces.SPACES:
            raise ValueError(f"unknown search space {self.space!r}; known are {', '.join(search_spaces.SPACES)}")
        if self.shared_gradient not in ("mean", "sum"):
            raise ValueError(f"--shared-gradient must be mean or sum, got {self.shared_gradient!r}")
        for flag in ("seed", "snapshots"):
            if not 0 <= getattr(self, flag) < 2**63:
                raise ValueError(f"--{flag} must be from 0 to below 2^63, got {getattr(self, flag)}")
        self.recipe()

    @property
    def folder(self) -> Path:
        return Path(self.run or f"runs/{self.space}-{self.images.data}-{self.seed}")

    def recipe(self) -> fit.Recipe:
        return self.training.over(RECIPES.get(self.images.data, RECIPES["fairnas"]))


def read_options(texts: Sequence[str]) -> dict[str, int]:
    """What --space-options says; ValueError if it is not NAME=NUMBER."""
    options = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not (value.strip().isascii() and value.strip().isdigit()):
            raise ValueError(f"--space-options takes NAME=NUMBER, got {text!r}")
        if name.strip() in OF_IMAGES:
            raise ValueError(f"--space-options {text}: that follows from the images; --image-size resizes them")
        options[name.strip()] = int(value)
    return options


def load_space(config: Config, data: Data) -> SearchSpace:
    """The config's space for these images."""
    given = {"image_size": data.image_size, "num_classes": len(data.classes), "in_channels": data.channels}
    return search_spaces.load(config.space, **{**given, **read_options(config.space_options)})


def load_inputs(config: Config) -> tuple[SearchSpace, Data]:
    """The space and the images, on the device."""
    target = config.compute.target()
    data = load(config.images)
    if len(data.train.labels) < 2:
        raise ValueError("a supernet needs at least 2 training images, got 1")
    config.compute.set_threads(data.image_size)
    return load_space(config, data), data.to(target)


def make_net(config: Config, space: SearchSpace, device: torch.device) -> Supernet:
    """The supernet with its first weights."""
    net = sharing.build(space, config.sharing, config.seed)
    if config.schedule.prune:
        prune.watch(net, space)
    return quicken(net).to(device, memory_format=torch.channels_last)


def check(config: Config, space: SearchSpace) -> None:
    """ValueError for what this space cannot be trained with, before anything is written."""
    sampler(config.fairness, space)(config.seed, 0)
    if config.sharing != Sharing() or config.schedule.prune:
        make_net(config, space, torch.device("cpu"))


def restore(config: Config, space: SearchSpace, device: torch.device, path: Path) -> Supernet:
    """The supernet with the weights of the checkpoint or snapshot at `path`. Nothing is trained."""
    net = make_net(config, space, device)
    checkpoint.fill(net, fit.weights(checkpoint.load(path, "supernet")[0]), path)
    return net


def train(config: Config, space: SearchSpace, data: Data, team: Team | None = None) -> tuple[Supernet, list[dict]]:
    """The trained supernet, from the run folder as far as it is there, and its figures per epoch."""
    device, recipe, schedule = data.mean.device, config.recipe(), config.schedule
    net = make_net(config, space, device)
    team = team or Team(parts=config.split.parts)
    if config.split.sync_batch_norm:
        net = team.synchronised(net)
    step = cache(lambda: make_step(config, space, data, net, team))  # only a training that is not finished needs one
    draw = drawer(schedule, config.fairness, space, net, config.seed, data.steps(recipe.batch_size))
    matched = rounds(config.fairness, space.choices)
    recipe = replace(recipe, epochs=recipe.epochs * matched)
    probes = space.sample(np.random.default_rng(config.seed), PROBES)
    latest = deque(maxlen=LATEST)

    def backward(images, labels, number):
        paths = draw(number)
        losses = step()(images, labels, paths)
        latest.append((paths, losses))
        if config.shared_gradient == "mean":
            net.average(paths)
        return losses

    def evaluate(net):
        if schedule.prune:
            score = make_oracle(config, net, data, CALIBRATED).accuracy
            prune.after_epoch(net, schedule.prune, space.choices, recipe.epochs, config.seed, score)
            team.agreed(net.open)
        return mean_accuracy(config, net, data, probes)

    how = {"fairness": config.fairness, "shared_gradient": config.shared_gradient, "seed": config.seed}
    how |= vars(config.sharing) | vars(schedule)
    meta = {"kind": "supernet", "space": space.spec, "recipe": vars(recipe), **how}
    path = config.folder / WEIGHTS
    keep = config.snapshots * matched
    try:
        fitted = fit.fit(net, backward, evaluate, data, recipe, config.seed, path, meta, "supernet", keep, team)
    except FloatingPointError as error:
        raise FloatingPointError(f"{error}{_diverged(space, latest)}") from error
    return net, fitted


def _diverged(space: SearchSpace, latest: Iterable[tuple[np.ndarray, torch.Tensor]]) -> str:
    """Of the latest steps' paths (P, L) and losses (P,): which paths lost their numbers first, as a sentence."""
    for paths, losses in latest:
        fine = losses.isfinite().tolist()
        if not all(fine):
            bad = [space.code(path) for path, good in zip(paths, fine, strict=True) if not good]
            return f". It was that of {len(bad)} of {len(paths)} paths: {', '.join(bad)}"
    return ""  # it was another process's


def make_step(config: Config, space: SearchSpace, data: Data, net: Supernet, team: Team) -> FairStep:
    """The training step as the config and the device want it."""
    device, recipe, schedule = data.mean.device, config.recipe(), config.schedule
    context, size, static = config.compute.context(device), config.speed.paths_per_pass, None
    if config.fairness == "strict" and can_be_static(net, space.choices) and not schedule.prune:
        static = config.speed.static(net, recipe.loss, context, device)
    if not size and static and device.type == "cpu":
        size = max(space.choices)  # as it was asked for
    if not size:
        images, budget = data.normalise(data.train.images[:2]), config.speed.budget(device)
        batch = max(1, min(recipe.batch_size, len(data.train.labels)) // (team.size * team.parts))
        size = paths_that_fit(net, space.choices, images, batch, context, budget)
    together = config.split.sync_batch_norm and team.size > 1  # every pass: all processes take as many paths in it
    return FairStep(net, recipe.loss, team.least(size) if together else size, context, static, fixed=together)


def make_oracle(
    config: Config,
    net: Supernet,
    data: Data,
    recalibrate: int,
    cut: float | None = None,
    batch: bool = False,
    finetune: int = 0,
    by_loss: bool = False,
) -> SupernetOracle | GroupedOracle | FinetunedOracle:
    """The trained supernet as a judge on the score images; BatchNorm statistics from `recalibrate` training images.

    Or from the `batch` that is scored; every network may `finetune` for so many steps, or be scored `by_loss`.
    """
    device = data.mean.device
    calibration = data.train.images[:recalibrate] if recalibrate else None  # they are in random order
    limits = {"budget": config.speed.budget(device), "cut": cut, "context": config.compute.context(device)}

    def judge(net: Supernet) -> SupernetOracle:
        return SupernetOracle(net, *data.score, data.normalise, calibration, batch=batch, by_loss=by_loss, **limits)

    if finetune:
        return FinetunedOracle(net, judge(net), data, config.recipe(), finetune, config.seed)
    return GroupedOracle(net, judge) if isinstance(net, GroupedSupernet) else judge(net)


def mean_accuracy(config: Config, net: Supernet, data: Data, encodings: np.ndarray) -> float:
    """In [0, 1]: of encodings (N, L) on the score images, with BatchNorm statistics of their own, as in a search; those
    of the training mix all paths, with which cells seem far worse than they are. Takes no more memory than a path.
    """
    calibration, found = [data.normalise(data.train.images[:CALIBRATED])], []
    with config.compute.context(data.mean.device)():
        for model in (net.path(encoding).eval() for encoding in encodings):
            with fresh_statistics(model, calibration):
                found.append(fit.accuracy(model, *data.score, data.normalise).item())
    return float(np.mean(found))


def main(config: Config) -> None:
    with ranks.team(config.split.parts, config.compute.target()) as team:
        team.check(config.recipe().batch_size)
        space, data = team.in_turn(lambda: load_inputs(config))
        check(config, space)
        with lock.hold(config.folder / lock.NAME) if team.first else nullcontext():
            if team.first:
                run_folder.claim(config.folder, {"supernet": config}, space.spec, data.fingerprint())
            team.check_shared(config.folder)
            _, history = train(config, space, data, team)
        print(f"{space.name} supernet: mean accuracy of {PROBES} random paths {history[-1]['accuracy']:.3f}")
        print(f"written to {config.folder}; next: python evo/search.py --run {shlex.quote(str(config.folder))}")


if __name__ == "__main__":
    command.call(main, Config, __doc__)
