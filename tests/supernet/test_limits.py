"""What control groups leave of the memory, in folders made as Linux makes them."""

import pytest

from supernet import limits, memory
from supernet.limits import left


def group(folder, limit, used, stat, version):
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in zip((*names, "memory.stat"), (limit, used, stat), strict=True):
        (folder / name).write_text(text)


@pytest.fixture
def own(tmp_path):
    def write(text):
        (tmp_path / "own").write_text(text)
        return tmp_path / "own"

    return write


def test_every_group_around_the_process_limits_it(tmp_path, own):
    group(tmp_path / "pods", "5000\n", "1000\n", "anon 7\ninactive_file 30\n", version=2)
    group(tmp_path / "pods/one", "900\n", "1000\n", "inactive_file 20\n", version=2)
    group(tmp_path / "pods/one/leaf", "max\n", "1000\n", "inactive_file 20\n", version=2)
    assert left(tmp_path, own("0::/pods/one/leaf\n")) == [0, 4030]


def test_a_group_that_is_not_shown_here_leaves_the_one_that_is(tmp_path, own):
    group(tmp_path / "memory", "600\n", "100\n", "inactive_file 1\ntotal_inactive_file 50\n", version=1)
    assert left(tmp_path, own("4:memory:/docker/abc\n3:cpuset:/\n0::/\n")) == [550]


def test_without_limits_there_are_none(tmp_path, own):
    assert left(tmp_path, own("0::/\n")) == left(tmp_path, tmp_path / "nowhere") == []


def test_free_memory_is_no_more_than_a_limit_leaves(monkeypatch):
    monkeypatch.setattr(limits, "left", lambda: [123, 10**18])
    assert memory.free(memory.torch.device("cpu")) == 123
