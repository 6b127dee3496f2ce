import pytest

from evo.objectives import parse_limits
from results import front, pick


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
    with pytest.raises(ValueError, match=r"max-madds 50.*the nearest has .*60"):
        pick.within(found, parse_limits(max_madds="50"))


def test_a_pick_under_limits_joins_the_run(script, run_copy):
    budget = front.load(run_copy)["front"][-1]["madds"]
    outcome = script(pick, run_copy, "--max-madds", budget, "--name", "tiny")
    assert outcome.code == 0, outcome.err
    assert "tiny" in outcome.out
    assert front.load(run_copy)["picks"]["tiny"]["madds"] <= budget
    assert set(front.load(run_copy)["picks"]) == {"A", "B", "C", "tiny"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max-madds", "3"], "no point of the front is within max-madds 3"),
        (["--name", "../evil"], "--name must be"),
        (["--name", "A"], "--name must be"),
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
