"""What the figures rest on beside the product's own code."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import search_spaces
from results import rank, verdict
from results.ranking import kendall
from supernet import files

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import fronts
import picks
import ranking
import untrained
from tables import ranking_short


@pytest.mark.parametrize("option", [0, 1, 5])  # the cheapest network of all, where nearly none is as cheap; a dear one
def test_rivals_cost_what_the_pick_costs_and_are_others(option):
    space = search_spaces.load("fairnas", image_size=32, num_classes=10)
    encoding = [option] * 18 + [3]
    point = {"encoding": encoding, "madds": int(space.cost(np.array([encoding]))[0, 0])}
    found = picks.rivals(space, point, 3, np.random.default_rng(0))
    assert len(np.unique(found, axis=0)) == 3
    assert encoding not in found.tolist()
    assert (np.abs(space.cost(found)[:, 0] / point["madds"] - 1) <= picks.NEAR).all()


def test_flags_of_a_training_follow_those_of_the_comparison():
    for own in (["RUN"], ["RUN", "--seeds", "0", "1"], ["RUN", "--name", "mine"], ["--random", "1", "RUN"]):
        given, flags = picks.parse([*own, "--", "--epochs", "3"])
        assert (given.run, flags) == (Path("RUN"), ["--epochs", "3"])
        assert picks.parse(own) == (given, [])


def test_nobody_is_ahead_of_himself_and_the_truth_is_ahead_of_its_reverse(tmp_path):
    truth = np.random.default_rng(0).random(20).tolist()
    right, wrong = ({"truth": truth, "score": [sign * value for value in truth]} for sign in (1, -1))
    assert ranking.lead([right], [right], tmp_path)["mean"] == (0, 0, 0)
    value, low, high = ranking.lead([right, right], [wrong], tmp_path)["mean"]
    assert ranking.lead([right, right], [wrong], tmp_path)["mean"] == (value, low, high)  # what is kept
    assert len(list(tmp_path.iterdir())) == 2
    assert value == pytest.approx(2)
    assert low == pytest.approx(high)


def test_every_variant_is_measured_with_its_seeds_and_strict_fairness_in_every_reading():
    planned = ranking.plan({"strict": 2, "uniform": 1}, ["recalibrated", "running", "fine-tuned"])
    assert planned == [
        ("strict", "recalibrated", 0),
        ("uniform", "recalibrated", 0),
        ("strict", "recalibrated", 1),
        ("strict", "running", 0),
        ("strict", "fine-tuned", 0),
        ("strict", "running", 1),
    ]


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (["uniform"], "name it among the --variants"),
        (
            ["strict", "turns", "unifrom:1"],
            "nas_bench_macro has no --variants turns, unifrom; it has strict, expectation",
        ),
        (None, "there is no table"),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_trained(variants, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        ranking.wanted("nas_bench_macro", Namespace(variants=variants, seeds=3, tables=str(tmp_path)))


def test_figures_of_few_networks_are_not_taken_for_those_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(ranking.record, "ROOT", tmp_path)
    monkeypatch.setattr(ranking.train, "main", lambda config: Path(config.run).mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(ranking, "ranked", lambda config, along: {"networks": config.networks})
    for asked, networks in ((None, 120), (12, 12), (13, 13), (None, 120)):
        arguments = Namespace(scale="medium", networks=asked, data_root="images", tables="tables")
        assert ranking.measure("nas_bench_macro", "strict", "by loss", 0, arguments)["networks"] == networks


@pytest.mark.parametrize("additive", [True, False])
def test_a_truth_that_adds_up_survives_smoothing_and_no_other(additive, planted, rng, monkeypatch):
    space, encodings, _, _ = planted
    error = np.exp(rng.normal(size=(3, 4))[range(3), encodings].sum(1) if additive else rng.normal(size=64))
    found = 1 - error / error.max()
    monkeypatch.setattr(ranking.truth, "from_table", lambda path, space: lambda rows: found[rows @ [16, 4, 1]])
    one = {
        "space": space.name,
        "encoding": encodings.tolist(),
        "truth": found.tolist(),
        "tau": dict.fromkeys(ranking.FREE, 0),
    }
    tau = ranking.baselines(one, Namespace(tables=""))["the truth, smoothed"].value
    assert (tau > 0.95) == additive


@pytest.fixture
def planted(rng):
    """All networks of three_edge: the space, encodings (64, 3), accuracies (64,), cost (64, 2)."""
    space = search_spaces.load("three_edge")
    encodings = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1)
    return space, encodings, rng.random(64), space.cost(encodings)


def test_a_front_by_the_truth_loses_nothing_and_one_by_its_reverse_does(planted):
    _, _, accuracy, cost = planted
    right, wrong = fronts.worth(accuracy, accuracy, cost), fronts.worth(-accuracy, accuracy, cost)
    assert [right[of] for of in ("tau", "tenth", "volume", "1", "5")] == pytest.approx([1, 1, 1, 0, 0])
    assert (wrong["tau"], wrong["tenth"]) == pytest.approx((-1, -1))
    assert wrong["volume"] < 1
    assert right["beats"] > 0.9 > 0.3 > wrong["beats"]
    assert wrong["1"] > wrong["5"] > 0


def test_a_correction_knows_the_networks_that_were_drawn_and_no_others(planted, rng):
    space, encodings, accuracy, _ = planted
    scores = rng.random(64)
    assert fronts.corrected(space, encodings, accuracy, scores, 0, 0) is scores
    for seed in range(3):
        drawn = rank.sample(space, 10, np.random.default_rng(seed))
        known = (encodings[:, None] == drawn).all(2).any(1)
        others = np.where(known, accuracy, rng.random(64))
        found, again = (fronts.corrected(space, encodings, a, scores, 10, seed) for a in (accuracy, others))
        assert (found == again).all()
        assert (fronts.corrected(space, encodings, accuracy, None, 10, seed) != found).any()


def test_figures_are_of_the_networks_named(planted, rng, monkeypatch):
    space, encodings, accuracy, _ = planted
    scores, by_loss, naswot = rng.random((3, 64))
    monkeypatch.setattr(fronts, "DRAWS", 1)
    found = fronts.figures(space, encodings, accuracy, {"strict-0": scores}, {"strict-0": by_loss}, naswot)
    cost = space.cost(encodings)
    for n in fronts.TRAINED:
        expected = fronts.worth(fronts.corrected(space, encodings, accuracy, scores, n, 0), accuracy, cost)
        assert found["supernets"]["supernet"]["strict-0"][str(n)] == fronts.over([expected])
    likelihoods = found["supernets"][verdict.BY_LOSS]["strict-0"]["0"]
    assert likelihoods == fronts.over([fronts.worth(by_loss, accuracy, cost)])
    assert list(found["alone"]) == ["10", "40"]
    assert found["free"]["NASWOT alone"] == fronts.over([fronts.worth(naswot, accuracy, cost)])
    for name in fronts.KINDS:
        mended = fronts.mended(space, encodings, scores, naswot, verdict.MENDS[name], 0)
        assert found["supernets"][name]["strict-0"]["0"] == fronts.over([fronts.worth(mended, accuracy, cost)])


def test_an_order_by_the_truth_is_right_among_all_and_among_networks_of_equal_cost(planted, rng):
    space, encodings, accuracy, _ = planted
    told = {"naswot": -accuracy, "az-nas": accuracy}
    found = untrained.figures(space, encodings, accuracy, rng.random(64), told)
    right, wrong = found["AZ-NAS alone"], found["NASWOT alone"]
    assert [right["tau"][0], right["equal_cost"][0]] == pytest.approx([1, 1])
    assert [wrong["tau"][0], wrong["equal_cost"][0]] == pytest.approx([-1, -1])
    assert right["beats"] > wrong["beats"]
    assert set(found) > {"supernet", *verdict.MENDS}
    assert right["tenth"] is None  # six networks


def planted_record(scale: str, tau: float) -> dict:
    s = {"mean": tau, "s_tau": None, "inside_best_tenth": [0.1, 0.3], "equal_cost": [None], "first": []}
    s["first"] = [{"10": {"regret": regret}} for regret in (0.01, 0.02)]
    supernets = {"strict": {ranking.PLAIN: s, "sized": s | {"mean": 0.7}, "naswot": s | {"mean": 0.6}}}
    return {"space": "three_edge", "scale": scale, "supernets": supernets, "baselines": {"madds": [0.5, 0.4, 0.6]}}


def test_in_short_the_largest_scale_speaks_for_its_space(tmp_path, monkeypatch):
    monkeypatch.setattr(ranking.record, "RECORDS", tmp_path)
    for scale, tau in (("medium", 0.5), ("full", 0.55), ("reduced", 0.4)):
        files.save_json(tmp_path / f"ranking-three_edge-{scale}.json", planted_record(scale, tau))
    head, _, *rows = ranking_short.table_of_spaces().splitlines()
    assert head.endswith("| `three_edge`, full |")
    cells = [row.split(" | ")[1].removesuffix(" |") for row in rows]
    assert cells == ["0.55 (0.50)", "too few", "0.20", "one seed", "0.70, `--size-weight 0.5`", "1.50"]


def test_one_draw_in_many_moves_means_but_not_what_is_usually_given_up():
    draws = [{"tau": 0.5, "1": 0.02, "5": 0.01}] * 4 + [{"tau": 1.0, "1": 0.8, "5": 0.02}]
    found = fronts.over(draws)
    assert found == pytest.approx({"tau": 0.6, "1": 0.02, "1_most": 0.8, "5": 0.01, "5_most": 0.02})


@pytest.mark.parametrize("word", ranking.WORDS)
def test_without_a_weight_a_word_says_nothing_and_with_one_it_does(word, planted, rng, monkeypatch):
    space, encodings, accuracy, cost = planted
    scores, told = rng.uniform(0.3, 0.4, 64), {name: rng.random(64) for name in verdict.UNTRAINED}
    monkeypatch.setattr(ranking, "WEIGHTS", (0.0, 1.0, 50.0))
    found = ranking.by_weight(word, space, encodings, scores, accuracy, told)
    assert list(found) == ["0", "1", "50"]
    assert found["0"] == kendall(scores, accuracy)
    assert found["50"] != found["0"]
    said = {"size": cost[:, 0], **told}[word]
    assert ranking.by_weight(word, space, encodings, scores, said, told)["1"] > kendall(scores, said)
