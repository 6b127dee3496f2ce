"""Many trainings at once: Ray tasks that write into one run folder, as one after another they would.

A task whose worker dies is begun again, maybe on another machine, from the last checkpoint of its network.
"""

import contextlib
import io
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from evo import cluster
from supernet import lock
from supernet.progress import Progress

Train = Callable[..., list[dict]]  # a config of results/train.py -> the cards of what it trains


def run(address: str, train: Train, configs: Sequence, folder: Path) -> list[dict]:
    """All cards of `train` on each of the `configs`, and on the screen what it prints, in their order.

    ValueError if the cluster does not share the disk of the run `folder`.
    """
    ray = cluster.connect(address)
    device, share = cluster.share(ray, configs[0].compute.device, configs[0].compute.threads or 1)
    compute = replace(configs[0].compute, device=device, threads=configs[0].compute.threads or 1)
    task, cards = ray.remote(**share)(_train), []
    with _mark(folder) as mark, Progress("networks", len(configs)) as progress:
        shared = (train, mark, os.getcwd(), cluster.versions())
        asked = [(replace(config, compute=compute), f"{mark} {i}") for i, config in enumerate(configs)]
        for reference in [task.remote(*own, *shared) for own in asked]:
            try:
                found, text = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                raise ValueError(f"a training was lost more than once ({error}); the same command goes on") from error
            print(text, end="")
            cards += found
            progress.advance(len(found), accuracy=found[-1]["test_accuracy"])
    return cards


@contextlib.contextmanager
def _mark(folder: Path) -> Iterator[str]:
    """While open a file is in the folder that no other folder has."""
    path = folder / f".shared-{secrets.token_hex(8)}"
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _train(config, job: str, train: Train, mark: str, place: str, versions: dict[str, str]) -> tuple[list[dict], str]:
    """In a worker, from the caller's own `place`: the cards, and what was printed. No two `job`s are of one name."""
    cluster.same(versions)
    if not (Path(place) / mark).exists():
        raise ValueError(
            f"{Path(place) / config.run} is not there on {socket.gethostname()}, or another folder than here: "
            "the run must lie on a disk that the whole cluster shares"
        )
    os.environ[lock.JOB] = job  # this process is Ray's: each of its tasks says its own
    with contextlib.chdir(place), contextlib.redirect_stdout(io.StringIO()) as printed:
        return train(config), printed.getvalue()
