"""The paper's networks, their parts, and files of networks: whole, damaged, foreign and hostile."""

import gc
import json
import math
import os
import pickle
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilwa import files
from minilwa.errors import InputError
from minilwa.layers import chain, conv, dense, dropout, flatten, max_pool, relu, softmax, tanh
from minilwa.networks import cifar_net, create, join, lenet, mlp, split
from minilwa.saving import load, save
from minilwa.tree import leaves, tree_map

DTYPES = ("float32", "float64")


def small_network(dtype="float64", seed=0):
    """Every kind of layer, chains in chains among them, for images (1, 6, 6) and 3 classes."""
    stack = (
        conv(2, 3, padding=1),
        tanh(),
        max_pool(2, 1),
        chain(flatten(), chain(dense(5, scale=0.5), relu()), dropout(0.5)),
        dense(3),
        softmax(),
    )
    network = create(stack, (1, 6, 6), seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)  # biases other than zero
    return network.with_parameters(
        tree_map(lambda a: (a + rng.normal(size=a.shape) / 10).astype(dtype), network.parameters)
    )


def images(network, size=4):
    return np.random.default_rng(1).random((size, *network.input_shape)).astype(network.dtype)


def assert_same_network(a, b):
    assert [(layer.name, layer.settings) for layer in a.layers] == [(layer.name, layer.settings) for layer in b.layers]
    assert a.shapes == b.shapes
    for left, right in zip(leaves(a.parameters), leaves(b.parameters), strict=True):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert left.tobytes() == right.tobytes()


def count(network):
    return sum(a.size for a in leaves(network.parameters))


# --- architectures ---------------------------------------------------------------------------------------------------


def test_mlp_has_the_sizes_asked_for():
    network = mlp(784, 1000, 1000, 10)
    assert count(network) == 784 * 1000 + 1000 + 1000 * 1000 + 1000 + 1000 * 10 + 10
    assert [a.shape for a in leaves(network.parameters) if a.ndim == 2] == [(784, 1000), (1000, 1000), (1000, 10)]
    assert network.input_shape == (784,)
    assert network(images(network)).shape == (4, 10)
    of_images = mlp(784, 20, 10, input_shape=(1, 28, 28))
    assert of_images(images(of_images)).shape == (4, 10)
    np.testing.assert_array_equal(of_images(images(of_images)), mlp(784, 20, 10)(images(of_images).reshape(4, 784)))


def test_mlp_without_hidden_layers_is_linear():
    network = mlp(6, 3, dtype="float64")
    x = images(network)
    w, b = network.parameters[1]["w"], network.parameters[1]["b"]
    np.testing.assert_allclose(network.logits(x), x @ w + b, rtol=1e-14)


def test_lenet_is_that_of_the_papers_authors():
    network = lenet()
    sizes = [20 * 25, 20, 50 * 20 * 25, 50, 50 * 4 * 4 * 500, 500, 500 * 10, 10]
    assert count(network) == sum(sizes) == 431_080
    assert network.input_shape == (1, 28, 28)
    assert network(images(network)).shape == (4, 10)
    names = "conv tanh max_pool conv tanh max_pool flatten dense tanh dense softmax"
    assert [layer.name for layer in network.layers] == names.split()
    assert lenet((3, 32, 32), classes=7).logits(np.zeros((2, 3, 32, 32), np.float32)).shape == (2, 7)


def test_cifar_net_takes_colour_images():
    network = cifar_net()
    sizes = [64 * 3 * 25, 64, 128 * 64 * 25, 128, 128 * 7 * 7 * 512, 512, 512 * 10, 10]
    assert count(network) == sum(sizes) == 3_426_698
    assert network(images(network, size=2)).shape == (2, 10)
    assert cifar_net((3, 28, 28)).input_shape == (3, 28, 28)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("build", [lenet, cifar_net, lambda **options: mlp(49, 8, 8, 5, **options)])
def test_networks_keep_the_dtype_that_they_are_made_in(build, dtype):
    network = build(dtype=dtype)
    x = images(network, size=2)
    assert network.dtype == dtype
    assert {str(a.dtype) for a in leaves(network.parameters)} == {dtype}
    assert network(x).dtype == network.logits(x).dtype == dtype
    np.testing.assert_allclose(network(x).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "dropped"),
    [(lambda rate: mlp(9, 8, 8, 5, rate=rate), 2), (lambda rate: lenet((1, 16, 16), rate=rate), 1)],
    ids=["mlp", "lenet"],
)
def test_a_rate_adds_dropout_which_acts_in_training_only(build, dropped):
    plain, network = build(0.0), build(0.5)
    assert [layer.name for layer in network.layers].count("dropout") == dropped
    assert "dropout" not in [layer.name for layer in plain.layers]
    x = images(network)
    np.testing.assert_array_equal(network(x), plain(x))
    rng = np.random.default_rng(0)
    assert (network.apply(network.parameters, x, rng) != network(x)).any()


