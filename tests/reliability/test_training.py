"""Promise: what goes wrong in a training is named, with what to do, and the last good checkpoint stays."""

import os
import signal
import time

import kills
import numpy as np
import pytest
import torch

from evo import search
from supernet import checkpoint, stream
from supernet import train as supernet_train
from supernet.stream import Stream


def test_a_loss_that_is_no_number_names_step_rate_and_paths_and_leaves_the_last_good_epoch(
    script, tmp_path, monkeypatch
):
    flags = kills.chain(tmp_path / "run")[0][1:]
    make, calls = supernet_train.make_step, []

    def poisoned(*rest):
        step = make(*rest)

        def losses(images, labels, paths, *others):
            calls.append(paths)
            found = step(images, labels, paths, *others)
            found[1] = float("nan") if len(calls) == 4 else found[1]
            return found

        return losses

    with monkeypatch.context() as patch:
        patch.setattr(supernet_train, "make_step", poisoned)
        outcome = script(supernet_train, *flags)
    assert outcome.code == 2
    line = outcome.err.splitlines()[-1]
    code = "".join(map(str, calls[3][1]))
    assert "epoch 2, step 2, at learning rate 0.0" in line
    assert f"1 of {len(calls[3])} paths: {code}" in line
    _, meta = checkpoint.load(tmp_path / "run" / "supernet.safetensors", "supernet")
    assert len(meta["history"]) == 1
    assert script(supernet_train, *flags).code == 0


def test_a_worker_that_dies_is_named(image_folder, monkeypatch):
    root = image_folder({"a": 4, "b": 4})
    samples = [(str(path), 0) for path in sorted(root.rglob("*.png"))]
    monkeypatch.setattr(stream, "random_crop", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(ValueError, match=r"process that decodes images was ended .* fewer --workers"):
        list(Stream(samples, 8, workers=1).batches([range(4)], seed=0))


def test_a_corrupt_image_is_named_counted_and_skipped_only_on_request(script, image_folder, tmp_path):
    root = image_folder({"a": 30, "b": 30})
    (root / "a" / "7.png").write_bytes(b"no image")
    flags = ["--run", tmp_path / "run", "--data", "folder", "--data-root", root, "--image-size", "8", "--epochs", "1"]
    stopped = script(supernet_train, *flags, "--threads", "1")
    assert stopped.code == 2
    assert f"{root / 'a' / '7.png'} is no readable image" in stopped.err
    skipped = script(supernet_train, *flags, "--threads", "1", "--skip-corrupt")
    assert skipped.code == 0
    assert "skipped 1 unreadable images" in skipped.out


def test_no_memory_ends_in_one_line(script, tmp_path, monkeypatch):
    flags = kills.chain(tmp_path / "run")[0][1:]
    monkeypatch.setattr(supernet_train, "make_step", lambda *_: torch.empty(2**50))
    outcome = script(supernet_train, *flags)
    assert outcome.code == 2
    assert "--memory" in outcome.err.splitlines()[-1]


def test_a_clock_that_jumps_changes_nothing(script, tmp_path, monkeypatch, whole):
    flags = kills.chain(tmp_path / "run")[1][1:]
    jumps = iter(np.random.default_rng(0).choice([0.0, -1e9, 4e9, 1e12], 10_000))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps)))
    assert script(search, *flags, "--minutes", "60").code == 0
    (tmp_path / "run" / "front.csv").write_text("")
    found, expected = kills.final(tmp_path / "run"), kills.final(whole)
    assert found["archive"] == expected["archive"]
    assert found["front.json"] == expected["front.json"]


def test_ctrl_c_ends_cleanly_with_the_command_to_go_on(script, tmp_path, monkeypatch):
    flags = kills.chain(tmp_path / "run")[1][1:]

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", stopped)
        outcome = script(search, *flags)
    assert outcome.code == 130
    assert f"To go on: python evo.search --run {tmp_path / 'run'}" in outcome.err
    assert not (tmp_path / "run" / "run.lock").exists()
    assert script(search, *flags).code == 0
