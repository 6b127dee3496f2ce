"""From the weights of a mixture to one architecture, and to others near it.

Shapes: E edges, K options.
"""

import numpy as np

from evo.proposals.relaxation import Group, Mixture
from search_spaces import SearchSpace
from search_spaces.cell import Cell
from search_spaces.cell_ops import NONE
from search_spaces.genotype import Edge

MOST = 2  # edges of a node


def discretise(
    space: SearchSpace,
    groups: dict[str, Group],
    mixture: Mixture,
    threshold: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[int, ...]:
    """The encoding of the strongest options.

    A node of slots keeps the two edges whose strongest option is strongest, `none` left out, and on each that option,
    if its weight reaches `threshold` (DARTS, section 2.4; FairDARTS, section 3.4; with weights alpha x beta PC-DARTS);
    a layer, or an edge that must have an option, its strongest. Ties go to the first. With `rng` weights are
    multiplied by exponentiated Gumbel noise first: of a softmax, the option drawn has the probability of its weight.
    """
    weights = {name: options.detach().double().cpu().numpy() for name, options in mixture.options.items()}
    scores = weights if rng is None else {name: w * np.exp(rng.gumbel(size=w.shape)) for name, w in weights.items()}
    if not (isinstance(space, Cell) and space.decisions.sparse):
        strongest = [
            group.options[e][row.argmax()] for name, group in groups.items() for e, row in enumerate(scores[name])
        ]
        decisions = space.decisions.edges if isinstance(space, Cell) else space.layers
        encoding = [list(d.options).index(name) for d, name in zip(decisions, strongest, strict=True)]
        return tuple(space.canonical([encoding])[0].tolist())
    edges = {name: _strongest(group, weights[name], scores[name], threshold) for name, group in groups.items()}
    return space.encode_edges(edges)


def _strongest(group: Group, weights: np.ndarray, scores: np.ndarray, threshold: float) -> list[Edge]:
    kept = []
    for node in dict.fromkeys(group.to):
        found = []
        for e in (e for e, to in enumerate(group.to) if to == node):
            allowed = np.array([name != NONE for name in group.options[e]])
            best = int(np.where(allowed, scores[e], -1.0).argmax())
            edge = Edge(group.options[e][best], node, group.source[e])
            found.append((scores[e, best], weights[e, best], edge))
        found = sorted(found, key=lambda entry: -entry[0])[:MOST]  # stable: ties go to the earlier state
        kept += [edge for _, weight, edge in found if weight >= threshold]
    return kept
