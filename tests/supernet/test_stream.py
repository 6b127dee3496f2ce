import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as TF

from evo import search
from evo.proposals.relax import halves
from results import train
from supernet import sources, stream
from supernet.data import DataConfig, load
from supernet.stream import Stream


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder as ImageNet's: train/ and val/, two classes of JPEGs of real sizes, one of them grey."""
    root, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for part, n in (("train", 12), ("val", 4)):
        for label, name in enumerate(("n01440764", "n01443537")):
            (root / part / name).mkdir(parents=True)
            for i in range(n):
                width, height = [(500, 375), (333, 500), (500, 334)][i % 3]
                colours = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8) // 2 + 96 * label
                picture = Image.fromarray(colours).resize((width, height))
                picture = picture.convert("L") if i == 0 else picture
                picture.save(root / part / name / f"{name}_{i}.JPEG", quality=85)
    return root


def config(root, **more) -> DataConfig:
    return DataConfig(data="folder", data_root=str(root), **{"stream": True, "image_size": 64, "workers": 0} | more)


def batches(data, size=4, seed=0):
    return list(data.batches(size, np.random.default_rng(seed)))


def test_an_epoch_has_every_training_image_once_and_no_score_image(photographs):
    data = load(config(photographs))
    assert (len(data.train.labels), len(data.score.labels), len(data.test.labels)) == (22, 2, 8)
    assert data.score.images.shape[1:] == data.test.images.shape[1:] == (3, 64, 64)
    found = batches(data, 1)
    assert sum(int(labels.sum()) for _, labels in found) == int(data.train.labels.sum())
    assert len(found) == data.steps(1) == 22
    assert {images.shape[1:] for images, _ in found} == {(3, 64, 64)}


def test_photographs_become_224_pixels_decoded_in_workers(photographs):
    data = load(config(photographs, image_size=None, workers=1))
    assert {images.shape for images, _ in batches(data)} == {(4, 3, 224, 224)}
    path, label = data.test.samples[0]
    images, labels = next(data.test.chunks(4))
    assert torch.equal(images[0], TF.pil_to_tensor(stream.centre(Image.open(path).convert("RGB"), 224)))
    assert labels[0] == label
    assert data.score.images.shape == (2, 3, 224, 224)


def test_crops_are_a_function_of_the_seed_whatever_the_number_of_workers(photographs):
    alone, shared = (batches(load(config(photographs, workers=workers))) for workers in (0, 2))
    for (images, labels), (others, other_labels) in zip(alone, shared, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    assert not torch.equal(alone[0][0], batches(load(config(photographs)), seed=1)[0][0])


def test_torchruns_processes_share_the_cores_that_decode(photographs, monkeypatch):
    monkeypatch.setattr(sources, "_cores", lambda: 64)
    assert load(config(photographs, workers=None)).train.workers == 64
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert load(config(photographs, workers=None)).train.workers == 8


def test_decoding_draws_nothing_from_the_global_generator(photographs):
    before = torch.get_rng_state()
    batches(load(config(photographs)))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_takes_the_middle_224_of_256():
    image = Image.new("RGB", (512, 320), "black")
    image.paste("white", (240, 0, 272, 320))  # a tenth of the height wide, in the middle
    found = np.asarray(stream.centre(image, 224))
    assert found.shape == (224, 224, 3)
    bright = (found[..., 0] > 127).sum(1)
    assert bright == pytest.approx(np.full(224, 256 / 10), abs=1)  # the shorter side became 256
    assert abs(np.flatnonzero(found[0, :, 0] > 127).mean() - 111.5) <= 1


def test_random_crops_cover_the_whole_image_and_both_ways(photographs):
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 400).astype(np.uint8)[None, :, None], (300, 1, 3)))
    found = [np.asarray(stream.random_crop(ramp, 32, seed)).astype(float) for seed in range(60)]
    slopes = [crop[:, -1].mean() - crop[:, 0].mean() for crop in found]
    assert 15 < sum(slope > 0 for slope in slopes) < 45
    assert min(crop.min() for crop in found) < 15
    assert max(crop.max() for crop in found) > 240
    assert np.ptp(np.abs(slopes)) > 60  # of many sizes


