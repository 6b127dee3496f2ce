"""What is decided in a cell space: which edges there are, and which operation is on each.

Shapes: N population, L decisions, E edges of all kinds of cells, S slots: (edge, option) pairs of an encoding.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from search_spaces.cell_ops import NONE, SKIP

SLOTS = 2  # edges a node may have


class Edge(NamedTuple):
    """An edge that may be there, and its options by name."""

    kind: str
    to: int
    source: int
    options: tuple[str, ...]


class Slot(NamedTuple):
    """Where an encoding says what is on an edge: which of `edges` by decision `which` (None: there is but one), and
    which of its options by decision `option`.
    """

    edges: tuple[Edge, ...]
    which: int | None
    option: int


class Decisions(ABC):
    """How an encoding says what is on the `edges`; `choices` are its options per decision."""

    edges: tuple[Edge, ...]
    choices: tuple[int, ...]
    sparse: bool  # option 0 is no edge, and a node may have none

    @abstractmethod
    def canonical(self, encodings: np.ndarray) -> np.ndarray:
        """(N, L) -> (N, L): equal networks get equal encodings."""

    @abstractmethod
    def layout(self) -> list[Slot]:
        """Every slot, in the order of the encoding."""

    @abstractmethod
    def picked(self, encodings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Canonical encodings (N, L) -> edges (N, S) and options (N, S)."""

    @abstractmethod
    def encode(self, picked: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        """The encoding of these (edge, option) pairs; ValueError if it has no room for them."""

    @abstractmethod
    def extremes(self, costs: np.ndarray) -> np.ndarray:
        """Costs (E, K, M) -> (2, M): the lowest and the highest sum an encoding can have, column by column."""

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(edge.kind for edge in self.edges))


class EveryEdge(Decisions):
    """One decision an edge. Encodings are canonical as they are."""

    sparse = False

    def __init__(self, edges: Sequence[Edge]):
        self.edges, self.choices = tuple(edges), tuple(len(edge.options) for edge in edges)

    def canonical(self, encodings: np.ndarray) -> np.ndarray:
        return encodings

    def layout(self) -> list[Slot]:
        return [Slot((edge,), None, i) for i, edge in enumerate(self.edges)]

    def picked(self, encodings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.broadcast_to(np.arange(len(self.edges)), encodings.shape), encodings

    def encode(self, picked: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        encoding = dict(picked)
        if sorted(encoding) != list(range(len(self.edges))) or len(encoding) < len(picked):
            raise ValueError(f"each of {len(self.edges)} edges needs one operation, got {len(picked)}")
        return tuple(encoding[edge] for edge in range(len(self.edges)))

    def extremes(self, costs: np.ndarray) -> np.ndarray:
        rows = [row[: len(edge.options)] for row, edge in zip(costs, self.edges, strict=True)]
        return np.stack([sum(row.min(0) for row in rows), sum(row.max(0) for row in rows)])


class Slots(Decisions):
    """Two slots a node, each a source and an option of the edge from there; option 0 is no edge.

    `own_none`: whether the paper's own list of operations holds `none`, as a differentiable search will want to know.
    L = kinds x nodes x 2 slots x 2. All edges have the same number of options. A node without live edges is dead;
    a cell of dead nodes alone stands for the one with a single edge, from its last input to its first node.
    """

    sparse = True

    def __init__(self, edges: Sequence[Edge], inputs: int, own_none: bool):
        self.edges, self.inputs, self.own_none = tuple(edges), inputs, own_none
        self.options = len(self.edges[0].options)
        assert all(edge.options[0] == NONE and len(edge.options) == self.options for edge in self.edges)
        self.nodes = max(edge.to for edge in self.edges) + 1 - inputs
        self.shape = (len(self.kinds), self.nodes, SLOTS, 2)
        node = [(inputs + j, self.options) * SLOTS for j in range(self.nodes)]
        self.choices = tuple(number for pair in node for number in pair) * len(self.kinds)
        self.slots = len(self.choices) // 2
        self.index = {edge[:3]: i for i, edge in enumerate(self.edges)}  # (kind, to, source) -> edge
        self.first = np.array([[self.index[kind, inputs + j, 0] for j in range(self.nodes)] for kind in self.kinds])
        lone = [self.edges[self.index[kind, inputs, inputs - 1]].options for kind in self.kinds]
        self.lone = [names.index(SKIP) if SKIP in names else len(names) - 1 for names in lone]

    def canonical(self, encodings: np.ndarray) -> np.ndarray:
        """Edges from dead nodes go, empty slots have source 0, a node's slots stand in order, the empty ones last."""
        slots = encodings.reshape(len(encodings), *self.shape)
        source, option = slots[..., 0].copy(), slots[..., 1].copy()
        for kind, lone in enumerate(self.lone):
            self._prune(source[:, kind], option[:, kind], lone)
        source[option == 0] = 0
        order = np.argsort(np.where(option == 0, self.inputs + self.nodes, source) * self.options + option, axis=-1)
        slots = np.stack([np.take_along_axis(part, order, axis=-1) for part in (source, option)], axis=-1)
        return slots.reshape(len(encodings), len(self.choices))

    def _prune(self, source: np.ndarray, option: np.ndarray, lone: int) -> None:
        """In place, one kind of cell: (N, nodes, SLOTS) each."""
        alive = np.ones((len(source), self.inputs + self.nodes), dtype=bool)
        for node in range(self.nodes):
            option[:, node] *= np.take_along_axis(alive, source[:, node], axis=1)
            alive[:, self.inputs + node] = option[:, node].any(1)
        empty = ~alive[:, self.inputs :].any(1)
        source[empty, 0, 0], option[empty, 0, 0] = self.inputs - 1, lone

    def layout(self) -> list[Slot]:
        found = []
        for i, (kind, node, _) in enumerate(product(*map(range, self.shape[:3]))):
            first = self.first[kind, node]
            found.append(Slot(self.edges[first : first + self.inputs + node], 2 * i, 2 * i + 1))
        return found

    def picked(self, encodings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slots = encodings.reshape(len(encodings), *self.shape)
        edges = self.first[..., None] + slots[..., 0]
        return edges.reshape(len(edges), self.slots), slots[..., 1].reshape(len(slots), self.slots)

    def encode(self, picked: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        slots = np.zeros(self.shape, dtype=np.int64)
        for edge, option in picked:
            kind, to, source, _ = self.edges[edge]
            node = slots[self.kinds.index(kind), to - self.inputs]
            free = np.flatnonzero(node[:, 1] == 0)
            if not len(free):
                raise ValueError(f"node {to} of the {kind} cell has more than {SLOTS} edges")
            node[free[0]] = source, option
        return tuple(self.canonical(slots.reshape(1, -1))[0].tolist())

    def extremes(self, costs: np.ndarray) -> np.ndarray:
        """The lowest is a single edge from an input in each kind of cell."""
        lowest, highest = 0, 0
        for kind in self.kinds:
            mine = [i for i, edge in enumerate(self.edges) if edge.kind == kind]
            opening = [i for i in mine if self.edges[i].source < self.inputs]
            lowest = lowest + costs[opening, 1:].min((0, 1))
            for node in {self.edges[i].to for i in mine}:
                into = [i for i in mine if self.edges[i].to == node]
                highest = highest + SLOTS * costs[into].max((0, 1))
        return np.stack([lowest, highest])
