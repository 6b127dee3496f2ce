"""The supernet of a cell space: in every cell, every edge with every option, shared by all architectures that use it.

A cell concatenates all of its nodes; the dead ones are zeros, which the next cell's first convolution does not see.
Shapes: B batch, C channels, H height, W width, P paths, L decisions.
"""

import re
from collections.abc import Sequence

import torch
from torch import nn

from search_spaces.cell import Cell
from search_spaces.cell_net import CellNet, GraphCell
from search_spaces.genotype import Graph
from supernet.model import Supernet


class SharedCell(nn.Module):
    """`operations` holds, per edge "to-source", a module per option."""

    def __init__(self, preprocess: Sequence[nn.Module], operations: dict[str, dict[str, nn.Module]]):
        super().__init__()
        self.preprocess = nn.ModuleList(preprocess)
        self.operations = nn.ModuleDict({edge: nn.ModuleDict(options) for edge, options in operations.items()})

    def path(self, graph: Graph, concat: Sequence[int]) -> GraphCell:
        """The cell of these edges, with this cell's modules; nodes of `concat` without edges are zeros."""
        chosen = [self.operations[f"{to}-{source}"][name] for name, to, source in graph.edges]
        return GraphCell(self.preprocess, Graph(graph.edges, tuple(concat)), chosen)


class CellSupernet(Supernet):
    """Shared weights of a cell space."""

    opening, trunk = ("stem", "entry"), "cells"

    def __init__(self, space: Cell):
        super().__init__()
        self.space = space
        net = space.skeleton.assemble(dict.fromkeys(space.decisions.kinds, len(space.concat)), self._shared_cell)
        self.stem, self.entry, self.cells, self.head = net.stem, net.entry, net.cells, net.head

    def _shared_cell(self, i: int, preprocess: list[nn.Module]) -> SharedCell:
        skeleton, operations = self.space.skeleton, {}
        kind, channels, stride, _ = skeleton.places[i]
        for _, to, source, options in (edge for edge in self.space.decisions.edges if edge.kind == kind):
            own = stride if source < self.space.inputs else 1
            operations[f"{to}-{source}"] = {name: skeleton.operation(name, channels, own) for name in options}
        return SharedCell(preprocess, operations)

    def follow(self, x: torch.Tensor, path: Sequence[int]) -> torch.Tensor:
        return self.path(path).after_stem(x)

    @property
    def common(self) -> list[nn.Module]:
        """Also what every cell sends its inputs through."""
        return [*super().common, self.entry, *(cell.preprocess for cell in self.cells)]

    def path(self, encoding: Sequence[int]) -> CellNet:
        graphs, places = self.space.graphs(encoding), self.space.skeleton.places
        cells = [cell.path(graphs[p.kind], self.space.concat) for cell, p in zip(self.cells, places, strict=True)]
        return CellNet(self.stem, self.entry, cells, self.head).train(self.training)

    def extract(self, encoding: Sequence[int]) -> CellNet:
        """A copy of one path: what `space.build` makes, with the supernet's weights and statistics."""
        shared, alone = self.path(encoding).state_dict(), self.space.build(encoding)
        graphs = self.space.graphs(encoding)
        state = {}
        for name, tensor in alone.state_dict().items():
            state[name] = shared[name]
            if shared[name].shape != tensor.shape:
                state[name] = shared[name][:, self._live_columns(name, graphs, shared[name].shape[1])]
        alone.load_state_dict(state)
        return alone.to(next(self.parameters()).device).train(self.training)

    def _live_columns(self, name: str, graphs: dict[str, Graph], columns: int) -> torch.Tensor:
        """Which input channels of a layer come from live nodes of the cell that it reads."""
        places, found = self.space.skeleton.places, re.match(r"cells\.(\d+)\.preprocess\.(\d+)", name)
        before = places[int(found[1]) - self.space.inputs + int(found[2])] if found else places[-1]
        live = [self.space.concat.index(node) for node in graphs[before.kind].concat]
        return torch.arange(columns).reshape(len(self.space.concat), -1)[live].flatten()
