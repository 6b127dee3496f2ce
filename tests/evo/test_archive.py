import sqlite3
import threading
from pathlib import Path

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


OLD = Path(__file__).parents[1] / "old_runs" / "format-1" / "archive.sqlite"


def test_no_bit_of_an_archive_can_change_what_it_says(path, rng):
    archive = Archive(path)
    for number in range(3):
        archive.record(number, generation(rng, 5, 5 * number), 0.1 * number, 2.0)
    whole, good, lines = path.read_bytes(), archive.everything(), archive.find([7] * 4)
    archive.db.close()
    found = 0
    for i in rng.integers(len(whole), size=400).tolist() + list(range(100)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])
        try:
            again = Archive(path)
        except ValueError:
            found += 1
            continue
        assert [part.tolist() for part in again.everything()[:2]] == [part.tolist() for part in good[:2]]
        assert again.everything().proposers == good.proposers
        assert again.find([7] * 4) == lines
        assert again.hypervolumes() == [0.0, 0.1, 0.2]
        again.db.close()
    assert found > 50


def test_an_archive_from_before_there_were_checksums_opens_and_gets_them_when_it_grows(path, rng):
    path.write_bytes(OLD.read_bytes())
    archive = Archive(path)
    before = archive.everything()
    new = [9] * before.encodings.shape[1]
    found = Generation(np.array([new]), np.array([[0.5, 1, 2]]), ["random"])
    assert archive.format == 1
    archive.record(len(list(archive.generations())), found, 0.5, 1.0)
    again = Archive(path)
    assert again.format == 2
    assert again.everything().encodings.tolist() == [*before.encodings.tolist(), new]
    again.db.execute("UPDATE evaluations SET accuracy = 0.99 WHERE id = 3")
    again.db.commit()
    with pytest.raises(ValueError, match="generation 0 is not that of its checksum"):
        Archive(path)


def test_what_a_strangers_schema_names_is_not_run(path):
    Archive(path).db.execute("CREATE VIEW more AS SELECT 1")
    with pytest.raises(ValueError, match="more are amiss"):
        Archive(path)


def test_a_large_archive_is_written_while_others_read_it(path, rng):
    archive = Archive(path)
    archive.record(0, generation(rng, 5), 0.5, 1.0)
    reader = Archive(path)
    lines = reader.db.execute("SELECT * FROM evaluations")
    next(lines)
    writer = threading.Thread(target=lambda: Archive(path).record(1, generation(rng, 5, 5), 0.6, 1.0))
    writer.start()
    writer.join(0.3)
    lines.close()
    writer.join(30)
    assert len(reader) == 10


def test_a_damaged_schema_is_refused_in_one_line(path, rng):
    Archive(path).record(0, generation(rng), 0.1, 2.0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"madds" INTEGER', b"`\"madds' INTEGE"))
    with pytest.raises(ValueError, match="is damaged") as refused:
        Archive(path)
    assert "\n" not in str(refused.value)
