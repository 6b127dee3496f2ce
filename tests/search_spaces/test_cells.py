"""Cells: genotypes, encodings, and the networks they mean."""

import csv
import itertools
import json
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from search_spaces import darts, genotype, published
from search_spaces.cell_ops import OPERATIONS, FactorizedReduce, Noise

SHARED = Path(__file__).parents[3] / "shared"
COSTS = SHARED / "facts" / "darts_published_costs.json"
TABLE = SHARED / "data" / "nasbench201_cifar10.csv"
SETTINGS = {"cifar10_C36_L20": (36, 20, 32, 10), "imagenet_C48_L14": (48, 14, 224, 1000)}
V2 = published.ARCHITECTURES["DARTS_V2"]
SKIPS = [["skip_connect", 0], ["skip_connect", 1]] * 4
PLAIN = {"normal": SKIPS, "normal_concat": [2, 3, 4, 5], "reduce": SKIPS, "reduce_concat": [2, 3, 4, 5]}


def tiny(name: str = "darts"):
    return search_spaces.load(name, image_size=8, num_classes=5, channels=4, cells=3)


@pytest.mark.skipif(not COSTS.exists(), reason=f"the published costs are not there: {COSTS}")
def test_every_published_genotype_costs_what_its_authors_code_costs():
    content = {name: entry for name, entry in json.loads(COSTS.read_text()).items() if name != "_about"}
    assert set(content) < set(published.ARCHITECTURES)
    for name, entry in content.items():
        for setting, expected in entry["costs"].items():
            madds, params = darts.cost(entry["genotype"], *SETTINGS[setting])
            assert (madds, params) == (expected["multiply_adds"], expected["params_without_aux"]), name
            with_head = darts.cost(entry["genotype"], *SETTINGS[setting], auxiliary=True)
            assert with_head == (expected["multiply_adds"], expected["params_with_aux"]), name


def test_darts_v2_on_imagenet_and_with_an_auxiliary_head():
    assert darts.cost(V2.genotype, *SETTINGS["imagenet_C48_L14"]) == (529_911_552, 4_718_752)
    assert darts.cost(V2.genotype, *SETTINGS["cifar10_C36_L20"], auxiliary=True) == (528_359_040, 3_825_768)


@pytest.mark.parametrize("name", ["DARTS_V2", "FairDARTS_g", "AmoebaNet"])
def test_built_networks_have_the_params_that_the_table_says(name):
    cells, space = published.ARCHITECTURES[name].genotype, search_spaces.load("darts", channels=8, cells=5)
    for auxiliary in (False, True):
        with torch.device("meta"):
            net = space.build(cells, auxiliary=auxiliary)
        params = sum(p.numel() for p in net.parameters())
        assert params == darts.cost(cells, 8, 5, 32, 10, auxiliary)[1]


@pytest.mark.skipif(not TABLE.exists(), reason=f"the published table is not there: {TABLE}")
def test_nas_bench_201_costs_are_the_published_ones_but_for_the_biases_of_the_last_layer():
    space = search_spaces.load("nas_bench_201")
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    encodings = [space.parse(row["arch"]) for row in rows]
    assert ["".join(map(str, encoding)) for encoding in encodings] == [row["code"] for row in rows]
    published = [[round(float(row["madds_m"]) * 1e6) - 10, round(float(row["params_m"]) * 1e6)] for row in rows]
    assert (space.cost(encodings) == published).all()


def test_encodings_and_genotypes_are_inverse(rng):
    space = tiny()
    for encoding in space.sample(rng, 20):
        assert space.encode(space.genotype(encoding)) == tuple(encoding)
        assert tuple(space.cost([encoding])[0]) == space.cost_of(space.genotype(encoding))


def test_published_cells_keep_their_edges_as_encodings():
    space = tiny()
    for name, architecture in published.ARCHITECTURES.items():
        if architecture.genotype and architecture.encoding:
            graphs, read = space.graphs(architecture.encoding), genotype.read(architecture.genotype)
            for kind in genotype.KINDS:
                assert sorted(graphs[kind].edges) == sorted(read[kind].edges), name
                assert graphs[kind].concat == read[kind].concat


def test_genotypes_may_be_named_tuples_as_the_authors_code_writes_them():
    parts = {**PLAIN, "normal": [tuple(edge) for edge in SKIPS], "normal_concat": range(2, 6)}
    space, written = tiny(), namedtuple("Genotype", parts)(**parts)
    assert space.cost_of(written) == space.cost_of(PLAIN) == darts.cost(written, 4, 3, 8, 5)
    assert space.encode(written) == space.encode(PLAIN)
    assert space.build(written)(torch.randn(2, 3, 8, 8)).shape == (2, 5)


def test_fairdarts_drops_dead_nodes_and_the_edges_that_leave_them():
    cells = genotype.read(published.ARCHITECTURES["FairDARTS_c"].genotype)["normal"]
    assert cells.concat == (2, 4, 5)
    assert ("skip_connect", 5, 3) not in cells.edges
    assert len(cells.edges) == 5


