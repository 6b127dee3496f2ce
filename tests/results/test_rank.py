import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import search_spaces
from evo import correction, search
from evo.mending import Mending
from results import front, rank, ranking, truth, verdict, verdict_tables
from results.judged import Judged, Reading
from results.recipes import Recipe
from supernet import files, run_folder, train
from supernet.compute import Compute

QUICK = ("--networks", "10", "--recalibrate", "100", "--epochs", "1", "--batch-size", "512", "--threads", "1")


@pytest.fixture(scope="session")
def learned(tmp_path_factory, digits):
    """A supernet that has learned something, and snapshots of it."""
    folder = tmp_path_factory.mktemp("runs") / "learned"
    size = ("--epochs", "2", "--batch-size", "32", "--train-images", "1000", "--threads", "1")
    flags = ("--run", str(folder), "--fairness", "uniform", "--snapshots", "1", *size)
    train.main(train.command.parse(train.Config, flags, ""))
    return folder


@pytest.fixture
def run(learned, tmp_path):
    return shutil.copytree(learned, tmp_path / "run")


@pytest.fixture
def table(tmp_path):
    """table(encodings, accuracies) -> path of a table in NAS-Bench-Macro's format."""

    def write(encodings, accuracies):
        nets = {
            "".join(map(str, e)): {"mean_acc": 100 * float(a), "flops": 1, "params": 1}
            for e, a in zip(encodings, accuracies, strict=True)
        }
        path = tmp_path / "table.json"
        path.write_text(json.dumps(nets))
        return path

    return write


def read(run) -> dict:
    return json.loads((run / "ranking.json").read_text())


@pytest.mark.parametrize("name", ["digits", "fairnas"])
def test_sampled_networks_are_canonical_all_different_and_spread_over_the_cost(name):
    space = search_spaces.load(name)
    found = rank.sample(space, 100, np.random.default_rng(0))
    assert len(np.unique(found, axis=0)) == 100
    assert (space.canonical(found) == found).all()
    madds, everyone = space.cost(found)[:, 0], space.cost(space.sample(np.random.default_rng(1), 5000))[:, 0]
    assert (np.diff(madds) >= 0).all()
    share = np.mean(everyone[:, None] <= madds[9::10], axis=0)  # of all networks up to every tenth one
    assert share == pytest.approx(np.arange(1, 11) / 10, abs=0.03)


def test_a_whole_space_is_every_distinct_network_once():
    space = search_spaces.load("nas_bench_macro")
    assert len(rank.sample(space, 10_000, np.random.default_rng(0))) == 3969


def test_the_command_that_it_ends_with_searches_with_corrected_scores(script, run, monkeypatch):
    monkeypatch.chdir(run.parent)
    dearer_is_better = lambda *how: np.tile(how[1].cost(how[-1])[:, 0] / 1e6, (2, 1))  # noqa: E731
    monkeypatch.setattr(truth, "trained", dearer_is_better)
    outcome = script(rank, "run", *QUICK, "--networks", "20")
    assert outcome.code == 0, outcome.err
    command = outcome.out.strip().splitlines()[-1].split()
    assert command[:2] == ["python", "evo/search.py"]
    few = ("--evaluations", "20", "--population", "10", "--threads", "1")
    assert script(search, *command[2:], *few).code == 0
    points = sorted(front.load(Path("NEW"))["front"], key=lambda point: point["madds"])
    assert ranking.kendall(np.array([point["accuracy"] for point in points]), np.arange(len(points))) > 0.8


def test_what_corrects_a_search_is_what_held_out_images_say(script, run, monkeypatch):
    """On test images the dearer is the better, on held-out ones the cheaper."""
    monkeypatch.chdir(run.parent)

    def opposite(*how):
        reached = how[1].cost(how[-1])[:, 0] / 1e6
        return np.stack([reached, 1 - reached])

    monkeypatch.setattr(truth, "trained", opposite)
    assert script(rank, "run", *QUICK, "--networks", "20").code == 0
    content = read(run)
    space = search_spaces.load("digits")
    madds, data = space.cost(content["encoding"])[:, 0], run_folder.read(run)["data"]
    found = correction.load(run / "none", run / "ranking.json", space, data)
    with pytest.raises(ValueError, match="is of other images, or of networks of another size"):
        correction.load(run / "none", run / "ranking.json", space, data | {"train": 1})
    assert ranking.kendall(np.array(content["truth"]), madds) == pytest.approx(1)
    assert ranking.kendall(found.accuracy, -madds) == pytest.approx(1)
    assert content["corrected"]["10"]["without"] < -0.5


