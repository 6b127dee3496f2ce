import json
import shlex

import numpy as np
import pytest

import search_spaces
from evo import search
from evo.archive import Archive
from evo.objectives import parse_limits, parse_objectives
from results import front, pick, train

TWO = parse_objectives(["accuracy", "madds"])


def points(*pairs):
    return [{"encoding": [i], "accuracy": a, "madds": c, "params": 10 * c} for i, (a, c) in enumerate(pairs)]


def test_picks_fall_in_cost_and_are_the_most_accurate_within_their_budgets():
    found = points((0.9, 100), (0.8, 70), (0.7, 60), (0.6, 50), (0.5, 30), (0.4, 20))
    picks = pick.abc(found)
    assert [picks[name]["madds"] for name in "ABC"] == [100, 60, 30]  # budgets: none, (20+100)/2, (20+60)/2
    for name in "BC":
        budget = int(picks[name]["why"].split()[4].replace(",", ""))
        assert picks[name]["accuracy"] == max(p["accuracy"] for p in found if p["madds"] <= budget)


def test_picks_of_small_fronts():
    assert pick.abc([]) == {}
    assert [p["madds"] for p in pick.abc(points((0.9, 5))).values()] == [5, 5, 5]


def test_within_takes_the_most_accurate_that_meets_all_limits():
    found = points((0.9, 100), (0.8, 70), (0.7, 60))
    assert pick.within(found, parse_limits(max_madds="75"))["madds"] == 70
    assert pick.within(found, parse_limits(max_madds="75", max_params="650"))["madds"] == 60
    with pytest.raises(ValueError, match=r"max-madds 50: the nearest has 0.7 accuracy, 60 multiply-adds, 600 params"):
        pick.within(found, parse_limits(max_madds="50"))


def test_a_latency_that_was_measured_can_be_limited_and_another_not():
    found = points((0.9, 100), (0.8, 70), (0.7, 60))
    with pytest.raises(ValueError, match="the search has not measured latency"):
        pick.within(found, parse_limits(max_latency="5"))
    timed = [{**point, "latency": point["madds"] / 10} for point in found]
    assert pick.within(timed, pick.Config("run", max_latency="7.5").limits())["madds"] == 70
    with pytest.raises(ValueError, match=r"the nearest has 0.7 accuracy, 60 multiply-adds, 600 params, 6 ms"):
        pick.within(timed, parse_limits(max_latency="5"))


def test_a_pick_under_limits_joins_the_run(script, run_copy):
    budget = front.load(run_copy)["front"][-1]["madds"]
    outcome = script(pick, run_copy, "--max-madds", budget, "--name", "tiny")
    assert outcome.code == 0, outcome.err
    assert "tiny" in outcome.out
    assert front.load(run_copy)["picks"]["tiny"]["madds"] <= budget
    assert set(front.load(run_copy)["picks"]) == {"A", "B", "C", "knee", "tiny"}
    assert "--pick tiny" in outcome.out.splitlines()[-1]


def test_commands_to_go_on_with_can_be_pasted_whatever_the_folder_is_called(script, run_copy):
    folder = run_copy.rename(run_copy.with_name("it's my run"))
    told = script(pick, folder).out.splitlines()[-1], *script(search, "--run", folder).out.splitlines()[-2:]
    for text in (*told, script(train, folder, "--pick", "A", "--transfer", "A", "--data", "digits").err):
        assert str(folder) in shlex.split(text.partition("python ")[2])


def test_the_knee_is_the_corner_of_an_elbow_whatever_the_units():
    elbow = points((0.9, 100), (0.88, 40), (0.87, 20), (0.4, 10))
    assert pick.knee(elbow, TWO)["madds"] == 20
    scaled = [{**p, "madds": 1e6 * p["madds"]} for p in elbow]
    assert pick.knee(scaled, TWO)["encoding"] == pick.knee(elbow, TWO)["encoding"]
    assert pick.knee(points((0.9, 5)), TWO)["madds"] == 5


def test_an_architecture_picked_by_hand_has_what_is_known_of_it(script, run_copy):
    archive = Archive(run_copy / "archive.sqlite")
    scored = archive.everything()
    known = scored.encodings[7].tolist()
    assert script(pick, run_copy, "--encoding", "".join(map(str, known)), "--name", "known").code == 0
    assert front.load(run_copy)["picks"]["known"]["accuracy"] == scored.rows[7, 0]
    unknown = next(e for e in np.ndindex(*[6] * 6) if archive.find(e) is None)
    outcome = script(pick, run_copy, "--encoding", "".join(map(str, unknown)))
    assert "not scored" in outcome.out
    own = front.load(run_copy)["picks"]["own"]
    space = search_spaces.load("digits")
    assert own["accuracy"] is None
    assert [own["madds"], own["params"]] == space.cost([unknown])[0].tolist()
    assert script(pick, run_copy).code == 0  # it stays
    assert "own" in front.load(run_copy)["picks"]


def test_every_pick_has_a_card_that_says_where_it_comes_from(script, run_copy):
    script(pick, run_copy)
    content, settings = front.load(run_copy), json.loads((run_copy / "settings.json").read_text())
    for name, point in content["picks"].items():
        card = json.loads((run_copy / "picks" / f"{name}.json").read_text())
        assert card["objectives"] == {m: point[m] for m in ("accuracy", "madds", "params")}
        assert search_spaces.load(**card["space"]).parse(card["blocks"]) == tuple(card["encoding"])
        assert card["provenance"]["proposer"] == point["proposer"]
        assert card["provenance"]["versions"] == settings["versions"]
        assert card["provenance"]["images"] == settings["data"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-madds", "3"], "no point of the front is within max-madds 3"),
        (["--name", "../evil"], "--name must be"),
        (["--name", "A"], "--name must be"),
        (["--name", "x"], "give one of them"),
        (["--min-accuracy", "90"], "accuracies are from 0 to 1"),
        (["--encoding", "12"], "6 layers, got 2"),
        (["--encoding", "000000", "--max-madds", "3k"], "leave out the limits"),
        (["--max-madds", "big"], "is no number"),
        (["--colour", "red"], "Unrecognized"),
    ],
)
def test_wrong_flags(script, run_copy, flags, message):
    before = (run_copy / "front.json").read_bytes()
    outcome = script(pick, run_copy, *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert (run_copy / "front.json").read_bytes() == before


def test_folders_without_a_front(script, run_copy, tmp_path):
    assert "no front.json yet" in script(pick, tmp_path).err
    (run_copy / "front.json").write_text("{")
    assert "damaged" in (error := script(pick, run_copy).err)
    assert f"python evo/search.py --run {run_copy} writes it again" in error
    (run_copy / "front.json").write_text('{"format": 9, "space": 1, "front": 1, "picks": 1}')
    assert "format 9" in script(pick, run_copy).err


@pytest.mark.parametrize(
    "change",
    [
        {"picks": {"../../evil": {"encoding": [0] * 6, "accuracy": 1, "madds": 1, "params": 1, "proposer": "x"}}},
        {"picks": {"A": {"encoding": "0"}}},
        {"front": [{"encoding": [0] * 6, "accuracy": 1}]},
        {"front": {"a": 1}},
    ],
)
def test_a_strangers_points_are_checked(script, run_copy, change):
    content = front.load(run_copy) | change
    (run_copy / "front.json").write_text(json.dumps(content))
    outcome = script(pick, run_copy)
    assert outcome.code == 2
    assert "is damaged" in outcome.err
    assert not (run_copy.parent / "evil.json").exists()