def brute_force_canonical(space, encoding):
    """Through the edges as a set: what can be reached from the inputs."""
    slots = np.array(encoding).reshape(2, 4, 2, 2)
    result = []
    for cell in slots:
        alive, found = {0, 1}, []
        for j, node in enumerate(cell):
            edges = sorted((int(s), int(o)) for s, o in node if o and s in alive)
            if edges:
                alive.add(j + 2)
            found.append(edges)
        if not any(found):
            found[0] = [(1, 3)]  # a skip from the last input
        result += [slot for edges in found for slot in [*edges, (0, 0), (0, 0)][:2]]
    return [number for slot in result for number in slot]


def test_canonical_encodings_are_what_brute_force_says(rng):
    space = tiny()
    raw = rng.integers(space.choices, size=(300, len(space.choices)))
    raw[:, 1::2] *= rng.random((300, 16)) < rng.random((300, 1))  # many without edges
    raw[0] = 0
    expected = [brute_force_canonical(space, encoding) for encoding in raw]
    assert (space.canonical(raw) == expected).all()


def test_equal_networks_have_equal_encodings_and_give_equal_logits(rng):
    space = tiny()
    encoding = V2.encoding
    swapped = np.array(encoding).reshape(-1, 2, 2)[:, ::-1].reshape(1, -1)
    assert (space.canonical(swapped)[0] == encoding).all()
    a, b = space.build(encoding).eval(), space.build(swapped[0]).eval()
    b.load_state_dict(a.state_dict())
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(a(images), b(images))


def test_a_node_is_the_sum_of_its_edges_and_a_cell_concatenates_its_nodes():
    space = tiny()
    net = space.build(PLAIN).eval()
    cell = next(cell for cell, place in zip(net.cells, space.skeleton.places, strict=True) if place.kind == "normal")
    states = net.entry(net.stem(torch.randn(2, 3, 8, 8)))
    s0, s1 = (layer(x) for layer, x in zip(cell.preprocess, states, strict=True))
    out = cell(*states)
    assert torch.equal(out, torch.cat([s0 + s1] * 4, dim=1))


@pytest.mark.parametrize(("name", "stride"), list(itertools.product(OPERATIONS, (1, 2))))
def test_every_operation_keeps_its_channels_and_divides_by_its_stride(name, stride):
    x = torch.randn(2, 6, 8, 8)
    kept = x.clone()
    assert OPERATIONS[name](6, stride)(x).shape == (2, 6, 8 // stride, 8 // stride)
    assert torch.equal(x, kept)  # other edges read it too


def test_factorized_reduce_reads_every_second_pixel_and_the_ones_between():
    reduce = FactorizedReduce(2, 4).eval()
    x = torch.zeros(1, 2, 4, 4)
    x[:, :, 1::2, ::2] = x[:, :, ::2, 1::2] = 5.0  # neither convolution looks there
    assert torch.equal(reduce(x), reduce(torch.zeros_like(x)))


def test_noise_ignores_its_input_and_repeats_in_eval_mode():
    noise, x = Noise(4, 2), torch.randn(3, 4, 8, 8)
    assert not torch.equal(noise(x), noise(x))
    noise.eval()
    assert torch.equal(noise(x), noise(x + 1))
    assert noise(x).std() == pytest.approx(1, abs=0.2)


def test_drop_path_drops_whole_outputs_of_images_but_never_of_the_identity():
    space = tiny()
    pools = {**PLAIN, "normal": [["max_pool_3x3", 0], ["skip_connect", 1]] * 4}
    net = space.build(pools, drop_path=0.5).train()
    cell = next(cell for cell, place in zip(net.cells, space.skeleton.places, strict=True) if place.kind == "normal")
    cell.preprocess = nn.ModuleList([nn.Identity(), nn.Identity()])
    x, zero = torch.ones(64, 4, 8, 8), torch.zeros(64, 4, 8, 8)
    kept = cell(x, zero)[:, :4].mean((1, 2, 3))
    assert set(kept.tolist()) == {0.0, 2.0}  # dropped, or scaled by what is kept
    assert torch.equal(cell(zero, x)[:, :4], x)


def test_an_auxiliary_head_speaks_in_training_alone():
    net = search_spaces.load("darts", num_classes=5, channels=4, cells=3).build(PLAIN, auxiliary=True)
    images = torch.randn(2, 3, 32, 32)
    logits, second = net.train()(images)
    assert logits.shape == second.shape == (2, 5)
    assert net.eval()(images).shape == (2, 5)
    with pytest.raises(ValueError, match="images of 32 pixels"):
        tiny().build(PLAIN, auxiliary=True)


def changed(**parts) -> dict:
    return {**PLAIN, **parts}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (changed(normal=[["conv_9x9", 0], *SKIPS[1:]]), "unknown operation 'conv_9x9'"),
        (changed(normal=[["skip_connect", 2], *SKIPS[1:]]), "earlier state"),
        (changed(reduce=[["skip_connect", 2, 4]]), "reduce cell.*earlier state"),
        (changed(normal=[["skip_connect", -1], *SKIPS[1:]]), "earlier state"),
        (changed(normal=[["skip_connect", 1, 0]]), "first node is 2"),
        (changed(normal=SKIPS[:-1]), "not two to a node"),
        (changed(normal=[["skip_connect", 0], ["skip_connect", 2, 1]]), "all"),
        (changed(normal=[]), "must be one"),
        (changed(normal=[["none", 0], ["none", 1], *SKIPS[2:]]), "node 2 is dead"),
        (changed(normal=[["skip_connect", 2, 0], ["skip_connect", 4, 3]]), "node 4 is dead"),
        (changed(normal_concat=[2, 3, 4]), "node 5 is dead"),
        (changed(normal_concat=[]), "concatenation"),
        (changed(normal_concat=[2, 2]), "concatenation"),
        (changed(normal_concat=[1, 2]), "concatenation"),
        (changed(normal_concat=[2, 3, 4, 5, 6]), "concatenation"),
        (changed(normal=[["skip_connect", "x"]]), "a genotype needs"),
        ({"normal": SKIPS}, "a genotype needs"),
    ],
)
def test_genotypes_that_are_no_cells_are_refused(cells, message):
    with pytest.raises(ValueError, match=message):
        darts.cost(cells, 16, 8, 32, 10)
    with pytest.raises(ValueError, match=message):
        tiny().build(cells)