def test_networks_that_correct_nothing_are_not_advised(script, run, monkeypatch):
    monkeypatch.chdir(run.parent)
    noise = np.random.default_rng(0)
    monkeypatch.setattr(truth, "trained", lambda *how: noise.uniform(0.5, 0.9, (2, len(how[-1]))))
    monkeypatch.setattr(verdict, "corrected", lambda *how: {"supernet": 0.2, "corrected": 0.1, "without": 0.0})
    outcome = script(rank, "run", *QUICK, "--networks", "20")
    assert outcome.code == 0, outcome.err
    assert "--correct run" not in outcome.out
    assert "written to run" in outcome.out


def test_networks_are_trained_once_and_called_again_it_says_the_same(script, run, monkeypatch):
    monkeypatch.chdir(run.parent)
    outcome = script(rank, "run", *QUICK)
    assert outcome.code == 0, outcome.err
    assert max(map(len, outcome.out.splitlines())) <= 80
    content = read(run)
    assert content["networks"] == len(content["truth"]) == 10
    assert "10 networks of digits, trained alone with --epochs 1" in outcome.out
    assert [content["budget"][of] for of in ("epochs", "batch_size")] == [1, 512]
    assert list(content["gt_tau"]) == ["6", "12"]
    assert content["gt_tau"]["12"] == pytest.approx(content["tau"]["supernet"][0])
    weights = {path: path.stat().st_mtime_ns for path in run.glob("ranking/*/??????.safetensors")}
    assert len(weights) == 10
    assert script(rank, "run", *QUICK).out == outcome.out
    assert all(path.stat().st_mtime_ns == before for path, before in weights.items())


def test_every_budget_has_a_truth_of_its_own(tmp_path, digits):
    space, recipe = search_spaces.load("digits"), Recipe("test", epochs=1, batch_size=512, lr=0.1, weight_decay=0.0)
    for each in (recipe, recipe, replace(recipe, lr=0.2)):
        found = truth.trained(tmp_path, space, digits, each, 0, nullcontext, np.zeros((1, 6), dtype=int))
        assert found.shape == (2, 1)
        assert found.min() >= 0
        assert found.max() <= 1
    assert len(list(tmp_path.glob("*/000000.safetensors"))) == 2


def other_seed(run, fairness: str = "uniform"):
    """A copy of the run that says it has another seed."""
    other = shutil.copytree(run, run.parent / "other", dirs_exist_ok=True)
    settings = run_folder.read(other)
    settings["settings"]["supernet"] |= {"seed": 1, "fairness": fairness}
    files.save_json(other / "settings.json", settings)
    return other


def test_a_table_that_agrees_with_the_supernet_makes_it_trusted_and_equal_weights_agree(script, run, table):
    net = Judged(str(run), Reading(recalibrate=100), Compute(threads=1))
    encodings = rank.sample(net.space, 20, np.random.default_rng(0))
    scores = net.scores(encodings)
    path = table([*encodings, [5] * 6], [*scores, 0.5])  # every option is in a table of its space
    outcome = script(
        rank, run, "--networks", "20", "--recalibrate", "100", "--table", path, "--others", other_seed(run)
    )
    assert outcome.code == 0, outcome.err
    assert read(run)["score"] == scores.tolist()
    assert read(run)["tau"]["supernet"] == pytest.approx([1, 1, 1])
    assert read(run)["first"]["1"]["regret"] == 0
    assert read(run)["s_tau"] == pytest.approx(1)
    assert "Search with this supernet" in outcome.out
    assert list(read(run)["corrected"]) == ["10"]  # of 20, so that as many are left to judge by
    assert read(run)["corrected"]["10"]["supernet"] == pytest.approx(1)
    assert "corrected by them" in outcome.out


