"""The steps of an epoch as they pass: their rate, their losses, how fast they go. Every training loop has them."""

import time
from typing import NoReturn

import torch
from torch import nn

from supernet.data import Data
from supernet.progress import Progress

LOOK = 50  # steps between two looks at the losses, each of which a GPU must be waited for


class Steps:
    """Those of epoch number `epoch`, from 0. `mend` is what a person should do if a loss is no number.

    `recipe` has a `batch_size`, and `rate` gives the learning rate after so many epochs.
    """

    def __init__(self, progress: Progress, epoch: int, data: Data, recipe, mend: str):
        self.progress, self.epoch, self.recipe, self.mend = progress, epoch, recipe, mend
        self.total, self.batch = data.steps(recipe.batch_size), min(recipe.batch_size, len(data.train.labels))
        self.losses: list[torch.Tensor] = []
        self.start = time.monotonic()

    @property
    def number(self) -> int:
        """Of the next step, counted from 0 over all epochs."""
        return self.epoch * self.total + len(self.losses)

    def rate(self) -> float:
        """The learning rate of the next step."""
        return self._rate(len(self.losses))

    def _rate(self, step: int) -> float:
        return self.recipe.rate(self.epoch + step / self.total)

    def passed(self, loss: torch.Tensor) -> None:
        """A step is done, its mean loss a scalar; FloatingPointError names the first that was no number."""
        self.losses.append(loss)
        done = len(self.losses)
        if done % LOOK == 0 or done == self.total:
            self._look(torch.stack(self.losses[-LOOK:]))
        self.progress.part(done / self.total, **self.figures())

    def figures(self) -> dict[str, float]:
        return {"images/s": len(self.losses) * self.batch / max(1e-9, time.monotonic() - self.start)}

    def _look(self, losses: torch.Tensor) -> None:
        for i in (~losses.isfinite()).nonzero().flatten().tolist():
            self._fail(f"the loss became {losses[i].item()}", len(self.losses) - len(losses) + i)

    def end(self, net: nn.Module) -> float:
        """The mean of all losses; FloatingPointError if the last step left weights that are no numbers."""
        if not torch.stack([tensor.isfinite().all() for tensor in net.state_dict().values()]).all():
            self._fail("weights are no numbers any more", len(self.losses) - 1)
        return torch.stack(self.losses).double().mean().item()

    def _fail(self, what: str, step: int) -> NoReturn:
        raise FloatingPointError(
            f"{what} in epoch {self.epoch + 1}, step {step + 1}, at learning rate {self._rate(step):.3g}; "
            f"the last good checkpoint is kept: {self.mend}"
        )
