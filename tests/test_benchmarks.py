"""The benchmarks: their cases are labelled right, disagreement stops them, a missing peer is null. Nothing is timed."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import strict_cupy

import minilwa

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
KEYS = ["gradient", "jacobian_loop", "jacobian", "algorithm1_full", "algorithm1_lazy"]
PEERS = ["torch_loop", "torch_jacrev", "torch_compile", "jax_jacrev", "autograd_loop"]


@pytest.fixture
def modules(monkeypatch):
    """Imports of a benchmark's module by name, as the scripts beside it see them."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return pytest.importorskip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a benchmark where torch and JAX are not installed: its standard output, and the JSON."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in ("torch", "jax"):
        (folder / f"{name}.py").write_text(f"raise ImportError('no {name} here')")

    def run(script, *arguments):
        command = [sys.executable, BENCHMARKS / script, "--networks", folder, "--json", folder / "out.json"]
        small = ["--quick", "--kind", "mlp", "--batch", "10", "--epochs", "1", "--threads", "1"]
        paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": paths}
        found = subprocess.run(
            [*command, *small, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=folder
        )
        assert found.returncode == 0, found.stderr
        return found.stdout, json.loads((folder / "out.json").read_text())

    return run


def test_mnist_is_prepared_otherwise_without_loss(modules):
    prepare, pixels = modules("prepare_mnist"), np.random.default_rng(0).random((70, 1, 2, 2), dtype=np.float32)
    data = minilwa.Dataset("mnist", pixels[:60], np.arange(60), pixels[60:], np.arange(60, 70))
    found = prepare.drawn(data)
    assert (len(found["x_train"]), len(found["x_test"])) == (50, 10)
    labels = np.concatenate([found["y_train"], found["y_test"]])
    assert len(set(labels)) == 60
    assert set(found["y_train"]) & set(range(60, 70))  # test images among the training images
    assert set(found["y_test"]) & set(range(60))
    assert np.array_equal(np.concatenate([found["x_train"], found["x_test"]]), pixels[labels])
    found = prepare.centred(data)
    mean = pixels[:60].mean(axis=0)
    assert abs(found["x_train"].mean(axis=0)).max() < 1e-6
    np.testing.assert_allclose(found["x_test"] + mean, pixels[60:], atol=1e-6)


def test_digits_side_by_side_are_averaged_and_read_from_the_left(modules):
    images = np.arange(10, dtype=np.float32)[:, None, None, None] + np.zeros((1, 2, 6), dtype=np.float32)
    for places in (2, 3):
        pictures, labels = modules("cases").side_by_side(images, np.arange(10), places, count=50, seed=0)
        assert pictures.shape == (50, 1, 2, 6)
        assert pictures.dtype == np.float32
        digits = pictures[:, 0, 0, :: 6 // places]  # each digit's image is its own value, and 6 / places wide
        assert (labels == [int("".join(str(int(digit)) for digit in row)) for row in digits]).all()
        assert (pictures == np.repeat(digits, 6 // places, axis=1)[:, None, None]).all()
        assert len(set(labels)) > 20


def test_columns_that_fall_together_are_averaged(modules):
    image = np.arange(6, dtype=np.float32).reshape(1, 1, 1, 6)
    assert modules("cases").side_by_side(image, np.array([7]), 2, 1, 0)[0].ravel().tolist() == [0.5, 2.5, 4.5] * 2
    pictures, labels = modules("cases").side_by_side(image, np.array([7]), 3, 1, 0)
    assert pictures.ravel().tolist() == [1, 4] * 3
    assert labels.tolist() == [777]


def test_data_of_every_case(modules):
    data, digits = minilwa.load_data(), modules("cases").digits
    assert (digits(2).y_test == data.y_test % 2).all()
    assert (digits(10).y_train == data.y_train).all()
    for classes, count in ((100, 10_000), (1_000, 40_000)):
        made = digits(classes)
        assert made.x_train.shape == (count, 1, 28, 28)
        assert made.x_train.dtype == np.float32
        assert sorted(set(made.y_train)) == list(range(classes))
        assert made.x_test.shape == (2_000, 1, 28, 28)
        assert abs(made.x_test.mean() - data.x_test.mean()) < 0.005  # averaging keeps the brightness


def test_a_trained_network_is_kept_and_made_anew_for_other_data(modules, tmp_path):
    cases, data = modules("cases"), minilwa.load_data()
    few, others = (
        minilwa.Dataset("few", data.x_train[part], data.y_train[part], data.x_test, data.y_test)
        for part in (slice(200), slice(200, 400))
    )
    network, path = cases.trained("lenet", 10, few, 1, tmp_path)
    written = path.stat().st_mtime_ns
    again, _ = cases.trained("lenet", 10, few, 1, tmp_path)
    assert path.stat().st_mtime_ns == written
    assert (again(data.x_test[:5]) == network(data.x_test[:5])).all()
    cases.trained("lenet", 10, others, 1, tmp_path)
    assert path.stat().st_mtime_ns > written


class Answers:
    """Stands for a worker whose answers are given."""

    def __init__(self, **arrays):
        self.arrays = arrays

    def ask(self, do, key, path):
        np.savez(path, **self.arrays)
        return 0.0


def perturbed(**changes):
    arrays = {"nearest": np.arange(40), "direction": np.ones((40, 3)), "log_distance": np.zeros(40)}
    return Answers(**arrays | {"rows": np.full(40, 2)} | changes)


@pytest.mark.parametrize(
    ("changed", "answers", "message"),
    [
        ("jacobian", Answers(T=np.full((40, 2, 3), 1.001)), "T of jacobian"),
        ("algorithm1_lazy", perturbed(nearest=np.arange(40) // 2, log_distance=np.full(40, 1.0)), "log distance"),
        ("algorithm1_lazy", perturbed(direction=-np.ones((40, 3))), "direction"),
        ("jacobian", Answers(T=np.full((40, 2, 3), np.nan)), "T of jacobian"),
    ],
)
def test_other_answers_stop_the_comparison(modules, tmp_path, changed, answers, message):
    T = Answers(T=np.ones((40, 2, 3)))
    who = {"jacobian_loop": T, "jacobian": T, "algorithm1_full": perturbed(), "algorithm1_lazy": perturbed()}
    jacobian_cost, path = modules("jacobian_cost"), tmp_path / "answer.npz"
    assert jacobian_cost.compare(who, path)[1].tolist() == [2] * 40
    with pytest.raises(modules("worker").Failed, match=message):
        jacobian_cost.compare(who | {changed: answers}, path)


def test_jacobian_cost(run, tmp_path):
    out, result = run("jacobian_cost.py", "--classes", "10", "--figure", tmp_path / "cost.png")
    assert "torch is left out: no torch here" in out
    assert "jax is left out: no jax here" in out
    assert result["machine"]["torch"] is None
    assert result["machine"]["numpy"] == np.__version__
    (case,) = result["cases"]
    assert (case["network"], case["classes"], case["batch"]) == ("mlp", 10, 10)
    assert list(case["seconds"]) == list(case["peak_bytes"]) == KEYS + PEERS
    timed = {key for key, seconds in case["seconds"].items() if seconds is not None}
    assert timed == {*KEYS, "autograd_loop"}
    assert all(case["seconds"][key] > 0 and case["calls"][key] >= 3 for key in timed)
    if sys.platform == "linux":
        assert {key for key, peak in case["peak_bytes"].items() if peak is not None} == timed
    assert 0.5 < case["accuracy"] < 1
    assert 2 <= case["rows_mean"] <= case["rows_max"] <= 10
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


def test_training_step(run):
    out, result = run("training_step.py", "--method", "normal", "lwa_alpha")
    assert "torch is left out: no torch here" in out
    assert [(case["network"], case["method"]) for case in result["cases"]] == [("mlp", "normal"), ("mlp", "lwa_alpha")]
    for case in result["cases"]:
        assert list(case["seconds"]) == ["minilwa", "torch", "torch_compile", "jax"]
        assert case["seconds"]["minilwa"] > 0
        assert case["seconds"]["torch"] is case["seconds"]["jax"] is None


@pytest.mark.parametrize("script", ["jacobian_cost.py", "training_step.py"])
def test_help_and_wrong_options(script):
    command = [sys.executable, BENCHMARKS / script]
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert f"python benchmarks/{script} --quick" in helped.stdout.split("Examples:")[1]
    assert "TF32 is off for all" in " ".join(helped.stdout.split())
    wrong = subprocess.run([*command, "--batch", "0"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "0 is not a number >= 1" in wrong.stderr
    assert "Traceback" not in wrong.stderr


# --- on a GPU, which none of this needs ------------------------------------------------------------------------------


class FakeCuda:
    """The part of `cupy.cuda` that a benchmark takes: events that tell when they were reached, in milliseconds."""

    def __init__(self):
        self.now, self.told, self.hooks = 0.0, [], []
        fake = self

        class Event:
            def record(self):
                self.at = fake.now
                fake.told.append("record")

            def synchronize(self):
                fake.told.append("synchronize")

        class MemoryHook:
            def __enter__(self):
                fake.hooks.append(self)
                return self

            def __exit__(self, *exception):
                fake.hooks.remove(self)

        self.Event, self.MemoryHook = Event, MemoryHook

    def get_elapsed_time(self, start, end):
        return end.at - start.at

    def compute(self, milliseconds):
        self.now += milliseconds
        self.told.append("call")
        return "result"

    def allocate(self, *sizes):
        for size in sizes:
            for hook in self.hooks:
                keywords = {"device_id": 0, "mem_size": abs(size), "mem_ptr": 1, "pmem_id": 1}
                if size > 0:
                    hook.malloc_postprocess(**keywords, size=size)
                else:
                    hook.free_postprocess(**keywords)


@pytest.fixture
def fake_gpu(modules, monkeypatch):
    meters, cuda = modules("meters"), FakeCuda()
    monkeypatch.setattr(meters, "device_namespace", lambda device: types.SimpleNamespace(cuda=cuda, asnumpy=np.asarray))
    return cuda, meters.meter("minilwa", "gpu")


def test_a_gpu_s_time_is_between_two_events_around_the_call(fake_gpu):
    cuda, meter = fake_gpu
    assert meter.seconds(lambda: cuda.compute(20)) == (0.02, "result")
    assert cuda.told == ["record", "call", "record", "synchronize"]


def test_a_gpu_s_peak_is_what_is_in_use_at_most(fake_gpu):
    cuda, meter = fake_gpu
    cuda.allocate(1 << 20)  # before the call
    assert meter.peak(lambda: cuda.allocate(512, 1024, -512, 256, -1024, 512)) == 1536
    assert not cuda.hooks


def test_a_turn_on_a_gpu_starts_with_a_call_that_is_not_counted(modules):
    asked = []
    worker = types.SimpleNamespace(ask=lambda do, key, calls, warm: asked.append(warm) or [1.0] * calls)
    for device in ("gpu", "cpu"):
        chosen = types.SimpleNamespace(rounds=1, quick=False, seconds=60, device=device)
        modules("timing").take_turns({"key": worker}, {"key": 1.0}, chosen, calls=1)
    assert asked == [True, False]


@pytest.mark.parametrize("kind", ["mlp", "lenet"])
def test_what_is_timed_on_a_gpu_is_what_is_timed_here(modules, tmp_path, kind):
    """On the stand-in for CuPy: the case is sent there once, the calls return its arrays, of the same numbers."""
    cases, contender = modules("cases"), modules("contender_minilwa")
    data = minilwa.load_data()
    network = {"mlp": minilwa.mlp(784, 20, 10, input_shape=(1, 28, 28)), "lenet": minilwa.lenet()}[kind]
    minilwa.save(tmp_path / "network.npz", network)
    images = cases.write_images(tmp_path / "images.npz", data.x_train[:6], data.y_train[:6])
    found = {}
    with strict_cupy.installed() as cupy:
        for device, library in (("cpu", np), ("gpu", cupy)):
            case = cases.Case.read(str(tmp_path / "network.npz"), str(images), 4, device)
            calls = contender.jacobian(case) | {name: contender.training(case, name, 3) for name in cases.METHODS}
            results = {key: call() for key, call in calls.items()}
            assert all(type(a) is library.ndarray for result in results.values() for a in result.values())
            found[device] = {(k, name): minilwa.to_numpy(a) for k, r in results.items() for name, a in r.items()}
    assert len(found["cpu"]) > 20
    for key, expected in found["cpu"].items():
        near = 1e-5 * np.abs(expected).max()  # arrays lie otherwise there, so sums are rounded otherwise
        np.testing.assert_allclose(found["gpu"][key], expected, atol=near, rtol=0, err_msg=str(key))


@pytest.mark.parametrize("script", ["jacobian_cost.py", "training_step.py"])
def test_without_a_gpu_one_sentence_says_so(script, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('no cupy here')")
    command = [sys.executable, BENCHMARKS / script, "--device", "gpu"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr.startswith('error: device: got "gpu" (no cupy here), expected a working CUDA device and CuPy.')
    assert found.stderr.count("\n") == 1


def test_an_engine_that_sees_no_gpu_is_left_out(modules):
    with modules("worker").Worker("autograd", 1, "gpu") as worker:
        version, missing = worker.greet()
    assert version is None
    assert missing == "autograd knows no GPU"
