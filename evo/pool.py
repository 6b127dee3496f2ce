"""The supernet oracle on many processors: a pool of Ray actors, one supernet each, that share out a population.

A population is cut into pieces of its trie, so that nearly all shared prefixes stay shared. Any worker may do any
piece, twice if need be: a score depends on nothing but the encoding, and the first answer is taken. What dies is
replaced, and its piece given to another. Shapes: N population, L layers.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

import search_spaces
from evo import cluster
from search_spaces import SearchSpace
from supernet import train, trie
from supernet.data import Data
from supernet.model import Supernet
from supernet.sources import Images

PIECES = 3  # per worker and population: fewer share more, more wait less for the last one
STRAGGLES = 3.0  # times as long as a piece usually takes: then an idle worker repeats it
LOOK = 0.1  # seconds between two looks at who straggles
PATIENCE = 30.0  # seconds without any worker, until it is said
DEATHS = 10  # of workers, one after another without any answer, are no accident


class Judge(NamedTuple):
    """All that makes a worker's oracle, arrays by name: weights, images, labels."""

    config: train.Config
    space: dict
    recalibrate: int
    how: dict
    weights: dict[str, np.ndarray]
    images: dict[str, np.ndarray]


class Worker:
    """A Ray actor: one supernet on one GPU or one core."""

    def begin(self, wanted: dict[str, str]) -> None:
        """ValueError if something here has another version than `wanted`."""
        cluster.same(wanted)
        torch.set_num_threads(1)

    def load(self, judge: Judge) -> None:
        device = judge.config.compute.target()
        net = train.make_net(judge.config, search_spaces.load(**judge.space), device)
        net.load_state_dict({name: torch.tensor(array) for name, array in judge.weights.items()})
        images = {name: torch.tensor(array, device=device) for name, array in judge.images.items()}
        calibration, held_out = (Images(images[part], images[f"{part}_labels"]) for part in ("train", "score"))
        data = Data("", (), calibration, held_out, held_out, images["mean"], images["std"], 0, False)
        self.oracle = train.make_oracle(judge.config, net, data, judge.recalibrate, **judge.how)

    def score(self, encodings: np.ndarray) -> np.ndarray:
        return self.oracle.accuracy(encodings)


class Board:
    """What is still to do of a population."""

    def __init__(self, pieces: int):
        self.left, self.waiting = set(range(pieces)), deque(range(pieces))


class Work(NamedTuple):
    """What a worker does: a piece of a board, or with no board getting ready; and the judge that it then has."""

    worker: object
    judge: object
    board: Board | None = None
    piece: int = -1
    since: float = 0.0


