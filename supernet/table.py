"""A fitness oracle read from a file: networks that others trained to the end and published.

Shapes: N population, L decisions.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import search_spaces

NAS_BENCH_201 = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")  # its options, in our order
SOURCES = (
    "NAS-Bench-Macro's JSON, https://github.com/xiusu/NAS-Bench-Macro (data/nas-bench-macro_cifar10.json); "
    "NAS-Bench-201, https://github.com/D-X-Y/NAS-Bench-201, as CSV of arch, test_acc_mean, madds_m and params_m; "
    "three_edge, https://github.com/ultmaster/deeper-insights-weight-sharing, as CSV of label and gt_mean"
)


class Table(NamedTuple):
    """Encodings (N, L), accuracies (N,) in [0, 1], and the table's own costs (N, 2): multiply-adds, params."""

    encodings: np.ndarray
    accuracy: np.ndarray
    cost: np.ndarray


class TableOracle:
    """The supernet oracle's face on a published table: NAS-Bench-Macro's JSON, NAS-Bench-201's or three_edge's CSV.

    ValueError, which says where the public file comes from, if there is none at `path` or it is another.
    """

    def __init__(self, path: str | Path):
        self.path, self.table = Path(path), read(Path(path))
        self.rows = {tuple(encoding): i for i, encoding in enumerate(self.table.encodings.tolist())}

    def accuracy(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N,) float64 in [0, 1]. ValueError names an architecture that the table lacks."""
        return self.table.accuracy[self._find(encodings)]

    def cost(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) ints -> (N, 2) int64: multiply-adds and params as the table has them."""
        return self.table.cost[self._find(encodings)]

    def fingerprint(self) -> dict:
        return {"table": hashlib.blake2b(self.path.read_bytes(), digest_size=16).hexdigest()}

    def _find(self, encodings: np.ndarray) -> np.ndarray:
        keys = [tuple(encoding) for encoding in np.asarray(encodings).tolist()]
        missing = [list(key) for key in keys if key not in self.rows]
        if missing:
            raise ValueError(f"{self.path} has no architecture {missing[0]}, and {len(missing)} of {len(keys)} in all")
        return np.array([self.rows[key] for key in keys], dtype=np.int64)


def read(path: Path) -> Table:
    """The table at `path`, by what its name ends in."""
    if path.suffix not in READERS:
        raise ValueError(f"{path} is no table: it must end in {' or '.join(READERS)}. Known are {SOURCES}")
    try:
        table = READERS[path.suffix](path.read_text())
    except FileNotFoundError:
        raise ValueError(f"there is no table {path}; get one: {SOURCES}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no table that can be read ({error!r}). Known are {SOURCES}") from error
    if not np.isfinite(table.accuracy).all() or len(table.encodings) == 0:
        raise ValueError(f"{path} is empty or has accuracies that are not finite. Known are {SOURCES}")
    return table


def nas_bench_macro(text: str) -> Table:
    """Keys are encodings; the accuracy is the mean of three trainings (arXiv 2103.11922, appendix A)."""
    nets = json.loads(text)
    encodings = np.array([[int(option) for option in key] for key in nets], dtype=np.int64)
    accuracy = np.array([net["mean_acc"] for net in nets.values()]) / 100
    return Table(
        encodings, accuracy, np.array([[net["flops"], net["params"]] for net in nets.values()], dtype=np.int64)
    )


def nas_bench_201(text: str) -> Table:
    """|op~0|+|op~0|op~1|+|op~0|op~1|op~2|: the six edges in this order (arXiv 2001.00326, section 2.1)."""
    nets = list(csv.DictReader(text.splitlines()))
    names = [re.findall(r"(\w+)~\d", net["arch"]) for net in nets]
    encodings = np.array([[NAS_BENCH_201.index(name) for name in edges] for edges in names], dtype=np.int64)
    accuracy = np.array([float(net["test_acc_mean"]) for net in nets]) / 100
    millions = np.array([[float(net["madds_m"]), float(net["params_m"])] for net in nets])
    return Table(encodings, accuracy, np.rint(millions * 1e6).astype(np.int64))


def three_edge(text: str) -> Table:
    """Labels are the options of the three edges, from 1 (arXiv 2001.01431, section 3); costs are the space's own."""
    nets = list(csv.DictReader(text.splitlines()))
    encodings = np.array([[int(option) - 1 for option in net["label"]] for net in nets], dtype=np.int64)
    accuracy = np.array([float(net["gt_mean"]) for net in nets])
    return Table(encodings, accuracy, search_spaces.load("three_edge").cost(encodings))


def by_header(text: str) -> Table:
    """A CSV, by the columns it has."""
    return three_edge(text) if "gt_mean" in text.partition("\n")[0] else nas_bench_201(text)


READERS: dict[str, Callable[[str], Table]] = {".json": nas_bench_macro, ".csv": by_header}
