#!/usr/bin/env bash
# The full set of ranking figures, for a machine with a GPU, in pieces of under 9 minutes:
#   benchmarks/ranking.sh CIFAR-10-AS-FOLDERS FOLDER-OF-TABLES
# Call it again, on the same machine, until it prints the records' paths; at most an epoch, 25 scores or one comparison
# is done twice.
cd "$(dirname "$0")/.."
if [ $# -lt 2 ]; then
    echo "usage: benchmarks/ranking.sh CIFAR-10-AS-FOLDERS FOLDER-OF-TABLES [--scale dry]" >&2
    exit 2
fi
timeout --signal INT "${PIECE:-530}" python3 benchmarks/ranking.py --data-root "$1" --tables "$2" "${@:3}"
code=$?
if [ $code = 124 ]; then echo "not finished yet: call it again" >&2; fi
exit $code
