"""What a run's supernet says of networks, and in which way it is asked.

Shapes: N networks, L decisions.
"""

import copy
import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from evo.mending import Mending, Scores
from supernet import checkpoint, files, fit, run_folder, train, untrained
from supernet.command import Text, Whole
from supernet.compute import Compute, precision
from supernet.progress import Progress
from supernet.train import WEIGHTS

RECALIBRATE = 500  # as in evo/search.py
SEED = {"seed", "order_seed", "snapshots", "data_root"}  # settings in which runs of the same kind may differ
PIECE = 25  # networks whose scores are kept together: a stopped call loses no more


@dataclass(frozen=True)
class Reading:
    """How accuracies are read from the supernet."""

    recalibrate: Whole = None
    """Training images that measure each network's BatchNorm statistics; 0: the running ones. Default: as the run."""
    batch_statistics: bool = False
    """Take the statistics of the scored images' own batches instead."""
    average: int = 1
    """Mean accuracy over so many of the last snapshots, the end of the training included."""
    finetune: int = 0
    """Steps that each network trains alone on what it inherits, before it is scored."""
    by_loss: bool = False
    """Read likelihoods, exp(-cross-entropy), in place of accuracies; so is a run read that was searched by them."""
    mending: Mending = field(default_factory=Mending)

    @property
    def searched(self) -> bool:
        """Whether a search can read scores so."""
        return self.average == 1 and not self.finetune and not self.batch_statistics

    def __post_init__(self):
        if self.recalibrate is not None and (self.recalibrate < 0 or self.recalibrate == 1):
            raise ValueError(f"--recalibrate must be 0 or at least 2, got {self.recalibrate}")
        if self.batch_statistics and self.recalibrate:
            raise ValueError("--batch-statistics and --recalibrate are two answers to the same question: give one")
        if self.average < 1 or self.finetune < 0:
            raise ValueError(f"need --average >= 1 and --finetune >= 0, got {self.average} and {self.finetune}")


