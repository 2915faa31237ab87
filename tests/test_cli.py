"""The command line as a user meets it: every command, what is wrong in one line, Ctrl-C, progress bars."""

import gzip
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minilwa import commands
from minilwa.algorithms import SGD
from minilwa.backend import device_namespace
from minilwa.cli import main, parser
from minilwa.data import load as load_data
from minilwa.directions import direction
from minilwa.errors import InputError
from minilwa.evaluation import adversarial_images, attacked_scores, clean_score, predict
from minilwa.experiments import figure1, tables
from minilwa.layers import conv, dense, flatten, relu, softmax
from minilwa.networks import create, mlp
from minilwa.norms import length
from minilwa.saving import load, save
from minilwa.tree import leaves

COMMANDS = ("reproduce", "report", "train", "attack", "evaluate", "data")
ATTACKS = ("adv_loss_sign", "adv_loss", "adv_alpha")
METHODS = ["Normal", "Dropout", "Goodfellow", "LWA", "LWA_Rep"]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINILWA_DATA", raising=False)
    return tmp_path


def own_images(classes=3, shape=(28, 28), train=200, test=40):
    """Byte images of ``classes`` patterns under noise: what goes into a user's own .npz."""
    rng = np.random.default_rng(7)
    y = np.arange(train + test) % classes
    x = rng.integers(0, 128, (classes, *shape))[y] + rng.integers(0, 128, (train + test, *shape))
    x = x.astype(np.uint8)
    return {"x_train": x[:train], "y_train": y[:train], "x_test": x[train:], "y_test": y[train:]}


def write_own(name="own.npz", **changes):
    kinds = {key: changes.pop(key) for key in ("classes", "shape", "train", "test") if key in changes}
    np.savez(name, **{**own_images(**kinds), **changes})


def small_network(shape=(1, 28, 28), classes=3, dtype="float32"):
    layers = (conv(4, 3, stride=2), relu(), flatten(), dense(classes), softmax())
    return create(layers, shape, seed=5, dtype=dtype)


