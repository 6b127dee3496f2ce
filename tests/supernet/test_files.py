import contextlib
import json
import os

import pytest
import torch

from supernet import checkpoint, files

CONTENT = {"kind": "net", "numbers": [1, 0.1, 1e-300, None, True], "text": 'é "quoted" \u2028', "inner": {"1": {}}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.json"


def save(path, value=1.0):
    checkpoint.save(path, {"w": torch.full((3,), value)}, {"kind": "net", "history": [value]}, True)


def test_json_comes_back_as_it_was_saved(path):
    files.save_json(path, CONTENT)
    assert files.load_json(path, {"inner"}, "") == {"format": 1, **CONTENT}
    files.save_json(path, files.load_json(path, set(), ""))
    assert files.load_json(path, set(), "") == {"format": 1, **CONTENT}


def test_no_byte_of_a_json_file_can_change_what_it_says(path):
    files.save_json(path, CONTENT)
    whole, good = path.read_bytes(), files.load_json(path, set(), "")
    for i in range(len(whole)):
        for bit in (0, 1, 4, 7):
            path.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :])
            with contextlib.suppress(files.Damaged):
                assert files.load_json(path, set(), "") == good  # in white space


def test_a_file_changed_by_hand_is_read_if_it_says_so(path):
    files.save_json(path, CONTENT)
    changed = json.loads(path.read_text()) | {"text": "mine"}
    path.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match='by hand, let it say "checksum": null'):
        files.load_json(path, set(), "")
    path.write_text(json.dumps(changed | {"checksum": None}))
    assert files.load_json(path, set(), "")["text"] == "mine"


def test_a_file_of_a_later_format_says_what_to_do(path):
    path.write_text('{"format": 2}')
    with pytest.raises(ValueError, match="reads up to 1: update FairFront"):
        files.load_json(path, set(), "")


@pytest.mark.parametrize("content", ["", "[]", "3", "[" * 10**5, '{"format": "1"}', '{"format": true}', "\0", "{}"])
def test_what_is_no_json_of_ours_is_refused(path, content):
    path.write_text(content)
    with pytest.raises(ValueError, match="damaged"):
        files.load_json(path, set(), "")


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(path):
    os.mkfifo(path)
    for read in (lambda: files.load_json(path, set(), ""), lambda: checkpoint.meta(path, "net")):
        with pytest.raises(ValueError, match="is no file"):
            read()


def test_no_link_that_lies_beside_a_file_is_written_through(path):
    victim = path.with_name("victim")
    victim.write_text("mine")
    for name in (path.name, path.name + ".part"):
        path.with_name(name).symlink_to(victim)
    files.save_json(path, CONTENT)
    assert victim.read_text() == "mine"
    assert not path.is_symlink()


def test_a_folder_that_vanished_is_not_made_again(tmp_path):
    with pytest.raises(OSError, match=r"could not be written.*No such file"):
        files.write(tmp_path / "gone" / "file", b"")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("damage", [b"", b"\xff" * 60, None])
def test_the_checkpoint_before_a_damaged_or_lost_one_is_used(tmp_path, capsys, damage):
    path = tmp_path / "net.safetensors"
    for value in (1.0, 2.0, 3.0):
        save(path, value)
    path.unlink() if damage is None else path.write_bytes(damage)
    tensors, history = checkpoint.resume(path, {"kind": "net"}, "--run")
    assert (history, tensors["w"][0]) == ([2.0], 2.0)
    assert ("going on from the checkpoint before it" in capsys.readouterr().out) == (damage is not None)
    assert checkpoint.load(path, "net")[1]["history"] == [2.0]
    save(path, 3.0)
    assert checkpoint.resume(path, {"kind": "net"}, "--run")[1] == [3.0]


def test_two_damaged_checkpoints_are_refused_and_none_is_none(tmp_path):
    path = tmp_path / "net.safetensors"
    assert checkpoint.resume(path, {"kind": "net"}, "--run") == ({}, [])
    for found in (path, checkpoint.previous(path)):
        found.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.resume(path, {"kind": "net"}, "--run")


def test_no_byte_of_a_checkpoint_can_change_what_it_holds(tmp_path):
    path = tmp_path / "net.safetensors"
    tensors = {"w": torch.randn(3, 4), "b": torch.randn(2).bfloat16(), "n": torch.tensor(3), "none": torch.empty(0)}
    checkpoint.save(path, tensors, {"kind": "net", "history": [0.5]})
    whole, good = path.read_bytes(), checkpoint.load(path, "net")
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])
        try:
            tensors, meta = checkpoint.load(path, "net")
        except ValueError:
            continue
        assert meta == good[1]
        assert tensors.keys() == good[0].keys()
        assert all(torch.equal(tensors[name], good[0][name]) for name in tensors)


def test_a_checkpoint_from_before_there_were_checksums_is_read(tmp_path):
    text = json.dumps({"format": 1, "kind": "net"})
    (tmp_path / "net").write_bytes(checkpoint.to_bytes({"w": torch.ones(2)}, {"fairfront": text}))
    assert checkpoint.load(tmp_path / "net", "net")[1] == {"format": 1, "kind": "net"}
