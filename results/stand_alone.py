"""The training loop of stand-alone networks. Called again with the same files it goes on where it was.

All randomness of an epoch comes from (seed, epoch): a resumed training is the uninterrupted one, bit for bit on CPU.
Two checkpoints: `last` goes on, `best` (the highest accuracy on the score images) holds what is kept.
"""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from results import regularise
from results.recipes import Recipe
from supernet import checkpoint
from supernet.data import Data
from supernet.draws import seeded
from supernet.files import Damaged
from supernet.memory import Context
from supernet.progress import Progress
from supernet.ranks import Team
from supernet.sources import Images
from supernet.steps import Steps
from supernet.stream import Stream

CHUNK = 500  # images evaluated at once
MEND = "begin again with a smaller --lr, and another --name if it has one"  # what to do if a loss is no number


class Files(NamedTuple):
    best: Path
    last: Path


class Trained(NamedTuple):
    """What a training works on: `net` learns, `kept` is judged and saved, the mean of its weights or `net` itself."""

    net: nn.Module
    kept: nn.Module
    optimizer: torch.optim.Optimizer


def fit(
    net: nn.Module,
    data: Data,
    recipe: Recipe,
    seed: int,
    files: Files,
    meta: dict,
    title: str,
    team: Team | None = None,
    context: Context = nullcontext,
) -> list[dict]:
    """Trains `net` from `files.last` if it is there; afterwards `net` holds the best weights, in eval mode.

    Each process of the `team` computes its share of every batch, forward passes within `context` (autocast); the first
    one writes. What a recipe mixes, it mixes within a share. Returns one row of figures per epoch.
    FloatingPointError if the loss is no number: `files.last` then holds the last good epoch.
    """
    learner, team = _learner(net, data, recipe, seed), team or Team()
    kept = copy.deepcopy(learner).eval() if recipe.ema else learner
    state = Trained(learner, kept, recipe.make_optimizer(learner))
    files.last.parent.mkdir(parents=True, exist_ok=True)
    history = team.in_turn(lambda: _restore(state, files.last, meta))
    with Progress(title, recipe.epochs, len(history)) as progress, regularise.drop_path(learner, recipe) as grow:
        for epoch in range(len(history), recipe.epochs):
            grow(epoch / recipe.epochs)
            start, rng = time.monotonic(), np.random.default_rng((seed, epoch))
            steps = Steps(progress, epoch, data, recipe, MEND)
            loss = team.mean(_epoch(state, data, recipe, steps, rng, team, context))
            team.average_statistics(learner)
            team.average_statistics(kept)
            seconds = time.monotonic() - start
            figures = {"loss": loss, **scores(_bare(kept), data.score, data.normalise, context)}
            best = max((row["accuracy"] for row in history), default=0.0)
            history.append({"epoch": epoch + 1, **figures, "seconds": seconds})
            if figures["accuracy"] >= best and team.first:
                checkpoint.save(files.best, _prefixed("net", _bare(kept)), {**meta, "best_epoch": epoch + 1})
            if team.first:
                checkpoint.save(files.last, _tensors(state, recipe), {**meta, "history": history}, True)
            progress.advance(1, **figures)
    tensors = team.in_turn(lambda: _best(files, meta["kind"]))
    checkpoint.fill(net, _part(tensors, "net"), files.best)
    net.eval()
    return history


def _best(files: Files, kind: str) -> dict[str, torch.Tensor]:
    """The weights kept; ValueError says how to make them again if they are lost."""
    try:
        return checkpoint.load(files.best, kind)[0]
    except (Damaged, FileNotFoundError) as error:
        parts = ", ".join(map(str, (files.best, files.last, checkpoint.previous(files.last))))
        raise ValueError(f"{files.best} is damaged or lost: delete {parts} to train anew") from error


def _learner(net: nn.Module, data: Data, recipe: Recipe, seed: int) -> nn.Module:
    """`net`, with a second classifier if the recipe has one."""
    if not recipe.auxiliary:
        return net
    with seeded(seed, data.mean.device):
        return regularise.Watched(net, data.normalise(data.train.images[:2]), len(data.classes))