class Pool:
    """The supernet oracle's face. On CPUs the scores are the local oracle's, bit for bit.

    A worker per GPU of the cluster; one per core if `device` is cpu or there is no GPU. It begins with the first, or
    without any once the caller has `left`.
    """

    def __init__(self, ray: ModuleType, device: str = "auto", left: threading.Event | None = None):
        self.ray, self.versions, self.judge = ray, cluster.versions(), None
        self.device, share = cluster.share(ray, device)
        self.actor = ray.remote(**share)(Worker)
        self.kind = "GPU" if self.device == "cuda" else "CPU"
        self.idle: list = []
        self.running: dict[object, Work] = {}
        self.times: deque[float] = deque(maxlen=100)  # seconds that the last pieces took
        self.deaths, self.heard = 0, time.monotonic()
        self._hire()
        while not (self.idle or (left and left.is_set())):  # other versions are refused now, not after a training
            list(self._answers())

    def send(
        self, config: train.Config, space: SearchSpace, net: Supernet, data: Data, recalibrate: int, how: dict
    ) -> "Pool":
        """Gives the trained supernet, the images and `how` else it is asked to every worker, those to come too; they
        travel once.
        """
        images = {"train": data.train.images[:recalibrate], "train_labels": data.train.labels[:recalibrate]}
        images |= {"score": data.score.images, "score_labels": data.score.labels, "mean": data.mean, "std": data.std}
        weights, images = ({name: t.cpu().numpy() for name, t in d.items()} for d in (net.state_dict(), images))
        self.judge = self.ray.put(Judge(self._settings(config), space.spec, recalibrate, how, weights, images))
        idle, self.idle = self.idle, []
        for worker in idle:
            self._ready(worker)
        return self

    def _settings(self, config: train.Config) -> train.Config:
        """The config for a worker; what activations may take is shared by the cores of a machine."""
        speed = config.speed
        if self.device == "cpu" and speed.memory is None:
            cores = max(node["Resources"].get("CPU", 1) for node in self.ray.nodes() if node["Alive"])
            speed = replace(speed, memory=str(int(speed.budget(torch.device("cpu")) // cores)))
        return replace(config, compute=replace(config.compute, device=self.device, threads=1), speed=speed)

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64, each in [0, 1], whatever dies meanwhile."""
        encodings, scores = np.asarray(encodings), np.full(len(encodings), np.nan)
        self._hire()
        pieces = trie.pieces(encodings, PIECES * (len(self.idle) + len(self.running)))
        board = Board(len(pieces))
        while board.left:
            while self.idle and (piece := self._next(board)) is not None:
                worker = self.idle.pop()
                work = Work(worker, self.judge, board, piece, time.monotonic())
                self.running[worker.score.remote(encodings[pieces[piece]])] = work
            for work, found in self._answers():
                if work.board is board and work.piece in board.left:
                    board.left.remove(work.piece)
                    scores[pieces[work.piece]] = found
        return scores

    def _next(self, board: Board) -> int | None:
        """The next piece to hand out: one that nobody has, or else the one that straggles most."""
        if board.waiting:
            return board.waiting.popleft()
        at = [work for work in self.running.values() if work.board is board and work.piece in board.left]
        alone = [work for work in at if [other.piece for other in at].count(work.piece) == 1]
        slow = min(alone, key=lambda work: work.since, default=None)
        if slow is None or not self.times or time.monotonic() - slow.since < max(LOOK, STRAGGLES * median(self.times)):
            return None
        return slow.piece

    def _answers(self) -> Iterator[tuple[Work, np.ndarray]]:
        """Waits a moment for workers; one that answered is idle again, one that died is replaced."""
        errors = self.ray.exceptions
        ready, _ = self.ray.wait(list(self.running), timeout=LOOK)
        self._patience(bool(ready))
        for reference in ready:
            work = self.running.pop(reference)
            try:
                found = self.ray.get(reference)
            except errors.RayError as error:
                if isinstance(error, errors.RayTaskError) and not isinstance(error.cause, errors.RayError):
                    raise error.cause from None  # the worker's own
                self._replace(work, error)
                continue
            self.deaths = 0
            if work.judge is self.judge:
                self.idle.append(work.worker)
            else:
                self._ready(work.worker)
            if work.board is not None:
                self.times.append(time.monotonic() - work.since)
                yield work, found

    def _ready(self, worker: object) -> None:
        self.running[worker.load.remote(self.judge)] = Work(worker, self.judge)

    def _replace(self, work: Work, error: Exception) -> None:
        self.deaths += 1
        if self.deaths == DEATHS:
            raise ValueError(f"{DEATHS} Ray workers died one after another, the last one so: {error}") from error
        self.ray.kill(work.worker)  # one that was only out of reach must not keep its place
        others = [(other.board, other.piece) for other in self.running.values()]
        if work.board is not None and work.piece in work.board.left and (work.board, work.piece) not in others:
            work.board.waiting.append(work.piece)
        self._hire()

    def _hire(self) -> None:
        """As many workers as the cluster has room for."""
        room = max(1, int(self.ray.cluster_resources().get(self.kind, 0)))
        for _ in range(room - len(self.idle) - len(self.running)):
            worker = self.actor.remote()
            self.running[worker.begin.remote(self.versions)] = Work(worker, None)

    def _patience(self, heard: bool) -> None:
        """Says so, now and then, if no worker is there."""
        if heard or any(work.board is not None for work in self.running.values()):
            self.heard = time.monotonic()
        elif time.monotonic() - self.heard > PATIENCE:
            self.heard = time.monotonic()
            print(f"waiting for a Ray worker: has the cluster a free {self.kind}?", file=sys.stderr, flush=True)


@contextmanager
def begin(address: str, device: str) -> Iterator[Callable[[], Pool]]:
    """Makes a pool while the caller goes on; the function that is given waits for it. Who leaves needs it no more.

    A cluster at a HOST:PORT runs already: it is waited for here, so that ValueError ends what it must not begin.
    """
    cluster.check(address)
    executor, left = ThreadPoolExecutor(1), threading.Event()
    made = executor.submit(lambda: Pool(cluster.connect(address), device, left))
    executor.shutdown(wait=False)
    try:
        if address != cluster.AUTO:
            made.result()
        yield made.result
    finally:
        left.set()  # else Python would wait at its end for a worker, which a full cluster never has
