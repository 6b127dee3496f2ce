#!/usr/bin/env bash
# All figures that need no GPU: about half an hour on two cores that do nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmarks/fair_step.py
python benchmarks/oracle.py
python benchmarks/main_job.py
python benchmarks/readme.py
