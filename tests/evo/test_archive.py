import sqlite3

import numpy as np
import pytest

from evo.archive import Archive, Generation


def generation(rng, n=5, offset=0) -> Generation:
    encodings = np.arange(offset, offset + n)[:, None] + np.zeros((1, 4), dtype=np.int64)
    return Generation(encodings, np.column_stack([rng.random(n), rng.integers(1, 10**12, (n, 2))]), ["random"] * n)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive.sqlite"


def test_what_is_recorded_comes_back_bit_for_bit(path, rng):
    recorded = [generation(rng, 5, 0), generation(rng, 3, 5)]
    for number, found in enumerate(recorded):
        Archive(path).record(number, found, 0.1 * number, 2.0)
    again = Archive(path)
    for before, after in zip(recorded, again.generations(), strict=True):
        assert (before.encodings == after.encodings).all()
        assert (before.rows == after.rows).all()
    assert len(again) == len(again.everything().rows) == 8
    assert (again.hypervolume(), again.seconds()) == (0.1, 4.0)


def test_no_architecture_is_recorded_twice_and_a_generation_is_all_or_nothing(path, rng):
    archive = Archive(path)
    archive.record(0, generation(rng, 5), 0.5, 1.0)
    with pytest.raises(sqlite3.IntegrityError):
        archive.record(1, generation(rng, 5, 3), 0.6, 1.0)  # 3 and 4 again, 5 to 7 new
    assert len(Archive(path)) == 5
    assert Archive(path).hypervolume() == 0.5


def test_an_unfinished_transaction_is_not_there_after_a_crash(path, rng):
    archive = Archive(path)
    archive.record(0, generation(rng, 5), 0.5, 1.0)
    archive.db.execute("INSERT INTO generations VALUES (1, 0.7, 1.0)")  # and the process dies here
    archive.db.close()
    assert len(list(Archive(path).generations())) == 1


def test_files_that_are_no_archive_are_refused(path):
    path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    with pytest.raises(ValueError, match="cannot be read"):
        Archive(path)


def test_archives_of_a_later_format_are_refused(path):
    Archive(path).db.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="format 99"):
        Archive(path)
