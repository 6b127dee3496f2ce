"""Genotypes: cells written down as lists of edges, as the papers of the DARTS family print them.

States are numbered as there: the cell's inputs first, then its nodes; an edge goes to a node from an earlier state.
"""

from collections.abc import Mapping, Sequence
from operator import index
from typing import NamedTuple

from search_spaces.cell_ops import NONE, OPERATIONS

KINDS = ("normal", "reduce")
NODES = 4  # of a DARTS cell


class Edge(NamedTuple):
    operation: str
    to: int
    source: int


class Graph(NamedTuple):
    """One cell: its edges in the order of their nodes, and the nodes whose outputs are concatenated."""

    edges: tuple[Edge, ...]
    concat: tuple[int, ...]


def parts(given: object) -> Mapping | None:
    """Of a genotype, be it a mapping or, as in the authors' code, a named tuple; None for what is none."""
    if isinstance(given, tuple) and hasattr(given, "_asdict"):
        return given._asdict()
    return given if isinstance(given, Mapping) else None


def read(genotype: Mapping, inputs: int = 2) -> dict[str, Graph]:
    """{"normal": edges, "normal_concat": nodes, "reduce": ...} as graphs by kind of cell.

    Edges are (operation, from), two to a node in order, or (operation, to, from), any number to a node; node 2 is
    the first. A node that no edge leads to is left out of the concatenation and its outgoing edges with it, as in
    FairDARTS's published cells. ValueError for everything else that is no cell.
    """
    graphs = {}
    for kind in KINDS:
        try:
            edges = [(str(operation), *map(index, states)) for operation, *states in genotype[kind]]
            concat = [index(node) for node in genotype[f"{kind}_concat"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'a genotype needs "{kind}": [[operation, from], ...] and "{kind}_concat": [node, ...] ({error!r})'
            ) from error
        try:
            graphs[kind] = _graph(edges, concat, inputs)
        except ValueError as error:
            raise ValueError(f"{kind} cell: {error}") from None
    return graphs


def _graph(edges: Sequence[tuple], concat: Sequence[int], inputs: int) -> Graph:
    edges = _with_nodes(edges, inputs)
    _check(edges, inputs)
    _check_concat(concat, inputs, last=max(NODES + inputs - 1, *(edge.to for edge in edges)))
    alive = set(range(inputs))
    live = []
    for edge in sorted(edges, key=lambda edge: edge.to):  # stable: a node's edges keep their order
        if edge.operation != NONE and edge.source in alive:
            live.append(edge)
            alive.add(edge.to)
    dead = {edge.to for edge in edges} - alive
    if dead or not live:
        which = f"node {min(dead)} is dead: nothing reaches it" if dead else "no node is alive"
        raise ValueError(f"{which}; every edge to it must carry something from a live state")
    concat = tuple(node for node in concat if node in alive)
    unused = {edge.to for edge in live} - set(concat) - {edge.source for edge in live}
    if unused:
        raise ValueError(f"node {min(unused)} is dead: it is neither concatenated nor read by another node")
    return Graph(tuple(live), concat)


def _with_nodes(edges: Sequence[tuple], inputs: int) -> list[Edge]:
    lengths = {len(edge) for edge in edges}
    if lengths == {3}:
        return [Edge(*edge) for edge in edges]
    if lengths != {2}:
        raise ValueError("edges must all be [operation, from] or all [operation, to, from], and there must be one")
    if len(edges) % 2:
        raise ValueError(f"{len(edges)} edges [operation, from] are not two to a node; write [operation, to, from]")
    return [Edge(operation, inputs + i // 2, source) for i, (operation, source) in enumerate(edges)]


def _check(edges: Sequence[Edge], inputs: int) -> None:
    for operation, to, source in edges:
        if operation not in OPERATIONS:
            raise ValueError(f"unknown operation {operation!r}; known are {', '.join(OPERATIONS)}")
        if to < inputs:
            raise ValueError(f"{operation} leads to state {to}: the first node is {inputs}")
        if not 0 <= source < to:
            raise ValueError(f"{operation} leads to node {to} from {source}: it must come from an earlier state")


def _check_concat(concat: Sequence[int], inputs: int, last: int) -> None:
    if not concat or min(concat) < inputs or max(concat) > last or len(set(concat)) < len(concat):
        raise ValueError(f"the concatenation must name different nodes from {inputs} to {last}, got {list(concat)}")