def test_what_mending_gains_is_told_of_the_plain_scores_however_they_are_read(script, run, table, rng):
    encodings = rank.sample(digits_space(), 20, np.random.default_rng(0))
    path, found = table([*encodings, [5] * 6], rng.uniform(0.5, 0.9, 21)), []
    for flags in ([], ["--size-weight", "0.5"]):
        assert script(rank, run, "--networks", "20", "--table", path, *flags).code == 0
        found.append({name: value for name, (value, *_) in read(run)["tau"].items()})
    plain, sized = found
    assert set(plain) > set(verdict.MENDS)
    assert plain["sized"] == pytest.approx(sized["supernet"], abs=0.05)  # whose deviations are of other networks
    assert sized.pop(verdict.UNMENDED) == plain.pop("supernet") != sized.pop("supernet")
    assert sized == {name: tau for name, tau in plain.items() if name not in verdict.MENDS}


def test_smoothing_is_told_by_the_networks_that_a_search_would_draw(run):
    net = Judged(str(run), Reading(mending=verdict.MENDS["smoothed"]), Compute(threads=1))
    encodings = rank.sample(net.space, 12, np.random.default_rng(0))
    found = verdict.mended(net.space, encodings, net.scores(encodings), drawn=rank.smoothing(net))
    assert found["smoothed"] == pytest.approx(net.mended(encodings))


@pytest.mark.parametrize("better", [True, False])
def test_a_mending_that_is_asked_for_is_advised_only_if_it_ranks_better(script, run, table, better, monkeypatch):
    monkeypatch.chdir(run.parent)
    encodings = rank.sample(digits_space(), 20, np.random.default_rng(0))
    reached = digits_space().cost(encodings)[:, 0] / 1e6
    path = table([*encodings, [5] * 6], [*(reached if better else 1 - reached), 0.5])
    outcome = script(rank, "run", "--networks", "20", "--table", path, "--size-weight", "9", "--recalibrate", "100")
    assert outcome.code == 0, outcome.err
    assert max(map(len, outcome.out.splitlines()[:-1])) <= 80
    last = outcome.out.strip().splitlines()[-1]
    if better:
        assert last.endswith("--supernet-of run --size-weight 9 --recalibrate 100")
    else:
        assert last == "scores rank no better here with --size-weight 9"


def test_a_reading_that_no_search_has_is_not_advised(script, run, table, rng):
    encodings = rank.sample(digits_space(), 12, np.random.default_rng(0))
    path = table([*encodings, [5] * 6], rng.uniform(0.5, 0.9, 13))
    outcome = script(rank, run, "--networks", "12", "--table", path, "--batch-statistics")
    assert outcome.code == 0, outcome.err
    assert outcome.out.strip().splitlines()[-1] == "no search can read scores in this way"


def test_a_training_that_was_interrupted_is_said(script, run, table, monkeypatch):
    monkeypatch.setattr(rank, "smoothing", lambda net: None)  # 300 networks that do not matter here
    spread = rank.sample(search_spaces.load("digits"), 10, np.random.default_rng(0))
    how = ("--table", table(spread, np.linspace(0.1, 0.9, 10)), "--networks", "10", "--recalibrate", "100")
    assert "the supernet is trained for" not in script(rank, run, *how).out
    shutil.copy(run / "supernet.previous.safetensors", run / train.WEIGHTS)
    assert "the supernet is trained for 11 of 12 epochs; to the end:" in script(rank, run, *how).out


def test_losses_are_told_beside_accuracies_unless_they_are_the_scores(script, run, table):
    likelihoods = Judged(str(run), Reading(by_loss=True), Compute(threads=1)).scores
    encodings = rank.sample(digits_space(), 20, np.random.default_rng(0))
    path = table([*encodings, [5] * 6], [*likelihoods(encodings), 0.5])
    flags = ("--networks", "20", "--table", path)
    outcome = script(rank, run, *flags)
    assert read(run)["tau"][verdict.BY_LOSS] == pytest.approx([1, 1, 1])
    assert "its losses" in outcome.out
    second = script(rank, run, *flags, "--by-loss")
    assert second.code == 0, second.err
    assert read(run)["tau"]["supernet"] == pytest.approx([1, 1, 1])
    assert verdict.BY_LOSS not in read(run)["tau"]
    assert "its losses" not in second.out


def test_a_run_of_another_seed_is_judged_with_its_own(run):
    net = Judged(str(run), Reading(), Compute(threads=1))
    assert net.twin(other_seed(run)).config.seed == 1
    assert net.config.seed == 0


