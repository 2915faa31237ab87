"""CIFAR-10 from JPEG files: what comes out, under which name, and what is wrong with an archive; crops in training."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

import minilwa
from minilwa import data_jpeg
from minilwa.data import load
from minilwa.errors import InputError
from minilwa.experiments.protocols import PROTOCOLS
from minilwa.training import train

NAME = "cifar10 decoded from JPEG"


def jpeg(colour, size=(32, 32)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG", quality=95)
    return file.getvalue()


def as_if_large(picture):
    """The JPEG with 65,500 x 65,500 in its header."""
    at = picture.index(b"\xff\xc0") + 5
    return picture[:at] + 2 * (65_500).to_bytes(2, "big") + picture[at + 4 :]


def write_archive(folder, members):
    with tarfile.open(folder / data_jpeg.ARCHIVE, "w:xz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def members(monkeypatch):
    """Two training images and one test image of each class, each of one colour: red, green, blue by class and part."""
    monkeypatch.setattr(data_jpeg, "COUNTS", {"train": 20, "test": 10})
    found = {}
    for label, name in enumerate(data_jpeg.CLASSES):
        for i, part in enumerate(("train", "train", "test")):
            found[f"{part}/{name}/{i}.jpg"] = jpeg((20 * label, 100 * i, 30))
    return found


def test_every_image_comes_out_under_its_class(members, tmp_path):
    write_archive(tmp_path, members)
    data = load("cifar10", tmp_path)
    assert data.name == NAME
    assert (data.x_train.shape, data.x_test.shape, data.classes) == ((20, 3, 32, 32), (10, 3, 32, 32), 10)
    for x, y, green in ((data.x_train, data.y_train, {0, 100}), (data.x_test, data.y_test, {200})):
        assert np.bincount(y).tolist() == [len(y) // 10] * 10
        colour = x.mean(axis=(2, 3)) * 256
        np.testing.assert_allclose(colour[:, 0], 20 * y, atol=4)
        np.testing.assert_allclose(colour[:, 2], 30, atol=4)
        assert {round(float(g) / 100) * 100 for g in colour[:, 1]} == green
    assert not np.array_equal(data.y_train, np.sort(data.y_train))
    assert np.array_equal(load("cifar10", tmp_path).x_train, data.x_train)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train/cat/0.jpg": b"no picture"}, "cannot identify"),
        ({"train/cat/0.jpg": jpeg((0, 0, 0), (33, 32))}, "33, 32"),
        ({"train/cow/0.jpg": jpeg((0, 0, 0))}, "not in tuple"),
        ({"train/cat/0.jpg": as_if_large(jpeg((0, 0, 0)))}, "decompression bomb"),
        ({"test/cat/2.jpg": None}, "without all images of test"),
    ],
)
def test_damaged_archives_are_told(changes, message, members, tmp_path):
    found = {**changes, **{name: content for name, content in members.items() if name not in changes}}
    write_archive(tmp_path, {name: content for name, content in found.items() if content is not None})
    with pytest.raises(InputError, match=message):
        load("cifar10", tmp_path)


def test_no_archive_at_all(tmp_path):
    (tmp_path / data_jpeg.ARCHIVE).write_bytes(b"xz it is not")
    with pytest.raises(InputError, match="expected a complete archive"):
        load("cifar10", tmp_path)


def test_training_on_crops_resumes_to_the_same_bits(tmp_path):
    rng = np.random.default_rng(1)
    x, y = rng.random((20, 3, 12, 12), dtype=np.float32), np.arange(20) % 10
    plan = PROTOCOLS["paper"].plan("mlp", "Normal", seed=0, crop=9, epochs=3, batch=10, widths=(8, 8))
    start = plan.build(minilwa.Dataset("own", x, y, x, y))
    assert start.input_shape == (3, 9, 9)
    whole = train(start, x, y, plan.method, plan.recipe)
    path, stopped = tmp_path / "net.npz", []

    def stop(images):
        stopped.append(images)
        if len(stopped) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(start, x, y, plan.method, plan.recipe, path, stop)
    resumed = train(start, x, y, plan.method, plan.recipe, path)
    for a, b in zip(whole.parameters, resumed.parameters, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in (a if isinstance(a, dict) else ()))
