"""The main script on a planted table: no supernet, so every way to search is tried in moments."""

import functools
import itertools
import json
import shutil

import numpy as np
import pytest

import search_spaces
from evo import search, warm_start
from evo.archive import Archive
from results import front, pick, report
from results import train as stand_alone
from supernet.table import TableOracle

KEYS = ["".join(key) for key in itertools.product("012", repeat=8)]
QUICK = ("--evaluations", "80", "--population", "20")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Larger blocks are better, with noise."""
    path, noise = tmp_path_factory.mktemp("table") / "macro.json", np.random.default_rng(0).random(len(KEYS))
    accuracy = [50 + 2 * sum(map(int, key)) + 3 * noise[i] for i, key in enumerate(KEYS)]
    nets = {key: {"mean_acc": a, "flops": 1, "params": 1} for key, a in zip(KEYS, accuracy, strict=True)}
    path.write_text(json.dumps(nets))
    return path


@pytest.fixture(scope="module")
def load():
    """`search_spaces.load`, which measures each space's costs once for all tests."""
    return functools.cache(search_spaces.load)


@pytest.fixture
def searched(script, table, tmp_path, load, monkeypatch):
    """searched("--flag", ..., run="name") -> outcome and folder of a quick search of the table."""
    monkeypatch.setattr(search.search_spaces, "load", load)

    def run(*flags, run="run"):
        folder = tmp_path / run
        return script(search, "--run", folder, "--table", table, "--space", "nas_bench_macro", *QUICK, *flags), folder

    return run


def everything(folder):
    archive = Archive(folder / "archive.sqlite")
    encodings, rows, proposers = archive.everything()
    return encodings.tolist(), rows.tolist(), proposers, archive.measures


def test_a_table_is_searched_without_images_or_supernet(searched, table):
    outcome, folder = searched()
    assert outcome.code == 0, outcome.err
    encodings, rows, proposers, _ = everything(folder)
    assert [row[0] for row in rows] == TableOracle(table).accuracy(encodings).tolist()
    assert {"random", "predictor"} <= set(proposers)
    assert {path.name for path in folder.iterdir()} == {"archive.sqlite", "settings.json", "front.json"}
    assert all(len(line) <= 80 for line in outcome.out.splitlines() if str(folder) not in line)
    assert "results/train.py" not in outcome.out


