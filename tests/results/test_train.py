import json
import shutil
from statistics import mean, stdev

import pytest
import torch

import results
import search_spaces
from evo import search
from results import train
from supernet import checkpoint, files, run_folder
from supernet import train as supernet_train
from supernet.fit import accuracy

QUICK = ("--epochs", "3", "--threads", "1")


@pytest.fixture(scope="module")
def once(finished_run, tmp_path_factory, module_script):
    """A run whose pick A is trained, and what was printed."""
    run = shutil.copytree(finished_run, tmp_path_factory.mktemp("trained") / "run")
    outcome = module_script(train, run, "--pick", "A", *QUICK)
    assert outcome.code == 0, outcome.err
    return run, outcome


@pytest.fixture
def trained(once, tmp_path):
    """A copy of it."""
    run, outcome = once
    copy = shutil.copytree(run, tmp_path / "run")
    return copy, outcome._replace(out=outcome.out.replace(str(run), str(copy)))


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
    settings = run_folder.read(run)
    settings["settings"]["search"]["by_loss"] = True
    files.save_json(run / "settings.json", settings)
    assert "supernet, by loss   0." in script(train, run, "--pick", "A", *QUICK).out
    settings["settings"]["search"]["size_weight"] = 0.5
    files.save_json(run / "settings.json", settings)
    assert "supernet, mended    0." in script(train, run, "--pick", "A", *QUICK).out
    settings["settings"]["search"]["correct"] = "ranking.json"
    files.save_json(run / "settings.json", settings)
    corrected = script(train, run, "--pick", "A", *QUICK).out
    assert "supernet, corrected 0." in corrected
    assert "the supernet said" not in corrected


def test_other_settings_for_the_same_name_are_refused(script, trained):
    outcome = script(train, trained[0], "--pick", "A", "--epochs", "4")
    assert outcome.code == 2
    assert "was trained with recipe" in outcome.err


def test_several_picks_and_seeds_end_with_mean_and_spread(script, run_copy):
    outcome = script(train, run_copy, "--pick", "A", "C", "--seed", "0", "3", "--epochs", "1", "--threads", "1")
    assert outcome.code == 0, outcome.err
    cards = {name: json.loads((run_copy / "trained" / f"{name}.json").read_text()) for name in ("A", "A-seed3")}
    found = [card["test_accuracy"] for card in cards.values()]
    assert f"A            {mean(found):.4f} +- {stdev(found):.4f}   of 2" in outcome.out
    a, b = (results.load(run_copy, name).state_dict()["head.0.weight"] for name in cards)
    assert not torch.equal(a, b)
    assert cards["A"]["encoding"] == cards["A-seed3"]["encoding"]


def test_inherited_weights_begin_where_the_supernet_is(script, run_copy):
    encoding = json.loads((run_copy / "front.json").read_text())["picks"]["A"]["encoding"]
    space = search_spaces.load("digits")
    net = space.build(encoding)
    assert train.begin(net, train.inherited(run_copy, space, encoding)) == []
    tensors, _ = checkpoint.load(run_copy / "supernet.safetensors", "supernet")
    assert torch.equal(net.head[0].weight, tensors["net.head.0.weight"])
    first = f"net.layers.0.{encoding[0]}.body."
    own = net.blocks[0].body.state_dict()
    assert all(torch.equal(own[n.removeprefix(first)], t) for n, t in tensors.items() if n.startswith(first))
    assert script(train, run_copy, "--inherit", "--epochs", "1").code == 0
    assert results.load(run_copy, "A-inherited")


def test_inherited_weights_are_those_that_the_search_judged(script, tmp_path):
    flags = ("--prune", "0.5", "--epochs", "2", "--train-images", "64", "--threads", "1")
    assert script(supernet_train, "--run", tmp_path, *flags).code == 0
    found = train.inherited(tmp_path, search_spaces.load("digits"), [0] * 6)
    tensors, _ = checkpoint.load(tmp_path / "supernet.safetensors", "supernet")
    assert torch.equal(found["head.0.weight"], tensors["net.head.0.weight"])


