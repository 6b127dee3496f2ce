"""Every architecture ever scored: by whom it was proposed, when, and with what result. One SQLite file.

A generation is one transaction: after a kill at any moment it is there whole or not at all. Each has a checksum of
itself and of all before it; format 1 had none, and gets them when it grows.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from evo.objectives import FIXED, MEASURES
from search_spaces.cost import COLUMNS
from supernet.files import KEPT, Damaged, check_file, check_format, checksum

FORMAT = 2
WAIT = 600.0  # seconds for a reader of a large archive to finish
MEND = "move it away to begin the search again"
OURS = {"evaluations", "generations", "checksums", "sqlite_autoindex_evaluations_1"}  # all that the file holds
CHECKSUMS = "CREATE TABLE checksums (generation INTEGER PRIMARY KEY, checksum TEXT NOT NULL)"


def schema(measures: Sequence[str]) -> str:
    columns = " ".join(f'"{name}" {"INTEGER" if name in COLUMNS else "REAL"} NOT NULL,' for name in measures)
    return f"""
    CREATE TABLE evaluations (
        id INTEGER PRIMARY KEY, encoding TEXT NOT NULL UNIQUE, {columns}
        proposer TEXT NOT NULL, generation INTEGER NOT NULL, at REAL NOT NULL);
    CREATE TABLE generations (generation INTEGER PRIMARY KEY, hypervolume REAL NOT NULL, seconds REAL NOT NULL);
    {CHECKSUMS};
    PRAGMA user_version = {FORMAT};
    """


class Generation(NamedTuple):
    """Shapes: n evaluations, L decisions, C measures, which `Archive.measures` names."""

    encodings: np.ndarray  # (n, L)
    rows: np.ndarray  # (n, C)
    proposers: list[str]


def connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """Of a file that may be a stranger's: no function that its schema names is run (sqlite.org/security.html)."""
    check_file(path)
    db = sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=WAIT)
    db.executescript("PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1;")
    return db


def check(db: sqlite3.Connection, path: Path) -> int:
    """The file's format, 0 if it is empty, once all is as it was recorded. ValueError if it is not, or not ours."""
    try:
        db.execute("BEGIN")  # all of one moment, though a search may go on
        version = db.execute("PRAGMA user_version").fetchone()[0]
        names = {line[0] for line in db.execute("SELECT name FROM sqlite_master")}
        if version == 0 and not names:
            return 0
        check_format(path, version, FORMAT)
        if names | {"checksums"} != OURS or (version == FORMAT and names != OURS):
            raise Damaged(f"{path} is no archive: of its tables, {', '.join(sorted(names ^ OURS))} are amiss; {MEND}")
        problem = " ".join(db.execute("PRAGMA integrity_check(1)").fetchone()[0].split())
        if problem == "ok":
            problem = _mismatch(db) if version == FORMAT else None
    except (sqlite3.Error, TypeError) as error:
        reason = " ".join(str(error).split())  # SQLite's own may quote a damaged schema, line by line
        raise Damaged(f"{path} is damaged and cannot be read ({reason}); {MEND}") from error
    finally:
        db.rollback()
    if problem:
        raise Damaged(f"{path} is damaged ({problem}); {MEND}")
    return version


def _mismatch(db: sqlite3.Connection) -> str | None:
    """The first generation that is not as its checksum says."""
    found, made = dict(db.execute("SELECT * FROM checksums")), dict(_checksums(db))
    wrong = [generation for generation in found | made if found.get(generation) != made.get(generation)]
    return f"generation {wrong[0]} is not that of its checksum" if wrong else None


def _checksums(db: sqlite3.Connection, after: int = 0, before: str | None = None) -> Iterator[tuple[int, str]]:
    """Every generation whose rows come `after` that one, and the checksum of it and of what was `before` it.

    Before the first stand the names of the columns.
    """
    before = before or db.execute("SELECT sql FROM sqlite_master WHERE name = 'evaluations'").fetchone()[0]
    lines = db.execute("SELECT * FROM evaluations WHERE id > ? ORDER BY id", (after,))
    for generation, group in groupby(lines, key=lambda line: line[-2]):
        about = db.execute("SELECT * FROM generations WHERE generation = ?", (generation,)).fetchone()
        before = checksum(json.dumps([before, about, *group]))
        yield generation, before


