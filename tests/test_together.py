"""Searches that wait for their values together."""

import threading
import time

import numpy as np
import pytest

from minilwa.attacks import lbfgs
from minilwa.attacks.together import together
from minilwa.evaluation import predict
from minilwa.networks import create, dense, relu, softmax


def halving(start, limit, pause=0.0):
    """A search for the first of start, start / 2, start / 4, ... whose square is below ``limit``."""

    def search(ask):
        point = start
        while ask(point) >= limit:
            time.sleep(pause)
            point /= 2
        return point

    return search


def squares(batches):
    def evaluate(numbers, points):
        batches.append(numbers)
        return [point**2 for point in points]

    return evaluate


def test_every_search_gets_its_own_values():
    searches = [halving(2.0**k, 1.0) for k in (5, 0, 3, -2)]
    assert together(searches, squares([])) == [0.5, 0.5, 0.5, 0.25]
    assert together([], squares([])) == []


def test_batches_hold_all_that_still_search_whatever_the_threads_timing():
    expected = [[0, 1, 2], [0, 2], [0]]
    for pauses in ((0, 0, 0), (0.02, 0, 0), (0, 0, 0.02)):
        batches = []
        together([halving(s, 1.0, p) for s, p in zip((2.0, 0.5, 1.0), pauses, strict=True)], squares(batches))
        assert batches == expected


def searching():
    return [thread for thread in threading.enumerate() if thread.name.startswith("search")]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_the_evaluation_raises_ends_all_searches(error):
    def evaluate(numbers, points):
        raise error("no values")

    with pytest.raises(error, match="no values"):
        together([halving(8.0, 1.0)] * 5, evaluate)
    assert not searching()


def test_what_a_search_raises_is_raised_and_the_others_get_their_values():
    batches = []

    def failing(ask):
        ask(1.0)
        raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        together([halving(4.0, 1.0), failing], squares(batches))
    assert batches == [[0, 1], [0], [0], [0]]
    assert not searching()


def test_searches_run_in_the_context_of_the_caller():
    def overflowing(ask):
        return np.float64(1e300) * np.float64(ask(1e10))

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        together([overflowing], squares([]))
    with np.errstate(over="ignore"):
        assert together([overflowing], squares([])) == [np.inf]


def test_lbfgs_asks_for_the_gradients_of_all_images_at_once():
    net = create((dense(20), relu(), dense(4), softmax()), (12,), seed=1, dtype="float64")
    x = np.random.default_rng(0).normal(size=(30, 12))
    y, batches = predict(net, x), []
    x_hat = lbfgs(net, x, y, watch=lambda g: batches.append(len(g)))
    assert (predict(net, x_hat) != y).all()
    assert batches[:2] == [30, 30]  # the rows of the nearest classes, then the first gradients of all searches
    alone = np.concatenate([lbfgs(net, x[i : i + 1], y[i : i + 1]) for i in range(30)])
    far, far_alone = (np.linalg.norm(v - x, axis=1) for v in (x_hat, alone))
    assert (np.abs(far - far_alone) < 1e-6 * far_alone).mean() > 0.9  # rounding may stop one an iteration sooner
