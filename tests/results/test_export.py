import shutil
import sys

import numpy as np
import pytest
import torch

import results
import search_spaces
from results import export, train
from search_spaces.blocks import initialise
from supernet import checkpoint
from supernet.files import load_json

pytestmark = pytest.mark.filterwarnings(  # PyTorch 2.11 warns of itself
    "ignore:The given buffer is not writable:UserWarning", "ignore:.isinstance.treespec, LeafSpec:FutureWarning"
)


@pytest.fixture(scope="module")
def exported(finished_run, tmp_path_factory, module_script):
    """A run whose pick A was trained for an epoch and exported, and what was printed."""
    run = shutil.copytree(finished_run, tmp_path_factory.mktemp("export") / "run")
    assert module_script(train, run, "--epochs", "1", "--threads", "1").code == 0
    outcome = module_script(export, run)
    assert outcome.code == 0, outcome.err
    return run, outcome


def images(n: int) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(n))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_every_format_computes_what_the_network_does_on_any_batch(exported, n):
    run, _ = exported
    with torch.no_grad():
        wanted = results.load(run, "A")(images(n))
        program = torch.export.load(run / "exported" / "A.pt2").module()
        assert torch.allclose(program(images(n)), wanted, atol=1e-4)
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(run / "exported" / "A.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images(n).numpy()})
    assert np.abs(logits - wanted.numpy()).max() < 1e-4


# To write ONNX takes ten seconds for one of them; what differs from one to the next is only which blocks there are.
@pytest.mark.parametrize(
    ("name", "form"), [("FairNAS-A", "onnx"), ("FairNAS-B", "safetensors"), ("FairNAS-C", "safetensors")]
)
def test_the_published_networks_build_export_and_run(name, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    found = search_spaces.published.ARCHITECTURES[name]
    space = search_spaces.load(found.space, image_size=32)
    net = space.build(found.encoding)
    initialise(net, torch.Generator().manual_seed(0))
    card = {"name": name, "space": space.spec, "encoding": found.encoding}
    rows = export.export(net.eval(), (3, 32, 32), tmp_path / name, card, (form,))
    assert rows[form]["difference"] < 1e-4
    assert (tmp_path / rows[form]["file"]).exists()


def test_the_card_beside_it_says_what_it_is_and_how_to_feed_it(exported, digits):
    run, outcome = exported
    card, trained = (load_json(run / part / "A.json", set(), "") for part in ("exported", "trained"))
    assert trained.items() <= card.items()
    assert card["input"]["mean"] == digits.mean.tolist()
    for row in card["exported"].values():
        assert (run / "exported" / row["file"]).exists()
        assert row["difference"] < 1e-4
        assert row["milliseconds"] > 0
        assert row["file"] in outcome.out
    tensors, meta = checkpoint.load(run / "exported" / "A.safetensors", "exported")
    assert tensors.keys() == results.load(run, "A").state_dict().keys()
    assert meta["encoding"] == card["encoding"]


def test_a_file_that_computes_something_else_is_refused(tmp_path):
    net = search_spaces.load("digits").build([0] * 6).eval()
    with pytest.raises(ValueError, match="does not compute what the network does"):
        export._difference(net, lambda images: net(images) + 1e-2, [images(2)], tmp_path / "A.onnx")


def test_without_the_onnx_packages_it_says_which_extra_to_install(script, exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    outcome = script(export, exported[0])
    assert outcome.code == 2
    assert 'pip install -e ".[export]"' in outcome.err
    assert outcome.err.count("\n") == 1
    assert script(export, exported[0], "--formats", "safetensors").code == 0


def test_wrong_flags(script, run_copy):
    assert "no trained 'A'" in script(export, run_copy).err
    assert "--formats takes safetensors, torch, onnx; got tf" in script(export, run_copy, "--formats", "tf").err
