"""Kills commands at chosen moments, calls them again, and looks whether they end as if nothing had happened.

A server process imports PyTorch once and forks a child for every call. A moment is an event of the child, a file
opened, renamed or taken away in the run folder or a statement of SQLite, and a time after it.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from evo.archive import Archive
from results import reading, report, train  # noqa: F401 (the server imports them once for all children)
from supernet import checkpoint, command, files

ROOT = Path(__file__).parents[1]
TINY = ("--threads", "1", "--batch-size", "32")
SPACE = ("--space", "three_edge", "--space-options", "channels=1", "cells=1")
DATA = (*SPACE, "--train-images", "64", "--score-images", "60", *TINY)
SEARCH = ("--proposer", "darts", "--proposer-epochs", "2", "--evaluations", "30", "--recalibrate", "32")
LATE = 0.05  # seconds; how long after an event a kill may come
STATEMENTS = ("BEGIN", "COMMIT")


def chain(folder: Path, seed: int = 0) -> list[list[str]]:
    """Module and flags of all commands of a small run, from the supernet to the report."""
    supernet = ["--run", str(folder), "--seed", str(seed), "--epochs", "3", *DATA]
    return [
        ["supernet.train", *supernet],
        ["evo.search", *supernet, *SEARCH],
        ["results.train", str(folder), "--pick", "A", "--seed", str(seed), "--name", "A", "--epochs", "3", *TINY],
        ["results.report", str(folder)],
    ]


class Moment(NamedTuple):
    """The k-th event of a child that begins with `what`, counted from 0, and so many seconds."""

    what: str
    event: int
    late: float


class Ended(NamedTuple):
    """`events` of a child, "what name", and how it ended: its exit code, -9 if it was killed."""

    code: int
    events: list[str]
    said: str


class Server:
    """Runs chains of commands in children, each killed at a moment or left to end. Close it after use."""

    def __init__(self):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        call = [sys.executable, __file__]
        self.process = subprocess.Popen(
            call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )

    def run(self, folder: Path, moment: Moment | None = None, seed: int = 0) -> Ended:
        log, out = folder.with_suffix(".events"), folder.with_suffix(".out")
        for path in (log, out):
            path.write_text("")
        job = {"folder": str(folder), "log": str(log), "out": str(out), "moment": moment, "seed": seed}
        print(json.dumps(job), file=self.process.stdin, flush=True)
        code = json.loads(self.process.stdout.readline())
        return Ended(code, log.read_text().splitlines(), out.read_text())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def serve() -> None:
    """The server's loop: one job a line."""
    for module in ("evo.search", "sklearn.datasets", "evo.proposals.relax"):
        import_module(module)
    for line in sys.stdin:
        job = json.loads(line)
        reached, reach = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reached)
            _child(job, reach)
        os.close(reach)
        killer = threading.Thread(target=_kill, args=(pid, reached, job["moment"]))
        killer.start()
        _, status = os.waitpid(pid, 0)
        killer.join()
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def _kill(pid: int, reached: int, moment: Sequence | None) -> None:
    """Waits until the child has reached its moment, or has ended."""
    with open(reached, "rb") as pipe:
        if pipe.read(1):
            time.sleep(moment[2])
            os.kill(pid, signal.SIGKILL)


def _child(job: dict, reach: int) -> None:
    """Runs the chain and ends the process."""
    code = 3
    try:
        out = os.open(job["out"], os.O_WRONLY)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.addaudithook(_watch(job, reach))
        for module, *flags in chain(Path(job["folder"]), job["seed"]):
            sys.argv = [module, *flags]
            code = _call(import_module(module))
            if code:
                break
    finally:
        sys.stdout.flush()
        os._exit(code)


def _call(module) -> int:
    try:
        command.call(module.main, module.Config, module.__doc__)
    except SystemExit as end:
        return end.code or 0
    return 0


