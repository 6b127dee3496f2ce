"""Promise: a run of an earlier version opens and goes on; one of a later version is refused with what to do."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch

import results
from evo import search
from evo.archive import Archive
from results import front, pick, report, train
from supernet import checkpoint, files

OLD = Path(__file__).parents[1] / "old_runs" / "format-1"  # of before there were checksums


@pytest.fixture
def old(tmp_path) -> Path:
    return shutil.copytree(OLD, tmp_path / "run")


def test_every_script_goes_on_with_an_old_run(script, old):
    known = Archive(old / "archive.sqlite").everything().encodings
    for module, flags in (
        (search, ["--run", old, "--evaluations", "30"]),
        (pick, [old]),
        (train, [old, "--pick", "mine", "--epochs", "1", "--batch-size", "32"]),
        (report, [old]),
    ):
        outcome = script(module, *flags)
        assert outcome.code == 0, outcome.err
        assert "not read" not in outcome.out
    encodings = Archive(old / "archive.sqlite").everything().encodings
    assert np.array_equal(encodings[: len(known)], known)
    assert len(encodings) == front.load(old)["evaluations"] == 30


def test_an_old_network_computes_what_it_did(old):
    net = results.load(old, "mine")
    tensors, _ = checkpoint.load(old / "trained" / "mine.safetensors", "stand-alone")
    assert all(torch.equal(tensors[f"net.{name}"], tensor) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("name", ["settings.json", "front.json", "archive.sqlite", "supernet.safetensors"])
def test_a_file_of_a_later_format_is_refused_with_what_to_do(script, old, name):
    path = old / name
    if path.suffix == ".json":
        content = json.loads(path.read_text()) | {"format": 9}
        content["checksum"] = files.checksum(json.dumps(content))
        path.write_text(json.dumps(content))
    elif path.suffix == ".sqlite":
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 9")
        db.close()
    else:
        tensors, meta = checkpoint.load(path, "supernet")
        checkpoint.save(path, tensors, meta | {"format": 9})
    module, flags = (pick, [old]) if name == "front.json" else (search, ["--run", old])
    outcome = script(module, *flags)
    assert outcome.code == 2
    assert f"{name} has format 9" in outcome.err
    assert "update FairFront" in outcome.err
