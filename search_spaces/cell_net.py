"""Networks of cells: small graphs of operations, repeated along a fixed skeleton.

Shapes: B batch, C channels, H height, W width.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from search_spaces import cell_ops
from search_spaces.genotype import Graph

Widths = Mapping[str, int]  # kind of cell -> how many nodes it concatenates


class Place(NamedTuple):
    """Where a cell stands: its kind, its channels, the stride of the edges from its inputs, and their H = W."""

    kind: str
    channels: int
    stride: int
    size: int


class Skeleton(NamedTuple):
    """Everything around the cells.

    `stem` and `entry` build images -> one tensor -> tuple of the first cell's inputs, `preprocess(i, widths)` what
    cell i sends each of its inputs through, `head(channels)` and `auxiliary(channels, size)` the classifiers; the
    second one reads the cell at place `tap`. `operation(name, channels, stride)` builds what an edge does.
    """

    stem: Callable[[], nn.Module]
    entry: Callable[[], nn.Module]
    places: tuple[Place, ...]
    preprocess: Callable[[int, Widths], list[nn.Module]]
    head: Callable[[int], nn.Module]
    auxiliary: Callable[[int, int], nn.Module] | None = None
    tap: int = -1
    operation: Callable[[str, int, int], nn.Module] = cell_ops.operation

    def width(self, place: int, widths: Widths) -> int:
        """Channels of the output of the cell at this place."""
        kind, channels, _, _ = self.places[place]
        return widths[kind] * channels

    def assemble(
        self, widths: Widths, make_cell: Callable[[int, list[nn.Module]], nn.Module], auxiliary: bool = False
    ) -> "CellNet":
        """The network of the cells that `make_cell(place, preprocess)` makes."""
        cells = [make_cell(i, self.preprocess(i, widths)) for i in range(len(self.places))]
        second = self.second_head(widths) if auxiliary else None
        return CellNet(self.stem(), self.entry(), cells, self.head(self.width(-1, widths)), second, self.tap)

    def second_head(self, widths: Widths) -> nn.Module:
        """The auxiliary head; ValueError if there is none for these networks."""
        if self.auxiliary is None:
            raise ValueError("these networks have no auxiliary head")
        _, _, stride, size = self.places[self.tap]
        return self.auxiliary(self.width(self.tap, widths), size // stride)


def drop_path(x: torch.Tensor, share: float) -> torch.Tensor:
    """(B, C, H, W) with this share of the images at zero, the others scaled to keep the mean (arXiv 1603.09382)."""
    kept = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(1 - share)
    return x * (kept / (1 - share) if share < 1 else kept)


class Entry(nn.Module):
    """The stem's output for every input of the first cell."""

    def __init__(self, inputs: int):
        super().__init__()
        self.inputs = inputs

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (x,) * self.inputs


class GraphCell(nn.Module):
    """One cell: its inputs preprocessed, each node the sum of its edges, the nodes' outputs concatenated.

    A node without edges is zero. `drop_path` drops the outputs of all operations but the identity, per image.
    """

    def __init__(
        self,
        preprocess: Sequence[nn.Module],
        graph: Graph,
        operations: Sequence[nn.Module],
        drop_path: float = 0.0,
    ):
        super().__init__()
        self.preprocess, self.operations = nn.ModuleList(preprocess), nn.ModuleList(operations)
        self.graph, self.drop_path = graph, drop_path

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        states = dict(enumerate(layer(x) for layer, x in zip(self.preprocess, inputs, strict=True)))
        for (_, to, source), operation in zip(self.graph.edges, self.operations, strict=True):
            y = operation(states[source])
            if self.training and self.drop_path and not isinstance(operation, nn.Identity):
                y = drop_path(y, self.drop_path)
            states[to] = states[to] + y if to in states else y
        alive = states[self.graph.edges[-1].to]
        nodes = [states[node] if node in states else torch.zeros_like(alive) for node in self.graph.concat]
        return torch.cat(nodes, dim=1) if len(nodes) > 1 else nodes[0]


class CellNet(nn.Module):
    """A stand-alone network of a cell space: (B, C, H, W) -> (B, classes).

    In training mode, and built with an auxiliary head, it gives two logits: the head's and the auxiliary one's.
    """

    def __init__(
        self,
        stem: nn.Module,
        entry: nn.Module,
        cells: Sequence[nn.Module],
        head: nn.Module,
        auxiliary: nn.Module | None = None,
        tap: int = -1,
    ):
        super().__init__()
        self.stem, self.entry, self.cells, self.head = stem, entry, nn.ModuleList(cells), head
        self.auxiliary, self.tap = auxiliary, tap

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        return self.after_stem(self.stem(images))

    def after_stem(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """The same from the stem's output."""
        states = self.entry(x)
        for place, cell in enumerate(self.cells):
            states = (*states[1:], cell(*states))
            if place == self.tap:
                tapped = states[-1]
        logits = self.head(states[-1])
        return (logits, self.auxiliary(tapped)) if self.training and self.auxiliary is not None else logits
