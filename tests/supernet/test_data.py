import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from supernet.data import Data, DataConfig, load
from supernet.sources import _decode

REAL = Path(__file__).parents[3] / "shared" / "data" / "cifar10.tar.xz"


def folder(root, **options) -> Data:
    return load(DataConfig(data="folder", data_root=str(root), **options))


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_the_parts_of_the_digits_share_no_image_and_hold_every_class(digits):
    parts = (digits.train, digits.score, digits.test)
    assert sum(len(part.labels) for part in parts) == 1797
    train, score, test = (rows(part.images) for part in parts)
    assert train.isdisjoint(score | test)
    assert score.isdisjoint(test)
    assert all(set(part.labels.tolist()) == set(range(10)) for part in parts)


def test_larger_digits_are_the_same_pixels(digits):
    larger = load(DataConfig(image_size=16))
    assert torch.equal(larger.train.images[:, :, ::2, ::2], digits.train.images)
    assert torch.equal(larger.train.images[:, :, 1::2, 1::2], digits.train.images)


def test_the_split_is_always_the_same(digits):
    again = load(DataConfig())
    assert again.fingerprint() == digits.fingerprint()
    assert torch.equal(again.test.images, digits.test.images)


def test_fingerprint_sees_one_changed_pixel(digits):
    images = digits.train.images.clone()
    images[0, 0, 0, 0] ^= 1
    changed = digits._replace(train=digits.train._replace(images=images))
    assert changed.fingerprint() != digits.fingerprint()


def test_normalised_images_have_mean_zero_and_deviation_one(digits):
    x = digits.normalise(digits.train.images)
    assert x.mean().item() == pytest.approx(0, abs=1e-3)
    assert x.std().item() == pytest.approx(1, abs=1e-3)
    assert x.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("flip", [False, True])
def test_augmented_images_are_shifted_and_flipped_copies(digits, flip):
    data = digits._replace(pad=2, flip=flip)
    images = data.train.images[:40]
    shifted = data.augment(images, torch.Generator().manual_seed(0))
    assert shifted.shape == images.shape
    padded = F.pad(images, [2] * 4)
    seen = set()
    for before, after in zip(padded, shifted, strict=True):
        crops = {(y, x): before[:, y : y + 8, x : x + 8] for y in range(5) for x in range(5)}
        found = [(k, False) for k, crop in crops.items() if torch.equal(crop, after)]
        found += [(k, True) for k, crop in crops.items() if torch.equal(crop.flip(-1), after)]
        assert found
        seen |= {found[0]} if len(found) == 1 else set()
    assert len({k for k, _ in seen}) > 10
    assert any(mirrored for _, mirrored in seen) == flip


def test_an_epoch_shows_each_image_at_most_once_in_full_batches(digits):
    marked = digits._replace(train=digits.train._replace(labels=torch.arange(len(digits.train.labels))))
    batches = [labels for _, labels in marked.batches(100, np.random.default_rng(0))]
    assert [len(batch) for batch in batches] == [100] * (len(digits.train.labels) // 100)
    assert len(torch.cat(batches).unique()) == 100 * len(batches)


def test_batches_follow_the_generator(digits):
    first, again, other = (next(digits.batches(64, np.random.default_rng(seed)))[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_folder_with_test_images_keeps_them_apart(image_folder):
    root = image_folder({"train": {"cat": 20, "dog": 20}, "test": {"cat": 3, "dog": 4}})
    data = folder(root, image_size=8)
    assert data.classes == ("cat", "dog")
    assert [len(part.labels) for part in (data.train, data.score, data.test)] == [36, 4, 7]
    assert data.train.images.shape[1:] == (3, 8, 8)


def test_folder_val_tests_unless_there_is_a_test_folder(image_folder):
    root = image_folder({"train": {"a": 10, "b": 10}, "val": {"a": 2, "b": 2}})
    assert len(folder(root).test.labels) == 4
    image_folder({"test": {"a": 3, "b": 3}}, root)
    data = folder(root)
    assert (len(data.score.labels), len(data.test.labels), len(data.train.labels)) == (4, 6, 20)


def test_folder_without_parts_splits_itself(image_folder):
    data = folder(image_folder({"a": 20, "b": 30}))
    assert [len(part.labels) for part in (data.train, data.score, data.test)] == [36, 4, 10]
    assert data.image_size == 10  # the shorter side of 12 x 10


def test_options_bound_the_parts(image_folder):
    root = image_folder({"train": {"a": 30, "b": 30}, "val": {"a": 2, "b": 2}})
    data = folder(root, score_images=20, train_images=15)
    assert (len(data.train.labels), len(data.score.labels)) == (15, 20)


def test_any_kind_of_image_becomes_rgb(image_folder):
    from PIL import Image

    root = image_folder({"a": 10, "b": 10})
    for i, mode in enumerate(("L", "RGBA", "CMYK", "P", "I;16", "1", "LA")):
        suffix = "tiff" if mode in ("CMYK", "I;16") else "png"
        Image.new(mode, (1 + i, 9)).save(root / "a" / f"odd{i}.{suffix}")
    assert folder(root, image_size=8).train.images.dtype == torch.uint8


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({}, "no images"),
        ({"only": 5}, "one class"),
        ({"train": {"a": 5, "b": 5}, "val": {"a": 5, "c": 5}}, "same classes; only one has 'b'"),
        ({"val": {"a": 5, "b": 5}, "test": {"a": 5, "b": 5}}, "has val and test, but no train"),
        ({"a": 1, "b": 9}, "too few"),
        ({"a": 0, "b": 9}, "no images"),
    ],
)
def test_folders_that_cannot_be_used_say_why(image_folder, layout, message):
    root = image_folder(layout)
    root.mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=message):
        folder(root)


