"""Benchmark records: one JSON file per figure we claim, with the machine, versions, commit and command behind it."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from supernet.run_folder import installed

RECORDS = Path(__file__).parent / "records"
ROOT = Path(__file__).parents[1]
PACKAGES = ("torch", "torchvision", "numpy", "pymoo", "deap", "fvcore", "thop")


def machine() -> dict:
    """Processor, cores, memory in GiB, and the GPU if there is one."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(": ", 1)[1] for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": names[0], "cores": os.cpu_count(), "memory_gib": round(memory, 1), "gpu": gpu}


def commit() -> str:
    """The checked-out commit, marked if files other than records and documents were changed since.

    On a machine that has the files without their history, or may not read that: what FAIRFRONT_COMMIT says.
    """
    if not (ROOT / ".git").exists():  # one further out would be another project's
        return os.environ.get("FAIRFRONT_COMMIT", "unknown")
    try:
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/records", ":!docs")
        return _git("describe", "--always", "--abbrev=12") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("FAIRFRONT_COMMIT", "unknown")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def save(name: str, figures: dict) -> Path:
    """Writes records/NAME.json and returns its path."""
    versions = {"python": platform.python_version(), **{package: installed(package) for package in PACKAGES}}
    record = {
        "name": name,
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "machine": machine(),
        "versions": versions,
        **figures,
    }
    RECORDS.mkdir(exist_ok=True)
    path = RECORDS / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path


def load(name: str) -> dict:
    return json.loads((RECORDS / f"{name}.json").read_text())


def parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