class Judged:
    """A run's supernet, and what it says of networks. ValueError if the run or its images are not there."""

    def __init__(self, run: str, reading: Reading, compute: Compute, data_root: Text = None):
        self.folder, self.reading = Path(run), reading
        self.saved = run_folder.require(self.folder)
        settings = self.saved["settings"].get("supernet", {})
        settings = settings if data_root is None else {**settings, "data_root": data_root}
        merged = run_folder.merge(train.Config(), {"supernet": settings})
        self.config = replace(merged, run=run, compute=compute)
        self.space, self.data = train.load_inputs(self.config)
        if self.data.fingerprint() != self.saved["data"]:
            raise ValueError(f"the images are not those that {self.folder} learned; give their place by --data-root")
        own = self.saved["settings"].get("search", {}).get("recalibrate", RECALIBRATE)
        self.recalibrate = own if reading.recalibrate is None else reading.recalibrate
        self.by_loss = reading.by_loss or run_folder.by_loss(self.saved)

    def epochs(self) -> dict[int, Path]:
        """The weights after every epoch that was kept, the last one's included, in their order."""
        last = self.folder / WEIGHTS
        if not last.exists():
            run = shlex.quote(str(self.folder))
            raise ValueError(f"{last} is missing: python supernet/train.py --run {run} trains a supernet")
        return {**fit.snapshots(last), len(checkpoint.meta(last, "supernet")["history"]): last}

    def progress(self) -> tuple[int, int]:
        """Epochs that its supernet is trained for, and those that its whole training takes."""
        meta = checkpoint.meta(self.folder / WEIGHTS, "supernet")
        return len(meta["history"]), meta["recipe"]["epochs"]

    def along(self, encodings: np.ndarray, early: bool = True) -> dict[int, np.ndarray]:
        """Accuracies (N,) of the encodings (N, L) after every epoch that was kept; without `early`, after the last.

        ValueError if there are fewer epochs than are to be averaged over.
        """
        kept, average = self.epochs(), self.reading.average
        if len(kept) < average:
            raise ValueError(
                f"--average {average} needs as many epochs, {self.folder} kept {len(kept)}: train with --snapshots"
            )
        paths = kept if early else dict(list(kept.items())[-average:])
        scores = {epoch: self._scores(path, encodings, self.by_loss) for epoch, path in paths.items()}
        rows = np.array(list(scores.values()))
        means = [rows[end - average : end].mean(0) for end in range(average, len(rows) + 1)]
        return dict(zip(list(scores)[average - 1 :], means, strict=True))

    def scores(self, encodings: np.ndarray) -> np.ndarray:
        """Accuracies (N,) of the encodings (N, L) at the end of the training."""
        return list(self.along(encodings, early=False).values())[-1]

    def likelihoods(self, encodings: np.ndarray) -> np.ndarray:
        """exp(-cross-entropy) (N,) of the encodings (N, L) at the end of the training."""
        return self._scores(list(self.epochs().values())[-1], encodings, by_loss=True)

    def mended(self, encodings: np.ndarray) -> np.ndarray:
        """Accuracies (N,) of the encodings (N, L) that a search so mended would take for the scores."""
        return self.reading.mending.of(self.space, self.scores, self.config.seed, self.told())(encodings)

    def told(self) -> dict[str, Scores]:
        """What tells of networks before any training, by the weights that a search with this seed draws."""
        return {name: partial(self._untrained, name) for name in untrained.MEASURES}

    def _untrained(self, name: str, encodings: np.ndarray) -> np.ndarray:
        seed, measure = self.config.seed, untrained.MEASURES[name]
        return self._kept(name, repr((name, seed)).encode(), encodings, lambda: measure(self.space, self.data, seed))

    def _scores(self, path: Path, encodings: np.ndarray, by_loss: bool) -> np.ndarray:
        """Accuracies or likelihoods (N,) of the encodings (N, L) by these weights; pieces that are done are kept."""
        reading = self.reading
        how = {"batch": reading.batch_statistics, "finetune": reading.finetune}
        how |= {"by_loss": True} if by_loss else {}
        told = [self.recalibrate, how | precision(self.config.compute.context(self.data.mean.device))]

        def judge():
            net = train.restore(self.config, self.space, self.data.mean.device, path)
            return train.make_oracle(self.config, net, self.data, self.recalibrate, **how).accuracy

        title = f"{'losses' if by_loss else 'scores'} by {path.relative_to(self.folder).with_suffix('')}"
        return self._kept(title, path.read_bytes() + repr(told).encode(), encodings, judge)

    def _kept(self, title: str, key: bytes, encodings: np.ndarray, judge: Callable[[], Scores]) -> np.ndarray:
        """What judge() says of the encodings (N, L), (N,); pieces that are done are kept under the key."""
        digest, judge = hashlib.blake2b(key, digest_size=16).hexdigest(), cache(judge)
        scores, order = np.empty(len(encodings)), np.lexsort(encodings.T[::-1])  # neighbours share first layers
        with Progress(title, len(order)) as progress:
            for rows in np.array_split(order, -(-len(order) // PIECE)):
                scores[rows] = self._piece(digest, encodings[rows], judge)
                progress.advance(len(rows))
        return scores

    def _piece(self, key: str, encodings: np.ndarray, judge: Callable[[], Scores]) -> list[float]:
        name = hashlib.blake2b(key.encode() + encodings.tobytes(), digest_size=8).hexdigest()
        path = self.folder / "ranking" / "scores" / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.save_json(path, {"accuracy": judge()(encodings).tolist()})
        return files.load_json(path, {"accuracy"}, "delete it and call again")["accuracy"]

    def twin(self, folder: Path) -> "Judged":
        """A run that differs from this one by its seed alone; ValueError names what else differs."""
        saved = run_folder.require(folder)
        parts = [(run["settings"].get("supernet", {}), run["space"], run["data"]) for run in (self.saved, saved)]
        own, other = ({**settings, **space, **data} for settings, space, data in parts)
        differ = sorted(k for k in own.keys() | other.keys() if k not in SEED and own.get(k) != other.get(k))
        if differ:
            raise ValueError(
                f"{folder} differs from {self.folder} in {', '.join(differ)}: --others takes runs of other seeds alone"
            )
        twin, seed = copy.copy(self), saved["settings"].get("supernet", {}).get("seed", 0)
        twin.folder, twin.config = folder, replace(self.config, seed=seed)  # it draws random groups
        return twin