def test_the_fingerprint_knows_a_changed_folder(photographs):
    data = load(config(photographs))
    first = data.fingerprint()
    assert load(config(photographs)).fingerprint() == first
    other = data._replace(train=Stream(data.train.samples[:-1] + data.train.samples[:1], 64, 0))
    assert other.fingerprint() != first


def test_a_broken_image_is_named_when_it_is_reached(photographs, tmp_path):
    broken = tmp_path / "broken.JPEG"
    broken.write_bytes((photographs / "val" / "n01440764" / "n01440764_1.JPEG").read_bytes()[:700])
    for workers in (0, 1):
        files = Stream([(str(broken), 0)], 64, workers)
        with pytest.raises(ValueError, match=r"broken\.JPEG is no readable image .* --skip-corrupt"):
            files[:1]


@pytest.fixture
def with_broken(photographs, tmp_path):
    """The same folder, the first image of every class and part cut short."""
    root = shutil.copytree(photographs, tmp_path / "broken")
    for path in root.rglob("*_0.JPEG"):
        path.write_bytes(path.read_bytes()[:700])
    return root


def test_skipped_images_are_counted_and_no_batch_changes_its_shape(with_broken, capsys):
    with pytest.raises(ValueError, match="is no readable image"):
        batches(load(config(with_broken, score_images=4)))
    data = load(config(with_broken, score_images=4, skip_corrupt=True))
    first, again = (batches(data) for _ in range(2))
    for (images, labels), (others, other_labels) in zip(first, again, strict=True):
        assert images.shape == (4, 3, 64, 64)
        assert labels.shape == (4,)
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)
    lost = {path for path, _ in data.train.samples if path.endswith("_0.JPEG")}
    assert data.train.skipped == lost
    assert f"skipped {len(lost)} unreadable images so far" in capsys.readouterr().out
    assert len(data.score.labels) == 4 - (2 - len(lost))
    assert len(data.score.images) == len(data.score.labels)
    assert [len(labels) for _, labels in data.test.chunks(4)] == [3, 3]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_class_of_which_nothing_can_be_read_ends_it(photographs, tmp_path, streamed):
    root = shutil.copytree(photographs, tmp_path / "broken")
    for path in (root / "val" / "n01440764").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"n01440764.* cannot be read, nor any other image of its class"):
        list(load(config(root, stream=streamed, score_images=4, skip_corrupt=True)).test.chunks(8))


def test_halves_of_a_stream_share_nothing(photographs):
    data = load(config(photographs))
    parts = [set(part.train.samples) for part in halves(data)]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == set(data.train.samples)


def test_search_and_stand_alone_training_on_a_stream(script, photographs, tmp_path):
    flags = ("--space", "mobilenet_v2", "--data", "folder", "--data-root", photographs, "--stream", "--workers", "0")
    few = ("--image-size", "32", "--epochs", "1", "--batch-size", "8")
    quick = (*few, "--evaluations", "4", "--population", "4", "--recalibrate", "8")
    outcome = script(search, "--run", tmp_path / "run", *flags, *quick)
    assert outcome.code == 0, outcome.err
    assert "22 images train, 2 score" in outcome.out
    outcome = script(train, tmp_path / "run", "--epochs", "1", "--batch-size", "8", "--recipe", "imagenet_modern")
    assert outcome.code == 0, outcome.err
    assert "on 8 images that no search has seen" in outcome.out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--stream"], "--stream is for --data folder, not for digits"),
        (["--data", "folder", "--data-root", "x", "--workers", "-1"], "--workers must not be negative"),
    ],
)
def test_wrong_flags(script, flags, message):
    outcome = script(search, *flags)
    assert outcome.code == 2
    assert message in outcome.err


def test_sixteen_bits_are_scaled_and_thirty_two_refused():
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    eight = np.asarray(stream.rgb(Image.fromarray(values)))
    assert np.array_equal(eight, np.repeat((values // 256).astype(np.uint8)[:, :, None], 3, axis=2))
    with pytest.raises(ValueError, match="32 bits"):
        stream.rgb(Image.fromarray(values.astype(np.float32)))
