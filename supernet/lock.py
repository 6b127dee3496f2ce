"""One process at a time writes a run: a lock file that says who holds it.

The lock is the operating system's (lockf: it ends with its process, and no forked worker inherits it); the file is for
people, and is taken away at the end.
"""

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

NAME = "run.lock"  # of a run folder
JOB = "FAIRFRONT_JOB"  # environment variable of what is begun again, anywhere, only after it has ended
HELD = (errno.EAGAIN, errno.EACCES)
NONE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of file systems without locks


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """While open, no other process can hold `path`; makes its folder. ValueError says who holds it.

    What a crash left on this machine is taken over, and what this job left elsewhere before it was begun again; what
    another machine left is not, for that may still run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with open(handle, "r+") as file:
        _lock(file, path)
        me, owner = _me(), _owner(file)
        if owner and owner["host"] != me["host"] and not _begun_again(owner, me):
            raise ValueError(
                f"{path.parent} may be in use on another machine: {_show(owner)}. If that has ended, delete {path}"
            )
        if owner:
            print(f"{path.parent}: {_show(owner)} did not come to its end; going on from what it saved")
        file.seek(0)
        file.truncate()
        file.write(json.dumps(me))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before the lock ends: nobody else can hold this file then


def _lock(file: IO[str], path: Path) -> None:
    """ValueError if another process has it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = False
    except OSError as error:
        if error.errno not in HELD + NONE:
            raise
        held = error.errno in HELD or _alive(_owner(file))
    if held:
        owner = _owner(file)
        who = _show(owner) if owner else "another process"
        raise ValueError(f"{path.parent} is in use by {who}: wait until it ends, or use another --run or --name")
    if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):  # it ended just now
        raise ValueError(f"{path.parent} was in use until this moment: call again")


def _owner(file: IO[str]) -> dict | None:
    """Who wrote the lock file, as far as it can be read."""
    file.seek(0)
    try:
        owner = json.loads(file.read())
        who = {"pid": int(owner["pid"]), "host": str(owner["host"]), "since": str(owner["since"])}
        who |= {"job": owner.get("job"), "restarts": int(owner.get("restarts", 0))}
        return who | {"own_job": owner.get("own_job")}
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _me() -> dict:
    """This process; of a Slurm job also its number, and how often that was requeued; of another job its name."""
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(" ", "seconds")}
    who |= {"job": os.environ.get("SLURM_JOB_ID"), "restarts": int(os.environ.get("SLURM_RESTART_COUNT", "0"))}
    return who | {"own_job": os.environ.get(JOB)}


def _begun_again(owner: dict, me: dict) -> bool:
    """Whether this job is the owner's, begun again: Slurm, Ray or Kubernetes has ended that then."""
    requeued = me["job"] is not None and me["job"] == owner["job"] and me["restarts"] > owner["restarts"]
    return requeued or (me["own_job"] is not None and me["own_job"] == owner["own_job"])


def _alive(owner: dict | None) -> bool:
    """Whether a process of this machine still has the owner's number."""
    return owner is not None and owner["host"] == socket.gethostname() and Path(f"/proc/{owner['pid']}").exists()


def _show(owner: dict) -> str:
    return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
