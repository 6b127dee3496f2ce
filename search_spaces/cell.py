"""The cell family: cells of one or more kinds along a skeleton, the same decisions in all cells of a kind.

Shapes: N population, L decisions, E edges, K options of an edge, S slots: (edge, option) pairs of an encoding.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property, partial

import numpy as np
from torch import nn

from search_spaces import cell_cost, decisions, genotype
from search_spaces.cell_net import GraphCell, Skeleton
from search_spaces.decisions import Decisions
from search_spaces.genotype import Edge, Graph
from search_spaces.space import Part, SearchSpace, split

EDGE = re.compile(r"(\w+)~([0-9]+)")
NODE = re.compile(rf"\|(\||({EDGE.pattern}\|)+)")  # as `Cell.describe` writes it


class Cell(SearchSpace):
    """`decisions` say what is free; a cell concatenates those nodes of `concat` that are alive.

    ValueError if `stride`, the skeleton's whole, cannot reduce the images exactly or there are fewer than two classes.
    """

    def __init__(self, spec: dict, decisions: Decisions, concat: Sequence[int], skeleton: Skeleton, stride: int):
        self.spec, self.decisions, self.concat, self.skeleton = spec, decisions, tuple(concat), skeleton
        self.image_size, self.num_classes = spec["image_size"], spec["num_classes"]
        self.in_channels, self.choices = spec["in_channels"], decisions.choices
        self.inputs = min(edge.to for edge in decisions.edges)  # states of a cell that other cells made
        self._fixed_costs: dict[tuple[int, ...], np.ndarray] = {}
        self._check_spec(stride)

    def canonical(self, encodings) -> np.ndarray:
        return self.decisions.canonical(self.check(encodings))

    def graphs(self, encoding: Sequence[int] | Mapping) -> dict[str, Graph]:
        """The cells by kind, of an encoding or of a genotype (see `genotype.read`), also as a named tuple."""
        if (parts := genotype.parts(encoding)) is not None:
            if self.decisions.kinds != genotype.KINDS:
                raise ValueError(f"{self.name} takes encodings, no genotypes")
            return genotype.read(parts, self.inputs)
        edges, options = (row[0].tolist() for row in self.picked([encoding]))
        found: dict[str, list[Edge]] = {kind: [] for kind in self.decisions.kinds}
        for edge, option in zip(edges, options, strict=True):
            kind, to, source, names = self.decisions.edges[edge]
            if option or not self.decisions.sparse:
                found[kind].append(Edge(names[option], to, source))
        alive = {kind: {edge.to for edge in edges} for kind, edges in found.items()}
        concat = {kind: tuple(node for node in self.concat if node in alive[kind]) for kind in found}
        return {kind: Graph(tuple(edges), concat[kind]) for kind, edges in found.items()}

    def genotype(self, encoding: Sequence[int]) -> dict:
        """The encoding as a genotype of [operation, to, from]."""
        content = {}
        for kind, graph in self.graphs(encoding).items():
            content |= {kind: [list(edge) for edge in graph.edges], f"{kind}_concat": list(graph.concat)}
        return content

    def encode(self, genotype: Mapping) -> tuple[int, ...]:
        """The inverse of `genotype`; ValueError if the space has no such network."""
        graphs = self.graphs(genotype)
        encoding = self.encode_edges({kind: graph.edges for kind, graph in graphs.items()})
        if any(set(graph.concat) != set(graphs[kind].concat) for kind, graph in self.graphs(encoding).items()):
            raise ValueError(f"a cell of {self.name} concatenates all of its nodes {self.concat} that are alive")
        return encoding

    def encode_edges(self, edges: Mapping[str, Sequence[Edge]]) -> tuple[int, ...]:
        """The encoding of these edges by kind of cell; what cannot be reached is left out."""
        index = {edge[:3]: (i, edge.options) for i, edge in enumerate(self.decisions.edges)}
        picked = []
        for kind, operation, to, source in ((kind, *edge) for kind, found in edges.items() for edge in found):
            edge, options = index.get((kind, to, source), (0, ()))
            if operation not in options:
                there = ", ".join(options) or "no edge"
                raise ValueError(f"{self.name} has no {operation!r} from {source} to {to} ({kind}); it has {there}")
            picked.append((edge, options.index(operation)))
        return self.decisions.encode(picked)

    def cost(self, encodings) -> np.ndarray:
        edges, options = self.picked(encodings)
        widths, which = np.unique(self._widths(edges, options), axis=0, return_inverse=True)
        fixed = np.array([self._fixed(row) for row in widths.tolist()], dtype=np.int64).reshape(-1, 2)
        return fixed[which.reshape(-1)] + self._edge_costs[edges, options].sum(1)

    def cost_of(self, genotype: Mapping, auxiliary: bool = False) -> tuple[int, int]:
        """Multiply-adds and params of a genotype; an auxiliary head has params, but does not run in use."""
        graphs = self.graphs(genotype)
        widths = [len(graph.concat) for graph in graphs.values()]
        total = self._fixed(widths)
        for kind, graph in graphs.items():
            for operation, _, source in graph.edges:
                total = total + cell_cost.edge(self.skeleton, kind, operation, source < self.inputs)
        if auxiliary:
            total = total + cell_cost.second_head(self.skeleton, dict(zip(graphs, widths, strict=True)))
        return int(total[0]), int(total[1])

    def _widths(self, edges: np.ndarray, options: np.ndarray) -> np.ndarray:
        """Edges and options (N, S) -> (N, kinds): how many nodes each kind of cell concatenates."""
        there = (options > 0) | (not self.decisions.sparse)
        width = dict.fromkeys(self.decisions.kinds, 0)
        for kind, node in {(edge.kind, edge.to): None for edge in self.decisions.edges if edge.to in self.concat}:
            into = [i for i, edge in enumerate(self.decisions.edges) if (edge.kind, edge.to) == (kind, node)]
            width[kind] = width[kind] + (np.isin(edges, into) & there).any(1)
        return np.stack(list(width.values()), axis=1)

    def _fixed(self, widths: Sequence[int]) -> np.ndarray:
        """(2,): of everything but the edges, measured once for every width of the cells."""
        key = tuple(widths)
        if key not in self._fixed_costs:
            shape = (self.in_channels, self.image_size, self.image_size)
            named = dict(zip(self.decisions.kinds, key, strict=True))
            self._fixed_costs[key] = cell_cost.fixed(self.skeleton, named, shape)
        return self._fixed_costs[key]

    @cached_property
    def _edge_costs(self) -> np.ndarray:
        """(E, K, 2): of each edge with each of its options, in all cells of its kind together."""
        edges = self.decisions.edges
        table = np.zeros((len(edges), max(len(edge.options) for edge in edges), 2), dtype=np.int64)
        for e, (kind, _, source, options) in enumerate(edges):
            for k, operation in enumerate(options):
                table[e, k] = cell_cost.edge(self.skeleton, kind, operation, source < self.inputs)
        return table

    def cost_range(self) -> np.ndarray:
        """The lowest is a single edge in each kind of cell where nodes may be dead, else the cheapest everywhere."""
        lowest, highest = self.decisions.extremes(self._edge_costs)
        kinds = len(self.decisions.kinds)
        narrow = self._fixed([1 if self.decisions.sparse else len(self.concat)] * kinds)
        return np.stack([narrow + lowest, self._fixed([len(self.concat)] * kinds) + highest])

    def parts(self) -> list[list[list[Part]]]:
        """An edge that is not there has none."""
        return [
            [self._parts(edge, name) if k or not self.decisions.sparse else [] for k, name in enumerate(edge.options)]
            for edge in self.decisions.edges
        ]

    def _parts(self, edge: decisions.Edge, operation: str) -> list[Part]:
        shapes = cell_cost.shapes(self.skeleton, edge.kind, edge.source < self.inputs)
        make = partial(cell_cost.maker, self.skeleton.operation, operation)
        return [Part(make(channels, stride), (channels, size, size)) for channels, stride, size in shapes]

    def picked(self, encodings) -> tuple[np.ndarray, np.ndarray]:
        return self.decisions.picked(self.canonical(encodings))

    def extremes(self, table: Sequence[Sequence[float]]) -> tuple[float, float]:
        padded = np.zeros((len(table), max(map(len, table)), 1))
        for row, numbers in zip(padded, table, strict=True):
            row[: len(numbers), 0] = numbers
        lowest, highest = self.decisions.extremes(padded)
        return float(lowest[0]), float(highest[0])

    def describe(self, encoding: Sequence[int]) -> str:
        """Node by node, operation~source, as NAS-Bench-201 writes it: 'normal |sep_conv_3x3~0|skip_connect~1|+|...'."""
        cells = []
        for kind, graph in self.graphs(encoding).items():
            nodes = [[f"{edge.operation}~{edge.source}" for edge in graph.edges if edge.to == n] for n in self._nodes]
            cells.append((kind, "+".join(f"|{'|'.join(words)}|" for words in nodes)))
        return " ".join(f"{kind} {cell}" for kind, cell in cells) if len(cells) > 1 else cells[0][1]

    @property
    def _nodes(self) -> range:
        return range(self.inputs, max(edge.to for edge in self.decisions.edges) + 1)

    def parse(self, text: str) -> tuple[int, ...]:
        """Reads what `describe` writes, or plain numbers; single digits may stand together."""
        if "~" not in text:
            return self._numbers(text)
        kinds, words = self.decisions.kinds, text.split()
        cells = [word.split("+") for word in words if "|" in word]
        named = [word for word in words if "|" not in word]
        read = all(len(cell) == len(self._nodes) and all(map(NODE.fullmatch, cell)) for cell in cells)
        if not read or len(cells) != len(kinds) or named not in ([], list(kinds)):
            raise ValueError(
                f"{self.name} has {len(kinds)} kinds of cells ({', '.join(kinds)}) of {len(self._nodes)} nodes, "
                f"written in this order as |operation~source|...|+|...|, got {text!r}"
            )
        edges = {kind: [] for kind in kinds}
        for kind, nodes in zip(kinds, cells, strict=True):
            for to, node in zip(self._nodes, nodes, strict=True):
                edges[kind] += [Edge(name, to, int(source)) for name, source in EDGE.findall(node)]
        return self.encode_edges(edges)

    def _numbers(self, text: str) -> tuple[int, ...]:
        words = split(text, len(self.choices))
        if len(words) != len(self.choices) or not all(word.isascii() and word.isdigit() for word in words):
            raise ValueError(f"{self.name} has {len(self.choices)} decisions, numbers from 0 on, got {text!r}")
        return tuple(self.check([[int(word) for word in words]])[0].tolist())

    def build(self, encoding: Sequence[int] | Mapping, auxiliary: bool = False, drop_path: float = 0.0) -> nn.Module:
        """Of an encoding or a genotype; `drop_path` is the probability to drop an operation's output, per image."""
        graphs = self.graphs(encoding)
        if not 0 <= drop_path < 1:
            raise ValueError(f"drop_path must be from 0 to below 1, got {drop_path}")

        def make(i: int, preprocess: list[nn.Module]) -> nn.Module:
            kind, channels, stride, _ = self.skeleton.places[i]
            strides = [stride if edge.source < self.inputs else 1 for edge in graphs[kind].edges]
            edges = zip(graphs[kind].edges, strides, strict=True)
            operations = [self.skeleton.operation(edge.operation, channels, s) for edge, s in edges]
            return GraphCell(preprocess, graphs[kind], operations, drop_path)

        return self.skeleton.assemble({kind: len(graph.concat) for kind, graph in graphs.items()}, make, auxiliary)
