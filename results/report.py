"""Writes a run as one page that opens from a file, RUN/report.html, and its front as RUN/front.csv.
Works while a search runs, and on what is left of a damaged folder.

    python results/report.py RUN
    python results/report.py RUN --live        # written after every generation, shown on this machine
    python results/report.py RUN --figures     # the same as PNG and SVG in RUN/figures/
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import csv
import io
import shlex
from dataclasses import dataclass
from pathlib import Path

from results import elsewhere, page, reading
from supernet import command
from supernet.command import Run
from supernet.files import write


@dataclass(frozen=True)
class Config:
    """What to write."""

    run: Run
    """Run folder."""
    figures: bool = False
    """Also draw every figure for papers, as PNG and SVG."""
    tensorboard: bool = False
    """Also write training and search as TensorBoard's scalars, RUN/tensorboard/."""
    optuna: bool = False
    """Also write the search as an Optuna study, RUN/optuna.journal; optuna-dashboard shows it."""
    live: bool = False
    """Write the page after every generation and serve it on this machine alone, until Ctrl-C."""
    port: int = 8000
    """Where --live serves it; 0: any that is free."""

    def __post_init__(self):
        if not 0 <= self.port < 2**16:
            raise ValueError(f"--port must be from 0 to 65535, got {self.port}")


def write_page(folder: Path, live: bool = False) -> reading.Run:
    """report.html and front.csv; returns what they were made of."""
    run = reading.read(folder)
    write(folder / "report.html", page.render(run, live).encode())
    write(folder / "front.csv", table(run).encode())
    return run


def table(run: reading.Run) -> str:
    """The front as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*run.names, "proposer", "encoding"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**point, "encoding": " ".join(map(str, point["encoding"]))} for point in run.points())
    return text.getvalue()


def main(config: Config) -> None:
    folder = Path(config.run)
    if config.live:
        from results import live

        live.serve(folder, config.port, write_page)
        return
    run = write_page(folder)
    for problem in run.problems:
        print(f"not read: {problem}")
    size = (folder / "report.html").stat().st_size / 1e6
    print(f"written: {folder / 'report.html'} ({size:.1f} MB, {len(run.scored.rows):,} architectures), front.csv")
    if config.figures:
        from results import figures

        print(f"figures: {', '.join(figures.draw(run, folder / 'figures'))} in {folder / 'figures'}")
    if config.tensorboard:
        written = shlex.quote(str(elsewhere.tensorboard(run, folder / "tensorboard")))
        print(f"for TensorBoard: tensorboard --logdir {written}")
    if config.optuna:
        print(f"for Optuna: optuna-dashboard {shlex.quote(str(elsewhere.optuna(run, folder / 'optuna.journal')))}")


if __name__ == "__main__":
    command.call(main, Config, __doc__)
