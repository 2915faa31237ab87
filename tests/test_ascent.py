"""Several steps along a direction: one is the paper's, none leaves the ball, more of them find more."""

from functools import partial

import numpy as np
import pytest

from minilwa.ascent import ascent, halves
from minilwa.data import load
from minilwa.directions import adv_alpha, adv_loss, direction, perturbation
from minilwa.errors import InputError
from minilwa.files import read_npz, write_npz
from minilwa.layers import dense, flatten, softmax
from minilwa.methods import METHODS, method
from minilwa.networks import create, mlp
from minilwa.norms import length
from minilwa.ops import cross_entropy
from minilwa.training import Recipe, train

X = np.random.default_rng(0).random((12, 1, 4, 4)).astype(np.float32)
Y = np.arange(12) % 3


@pytest.fixture(scope="module")
def network():
    return mlp(16, 20, 3, input_shape=(1, 4, 4), seed=1)


@pytest.fixture(scope="module")
def trained():
    """A network of the size of an afternoon, trained on digits, with 200 that it has not seen."""
    data = load("mnist5k")
    network = mlp(784, 50, 10, input_shape=(1, 28, 28))
    network = train(network, data.x_train[:1000], data.y_train[:1000], METHODS["Normal"], Recipe(epochs=8))
    return network, data.x_test[:200], data.y_test[:200]


def sizes(r, norm="l2"):
    return length(r.reshape(len(r), -1).astype(np.float64), norm)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("name", ["adv_loss", "adv_loss_sign", "adv_alpha"])
def test_one_step_of_the_whole_radius_is_the_papers_bit_for_bit(name, relative, norm, network):
    one, paper = (make(direction(name), 0.3, norm, relative) for make in (ascent, perturbation))
    assert np.array_equal(one(network, X, Y), paper(network, X, Y))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_last_point_lies_in_the_ball_and_uses_it(steps, relative, norm, network):
    rng = np.random.default_rng(0)
    r = ascent(adv_loss, 0.3, norm, relative, steps, 2.5, rng)(network, X, Y)
    radius = 0.3 * (sizes(X, norm) if relative else 1)
    assert r.dtype == np.float32
    assert (sizes(r, norm) <= radius * (1 + 1e-5)).all()
    assert np.median(sizes(r, norm) / radius) > 0.99


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("stride", [1.0, 2.5])
def test_on_two_classes_of_a_linear_network_more_steps_find_the_answer_of_one(steps, stride):
    linear = create((flatten(), dense(2), softmax()), (1, 4, 4), seed=3, dtype="float64")
    w, y = linear.parameters[1]["w"], Y % 2
    towards_the_other = np.where(y[:, None] == 0, w[:, 1] - w[:, 0], w[:, 0] - w[:, 1])
    exact = 0.7 * towards_the_other / np.linalg.norm(towards_the_other, axis=1, keepdims=True)
    found = ascent(adv_loss, 0.7, steps=steps, stride=stride)(linear, X.astype(np.float64), y)
    np.testing.assert_allclose(found.reshape(12, -1), exact, rtol=1e-12)


def test_a_step_is_the_stride_over_their_number_and_taken_where_the_last_one_ended(network):
    first = perturbation(adv_loss, 0.1)(network, X, Y)
    second = perturbation(adv_loss, 0.1)(network, X + first, Y)
    np.testing.assert_allclose(ascent(adv_loss, 0.4, steps=2, stride=0.5)(network, X, Y), first + second, atol=1e-7)


def losses(network, x, y):
    return np.asarray(cross_entropy(network.logits(x), labels=y))


def test_more_steps_raise_the_loss(trained):
    network, x, y = trained
    found = [
        losses(network, x + ascent(adv_loss, 1.5, steps=steps, stride=stride)(network, x, y), y).mean()
        for steps, stride in ((1, 1.0), (3, 1.5), (10, 2.5))
    ]
    assert losses(network, x, y).mean() < found[0] / 2
    assert found == sorted(found)
    assert found[-1] > 1.02 * found[0]


def test_the_start_is_drawn_from_the_ball_by_the_stream(network):
    def draw(seed):
        return ascent(adv_loss, 0.3, rng=np.random.default_rng(seed))(network, X, Y)

    assert np.array_equal(draw(5), draw(5))
    assert not np.array_equal(draw(5), draw(6))
    stream = np.random.default_rng(5)
    going_on = ascent(adv_loss, 0.3, rng=stream)
    assert np.array_equal(going_on(network, X, Y), draw(5))
    assert not np.array_equal(going_on(network, X, Y), draw(5))


