#!/usr/bin/env bash
# CIFAR-10 from the supernet to the trained picks, for a machine with a GPU, in pieces of under 9 minutes:
#   benchmarks/cifar10.sh CIFAR-10-AS-FOLDERS
# Call it again, on the same machine, until it prints the record's path; at most an epoch or one generation is done twice.
cd "$(dirname "$0")/.."
timeout --signal INT 530 python3 benchmarks/cifar10.py --data-root "$1" "${@:2}"
code=$?
if [ $code = 124 ]; then echo "not finished yet: call it again" >&2; fi
exit $code
