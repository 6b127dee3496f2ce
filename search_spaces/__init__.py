"""What exists and what it costs. A new space is one file and one line in SPACES."""

import inspect

from search_spaces import darts, published
from search_spaces.darts_reduced import darts_s1, darts_s2, darts_s3, darts_s4
from search_spaces.digits import digits
from search_spaces.fairnas import fairnas
from search_spaces.mobilenet_v2 import mobilenet_v2
from search_spaces.nas_bench_201 import nas_bench_201
from search_spaces.nas_bench_macro import nas_bench_macro
from search_spaces.proxyless import proxyless
from search_spaces.space import SearchSpace
from search_spaces.three_edge import three_edge

__all__ = ["SPACES", "SearchSpace", "darts", "load", "published"]

SPACES = {
    "darts": darts.darts,
    "darts_s1": darts_s1,
    "darts_s2": darts_s2,
    "darts_s3": darts_s3,
    "darts_s4": darts_s4,
    "digits": digits,
    "fairnas": fairnas,
    "mobilenet_v2": mobilenet_v2,
    "nas_bench_201": nas_bench_201,
    "nas_bench_macro": nas_bench_macro,
    "proxyless": proxyless,
    "three_edge": three_edge,
}


def load(name: str, image_size: int | None = None, num_classes: int | None = None, **options) -> SearchSpace:
    """The space called `name`; None keeps the space's own default. `options` are the space's own, all whole numbers.

    ValueError lists what is known if the name or an option is not, or says which value is wrong.
    """
    if name not in SPACES:
        raise ValueError(f"unknown search space {name!r}; known are {', '.join(SPACES)}")
    options |= {k: v for k, v in (("image_size", image_size), ("num_classes", num_classes)) if v is not None}
    known = inspect.signature(SPACES[name]).parameters
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"space {name} has no option {option!r}; it has {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{option} of space {name} must be a whole number, got {value!r}")
    return SPACES[name](**options)
