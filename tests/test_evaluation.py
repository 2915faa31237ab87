"""Scores: what counts as right, intervals, radii, clipping, counts of vanished gradients, bad batches."""

import numpy as np
import pytest
from scipy.stats import norm as gaussian

from minilwa.ascent import ascent
from minilwa.directions import DIRECTIONS, direction, perturbation
from minilwa.errors import InputError
from minilwa.evaluation import (
    Score,
    adversarial_images,
    attacked_scores,
    beyond_guessing,
    clean_score,
    moved,
    predict,
)
from minilwa.layers import dense, softmax
from minilwa.networks import Network, create, mlp
from minilwa.propositions import FORMS


@pytest.fixture(scope="module")
def network():
    return mlp(20, 30, 30, 4, seed=2)


@pytest.fixture(scope="module")
def batch(network):
    rng = np.random.default_rng(1)
    x = rng.random((700, 20), dtype=np.float32)  # more than two parts of a batch
    y = predict(network, x)
    y[::7] = (y[::7] + 1) % 4  # every seventh is wrong
    return x, y


def linear(weights, dtype="float64"):
    net = create((dense(weights.shape[1]), softmax()), weights.shape[:1], dtype=dtype)
    return net.with_parameters(({"w": weights.astype(dtype), "b": np.zeros(weights.shape[1], dtype)}, ()))


def test_clean_score_counts(network, batch):
    found = clean_score(network, *batch)
    assert (found.correct, found.n, found.zero_gradients) == (600, 700, 0)
    assert found.accuracy == 600 / 700


@pytest.mark.parametrize("correct", [0, 1, 431, 999, 1000])
def test_wilson_interval_solves_its_quadratic(correct):
    low, high = Score(correct, 1000).interval()
    z = gaussian.ppf(0.975)
    p = correct / 1000
    for end in {low, high} - {0.0, 1.0}:
        assert abs(p - end) == pytest.approx(z * np.sqrt(end * (1 - end) / 1000))
    assert 0 <= low <= p <= high <= 1


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("clip", [False, True])
def test_attacked_scores_equal_a_loop_over_images(name, clip, network, batch):
    x, y = batch
    along = direction(name)
    radii = [0.0, 0.3, 1.0]
    found = attacked_scores(network, x, y, along, radii, clip=clip)
    assert found[0].correct == clean_score(network, x, y).correct
    for radius, score in zip(radii, found, strict=True):
        right = 0
        for i in range(len(x)):
            one, label = x[i : i + 1], y[i : i + 1]
            x_hat = moved(one, along(network, one, label), radius, clip=clip)
            right += int(predict(network, one)[0] == label[0] and predict(network, x_hat)[0] == label[0])
        assert abs(score.correct - right) <= 1  # a product of one row can round differently from one of many
    assert found[0].correct >= found[1].correct >= found[2].correct
    assert found[2].correct < found[0].correct


def test_misclassified_counts_as_wrong_at_every_radius(network, batch):
    x, _ = batch
    wrong = (predict(network, x) + 1) % 4
    assert [s.correct for s in attacked_scores(network, x, wrong, direction("adv_loss"), [0, 5, 50])] == [0, 0, 0]


def test_exact_on_a_linear_network():
    weights = np.array([[1.0, 0.0], [0.0, 1.0]])
    x = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])  # margins 1, 3, 2; the boundary lies margin / sqrt(2) away
    y = np.array([0, 0, 1])
    radii = [0.7, 0.71, 1.41, 1.42, 2.12, 2.13]
    for name in ("adv_loss", "adv_alpha"):
        found = attacked_scores(linear(weights), x, y, direction(name), radii)
        assert [score.correct for score in found] == [3, 2, 2, 1, 1, 0]


def test_zero_gradients_are_counted_and_leave_the_image_alone():
    weights = np.array([[1e3, 0.0], [0.0, 1e3]])
    x, y = np.array([[1.0, 0.0], [0.5, 0.5 - 1e-4]], dtype=np.float32), np.array([0, 0])
    network = linear(weights, "float32")
    (printed,) = attacked_scores(network, x, y, direction("adv_loss", "printed"), [2.0])
    (stable,) = attacked_scores(network, x, y, direction("adv_loss", "stable"), [2.0])
    assert (printed.zero_gradients, printed.correct) == (1, 1)
    assert (stable.zero_gradients, stable.correct) == (0, 0)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_a_direction_that_is_not_finite_is_none(nothing, network, batch):
    x, y = batch
    right = clean_score(network, x, y).correct

    def along(network, x, y):
        return 0 * x + nothing

    (found,) = attacked_scores(network, x, y, along, [1.0])
    assert (found.correct, found.zero_gradients) == (right, len(x))
    np.testing.assert_array_equal(adversarial_images(network, x, y, along, 1.0), x)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf", 3])
