"""The worst case over attacks: distances by example, and what is counted from them."""

from functools import partial

import numpy as np
import pytest

from minilwa.attacks import ATTACKS, Attack, deepfool, fmn, noise, pgd, single_step, square
from minilwa.attacks.common import Gradients
from minilwa.attacks.worst import distances, score_at, summary, worst_case
from minilwa.directions import direction
from minilwa.errors import InputError
from minilwa.evaluation import attacked_scores, clean_score, predict
from minilwa.layers import conv, dense, flatten, softmax, tanh
from minilwa.networks import create

QUICK = Attack(partial(square, queries=50), gradients=False, random=True)
FEW = Attack(partial(pgd, steps=20, restarts=2), random=True)


@pytest.fixture(scope="module")
def network():
    return create((conv(4, 3), tanh(), flatten(), dense(4), softmax()), (1, 7, 7), seed=1)


@pytest.fixture(scope="module")
def batch(network):
    x = np.random.default_rng(2).random((60, 1, 7, 7)).astype(np.float32)
    y = predict(network, x)
    return x, np.where(np.arange(60) % 6 == 0, (y + 1) % 4, y)


def l2(r):
    return np.linalg.norm(r.reshape(len(r), -1).astype(np.float64), axis=1)


@pytest.mark.parametrize("name", ["fmn", "deepfool"])
def test_distances_of_a_minimum_norm_attack(name, network, batch):
    x, y = batch
    found = distances(ATTACKS[name], network, x, y)
    x_hat = {"fmn": fmn, "deepfool": deepfool}[name](network, x, y)
    assert found.dtype == np.float64
    assert np.array_equal(found == 0, predict(network, x) != y)
    np.testing.assert_allclose(found, l2(x_hat - x), rtol=1e-3)


def test_distances_of_an_attack_at_radii(network, batch):
    x, y = batch
    radii = [0.4, 0.1, 0.2]
    found = distances(FEW, network, x, y, radii)
    exact = distances(ATTACKS["fmn"], network, x, y)
    assert np.array_equal(found == 0, exact == 0)
    assert np.isinf(found[exact > 0.4 * 1.01]).all()
    assert set(found[np.isinf(found) | (found == 0)]) == {0, np.inf}
    for radius in radii:
        alone = predict(network, FEW.run(network, x, y, radius)) != y
        assert (found <= radius).sum() >= alone.sum()
    assert (found <= 0.1).sum() < (found <= 0.2).sum() < (found <= 0.4).sum()


def test_a_single_step_at_one_radius_scores_as_in_evaluation(network, batch):
    x, y = batch
    along = direction("adv_alpha")
    (score,) = attacked_scores(network, x, y, along, [0.3])
    found = distances(ATTACKS["adv_alpha"], network, x, y, [0.3])
    assert score_at(found, 0.3) == score
    assert score_at(found, 0) == clean_score(network, x, y)
    assert 0 < score.correct < clean_score(network, x, y).correct


def test_the_worst_case_is_no_better_than_any_attack(network, batch):
    x, y = batch
    found = [distances(attack, network, x, y, [0.1, 0.3]) for attack in (FEW, ATTACKS["noise"], ATTACKS["fmn"])]
    worst = worst_case(found)
    for each in found:
        assert (worst <= each).all()
    assert np.array_equal(worst, np.min(found, axis=0))
    assert score_at(worst, 10).correct == 0
    accuracies = [score_at(worst, radius).accuracy for radius in np.linspace(0, 2, 30)]
    assert accuracies == sorted(accuracies, reverse=True)


def test_another_norm_and_the_box(network, batch):
    x, y = batch
    own = distances(ATTACKS["fmn_linf"], network, x, y)
    in_l2 = distances(ATTACKS["fmn_linf"], network, x, y, norm="l2")
    assert (in_l2[own > 0] > own[own > 0]).all()
    clipped = distances(ATTACKS["fmn"], network, x, y, clip=True)
    assert np.median(clipped) > np.median(distances(ATTACKS["fmn"], network, x, y))


def test_an_attack_that_fails_leaves_inf():
    net = create((flatten(), dense(3), softmax()), (1, 2, 2), seed=0, dtype="float64")
    net = net.with_parameters(((), {"w": np.zeros((4, 3)), "b": np.array([1.0, 0, 0])}, ()))
    x, y = np.random.default_rng(0).random((5, 1, 2, 2)), np.array([0, 0, 0, 0, 1])
    for name, attack in (ATTACKS | {"square": QUICK}).items():
        found = distances(attack, net, x, y, [0.5])
        assert found.tolist() == [np.inf] * 4 + [0], name
    count = Gradients()
    distances(ATTACKS["fmn"], net, x, y, watch=count)
    assert count.describe()["zero"] == count.total > 0
    assert summary(found, x) == {"n": 4, "broken": 0, "median": None, "mean": None, "relative_mean": None}


def test_not_finite_logits_are_no_attack():
    """A direction that is not finite must not be mistaken for one that succeeds."""
    net = create((flatten(), dense(2), softmax()), (1, 2, 2), seed=0, dtype="float64")
    x = np.random.default_rng(0).random((5, 1, 2, 2))
    y = predict(net, x)
    assert np.array_equal(single_step(net, x, y, 1.0, lambda network, x, y: x * np.nan), x)


def test_summary():
    x = np.array([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0], [1.0, 0.0], [5.0, 0.0]])
    found = summary(np.array([1.0, 2.0, np.inf, 0.0, 0.5]), x)
    assert found == {"n": 4, "broken": 3, "median": 1.5, "mean": 3.5 / 3, "relative_mean": (0.2 + 1 + 0.1) / 3}
    assert summary(np.zeros(5), x) == {"n": 0, "broken": 0, "median": None, "mean": None, "relative_mean": None}


def test_ticks_count_every_image_at_every_radius(network, batch):
    for attack, radii, expected in ((FEW, [0.1, 3.0, 5.0], 180), (ATTACKS["fmn"], [], 60), (ATTACKS["lbfgs"], [], 60)):
        ticks = []
        distances(attack, network, *batch, radii, tick=ticks.append)
        assert sum(ticks) == expected


def test_bad_arguments(network, batch):
    x, y = batch
    with pytest.raises(InputError, match="radii"):
        distances(FEW, network, x, y)
    with pytest.raises(InputError, match="radius"):
        distances(FEW, network, x, y, [-1.0])
    with pytest.raises(InputError, match="radius"):
        score_at(np.zeros(3), -1)
    with pytest.raises(InputError, match="y: got"):
        distances(FEW, network, x, y[:-1], [0.1])
    with pytest.raises(InputError, match="norm"):
        distances(ATTACKS["fmn"], network, x, y, norm="l0")


def test_noise_is_the_weakest(network, batch):
    x, y = batch
    by_noise = predict(network, noise(network, x, y, 0.4)) != y
    assert by_noise.sum() < (predict(network, pgd(network, x, y, 0.4)) != y).sum()
