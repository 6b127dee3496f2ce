"""Fixtures: small data, a small trained run, and a way to call a script as a user does, but in this process."""

import contextlib
import io
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import search_spaces
from evo import search
from evo.archive import Archive, Generation
from evo.proposals.methods import method
from supernet import command
from supernet.checkpoint import save
from supernet.data import Data, DataConfig, load
from supernet.files import save_json

torch.set_num_threads(1)  # two threads on busy cores can be ten times slower
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so a shell starts what shall run behind it; tests send Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture(scope="session")
def cell_run(tmp_path_factory) -> Path:
    """A run folder of DARTS's cells with made accuracies and a made relaxation; copy it before changing it."""
    folder, rng = tmp_path_factory.mktemp("runs") / "cells", np.random.default_rng(0)
    space = search_spaces.load("darts", image_size=8, in_channels=1, channels=4, cells=3)
    encodings = np.unique(space.sample(rng, 30), axis=0)
    rows = np.column_stack([rng.random(len(encodings)), space.cost(encodings)])
    folder.mkdir()
    who = rng.choice(["random", "darts"], len(encodings)).tolist()
    Archive(folder / "archive.sqlite").record(0, Generation(encodings, rows, who), 0.5, 1.0)
    settings = {"supernet": {}, "search": {"proposer": ["darts"]}}
    save_json(folder / "settings.json", {"settings": settings, "space": space.spec, "data": {}, "versions": {}})
    groups = method("darts").relaxation.groups(space)
    weights = {name: np.full((len(g.to), len(g.options[0])), 0.125).tolist() for name, g in groups.items()}
    row = {"encoding": encodings[0].tolist(), "skips": 2, "entropy": 2.0, "weights": weights, "loss": 2.0}
    history = [{**row, "epoch": k + 1, "accuracy": 0.1 * k, "eigenvalue": None if k % 2 else 0.3} for k in range(4)]
    save(folder / "proposer-darts.safetensors", {}, {"kind": "relaxation", "history": history})
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
