"""What Linux's control groups leave of the memory: those of containers, of Slurm jobs, of a session."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
FILES = {  # of a group: its limit, what it has, and what of that can be taken back
    "": ("memory.max", "memory.current", "inactive_file"),  # version 2
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # version 1
}


def left(root: Path = ROOT, own: Path = OWN) -> list[int]:
    """Bytes that this process may still take, by each limit that it has."""
    lines = own.read_text().splitlines() if own.exists() else []
    return [size for line in lines for size in _left(root, *line.split(":", 2)[1:])]


def _left(root: Path, controller: str, place: str) -> Iterator[int]:
    """By the limits of a group and of those that hold it; in a container the outer ones do not show."""
    top = root / controller
    group = top / place.lstrip("/")
    for folder in (group, *group.parents) if controller in FILES else ():
        if folder.is_relative_to(top) and (folder / FILES[controller][0]).exists():
            limit, used, idle = FILES[controller]
            found = re.search(rf"^{idle} (\d+)", (folder / "memory.stat").read_text(), re.MULTILINE)
            limit, used = ((folder / name).read_text().strip() for name in (limit, used))
            if limit.isdigit():
                yield max(0, int(limit) - int(used) + (int(found[1]) if found else 0))
