"""Promise: a full disk or a folder that vanishes ends in one line; what is saved stays whole; mended, it goes on."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import kills
import pytest

from evo import search
from supernet import files

FAULTS = {
    errno.ENOSPC: "No space left", errno.EDQUOT: "quota", errno.EROFS: "Read-only", errno.ENOENT: "No such file",
    errno.EIO: "Input/output",
}  # fmt: skip


def command(folder: Path) -> list[str]:
    return kills.chain(folder)[1][1:]


@pytest.fixture(scope="module")
def expected(module_script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk") / "run"
    assert module_script(search, *command(folder)).code == 0
    return searched(folder)


def searched(folder: Path) -> dict:
    """What the search alone leaves."""
    (folder / "front.csv").write_text("")
    return kills.final(folder)


@pytest.mark.parametrize(("number", "when"), list(zip(FAULTS, (1, 3, 4, 5, 6), strict=True)))
def test_a_write_that_fails_ends_in_one_line_and_goes_on_when_mended(
    script, tmp_path, expected, monkeypatch, number, when
):
    calls, sync = [], os.fsync

    def failing(handle):
        calls.append(handle)
        if len(calls) > 2 * when:
            raise OSError(number, os.strerror(number))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", failing)
        outcome = script(search, *command(tmp_path / "run"))
    assert outcome.code == 2
    line = outcome.err.splitlines()[-1]
    assert FAULTS[number] in line
    assert "the same command goes on" in line
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "run").rglob("*.part"))
    assert script(search, *command(tmp_path / "run")).code == 0
    assert searched(tmp_path / "run") == expected


@pytest.fixture
def disk(tmp_path):
    """mount("size=100k") gives a file system of its own these options; afterwards it is gone."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "none", place]
        done = subprocess.run(command, capture_output=True, text=True) if shutil.which("mount") else None
        if done is None or done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr if done else 'no mount'}")
        return place

    yield mount
    while subprocess.run(["umount", "-l", place], capture_output=True).returncode == 0:
        pass


@pytest.mark.parametrize("size", ["40k", "120k"])
def test_a_disk_that_is_really_full(script, disk, expected, size):
    folder = disk(f"size={size}") / "run"
    outcome = script(search, *command(folder))
    assert outcome.code == 2
    assert "could not be written" in outcome.err.splitlines()[-1]
    assert "the same command goes on" in outcome.err.splitlines()[-1]
    disk("remount,size=10m")
    assert script(search, *command(folder)).code == 0
    assert searched(folder) == expected


@pytest.mark.parametrize("part", ["evolve", "finish"])
def test_a_folder_that_vanishes_while_it_is_written_is_not_made_again(script, tmp_path, expected, monkeypatch, part):
    folder, go_on = tmp_path / "run", getattr(search, part)

    def vanished(*rest):
        shutil.move(folder, folder.with_name("elsewhere"))
        return go_on(*rest)

    with monkeypatch.context() as patch:
        patch.setattr(search, part, vanished)
        outcome = script(search, *command(folder))
    assert outcome.code == 2
    assert "could not be written" in outcome.err.splitlines()[-1]
    assert not folder.exists()
    shutil.move(folder.with_name("elsewhere"), folder)
    assert script(search, *command(folder)).code == 0
    assert searched(folder) == expected
