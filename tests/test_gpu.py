"""On a GPU, with CuPy itself: results are the host's within rounding. ``pytest -m gpu``; skipped without one.

With ``-m gpu`` the tests that `second_run.py` lists are run on CuPy too, as they are.
"""

import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from minilwa.algorithms import algorithm_1, loss_gradient
from minilwa.attacks import deepfool, fmn, pgd
from minilwa.backend import asarray, device_of, like, to_numpy
from minilwa.directions import direction
from minilwa.evaluation import attacked_scores, predict
from minilwa.jacobian import jacobian_rows
from minilwa.lazy import lazy_algorithm_1
from minilwa.methods import METHODS, method
from minilwa.networks import cifar_net, lenet, mlp
from minilwa.norms import dual_length, length, steepest
from minilwa.propositions import proposition_2_1, proposition_2_1_stable
from minilwa.saving import load, save
from minilwa.training import Recipe, shuffled_batches, train
from minilwa.tree import leaves, tree_map

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

DTYPES = ("float32", "float64")
# sums of some hundred products, in another order, through a few layers; relative to the largest entry of a result
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
NETWORKS = {
    "mlp": partial(mlp, 784, 64, 32, 10, input_shape=(1, 28, 28)),
    "lenet": lenet,
    "cifar_net": cifar_net,
}


def batch(network, count=8):
    rng = np.random.default_rng(0)
    x = rng.random((count, *network.input_shape)).astype(network.dtype)
    return x, rng.integers(0, 10, count)


def there(network, *arrays):
    """A network and arrays on the GPU."""
    moved = network.with_parameters(tree_map(lambda a: like(a, asarray([0.0], device="gpu")), network.parameters))
    return moved, *(like(a, leaves(moved.parameters)[0]) for a in arrays)


def close(found, expected, dtype):
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        assert device_of(one) == "gpu"
        assert one.dtype == other.dtype
        largest = np.abs(other[np.isfinite(other)]).max(initial=0)
        assert_allclose(to_numpy(one), other, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * largest)


every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_network = pytest.mark.parametrize("name", NETWORKS)


@every_dtype
@every_network
def test_a_seed_gives_the_same_network(name, dtype):
    ours, theirs = (NETWORKS[name](dtype=dtype, seed=3, device=device) for device in ("cpu", "gpu"))
    for a, b in zip(leaves(ours.parameters), leaves(theirs.parameters), strict=True):
        assert_array_equal(a, to_numpy(b))


def test_a_seed_gives_the_same_batches():
    x, y = batch(NETWORKS["mlp"](), 30)
    moved = like(x, asarray([0.0], device="gpu")), like(y, asarray([0.0], device="gpu"))

    def batches(x, y):
        return shuffled_batches(x, y, Recipe(batch=8), np.random.default_rng(5), lambda images: None)

    for one, other in zip(batches(x, y), batches(*moved), strict=True):
        for a, b in zip(one, other, strict=True):
            assert_array_equal(a, to_numpy(b))


@every_dtype
@every_network
def test_outputs_rows_and_gradients(name, dtype):
    net = NETWORKS[name](dtype=dtype)
    x, y = batch(net)
    moved = there(net, x, y)
    for function in ("logits", "__call__"):
        close(jacobian_rows(getattr(moved[0], function), moved[1]), jacobian_rows(getattr(net, function), x), dtype)
    close(loss_gradient(*moved), loss_gradient(net, x, y), dtype)


@every_dtype
@pytest.mark.parametrize("norm", ["l1", "l2", "linf", 3, 1.5])
def test_norms_and_propositions(norm, dtype):
    rng = np.random.default_rng(1)
    z, J, v = (rng.normal(size=shape).astype(dtype) for shape in ((6, 5), (6, 5, 9), (6, 9)))
    v[0] = 0
    z[1] = 0  # an exact tie
    J[2] = 0  # rows without a direction
    at_gpu = [like(a, asarray([0.0], device="gpu")) for a in (z, J, v)]
    for function in (steepest, length, dual_length):
        close(function(at_gpu[2], norm), function(v, norm), dtype)
    for function in (proposition_2_1, proposition_2_1_stable):
        with np.errstate(invalid="ignore"):
            close(tuple(function(*at_gpu[:2], norm)), tuple(function(z, J, norm)), dtype)


