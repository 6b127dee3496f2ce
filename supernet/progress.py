"""What a person sees while a long part runs: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

PLAIN_SECONDS = 10.0  # between two lines where there is no terminal


class Progress:
    """`with Progress("supernet", 60) as p: p.advance(1, loss=0.5)`. Writes to stderr, never to stdout."""

    def __init__(self, title: str, total: int, done: int = 0):
        self.title, self.total, self.done, self.first = title, total, done, done
        self.figures: dict[str, float] = {}
        self.start = self.printed = time.monotonic()
        console = Console(stderr=True)
        self.bar = None
        if console.is_terminal:
            columns = (BarColumn(bar_width=8), TextColumn("{task.completed:.10g}/{task.total}"), TimeElapsedColumn())
            text = TextColumn("{task.fields[figures]}")
            left = TimeRemainingColumn(compact=True)
            self.bar = Bar(TextColumn("{task.description}"), *columns, TextColumn("left"), left, text, console=console)
            self.task = self.bar.add_task(title, total=total, completed=done, figures="")

    def __enter__(self) -> "Progress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *exception) -> None:
        if self.bar:
            self.bar.stop()

    def advance(self, n: int = 1, **figures: float) -> None:
        """n more are done; figures are shown as they now stand."""
        self.done += n
        self.figures = figures | {name: value for name, value in self.figures.items() if name not in figures}
        self.part(0.0)

    def part(self, share: float, **figures: float) -> None:
        """So much of the next one, 0..1, is done; figures that are not given stay."""
        self.figures |= figures
        done = round(self.done + share, 2)
        text = " ".join(f"{name} {_number(value)}" for name, value in self.figures.items())
        if self.bar:
            self.bar.update(self.task, completed=done, figures=text)
        elif (self.done >= self.total and not share) or time.monotonic() - self.printed >= PLAIN_SECONDS:
            self.printed = time.monotonic()
            elapsed = self.printed - self.start
            left = elapsed / max(0.01, done - self.first) * (self.total - done)
            times = f"{elapsed:.0f} s, {left:.0f} s left"
            print(f"{self.title} {done:.10g}/{self.total}  {text}  {times}", file=sys.stderr, flush=True)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