def test_several_rates_are_those_after_each_hidden_layer():
    names = [layer.name for layer in mlp(9, 8, 7, 6, 5, rate=(0, 0.5, 0)).layers]
    assert names == ["flatten", "dense", "relu", "dense", "relu", "dropout", "dense", "relu", "dense", "softmax"]
    network = mlp(9, 8, 7, 5, rate=0.25)
    for rate in ((0.25, 0.25), [0.25, np.float32(0.25)], np.float32(0.25)):
        settings = [layer.settings for layer in mlp(9, 8, 7, 5, rate=rate).layers]
        assert json.dumps(settings) == json.dumps([layer.settings for layer in network.layers])


@pytest.mark.parametrize("scale", [0.07, 0.5])
def test_a_scale_bounds_all_weights(scale):
    for network in (mlp(49, 40, 5, scale=scale), lenet((1, 16, 16), scale=scale)):
        weights = np.concatenate([a.ravel() for a in leaves(network.parameters)])
        assert 0.95 * scale < np.abs(weights).max() <= np.float32(scale)


@pytest.mark.parametrize(
    "build",
    [
        lambda: mlp(10),
        mlp,
        lambda: mlp(10, 0, 3),
        lambda: mlp(10, -4, 3),
        lambda: mlp(784, 5, 10, input_shape=(1, 28, 27)),
        lambda: lenet((1, 8, 8)),
        lambda: lenet((28, 28)),
        lambda: cifar_net((3, 2, 32)),
        lambda: mlp(4, 3, dtype="float16"),
        lambda: mlp(4, 3, device="abacus"),
        lambda: mlp(4, 5, 3, rate=1.0),
        lambda: mlp(4, 5, 3, rate=(0.5, 0.5)),
        lambda: mlp(4, 5, 3, rate="half"),
        lambda: mlp(4, 5, 3, rate=None),
        lambda: mlp(4, 5, 5, 3, rate=(0, 1.0)),
    ],
)
def test_networks_that_cannot_be_are_refused(build):
    with pytest.raises(InputError):
        build()


# --- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "build", [small_network, lambda dtype: mlp(9, 8, 7, 4, rate=0.5, dtype=dtype)], ids=["conv", "mlp"]
)
def test_a_network_split_anywhere_is_the_same_network(build, dtype):
    network = build(dtype)
    x = images(network)
    for at in range(1, len(network.layers)):
        representation, classifier = split(network, at)
        assert (len(representation.layers), len(classifier.layers)) == (at, len(network.layers) - at)
        assert representation(x).shape[1:] == classifier.input_shape
        np.testing.assert_array_equal(classifier(representation(x)), network(x))
        np.testing.assert_array_equal(classifier.logits(representation(x)), network.logits(x))
        assert_same_network(join(representation, classifier), network)


@pytest.mark.parametrize("at", [0, -1, 6, 100])
def test_a_split_that_leaves_one_side_empty_is_refused(at):
    with pytest.raises(InputError, match="at"):
        split(small_network(), at)


def test_logits_are_what_the_closing_softmax_takes():
    network = small_network()
    x = images(network)
    z = network.logits(x)
    np.testing.assert_array_equal(softmax().apply((), z), network(x))
    doubled = tree_map(lambda a: 2 * a, network.parameters)
    np.testing.assert_array_equal(network.logits(x, doubled), network.with_parameters(doubled).logits(x))


def test_only_a_classifier_has_logits():
    x = np.zeros((2, 6))
    for network in (split(mlp(6, 5, 3), 4)[0], create((dense(3), relu()), (6,)), create((), (6,))):
        with pytest.raises(InputError, match="softmax"):
            network.logits(x)


def test_with_parameters_leaves_the_original_alone():
    network = small_network()
    before = [a.copy() for a in leaves(network.parameters)]
    other = network.with_parameters(tree_map(lambda a: a * 0, network.parameters))
    np.testing.assert_allclose(other(images(network)), 1 / 3, rtol=1e-12)
    for a, b in zip(leaves(network.parameters), before, strict=True):
        np.testing.assert_array_equal(a, b)


