import json

import numpy as np
import pytest

import search_spaces
from supernet.oracle import TableOracle

MACRO = {
    "00000000": {"mean_acc": 50.0, "flops": 100, "params": 10},
    "21000001": {"mean_acc": 90.5, "flops": 300, "params": 20},
}
NAS_BENCH_201 = """index,arch,code,valid_acc_1seed,test_acc_mean,params_m,madds_m
0,|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|,421211,81.9,85.5,0.129306,15.64737
"""


@pytest.fixture
def macro(tmp_path):
    path = tmp_path / "macro.json"
    path.write_text(json.dumps(MACRO))
    return path


@pytest.fixture
def two(tmp_path):
    path = tmp_path / "201.csv"
    path.write_text(NAS_BENCH_201)
    return path


def test_nas_bench_macro_is_read(macro):
    oracle = TableOracle(macro)
    encodings = np.array([[2, 1, 0, 0, 0, 0, 0, 1], [0] * 8])
    assert oracle.accuracy(encodings).tolist() == [0.905, 0.5]
    assert oracle.cost(encodings).tolist() == [[300, 20], [100, 10]]


def test_nas_bench_201_is_read_edge_by_edge(two):
    """Options in the order none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3."""
    oracle = TableOracle(str(two))
    assert oracle.table.encodings.tolist() == [[4, 2, 1, 2, 0, 3]]
    assert oracle.accuracy([[4, 2, 1, 2, 0, 3]]).tolist() == [0.855]
    assert oracle.table.cost.tolist() == [[15_647_370, 129_306]]


def test_the_three_edges_of_deeper_insights_are_read_with_the_costs_of_the_space(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("index,label,gt_mean,gt_std,gt_rank\n0,111,0.70139,0.004,64\n6,123,0.81,0.003,9\n")
    oracle = TableOracle(path)
    assert oracle.accuracy([[0, 1, 2], [0, 0, 0]]).tolist() == [0.81, 0.70139]
    assert (oracle.cost([[0, 1, 2]]) == search_spaces.load("three_edge").cost([[0, 1, 2]])).all()


def test_a_missing_architecture_is_named(macro):
    with pytest.raises(ValueError, match=r"no architecture \[1, 1, 1, 1, 1, 1, 1, 1\]"):
        TableOracle(macro).accuracy(np.array([[0] * 8, [1] * 8]))


@pytest.mark.parametrize("name", ["nowhere.json", "nowhere.csv", "table.pth"])
def test_a_missing_file_says_where_it_comes_from(tmp_path, name):
    with pytest.raises(ValueError, match=r"github.com/xiusu/NAS-Bench-Macro.*github.com/D-X-Y/NAS-Bench-201"):
        TableOracle(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text"), [("a.json", "[]"), ("a.json", "{}"), ("a.json", "no"), ("a.csv", "x,y\n1,2\n")]
)
def test_what_is_no_table_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        TableOracle(tmp_path / name)
