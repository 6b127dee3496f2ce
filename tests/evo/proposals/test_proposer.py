"""Relaxations in the search: their share, their names, their pictures."""

import json
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import search_spaces
from evo import search
from evo.archive import Archive
from evo.engine import NSGA2
from evo.proposals import drawing, health, methods
from evo.proposals.proposer import Proposals, RelaxationProposer
from evo.proposals.relax import Relaxed
from evo.proposals.relaxation import Relaxation
from evo.proposers import Natural
from search_spaces import published
from supernet import checkpoint

QUICK = ("--epochs", "1", "--evaluations", "120", "--population", "20", "--threads", "1", "--recalibrate", "0")
SHORT = ("--train-images", "96", "--score-images", "20", "--proposer-epochs", "1", "--batch-size", "96")


@pytest.fixture
def proposer():
    space = search_spaces.load("digits")
    relaxed = Relaxed(methods.method("darts"), space, 0)
    weights = {name: options.tolist() for name, options in relaxed.mixture().options.items()}
    history = [{"encoding": [k] * 6, "weights": weights} for k in (0, 1, 0, 2)]
    return RelaxationProposer(relaxed, history)


def test_the_latest_architecture_comes_first_and_none_twice(proposer, rng):
    proposed = proposer.propose(rng, None, 5)
    assert proposed[:3].tolist() == [[2] * 6, [0] * 6, [1] * 6]
    assert proposed.shape == (8, 6)


def test_proposals_are_a_function_of_the_generator(proposer):
    a, b = (proposer.propose(np.random.default_rng(3), None, 9) for _ in range(2))
    assert (a == b).all()


def test_relaxations_share_the_population_and_nothing_is_asked_twice(proposer):
    space = search_spaces.load("digits")
    engine, asked = NSGA2(space.choices, 20, space.canonical, proposers={proposer: 0.5, Natural(): 0.5}), []
    for generation in range(4):
        found = engine.ask(np.random.default_rng(generation), 20)
        assert ("darts" in found.proposers) == (generation > 0)  # the first generation is random
        engine.tell(found.encodings, space.cost(found.encodings).astype(float), proposers=found.proposers)
        asked += map(tuple, found.encodings)
    assert len(set(asked)) == 80
    assert (2,) * 6 in asked