# --- files: whole ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "build",
    [small_network, lambda dtype: mlp(9, 8, 4, rate=0.2, scale=0.3, dtype=dtype), lambda dtype: lenet((1, 16, 16))],
    ids=["nested", "mlp", "lenet"],
)
def test_a_network_comes_back_from_its_file_bit_for_bit(build, dtype, tmp_path):
    network = build(dtype)
    save(tmp_path / "network.npz", network)
    again = load(tmp_path / "network.npz")
    assert_same_network(again, network)
    np.testing.assert_array_equal(again(images(network)), network(images(network)))
    save(str(tmp_path / "again.npz"), again)
    assert_same_network(load(str(tmp_path / "again.npz")), network)


@pytest.mark.parametrize("at", range(1, 6))
def test_both_parts_of_a_network_come_back_from_their_files(at, tmp_path):
    for part in split(small_network(), at):  # at 5 the classifier is the softmax, which has no parameters
        save(tmp_path / "part.npz", part)
        assert_same_network(load(tmp_path / "part.npz"), part)


def test_another_process_needs_nothing_but_the_file(tmp_path):
    network = small_network()
    save(tmp_path / "network.npz", network)
    np.save(tmp_path / "x.npy", images(network))
    program = (
        "import numpy as np; from minilwa.saving import load;np.save('y.npy', load('network.npz')(np.load('x.npy')))"
    )
    root = str(Path(files.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, env=environment)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), network(images(network)))


def test_a_saved_network_holds_no_pickle_and_an_open_header(tmp_path):
    save(tmp_path / "network.npz", small_network())
    with np.load(tmp_path / "network.npz", allow_pickle=False) as archive:
        assert {archive[name].dtype.kind for name in archive.files} == {"f", "U"}
        header = json.loads(str(archive["header"]))
    assert header["input_shape"] == [1, 6, 6]
    assert [name for name, _ in header["layers"]] == ["conv", "tanh", "max_pool", "chain", "dense", "softmax"]