@pytest.mark.parametrize(
    "flags",
    [
        ["--engine", "pymoo"],
        ["--engine", "deap"],
        ["--objectives", "accuracy", "madds", "--crowding-weights", "2", "1"],
        ["--predictor", "0", "--min-accuracy", "0.6"],
        ["--max-madds", "40M", "--warm-start", "00000000"],
    ],
    ids=" ".join,
)
def test_stopped_and_called_again_every_search_ends_the_same(searched, script, monkeypatch, flags):
    outcome, whole = searched(*flags, run="whole")
    assert outcome.code == 0, outcome.err
    score, calls = TableOracle.accuracy, []

    def interrupted(self, encodings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return score(self, encodings)

    with monkeypatch.context() as patch:
        patch.setattr(TableOracle, "accuracy", interrupted)
        outcome, folder = searched(*flags, run="stopped")
    assert outcome.code == 130
    assert 0 < len(everything(folder)[0]) < 80
    assert script(search, "--run", folder).code == 0
    assert everything(folder) == everything(whole)


def test_the_archive_names_the_engine_that_proposed(searched):
    for engine in ("pymoo", "deap"):
        _, folder = searched("--engine", engine, run=engine)
        encodings, _, proposers, _ = everything(folder)
        assert set(proposers) == {engine}
        assert len({tuple(e) for e in encodings}) == len(encodings) == 80


def test_a_warm_start_scores_what_it_is_given_first(searched):
    outcome, earlier = searched(run="earlier")
    assert outcome.code == 0
    kept = [point["encoding"] for point in front.load(earlier)["front"]]
    outcome, folder = searched("--warm-start", "22222222", earlier, "--seed", "1", run="warm")
    assert outcome.code == 0, outcome.err
    encodings, _, proposers, _ = everything(folder)
    n = proposers.count("given")
    assert encodings[0] == [2] * 8
    assert sorted(map(tuple, [[2] * 8, *kept])) == sorted(e for e in map(tuple, encodings[:n]))
    assert proposers[:n] == ["given"] * n
    assert "leave nothing to try" not in outcome.out
    outcome, _ = searched("--warm-start", earlier, "--seed", "1", "--evaluations", "2", run="all")
    assert f"--warm-start: {len(kept)} architectures leave nothing to try of --evaluations 2" in outcome.out


def test_a_warm_start_goes_on_when_what_it_began_with_has_moved(searched, tmp_path):
    _, earlier = searched(run="earlier")
    flags = ("--warm-start", earlier, "--seed", "1")
    _, whole = searched(*flags, "--evaluations", "90", run="whole")
    _, warm = searched(*flags, "--evaluations", "40", run="warm")
    earlier.rename(tmp_path / "moved")
    outcome, _ = searched("--evaluations", "90", run="warm")
    assert outcome.code == 0, outcome.err
    assert everything(warm) == everything(whole)


def test_a_run_that_has_scored_nothing_is_no_warm_start(searched, tmp_path):
    _, earlier = searched(run="earlier")
    (earlier / "archive.sqlite").unlink()
    Archive(earlier / "archive.sqlite")
    outcome, _ = searched("--warm-start", earlier, run="warm")
    assert "has scored nothing yet" in outcome.err


def test_a_warm_start_beyond_a_free_limit_is_left_out_and_counted(searched):
    outcome, folder = searched("--warm-start", "22222222", "00000000", "--max-madds", "40M", run="limited")
    assert outcome.code == 0, outcome.err
    assert "--warm-start: 1 of 2 architectures miss the limits and are left out" in outcome.out
    encodings, _, proposers, _ = everything(folder)
    assert proposers.count("given") == 1
    assert encodings[0] == [0] * 8


@pytest.mark.parametrize(
    ("flags", "most"),
    [(["--generations", "3"], 40), (["--minutes", "1e-05"], 20), (["--stalled", "1", "--objectives", "madds"], 79)],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_other_stops_end_the_search_and_say_so(searched, flags, most):
    outcome, folder = searched(*flags)
    assert outcome.code == 0, outcome.err
    assert f"{flags[0]} {flags[1]}: ended after" in outcome.out
    assert 20 <= len(everything(folder)[0]) <= most
    if flags[0] == "--generations":  # a stop may be moved later
        assert searched("--generations", "4")[0].code == 0
        assert len(everything(folder)[0]) == 50


USER = """
import numpy as np
def depth(space, encodings):
    return (np.asarray(encodings) > 0).sum(1)
def broken(space, encodings):
    raise RuntimeError("the device is gone")
def lost(space, encodings):
    return np.where(np.asarray(encodings)[:, 0] == 2, np.nan, 1.0)
def short(space, encodings):
    return [1.0]
def sorting(space, encodings):
    encodings.sort(axis=1)
    return encodings[:, 0]
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mine.py").write_text(USER)
    return tmp_path / "mine.py"


def test_functions_of_the_users_own_are_objectives_and_four_make_nsga3(searched, own):
    outcome, folder = searched("--objectives", "accuracy", "madds", "params", f"{own}::depth:max")
    assert outcome.code == 0, outcome.err
    encodings, rows, _, measures = everything(folder)
    assert measures == ("accuracy", "madds", "params", "depth")
    assert [row[3] for row in rows] == [sum(option > 0 for option in encoding) for encoding in encodings]
    content = front.load(folder)
    assert content["objectives"]["depth"] == "max"
    assert all("depth" in point for point in content["front"])
    assert "depth" in outcome.out
    assert all(len(line) <= 80 for line in outcome.out.splitlines() if str(folder) not in line)


def test_a_function_may_change_the_encodings_that_it_is_given(searched, own):
    outcome, folder = searched("--objectives", f"{own}::sorting", "accuracy")
    assert outcome.code == 0, outcome.err
    encodings, rows, _, measures = everything(folder)
    assert measures[3] == "sorting"
    assert [row[3] for row in rows] == [min(encoding) for encoding in encodings]
    assert any(list(encoding) != sorted(encoding) for encoding in encodings)


def test_code_that_a_strangers_folder_names_is_not_run(searched, own, script):
    outcome, folder = searched("--objectives", "accuracy", "madds", f"{own}::depth")
    assert outcome.code == 0, outcome.err
    own.write_text(f"open({str(own.with_suffix('.ran'))!r}, 'w')")
    again = script(search, "--run", folder)
    assert again.code == 2
    assert "--objectives" in again.err
    assert not own.with_suffix(".ran").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "objective broken failed on 20 architectures: RuntimeError('the device is gone')"),
        ("lost", "objective lost is nan for architecture [2, "),
        ("short", "objective short must give 20 numbers"),
        ("absent", "objective absent cannot be had"),
        ("depth:up", "must be min or max"),
    ],
)
def test_a_function_that_fails_names_itself(searched, own, name, message):
    outcome, _ = searched("--objectives", "accuracy", f"{own}::{name}")
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--table", "nowhere.json"], "github.com/xiusu/NAS-Bench-Macro"),
        (["--space", "digits"], "is no table of --space digits"),
        (["--space-options", "image_size=64"], "leave out --space-options"),
        (["--engine", "nsga9"], "known are fairfront, pymoo, deap"),
        (["--objectives", "a", "b"], "known are accuracy, madds, params, latency and FILE.py::FUNCTION"),
        (["--crowding-weights", "1", "2"], "--crowding-weights needs 3 numbers"),
        (["--crowding-weights", "1", "1", "1", "--engine", "deap"], "are fairfront's"),
        (["--predictor", "1.5"], "--predictor must be between 0 and 1"),
        (["--generations", "-1"], "must not be negative"),
        (["--warm-start", "FairNAS-A"], "is of space fairnas, not nas_bench_macro"),
        (["--warm-start", "2222"], "no encoding: nas_bench_macro has 8 layers"),
        (["--latency", "nowhere.json", "--objectives", "latency"], "there is no latency table"),
        (["--max-madds", "1"], "the cheapest has"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_ends_in_one_line_with_the_mend_and_code_two(searched, flags, message):
    outcome, folder = searched(*flags)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert message in outcome.err
    assert not folder.exists()


def test_a_table_that_lacks_an_architecture_says_which(searched, table, tmp_path):
    nets = json.loads(table.read_text())
    shutil.copy(table, tmp_path / "whole.json")
    (tmp_path / "part.json").write_text(json.dumps({key: nets[key] for key in KEYS[:3000]}))
    outcome, _ = searched("--table", tmp_path / "part.json")
    assert outcome.code == 2
    assert "part.json has no architecture [" in outcome.err


def test_a_published_network_that_no_encoding_describes_is_named():
    with pytest.raises(ValueError, match="NASNet has larger cells than darts's encodings"):
        warm_start.read(["NASNet"], search_spaces.load("darts"))


@pytest.mark.parametrize("engine", ["pymoo", "deap"])
def test_other_engines_find_the_few_that_meet_a_tight_limit(searched, engine):
    space = search_spaces.load("nas_bench_macro")
    outcome, folder = searched("--engine", engine, "--max-madds", int(1.05 * space.cost_range()[0, 0]))
    assert outcome.code == 0, outcome.err
    assert front.load(folder)["front"]


def test_a_latency_table_is_kept_from_other_runs_and_not_measured_anew(searched):
    flags = ("--objectives", "accuracy", "latency")
    assert searched(*flags)[0].code == 0
    outcome, folder = searched(*flags, "--seed", "1")
    assert outcome.code == 2
    assert "--seed was 0, now 1" in outcome.err
    (folder / "latency.json").unlink()
    outcome, _ = searched(*flags)
    assert outcome.code == 2
    assert "latency.json is gone" in outcome.err


def test_a_latency_table_of_a_call_that_its_limits_ended_is_not_the_runs(searched, tmp_path):
    flags = ("--objectives", "accuracy", "latency")
    first = searched(*flags, run="other")[1] / "latency.json"
    second = tmp_path / "second.json"
    second.write_text(json.dumps({**json.loads(first.read_text()), "checksum": None, "fixed": 123.0}))
    assert searched(*flags, "--latency", first, "--max-latency", "1e-9")[0].code == 2
    outcome, folder = searched(*flags, "--latency", second)
    assert outcome.code == 0, outcome.err
    assert (folder / "latency.json").read_text() == second.read_text()


def test_a_pick_that_was_not_scored_is_shown_without_figures(searched, script):
    _, folder = searched("--objectives", "accuracy", "latency")
    for script_of, flags in ((pick, ["--encoding", "01201201", "--name", "mine"]), (pick, []), (report, ["--figures"])):
        outcome = script(script_of, folder, *flags)
        assert outcome.code == 0, outcome.err


def test_a_table_may_move_but_not_change(searched, script, table, tmp_path):
    _, folder = searched()
    again = ("--run", folder, "--space", "nas_bench_macro", *QUICK, "--table", tmp_path / "moved.json")
    shutil.copy(table, again[-1])
    assert script(search, *again).code == 0
    again[-1].write_text(table.read_text().replace("5", "6", 1))
    assert "the data's table was" in script(search, *again).err


def test_an_empty_front_has_no_picks(searched, script):
    _, folder = searched("--min-accuracy", "0.999")
    outcome = script(pick, folder)
    assert outcome.code == 2
    assert "is empty: no architecture met the limits" in outcome.err


def test_a_pick_of_a_table_needs_images_to_be_trained(searched, script):
    _, folder = searched()
    assert "--pick A --data folder --data-root DIR" in script(pick, folder).out
    outcome = script(stand_alone, folder, "--pick", "A")
    assert outcome.code == 2
    assert "searched a table and has no images: give --data" in outcome.err
    outcome = script(stand_alone, folder, "--pick", "C", "--data", "digits", "--epochs", "1", "--threads", "1")
    assert outcome.code == 0, outcome.err
