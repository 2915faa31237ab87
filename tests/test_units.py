"""Units of work: side by side with the same bits, on a Dask cluster, killed and resumed, refused if of another plan."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

from minilwa.cli import main
from minilwa.errors import InputError
from minilwa.experiments import runs
from minilwa.experiments.protocols import PROTOCOLS, Plan
from minilwa.saving import epochs_done

ROWS = ["Normal", "Dropout", "Goodfellow", "LWA", "LWA_Rep"]
SHORT = ["table1", "--protocol", "paper", "--seeds", "2", "--epochs", "2", "--batch", "25"]


def write_images(path, shape=(16, 16)):
    """240 images of three patterns under noise, bytes."""
    rng = np.random.default_rng(7)
    y = np.arange(240) % 3
    x = (rng.integers(0, 128, (3, *shape))[y] + rng.integers(0, 128, (240, *shape))).astype(np.uint8)
    np.savez(path, x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with own.npz, and out/ of a run with one job that nothing interrupted."""
    folder = tmp_path_factory.mktemp("units")
    write_images(folder / "own.npz")
    assert main(["reproduce", *SHORT, "--data", str(folder / "own.npz"), "--out", str(folder / "out")]) == 0
    return folder


def command(folder, out):
    return ["reproduce", *SHORT, "--data", str(folder / "own.npz"), "--jobs", "2", "--out", str(out)]


