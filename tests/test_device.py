"""On the stand-in for CuPy results are the host's, and loops transfer nothing but what they report.

Most tests of what computes are run on it a second time (`second_run.py`, `vjp_check.py`). Here is what those leave.
"""

import json
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import strict_cupy
from numpy.testing import assert_array_equal
from second_run import to_device, to_host
from strict_cupy import no_transfers, transfers

from minilwa import cli, conv
from minilwa.algorithms import algorithm_1
from minilwa.attacks import deepfool, fmn, lbfgs, noise, pgd, square
from minilwa.backend import asarray, device_of, namespace
from minilwa.checks import values_known
from minilwa.directions import adv_alpha, adv_loss, direction
from minilwa.evaluation import adversarial_images, attacked_scores, clean_score, predict
from minilwa.experiments import frontier, judge
from minilwa.jacobian import jacobian_rows
from minilwa.lazy import Search, lazy_algorithm_1
from minilwa.methods import METHODS, method
from minilwa.networks import cifar_net, create, lenet, mlp
from minilwa.norms import dual_length, rescale, steepest
from minilwa.propositions import proposition_2_1, proposition_2_1_stable, proposition_2_2
from minilwa.saving import load as load_network
from minilwa.training import Recipe, train
from minilwa.tree import leaves, tree_map

DTYPES = ("float32", "float64")
ALL_METHODS = [*METHODS.values(), method("LWA", along="adv_alpha"), method("LWA", along="adv_alpha", mixed="adv_loss")]
LAYERS = 3  # dense ones of `network`
PARAMETERS = 2 * LAYERS


@pytest.fixture(autouse=True)
def cupy():
    with strict_cupy.installed() as module:
        yield module


def network(rate=0.0, dtype="float32", device="cpu"):
    return mlp(144, 16, 12, 4, input_shape=(1, 12, 12), rate=rate, seed=1, dtype=dtype, device=device)


def digits(count=30, dtype="float32"):
    rng = np.random.default_rng(0)
    return rng.random((count, 1, 12, 12)).astype(dtype), rng.integers(0, 4, count)


def right_ones(net, count=30):
    x, _ = digits(count, net.dtype)
    return x, predict(net, x)


