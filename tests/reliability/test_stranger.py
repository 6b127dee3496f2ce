"""Promise: a run folder from a stranger runs no code and leads nowhere outside itself."""

import json
import pickle
import shutil
from contextlib import nullcontext
from pathlib import Path

import kills
import pytest

import results
from evo import search
from results import export, pick, rank, reading, report, train
from supernet import files, run_folder
from supernet import train as supernet_train

OTHERS = ("net.pt", "net.pth", "data.pkl", "images.npy", "table.npz", "supernet.pt", "trained/A.pt", "archive.db")


class Evil:
    """Unpickled, it leaves a file at `path`."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


def commands(folder: Path) -> list[tuple]:
    """Every script, on this run folder."""
    chain = [flags for _, *flags in kills.chain(folder)]
    scripts = list(zip((supernet_train, search, train, report), chain, strict=True))
    quick = ("--networks", "10", "--epochs", "1")
    return [*scripts, (pick, [folder]), (export, [folder, "--formats", "safetensors"]), (rank, [folder, *quick])]


def attempt(script, module, flags) -> None:
    """One answer or one line."""
    outcome = script(module, *flags)
    assert outcome.code in (0, 2)
    assert "Traceback" not in outcome.err
    assert outcome.code == 0 or outcome.err.splitlines()[-1].startswith("error: ")


def test_pickles_under_every_name_are_never_executed(script, folder, tmp_path):
    content = pickle.dumps(Evil(tmp_path / "executed"))
    found = [path for path in folder.rglob("*") if path.is_file()]
    wholes = {path: path.read_bytes() for path in found}
    for name in OTHERS:
        (folder / name).write_bytes(content)
    for path in found:
        path.write_bytes(content)
    for module, flags in commands(folder):
        attempt(script, module, flags)
    for path in found:  # one at a time, among whole ones
        for other, whole in wholes.items():
            other.write_bytes(content if other == path else whole)
        reading.read(folder)
        if path.parent.name == "trained":
            with pytest.raises(ValueError, match="damaged") if "last" not in path.name else nullcontext():
                results.load(folder, "A")
    assert not (tmp_path / "executed").exists()
    pickle.loads(content)  # it would have worked
    assert (tmp_path / "executed").exists()


def test_no_command_unpickles_anything(server, tmp_path):
    ended = server.run(tmp_path / "run")
    assert ended.code == 0
    assert not [event for event in ended.events if event.startswith("unpickle")]


@pytest.mark.parametrize("name", ["../out", "/out", "a/b", "..", "A\n", "a\0", "x" * 300])
def test_names_in_json_cannot_lead_out_of_the_folder(script, folder, tmp_path, name):
    content = json.loads((folder / "front.json").read_text())
    content["picks"][name] = content["picks"]["A"]
    files.save_json(folder / "front.json", content)
    settings = run_folder.read(folder)
    settings["settings"]["supernet"] |= {"run": str(tmp_path / "out"), "data_root": "../../.."}
    settings["settings"]["search"] |= {"run": "../out", "proposer": ["../out"], "warm_start": ["../.."]}
    files.save_json(folder / "settings.json", settings)
    before = {path for path in tmp_path.rglob("*") if folder not in path.parents}
    for module, flags in ((pick, [folder]), (train, [folder, "--pick", name])):
        attempt(script, module, flags)
    assert name not in reading.read(folder).front.get("picks", {})
    with pytest.raises(ValueError, match="no trained"):
        results.load(folder, name)
    assert {path for path in tmp_path.rglob("*") if folder not in path.parents} == before


def test_code_that_the_settings_name_is_not_run(script, folder, tmp_path):
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    settings = run_folder.read(folder)
    settings["settings"]["search"]["objectives"] = ["accuracy", f"{folder}/evil.py::energy"]
    files.save_json(folder / "settings.json", settings)
    for module, flags in commands(folder):
        attempt(script, module, flags)
    assert not (tmp_path / "executed").exists()