def run(*arguments):
    """Exit status of a command in this process."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # from argparse
        return end.code


def strict_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=refuse)


def same_networks(one, other):
    """Both files hold the same architecture, settings and bits."""
    with np.load(one) as a, np.load(other) as b:
        return a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)


# --- every command from end to end ---


@pytest.mark.parametrize(
    ("shape", "options", "dtype"),
    [((16, 16), [], "float32"), ((3, 16, 17), ["--dtype", "float64", "--form", "printed"], "float64")],
    ids=["grey", "colour"],
)
def test_reproduce_leaves_a_complete_results_folder(shape, options, dtype, capsys):
    write_own(shape=shape)
    assert run("reproduce", "--data", "own.npz", "--epochs", 1, "--seed", 3, *options, "--json", "all.json") == 0
    out, err = capsys.readouterr()
    folder = Path("results/own-seed3")
    files = {
        "config.json",
        "figure1",
        "figure1.json",
        "figure1.png",
        "figure1.svg",
        "networks",
        "table1",
        "table1.json",
        "table1.md",
    }
    assert {path.name for path in folder.iterdir()} == files
    assert str(folder) in out
    assert err == ""  # no terminal, no progress bar
    assert (folder / "table1.md").read_text() in out
    assert (folder / "figure1.png").read_bytes().startswith(PNG)
    table, figure, both = (strict_json(path) for path in (folder / "table1.json", folder / "figure1.json", "all.json"))
    assert both == {"table1": table, "figure1": figure}
    assert [row["method"] for row in table["rows"]] == METHODS
    names = ["adv_loss", "adv_loss_sign", "adv_alpha", "deepfool", "noise"]
    drawn = [(curve["direction"], curve["clip"]) for curve in figure["curves"]]
    assert drawn == [(name, clip) for clip in (False, True) for name in names]
    assert figure["radii"] == list(figure1.RADII)
    form = "printed" if options else "stable"
    assert {settings["form"] for settings in table["config"]["methods"].values()} == {form}
    for result in (table, figure):
        assert result["config"].items() >= strict_json(folder / "config.json").items()
        assert result["config"]["seeds"] == [3]
    for name in [*(f"mlp-{method}-seed3" for method in METHODS), "mlp-Normal-seed4", "lenet-Normal-seed3"]:
        network = load(folder / "networks" / f"{name}.npz")
        assert (network.dtype, network.input_shape[-2:]) == (dtype, shape[-2:])


def test_reproduce_table1_json(finished):
    result = strict_json(finished / "table1-again.json")
    assert result == strict_json(finished / "out" / "table1.json")
    assert set(result) == {"config", "rows"}
    assert result["config"]["recipe"] == {key: value for key, value in RECIPE.items() if key != "seed"}
    assert result["config"]["seeds"] == [RECIPE["seed"]]
    assert [row["method"] for row in result["rows"]] == METHODS
    data = load_data(finished / "own.npz")
    for row in result["rows"]:
        assert {"method", "validation", "fixed", *ATTACKS, "n", "zero_gradients"} <= set(row)
        assert row["n"] == 40
        assert set(row["zero_gradients"]) == set(ATTACKS)
        network = load(finished / "out" / "networks" / f"mlp-{row['method']}-seed0.npz")
        assert row["validation"] == clean_score(network, data.x_test, data.y_test).accuracy
        for name in ATTACKS:
            (score,) = attacked_scores(network, data.x_test, data.y_test, direction(name), [1.5])
            assert (row[name], row["zero_gradients"][name]) == (score.accuracy, score.zero_gradients)


TRAINED = {
    "as usual": ([], {"name": "Normal", "along": None, "dropout": 0.0}),
    "dropout": (["--network", "lenet", "--method", "Dropout"], {"dropout": 0.5}),
    "own perturbation": (
        ["--method", "LWA", "--direction", "adv_alpha", "--radius", 0.1, "--norm", "linf"],
        {"along": "adv_alpha", "radius": 0.1, "norm": "linf", "form": "stable"},
    ),
    "infinity is linf": (["--method", "Nokland", "--norm", "inf"], {"norm": "linf"}),
    "a number": (
        ["--network", "lenet", "--method", "LWA_Rep", "--norm", "3", "--at", 3, "--form", "printed"],
        {"norm": 3.0, "at": 3, "form": "printed", "relative": True},
    ),
}


@pytest.mark.parametrize(("options", "expected"), TRAINED.values(), ids=TRAINED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_train(options, expected, dtype, capsys):
    write_own(shape=(2, 16, 16), train=40)
    common = ["--data", "own.npz", "--dtype", dtype, "--out", "nets/it.npz"]
    recipe = {"epochs": 2, "batch": 20, "rate": 0.01, "momentum": 0.5, "seed": 4}
    given = [word for key, value in recipe.items() for word in (f"--{key}", value)]
    assert run("train", *common, *given, *options, "--json", "it.json") == 0
    result, network, data = strict_json("it.json"), load("nets/it.npz"), load_data("own.npz", dtype=dtype)
    assert network.dtype == dtype
    assert result["method"].items() >= expected.items()
    assert result["recipe"].items() >= recipe.items()
    score = clean_score(network, data.x_test, data.y_test)
    assert result["validation"] == {**score.describe(), "interval": list(score.interval())}
    assert f"{score.accuracy:.4f}" in capsys.readouterr().out
    assert {path.name for path in Path().iterdir()} == {"own.npz", "nets", "it.json"}


def test_train_without_an_epoch_keeps_the_network_as_it_was_drawn():
    write_own()
    for _ in range(2):
        assert run("train", "--data", "own.npz", "--epochs", 0, "--out", "drawn.npz") == 0
        drawn = mlp(784, 1000, 1000, 3, input_shape=(1, 28, 28))
        assert all(map(np.array_equal, leaves(load("drawn.npz").parameters), leaves(drawn.parameters)))


NORMS = {"l1": 1, "l2": 2, "linf": np.inf, "inf": np.inf, "3": 3}


@pytest.mark.parametrize(("norm", "p"), NORMS.items())
@pytest.mark.parametrize(("form", "dtype", "clip"), [("stable", "float32", False), ("printed", "float64", True)])
def test_evaluate(norm, p, clip, form, dtype, capsys):
    write_own()
    save("net.npz", small_network(dtype="float64"))
    common = ["--network", "net.npz", "--data", "own.npz", "--json", "e.json"]
    radii = [0.0, 0.05, 0.5]
    options = ["--norm", norm, "--form", form, "--dtype", dtype, *["--clip"] * clip]
    assert run("evaluate", *common, "--radius", *radii, *options) == 0
    data, network = load_data("own.npz", dtype=dtype), small_network(dtype=dtype)
    expected = [("clean", 0.0, clean_score(network, data.x_test, data.y_test))]
    for name in ("adv_loss", "adv_loss_sign", "adv_alpha"):
        scores = attacked_scores(network, data.x_test, data.y_test, direction(name, form), radii, p, clip)
        expected += [(name, radius, score) for radius, score in zip(radii, scores, strict=True)]
    result = strict_json("e.json")
    assert (result["data"], result["form"], result["clip"]) == ("own.npz", form, clip)
    for row, (name, radius, score) in zip(result["rows"], expected, strict=True):
        found = {**row, "interval": tuple(row["interval"])}
        assert found == {"direction": name, "radius": radius, **score.describe()}
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:3] for line in lines] == [[n, f"{r:g}", f"{s.accuracy:.4f}"] for n, r, s in expected]


@pytest.mark.parametrize(
    ("shape", "labelled", "norm", "p", "clip"),
    [
        ((28, 28), True, "l2", 2, False),
        ((28, 28), False, "l1", 1, True),
        ((3, 12, 13), True, "linf", np.inf, True),
        ((3, 12, 13), False, "3", 3, False),
        ((2, 9, 9), True, "inf", np.inf, False),
    ],
)
def test_attack_on_own_images(shape, labelled, norm, p, clip, capsys):
    images, input_shape = own_images(shape=shape, test=12), (1, *shape)[-3:]
    network = small_network(shape=input_shape)
    save("net.npz", network)
    np.savez("mine.npz", x=images["x_test"], **({"y": images["y_test"]} if labelled else {}))
    common = ["--network", "net.npz", "--images", "mine.npz", "--out", "a", "--json", "a.json"]
    options = ["--direction", "adv_loss", "--radius", 0.7, "--norm", norm, *["--clip"] * clip]
    assert run("attack", *common, *options) == 0
    x = (images["x_test"].reshape(12, *input_shape) / 256).astype(np.float32)
    y = images["y_test"] if labelled else predict(network, x)
    x_hat = adversarial_images(network, x, y, direction("adv_loss"), 0.7, p, clip)
    before, after = predict(network, x), predict(network, x_hat)
    with np.load("a/attack.npz") as found:
        for name, array in {"x": x, "x_hat": x_hat, "y": y, "before": before, "after": after}.items():
            np.testing.assert_array_equal(found[name], array)
    if not clip:
        np.testing.assert_allclose(length((x_hat - x).reshape(12, -1).astype(float), p), 0.7, rtol=1e-4)
    result = strict_json("a.json")
    assert result == strict_json("a/attack.json")
    assert [result[name] for name in ("y", "before", "after")] == [y.tolist(), before.tolist(), after.tolist()]
    turned, name = int((before != after).sum()), {"3": "l3", "inf": "linf"}.get(norm, norm)
    assert result["turned"] == turned
    assert f"{turned} of 12 predictions turned by adv_loss, {name} norm 0.7" in capsys.readouterr().out
    assert {path.name for path in Path("a").iterdir()} == {"attack.npz", "attack.json", "attack.png"}
    assert Path("a/attack.png").read_bytes().startswith(PNG)


def test_embedded_digits_are_the_default(capsys):
    assert run("train", "--epochs", 1, "--out", "net.npz") == 0
    assert run("attack", "--network", "net.npz", "--count", 3, "--out", "a") == 0
    assert run("evaluate", "--network", "net.npz", "--json", "e.json") == 0
    assert run("data", "--json", "d.json") == 0
    assert "on mnist5k" in capsys.readouterr().out
    with np.load("a/attack.npz") as archive:
        np.testing.assert_array_equal(archive["x"], load_data().x_test[:3])
    rows = strict_json("e.json")["rows"]
    assert [(row["n"], row["radius"]) for row in rows] == [(1000, 0.0)] + [(1000, 1.5)] * 3
    assert rows[0]["accuracy"] > 0.7 > min(row["accuracy"] for row in rows[1:])
    counts = {"x_train": [4000, 1, 28, 28], "y_train": [4000], "x_test": [1000, 1, 28, 28], "y_test": [1000]}
    assert strict_json("d.json") == {"name": "mnist5k", "classes": 10, "shapes": counts}


def idx(magic, array):
    return gzip.compress(struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes())


def write_mnist(folder, **changes):
    """A small MNIST in IDX files; ``changes`` replace their contents."""
    data = own_images(classes=10, train=20, test=10)
    names = {"x_train": "train-images-idx3", "y_train": "train-labels-idx1"}
    names |= {"x_test": "t10k-images-idx3", "y_test": "t10k-labels-idx1"}
    Path(folder).mkdir()
    for key, name in names.items():
        content = idx(2051 if key.startswith("x") else 2049, data[key].astype(np.uint8))
        Path(folder, f"{name}-ubyte.gz").write_bytes(changes.get(key, lambda content: content)(content))


def test_data_of_a_local_folder(capsys):
    write_mnist("here")
    assert run("data", "--data", "mnist", "--data-dir", "here", "--json", "d.json") == 0
    assert strict_json("d.json")["shapes"]["x_train"] == [20, 1, 28, 28]
    assert "by class: 2 2 2 2 2 2 2 2 2 2" in capsys.readouterr().out


def test_python_m_minilwa_is_the_same_program(capsys):
    write_own()
    for name in ("own.npz", "emnist"):
        program = [sys.executable, "-m", "minilwa", "data", "--data", name]
        found = subprocess.run(program, check=False, capture_output=True, text=True)
        assert run("data", "--data", name) == found.returncode
        assert capsys.readouterr() == (found.stdout, found.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_examples_that_are_right(command, capsys):
    assert run(command, "--help") == 0
    examples = capsys.readouterr().out.split("Examples:\n")[1].splitlines()
    assert examples
    for example in examples:
        program, *arguments = example.split()
        assert (program, arguments[0]) == ("minilwa", command)
        parser().parse_args(arguments)


def test_help_names_the_commands(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^ +{command}\b", text, re.MULTILINE) for command in COMMANDS)


# --- bad input ---

IMAGES, LABELS = own_images()["x_train"], own_images()["y_train"]
FLOATS = (IMAGES / 256).astype(np.float32)


def marred(value):
    images = FLOATS.copy()
    images[5, 6, 7] = value
    return images


BAD_DATA = {
    "flat images": ({"x_train": IMAGES.reshape(200, 784)}, r"x_train: got images of shape \(200, 784\), expected \(N"),
    "other test shape": ({"x_test": IMAGES[:40, :20]}, r"x_test: got .*\(1, 20, 28\), expected \(1, 28, 28\)"),
    "empty batch": ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, r"x_train: got .*\(0, 28, 28\)"),
    "negative label": ({"y_train": LABELS - 1}, "y_train: got labels -1 to 1, expected"),
    "label without training": ({"y_train": LABELS % 2}, "y_test: got the label 2, expected labels 0 to 1"),
    "one class": ({"y_train": LABELS * 0}, "y_train: got one class only"),
    "NaN": ({"x_train": marred(np.nan)}, "x_train: got NaN or infinite pixels"),
    "infinity": ({"x_train": marred(np.inf)}, "x_train: got NaN or infinite pixels"),
    "integer images": ({"x_train": IMAGES.astype(int)}, r"x_train: got int64 images, expected .*\. Save bytes with"),
    "object array": ({"x_train": np.array([1, None], dtype=object)}, r"data: got bad\.npz .*Pickled .* never loaded"),
}

RECIPE_OPTIONS = {
    "negative epochs": (["--epochs", -1], "epochs: got -1, expected a number >= 0"),
    "zero batch": (["--batch", 0], "batch: got 0, expected a number of images >= 1"),
    "negative seed": (["--seed", -1], "seed: got -1, expected"),
    "zero rate": (["--rate", 0], r"rate: got 0\.0, expected a finite number > 0"),
    "rate without bound": (["--rate", "inf"], "rate: got inf, expected a finite"),
    "no rate": (["--rate", "nan"], "rate: got nan, expected a finite"),
    "momentum one": (["--momentum", 1], r"momentum: got 1\.0, expected a number in \[0, 1\)"),
    "no number": (["--epochs", "ten"], "argument --epochs: invalid int value: 'ten'. See minilwa .* --help"),
    "unknown form": (["--form", "neat"], "argument --form: invalid choice: 'neat'"),
    "unknown dtype": (["--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
    "unknown device": (["--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
    "unknown data": (["--data", "emnist"], "data: got 'emnist', expected mnist5k, mnist, .*npz"),
    "no data file": (["--data", "no.npz"], r"data: got no\.npz, which does not exist, expected an \.npz file"),
    "no data folder": (["--data", "mnist", "--data-dir", "no"], "data_dir: got no, expected a folder"),
    "empty data folder": (["--data", "mnist", "--data-dir", "folder"], "got folder without the files of mnist"),
    "no JSON below a file": (["--json", "plain/it.json"], r"output: got plain/it\.json .*expected a path that can be"),
    "no JSON over a folder": (["--json", "folder"], "output: got folder.*expected a path that can be written"),
    "no JSON over a device": (["--json", os.devnull], "output: got .*expected a path that can be written"),
}

TRAIN_OPTIONS = {
    "out below a file": (["--out", "plain/sub/net.npz"], r"output: got plain/sub/net\.npz .*expected a path"),
    "out over a folder": (["--out", "folder"], "output: got folder.*expected a path that can be written"),
    "out over another file": (["--out", "plain"], "network: got plain .*expected"),
    "out trained otherwise": (
        ["--out", "other.npz"],
        r"checkpoint: got other\.npz, .*another network, start, method, recipe",
    ),
    "unknown method": (["--method", "Hebb"], "argument --method: invalid choice: 'Hebb'"),
    "unknown network": (["--network", "vgg"], "argument --network: invalid choice: 'vgg'"),
    "unknown direction": (["--direction", "up"], "argument --direction: invalid choice: 'up'"),
    "unknown norm": (["--method", "LWA", "--norm", "l7"], "norm: got 'l7', expected .*or a number p >= 1"),
    "norm below one": (["--method", "LWA", "--norm", 0.5], "norm: got 0.5, expected"),
    "negative radius": (["--method", "LWA", "--radius", -1], r"radius: got -1\.0, expected a finite number >= 0"),
    "radius without bound": (["--method", "LWA", "--radius", "inf"], "radius: got inf, expected a finite number"),
    "nothing to perturb": (["--radius", 1.5, "--norm", "l1"], r"method: got Normal with .*\(radius, norm\).* LWA"),
    "no such layer": (["--method", "LWA_Rep", "--at", 99], "at: got 99, expected a number of layers from 1 to 6"),
    "images too small": (["--network", "lenet", "--data", "small.npz"], r"data: got .*\(1, 9, 9\), expected larger"),
}

REPRODUCE_OPTIONS = {
    "out below a file": (["--out", "plain/sub"], r"output: got plain/sub/config\.json .*expected a path"),
    "out is a file": (["--out", "plain"], r"output: got plain/config\.json .*expected a path"),
    "networks are a file": (["--out", "blocked"], r"output: got blocked/networks/\S+ .*expected a path"),
    "images too small": (["--data", "small.npz"], r"data: got .*\(1, 9, 9\), expected larger ones, for lenet"),
}

NETWORK_OPTIONS = {
    "no network": (["--network", "no.npz"], r"network: got no\.npz, which does not exist, expected"),
    "network is text": (["--network", "plain"], "network: got plain .*expected"),
    "network is a folder": (["--network", "folder"], "network: got folder .*expected"),
    "network is data": (["--network", "own.npz"], r"network: got own\.npz .*expected a file that minilwa.save wrote"),
    "network is cut short": (["--network", "cut.npz"], r"network: got cut\.npz .*expected a complete \.npz"),
    "other classes": (["--data", "wide.npz"], r"data: got wide\.npz for net\.npz \(y: .* 0 to 11, expected 0 to 2\)"),
    "other shape": (["--data", "small.npz"], r"data: got small\.npz for net\.npz \(x: .*\(.*, 1, 9, 9\), expected"),
    "default data": (["--data", "mnist5k"], r"data: got mnist5k for net\.npz .* Name them with --data"),
    "no classifier": (["--network", "linear.npz"], "network: got one that does not end with softmax"),
    "unknown norm": (["--norm", "l7"], "norm: got 'l7', expected"),
    "norm below one": (["--norm", "0.5"], "norm: got 0.5, expected"),
    "no norm": (["--norm", "nan"], "norm: got nan, expected"),
    "negative radius": (["--radius", -1], r"radius: got -1\.0, expected a finite number >= 0"),
    "radius without bound": (["--radius", "inf"], "radius: got inf, expected a finite number >= 0"),
    "no radius": (["--radius", "far"], "argument --radius: invalid float value: 'far'"),
    "no data file": (["--data", "no.npz"], r"data: got no\.npz, which does not exist"),
    "no JSON below a file": (["--json", "plain/it.json"], r"output: got plain/it\.json .*expected a path that can be"),
    "no JSON over a folder": (["--json", "folder"], "output: got folder.*expected a path that can be written"),
}

ATTACK_OPTIONS = {
    "out is a file": (["--out", "plain"], r"output: got plain/attack\.npz .*expected a path"),
    "out below a file": (["--out", "plain/sub"], r"output: got plain/sub/attack\.npz .*expected a path"),
    "no count": (["--count", 0], "count: got 0, expected a number of images >= 1"),
    "negative count": (["--count", -2], "count: got -2, expected a number of images >= 1"),
    "unknown direction": (["--direction", "up"], "argument --direction: invalid choice: 'up'"),
    "no images": (["--images", "no.npz"], r"images: got no\.npz, which does not exist"),
    "images without x": (["--images", "own.npz"], r"images: got own\.npz with x_train.*, expected an array x"),
}

BAD_IMAGES = {
    "other shape": ({"x": IMAGES[:4, :20]}, r"x: got shape \(4, 1, 20, 28\), expected \(N, 1, 28, 28\)"),
    "no batch axis": ({"x": IMAGES[0]}, r"x: got images of shape \(28, 28\), expected \(N, H, W\)"),
    "empty batch": ({"x": IMAGES[:0]}, r"x: got images of shape \(0, 28, 28\)"),
    "integers": ({"x": IMAGES[:4].astype(int)}, "x: got int64 images, expected uint8"),
    "NaN": ({"x": marred(np.nan)}, "x: got NaN or infinite pixels"),
    "objects": ({"x": np.array([1, None], dtype=object)}, r"images: got bad\.npz .*Pickled .* never loaded"),
    "fewer labels": ({"x": IMAGES[:4], "y": LABELS[:3]}, "y: got 3 labels, expected 4"),
    "float labels": ({"x": IMAGES[:4], "y": LABELS[:4] * 1.0}, r"y: got float64 labels .*expected integer labels"),
    "labels out of range": ({"x": IMAGES[:4], "y": LABELS[:4] + 7}, "y: got labels from 7 to 9, expected 0 to 2"),
    "negative labels": ({"x": IMAGES[:4], "y": LABELS[:4] - 1}, "y: got labels -1 to 1, expected"),
}


def snapshot():
    return {str(path): path.read_bytes() if path.is_file() else None for path in Path().rglob("*")}


@pytest.fixture
def refused(monkeypatch, capsys):
    """Runs a command that must fail: status 2, one line on stderr, no step of training, every file as it was."""
    Path("folder").mkdir()
    Path("blocked").mkdir()
    Path("blocked/networks").write_text("a file where a folder belongs")
    Path("plain").write_text("no folder and no network\n")
    Path("kept.json").write_text("old\n")
    write_own()
    write_own("small.npz", shape=(9, 9))
    write_own("wide.npz", classes=12)
    save("net.npz", small_network())
    save("other.npz", small_network(), {"epochs_done": 1})
    save("linear.npz", create((flatten(), dense(3)), (1, 28, 28)))
    Path("cut.npz").write_bytes(Path("net.npz").read_bytes()[:-200])

    def step(*_):
        raise AssertionError("training began")

    monkeypatch.setattr(SGD, "step", step)

    def run_refused(message, *arguments):
        before = snapshot()
        assert run(*arguments) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("minilwa")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert re.search(message, err), err
        assert "Traceback" not in err
        assert snapshot() == before

    return run_refused


WRITING = {
    "reproduce": ["--out", "out", "--json", "kept.json"],
    "train": ["--out", "net-new.npz", "--json", "kept.json"],
}


@pytest.mark.parametrize(("changes", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data(changes, message, refused):
    write_own("bad.npz", **changes)
    for command, outputs in WRITING.items():
        refused(message, command, "--data", "bad.npz", *outputs)
    refused(message, "data", "--data", "bad.npz", "--json", "kept.json")
    refused(message, "evaluate", "--network", "net.npz", "--data", "bad.npz", "--json", "kept.json")


BAD_FILES = {
    "truncated": ({"x_train": lambda raw: raw[:-100]}, r"data: got here/train-images\S+ .*expected a complete file"),
    "mislabelled": (
        {"x_train": lambda raw: idx(2049, IMAGES[:20])},
        r"data: got here/train-images\S+ with the IDX magic 2049, expected 2051.*Are images and labels exchanged",
    ),
    "oversized": (
        {"y_test": lambda raw: gzip.compress(gzip.decompress(raw) + b"1")},
        r"data: got here/t10k-labels\S+ with more bytes of data, expected 10",
    ),
    "labels out of range": (
        {"y_train": lambda raw: idx(2049, np.arange(20, dtype=np.uint8))},
        r"data: got here/train-labels\S+ with the label 19, expected labels 0 to 9",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_data_file(changes, message, refused):
    write_mnist("here", **changes)
    for command, outputs in (*WRITING.items(), ("data", [])):
        refused(message, command, "--data", "mnist", "--data-dir", "here", *outputs)


@pytest.mark.parametrize(("options", "message"), RECIPE_OPTIONS.values(), ids=RECIPE_OPTIONS)
@pytest.mark.parametrize("command", WRITING)
def test_bad_option_of_training(command, options, message, refused):
    refused(message, command, "--data", "own.npz", *WRITING[command], *options)


@pytest.mark.parametrize(("options", "message"), TRAIN_OPTIONS.values(), ids=TRAIN_OPTIONS)
def test_bad_option_of_train(options, message, refused):
    refused(message, "train", "--data", "own.npz", *WRITING["train"], *options)


@pytest.mark.parametrize(("options", "message"), REPRODUCE_OPTIONS.values(), ids=REPRODUCE_OPTIONS)
def test_bad_option_of_reproduce(options, message, refused):
    refused(message, "reproduce", "--data", "own.npz", *WRITING["reproduce"], *options)


@pytest.mark.parametrize(("options", "message"), NETWORK_OPTIONS.values(), ids=NETWORK_OPTIONS)
@pytest.mark.parametrize("command", ["attack", "evaluate"])
def test_bad_option_of_attack_and_evaluate(command, options, message, refused):
    outputs = ["--out", "out"] if command == "attack" else []
    refused(message, command, "--network", "net.npz", "--data", "own.npz", "--json", "kept.json", *outputs, *options)


@pytest.mark.parametrize(("options", "message"), ATTACK_OPTIONS.values(), ids=ATTACK_OPTIONS)
def test_bad_option_of_attack(options, message, refused):
    refused(message, "attack", "--network", "net.npz", "--data", "own.npz", "--out", "out", *options)


@pytest.mark.parametrize(("arrays", "message"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images_to_attack(arrays, message, refused):
    np.savez("bad.npz", **arrays)
    refused(message, "attack", "--network", "net.npz", "--images", "bad.npz", "--out", "out", "--json", "kept.json")


WRONG_WORDS = ["", "learn", "train", "attack --network net.npz", "evaluate", "data --fast", "reproduce table7"]


@pytest.mark.parametrize("words", WRONG_WORDS)
def test_bad_command(words, refused):
    refused(r"error: .*\. See minilwa.* --help\.", *words.split())


def test_gpu_without_cupy(refused):
    try:
        device_namespace("gpu")
    except InputError:
        for command, outputs in (*WRITING.items(), ("data", [])):
            message = 'device: got "gpu" .*expected a working CUDA'
            refused(message, command, "--data", "own.npz", "--device", "gpu", *outputs)
    else:
        pytest.skip("this machine has a GPU and CuPy")


OTHERWISE = {
    "epochs": ["--epochs", 9],
    "batch, rate": ["--batch", 99, "--rate", 0.03],
    "form": ["--form", "printed"],
    "dtype": ["--dtype", "float64"],
    "data, images": ["--data", "wide.npz"],
}


@pytest.mark.parametrize(("changed", "options"), OTHERWISE.items())
@pytest.mark.parametrize("what", ["table1", "figure1"])
def test_results_folder_of_another_configuration(what, changed, options, finished, refused):
    write_own("wide.npz", classes=12, test=50)
    shutil.copytree(finished / "out", "out")
    message = f"out: got out, which holds runs with other {changed}, expected the same. Choose another --out"
    refused(message, "reproduce", what, *FINISHED, *WRITING["reproduce"], *options)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"recipe": 1}'])
def test_results_folder_with_a_damaged_configuration(content, refused):
    Path("out").mkdir()
    Path("out/config.json").write_text(content)
    refused(r"out: got out/config\.json .*expected a configuration", "reproduce", *FINISHED, *WRITING["reproduce"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"a complete \.npz file of plain arrays"),
        (b"no archive", r"a complete \.npz file of plain arrays"),
        (b"PK\x05\x06" + bytes(18), "a checkpoint that minilwa wrote"),  # a whole archive of nothing
    ],
)
def test_results_folder_with_a_damaged_network(content, expected, finished, refused):
    shutil.copytree(finished / "out", "out")
    (network,) = Path("out/networks").glob("mlp-LWA-seed*.npz")
    network.write_bytes(content)
    (record,) = Path("out/table1").glob("LWA-seed*.json")
    record.unlink()
    refused(rf"network: got {network} .*expected {expected}", "reproduce", "table1", *FINISHED, "--out", "out")


def test_divergence_is_one_line(capsys, recwarn):
    write_own()
    assert run("train", "--data", "own.npz", "--epochs", 20, "--rate", 1e9, "--out", "net.npz") == 2
    assert re.fullmatch(r"minilwa: error: rate: got 1000000000\.0, .*\n", capsys.readouterr().err)
    assert not recwarn.list


# --- Ctrl-C, and worse ---

RECIPE = {"epochs": 4, "batch": 40, "rate": 0.02, "momentum": 0.9, "decay": 0.1, "decay_at": 0.7, "seed": 0, "crop": 0}
FINISHED = ["--data", "own.npz", "--epochs", 4, "--batch", 40, "--rate", 0.02]
TRAIN = ["train", "--method", "LWA", "--data", "own.npz", "--epochs", 5, "--batch", 10, "--out", "nets/net.npz"]
HINT = "minilwa: interrupted; the same command goes on from the last whole epoch."
# A shell's background jobs are started with Ctrl-C ignored, and so might be the tests.
PROGRAM = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
PROGRAM += "from minilwa.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of two runs that nothing interrupted: own.npz, out/ of `reproduce table1`, nets/ of `train`."""
    folder, here = tmp_path_factory.mktemp("finished"), Path.cwd()
    os.chdir(folder)
    try:
        write_own()
        assert run("reproduce", "table1", *FINISHED, "--out", "out", "--json", "table1-again.json") == 0
        assert run(*TRAIN, "--json", "train.json") == 0
    finally:
        os.chdir(here)
    return folder


