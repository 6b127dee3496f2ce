#!/usr/bin/env bash
# Figures that need a GPU:  benchmarks/gpu.sh CIFAR-10-AS-FOLDERS [PART ...]
# Without parts all of them, about half an hour; every part writes its own record, and one that fails or takes too long
# does not stop the next. The longer ones, which go on when called again, are ranking.sh and cifar10.sh.
cd "$(dirname "$0")/.."
if [ $# -lt 1 ]; then
    sed -n '2,4p' "$0" >&2
    exit 2
fi
data=$1
wanted=" ${*:2} "
part() {
    if [ "$wanted" = "  " ] || [[ "$wanted" == *" $1 "* ]]; then
        timeout "$2" python3 "benchmarks/$3.py" "${@:4}" || echo "failed: $1" >&2
    fi
}
part oracle 150 oracle --device cuda --images 10000 --image-size 32 --rounds 1 --one-by-one 60
part fair_step 200 fair_step --device cuda --batch 256 --rounds 20
part training 300 supernet_training --data-root "$data" --device cuda
part darts_step 400 darts_step --batch 64 --rounds 10
part darts_full 540 darts_full "$data" --minutes 3
part fair_step_224 250 fair_step --device cuda --batch 128 --image-size 224 --rounds 5
part compiled 400 fair_step --device cuda --batch 256 --rounds 20 --compile
python3 benchmarks/readme.py
