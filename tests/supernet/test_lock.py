"""Two processes, one run folder."""

import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from supernet import lock

HOLD = """
import sys, time
from pathlib import Path
from supernet import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / lock.NAME


@pytest.fixture
def other(path):
    """Another process that holds it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_process_is_refused_with_the_firsts_name(path, other):
    with (
        pytest.raises(ValueError, match=rf"in use by process {other.pid} on .*, since 20\d\d-.*--run"),
        lock.hold(path),
    ):
        pass
    assert path.exists()


def test_a_killed_process_leaves_a_lock_that_is_taken_over_with_a_word(path, other, capsys):
    other.kill()
    other.wait()
    assert path.exists()
    with lock.hold(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert f"process {other.pid}" in capsys.readouterr().out
    assert not path.exists()


def test_a_process_stopped_by_ctrl_c_leaves_no_lock(path, other):
    other.send_signal(signal.SIGINT)
    other.wait()
    assert not path.exists()


def test_another_machines_lock_is_not_taken_over_but_says_what_to_do(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-01"}))
    with pytest.raises(ValueError, match=rf"process 1 on elsewhere, since 2026-01-01.*delete {path}"), lock.hold(path):
        pass
    path.unlink()
    with lock.hold(path):
        pass


@pytest.mark.parametrize(("job", "restarts", "taken"), [("7", "1", True), ("7", "0", False), ("8", "1", False)])
def test_a_slurm_job_that_is_requeued_elsewhere_goes_on(path, monkeypatch, job, restarts, taken):
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-01", "job": "7", "restarts": 0}))
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    with nullcontext() if taken else pytest.raises(ValueError, match="on another machine"), lock.hold(path):
        assert json.loads(path.read_text())["job"] == job


@pytest.mark.parametrize("name", ["mine", "other"])
def test_a_job_of_the_same_name_goes_on_elsewhere(path, monkeypatch, name):
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "2026-01-01", "own_job": "mine"}))
    monkeypatch.setenv(lock.JOB, name)
    with nullcontext() if name == "mine" else pytest.raises(ValueError, match="on another machine"), lock.hold(path):
        assert json.loads(path.read_text())["own_job"] == name


@pytest.mark.parametrize("content", ["", "{}", "[1]", "\0\0", '{"pid": "x"}'])
def test_a_lock_file_that_says_nothing_is_taken_over(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with lock.hold(path):
        pass


def test_a_file_system_without_locks_leaves_the_number_of_the_process(path, other, monkeypatch):
    def unsupported(*_):
        raise OSError(lock.NONE[0], "No locks available")

    monkeypatch.setattr(lock.fcntl, "lockf", unsupported)
    with pytest.raises(ValueError, match=f"process {other.pid}"), lock.hold(path):
        pass
    other.kill()
    other.wait()
    with lock.hold(path):
        pass


def test_no_link_is_followed(path, tmp_path):
    path.parent.mkdir()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"), lock.hold(path):
        pass
    assert not (tmp_path / "victim").exists()
