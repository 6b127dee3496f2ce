"""Pictures of a relaxation as SVG, with nothing but text: its weights and skips over the epochs, its last cells.

Shapes: E edges, K options.
"""

import colorsys
from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from evo.proposals.relaxation import Group
from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.genotype import Graph

PANEL, GAP, COLUMNS = (170, 90), 24, 5  # width and height of a small plot, room between, plots in a row
STYLE = "<style>text{font:11px sans-serif;fill:#222}.s{font-size:9px}.b{font-weight:bold}</style>"


def search(space: SearchSpace, groups: dict[str, Group], history: Sequence[dict], title: str) -> str:
    """A whole search: a plot per edge or layer of its options' weights, one of skips, and the cells it ended with."""
    names = list(dict.fromkeys(name for group in groups.values() for options in group.options for name in options))
    colours = {name: colour(i, len(names)) for i, name in enumerate(names)}
    parts, y = [_text(GAP, 20, title, "b")], 34
    for i, name in enumerate(names):
        x = GAP + 140 * (i % 6)
        parts.append(f'<rect x="{x}" y="{y + 16 * (i // 6)}" width="10" height="10" fill="{colours[name]}"/>')
        parts.append(_text(x + 14, y + 9 + 16 * (i // 6), name, "s"))
    y += 16 * (1 + (len(names) - 1) // 6) + 10
    panels = [_skips(history), *_weights(groups, history, colours)]
    for i, panel in enumerate(panels):
        column, row = i % COLUMNS, i // COLUMNS
        parts.append(_at(GAP + column * (PANEL[0] + GAP), y + row * (PANEL[1] + 2 * GAP), panel))
    y += (1 + (len(panels) - 1) // COLUMNS) * (PANEL[1] + 2 * GAP)
    if isinstance(space, Cell):
        for kind, graph in space.graphs(history[-1]["encoding"]).items():
            parts.append(_text(GAP, y + 10, f"{kind} cell after epoch {history[-1]['epoch']}", "b"))
            parts.append(_at(GAP, y + 20, _cell(graph, space.inputs, colours)))
            y += 220
    width = GAP + COLUMNS * (PANEL[0] + GAP)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + GAP}">{STYLE}{"".join(parts)}</svg>'


def cells(space: Cell, encoding: Sequence[int]) -> str:
    """The cells of an architecture, one below the other."""
    graphs = space.graphs(encoding)
    names = list(dict.fromkeys(edge.operation for graph in graphs.values() for edge in graph.edges))
    colours = {name: colour(i, len(names)) for i, name in enumerate(names)}
    parts = []
    for i, (kind, graph) in enumerate(graphs.items()):
        parts.append(_text(GAP, 220 * i + 16, f"{kind} cell", "b"))
        parts.append(_at(GAP, 220 * i + 26, _cell(graph, space.inputs, colours)))
    height = 220 * len(graphs) + GAP
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}">{STYLE}{"".join(parts)}</svg>'


def colour(i: int, n: int) -> str:
    """The i-th of n colours of equal lightness."""
    return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(i / n, 0.45, 0.7))


def _cell(graph: Graph, inputs: int, colours: dict[str, str]) -> str:
    """States from left to right, each edge an arc with its operation's name over it."""
    states = [*range(inputs), *dict.fromkeys(edge.to for edge in graph.edges)]
    x = {state: 30 + 120 * i for i, state in enumerate(states)}
    middle, parts = 105, []
    seen: dict[tuple[int, int], int] = {}
    for operation, to, source in graph.edges:
        again = seen[to, source] = seen.get((to, source), -1) + 1  # a second operation on the same edge
        side = 1 if (states.index(to) - states.index(source) + again) % 2 else -1
        reach = (x[to] - x[source]) / 120
        top = middle - side * (22 + 16 * reach)
        path = f"M{x[source]},{middle} Q{(x[source] + x[to]) / 2},{2 * top - middle} {x[to]},{middle}"
        parts.append(f'<path d="{path}" fill="none" stroke="{colours[operation]}" stroke-width="2"/>')
        y = top - 3 if side > 0 else top + 10
        label = f'<text class="s" text-anchor="middle" x="{(x[source] + x[to]) / 2}" y="{y}">'
        parts.append(f"{label}{escape(operation)}</text>")
    for state in states:
        fill = "#ddd" if state < inputs else "#fff" if state not in graph.concat else "#cfe3ff"
        parts.append(f'<circle cx="{x[state]}" cy="{middle}" r="13" fill="{fill}" stroke="#555"/>')
        parts.append(f'<text text-anchor="middle" x="{x[state]}" y="{middle + 4}">{state}</text>')
    return "".join(parts)


def _weights(groups: dict[str, Group], history: Sequence[dict], colours: dict[str, str]) -> list[str]:
    """A plot per edge: its options' weights over the epochs."""
    panels = []
    for name, group in groups.items():
        weights = np.array([row["weights"][name] for row in history])  # (epochs, E, K)
        for e, options in enumerate(group.options):
            title = f"{name}, {group.source[e]} to {group.to[e]}" if len(group.to) > 1 else name
            lines = [(weights[:, e, k], colours[option]) for k, option in enumerate(options)]
            panels.append(_plot(title, lines, max(1e-9, float(weights[:, e].max()))))
    return panels


def _skips(history: Sequence[dict]) -> str:
    counts = np.array([row["skips"] for row in history])
    return _plot(f"skips (now {counts[-1]})", [(counts, "#222")], max(8, counts.max()))


def _plot(title: str, lines: Sequence[tuple[np.ndarray, str]], top: float) -> str:
    width, height = PANEL
    parts = [f'<rect width="{width}" height="{height}" fill="none" stroke="#bbb"/>', _text(0, -4, title, "s")]
    parts.append(_text(width - 34, 10, f"{top:.3g}", "s"))
    for values, stroke in lines:
        xs = np.linspace(0, width, len(values)) if len(values) > 1 else np.array([width / 2])
        points = " ".join(f"{x:.1f},{height * (1 - v / top):.1f}" for x, v in zip(xs, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="1.5"/>')
    return "".join(parts)


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _at(x: float, y: float, content: str) -> str:
    return f'<g transform="translate({x},{y})">{content}</g>'