def test_trained_weights_go_on_to_images_of_other_classes(script, trained, image_folder):
    run, _ = trained
    root = image_folder({"cat": 20, "dog": 20, "owl": 20})
    flags = ("--transfer", "A", "--data", "folder", "--data-root", root, "--image-size", "8", "--epochs", "1")
    outcome = script(train, run, *flags, "--batch-size", "8")
    assert outcome.code == 0, outcome.err
    assert "other classes than the search's: 3 instead of 10" in outcome.out
    assert "begins afresh, for its shape is another: head.6.bias, head.6.weight, stem.0.weight" in outcome.out
    assert results.load(run, "A-folder")(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


def test_a_pick_of_cells_is_trained_as_darts_trains_it_and_in_another_size(script, tmp_path):
    few = ("--train-images", "64", "--epochs", "1", "--batch-size", "32", "--threads", "1")
    space = ("--space", "darts_s2", "--space-options", "channels=2", "cells=3")
    outcome = script(search, "--run", tmp_path, *space, *few, "--evaluations", "4", "--population", "4")
    assert outcome.code == 0, outcome.err
    train_it = (train, tmp_path, "--recipe", "darts_cifar", *few)
    assert script(*train_it).code == 0
    outcome = script(*train_it, "--space-options", "channels=4", "cells=4")
    assert outcome.code == 0, outcome.err
    assert "the supernet said" not in outcome.out
    small, large = (results.load(tmp_path, name) for name in ("A", "A-channels4-cells4"))
    assert (len(small.cells), len(large.cells)) == (3, 4)
    assert large(torch.zeros(2, 1, 8, 8)).shape == (2, 10)  # without the auxiliary classifier


def test_a_pick_trained_on_fewer_images_has_a_name_of_its_own(trained, script):
    run, _ = trained
    before = (run / "trained" / "A.json").read_bytes()
    outcome = script(train, run, "--score-images", "50", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "the supernet said" not in outcome.out
    assert (run / "trained" / "A-score_images50.json").exists()
    assert (run / "trained" / "A.json").read_bytes() == before


def test_a_network_that_many_flags_have_named_can_be_loaded(trained, script):
    run, _ = trained
    flags = ("--image-size", "16", "--train-images", "500", "--score-images", "50", "--seed", "12")
    outcome = script(train, run, *flags, "--epochs", "1", "--threads", "1")
    assert outcome.code == 0, outcome.err
    name = outcome.out.splitlines()[-1].split('"')[-2]
    assert name == "A-image_size16-train_images500-score_images50-seed12"
    assert results.load(run, name)(torch.zeros(1, 1, 16, 16)).shape == (1, 10)


def test_a_damaged_checkpoint_is_named(trained):
    run, _ = trained
    path = run / "trained" / "A.safetensors"
    tensors, meta = checkpoint.load(path, "stand-alone")
    checkpoint.save(path, tensors, {**meta, "encoding": [0] * 6})
    with pytest.raises(ValueError, match=r"another network than .* train it again"):
        results.load(run, "A")
    path.write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="damaged"):
        results.load(run, "A")


def test_any_encoding_can_be_trained(script, run_copy):
    assert script(train, run_copy, "--encoding", "k3e1 " * 6, "--name", "plain", *QUICK).code == 0
    images = torch.zeros(2, 1, 8, 8)
    assert results.load(run_copy, "plain")(images).shape == (2, 10)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pick", "Z"], "no pick 'Z'; it has A, B, C, knee"),
        (["--pick", "../Z"], "--pick must be"),
        (["--encoding", "12"], "6 layers, got 2"),
        (["--encoding", "999999"], "no option '9'"),
        (["--encoding", "000000", "--name", "../x"], "--name must be"),
        (["--epochs", "0"], "--epochs >= 1"),
        (["--seed", "-1"], "--seed needs different numbers that are not negative"),
        (["--seed", "0", "1", "0"], "--seed needs different numbers"),
        (["--recipe", "x"], "unknown --recipe 'x'; known are digits, cifar"),
        (["--parts", "0"], "--parts must be at least 1"),
        (["--parts", "5", "--batch-size", "8"], "equal pieces of two or more"),
        (["--pick", "A", "B", "--name", "x"], "--name is for one network"),
        (["--encoding", "000000", "--name", "A"], "--name must not be A, B, C or knee"),
        (["--pick", "B", "--name", "A"], "--name must not be A, B, C or knee"),
        (["--transfer", "A"], "has no trained 'A'"),
        (["--transfer", "A", "--inherit"], "leave out --encoding and --inherit"),
        (["--data", "folder"], "needs --data-root"),
        (["--space-options", "x"], "--space-options takes NAME=NUMBER"),
        (["--space-options", "cells=3"], "cells"),
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
