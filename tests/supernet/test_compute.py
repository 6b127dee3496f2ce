from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import search_spaces
from supernet import model, train
from supernet.compute import Compute, Speed
from supernet.fit import Training
from supernet.ranks import Team
from supernet.static import StaticStep

CPU = torch.device("cpu")


def test_a_cpu_computes_in_float32_without_a_static_graph():
    net = model.build(search_spaces.load("digits"))
    with Compute().context(CPU)():
        assert not torch.is_autocast_enabled("cpu")
    assert Speed().static(net, F.cross_entropy, Compute().context(CPU), CPU) is None


def test_what_is_asked_for_is_done():
    net = model.build(search_spaces.load("digits"))
    with Compute(precision="bfloat16").context(CPU)():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    context = Compute().context(CPU)
    assert isinstance(Speed(compile="graphs").static(net, F.cross_entropy, context, CPU), StaticStep)
    assert Speed(memory="2G").budget(CPU) == 2**31


def test_a_graph_that_is_asked_for_on_a_cpu_is_used(digits):
    space = search_spaces.load("digits")
    for how, paths in (("graphs", 6), ("auto", 1)):
        config = train.Config(speed=Speed(compile=how))
        step = train.make_step(config, space, digits, train.make_net(config, space, CPU), Team())
        assert (step.size, step.static is not None) == (paths, how == "graphs")


def test_a_batch_is_no_larger_than_the_images_that_there_are(digits, capsys):
    space, few = search_spaces.load("digits"), digits._replace(train=digits.train.take(np.arange(10)))
    for size in (10, 1000):
        config = train.Config(training=Training(batch_size=size))
        train.make_step(config, space, few, train.make_net(config, space, CPU), Team())
    one, other = capsys.readouterr().err.splitlines()
    assert one == other


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--precision", "float16"), "--precision must be auto, float32, bfloat16"),
        (("--compile", "yes"), "--compile must be auto, off, graphs, full"),
        (("--memory", "lots"), "--memory takes a size such as 500M or 2G"),
        (("--paths-per-pass", "-1"), "--paths-per-pass must not be negative"),
        (("--threads", "99999"), "--threads must be from 0 to"),
        (("--device", "warp"), "--device warp cannot be used here"),
        (("--device", "meta"), "--device meta cannot be used here"),
    ],
)
def test_wrong_flags_are_named_in_one_line(script, tmp_path, flags, said):
    outcome = script(train, "--run", tmp_path / "run", *flags)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_full_gpu_ends_in_one_line_that_names_the_flags(script):
    def full(config):
        raise torch.OutOfMemoryError("CUDA out of memory")

    door = ModuleType("door", "A script.")
    door.main, door.Config = full, Speed
    outcome = script(door)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "--memory or --batch-size" in outcome.err


def test_float32_is_not_cut_to_tf32():
    Compute(device="cpu").target()
    assert not torch.backends.cudnn.allow_tf32
