"""What is left of a search on Ray when everything dies.

    python benchmarks/cluster_kills.py [--kills 20]
The same search runs here once, and again and again on a cluster of two nodes beside the head, in which in turn an
actor, a worker's process and a node are killed at random moments.
"""

import os
import random
import secrets
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import record
import torch
from cluster import CONFIG, RECALIBRATE

import search_spaces
from evo import cluster, search
from evo import objectives as goals
from evo.archive import Archive
from evo.config import Config
from evo.pool import Pool
from search_spaces import SearchSpace
from supernet import train
from supernet.data import DataConfig, load

EVALUATIONS = 1000
KINDS = ("actor", "process", "node")
MOMENT = 3.0  # a kill comes at random within so many seconds
Found = tuple[list, list]  # encodings and rows of an archive, in their order


def searched(folder: Path, space: SearchSpace, oracle) -> Found:
    """The archive of a whole search with this oracle."""
    config = Config(supernet=CONFIG, evaluations=EVALUATIONS)
    folder.mkdir()
    costs, archive = goals.Costs(space), Archive(folder / "archive.sqlite", config.names())
    score = search.make_score(config, space, costs, {}, oracle.accuracy)
    search.evolve(config, costs, score, search.make_engine(config, space, costs), archive)
    found = archive.everything()
    return found.encodings.tolist(), found.rows.tolist()


def kill(kind: str, pool: Pool, nodes, rng: random.Random) -> None:
    if kind == "actor":
        pool.ray.kill(rng.choice([work.worker for work in list(pool.running.values())] + pool.idle))
    elif kind == "process":
        os.kill(rng.choice(workers()), signal.SIGKILL)
    else:
        nodes.remove_node(rng.choice(list(nodes.worker_nodes)), allow_graceful=False)
        nodes.add_node(num_cpus=1)


def workers() -> list[int]:
    """The processes of the pool's workers, grandchildren of this one; as soon as there is one."""
    parents = {}
    while not parents:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "cmdline").read_text().startswith("ray::Worker"):
                    parents[int(path.name)] = parent(parent(path.name))
            except OSError:
                continue  # it has ended meanwhile
        parents = {process: above for process, above in parents.items() if above == str(os.getpid())}
        time.sleep(0.1)
    return list(parents)


def parent(process: str) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]


def survive(kills: int, home: Path) -> dict:
    """Searches until so many kills are done, each compared with the one here."""
    from ray.cluster_utils import Cluster

    space, data = search_spaces.load("digits"), load(DataConfig())
    net, _ = train.train(replace(CONFIG, run=str(home)), space, data)
    expected = searched(home / "here", space, train.make_oracle(CONFIG, net, data, RECALIBRATE))
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        nodes.add_node(num_cpus=1)
    pool = Pool(cluster.connect(nodes.address), "cpu").send(CONFIG, space, net, data, RECALIBRATE, {})
    rng, found, died = random.Random(0), [], []
    while len(died) < kills:
        folder = home / str(len(found))
        thread = threading.Thread(target=lambda folder=folder: found.append(searched(folder, space, pool)))
        thread.start()
        while thread.is_alive() and len(died) < kills:
            thread.join(rng.uniform(0, MOMENT))
            if thread.is_alive() and pool.deaths == 0:  # somebody has answered since the last one
                died.append(KINDS[len(died) % len(KINDS)])
                kill(died[-1], pool, nodes, rng)
                print(f"{len(died)} killed, {len(found)} searches done", flush=True)
        thread.join()
    return {"kills": {kind: died.count(kind) for kind in KINDS}, **compared(found, expected)}


def compared(found: list[Found], expected: Found) -> dict[str, int]:
    """How many evaluations of all archives are missing, are there twice, or differ from those expected."""
    counts = {"searches": len(found), "evaluations": len(expected[0]) * len(found), "lost": 0, "doubled": 0, "other": 0}
    for encodings, rows in found:
        unique = set(map(tuple, encodings))
        counts["lost"] += len(set(map(tuple, expected[0])) - unique)
        counts["doubled"] += len(encodings) - len(unique)
        pairs = zip(zip(encodings, rows, strict=True), zip(*expected, strict=True), strict=False)
        counts["other"] += sum(ours != theirs for ours, theirs in pairs)
    return counts


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    torch.set_num_threads(1)
    os.environ.update(cluster.QUIET | cluster.PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)})
    with tempfile.TemporaryDirectory() as home:
        print(record.save("cluster_kills", survive(kills, Path(home))))


if __name__ == "__main__":
    main()