def test_what_a_space_does_not_hold_cannot_be_encoded():
    with pytest.raises(ValueError, match="no 'sep_conv_7x7'"):
        tiny().encode(changed(normal=[["sep_conv_7x7", 0], *SKIPS[1:]]))
    with pytest.raises(ValueError, match="more than 2 edges"):
        tiny().encode(changed(normal=[["skip_connect", to, s] for to in (2, 3, 4, 5) for s in range(to)]))
    chained = [["skip_connect", to, to - 1] for to in (2, 3, 4, 5)]
    with pytest.raises(ValueError, match="concatenates all"):
        tiny().encode(changed(normal=chained, normal_concat=[5]))
    with pytest.raises(ValueError, match="no genotypes"):
        tiny("nas_bench_201").build(PLAIN)


@pytest.mark.parametrize(
    "damage",
    [
        lambda words: words.replace("skip_connect~0", "skip_connect~-1", 1),
        lambda words: words.replace("skip_connect~0", "skip_connect~x", 1),
        lambda words: words.replace("skip_connect~0", "skip_connect", 1),
        lambda words: words.replace("skip_connect~0|", "skip_connect~0", 1),
        lambda words: words.replace("normal", "cell"),
        lambda words: " ".join(words.split()[i] for i in (2, 3, 0, 1)),
    ],
)
def test_words_of_which_a_part_is_no_edge_are_refused_and_not_read_in_part(damage):
    words = tiny().describe(tiny().encode(PLAIN))
    assert damage(words) != words
    with pytest.raises(ValueError, match=r"2 kinds of cells \(normal, reduce\) of 4 nodes, written in this order as"):
        tiny().parse(damage(words))


def test_s1_has_two_options_an_edge_and_s4_noise_everywhere():
    edges = search_spaces.load("darts_s1").decisions.edges
    assert len(edges) == 28
    assert all(len(set(edge.options)) == 3 for edge in edges)
    assert all(
        edge.options == ("none", "noise", "sep_conv_3x3") for edge in search_spaces.load("darts_s4").decisions.edges
    )


def test_deeper_insights_space_has_64_networks():
    assert search_spaces.load("three_edge").size == 64


def test_deeper_insights_networks_are_those_of_the_authors_code():
    space = search_spaces.load("three_edge")
    stem, head = 3 * 48 * 9 + 48 * 48 * 9 + 4 * 48, 32 * 10 + 10
    weights = [0, 2 * (9 * 16 + 256), 2 * (25 * 16 + 256), 25 * 16 + 256]  # pool, separable 3x3 and 5x5, dilated
    for encoding in itertools.product(range(4), repeat=3):
        cells = (48 + 3 * 32) * 16 + 4 * sum(weights[option] for option in encoding)
        assert space.cost([encoding])[0, 1] == stem + cells + head
    net = space.build([0, 1, 3])
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    in_a_cell = 1 + 1 + 2 + 1  # before the edges, after the pool, in the separable and in the dilated convolution
    assert [norm.affine for norm in norms] == [True] * 2 + [False] * 4 * in_a_cell
    assert {norm.momentum for norm in norms} == {0.4}


@pytest.mark.parametrize("name", ["darts", "darts_s1", "nas_bench_201", "three_edge"])
def test_slots_say_where_an_encoding_holds_its_edges(name, rng):
    space = search_spaces.load(name)
    decisions, encodings = space.decisions, space.sample(rng, 20)
    edges, options = decisions.picked(encodings)
    for s, slot in enumerate(decisions.layout()):
        which = 0 * encodings[:, 0] if slot.which is None else encodings[:, slot.which]
        assert [slot.edges[k] for k in which] == [decisions.edges[e] for e in edges[:, s]]
        assert (encodings[:, slot.option] == options[:, s]).all()
