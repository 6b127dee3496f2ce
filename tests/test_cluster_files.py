import subprocess
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_slurm_script_is_a_shell_script_that_passes_its_flags_on():
    path = DOCS / "cluster" / "torchrun.sbatch"
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert '-- supernet/train.py "$@"' in path.read_text()
