import subprocess
import sys
from pathlib import Path

import search_spaces

ROOT = Path(__file__).parents[1]


def test_figures_in_the_readme_are_the_records():
    done = subprocess.run([sys.executable, "benchmarks/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_names_every_space_and_every_dependency():
    text = (ROOT / "README.md").read_text()
    for name in search_spaces.SPACES:
        assert f"| `{name}` |" in text
        assert name in (ROOT / "supernet" / "train.py").read_text()  # the help of --space
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    for line in project.strip().splitlines():
        assert line.strip(' ",').split(">=")[0] in text
