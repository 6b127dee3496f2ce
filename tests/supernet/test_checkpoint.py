import os
import pickle

import pytest
import torch

from supernet import checkpoint


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def save(path, value=1.0):
    checkpoint.save(path, {"w": torch.full((3, 4), value)}, {"kind": "supernet", "epoch": 7})


def test_what_is_saved_comes_back(path):
    w = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    checkpoint.save(path, {"w": w, "n": torch.tensor(3)}, {"kind": "supernet", "history": [{"loss": 0.1}]})
    tensors, meta = checkpoint.load(path, "supernet")
    assert torch.equal(tensors["w"], w)
    assert tensors["n"] == 3
    assert meta["history"] == [{"loss": 0.1}]


@pytest.mark.parametrize("break_at", ["write", "fsync", "replace"])
def test_a_failure_at_any_step_leaves_the_old_file_whole(path, monkeypatch, break_at):
    save(path, 1.0)

    def fail(*args):
        raise OSError(28, "No space left on device")

    if break_at == "write":
        monkeypatch.setattr(checkpoint, "to_bytes", fail)
    else:
        monkeypatch.setattr(os, break_at, fail)
    with pytest.raises(OSError, match="No space"):
        save(path, 2.0)
    assert (checkpoint.load(path, "supernet")[0]["w"] == 1.0).all()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_damaged_files_are_refused(path):
    save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[:-10], b"\xff" * 8 + whole[8:], pickle.dumps({"w": 1})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            checkpoint.load(path, "supernet")


def test_files_of_another_kind_are_refused(path):
    save(path)
    with pytest.raises(ValueError, match="no stand-alone"):
        checkpoint.load(path, "stand-alone")


def test_weights_of_another_network_are_refused_in_one_line(path):
    net = torch.nn.Linear(4, 3)
    for weights in ({"weight": torch.ones(3, 4)}, {"weight": torch.ones(4, 3), "bias": torch.ones(3)}):
        with pytest.raises(ValueError, match=r"net\.safetensors holds the weights of another network"):
            checkpoint.fill(net, weights, path)
    checkpoint.fill(net, {"weight": torch.ones(3, 4), "bias": torch.ones(3)}, path)
    assert net.weight.eq(1).all()


def test_nothing_in_the_project_unpickles():
    from pathlib import Path

    root = Path(__file__).parents[2]
    for folder in ("search_spaces", "supernet", "evo", "results"):
        for file in (root / folder).rglob("*.py"):
            text = file.read_text()
            assert "pickle" not in text.replace("unpickle", ""), file
            assert "torch.load" not in text, file