def stopped(arguments, marker, kind, delay=0.0):
    """A command sent a signal so many seconds after the file ``marker`` is there: exit status, stdout, stderr."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not Path(marker).exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(kind)
        out, err = process.communicate()
    return process.returncode, out, err


def assert_same_results(folder, finished):
    names = [path.name for path in (finished / "out" / "networks").iterdir()]
    assert len(names) == 6
    for name in names:
        assert same_networks(folder / "networks" / name, finished / "out" / "networks" / name), name
    assert (folder / "table1.json").read_bytes() == (finished / "out" / "table1.json").read_bytes()


def epochs_done(path):
    with np.load(path) as archive:
        return json.loads(str(archive["header"]))["training"]["epochs_done"]


def test_reproduce_goes_on_after_ctrl_c(finished, capsys):
    write_own()
    arguments = ["reproduce", "table1", *FINISHED, "--out", "out"]
    assert stopped(arguments, "out/networks/mlp-Normal-seed0.npz", signal.SIGINT) == (130, "", f"\n{HINT}\n")
    left = [path.name for path in Path("out").rglob("*") if path.is_file()]
    assert "table1.json" not in left
    assert not [name for name in left if name.startswith(".")]  # no temporary file
    assert not Path("out/networks/mlp-LWA_Rep-seed0.npz").exists()
    assert run(*arguments) == 0
    assert_same_results(Path("out"), finished)


def test_reproduce_goes_on_after_being_killed(finished):
    write_own()
    arguments = ["reproduce", "table1", *FINISHED, "--out", "out"]
    for marker, delay in {"Normal-seed1": 0.03, "Normal-seed0": 0.01, "Dropout-seed0": 0.02}.items():
        assert stopped(arguments, f"out/networks/mlp-{marker}.npz", signal.SIGKILL, delay)[0] == -signal.SIGKILL
    assert run(*arguments) == 0
    assert_same_results(Path("out"), finished)


@pytest.mark.parametrize("after", [0, 3])
def test_reproduce_goes_on_after_ctrl_c_in_evaluation(after, finished, monkeypatch, capsys):
    shutil.copy(finished / "own.npz", "own.npz")
    shutil.copytree(finished / "out" / "networks", "out/networks")
    arguments = ["reproduce", "table1", *FINISHED, "--out", "out"]
    scores, calls = tables.scores, []

    def interrupted(setting, plan, *rest):
        calls.append(plan.method.name)
        if len(calls) > after:
            signal.raise_signal(signal.SIGINT)
        return scores(setting, plan, *rest)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(tables, "scores", interrupted)
            assert run(*arguments) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert calls == METHODS[: after + 1]
    assert capsys.readouterr() == ("", f"\n{HINT}\n")
    assert run(*arguments) == 0
    assert_same_results(Path("out"), finished)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_train_goes_on(kind, finished):
    write_own()
    status, out, err = stopped([*TRAIN, "--json", "train.json"], "nets/net.npz", kind)
    assert (status, out, err) == ((130, "", f"\n{HINT}\n") if kind == signal.SIGINT else (-kind, "", ""))
    assert 1 <= epochs_done("nets/net.npz") < 5
    assert not Path("train.json").exists()
    assert run(*TRAIN, "--json", "train.json") == 0
    assert same_networks("nets/net.npz", finished / "nets" / "net.npz")
    assert Path("train.json").read_bytes() == (finished / "train.json").read_bytes()


def test_ctrl_c_while_a_checkpoint_is_written_keeps_the_last_one(finished, monkeypatch):
    write_own()
    savez, calls = np.savez, []

    def torn(file, **arrays):
        calls.append(file)
        if len(calls) == 3:
            file.write(b"PK")
            raise KeyboardInterrupt
        savez(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", torn)
        assert run(*TRAIN) == 130
    assert [path.name for path in Path("nets").iterdir()] == ["net.npz"]
    assert epochs_done("nets/net.npz") == 2
    assert run(*TRAIN) == 0
    assert same_networks("nets/net.npz", finished / "nets" / "net.npz")


def test_ctrl_c_where_nothing_is_kept(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_own()
    save("net.npz", small_network())
    monkeypatch.setattr(commands, "clean_score", interrupted)
    assert run("evaluate", "--network", "net.npz", "--data", "own.npz") == 130
    assert capsys.readouterr() == ("", "\nminilwa: interrupted.\n")


# --- progress bars ---


def on_a_terminal(arguments):
    """Exit status of a command whose stderr is a terminal, and what it wrote there."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # rows, columns
    command = [sys.executable, "-m", "minilwa", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while select.select([master], [], [], 60)[0]:
            try:
                shown += os.read(master, 65536)
            except OSError:  # Linux: the other end is closed
                break
    os.close(master)
    return process.returncode, shown.decode()


def test_progress_bars_on_a_terminal():
    write_own()
    save("net.npz", small_network())
    status, shown = on_a_terminal(["train", "--data", "own.npz", "--epochs", 2, "--batch", 40, "--out", "lwa.npz"])
    assert status == 0
    assert re.search(r"train lwa +: +100%\|.*400/400", shown)
    status, shown = on_a_terminal(["evaluate", "--network", "net.npz", "--data", "own.npz"])
    assert status == 0
    assert re.search(r"attack +: +100%\|.*120/120", shown)


def test_one_progress_bar_over_the_search_and_what_follows():
    write_own(shape=(16, 16))
    options = ["--data", "own.npz", "--protocol", "equal", "--epochs", 1, "--rate", 0.05, "--out", "out"]
    trials = 1 + 1 + 3 + 3 + 3  # of the three radii, where there is one; each is trained and measured
    everything = 2 * trials + 6 + 5  # six networks, one of them for the column "Fixed"
    for begun in (0, everything):
        status, shown = on_a_terminal(["reproduce", "table1", *options])
        assert status == 0
        assert shown.count("\n") == 1  # every bar ends its line
        assert re.search(rf"^\r *\d+%\|[^|]*\| {begun}/{everything} ", shown)
        assert re.search(rf"\r100%\|[^|]*\| {everything}/{everything} [^\r]*table1 LWA_Rep-seed0 measured\]\s*$", shown)
        shutil.rmtree("out/search/networks", ignore_errors=True)  # what was measured on them counts without


def test_a_signal_s_handler_is_put_back():
    """A notebook that calls `main` goes on to be ended by kill."""
    before = signal.getsignal(signal.SIGTERM)
    assert main(["data", "--data", "mnist5k"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("seed: got 7, expected none beside --seeds 1", ("table1", "--seed", "7", "--seeds", "1")),
        ("epochs: got 7, expected none given", ("first-epoch", "--epochs", "7")),
        ("form: got 'printed', expected none given", ("frontier", "--form", "printed")),
        ("dtype: got float64, expected float32", ("judge-table1", "--dtype", "float64")),
    ],
)
def test_options_that_could_have_no_effect_are_refused(message, options, refused):
    refused(message, "reproduce", *options, "--data", "own.npz", "--out", "out")


@pytest.mark.parametrize("what", ["figure2", "masking"])
def test_curves_over_no_epochs_are_refused(what, capsys):
    write_own("own.npz", shape=(16, 16))
    assert run("reproduce", what, "--epochs", "0", "--data", "own.npz", "--out", "out") == 2
    assert "epochs: got 0, expected a number >= 1" in capsys.readouterr().err
