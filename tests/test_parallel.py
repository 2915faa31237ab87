"""Shares: the same results as in one piece, whoever else computes, in threads and in forked processes."""

import multiprocessing
import os
import platform
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minilwa import adv_loss, jacobian_rows, lazy_algorithm_1, lenet, mlp
from minilwa.algorithms import loss_gradient
from minilwa.errors import InputError
from minilwa.layers import chain, conv, dense, dropout, flatten, softmax
from minilwa.networks import create
from minilwa.parallel import STATE, blas_kernels, by_samples, mean_over_samples, run_shares, threads
from minilwa.tree import leaves


@pytest.fixture(autouse=True)
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return rng.random((70, 1, 28, 28)), rng.integers(0, 10, 70)


def test_as_many_shares_as_blas_threads(batch):
    seen = []
    by_samples(lambda x: seen.append(len(x)) or x, batch[0])
    assert sorted(seen) == [35, 35]
    with threadpool_limits(1, user_api="blas"):
        assert threads(batch[0]) == 1
        by_samples(lambda x: seen.append(len(x)) or x, batch[0])
    assert seen[2:] == [70]


def test_small_batches_stay_whole():
    seen = []
    by_samples(lambda x: seen.append(len(x)) or x, np.zeros((31, 2)))
    assert seen == [31]


@pytest.mark.parametrize("make", [lambda: mlp(784, 30, 10, dtype="float64"), lambda: lenet(dtype="float64")])
def test_results_do_not_depend_on_the_number_of_threads_beyond_rounding(make, batch):
    network, (x, y) = make(), batch

    def everything():
        found = lazy_algorithm_1(network, x)
        gradients = leaves(loss_gradient(network, x, y))
        return [adv_loss(network, x, y), jacobian_rows(network, x)[1], found.nearest, *found.perturbation, *gradients]

    in_shares, again = everything(), everything()
    with threadpool_limits(1, user_api="blas"):
        whole = everything()
    for one, same, other in zip(in_shares, again, whole, strict=True):
        assert np.array_equal(one, same)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_mean_over_samples_weights_unequal_shares():
    x = np.random.default_rng(1).random((33, 4))
    np.testing.assert_allclose(mean_over_samples(lambda x: {"m": x.mean(axis=0)}, x)["m"], x.mean(axis=0))


def test_arrays_of_unequal_length_are_refused(batch):
    with pytest.raises(InputError, match="samples"):
        by_samples(lambda x, y: x, batch[0], batch[1][:-1])


def test_a_mask_is_drawn_for_the_whole_batch(batch):
    x, y = batch
    inner = chain(dropout(0.5), dense(10))
    network = create((conv(2, 5), flatten(), inner, softmax()), (1, 28, 28), dtype="float64")
    first, second = (leaves(loss_gradient(network, x, y, np.random.default_rng(5))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not network.in_shares


def test_threads_that_compute_at_the_same_time_get_the_same_bits(batch):
    network, (x, _) = lenet(), batch
    x = x.astype(np.float32)
    expected = lazy_algorithm_1(network, x).perturbation.direction
    results = []
    workers = [
        threading.Thread(target=lambda: results.append(lazy_algorithm_1(network, x).perturbation.direction))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4
    assert all(np.allclose(result, expected, atol=1e-5) for result in results)
    assert threads(x) == 2


def test_an_error_in_a_share_comes_out_and_leaves_no_lock():
    with pytest.raises(ZeroDivisionError):
        run_shares(lambda share: 1 // share, [1, 0], 2)
    assert not STATE.busy.locked()


def test_errstate_reaches_the_shares():
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error")
        by_samples(np.exp, np.full((64, 1), 1e4))


def test_the_kernels_are_those_of_numpys_blas_whatever_scipy_brings():
    program = "import {}; from minilwa.parallel import blas_kernels; print(blas_kernels())"
    with_scipy, without = (
        subprocess.run([sys.executable, "-c", program.format(name)], capture_output=True, text=True, check=True).stdout
        for name in ("scipy.linalg", "numpy")
    )
    assert with_scipy == without != "\n"


@pytest.mark.skipif("openblas" not in blas_kernels(), reason="the BLAS is not OpenBLAS, whose kernels can be chosen")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="another kind of processor, other kernels")
def test_the_kernels_that_compute_are_told():
    command = [sys.executable, "-c", "from minilwa.parallel import blas_kernels; print(blas_kernels())"]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"OPENBLAS_CORETYPE": "Nehalem"}
    )
    assert told.stdout.strip().endswith("Nehalem")


def _forked(queue):
    queue.put(by_samples(lambda x: x + 1, np.zeros((64, 1))).sum())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of fork beside threads: the very case
def test_a_forked_child_computes():
    by_samples(lambda x: x + 1, np.zeros((64, 1)))  # starts the workers, which the child will not have
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_forked, args=(queue,))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert queue.get() == 64
