"""Trains a mixed network and its alphas, and says after every epoch what architecture they mean.

All randomness of an epoch comes from (seed, epoch): a search that was stopped goes on as if it had not been.
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.func import functional_call
from torch.nn import functional as F

from evo.proposals import health, mixed
from evo.proposals.discretise import discretise
from evo.proposals.levels import Step, Tensors, gradients
from evo.proposals.methods import Method
from evo.proposals.relaxation import Alphas, Mixture
from search_spaces import SearchSpace
from supernet import checkpoint, fit
from supernet.data import Data
from supernet.draws import seeded
from supernet.memory import Context
from supernet.progress import Progress
from supernet.sources import Images

MOMENTUM, CLIP = 0.9, 5.0
Batch = tuple[torch.Tensor, torch.Tensor]  # images (B, C, H, W), labels (B,)


class Relaxed:
    """A method at work on a space: the mixed network's weights, the alphas, and the optimiser of each.

    Forward passes are entered with `context`, autocast or nothing; not those whose gradients are subtracted from one
    another, which is the whole of an unrolled level: half the digits leave nothing of a small difference.
    """

    def __init__(
        self,
        method: Method,
        space: SearchSpace,
        seed: int,
        device: torch.device | str = "cpu",
        context: Context = nullcontext,
    ):
        self.context = nullcontext if method.level.unrolled else context
        generator = torch.Generator().manual_seed(seed)
        self.method, self.space, self.relaxation = method, space, method.relaxation
        self.groups = self.relaxation.groups(space)
        net = mixed.build(space, self.relaxation, self.groups, generator)
        self.net = net.to(device, memory_format=torch.channels_last)
        self.weights = dict(self.net.named_parameters())
        drawn = self.relaxation.alphas(self.groups, generator)
        self.alphas: Alphas = {name: alpha.to(device).requires_grad_() for name, alpha in drawn.items()}
        self.sgd = torch.optim.SGD(self.weights.values(), method.lr, MOMENTUM, weight_decay=method.decay)
        rates = {"lr": method.alpha_lr, "betas": method.alpha_betas, "weight_decay": method.alpha_decay}
        self.adam = torch.optim.Adam(self.alphas.values(), **rates)
        self.progress = 0.0  # share of the epochs that are done

    def mixture(self, alphas: Alphas | None = None) -> Mixture:
        return self.relaxation.mixture(self.alphas if alphas is None else alphas, self.groups, self.progress)

    def loss(self, weights: Tensors, alphas: Alphas, batch: Batch, context: Context | None = None) -> torch.Tensor:
        """Cross-entropy, with these weights in place of the network's."""
        images, labels = batch
        own = weights is self.weights
        mixture = self.mixture(alphas)
        with (context or self.context)():
            logits = self.net(images, mixture) if own else functional_call(self.net, weights, (images, mixture))
        return F.cross_entropy(logits.float() if logits.dtype == torch.bfloat16 else logits, labels)

    def begin(self, epoch: int) -> None:
        """Sets the learning rate and the noise of this epoch."""
        self.progress = epoch / self.method.epochs
        low, high = self.method.lr_min, self.method.lr
        self.sgd.param_groups[0]["lr"] = low + (high - low) * (1 + math.cos(math.pi * self.progress)) / 2

    def step_alphas(self, train: Batch, val: Batch) -> None:
        group = self.sgd.param_groups[0]
        state = {name: self.sgd.state[weight].get("momentum_buffer") for name, weight in self.weights.items()}
        momentum = {name: MOMENTUM * buffer for name, buffer in state.items() if buffer is not None}
        step = Step(group["lr"], self.method.decay, momentum)
        gradient = self.method.level.gradient(self.loss, self.weights, self.alphas, train, val, step)
        for alpha, part in zip(self.alphas.values(), gradient, strict=True):
            alpha.grad = part
        if self.relaxation.zero_one:
            self.relaxation.penalty(self.alphas).backward()  # adds to the gradients
        self.adam.step()

    def step_weights(self, train: Batch) -> torch.Tensor:
        """Returns the loss before the step. The alphas get no gradient, so nothing is kept for one."""
        fixed = {name: alpha.detach() for name, alpha in self.alphas.items()}
        loss = self.loss(self.weights, fixed, train)
        for weight, part in zip(self.weights.values(), gradients(loss, self.weights), strict=True):
            weight.grad = part
        torch.nn.utils.clip_grad_norm_(self.weights.values(), CLIP)
        self.sgd.step()
        return loss.detach()

    def encoding(self) -> tuple[int, ...]:
        """What the alphas mean now."""
        with torch.no_grad():
            return discretise(self.space, self.groups, self.mixture(), self.method.threshold)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that a checkpoint needs."""
        tensors = {f"net.{name}": weight for name, weight in self.weights.items()}
        tensors |= {f"alpha.{name}": alpha for name, alpha in self.alphas.items()}
        for prefix, optimizer, parameters in self._optimizers():
            for name, parameter in parameters.items():
                for key, value in optimizer.state[parameter].items():
                    tensors[f"{prefix}.{key}.{name}"] = value
        return tensors

    def load(self, tensors: dict[str, torch.Tensor], path: Path) -> None:
        """What `state` gave, from the checkpoint at `path`; ValueError if it is another network's."""
        checkpoint.fill(self.net, fit.weights(tensors), path)
        with torch.no_grad():
            for name, alpha in self.alphas.items():
                alpha.copy_(tensors[f"alpha.{name}"])
        for prefix, optimizer, parameters in self._optimizers():
            for key in ("momentum_buffer", "step", "exp_avg", "exp_avg_sq"):
                for name, parameter in parameters.items():
                    saved = tensors.get(f"{prefix}.{key}.{name}")
                    if saved is not None:
                        like = saved if key == "step" else torch.empty_like(parameter)  # its strides too
                        optimizer.state[parameter][key] = like.copy_(saved)

    def _optimizers(self):
        return (("sgd", self.sgd, self.weights), ("adam", self.adam, self.alphas))