def nowhere(network, x, y):
    return np.zeros_like(x)


def overflowing(network, x, y):
    assert np.isfinite(x).all()
    return np.full_like(x, np.nan)


@pytest.mark.parametrize("along", [nowhere, overflowing])
def test_without_a_direction_only_the_start_is_left(along, network):
    assert not ascent(along, 0.3, steps=3)(network, X, Y).any()
    r = ascent(along, 0.3, steps=3, rng=np.random.default_rng(0))(network, X, Y)
    assert ((sizes(r) > 0.1) & (sizes(r) <= 0.3)).all()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_direction_has_its_half(count, network):
    mixed = halves(adv_loss, adv_alpha)(network, X[:count], Y[:count])
    first = (count + 1) // 2
    assert np.array_equal(mixed[:first], adv_loss(network, X[:first], Y[:first]))
    if first < count:
        assert np.array_equal(mixed[first:], adv_alpha(network, X[first:count], Y[first:count]))
    assert mixed.shape == (count, 1, 4, 4)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"steps": 0}, "steps"),
        ({"stride": 0.0}, "stride"),
        ({"stride": float("nan")}, "stride"),
        ({"steps": 2, "norm": "l1"}, "norm"),
        ({"steps": 2, "radius": -1.0}, "radius"),
        ({"radius": -1.0}, "radius"),
    ],
)
def test_bad_settings(changes, name, network):
    settings = {"radius": 0.3} | changes
    with pytest.raises(InputError, match=f"{name}: got"):
        ascent(adv_loss, **settings)(network, X, Y)


# --- in training -----------------------------------------------------------------------------------------------------


def weights_after(chosen, seed=0):
    network = mlp(16, 12, 3, input_shape=(1, 4, 4), seed=2)
    return train(network, X, Y, chosen, Recipe(epochs=3, batch=5, seed=seed)).parameters[1]["w"]


SETTINGS = [{"steps": 3}, {"start": True}, {"steps": 2, "stride": 1.5}, {"mixed": "adv_alpha"}, {"form": "printed"}]


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_every_setting_trains_another_network_and_the_same_one_by_the_same_seed(changes):
    chosen = method("LWA", radius=0.5, **changes)
    assert np.array_equal(weights_after(chosen), weights_after(chosen))
    assert not np.array_equal(weights_after(chosen), weights_after(method("LWA", radius=0.5)))
    assert not np.array_equal(weights_after(chosen), weights_after(chosen, seed=1))


def test_pgd_is_madrys():
    """Training on the adversary written out: ten steps of c / 4 from a uniform start in the ball."""
    chosen, c = METHODS["PGD"], METHODS["PGD"].radius
    assert (chosen.along, chosen.norm, chosen.clean) == ("adv_loss", "l2", False)
    network, stream, draws = mlp(16, 12, 3, input_shape=(1, 4, 4), seed=2), *map(np.random.default_rng, (0, 0))
    r = ascent(partial(adv_loss), c, "l2", False, chosen.steps, chosen.stride, stream)(network, X, Y)
    expected = ascent(nowhere, c, rng=draws)(network, X, Y).astype(np.float64)
    for _ in range(10):
        expected = expected + c / 4 * adv_loss(network, (X + expected).astype(np.float32), Y)
        expected /= np.maximum(1, sizes(expected) / c)[:, None, None, None]
    np.testing.assert_allclose(r, expected, atol=1e-4)


def test_a_checkpoint_from_before_these_settings_goes_on(tmp_path):
    network, path = mlp(16, 12, 3, input_shape=(1, 4, 4), seed=2), tmp_path / "net.npz"
    arguments = X, Y, METHODS["LWA"], Recipe(epochs=4, batch=5)
    whole = train(network, *arguments)

    def stop(epochs, network):
        if epochs == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network, *arguments, path, keep=stop)
    header, arrays = read_npz("network", path)
    assert header["training"]["epochs_done"] == 2
    for name in ("mixed", "steps", "stride", "start"):
        del header["training"]["method"][name]
    write_npz(path, arrays, header)
    assert np.array_equal(train(network, *arguments, path).parameters[1]["w"], whole.parameters[1]["w"])


def test_a_setting_that_no_ball_is_known_for_is_told():
    with pytest.raises(InputError, match="norm: got"):
        weights_after(method("LWA", norm="l1", steps=2))
