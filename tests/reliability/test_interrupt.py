"""Promise: Ctrl-C at any moment ends in one line, never in a traceback, and says how to go on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