def same(found, expected):
    for one, other in zip(leaves(to_host(found)), leaves(expected), strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        assert_array_equal(one, other)


# --- the same results ------------------------------------------------------------------------------------------------

NETWORKS = {
    "mlp": network,
    "lenet": partial(lenet, (1, 16, 16), 3, seed=2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_seed_gives_the_same_network_on_the_device(name, dtype):
    net = NETWORKS[name](dtype=dtype, device="gpu")
    assert {device_of(p) for p in leaves(net.parameters)} == {"gpu"}
    same(net.parameters, NETWORKS[name](dtype=dtype).parameters)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("chosen", ALL_METHODS, ids=str)
def test_training_gives_the_same_bits_as_on_the_host(chosen, dtype, tmp_path):
    """With a checkpoint after the first epoch, from which the second run goes on."""
    x, y = digits(dtype=dtype)
    recipe = Recipe(epochs=2, batch=8, rate=0.01, seed=3)
    expected = train(network(chosen.dropout, dtype), x, y, chosen, recipe)
    path, seen = tmp_path / "net.npz", []

    def tick(images):
        seen.append(images)
        if sum(seen) > len(x):
            raise InterruptedError

    on_device = network(chosen.dropout, dtype, "gpu"), *to_device((x, y)), chosen, recipe, path
    with pytest.raises(InterruptedError):
        train(*on_device, tick)
    same(train(*on_device).parameters, expected.parameters)
    same(load_network(path).parameters, expected.parameters)
    same(load_network(path, device="gpu").parameters, expected.parameters)


ATTACKS = {
    "pgd": partial(pgd, radius=0.4, restarts=2, steps=12),
    "pgd linf": partial(pgd, radius=0.05, restarts=2, steps=12, norm="linf", clip=True),
    "pgd margin": partial(pgd, radius=0.4, restarts=1, steps=12, loss="margin"),
    "square": partial(square, radius=0.8, queries=30),
    "noise": partial(noise, radius=0.8),
    "deepfool": deepfool,
    "fmn": partial(fmn, steps=20),
    "lbfgs": partial(lbfgs, searches=2, steps=5),
    "adversarial images": partial(adversarial_images, along=direction("adv_alpha"), radius=0.4),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_give_the_same_bits_as_on_the_host(name):
    net = network()
    x, y = right_ones(net)
    expected = ATTACKS[name](net, x, y)
    assert (expected != x).any()
    same(ATTACKS[name](*to_device((net, x, y))), expected)


@pytest.mark.parametrize("along", ["adv_loss", "adv_loss_sign", "adv_alpha"])
def test_scores_are_those_of_the_host(along):
    net = network()
    x, y = right_ones(net, 300)
    y[::3] = (y[::3] + 1) % 4
    radii = [0.0, 0.1, 0.5]
    expected = attacked_scores(net, x, y, direction(along), radii)
    assert attacked_scores(*to_device((net, x, y)), direction(along), radii) == expected
    assert clean_score(*to_device((net, x, y))) == clean_score(net, x, y)
    assert all(type(score.correct) is int for score in expected)


def test_the_command_line_runs_on_the_device(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x, y = digits(40)
    np.savez("own.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    printed = {}
    for device in ("cpu", "gpu"):
        common = ["--data", "own.npz", "--device", device]
        assert cli.main(["train", *common, "--method", "LWA", "--epochs", "1", "--out", f"{device}.npz"]) == 0
        assert cli.main(["evaluate", "--network", f"{device}.npz", *common]) == 0
        printed[device] = capsys.readouterr().out.replace(device, "device")
    assert printed["cpu"] == printed["gpu"]


FEW_STEPS = {
    name: replace(judge.ATTACKS[name], run=partial(judge.ATTACKS[name].run, **settings))
    for name, settings in {
        "pgd": {"steps": 5, "restarts": 2},
        "pgd_margin": {"steps": 5, "restarts": 2},
        "square": {"queries": 10},
        "deepfool": {},
        "fmn": {"steps": 10},
        "lbfgs": {"searches": 1, "steps": 3},
    }.items()
}
SINGLE_STEPS = {name: attack for name, attack in judge.ATTACKS.items() if name.startswith("adv_")}
FEW_VARIANTS = {name: frontier.VARIANTS[name] for name in ("LWA", "LWA-mixture", "LWA-start", "PGD")}
TIMES = {"seconds", "step_seconds", "share"}


@pytest.mark.parametrize(
    ("experiment", "epochs"), [("figure1", "1"), ("factorial", "4"), ("judge-table1", "1"), ("frontier", "2")]
)
def test_experiments_measure_the_same_on_the_device(experiment, epochs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judge, "ROWS", ("Normal", "LWA_Rep"))
    monkeypatch.setattr(judge, "ATTACKS", SINGLE_STEPS | FEW_STEPS)
    monkeypatch.setattr(judge, "pgd", FEW_STEPS["pgd"].run)
    monkeypatch.setattr(frontier, "ATTACKED_BY", FEW_STEPS)
    monkeypatch.setattr(frontier, "VARIANTS", FEW_VARIANTS)
    x, y = np.random.default_rng(0).random((40, 1, 16, 16)), np.arange(40) % 4
    np.savez("own.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    found = {}
    for device in ("cpu", "gpu"):
        options = ["--data", "own.npz", "--device", device, "--epochs", epochs, "--out", device]
        assert cli.main(["reproduce", experiment, *options]) == 0
        records = sorted(Path(device, experiment).glob("*.json"))
        found[device] = [json.loads(record.read_text()) for record in records]
        assert all(record.pop(key) > 0 for record in found[device] for key in TIMES & set(record))
    assert found["cpu"]
    assert found["cpu"] == found["gpu"]


# --- what is transferred ---------------------------------------------------------------------------------------------


STEPS = {"mlp": (network, 52), "lenet": (partial(lenet, (1, 16, 16), 4), 163)}  # and the kernels of a step


@pytest.mark.parametrize("name", STEPS)
def test_a_step_launches_few_kernels_whatever_the_batch(name):
    """At small batches these are what it costs: element by element, what can be one kernel is one."""
    make, most = STEPS[name]
    for batch in (2, 10):
        launched = []
        for steps in (1, 3):
            net = make()
            x, y = np.zeros((batch * steps, *net.input_shape), np.float32), np.arange(batch * steps) % 4
            on_device = to_device((net, x, y))
            strict_cupy.LAUNCHED.clear()
            train(*on_device, METHODS["Normal"], Recipe(epochs=1, batch=batch))
            launched.append(strict_cupy.LAUNCHED["kernels"])
        assert (launched[1] - launched[0]) / 2 <= most


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (partial(lenet, (1, 16, 16), 4), 2),  # the images, and the gradient where the dense layers begin
        (partial(cifar_net, (3, 16, 16), 4), 3),  # and what folds back of a convolution with padding
    ],
)
def test_a_convolution_copies_no_more_than_on_the_host(make, most, monkeypatch):
    """Element-wise results lie as their arguments do, so that batch-last images stay batch-last."""
    copied, batch_last = [], conv.batch_last

    def watched(images):
        found = batch_last(images)
        copied.append(not namespace(images).may_share_memory(found, images))
        return found

    monkeypatch.setattr(conv, "batch_last", watched)
    net = make()
    given = net, np.random.default_rng(0).random((4, *net.input_shape), dtype=np.float32), np.arange(4)
    for arrays in (given, to_device(given)):
        copied.clear()
        train(*arrays, METHODS["Normal"], Recipe(epochs=1, batch=4))
        assert sum(copied) == most


def of_training(chosen, batch, epochs, net=network, crop=0):
    on_device = net(chosen.dropout, device="gpu"), *to_device(digits())
    with transfers() as found:
        train(*on_device, chosen, Recipe(epochs=epochs, batch=batch, rate=0.01, crop=crop))
    return found


CHECKS = {"item checks.finite": 1, "item checks.check_labels": 2}
BEFORE = CHECKS | {"nonzero common.on_the_right": 1}  # an attack's first step


@pytest.mark.parametrize("chosen", METHODS.values(), ids=str)
def test_a_training_step_transfers_nothing(chosen):
    """An epoch sends its shuffle, and asks whether the parameters are finite, however many steps it has."""
    for batch, epochs in ((30, 1), (8, 1), (3, 2)):
        expected = dict(CHECKS) | {"asarray training.shuffled_batches": epochs}
        expected["item checks.finite"] += epochs * PARAMETERS
        assert of_training(chosen, batch, epochs) == expected


def test_crops_are_the_same_and_sent_once_an_epoch():
    def net(rate, device):
        return mlp(81, 8, 4, input_shape=(1, 9, 9), rate=rate, seed=1, device=device)

    recipe = Recipe(epochs=2, batch=8, rate=0.01, crop=9)
    expected, found = (
        train(net(0, device), *(arrays if device == "cpu" else to_device(arrays)), METHODS["Normal"], recipe).parameters
        for device, arrays in (("cpu", digits()), ("gpu", digits()))
    )
    same(found, expected)
    for batch, epochs in ((30, 1), (8, 2)):
        found = of_training(METHODS["Normal"], batch, epochs, net, crop=9)
        assert found.pop("asarray data.random_places") == epochs
        checked = CHECKS | {"item checks.finite": 1 + 4 * epochs}  # the images, and four parameters
        assert found == checked | {"asarray training.shuffled_batches": epochs}


def test_without_a_network_in_between_nothing_is_transferred(cupy):
    rng = np.random.default_rng(0)
    z, J, v = to_device([rng.normal(size=shape) for shape in ((5, 4), (5, 4, 7), (5, 7))])
    with no_transfers():
        for norm in ("l1", "l2", "linf", 3, 1.5):
            steepest(v, norm), dual_length(v, norm), rescale(v, 0.5, norm)
            for form in (proposition_2_1, proposition_2_1_stable):
                nearest, found = proposition_2_2(form(z, J, norm))
                assert type(nearest) is type(found.r) is cupy.ndarray


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_and_directions_transfer_nothing(name):
    net = NETWORKS[name](device="gpu")
    x = asarray(np.random.default_rng(0).random((4, *net.input_shape)), device="gpu")
    with no_transfers():
        y = net(x).argmax(axis=-1)
        jacobian_rows(net, x)
        jacobian_rows(net.logits, x, chunk=2)
        with values_known():
            for form in ("stable", "printed"):
                adv_loss(net, x, y, form=form)
            adv_alpha(net, x, y, form="printed")
    with transfers() as found:
        jacobian_rows(net, x, rows=[2, 0], chunk=1)
    assert found == {"asarray jacobian.jacobian_rows": 1}  # which rows


@pytest.mark.parametrize("form", ["stable", "printed"])
def test_algorithm_1_transfers_the_answer_of_its_check(form):
    with transfers() as found:
        algorithm_1(*to_device((network(), digits()[0])), form=form)
    assert found == {"item checks.finite": 1}


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_lazy_search_asks_which_samples_are_left_and_how_many_rows_to_pull(norm, monkeypatch):
    """Its rounds depend on what they find: that is a question twice a round, and two for what to pull."""
    calls = {"unproven": 0, "next_turns": 0}
    for name in calls:
        monkeypatch.setattr(Search, name, counted(calls, name, getattr(Search, name)))
    net = create(network().layers[:-2] + mlp(12, 40).layers[1:], (1, 12, 12), seed=1)
    net, x = to_device((net.with_parameters(tree_map(lambda p: 2 * p, net.parameters)), digits(20)[0]))
    for expected in ({"get bounds.recall": 2}, {"item bounds.recall": 2}):  # weights; how far they are from those
        calls |= dict.fromkeys(calls, 0)
        with transfers() as found:
            lazy_algorithm_1(net, x, norm)
        assert calls["next_turns"] >= 1
        rounds = {
            "nonzero lazy.unproven": calls["unproven"],
            "nonzero lazy.next_turns": calls["next_turns"],
            "get lazy.next_turns": calls["next_turns"],
        }
        assert found == rounds | expected | {"item checks.finite": 1}


def counted(calls, name, function):
    def count(*args):
        calls[name] += 1
        return function(*args)

    return count


def test_a_step_of_pgd_transfers_nothing_but_every_tenth():
    net = network(device="gpu")
    x, y = to_device(right_ones(network()))
    found = []
    for steps in (1, 8, 9, 29):
        with transfers() as counted:
            pgd(net, x, y, radius=0.0, steps=steps, restarts=1)
        found.append(counted)
    start = BEFORE | {"nonzero pgd.attacker": 1}
    assert found[0] == found[1] == start
    assert found[2] == start | {"nonzero pgd.attacker": 2}
    assert found[3] == start | {"nonzero pgd.attacker": 4}


def test_a_query_of_square_asks_who_is_left_and_sends_what_it_draws():
    net = network(device="gpu")
    x, y = to_device(right_ones(network()))
    for queries in (2, 11, 31):
        with transfers() as found:
            square(net, x, y, radius=0.0, queries=queries)
        each = {"nonzero square.attacker": queries - 1, "asarray square.attacker": queries}  # the pattern, once
        assert found == BEFORE | {"asarray square.tiles": 1} | each


def test_a_step_of_deepfool_asks_who_is_left_and_one_of_fmn_nothing():
    net = network(device="gpu")
    x, y = to_device(right_ones(network()))
    for steps in (1, 2, 3):
        with transfers() as found:
            deepfool(net, x, y, steps=steps)
        assert found == BEFORE | {"mask deepfool.attacker": steps}
        with transfers() as found:
            fmn(net, x, y, steps=steps)
        assert found == BEFORE


def test_scores_are_read_once():
    """However many images: the counts at two radii, and that of the zeros."""
    net = network(device="gpu")
    for count in (30, 600):
        x, y = to_device(right_ones(network(), count))
        with transfers() as found:
            attacked_scores(net, x, y, direction("adv_loss"), [0.1, 0.2])
        assert found == CHECKS | {"item evaluation.attacked_scores": 3}


# --- memory, which the host counts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "largest"),
    [
        (partial(mlp, 784, 300, 200, 40, input_shape=(1, 28, 28)), 784),
        (partial(lenet, classes=40), 20 * 5 * 5 * 8 * 8),  # the columns of the second convolution
        (partial(cifar_net, (3, 16, 16), 40), 64 * 5 * 5 * 8 * 8),
    ],
)
def test_a_chunk_keeps_the_rows_within_a_budget(make, largest):
    net = make()
    x = np.random.default_rng(0).random((5, *net.input_shape), dtype=np.float32)

    def peak(chunk):
        tracemalloc.start()
        jacobian_rows(net.logits, x, chunk=chunk)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    least = peak(1)
    for chunk in (8, 16):
        budget = least + 3 * chunk * len(x) * largest * x.itemsize
        assert least < peak(chunk) <= budget
