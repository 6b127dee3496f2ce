"""Fixtures: small data, a small trained run, and a way to call a script as a user does, but in this process."""

import contextlib
import io
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from evo import search
from supernet import command
from supernet.data import Data, DataConfig, load

torch.set_num_threads(1)  # two threads on busy cores can be ten times slower

QUICK = ("--epochs", "2", "--evaluations", "60", "--population", "20", "--threads", "1")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def digits() -> Data:
    return load(DataConfig())


@pytest.fixture
def script(monkeypatch):
    """script(module, "--flag", ...) -> Outcome of the module's main, with its exit code."""

    def run(module: ModuleType, *args: object) -> Outcome:
        return _run(module, args, monkeypatch.setattr)

    return run


@pytest.fixture(scope="module")
def module_script():
    """As `script`, for fixtures that a whole module shares."""
    return lambda module, *args: _run(module, args, setattr)


def _run(module: ModuleType, args, setattr_) -> Outcome:
    setattr_(sys, "argv", [module.__name__, *map(str, args)])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command.call(module.main, module.Config, module.__doc__)
            code = 0
        except SystemExit as end:
            code = end.code or 0
    return Outcome(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """A finished quick search on the digits; copy it before changing it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    outcome = _run(search, ("--run", folder, *QUICK), setattr)
    assert outcome.code == 0, outcome.err
    return folder


@pytest.fixture
def run_copy(finished_run, tmp_path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def image_folder(tmp_path, rng):
    """image_folder({"train": {"cat": 8}, ...} or {"cat": 8}) -> root: that many random images, 12 pixels wide."""

    def make(layout: dict, root: Path = tmp_path / "images") -> Path:
        for name, content in layout.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                make(content, root / name)
                continue
            for i in range(content):
                pixels = rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / f"{i}.png")
        return root

    return make