def test_saving_takes_the_name_as_given_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "new" / "folder" / "network"
    save(path, small_network(seed=1))
    save(path, small_network(seed=2))
    assert [file.name for file in path.parent.iterdir()] == ["network"]
    assert_same_network(load(path), small_network(seed=2))
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device"), MemoryError])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(error, tmp_path, monkeypatch):
    path = tmp_path / "network.npz"
    save(path, small_network(seed=1))
    before = path.read_bytes()

    def interrupted(file, **arrays):
        file.write(before[:100])
        file.flush()
        raise error

    monkeypatch.setattr(files.np, "savez", interrupted)
    with pytest.raises((KeyboardInterrupt, OSError, MemoryError, InputError)):
        save(path, small_network(seed=2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises((KeyboardInterrupt, OSError, MemoryError, InputError)):
        save(tmp_path / "never.npz", small_network())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["file/network.npz", "file/deeper/network.npz", "folder", "x" * 300 + ".npz"])
def test_a_place_that_cannot_be_written_is_an_input_error(place, tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError):
        save(tmp_path / place, small_network())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder where nobody may write")
def test_a_folder_without_permission_is_an_input_error():
    for path in ("/proc/network.npz", "/proc/self/new/network.npz"):
        with pytest.raises(InputError):
            save(path, small_network())


# --- files: damaged, foreign, hostile --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """The file of `small_network`; tests write to other files beside it."""
    path = tmp_path_factory.mktemp("valid") / "network.npz"
    save(path, small_network())
    return path


def contents(path):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return json.loads(str(arrays.pop("header"))), arrays


def assert_refused(path):
    with pytest.raises(InputError, match="network") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    assert_refused(tmp_path / "missing.npz")
    assert_refused(tmp_path / "missing" / "network.npz")
    assert_refused(tmp_path)


def test_a_truncated_file_is_refused_at_every_length(valid):
    whole = valid.read_bytes()
    short = valid.with_name("short.npz")
    for size in {*range(0, len(whole), 13), *range(len(whole) - 30, len(whole))}:
        short.write_bytes(whole[:size])
        assert_refused(short)


@settings(max_examples=300)
@given(data=st.data())
def test_a_file_with_wrong_bytes_is_refused_or_read_as_it_was(valid, data):
    damaged = bytearray(valid.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    path = valid.with_name("damaged.npz")
    path.write_bytes(damaged[:cut])
    try:
        network = load(path)
    except InputError:
        return
    assert_same_network(network, small_network())


@settings(max_examples=200)
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\x00"]))
def test_any_other_bytes_are_refused(valid, data, start):
    path = valid.with_name("noise.npz")
    path.write_bytes(start + data)
    assert_refused(path)


def test_a_refused_archive_is_closed(valid):
    path = valid.with_name("lost.npz")
    path.write_bytes(b"PK\x05\x06" + bytes(8) + b"\xff" * 4 + bytes(6))  # its directory is longer than the file
    assert zipfile.is_zipfile(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert_refused(path)
        gc.collect()
    assert caught == []


@pytest.mark.parametrize(("old", "new"), [(b"'<f8'", b"'<f4'"), (b"'<f8'", b"'<f2'"), (b"'<f8'", b"'<i4'")])
def test_a_damaged_array_header_is_noticed_though_the_file_still_opens(old, new, tmp_path):
    # The archive compares an array's checksum only once all its bytes are read: narrower numbers leave half of them.
    network = mlp(100, 30, 3, dtype="float64")
    path = tmp_path / "network.npz"
    save(path, network)
    whole = path.read_bytes()
    places = [i for i in range(len(whole)) if whole.startswith(old, i)]
    assert len(places) == 4  # two weights, two biases
    for place in places:
        path.write_bytes(whole[:place] + new + whole[place + len(new) :])
        assert_refused(path)
    path.write_bytes(whole.replace(old, new))
    assert_refused(path)


@pytest.mark.parametrize(
    "header",
    [
        None,
        [],
        "minilwa network 1",
        7,
        {},
        {"format": "minilwa network 1"},
        {"format": "minilwa network 2", "input_shape": [1, 6, 6], "layers": []},
        {"format": ["minilwa network 1"]},
    ],
)
def test_a_header_of_another_format_is_refused(header, valid):
    _, arrays = contents(valid)
    path = valid.with_name("foreign.npz")
    np.savez(path, header=np.array(json.dumps(header)), **arrays)
    assert_refused(path)


def test_headers_that_are_no_json_text_are_refused(valid):
    header, arrays = contents(valid)
    path = valid.with_name("foreign.npz")
    text = json.dumps(header)
    for bad in ("", "{", text[:-1], text + "}", "nonsense", np.arange(3), np.array([text, text]), np.array(1.5)):
        np.savez(path, header=bad, **arrays)
        assert_refused(path)
    np.savez(path, **arrays)  # none at all
    assert_refused(path)


def deeply_nested(depth):
    layer = ["chain", {"layers": []}]
    for _ in range(depth):
        layer = ["chain", {"layers": [layer]}]
    return layer


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), "minilwa network 2"),
        (("layers", 0, 1, "filters"), 2**40),  # more memory than there is
        (("layers", 0, 1, "filters"), -1),
        (("layers", 0, 1, "size"), 0),
        (("layers", 0, 1, "stride"), 0),
        (("layers", 2, 1, "stride"), 0),
        (("layers", 4, 1, "units"), 2**40),
        (("layers", 4, 1, "units"), 10**30),
        (("layers", 4, 1, "units"), "3"),
        (("layers", 4, 1), {}),
        (("layers", 4, 1), {"units": 3, "colour": "blue"}),
        (("layers", 4, 0), "perceptron"),
        (("layers", 4, 0), ["dense"]),
        (("layers", 3, 1, "layers"), "dense"),
        (("layers", 4), deeply_nested(300)),
        (("layers",), {}),
        (("input_shape",), [0, 6, 6]),
        (("input_shape",), [1, 6, 7]),
        (("input_shape",), [1, 6, 2**40]),
        (("input_shape",), [1, "6", 6]),
        (("input_shape",), []),
        (("input_shape",), None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_architecture_that_does_not_fit_the_parameters_is_refused(keys, value, valid):
    header, arrays = contents(valid)
    place = header
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = valid.with_name("misfit.npz")
    np.savez(path, header=np.array(json.dumps(header)), **arrays)
    assert_refused(path)


def test_a_small_file_cannot_ask_for_much_memory(valid):
    header, arrays = contents(valid)
    header["layers"][4][1]["units"] = 4_000_000  # 5 x 4,000,000 weights are 160 MB; the file has about 1 kB
    path = valid.with_name("greedy.npz")
    np.savez(path, header=np.array(json.dumps(header)), **arrays)
    tracemalloc.start()
    try:
        assert_refused(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6


numbers = st.one_of(st.integers(-2, 8), st.sampled_from([2**40, -(2**40), 10**30]), st.floats())
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(["", "dense", "chain", "relu", "6"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=4,
)


def replace_somewhere(data, value):
    """``value`` with one of its parts, drawn, replaced by another JSON value."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or data.draw(st.integers(0, 5)) == 0:
        return data.draw(json_values)
    key = data.draw(st.sampled_from(keys))
    changed = value.copy()
    changed[key] = replace_somewhere(data, value[key])
    return changed


@settings(max_examples=400)
@given(data=st.data())
def test_a_header_changed_anywhere_is_refused_or_gives_a_network_that_runs(valid, data):
    assert_refused_or_runs(valid, replace_somewhere(data, contents(valid)[0]))


@pytest.mark.parametrize("scale", [1e308, -1, math.inf, math.nan])
def test_a_scale_that_no_weights_can_be_drawn_in_is_refused_or_of_no_account(scale, valid):
    header, _ = contents(valid)
    header["layers"][0][1]["scale"] = scale
    assert_refused_or_runs(valid, header)


def assert_refused_or_runs(valid, header):
    _, arrays = contents(valid)
    path = valid.with_name("changed.npz")
    np.savez(path, header=np.array(json.dumps(header)), **arrays)
    try:
        network = load(path)
    except InputError:
        return
    assert np.isfinite(network(images(network))).all()
    for name, array in zip(arrays, leaves(network.parameters), strict=True):
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.parametrize(
    "change",
    [
        {"p1": np.zeros((3, 2, 3, 3))},
        {"p0": np.zeros((2, 1))},
        {"p0": np.zeros(2)},
        {"p5": np.zeros((3, 5))},  # transposed
        {"p6": np.zeros(1)},
        {"extra": np.zeros(1)},
        {"p7": np.zeros(1)},
        {"p0": None},
        {"p5": None},
        {f"p{i}": None for i in range(6)},
        {"p4": np.array(["a", "b", "c"])},
        {"p4": np.zeros(3, dtype=complex)},
        {"p4": np.zeros(3, dtype=int)},
        {"p4": np.zeros(3, dtype=bool)},
        {"p4": np.zeros(3, dtype="float32")},  # beside float64 ones
        {"p0": np.zeros((2, 1, 1), dtype=int)},
        {"p0": np.zeros((2, 1, 1), dtype="float16")},
        {"p4": np.zeros(3, dtype="datetime64[s]")},
    ],
    ids=lambda change: " ".join(
        f"{name} {getattr(a, 'dtype', '')}{getattr(a, 'shape', a)}" for name, a in change.items()
    ),
)
def test_parameters_of_another_network_are_refused(change, valid):
    header, arrays = contents(valid)
    path = valid.with_name("parameters.npz")
    arrays = {name: a for name, a in {**arrays, **change}.items() if a is not None}
    np.savez(path, header=np.array(json.dumps(header)), **arrays)
    assert_refused(path)


def test_a_member_that_is_no_array_is_refused(valid):
    header, arrays = contents(valid)
    path = valid.with_name("raw.npz")
    for name in ("p0", "p1", "header", "readme.txt"):
        kept = {key: a for key, a in {"header": np.array(json.dumps(header)), **arrays}.items() if key != name}
        np.savez(path, **kept)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, b"raw bytes")
        assert_refused(path)


class Bait:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("name", ["p0", "p1", "header", "extra"])
def test_object_arrays_are_never_unpickled(name, valid, tmp_path):
    header, arrays = contents(valid)
    bait = np.array([Bait(tmp_path / "bitten")], dtype=object)
    path = tmp_path / "hostile.npz"
    np.savez(path, **{"header": np.array(json.dumps(header)), **arrays, name: bait})
    assert_refused(path)
    assert not (tmp_path / "bitten").exists()
    with np.load(path, allow_pickle=True) as archive:
        archive[name]
    assert (tmp_path / "bitten").exists()  # the bait would have worked


def test_a_pickle_under_the_name_of_a_network_is_never_unpickled(tmp_path):
    path = tmp_path / "hostile.npz"
    path.write_bytes(pickle.dumps(Bait(tmp_path / "bitten")))
    assert_refused(path)
    np.save(tmp_path / "array.npy", np.array([Bait(tmp_path / "bitten")], dtype=object))
    (tmp_path / "array.npy").replace(path)
    assert_refused(path)
    assert not (tmp_path / "bitten").exists()


@pytest.mark.skipif(os.name != "posix", reason="limits of file size are POSIX's")
def test_a_disk_without_room_is_told_in_one_line(tmp_path):
    save(tmp_path / "net.npz", small_network())
    before = (tmp_path / "net.npz").read_bytes()
    code = (
        "import resource, signal, sys\n"
        "from minilwa import mlp, save\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "save(sys.argv[1], mlp(784, 100, 10))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "net.npz"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "InputError: output: got" in ended.stderr
    assert "File too large" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]
    assert (tmp_path / "net.npz").read_bytes() == before
