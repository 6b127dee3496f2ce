"""Objectives that are functions of the user's own: FILE.py::FUNCTION, called as function(space, encodings).

Shapes: N architectures, L decisions.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from search_spaces import SearchSpace

Function = Callable[[SearchSpace, np.ndarray], np.ndarray]  # encodings (N, L) -> (N,)


def load(name: str, file: str) -> Function:
    """The function called `name` in `file`; ValueError if it cannot be had."""
    try:
        spec = importlib.util.spec_from_file_location(f"user_objective_{Path(file).stem}", file)
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up there
        folder = str(Path(file).resolve().parent)
        sys.path += [] if folder in sys.path else [folder]  # what lies beside it can be imported
        spec.loader.exec_module(module)
        return getattr(module, name)
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f"objective {name} cannot be had from {file}: {error!r}") from error


def call(name: str, function: Function, space: SearchSpace, encodings: np.ndarray) -> np.ndarray:
    """(N, L) -> (N,) float64, finite; ValueError names the objective if its function raises, or gives anything else."""
    try:
        values = np.asarray(function(space, encodings.copy()), dtype=np.float64)  # it may change what it is given
    except Exception as error:  # whatever the user's function raises
        raise ValueError(f"objective {name} failed on {len(encodings)} architectures: {error!r}") from error
    if values.shape != (len(encodings),):
        raise ValueError(f"objective {name} must give {len(encodings)} numbers, got shape {values.shape}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"objective {name} is {values[bad[0]]} for architecture {encodings[bad[0]].tolist()}")
    return values