def test_runs_that_differ_by_more_than_the_seed_are_refused_as_others(script, run):
    outcome = script(rank, run, *QUICK, "--others", other_seed(run, "strict"))
    assert outcome.code == 2
    assert "in fairness: --others takes runs of other seeds alone" in outcome.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--networks", "9"], "Kendall's tau means nothing on fewer than 10 networks"),
        (["--table", "none.json"], "there is no table none.json"),
        (["--others", "nowhere"], "is no run folder"),
        (["--others", "{run}"], "--others takes runs of other seeds, each once; got the seeds 0, 0"),
        (["--recalibrate", "1"], "--recalibrate must be 0 or at least 2"),
        (["--epochs", "0"], "--epochs >= 1"),
        (["--seed", "-1"], "--seed must not be negative"),
    ],
)
def test_wrong_flags(script, run, flags, message):
    outcome = script(rank, run, *(flag.format(run=run) for flag in flags))
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (run / "ranking").exists()


def test_a_table_of_another_space_is_refused(script, run, table):
    outcome = script(rank, run, "--table", table([[2] * 8, [1] * 8], [0.5, 0.6]))
    assert outcome.code == 2
    assert "does not match the run's space" in outcome.err
    assert "3, 3, 3, 3, 3, 3, 3, 3 options, those of digits 6, 6, 6, 6, 6, 6; give the table of digits" in outcome.err


def test_a_supernet_that_has_not_learned_is_said_and_not_ranked(script, tmp_path):
    run = tmp_path / "run"
    script(train, "--run", run, "--epochs", "1", "--train-images", "64", "--threads", "1")
    outcome = script(rank, run, *QUICK)
    assert outcome.code == 2
    assert "is chance (0.100): it has not learned" in outcome.err
    assert not (run / "ranking.json").exists()
    (run / "supernet.safetensors").unlink()
    assert f"python supernet/train.py --run {run} trains a supernet" in script(rank, run, *QUICK).err


def test_scores_without_an_order_are_refused():
    with pytest.raises(ValueError, match=r"all 20 networks score 0\.500: there is no order"):
        verdict.check(np.full(20, 0.5), 10, 1000)
    with pytest.raises(ValueError, match="fewer than 10"):
        verdict.check(np.linspace(0.5, 0.6, 9), 10, 1000)
    with pytest.raises(ValueError, match="1 of 20 scores are no numbers"):
        verdict.check(np.append(np.linspace(0.5, 0.6, 19), np.nan), 10, 1000)


def test_a_likelihood_needs_less_above_chance_than_an_accuracy():
    for mean, by_accuracy, by_loss in ((0.102, True, True), (0.12, True, False), (0.2, False, False)):
        for spoiled, way in ((by_accuracy, False), (by_loss, True)):
            with pytest.raises(verdict.Meaningless, match="is chance") if spoiled else nullcontext():
                verdict.check(np.linspace(mean - 0.01, mean + 0.01, 20), 10, 200, way)
    space = digits_space()
    encodings = rank.sample(space, 20, np.random.default_rng(0))
    with pytest.raises(ValueError, match="no true order"):
        verdict.judge(space, encodings, np.arange(20), np.ones(20), {}, np.random.default_rng(0))


@cache
def digits_space():
    return search_spaces.load("digits")


@cache
def figures(quality: float) -> dict:
    """Of planted scores: so much of the truth, the rest noise."""
    space, rng = digits_space(), np.random.default_rng(0)
    encodings = rank.sample(space, 200, rng)
    madds = space.cost(encodings)[:, 0]
    reached = madds / madds.std() + rng.normal(size=200)  # cost alone tells half
    scores = quality * reached + (1 - quality) * rng.normal(size=200)
    scores, reached = (0.8 + 0.03 * (values - values.mean()) for values in (scores, reached))
    told = {name: rng.random(len(scores)) for name in verdict.UNTRAINED}
    others = {verdict.UNTRAINED[name]: values for name, values in told.items()}
    others |= verdict.mended(space, encodings, scores, told)
    return verdict.judge(space, encodings, scores, reached, others, rng)


@pytest.mark.parametrize(
    ("quality", "advice"),
    [
        (0.9, "Search with this supernet"),
        (0.4, "Do not rely on this supernet yet"),
        (0.0, "multiply-adds alone order"),
    ],
)
def test_the_sentence_follows_the_planted_quality(quality, advice, capsys):
    found = figures(quality)
    assert advice in verdict.sentence(found)
    assert ("With --" in verdict.sentence(found)) == bool(verdict.advised(found))
    verdict_tables.show({**found, "gt_tau": {"3": 0.5}, "s_tau": None, "sentence": verdict.sentence(found)})
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "--snapshots 1" in out
    assert "\N{HORIZONTAL ELLIPSIS}" not in out