def _watch(job: dict, reach: int):
    """An audit hook that writes every event down, and dies at its moment."""
    log, count = os.open(job["log"], os.O_WRONLY | os.O_APPEND), 0
    moment = job["moment"]

    def event(what: str, name: str) -> None:
        nonlocal count
        os.write(log, f"{what} {name}\n".encode())
        if moment and what.startswith(moment[0]):
            if count == moment[1] and moment[2] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            elif count == moment[1]:
                os.write(reach, b".")
            count += 1

    def hook(name: str, arguments: tuple) -> None:
        if name in ("os.rename", "os.remove", "open"):
            path = str(arguments[1 if name == "os.rename" else 0])
            made = name != "open" or arguments[2] & os.O_CREAT
            if made and path.startswith(job["folder"]):
                event(name.removeprefix("os."), path.removeprefix(job["folder"])[1:])
        elif name == "pickle.find_class":
            event("unpickle", ".".join(map(str, arguments)))

    def statement(sql: str) -> None:
        if sql.startswith(STATEMENTS):
            event(sql.split()[0].lower(), "archive.sqlite")

    def connect(*arguments, **options):
        db = opened(*arguments, **options)
        db.set_trace_callback(statement)
        return db

    opened, sqlite3.connect = sqlite3.connect, connect
    return hook


PLANTED = (Moment("open", 1, 0.0), Moment("rename", 2, 0.0), Moment("commit", 0, 0.0), Moment("commit", 1, 0.0))


def choose(rng: random.Random, made: int) -> Moment:
    """One of the next events, at once or a little later: a run that is killed so often still comes to its end.

    The first are planted: before and after a file's bytes are there, and in the moment of a commit.
    """
    if made < len(PLANTED):
        return PLANTED[made]
    what, most = rng.choice((("", 30), ("rename", 4), ("commit", 3)))
    return Moment(what, rng.randrange(most), rng.choice([0.0, rng.uniform(0, LATE / 50), rng.uniform(0, LATE)]))


def final(folder: Path) -> dict:
    """All that a run says in the end, but for times."""
    found = {"files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))}
    with closing(Archive(folder / "archive.sqlite").db) as db:
        found["archive"] = db.execute(
            "SELECT id, encoding, accuracy, madds, params, proposer, generation FROM evaluations"
        ).fetchall()
        found["hypervolumes"] = db.execute("SELECT generation, hypervolume FROM generations").fetchall()
    for path in sorted(folder.rglob("*.safetensors")):
        found[path.name] = _weights(path)
    for path in sorted(folder.rglob("*.json")):
        found[path.name] = files.load_json(path, set(), "")
    found["front.csv"] = (folder / "front.csv").read_text()
    found["problems"] = reading.read(folder).problems
    return found


def _weights(path: Path) -> tuple:
    kind = (
        "supernet" if path.stem.startswith("supernet") else "relaxation" if "proposer" in path.stem else "stand-alone"
    )
    tensors, meta = checkpoint.load(path, kind)
    history = [{name: value for name, value in row.items() if name != "seconds"} for row in meta.pop("history", [])]
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, meta, history


class Count(NamedTuple):
    """`different`: what did not end as without kills; `repeated`: intervals done again, but for one after every kill;
    `moments`: how often a child was killed after an event."""

    kills: int
    different: list[str]
    repeated: int
    moments: dict[str, int]


def attack(server: Server, home: Path, kills: int, seed: int) -> Count:
    """Kills small runs, each again and again, until so many kills are made; ValueError if one cannot go on."""
    rng, whole = random.Random(seed), server.run(home / "whole")
    if whole.code:
        raise ValueError(f"the uninterrupted run failed: {whole.said}")
    expected, saved = final(home / "whole"), intervals(whole.events)
    made, different, repeated, moments = 0, [], 0, Counter()
    for number in range(kills):
        folder, mine, done, ended = home / f"run{number}", 0, Counter(), None
        while ended is None or ended.code == -signal.SIGKILL:
            ended = server.run(folder, choose(rng, made) if made < kills else None)
            done += intervals(ended.events)
            if ended.code == -signal.SIGKILL:
                made, mine = made + 1, mine + 1
                moments[ended.events[-1]] += 1
        if ended.code:
            raise ValueError(f"after {mine} kills the run could not go on: {ended.said}")
        found = final(folder)
        different += [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]
        repeated = max(repeated, max((done - saved).values(), default=0) - mine)
        if made >= kills:
            break
    return Count(made, different, repeated, dict(moments))


def intervals(events: Sequence[str]) -> Counter:
    """How often each thing that a training or a search goes on from was saved."""
    return Counter(
        event
        for event in events
        if event.endswith((".safetensors", "commit archive.sqlite")) and event.startswith(("rename", "commit"))
    )


if __name__ == "__main__":
    serve()