def test_score_images_are_of_val_where_there_is_one(image_folder):
    root = image_folder({"train": {"a": 20, "b": 20}, "val": {"a": 6, "b": 6}, "test": {"a": 5, "b": 5}})
    whole, fewer, more = folder(root), folder(root, score_images=4), folder(root, score_images=100)
    assert [len(data.score.labels) for data in (whole, fewer, more)] == [12, 4, 12]
    assert rows(fewer.score.images) < rows(whole.score.images)
    assert rows(fewer.train.images) == rows(whole.train.images)


def test_what_computers_leave_in_a_folder_is_no_class_and_no_image(image_folder):
    root = image_folder({"a": 20, "b": 20})
    for left in (".ipynb_checkpoints", "__MACOSX"):
        (root / left).mkdir()
    (root / "a" / "._0.png").write_bytes(b"of no use")
    (root / "a" / ".DS_Store").write_bytes(b"of no use")
    data = folder(root)
    assert data.classes == ("a", "b")
    assert sum(len(part.labels) for part in (data.train, data.score, data.test)) == 40


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_corrupt_image_is_named_and_skipped_only_on_request(image_folder, content, capsys):
    root = image_folder({"train": {"a": 20, "b": 20}})
    (root / "train" / "a" / "00broken.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"00broken\.png is no readable image.*--skip-corrupt"):
        folder(root)
    assert len(folder(root, skip_corrupt=True).train.labels) == 28
    assert "skipped 1 unreadable" in capsys.readouterr().out


def test_what_cannot_be_read_moves_no_other_image_to_another_part_nor_does_streaming(image_folder):
    root = image_folder({"a": 30, "b": 30})
    whole = folder(root)
    (root / "a" / "7.png").write_bytes(b"no image")
    left, streamed = folder(root, skip_corrupt=True), folder(root, skip_corrupt=True, stream=True)
    parts = ("train", "score", "test")
    before, after = ([rows(getattr(data, part).images) for part in parts] for data in (whole, left))
    assert all(now <= then for now, then in zip(after, before, strict=True))
    assert sum(map(len, after)) == sum(map(len, before)) - 1 == 59
    for part in ("train", "test"):
        names, there = getattr(streamed, part).samples, getattr(left, part).labels
        assert len([path for path, _ in names if not path.endswith("a/7.png")]) == len(there)
    tested = [path for path, _ in streamed.test.samples if not path.endswith("a/7.png")]
    assert {_decode(path, 10).transpose(2, 0, 1).tobytes() for path in tested} == after[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "mnist"}, "unknown data set 'mnist'; known are digits, folder"),
        ({"data": "folder"}, "needs --data-root"),
        ({"data": "folder", "data_root": "/nowhere"}, "is no folder"),
        ({"image_size": 0}, "--image-size must be at least 1"),
        ({"image_size": 12}, "leave out --image-size"),
        ({"score_images": 5000}, "too few"),
    ],
)
def test_wrong_settings_say_why(options, message):
    with pytest.raises(ValueError, match=message):
        load(DataConfig(**options))


def test_images_too_many_for_memory_are_refused(image_folder):
    with pytest.raises(ValueError, match="GB are free"):
        folder(image_folder({"a": 5, "b": 5}), image_size=200_000)


@pytest.mark.skipif(not REAL.exists(), reason=f"the real images are not there: {REAL}")
def test_real_cifar10_images(tmp_path):
    wanted = {(c, f"{i:04d}.jpg") for c in ("cat", "ship") for i in range(1, 41)}
    with tarfile.open(REAL) as archive:
        for member in archive:
            part, *name = Path(member.name).parts[-3:]
            if part == "test" and tuple(name) in wanted:
                archive.extract(member, tmp_path, filter="data")
                wanted.discard(tuple(name))
            if not wanted:
                break
    (root,) = {path.parent for path in tmp_path.rglob("cat")}
    data = folder(root)
    assert (data.classes, data.image_size) == (("cat", "ship"), 32)
    assert data.std.min() > 20  # real pictures, not blanks