def _bare(net: nn.Module) -> nn.Module:
    return net.net if isinstance(net, regularise.Watched) else net


def _epoch(state: Trained, data: Data, recipe: Recipe, steps: Steps, rng, team: Team, context: Context) -> float:
    """The mean loss of one epoch, of this process's images."""
    state.net.train()
    draws = int(rng.integers(2**63))
    with seeded(draws, data.mean.device):  # dropout and augmentation
        for images, labels in _batches(data, recipe, rng, team):
            for group in state.optimizer.param_groups:
                group["lr"] = steps.rate()
            loss = _update(state, images, labels, recipe, team, draws + steps.number, context)
            if recipe.ema:
                _average(state.kept, state.net, recipe.mean_decay(steps.number))
            steps.passed(loss)
    return steps.end(state.net)


def _batches(data: Data, recipe: Recipe, rng, team: Team) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of this process's shares of mini-batches, with all that the recipe does to them."""
    also = partial(regularise.randaugment, operations=recipe.randaugment) if recipe.randaugment else None
    for images, labels in data.batches(recipe.batch_size, rng, also, team.share):
        if recipe.cutout:
            images = regularise.cutout(images, recipe.cutout)
        yield regularise.mixed(images, labels, recipe, len(data.classes))


def _update(state: Trained, images, labels, recipe: Recipe, team: Team, seed: int, context: Context) -> torch.Tensor:
    """One step of the optimiser; the loss, detached."""

    def backward(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with context():
            loss = regularise.loss(state.net(images), labels, recipe)
        loss.backward()
        return loss.detach()

    state.optimizer.zero_grad()
    loss = team.step(state.net, backward, images, labels, seed)
    if recipe.clip:
        nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
    state.optimizer.step()
    return loss


@torch.no_grad()
def _average(mean: nn.Module, net: nn.Module, decay: float) -> None:
    """Moves `mean` towards `net`, BatchNorm statistics too, as timm does."""
    for slow, now in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(now, 1 - decay)
        else:
            slow.copy_(now)


def scores(
    net: nn.Module, images: Images | Stream, prepare: Callable, context: Context = nullcontext
) -> dict[str, float]:
    """Shares of images whose label is the first guess ("accuracy"), and among the first five ("top5")."""
    net.eval()
    right = torch.zeros(3, dtype=torch.int64, device=images.labels.device)
    with torch.inference_mode(), context():
        for x, y in images.chunks(CHUNK):
            logits = net(prepare(x))
            hits = logits.topk(min(5, logits.shape[1])).indices == y[:, None]
            right += torch.stack([hits[:, 0].sum(), hits.sum(), torch.ones_like(y).sum()])
    accuracy, top5, _ = (right / right[-1]).tolist()
    return {"accuracy": accuracy, "top5": top5}


def _prefixed(prefix: str, net: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in net.state_dict().items()}


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _tensors(state: Trained, recipe: Recipe) -> dict[str, torch.Tensor]:
    """All of a training: weights, their mean, and the optimiser's state parameter by parameter."""
    tensors = _prefixed("learner", state.net) | (_prefixed("mean", state.kept) if recipe.ema else {})
    for name, parameter in state.net.named_parameters():
        for key, value in state.optimizer.state[parameter].items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{key}/{name}"] = value
    return tensors


def _restore(state: Trained, path: Path, meta: dict) -> list[dict]:
    tensors, history = checkpoint.resume(path, meta, "--name")
    if not history:
        return []
    checkpoint.fill(state.net, _part(tensors, "learner"), path)
    if state.kept is not state.net:
        checkpoint.fill(state.kept, _part(tensors, "mean"), path)
    parameters = dict(state.net.named_parameters())
    for name, tensor in _part(tensors, "optimizer").items():
        key, _, of = name.partition("/")
        parameter = parameters[of]
        on_device = key != "step"  # PyTorch counts steps on the CPU
        like = torch.empty_like(parameter) if on_device else tensor  # its strides too
        state.optimizer.state[parameter][key] = like.copy_(tensor)
    return history