class Epoch(NamedTuple):
    """Figures of one epoch. `weights` is group -> (E, K) lists, `encoding` what they mean."""

    epoch: int
    loss: float
    accuracy: float
    encoding: list[int]
    skips: int
    entropy: float
    eigenvalue: float | None
    weights: dict[str, list]
    seconds: float


def relax(
    method: Method,
    space: SearchSpace,
    data: Data,
    seed: int,
    path: Path,
    stop: str = "never",
    context: Context = nullcontext,
) -> tuple[Relaxed, list[dict]]:
    """The method after its epochs, from `path` if it holds a checkpoint, and a row of `Epoch` for each.

    With `stop` it ends early, with the epoch that the rule returns to as the last row, and says so: see `health`.
    ValueError for a space that cannot be relaxed so; FloatingPointError if loss, alphas or weights are no numbers:
    `path` then holds the last good epoch.
    """
    if stop not in health.STOPS:
        raise ValueError(f"unknown rule {stop!r} to stop by; known are {', '.join(health.STOPS)}")
    relaxed = Relaxed(method, space, seed, data.mean.device, context)
    meta = {"kind": "relaxation", "space": space.spec, "method": repr(method), "seed": seed}
    path.parent.mkdir(parents=True, exist_ok=True)
    history = _restore(relaxed, path, meta)
    with Progress(method.name, method.epochs, len(history)) as progress:
        for epoch in range(len(history), method.epochs):
            if stopped(method, history, stop) is not None:
                break
            row = _epoch(relaxed, data, seed, epoch, path)
            history.append(row._asdict())
            checkpoint.save(path, relaxed.state(), {**meta, "history": history}, True)
            progress.advance(1, loss=row.loss, accuracy=row.accuracy, skips=row.skips)
    last = stopped(method, history, stop)
    if last is None:
        return relaxed, history
    print(f"{method.name}: --proposer-stop {stop} takes epoch {last + 1} of {len(history)} trained as the last")
    return relaxed, history[: last + 1]


