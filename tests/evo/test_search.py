"""The main script, as a user meets it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import search_spaces
from evo import latency, search
from evo.archive import Archive
from evo.mending import Mending
from results import front, pick, ranking, reading
from results.judged import Judged, Reading
from supernet import checkpoint, command, files, oracle, run_folder, train
from supernet.compute import Compute

ROOT = Path(__file__).parents[2]
PROPOSERS = ("random", "natural", "controller", "roulette", "regulator", "predictor")
QUICK = ("--epochs", "2", "--evaluations", "60", "--population", "20", "--threads", "1")


def archive(folder) -> tuple[list, list, list]:
    encodings, rows, proposers = Archive(folder / "archive.sqlite").everything()
    return encodings.tolist(), rows.tolist(), proposers


def copy_supernet(source: Path, target: Path) -> Path:
    target.mkdir()
    shutil.copy(source / "supernet.safetensors", target)
    return target


def test_a_run_leaves_what_it_promises(finished_run):
    content = json.loads((finished_run / "front.json").read_text())
    assert (content["format"], content["space"], content["evaluations"]) == (1, "digits", 60)
    assert content["objectives"] == {"accuracy": "max", "madds": "min", "params": "min"}
    space = search_spaces.load(content["space"], **content["space_options"])
    assert content["front"]
    for point in content["front"]:
        assert space.cost([point["encoding"]])[0].tolist() == [point["madds"], point["params"]]
        assert 0 <= point["accuracy"] <= 1
        assert point["proposer"] in PROPOSERS
    assert list(content["picks"]) == ["A", "B", "C"]
    assert content["picks"]["A"]["madds"] >= content["picks"]["B"]["madds"] >= content["picks"]["C"]["madds"]
    assert {p.name for p in finished_run.iterdir()} == {
        "front.json", "archive.sqlite", "settings.json", "supernet.safetensors", "supernet.previous.safetensors",
    }  # fmt: skip


def test_the_archive_holds_no_architecture_twice(finished_run):
    encodings, _, _ = archive(finished_run)
    assert len({tuple(e) for e in encodings}) == len(encodings) == 60


def test_the_front_is_the_archives_front(finished_run):
    encodings, rows, _ = archive(finished_run)
    content = front.load(finished_run)
    on_front = {tuple(point["encoding"]) for point in content["front"]}
    for encoding, (accuracy, madds, params) in zip(encodings, rows, strict=True):
        better = [
            r for r in rows
            if r[0] >= accuracy and r[1] <= madds and r[2] <= params and r != [accuracy, madds, params]
        ]  # fmt: skip
        assert (tuple(encoding) in on_front) == (not better)


@pytest.mark.parametrize("stop_after", [0, 1, 2])
def test_stopped_after_k_generations_and_called_again_gives_the_same_front(
    script, finished_run, tmp_path, monkeypatch, stop_after
):
    folder = copy_supernet(finished_run, tmp_path / "run")
    score, calls = oracle.SupernetOracle.accuracy, []

    def interrupted(self, encodings):
        if len(calls) == stop_after:
            raise KeyboardInterrupt
        calls.append(1)
        return score(self, encodings)

    with monkeypatch.context() as patch:
        patch.setattr(oracle.SupernetOracle, "accuracy", interrupted)
        stopped = script(search, "--run", folder, *QUICK)
    assert stopped.code == 130
    assert "To go on: python" in stopped.err
    assert len(archive(folder)[0]) == (0, 20, 30)[stop_after]
    assert script(search, "--run", folder).code == 0  # the settings are the run's
    assert archive(folder) == archive(finished_run)
    assert front.load(folder) == front.load(finished_run)


def test_killed_at_any_moment_and_called_again_gives_the_same_front(finished_run, tmp_path):
    """A real process, SIGKILL, from the first epoch on."""
    folder = tmp_path / "run"
    command = [sys.executable, "evo/search.py", "--run", str(folder), *QUICK]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "supernet.safetensors").exists() and time.monotonic() - started < 120:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "front.json").exists()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert front.load(folder) == front.load(finished_run)
    (resumed, meta), (whole, expected) = (
        checkpoint.load(run / "supernet.safetensors", "supernet") for run in (folder, finished_run)
    )
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert [row["loss"] for row in meta["history"]] == [row["loss"] for row in expected["history"]]


def test_output_fits_eighty_columns_and_says_what_to_do_next(script, run_copy):
    outcome = script(search, "--run", run_copy)
    assert outcome.code == 0
    assert all(len(line) <= 80 for line in outcome.out.splitlines() if str(run_copy) not in line)
    for wanted in ("Pareto front", "multiply-adds", "Picks", "results/pick.py", "results/train.py", "--pick A"):
        assert wanted in outcome.out


def test_a_finished_run_goes_on_with_more_evaluations(script, run_copy, finished_run):
    assert script(search, "--run", run_copy, "--evaluations", "70").code == 0
    more, before = archive(run_copy), archive(finished_run)
    assert len(more[0]) == 70
    assert more[0][:60] == before[0]


@pytest.mark.parametrize("flags", [("--shared-prefix", "20", "--groups", "2"), ("--prune", "0.5", "--space", "darts")])
def test_flags_that_the_space_refuses_leave_no_run(script, tmp_path, flags):
    outcome = script(search, "--run", tmp_path / "run", *flags)
    assert outcome.code == 2
    assert flags[0] in outcome.err
    assert not (tmp_path / "run" / "settings.json").exists()


def test_a_flag_that_was_on_can_be_said_again():
    saved = run_folder.merge(
        search.Config(), {"supernet": {"data": "folder", "data_root": "x", "stream": True, "skip_corrupt": True}}
    )
    config = command.parse(search.Config, ["--stream", "--no-skip-corrupt"], "", saved)
    assert config.supernet.images.stream
    assert not config.supernet.images.skip_corrupt


def test_weights_of_objectives_that_must_be_named_again_are_left_out_with_them():
    saved = {"search": {"objectives": ["accuracy", "mine.py::energy"], "crowding_weights": [1.0, 2.0]}}
    assert run_folder.merge(search.Config(), saved).crowding_weights == ()


def test_picks_that_a_person_made_survive_a_longer_search(script, run_copy):
    assert script(pick, run_copy, "--encoding", "000000", "--name", "mine").code == 0
    mine = front.load(run_copy)["picks"]["mine"]
    assert script(search, "--run", run_copy, "--evaluations", "70").code == 0
    assert front.load(run_copy)["picks"]["mine"] == mine


def test_limits_hold_for_everything_scored(script, finished_run, tmp_path):
    folder = copy_supernet(finished_run, tmp_path / "run")
    space = search_spaces.load("digits")
    budget = int(space.cost_range()[0, 0] * 1.2)
    outcome = script(search, "--run", folder, *QUICK, "--max-madds", budget, "--objectives", "accuracy", "params:max")
    assert outcome.code == 0
    rows = np.array(archive(folder)[1])
    assert len(rows) > 20
    assert (rows[:, 1] <= budget).all()
    content = front.load(folder)
    assert content["objectives"] == {"accuracy": "max", "params": "max"}
    assert content["limits"] == {"max_madds": budget}


def test_a_limit_on_accuracy_that_nobody_meets_is_said_and_nothing_is_lost(script, finished_run, tmp_path):
    folder = copy_supernet(finished_run, tmp_path / "run")
    outcome = script(search, "--run", folder, *QUICK, "--min-accuracy", "0.9999")
    assert outcome.code == 0
    assert "no architecture of 60 scored ones meets the limits" in outcome.out
    assert front.load(folder)["front"] == []


def test_an_exhausted_space_ends_the_search_cleanly(script, finished_run, tmp_path, monkeypatch):
    folder = copy_supernet(finished_run, tmp_path / "run")
    monkeypatch.setattr(search.goals.Costs, "violation", lambda self, encodings, limits: encodings[:, :4].sum(1))
    outcome = script(search, "--run", folder, *QUICK, "--max-madds", "1G")
    assert outcome.code == 0
    assert "the space has no more architectures: ended after 36 evaluations" in outcome.out


BAD_FLAGS = [
    (["--nope"], "Unrecognized"),
    (["--epochs", "many"], "--epochs"),
    (["--space", "resnet"], "unknown search space 'resnet'; known are"),
    (["--space-options", "stem_stride"], "NAME=NUMBER"),
    (["--space-options", "depth=3"], "no option 'depth'"),
    (["--space-options", "num_classes=5"], "follows from the images"),
    (["--min-accuracy", "90"], "accuracies are from 0 to 1"),
    (["--minutes", "nan"], "--minutes"),
    (["--seed", str(2**63)], "--seed must be from 0 to below 2^63"),
    (["--engine", "deap", "--population", "3"], "--population >= 4"),
    (["--space", "fairnas"], "image size must be a multiple of 32"),
    (["--data", "mnist"], "known are digits, folder"),
    (["--train-images", "1"], "at least 2 training images"),
    (["--data", "folder", "--data-root", "/nowhere"], "/nowhere is no folder"),
    (["--objectives", "speed"], "known are accuracy, madds, params"),
    (["--objectives", "madds:up"], "must be min or max"),
    (["--max-madds", "lots"], "is no number"),
    (["--max-madds", "10"], "the cheapest has"),
    (["--max-madds", "10k", "--max-params", "100M"], "the cheapest has"),
    (["--fairness", "fair"], "known are strict, expectation, dealt, uniform, turns"),
    (["--shared-gradient", "max"], "must be mean or sum"),
    (["--population", "1"], "--population >= 2"),
    (["--evaluations", "0"], "--evaluations >= 1"),
    (["--epochs", "0"], "--epochs >= 1"),
    (["--batch-size", "1"], "--batch-size >= 2"),
    (["--lr", "-1"], "--lr > 0"),
    (["--seed", "-1"], "--seed must be from 0"),
    (["--device", "gpu"], "--device gpu cannot be used here"),
    (["--run", __file__], "is a file"),
    (["--correct", "ranking.json", "--table", "table.json"], "--by-loss are for the scores of a supernet"),
    (["--smooth", "300", "--table", "table.json"], "--by-loss are for the scores of a supernet"),
    (["--size-weight", "0.5", "--table", "table.json"], "--by-loss are for the scores of a supernet"),
    (["--by-loss", "--table", "table.json"], "--by-loss are for the scores of a supernet"),
    (["--cut", "0.5", "--table", "table.json"], "--cut spares a supernet's images"),
    (["--latency", "latency.json"], "--latency is read where latency is an objective or a limit"),
    (["--by-loss", "--cut", "0.5"], "--cut is an accuracy, and --by-loss scores by another measure"),
    (["--size-weight", "-1"], "--size-weight must be a number from 0 on, got -1"),
    (["--size-weight", "nan"], "--size-weight must be a number from 0 on, got nan"),
    (["--floor", "0.18", "--proposer", "darts"], "--floor must be at most 0.167 for 6 proposers, got 0.18"),
    (["--smooth", "9"], "--smooth needs 0, or 10 to 2,000 networks, got 9"),
    (["--supernet-of", "nowhere", "--table", "table.json"], "a --table needs none"),
    (["--supernet-of", "nowhere"], "nowhere is no run folder"),
]


@pytest.mark.parametrize(
    ("flags", "message"), BAD_FLAGS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_input_ends_in_one_line_with_the_mend_and_code_two(script, tmp_path, flags, message):
    outcome = script(search, "--run", tmp_path / "run", *flags)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--space", "mobilenet_v2", "--space-options", "stem_stride=1", "--image-size", "8"], "multiple of 16"),
        (["--epochs", "5"], "--epochs was 2, now 5"),
        (["--lr", "0.3", "--population", "30"], "--lr was None, now 0.3"),
        (["--seed", "3"], "--seed was 0, now 3"),
        (["--objectives", "accuracy"], "--objectives was accuracy madds params, now accuracy"),
        (["--score-images", "100"], "--score-images was None, now 100"),
    ],
)
def test_a_run_of_other_settings_is_refused_and_left_whole(script, run_copy, finished_run, flags, message):
    outcome = script(search, "--run", run_copy, *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    for path in finished_run.iterdir():
        assert (run_copy / path.name).read_bytes() == path.read_bytes()


def test_what_was_no_setting_yet_when_a_run_began_was_as_it_is_by_default(script, run_copy):
    saved = run_folder.read(run_copy)
    del saved["settings"]["search"]["by_loss"]
    files.save_json(run_copy / "settings.json", saved)
    assert "--by-loss was False, now True" in script(search, "--run", run_copy, "--by-loss").err
    assert script(search, "--run", run_copy).code == 0


def test_a_run_of_another_space_or_other_images_is_refused(script, run_copy, image_folder):
    saved = run_folder.read(run_copy)
    for part, message in (("space", "the space's image_size was 16"), ("data", "the data's train was 3")):
        changed = json.loads(json.dumps(saved))
        changed[part] |= {"space": {"image_size": 16}, "data": {"train": 3}}[part]
        files.save_json(run_copy / "settings.json", changed)
        outcome = script(search, "--run", run_copy)
        assert outcome.code == 2
        assert message in outcome.err
    files.save_json(run_copy / "settings.json", saved)
    root = image_folder({"a": 30, "b": 30})
    outcome = script(search, "--run", run_copy, "--data", "folder", "--data-root", root, "--image-size", "8")
    assert outcome.code == 2
    assert "--data was digits, now folder" in outcome.err


@pytest.mark.parametrize(
    "settings", [[], {"supernet": 3}, {"supernet": {"epochs": "many"}}, {"search": {"population": []}}]
)
def test_settings_of_wrong_types_are_refused(script, run_copy, settings):
    saved = run_folder.read(run_copy)
    files.save_json(run_copy / "settings.json", saved | {"settings": settings})
    outcome = script(search, "--run", run_copy)
    assert outcome.code == 2
    assert "settings.json is damaged" in outcome.err


@pytest.mark.parametrize("name", ["settings.json", "supernet.safetensors", "archive.sqlite"])
def test_damaged_files_are_named(script, run_copy, name):
    (run_copy / name).write_bytes(b"rubbish" * 1000)
    (run_copy / "supernet.previous.safetensors").unlink()
    outcome = script(search, "--run", run_copy)
    assert outcome.code == 2
    assert name in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_damaged_supernet_costs_its_last_epoch_and_nothing_else(script, run_copy, finished_run):
    (run_copy / "supernet.safetensors").write_bytes(b"rubbish" * 1000)
    (run_copy / "archive.sqlite").unlink()
    outcome = script(search, "--run", run_copy)
    assert outcome.code == 0
    assert "supernet.safetensors is damaged" in outcome.out
    assert "going on from the checkpoint before it" in outcome.out
    assert front.load(run_copy) == front.load(finished_run)


def test_nan_loss_ends_in_one_line(script, tmp_path):
    outcome = script(search, "--run", tmp_path / "run", *QUICK, "--lr", "1e30")
    assert outcome.code == 2
    assert "the loss became" in outcome.err
    assert "smaller --lr" in outcome.err


def test_search_goes_on_from_a_supernet_that_was_trained_before(script, finished_run, tmp_path):
    folder = tmp_path / "run"
    assert script(train, "--run", folder, "--epochs", "2", "--threads", "1").code == 0
    assert set(run_folder.read(folder)["settings"]) == {"supernet"}
    assert script(search, "--run", folder, *QUICK[2:]).code == 0
    assert front.load(folder) == front.load(finished_run)


def test_another_search_on_a_runs_supernet_trains_none(script, finished_run, run_copy, tmp_path):
    folder, flags = tmp_path / "second", QUICK[2:]
    assert script(search, "--run", folder, "--supernet-of", run_copy, *flags).code == 0
    assert front.load(folder) == front.load(finished_run)
    assert not (folder / "supernet.previous.safetensors").exists()  # which a training leaves
    shutil.rmtree(run_copy)
    assert script(search, "--run", folder, "--evaluations", "70").code == 0
    assert front.load(folder)["evaluations"] == 70


def test_a_supernet_of_another_run_is_not_taken_for_that_of_its_own(script, finished_run, run_copy, tmp_path):
    flags = ("--supernet-of", finished_run, *QUICK[2:])
    outcome = script(search, "--run", run_copy, *flags)
    assert outcome.code == 2
    assert "has a supernet of its own: leave out --supernet-of" in outcome.err


def test_a_search_goes_on_when_its_latency_table_has_moved(script, finished_run, tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "milliseconds", lambda module, x: 1.0)
    flags = ("--supernet-of", finished_run, *QUICK[2:], "--objectives", "accuracy", "latency")
    assert script(search, "--run", tmp_path / "first", *flags).code == 0
    table = (tmp_path / "first" / "latency.json").rename(tmp_path / "table.json")
    assert script(search, "--run", tmp_path / "run", *flags, "--latency", table).code == 0
    table.unlink()
    outcome = script(search, "--run", tmp_path / "run", "--evaluations", "70")
    assert outcome.code == 0, outcome.err


def test_a_supernet_of_other_settings_or_of_the_run_itself_is_not_taken(script, finished_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = script(search, "--run", "second", "--supernet-of", finished_run, "--lr", "0.03")
    assert "--lr was None, now 0.03" in other.err
    assert not Path("second").exists()
    assert "needs a --run of its own" in script(search, "--supernet-of", finished_run).err
    (tmp_path / "bare").mkdir()
    shutil.copy(finished_run / "settings.json", "bare")
    assert "bare has no supernet yet" in script(search, "--run", "second", "--supernet-of", "bare").err


def test_a_search_goes_on_with_the_correction_that_it_began_with(script, finished_run, tmp_path, rng):
    """The truth here: the dearer, the better."""
    folder, space = tmp_path / "run", search_spaces.load("digits")
    assert script(train, "--run", folder, "--epochs", "2", "--threads", "1").code == 0
    encodings = np.unique(space.sample(rng, 30), axis=0)
    madds = space.cost(encodings)[:, 0] / space.cost_range()[1, 0]
    ranks = {"space": "digits", "encoding": encodings.tolist(), "held_out": madds.tolist()}
    source = tmp_path / "ranking.json"
    files.save_json(source, ranks)
    flags = ("--run", folder, *QUICK[2:], "--correct", source)
    assert script(search, *flags).code == 0
    points = front.load(folder)["front"]
    by_cost = sorted(points, key=lambda point: point["madds"])
    assert ranking.kendall(np.array([p["accuracy"] for p in by_cost]), np.arange(len(by_cost))) > 0.8
    files.save_json(source, {**ranks, "held_out": madds[::-1].tolist()})
    assert script(search, *flags, "--evaluations", "80").code == 0
    known = {tuple(point["encoding"]): point["accuracy"] for point in points}
    again = {tuple(point["encoding"]): point["accuracy"] for point in front.load(folder)["front"]}
    assert known.keys() & again.keys()
    assert all(known[encoding] == again[encoding] for encoding in known.keys() & again.keys())
    assert "--correct was" in script(search, *flags[:-1], tmp_path / "other.json").err
    (folder / "correction.json").unlink()
    assert "is gone" in script(search, *flags).err


@pytest.mark.parametrize(
    "mending",
    [Mending(size_weight=0.5), Mending(0, 0.5, 0.5), Mending(az_nas_weight=0.5)],
    ids=lambda mending: mending.name,
)
def test_a_search_in_which_words_are_heard_finds_the_supernets_own_scores_and_these(
    script, finished_run, tmp_path, mending
):
    flags = ("--run", tmp_path / "run", "--supernet-of", finished_run, *QUICK[2:], *mending.flags.split())
    outcome = script(search, *flags)
    assert outcome.code == 0, outcome.err
    assert f"scores are mended by {mending.flags}: 100 random networks" in outcome.out
    assert "mended  multiply-adds" in outcome.out
    assert reading.read(tmp_path / "run").nouns["accuracy"] == "mended"
    points = front.load(tmp_path / "run")["front"]
    net = Judged(str(finished_run), Reading(), Compute(threads=1))
    encodings = np.array([point["encoding"] for point in points])
    told = mending.of(net.space, net.scores, 0, net.told())(encodings)
    np.testing.assert_allclose([point["accuracy"] for point in points], told)
    assert (told != net.scores(encodings)).any()
    assert f"{flags[-2]} was 0.5" in script(search, *flags[:-1], "1").err


def test_a_search_by_loss_scores_by_likelihood(script, finished_run, tmp_path):
    flags = ("--run", tmp_path / "run", "--supernet-of", finished_run, *QUICK[2:], "--by-loss")
    outcome = script(search, *flags)
    assert outcome.code == 0, outcome.err
    assert "287 score by loss" in outcome.out
    assert "likelihood  multiply-adds" in outcome.out
    points = front.load(tmp_path / "run")["front"]
    net = Judged(str(tmp_path / "run"), Reading(), Compute(threads=1))  # as it was searched
    told = net.scores(np.array([point["encoding"] for point in points]))
    np.testing.assert_allclose([point["accuracy"] for point in points], told, rtol=1e-5)
    assert "--by-loss was True, now False" in script(search, *flags[:-1], "--no-by-loss").err


def test_a_smoothed_search_asks_the_supernet_of_the_drawn_networks_alone(script, finished_run, tmp_path, monkeypatch):
    asked, ask = [], oracle.SupernetOracle.accuracy

    def accuracy(self, rows):
        asked.extend(map(tuple, rows.tolist()))
        return ask(self, rows)

    monkeypatch.setattr(oracle.SupernetOracle, "accuracy", accuracy)
    flags = ("--run", tmp_path / "run", "--supernet-of", finished_run, *QUICK[2:], "--smooth", "20")
    assert script(search, *flags).code == 0
    space = search_spaces.load("digits")
    drawn = np.unique(space.sample(np.random.default_rng(0), 20), axis=0)
    assert sorted(asked) == sorted(map(tuple, drawn.tolist()))
    points = front.load(tmp_path / "run")["front"]
    assert len({point["accuracy"] for point in points}) == len(points)  # finer than shares of the score images
    assert "--smooth was 20" in script(search, *flags[:-1], "30").err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": "fairnas"}, "is of space fairnas, not digits"),
        ({"encoding": [[0] * 6] * 9, "held_out": [0.5] * 9}, "needs 10 networks or more"),
        ({"encoding": [[9] * 6] * 10, "held_out": [0.5] * 10}, "is not in digits"),
        ({"held_out": [0.5]}, "needs 10 networks or more"),
        ({"table": "nasbench201.csv"}, "by which a search must not choose"),
        ({"held_out": ["high"] * 10}, "is damaged"),
    ],
)
def test_corrections_that_cannot_be_are_refused_before_anything_is_written(script, tmp_path, change, message):
    source = tmp_path / "ranking.json"
    files.save_json(source, {"space": "digits", "encoding": [[0] * 6] * 10, "held_out": [0.5] * 10} | change)
    outcome = script(search, "--run", tmp_path / "run", "--correct", source)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "run").exists()
    assert script(search, "--run", tmp_path / "run", "--correct", tmp_path / "none.json").code == 2


def test_colour_images_from_a_folder(script, image_folder, tmp_path):
    root = image_folder({"train": {"a b": 40, "ü": 40}, "test": {"a b": 5, "ü": 5}}, tmp_path / "my images")
    flags = ("--data", "folder", "--data-root", root, "--image-size", "8", "--batch-size", "16", *QUICK)
    outcome = script(search, "--run", tmp_path / "run", *flags)
    assert outcome.code == 0, outcome.err
    assert front.load(tmp_path / "run")["space_options"]["in_channels"] == 3