@pytest.mark.parametrize(
    ("name", "space", "said"),
    [("fair_darts", "darts_s3", True), ("fair_darts", "digits", False), ("darts", "darts_s3", False)],
)
def test_a_relaxation_that_its_threshold_leaves_nothing_of_says_so(
    name, space, said, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(health, "ITERATIONS", 1)
    options = {"channels": 4, "cells": 3} if space.startswith("darts") else {}
    space = search_spaces.load(space, image_size=8, in_channels=1, **options)
    few = digits._replace(train=digits.train.take(np.arange(96)))
    (found,) = Proposals((name,), 1).prepare(space, few, 0, tmp_path)
    assert ("no option reaches its threshold of 0.85" in capsys.readouterr().out) is said
    assert (len(np.unique(found.propose(np.random.default_rng(0), None, 20), axis=0)) == 1) is said


def test_a_rule_and_a_seed_reach_the_relaxation_and_what_the_rule_does_is_said(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(health, "ITERATIONS", 1)
    monkeypatch.setattr(health, "skips", lambda space, encoding: 2)
    space, few = search_spaces.load("digits"), digits._replace(train=digits.train.take(np.arange(96)))
    histories = []
    for seed, stop in ((0, "never"), (0, "skips"), (1, "skips")):
        folder = tmp_path / f"{seed}-{stop}"
        Proposals(("darts",), 2, stop).prepare(space, few, seed, folder)
        histories.append(checkpoint.meta(folder / "proposer-darts.safetensors", "relaxation")["history"])
        said = "darts: --proposer-stop skips takes epoch 1 of 1 trained as the last\n" in capsys.readouterr().out
        assert said is (stop == "skips")
    assert [len(history) for history in histories] == [2, 1, 1]
    losses = [history[0]["loss"] for history in histories]
    assert losses[0] == losses[1] != losses[2]


def test_what_misses_a_free_limit_is_not_proposed(proposer):
    space = search_spaces.load("digits")

    def violation(encodings):
        return (encodings.sum(1) > 6).astype(float)

    engine = NSGA2(space.choices, 20, space.canonical, violation, proposers={proposer: 1.0})
    first = engine.ask(np.random.default_rng(0), 5)
    engine.tell(first.encodings, space.cost(first.encodings).astype(float), proposers=first.proposers)
    found = engine.ask(np.random.default_rng(1), 5)
    assert (found.encodings.sum(1) <= 6).all()
    assert found.proposers[0] == "darts"


@pytest.mark.parametrize(
    ("space", "options", "names"),
    [
        ("darts_s3", ("--space-options", "channels=4", "cells=3"), tuple(methods.METHODS)),
        ("digits", (), ("fair_darts", "partial+noisy x mixed")),
    ],
)
def test_a_search_ends_in_a_front_whose_rows_say_who_proposed_them(
    script, tmp_path, monkeypatch, space, options, names
):
    monkeypatch.setattr(health, "ITERATIONS", 1)
    folder = tmp_path / "run"
    outcome = script(search, "--run", folder, "--space", space, *options, *QUICK, *SHORT, "--proposer", *names)
    assert outcome.code == 0, outcome.err
    content = json.loads((folder / "front.json").read_text())
    proposers = set(Archive(folder / "archive.sqlite").everything().proposers)
    assert set(names) < proposers
    assert {point["proposer"] for point in content["front"]} <= proposers
    assert all(point["proposer"] in outcome.out for point in content["front"])
    before = (folder / "front.json").read_text()
    assert script(search, "--run", folder).code == 0  # finished: nothing is trained or asked again
    assert (folder / "front.json").read_text() == before
    for name in names:
        picture = f"proposer-{name}.svg".replace("partial+noisy x mixed", "partial-noisy-x-mixed")
        assert ElementTree.parse(folder / picture).getroot().tag.endswith("svg")
        assert picture in outcome.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--proposer", "darts7"), "unknown proposer 'darts7'; known are darts,"),
        (("--proposer", "darts", "darts"), "different names"),
        (("--proposer", "partial+noisy x mixed", "partial + noisy x mixed"), "different names"),
        (("--proposer", "darts", "--proposer-epochs", "0"), "at least 1"),
        (("--proposer", "darts", "--proposer-stop", "soon"), "known are never, skips, eigenvalue"),
        (("--space", "darts", "--space-options", "channels=6", "--proposer", "pc_darts"), "do not divide 6 channels"),
    ],
)
def test_wrong_flags_end_in_one_line(script, tmp_path, flags, message):
    outcome = script(search, "--run", tmp_path / "run", *flags)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run" / "settings.json").exists()  # so that the same call, mended, may use the folder


def test_a_drawing_names_every_operation_and_every_state():
    architecture = published.ARCHITECTURES["DARTS_V2"]
    space = search_spaces.load("darts")
    root = ElementTree.fromstring(drawing.cells(space, architecture.encoding))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    for graph in space.graphs(architecture.encoding).values():
        for edge in graph.edges:
            assert edge.operation in texts
    assert texts.count("sep_conv_3x3") == 5
    assert texts.count("max_pool_3x3") == 5
    assert [texts.count(str(state)) for state in range(6)] == [2] * 6


def test_a_search_is_drawn_with_a_plot_for_every_edge():
    space, relaxation = search_spaces.load("darts_s1"), Relaxation()
    groups = relaxation.groups(space)
    mixture = relaxation.mixture(relaxation.alphas(groups, torch.Generator()), groups)
    weights = {name: options.tolist() for name, options in mixture.options.items()}
    row = SimpleNamespace(epoch=1, weights=weights, skips=2, encoding=[0] * 32)
    root = ElementTree.fromstring(drawing.search(space, groups, [vars(row)] * 3, "darts & co"))
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(lines) == 1 + 28 * 2