def files(folder):
    """All bytes that a run leaves, but for the configuration, which tells versions."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_jobs_leave_the_same_bytes_as_one(finished, tmp_path):
    assert main(command(finished, tmp_path / "out")) == 0
    assert files(tmp_path / "out") == files(finished / "out")


def test_a_dask_cluster_leaves_the_same_bytes(finished, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        assert main(command(finished, tmp_path / "out")) == 0
        workers = client.run(lambda: "minilwa.experiments.tables" in sys.modules)
    assert list(workers.values()) == [True, True]
    assert files(tmp_path / "out") == files(finished / "out")


PROGRAM = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
PROGRAM += "from minilwa.cli import main; sys.exit(main())"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_side_by_side_runs_go_on_after_a_signal(kind, finished, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command(finished, out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(out.glob("networks/mlp-Dropout-*.npz")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    os.killpg(process.pid, kind)  # as Ctrl-C does, workers and all
    shown, said = process.communicate()
    if kind == signal.SIGINT:
        hint = "\nminilwa: interrupted; the same command goes on from the last whole epoch.\n"
        assert (process.returncode, shown, said) == (130, "", hint)
    assert not (out / "table1.json").exists()
    assert main(command(finished, out)) == 0
    whole = {name: content for name, content in files(out).items() if not name.name.startswith(".")}
    assert whole == files(finished / "out")


def processes_of(session):
    """The worker processes of a session that are running, without those that only wait to be collected."""
    shown = subprocess.run(["ps", "-s", str(session), "-o", "stat=,args="], capture_output=True, text=True, check=False)
    return [line for line in shown.stdout.splitlines() if "LokyProcess" in line and not line.startswith("Z")]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ps -s")
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_program(kind, finished, tmp_path):
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", PROGRAM, *command(finished, out), "--epochs", "100000"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        while not list(out.glob("networks/mlp-Normal-*.npz")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        process.send_signal(kind)
        process.wait(20)
        for _ in range(400):
            if not processes_of(process.pid):
                break
            time.sleep(0.05)
        left = processes_of(process.pid)
        if left:
            os.killpg(process.pid, signal.SIGKILL)
    assert left == []


@pytest.mark.skipif(os.name != "posix", reason="asks by signal 0")
def test_work_for_a_program_that_has_ended_does_not_begin():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with pytest.raises(RuntimeError), runs.ended_with((platform.node(), ended.pid)):
        pytest.fail("it began")
    for caller in (("another machine", ended.pid), (platform.node(), os.getpid())):
        with runs.ended_with(caller):
            pass


def test_what_is_done_is_not_done_again(finished, monkeypatch):
    import minilwa.training

    def trained_again(*_):
        raise AssertionError

    monkeypatch.setattr(minilwa.training.Method, "epoch", trained_again)
    before = {path: path.stat().st_mtime_ns for path in (finished / "out").glob("*/*")}
    assert main([*command(finished, finished / "out"), "--jobs", "1"]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize(("jobs", "beside"), [(1, 0), (2, 1), (3, 2), (8, 3)])
def test_no_worker_waits_for_what_several_units_need(jobs, beside, tmp_path, monkeypatch):
    setting = runs.Setting(runs.Source("mnist5k"), tmp_path)
    plans = [PROTOCOLS["quick"].plan("mlp", "Normal", seed=seed) for seed in range(4)]
    units = [runs.Unit("table1", plan, dict, (plans[3],)) for plan in plans[:3]]
    done = []
    monkeypatch.setattr(runs, "do_training", lambda plan, *_: done.append(plan))
    monkeypatch.setattr(runs, "do_unit", lambda unit, *_: done.append(unit))
    with joblib.parallel_config(backend="threading"):
        runs.run_units(setting, units, jobs)
    assert sorted(done[:-3], key=lambda plan: plan.recipe.seed) == [*plans[:beside], plans[3]]
    assert set(done[-3:]) == set(units)


def test_another_seed_goes_beside(finished, tmp_path):
    arguments = [*command(finished, tmp_path / "out"), "--jobs", "1"]
    assert (
        main([word if word != "2" or arguments[i - 1] != "--seeds" else "1" for i, word in enumerate(arguments)]) == 0
    )
    one = files(tmp_path / "out")
    assert main(arguments) == 0
    both = files(tmp_path / "out")
    assert both == files(finished / "out")
    summaries = {Path("table1.json"), Path("table1.md")}
    assert {name: content for name, content in both.items() if name in one.keys() - summaries} == {
        name: content for name, content in one.items() if name not in summaries
    }


def test_measurements_of_another_training_are_refused(finished, tmp_path, capsys):
    import shutil

    shutil.copytree(finished / "out", tmp_path / "out")
    path = tmp_path / "out" / "table1" / "LWA-seed1.json"
    record = json.loads(path.read_text())
    record["plan"]["method"]["radius"] = 3.0
    path.write_text(json.dumps(record))
    assert main(command(finished, tmp_path / "out")) == 2
    assert "LWA-seed1.json, of a network trained otherwise" in capsys.readouterr().err
    path.write_text("{")
    assert main(command(finished, tmp_path / "out")) == 2
    assert "expected measurements that minilwa wrote" in capsys.readouterr().err


def test_a_failure_in_a_worker_is_one_line(finished, tmp_path, capfd):
    assert main([*command(finished, tmp_path / "out"), "--rate", "1e9", "--epochs", "9"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("minilwa: error: rate: got 1000000000.0")
    assert err.count("\n") == 1


def test_rows_are_those_of_the_papers_protocol(finished):
    rows = json.loads((finished / "out" / "table1.json").read_text())["rows"]
    assert [(row["method"], row["seed"]) for row in rows] == [(name, seed) for name in ROWS for seed in (0, 1)]
    widths = {"Normal": 100, "Dropout": 200, "Goodfellow": 500, "LWA": 500, "LWA_Rep": 1000}
    for row in rows:
        record = finished / "out" / "table1" / f"{row['method']}-seed{row['seed']}.json"
        plan = Plan.read(json.loads(record.read_text())["plan"])
        assert plan.widths == (widths[row["method"]],) * 2
        assert plan.scale == 0.07
        assert (plan.method.form, plan.recipe.momentum) == ("printed", 0)
        assert plan.recipe.rate == 0.1
        assert epochs_done(finished / "out" / "networks" / f"{plan.name}.npz") == 2


def test_recipe_of_the_paper():
    recipe = PROTOCOLS["paper"].plan("mlp", "Normal", seed=0).recipe
    assert [round(recipe.sgd(epoch).rate, 9) for epoch in range(25)] == [0.1] * 15 + [0.01] * 10
    assert PROTOCOLS["paper"].plan("mlp", "LWA", seed=0).method.radius == 1.7
    assert PROTOCOLS["paper"].plan("lenet", "LWA", seed=0).method.radius == 1.2


def test_errors_cross_processes():
    import pickle

    error = pickle.loads(pickle.dumps(InputError("rate", 3, "less", "Be slow.")))
    assert (str(error), error.argument) == ("rate: got 3, expected less. Be slow.", "rate")


def test_another_file_of_the_same_name_is_refused(finished, tmp_path, capsys):
    shutil.copytree(finished / "out", tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere/own.npz"
    with np.load(finished / "own.npz") as arrays:
        np.savez(other, **{**arrays, "y_test": arrays["y_test"][::-1]})
    before = files(tmp_path / "out")
    assert main(["reproduce", *SHORT, "--data", str(other), "--out", str(tmp_path / "out")]) == 2
    assert "holds runs with other fingerprint" in capsys.readouterr().err
    assert files(tmp_path / "out") == before


def test_an_option_counts_although_the_protocol_says_the_same(finished, tmp_path, capsys):
    """The rows of a table have settings of their own, which an option replaces."""
    shutil.copytree(finished / "out", tmp_path / "out")
    rate = str(PROTOCOLS["paper"].recipe.rate)
    assert main([*command(finished, tmp_path / "out"), "--rate", rate]) == 2
    assert "holds runs with other options" in capsys.readouterr().err


def test_a_configuration_of_an_earlier_version_is_taken(finished, tmp_path):
    shutil.copytree(finished / "out", tmp_path / "out")
    path = tmp_path / "out/config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in config.items() if key not in runs.LATER}))
    assert main(command(finished, tmp_path / "out")) == 0
    assert json.loads(path.read_text()) == config
