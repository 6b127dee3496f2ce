#!/usr/bin/env bash
# All figures that need a GPU: benchmarks/gpu.sh [CIFAR-10 as a folder of one subfolder per class]
# Every part writes its own record; one that fails or takes too long does not stop the next.
cd "$(dirname "$0")/.."
part() { timeout "$1" python "${@:2}" || echo "failed: ${*:2}" >&2; }
part 50 benchmarks/fair_step.py --device cuda --batch 256 --rounds 20
part 70 benchmarks/fair_step.py --device cuda --batch 128 --image-size 224 --rounds 5
part 100 benchmarks/oracle.py --device cuda --images 10000 --image-size 32 --rounds 1 --one-by-one 60
if [ -n "${1:-}" ]; then part 200 benchmarks/supernet_training.py --data-root "$1" --device cuda; fi
part 110 benchmarks/fair_step.py --device cuda --batch 256 --rounds 20 --compile
part 240 benchmarks/darts_step.py --batch 64 --rounds 10
if [ -n "${1:-}" ]; then part 540 benchmarks/darts_full.py "$1" --minutes 3; fi
python benchmarks/readme.py
# Longer than all of them together; what is cut off goes on with benchmarks/cifar10.sh, which says when it is done.
if [ -n "${1:-}" ]; then benchmarks/cifar10.sh "$1" && python benchmarks/readme.py; fi