@every_dtype
@every_network
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_algorithm_1_full_and_lazy(norm, name, dtype):
    net = NETWORKS[name](dtype=dtype)
    x, _ = batch(net)
    moved = there(net, x)
    expected, candidate = algorithm_1(net, x, norm)
    for nearest, found in (algorithm_1(*moved, norm), lazy_algorithm_1(*moved, norm)[1:3]):
        assert_array_equal(to_numpy(nearest), expected)
        close(found.log_distance, candidate.log_distance, dtype)
        if norm == "l2":  # the others jump where a component of v changes its sign or its place
            close(found.direction, candidate.direction, dtype)


@every_dtype
@pytest.mark.parametrize("chosen", [*METHODS.values(), method("LWA", along="adv_alpha", mixed="adv_loss")], ids=str)
def test_training_and_checkpoints(chosen, dtype, tmp_path):
    """A few small steps, after which rounding has not grown yet. A GPU draws other masks and starts."""
    net = NETWORKS["mlp"](dtype=dtype, rate=chosen.dropout)
    x, y = batch(net, 40)
    moved, recipe = there(net, x, y), Recipe(epochs=1, batch=10, rate=0.01)
    found = train(*moved, chosen, recipe)
    if not (chosen.dropout or chosen.start or "sign" in str(chosen.along)):
        close(found.parameters, train(net, x, y, chosen, recipe).parameters, dtype)
    save(tmp_path / "net.npz", found)
    for device in ("cpu", "gpu"):
        for a, b in zip(leaves(load(tmp_path / "net.npz", device).parameters), leaves(found.parameters), strict=True):
            assert_array_equal(to_numpy(a), to_numpy(b))


@every_dtype
def test_attacks_and_scores(dtype):
    net = NETWORKS["mlp"](dtype=dtype)
    x, _ = batch(net, 20)
    y = predict(net, x)
    moved = there(net, x, y)
    for attack in (deepfool, fmn, partial(pgd, radius=0.5, restarts=1, steps=20)):
        lengths = [
            np.linalg.norm(to_numpy(attack(*given) - given[1]).reshape(len(x), -1), axis=1)
            for given in (moved, (net, x, y))
        ]
        assert_allclose(*lengths, rtol=0.01)  # iterations part ways by rounding, and end equally near
    ours, theirs = (attacked_scores(*given, direction("adv_loss"), [0.0, 0.2, 1.0]) for given in ((net, x, y), moved))
    for one, other in zip(ours, theirs, strict=True):
        assert abs(one.correct - other.correct) <= 1  # an image at the boundary


PRODUCT = """
import numpy as np
from minilwa.backend import asarray, to_numpy
a, b = np.random.default_rng(0).normal(size=(2, 512, 512))
for dtype in ("float32", "float64"):
    for left in (a, np.stack([a, a])):  # one product, and a stack of them
        found = to_numpy(asarray(left, dtype, "gpu") @ asarray(b, dtype, "gpu"))
        exact = left.astype(dtype).astype(float) @ b.astype(dtype).astype(float)
        print(abs(found - exact).max() / abs(exact).max())
"""


@pytest.mark.parametrize("asked", [False, True])
def test_tf32_is_off_unless_cupy_is_asked_for_it(asked, request, gpu):
    if request.config.option.stand_in:
        pytest.skip("the stand-in has no TF32")
    environment = {name: value for name, value in os.environ.items() if "TF32" not in name}
    environment |= {"CUPY_TF32": "1"} if asked else {}
    command = [sys.executable, "-c", PRODUCT]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    single, _, double, doubles = map(float, printed.split())
    assert max(double, doubles) < 1e-13
    if asked and int(gpu.cuda.Device().compute_capability) >= 80:
        assert 1e-5 < single < 1e-2
    else:
        assert max(map(float, printed.split())) < 5e-6
