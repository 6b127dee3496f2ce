"""Every architecture ever scored: by whom it was proposed, when, and with what result. One SQLite file.

A generation is one transaction: after a kill at any moment it is there whole or not at all.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evo.objectives import MEASURES
from search_spaces.cost import COLUMNS

FORMAT = 1
FIXED = ("id", "encoding", "proposer", "generation", "at")  # columns; between them stand the measures


def schema(measures: Sequence[str]) -> str:
    columns = " ".join(f'"{name}" {"INTEGER" if name in COLUMNS else "REAL"} NOT NULL,' for name in measures)
    return f"""
    CREATE TABLE evaluations (
        id INTEGER PRIMARY KEY, encoding TEXT NOT NULL UNIQUE, {columns}
        proposer TEXT NOT NULL, generation INTEGER NOT NULL, at REAL NOT NULL);
    CREATE TABLE generations (generation INTEGER PRIMARY KEY, hypervolume REAL NOT NULL, seconds REAL NOT NULL);
    PRAGMA user_version = {FORMAT};
    """


class Generation(NamedTuple):
    """Shapes: n evaluations, L decisions, C measures, which `Archive.measures` names."""

    encodings: np.ndarray  # (n, L)
    rows: np.ndarray  # (n, C)
    proposers: list[str]


class Archive:
    """`path` is made if it is missing, for rows of `measures`. ValueError if it is no archive of this format."""

    def __init__(self, path: Path, measures: Sequence[str] = MEASURES):
        self.db = sqlite3.connect(path)
        try:
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self.db.executescript(f"BEGIN; {schema(measures)} COMMIT;")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path} cannot be read ({error}); move it away to begin the search again") from error
        if version not in (0, FORMAT):
            raise ValueError(f"{path} has format {version}, this version reads {FORMAT}; use another --run")
        columns = [line[1] for line in self.db.execute("PRAGMA table_info(evaluations)")]
        self.measures = tuple(name for name in columns if name not in FIXED)

    def __len__(self) -> int:
        return self.db.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0]

    def record(self, generation: int, found: Generation, hypervolume: float, seconds: float) -> None:
        """All of a generation or nothing; sqlite3.IntegrityError if it holds an encoding that is already here."""
        now = time.time()
        columns = ", ".join(f'"{name}"' for name in self.measures)
        lines = [
            (json.dumps(encoding.tolist()), proposer, generation, now, *map(_number, self.measures, row.tolist()))
            for encoding, row, proposer in zip(found.encodings, found.rows, found.proposers, strict=True)
        ]
        with self.db:
            self.db.executemany(
                f"INSERT INTO evaluations (encoding, proposer, generation, at, {columns}) "
                f"VALUES (?, ?, ?, ?{', ?' * len(self.measures)})",
                lines,
            )
            self.db.execute("INSERT INTO generations VALUES (?, ?, ?)", (generation, hypervolume, seconds))

    def generations(self) -> Iterator[Generation]:
        """In the order recorded."""
        for (generation,) in self.db.execute("SELECT generation FROM generations ORDER BY generation").fetchall():
            yield self._read("WHERE generation = ?", (generation,))

    def everything(self) -> Generation:
        return self._read("", ())

    def find(self, encoding: Sequence[int]) -> dict | None:
        """The one line of an architecture: its measures, proposer, generation and when (seconds since 1970)."""
        columns = (*self.measures, "proposer", "generation", "at")
        text = json.dumps([int(option) for option in encoding])
        quoted = ", ".join(f'"{name}"' for name in columns)
        query = f"SELECT {quoted} FROM evaluations WHERE encoding = ?"
        line = self.db.execute(query, (text,)).fetchone()
        return dict(zip(columns, line, strict=True)) if line else None

    def seconds(self) -> float:
        """Spent on all generations."""
        return self.db.execute("SELECT TOTAL(seconds) FROM generations").fetchone()[0]

    def hypervolume(self) -> float:
        """After the last generation; 0 before the first."""
        newest = self.db.execute("SELECT hypervolume FROM generations ORDER BY generation DESC LIMIT 1").fetchone()
        return newest[0] if newest else 0.0

    def hypervolumes(self) -> list[float]:
        """After each generation."""
        return [line[0] for line in self.db.execute("SELECT hypervolume FROM generations ORDER BY generation")]

    def _read(self, where: str, values: tuple) -> Generation:
        columns = ", ".join(f'"{name}"' for name in ("encoding", "proposer", *self.measures))
        lines = self.db.execute(f"SELECT {columns} FROM evaluations {where} ORDER BY id", values).fetchall()
        encodings = np.array([json.loads(line[0]) for line in lines], dtype=np.int64)
        rows = np.array([line[2:] for line in lines], dtype=np.float64).reshape(-1, len(self.measures))
        return Generation(encodings, rows, [line[1] for line in lines])


def _number(name: str, value: float) -> float | int:
    return int(value) if name in COLUMNS else value
