"""Promise: Ctrl-C at any moment, or the end of a job, ends in one line, never in a traceback, and says how to go on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from supernet import lock

ROOT = Path(__file__).parents[2]
ENDED = """
import os, runpy, signal, sys
from supernet import fit

def evaluate(*_):
    os.kill(os.getpid(), signal.SIGTERM)

fit.accuracy = evaluate
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""  # what ends a job, in the middle of a training
SCRIPTS = ("evo/search.py", "supernet/train.py", "results/train.py", "results/report.py", "results/pick.py")
EARLY = """
import os, runpy, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""  # Ctrl-C in the moment in which PyTorch begins to load


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c_while_pytorch_loads_ends_in_one_line(script):
    done = subprocess.run([sys.executable, "-c", EARLY, script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (-signal.SIGINT, 130)
    assert done.stderr.strip() == "stopped before anything was begun"


def test_a_job_that_is_ended_says_how_to_go_on_and_leaves_nothing_locked(tmp_path):
    command = [sys.executable, "-c", ENDED, "supernet/train.py", "--run", str(tmp_path / "run"), "--epochs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.splitlines()[-1].startswith(
        "stopped; nothing finished is lost. To go on: python supernet/train.py"
    )
    assert not (tmp_path / "run" / lock.NAME).exists()