class Archive:
    """`path` is made if it is missing, for rows of `measures`. ValueError if it is damaged or of a later format."""

    def __init__(self, path: Path, measures: Sequence[str] = MEASURES):
        self.path = path
        try:
            self.db = connect(path, "rwc")
        except sqlite3.Error as error:
            raise ValueError(f"{path} cannot be opened ({error})") from error
        self.format = check(self.db, path)
        if self.format == 0:
            self._write(lambda: self.db.executescript(f"BEGIN; {schema(measures)} COMMIT;"))
            self.format = FORMAT
        columns = [line[1] for line in self.db.execute("PRAGMA table_info(evaluations)")]
        self.measures = tuple(name for name in columns if name not in FIXED)

    def __len__(self) -> int:
        return self._newest("SELECT MAX(id) FROM evaluations") or 0  # none is ever taken away

    def record(self, generation: int, found: Generation, hypervolume: float, seconds: float) -> None:
        """All of a generation or nothing; sqlite3.IntegrityError if it holds an encoding that is already here.

        OSError if it cannot be written.
        """
        now = time.time()
        columns = ", ".join(f'"{name}"' for name in self.measures)
        lines = [
            (json.dumps(encoding.tolist()), proposer, generation, now, *map(_number, self.measures, row.tolist()))
            for encoding, row, proposer in zip(found.encodings, found.rows, found.proposers, strict=True)
        ]
        insert = (
            f"INSERT INTO evaluations (encoding, proposer, generation, at, {columns}) "
            f"VALUES (?, ?, ?, ?{', ?' * len(self.measures)})"
        )
        about = (generation, hypervolume, seconds)

        def write():
            with self.db:
                after, before = len(self), self._newest("SELECT MAX(generation) FROM generations")
                self.db.executemany(insert, lines)
                self.db.execute("INSERT INTO generations VALUES (?, ?, ?)", about)
                self._seal(after, before)

        self._write(write)

    def _seal(self, after: int, before: int | None) -> None:
        """Writes the checksum of what came after row `after` and generation `before`; of everything, in format 1."""
        if self.format < FORMAT:
            self.db.execute(CHECKSUMS)
            self.db.execute(f"PRAGMA user_version = {FORMAT}")
            self.format, after, before = FORMAT, 0, None
        known = self.db.execute("SELECT checksum FROM checksums WHERE generation = ?", (before,)).fetchone()
        self.db.executemany("INSERT INTO checksums VALUES (?, ?)", _checksums(self.db, after, *known or ()))

    def _write(self, write: Callable[[], object]) -> None:
        try:
            write()
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise OSError(f"{self.path} could not be written ({error}); mend that: {KEPT}") from error

    def generations(self) -> Iterator[Generation]:
        """In the order recorded."""
        everything = self.everything()
        sizes = self.db.execute("SELECT COUNT(*) FROM evaluations GROUP BY generation ORDER BY generation").fetchall()
        ends = np.cumsum([size for (size,) in sizes])
        for start, end in zip(ends - [size for (size,) in sizes], ends, strict=True):
            some = slice(start, end)
            yield Generation(everything.encodings[some], everything.rows[some], everything.proposers[some])

    def everything(self) -> Generation:
        columns = ", ".join(f'"{name}"' for name in ("encoding", "proposer", *self.measures))
        lines = self.db.execute(f"SELECT {columns} FROM evaluations ORDER BY id").fetchall()
        encodings = np.array([json.loads(line[0]) for line in lines], dtype=np.int64)
        rows = np.array([line[2:] for line in lines], dtype=np.float64).reshape(-1, len(self.measures))
        return Generation(encodings, rows, [line[1] for line in lines])

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
        return self._newest("SELECT hypervolume FROM generations ORDER BY generation DESC LIMIT 1") or 0.0

    def hypervolumes(self) -> list[float]:
        """After each generation."""
        return [line[0] for line in self.db.execute("SELECT hypervolume FROM generations ORDER BY generation")]

    def _newest(self, query: str):
        line = self.db.execute(query).fetchone()
        return line[0] if line else None


def _number(name: str, value: float) -> float | int:
    return int(value) if name in COLUMNS else value