def test_adversarial_images_lie_at_the_radius(norm, network, batch):
    x, y = batch
    r = adversarial_images(network, x, y, direction("adv_alpha"), 0.7, norm) - x
    p = {"l1": 1, "l2": 2, "linf": np.inf}.get(norm, norm)
    np.testing.assert_allclose(np.linalg.norm(r, ord=p, axis=1), 0.7, rtol=1e-4)


def test_clipping(network, batch):
    x_hat = adversarial_images(network, *batch, direction("adv_loss_sign"), 3.0, clip=True)
    assert x_hat.min() == 0
    assert x_hat.max() == 1


BAD = {
    "empty": (lambda x, y: (x[:0], y[:0]), "x: got shape"),
    "wrong size": (lambda x, y: (x[:, :19], y), "x: got shape"),
    "no batch axis": (lambda x, y: (x[0], y), "x: got shape"),
    "integers": (lambda x, y: ((x * 256).astype(np.uint8), y), "x: got dtype uint8"),
    "other dtype": (lambda x, y: (x.astype(np.float64), y), "x: got dtype float64"),
    "nan": (lambda x, y: (np.where(x > 0.9, np.nan, x).astype(np.float32), y), "x: got NaN"),
    "infinite": (lambda x, y: (np.where(x > 0.9, np.inf, x).astype(np.float32), y), "x: got NaN"),
    "labels too large": (lambda x, y: (x, y + 4), "y: got labels"),
    "negative labels": (lambda x, y: (x, y - 4), "y: got labels"),
    "float labels": (lambda x, y: (x, y.astype(float)), "y: got dtype"),
    "too few labels": (lambda x, y: (x, y[:-1]), "y: got shape"),
    "one-hot labels": (lambda x, y: (x, np.eye(4)[y]), "y: got shape"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_batches(bad, network, batch):
    change, message = BAD[bad]
    x, y = change(*batch)
    for call in (
        lambda: clean_score(network, x, y),
        lambda: attacked_scores(network, x, y, direction("adv_loss"), [1.0]),
        lambda: adversarial_images(network, x, y, direction("adv_loss"), 1.0),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_bad_radius(radius, network, batch):
    with pytest.raises(InputError, match="radius"):
        attacked_scores(network, *batch, direction("adv_loss"), [radius])


def test_one_class_is_refused():
    with pytest.raises(InputError, match="1 class"):
        clean_score(linear(np.ones((3, 1))), np.ones((2, 3)), np.zeros(2, dtype=int))


def test_forms_are_known_by_name():
    assert FORMS == ("stable", "printed")
    with pytest.raises(InputError, match="form"):
        direction("adv_loss", "exact")
    with pytest.raises(InputError, match="direction"):
        direction("adv")


def test_network_is_a_value(network):
    assert isinstance(network, Network)
    with pytest.raises(AttributeError):
        network.parameters = ()


@pytest.mark.parametrize(("classes", "limit"), [(2, 0.55), (10, 0.19), (100, 0.02), (1000, 0.002)])
def test_beyond_guessing_is_twice_it_or_a_tenth_of_the_way_to_1(classes, limit):
    assert beyond_guessing(limit + 1e-6, classes)
    assert not beyond_guessing(limit - 1e-6, classes)


def of_one_image(network, x, y):
    return np.ones(x.shape[1:], x.dtype)


@pytest.mark.parametrize("given", [of_one_image, lambda network, x, y: x[:1]])
def test_a_direction_of_another_shape_is_refused(given, network, batch):
    """One for all samples would have its entries scaled as if each were a sample."""
    x, y = (part[:10] for part in batch)
    for attack in (
        lambda: attacked_scores(network, x, y, given, [1.0]),
        lambda: adversarial_images(network, x, y, given, 1.0),
        lambda: perturbation(given, 1.0)(network, x, y),
        lambda: ascent(given, 1.0, steps=2)(network, x, y),
    ):
        with pytest.raises(InputError, match=r"perturbation: got shape .* expected \(10, 20\)"):
            attack()


def test_no_images_and_no_arrays_are_told_by_name(network, batch):
    x, y = batch
    with pytest.raises(InputError, match=r"x: got shape \(0, 20\)"):
        predict(network, x[:0])
    with pytest.raises(InputError, match="x: got list"):
        clean_score(network, x.tolist(), y)
    with pytest.raises(InputError, match=r"y: got list.* numpy\.array"):
        clean_score(network, x, y.tolist())


def test_pixels_outside_the_box_are_not_clipped(network, batch):
    """Else the clean images would be moved too, at every radius."""
    x, y = batch
    for attack in (
        lambda clip: attacked_scores(network, 2 * x - 1, y, direction("adv_loss"), [0.1], clip=clip),
        lambda clip: adversarial_images(network, 2 * x - 1, y, direction("adv_loss"), 0.1, clip=clip),
    ):
        attack(False)
        with pytest.raises(InputError, match=r"x: got values from -.* expected pixels in \[0, 1\]"):
            attack(True)