def stopped(method: Method, history: Sequence[dict], stop: str) -> int | None:
    """See `health.stopped`; while the alphas rest, what they mean is chance, no sign of how the search fares."""
    found = health.stopped(history[method.resting :], stop)
    return None if found is None else method.resting + found


def _epoch(relaxed: Relaxed, data: Data, seed: int, epoch: int, path: Path) -> Epoch:
    start, method = time.monotonic(), relaxed.method
    rngs = [np.random.default_rng((seed, epoch, part)) for part in range(3)]
    train, val = halves(data)
    relaxed.begin(epoch)
    relaxed.net.train()
    losses = []
    with seeded(int(rngs[2].integers(2**63)), data.mean.device):  # noise and dropout
        batches = [part.batches(method.batch_size, rng) for part, rng in zip((train, val), rngs[:2], strict=True)]
        for train_batch, val_batch in zip(*batches, strict=False):
            if epoch >= method.resting:
                relaxed.step_alphas(train_batch, val_batch)
            losses.append(relaxed.step_weights(train_batch))
        sharpness = _eigenvalue(relaxed, val_batch, seed) if epoch % health.EVERY == 0 else None
    loss = torch.stack(losses).mean().item()
    learnt = (*relaxed.alphas.values(), *relaxed.weights.values())
    if not (math.isfinite(loss) and torch.stack([tensor.isfinite().all() for tensor in learnt]).all()):
        saved = f"the last good epoch is saved in {path}" if epoch else "no epoch was good"
        raise FloatingPointError(
            f"{method.name}: the loss, the alphas or the weights became no numbers in epoch {epoch + 1}; {saved}. "
            "Begin again in another --run with other settings"
        )
    mixture, encoding = relaxed.mixture(), relaxed.encoding()
    with torch.no_grad(), relaxed.context():
        judged = in_random_order(data.score)
        accuracy = fit.accuracy(lambda images: relaxed.net.eval()(images, mixture), *judged, data.normalise).item()
    weights = {name: options.tolist() for name, options in mixture.options.items()}
    entropy = health.entropy(relaxed.relaxation, relaxed.alphas, relaxed.groups)
    count = health.skips(relaxed.space, encoding)
    row = (epoch + 1, loss, accuracy, list(encoding), count, entropy, sharpness, weights)
    return Epoch(*row, time.monotonic() - start)


def halves(data: Data) -> tuple[Data, Data]:
    """The training images in two: those of the weights, and those of the alphas."""
    middle = len(data.train.labels) // 2
    parts = np.split(np.arange(len(data.train.labels)), [middle])
    first, second = (data._replace(train=data.train.take(part)) for part in parts)
    return first, second


def in_random_order(images: Images) -> Images:
    """Always the same order: in a folder's own, class by class, the BatchNorms, which keep no statistics, would take
    those of chunks of one class.
    """
    return images.take(np.random.default_rng(0).permutation(len(images.labels)))


def _eigenvalue(relaxed: Relaxed, batch: Batch, seed: int) -> float:
    def gradient(alphas: Alphas) -> Sequence[torch.Tensor]:
        return gradients(relaxed.loss(relaxed.weights, alphas, batch, nullcontext), alphas)

    relaxed.net.eval()  # without noise or dropout the loss is a function
    try:
        return health.dominant_eigenvalue(gradient, relaxed.alphas, torch.Generator().manual_seed(seed))
    finally:
        relaxed.net.train()


def _restore(relaxed: Relaxed, path: Path, meta: dict) -> list[dict]:
    tensors, history = checkpoint.resume(path, meta, "--run")
    if history:
        relaxed.load(tensors, path)
        relaxed.begin(len(history) - 1)
    return history
