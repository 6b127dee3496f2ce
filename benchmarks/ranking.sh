#!/usr/bin/env bash
# The full set of ranking figures, for a machine with a GPU, in pieces of under 9 minutes:
#   benchmarks/ranking.sh CIFAR-10-AS-FOLDERS nas-bench-macro_cifar10.json
# Call it again until it prints the record's path; at most an epoch or one scoring of the networks is done twice.
cd "$(dirname "$0")/.."
timeout --signal INT 530 python benchmarks/ranking.py --data-root "$1" --table "$2" "${@:3}"
code=$?
if [ $code = 124 ]; then echo "not finished yet: call it again" >&2; fi
exit $code
