import json

import numpy as np
import pytest
import torch

import search_spaces
from evo import latency
from evo.objectives import Costs, parse_limits, parse_objectives

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def space():
    return search_spaces.load("digits")


@pytest.fixture(scope="module")
def path(tmp_path_factory, space):
    path = tmp_path_factory.mktemp("latency") / "latency.json"
    latency.load_or_measure(path, space, CPU)
    return path


def test_latency_is_the_sum_over_decisions(space, path, rng):
    table, content = latency.load_or_measure(path, space, CPU), json.loads(path.read_text())
    encodings = space.sample(rng, 20)
    expected = [content["fixed"] + sum(content["table"][layer][k] for layer, k in enumerate(e)) for e in encodings]
    assert table.cost(encodings) == pytest.approx(expected)
    low, high = table.bounds()
    assert 0 < low <= table.cost(encodings).min() <= table.cost(encodings).max() <= high
    assert 0 <= content["error"] < 10


@pytest.mark.parametrize("name", ["nas_bench_201", "darts"])
def test_latency_of_cells_is_the_sum_over_their_edges(name, rng, monkeypatch):
    monkeypatch.setattr(latency, "milliseconds", lambda module, x: 1.0)
    space = search_spaces.load(name, image_size=16, channels=4, cells=3)
    table, encodings = latency.LatencyTable(space, **part(latency.measure(space, CPU))), space.sample(rng, 50)
    for encoding, cost in zip(encodings, table.cost(encodings), strict=True):
        modules = [m for cell in space.build(encoding).cells for m in cell.operations]
        assert cost == pytest.approx(table.fixed + len(modules))
    low, high = table.bounds()
    assert low <= table.cost(encodings).min() <= table.cost(encodings).max() <= high


def part(content):
    return {name: content[name] for name in ("fixed", "table", "error")}


def test_a_table_is_measured_once_and_kept(space, path, monkeypatch):
    monkeypatch.setattr(latency, "measure", None)  # would fail if called
    assert latency.load_or_measure(path, space, CPU).error == json.loads(path.read_text())["error"]


def test_a_table_of_another_space_is_refused(path):
    with pytest.raises(ValueError, match="measured on another space"):
        latency.load_or_measure(path, search_spaces.load("nas_bench_macro"), CPU)


@pytest.mark.parametrize(
    ("name", "value"),
    [("table", 5), ("table", [5.0]), ("table", [["fast"]]), ("fixed", None), ("fixed", -1.0), ("error", np.nan)],
)
def test_what_holds_no_times_is_no_latency_table(space, path, tmp_path, name, value):
    content = {**json.loads(path.read_text()), "checksum": None, name: value}
    (tmp_path / "own.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"own\.json (is no latency table|has times that are).*without this one"):
        latency.load_or_measure(tmp_path / "own.json", space, CPU)


def test_latency_is_an_objective_and_a_limit_like_other_costs(space, path, rng):
    table = latency.load_or_measure(path, space, CPU)
    costs, chosen = Costs(space, table), parse_objectives(["accuracy", "latency"])
    encodings = space.sample(rng, 10)
    assert (costs.cheap(chosen)[1](encodings) == table.cost(encodings)).all()
    middle = float(np.median(table.cost(encodings)))
    missed = costs.violation(encodings, parse_limits(max_latency=str(middle)))
    assert ((missed > 0) == (table.cost(encodings) > middle)).all()
    with pytest.raises(ValueError, match=r"--max-latency .* the cheapest has .* ms"):
        costs.check(parse_limits(max_latency=str(table.bounds()[0] / 2)))
