"""Model cards: what a pick is and where it comes from, as JSON that outlives its run.

{"format": 1, "name": ..., "why": ..., "space": what `search_spaces.load` takes, "encoding": [...], "blocks": in words,
"objectives": {"accuracy": the supernet's, null if it was not scored, "madds": ..., "params": ..., ...}, "provenance":
{"run": ..., "proposer": ..., "generation": ..., "scored": when, "settings": ..., "images": ..., "versions": ...}}
"""

from datetime import UTC, datetime
from pathlib import Path

from evo.archive import Archive
from results import front
from search_spaces import SearchSpace
from supernet import run_folder


def make(folder: Path, name: str, point: front.Point, space: SearchSpace, archive: Archive | None) -> dict:
    """The card of a pick, but for the format number."""
    saved = run_folder.read(folder)
    line = (archive.find(point["encoding"]) if archive else None) or {}
    provenance = {"run": folder.resolve().name, "proposer": point["proposer"], "generation": line.get("generation")}
    provenance["scored"] = datetime.fromtimestamp(line["at"], UTC).isoformat(timespec="seconds") if line else None
    provenance |= {"settings": saved.get("settings"), "images": saved.get("data"), "versions": saved.get("versions")}
    return {
        "name": name,
        "why": point["why"],
        "space": space.spec,
        "encoding": point["encoding"],
        "blocks": space.describe(point["encoding"]),
        "objectives": {name: value for name, value in point.items() if name not in ("encoding", "proposer", "why")},
        "provenance": provenance,
    }