def test_losses_that_order_better_are_said():
    space, rng = digits_space(), np.random.default_rng(0)
    encodings = rank.sample(space, 100, rng)
    reached = rng.normal(size=100)
    for noise, said in ((0.1, True), (1.0, False)):
        scores, by_loss = (0.8 + 0.03 * (reached + part * rng.normal(size=100)) for part in (1.0, noise))
        found = verdict.judge(space, encodings, scores, reached, {verdict.BY_LOSS: by_loss}, rng)
        assert ("By loss its order is better" in verdict.sentence(found)) == said


def test_networks_are_advised_to_correct_what_is_advised_to_be_mended():
    space, rng = digits_space(), np.random.default_rng(0)
    encodings = rank.sample(space, 60, rng)
    reached, naswot = rng.uniform(0.5, 0.9, (2, 60))  # nothing that options tell
    scores = 0.5 * reached + 0.5 * naswot
    orders = verdict.mended(space, encodings, scores, {"naswot": reached})
    found = verdict.judge(space, encodings, scores, reached, orders, rng)
    assert verdict.advised(found).naswot_weight
    last, mended = list(found["corrected"].values())[-1], list(found["corrected_mended"].values())[-1]
    assert mended["supernet"] > last["supernet"]
    assert verdict.corrects(found["corrected_mended"]) == (mended["corrected"] > mended["supernet"])


def test_smoothing_gains_where_options_add_up_and_scores_are_noisy_alone():
    space, rng = digits_space(), np.random.default_rng(0)
    encodings = rank.sample(space, 100, rng)
    logs = np.log(space.cost(encodings)).T
    for reached, noise, gains in (
        (1 - 0.1 / logs[1], 0.001, True),
        (rng.permutation(np.linspace(0.5, 0.9, 100)), 0.0, False),
    ):
        scores = reached + noise * rng.normal(size=100)
        orders = {"supernet": scores, **verdict.mended(space, encodings, scores)}
        found = {**verdict.taus(orders, reached, rng), "equal_cost": None, "given_up": dict.fromkeys(orders, 0.0)}
        assert (verdict.gains(found)["smoothed"].low > 0) == gains
        assert bool(verdict.advised(found)) == gains


def test_what_gains_most_is_advised_if_it_gains_at_all():
    def ahead(gain: float) -> tuple:
        return (-gain, -gain - 0.1, -gain + 0.1)

    names, no = list(verdict.MENDS), {"equal_cost": None, "given_up": dict.fromkeys(["supernet", *verdict.MENDS], 0.0)}
    for gained, best in (([0.2, 0.3, 0.25], 1), ([0.05, 0.02, 0.0], None), ([0.05, 0.0, 0.15], 2)):
        found = verdict.advised(no | {"ahead": dict(zip(names[:3], map(ahead, gained), strict=True))})
        assert found == (Mending() if best is None else verdict.MENDS[names[best]])


def test_what_surely_loses_at_equal_cost_or_gives_up_more_is_not_advised():
    first, second = list(verdict.MENDS)[:2]
    overall = {first: (-0.3, -0.4, -0.2), second: (-0.2, -0.3, -0.1)}
    for there, best in (((0.2, 0.1, 0.3), second), ((0.2, -0.1, 0.5), first), ((-0.1, -0.2, 0.0), first)):
        lost = {"supernet": 0.1, first: 0.1, second: 0.05}
        figures = {
            "ahead": overall,
            "equal_cost": {"ahead": {first: there, second: (0.0, 0.0, 0.0)}},
            "given_up": lost,
        }
        assert verdict.advised(figures) == verdict.MENDS[best]
        assert verdict.advised(figures | {"given_up": lost | {best: 0.2}}) != verdict.MENDS[best]


def test_the_lead_over_cost_is_the_difference_of_the_taus():
    found = figures(0.9)
    tau, ahead = found["tau"], found["ahead"]["madds"]
    assert ahead.value == pytest.approx(tau["supernet"].value - tau["madds"].value)
    assert ahead.low > 0
    assert isinstance(ahead, ranking.Estimate)
