import json

import pytest
import torch

import results
from results import train
from supernet.fit import accuracy

QUICK = ("--epochs", "3", "--threads", "1")


@pytest.fixture
def trained(script, run_copy):
    outcome = script(train, run_copy, "--pick", "A", *QUICK)
    assert outcome.code == 0, outcome.err
    return run_copy, outcome


def test_a_pick_is_trained_and_reported_beside_the_supernets_word(trained, digits):
    run, outcome = trained
    card = json.loads((run / "trained" / "A.json").read_text())
    picked = json.loads((run / "front.json").read_text())["picks"]["A"]
    assert card["encoding"] == picked["encoding"]
    assert f"the supernet said   {picked['accuracy']:.4f}" in outcome.out
    assert f"stand-alone, test   {card['test_accuracy']:.4f}" in outcome.out
    net = results.load(run, "A")
    assert accuracy(net, *digits.test, digits.normalise).item() == card["test_accuracy"]
    assert accuracy(net, *digits.score, digits.normalise).item() == card["score_accuracy"]


def test_called_again_it_repeats_nothing_and_says_the_same(script, trained):
    run, outcome = trained
    before = (run / "trained" / "A.safetensors").stat().st_mtime_ns
    again = script(train, run, "--pick", "A", *QUICK)
    assert again.out == outcome.out
    assert (run / "trained" / "A.safetensors").stat().st_mtime_ns == before


def test_other_settings_for_the_same_name_are_refused(script, trained):
    outcome = script(train, trained[0], "--pick", "A", "--epochs", "4")
    assert outcome.code == 2
    assert "was trained with recipe" in outcome.err


def test_any_encoding_can_be_trained(script, run_copy):
    assert script(train, run_copy, "--encoding", "k3e1 " * 6, "--name", "plain", *QUICK).code == 0
    images = torch.zeros(2, 1, 8, 8)
    assert results.load(run_copy, "plain")(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pick", "Z"], "no pick 'Z'; it has A, B, C"),
        (["--pick", "../Z"], "--pick must be"),
        (["--encoding", "12"], "6 layers, got 2"),
        (["--encoding", "999999"], "no option '9'"),
        (["--encoding", "000000", "--name", "../x"], "--name must be"),
        (["--epochs", "0"], "--epochs >= 1"),
        (["--seed", "-1"], "--seed must not be negative"),
    ],
)
def test_wrong_flags(script, run_copy, flags, message):
    outcome = script(train, run_copy, *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (run_copy / "trained").exists()


def test_no_run(script, tmp_path):
    outcome = script(train, tmp_path / "none")
    assert outcome.code == 2
    assert "is no run folder" in outcome.err


@pytest.mark.parametrize("pick", ["B", "../A", "", "A/../A"])
def test_loading_what_is_not_trained_lists_what_is(trained, pick):
    with pytest.raises(ValueError, match="trained are: A"):
        results.load(trained[0], pick)
