"""Supernets trained strictly fair on CIFAR-10 as a folder, for a few epochs: seconds of one, start-up and compilation
apart.

python benchmarks/supernet_training.py --data-root DIR [--device cuda]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import record

from supernet import checkpoint

RUNS = {  # flags of supernet/train.py
    "nas_bench_macro": ["--space", "nas_bench_macro", "--epochs", "15"],
    "fairnas": ["--space", "fairnas", "--space-options", "stem_stride=1", "--epochs", "5"],
}


def train(flags: list[str]) -> dict:
    with tempfile.TemporaryDirectory() as home:
        folder, start = Path(home) / "run", time.monotonic()
        command = [sys.executable, "supernet/train.py", "--run", str(folder), "--data", "folder", *flags]
        done = subprocess.run(command, cwd=record.ROOT, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        wall = time.monotonic() - start
        _, meta = checkpoint.load(folder / "supernet.safetensors", "supernet")
    epochs = [row["seconds"] for row in meta["history"]]
    return {
        "wall_seconds": wall,
        "training_seconds": sum(epochs),
        "first_epoch_seconds": epochs[0],
        "epoch_seconds": median(epochs[1:]),
        "epochs": len(epochs),
        "accuracy": meta["history"][-1]["accuracy"],
        "said": [line for line in done.stderr.splitlines() if "at a time" in line or "going on" in line],
    }


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    common = ["--data-root", arguments.data_root, "--device", arguments.device]
    runs = {}
    for name, flags in RUNS.items():
        runs[name] = train(flags + common)
        print(record.save("supernet_training", {"runs": runs}))


if __name__ == "__main__":
    main()
