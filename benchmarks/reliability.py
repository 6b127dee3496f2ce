"""All attacks of docs/reliability.md, with as many cases as one likes; the tests make the same ones with few.

python benchmarks/reliability.py --damages 10000
python benchmarks/reliability.py --kills 200
python benchmarks/reliability.py --inputs 1000
Done piece by piece into runs/reliability/; called again it goes on, and the record counts what is there.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import fuzz
import inputs
import kills
import record

PIECES = record.ROOT / "runs" / "reliability"


def killed(cases: int, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as home, closing(kills.Server()) as server:
        found = kills.attack(server, Path(home), cases, seed)
    return {"kills": found.kills, "different": len(found.different), "repeated": found.repeated, **found.moments}


def damaged(cases: int, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as home, closing(kills.Server()) as server:
        ended = server.run(Path(home) / "run")
        if ended.code:
            raise ValueError(ended.said)
        return {"damages": cases, **fuzz.attack(Path(home) / "run", cases, seed)}


def given(cases: int, seed: int) -> dict:
    inputs.tried.clear()
    for function in inputs.ATTACKS:
        inputs.attack(function, cases, seed)
    return dict(inputs.tried)


ATTACKS: dict[str, tuple[Callable[[int, int], dict], int]] = {  # and how many cases make a piece
    "kills": (killed, 10),
    "damages": (damaged, 250),
    "inputs": (given, 20),
}


def attack(name: str, cases: int) -> None:
    """Piece by piece, each with its number as its seed."""
    function, size = ATTACKS[name]
    PIECES.mkdir(parents=True, exist_ok=True)
    for seed in range(1, -(-cases // size) + 1):
        path = PIECES / f"{name}-{seed}.json"
        if not path.exists():
            path.write_text(json.dumps(function(size, seed)))
        found = sum((Counter(json.loads(p.read_text())) for p in PIECES.glob(f"{name}-*.json")), Counter())
        print(record.save(f"reliability-{name}", {"found": dict(found)}), found.total(), flush=True)


def main() -> None:
    parser = record.parser(__doc__)
    for name in ATTACKS:
        parser.add_argument(f"--{name}", type=int, default=0)
    arguments = parser.parse_args()
    for name in ATTACKS:
        attack(name, getattr(arguments, name))


if __name__ == "__main__":
    main()
