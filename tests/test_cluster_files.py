import os
import subprocess
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_slurm_script_is_a_shell_script_that_passes_its_flags_on():
    path = DOCS / "cluster" / "torchrun.sbatch"
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    assert '-- supernet/train.py "$@"' in path.read_text()


def test_the_slurm_script_gives_torchrun_the_cores_and_gpus_of_its_node(tmp_path, monkeypatch):
    """Since Slurm 22.05 srun does not take the cores from the job by itself. It is a stand-in here."""
    for name, lines in {"srun": 'echo "$@"', "scontrol": 'echo "$3-first"; echo second'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    job = {"JOB_NODELIST": "node", "JOB_NUM_NODES": "2", "GPUS_ON_NODE": "8", "CPUS_PER_TASK": "64", "JOB_ID": "7"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    script = ["bash", DOCS / "cluster" / "torchrun.sbatch", "--run", "my run"]
    called = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    ours, _, torchruns = called.partition(" torchrun ")
    assert "--cpus-per-task 64" in ours
    assert torchruns.startswith("--nnodes 2 --nproc-per-node 8 ")
    assert "--rdzv-id 7 --rdzv-endpoint node-first:29500 -- supernet/train.py --run my run" in torchruns
