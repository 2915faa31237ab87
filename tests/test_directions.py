"""Directions: they hurt, they are as long as they should be, and both forms are the mathematics of section 3.1."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from minilwa.algorithms import algorithm_1
from minilwa.directions import DIRECTIONS, adv_alpha, adv_loss, direction, no_perturbation, perturbation
from minilwa.errors import InputError
from minilwa.layers import conv, dense, flatten, max_pool, softmax, tanh
from minilwa.networks import create, mlp
from minilwa.propositions import FORMS
from minilwa.tree import tree_map

NORMS = {"l1": 1, "l2": 2, "linf": math.inf, 3: 3}
DUAL = {"l1": math.inf, "l2": 2, "linf": 1, 3: 1.5}
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 2e-5, "float64": 1e-7}  # the latter is that of central differences

every_norm = pytest.mark.parametrize("norm", NORMS)
every_form = pytest.mark.parametrize("form", FORMS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_kind = pytest.mark.parametrize("kind", ["dense", "conv"])
every_direction = pytest.mark.parametrize("name", DIRECTIONS)


def network_of(kind, dtype="float64"):
    """A smooth network with 4 classes, not saturated."""
    if kind == "dense":
        return create((dense(7), tanh(), dense(4), softmax()), (6,), seed=1, dtype=dtype)
    return create((conv(3, 3), tanh(), max_pool(2), flatten(), dense(4), softmax()), (1, 6, 6), seed=1, dtype=dtype)


def in_double(network):
    """The same network in float64, where differences are seen."""
    return network.with_parameters(tree_map(lambda a: a.astype(np.float64), network.parameters))


def batch(network, size=16):
    """Images, and labels of which the first half are what the network says and the others are not."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(size, *network.input_shape)).astype(network.dtype)
    alpha = network(x)
    y = (alpha.argmax(axis=1) + np.where(np.arange(size) < size // 2, 0, rng.integers(1, 4, size))) % 4
    return x, y


def size_of(v, p):
    return np.linalg.norm(v.reshape(len(v), -1), ord=p, axis=1)


def inner(a, b):
    return (a * b).reshape(len(a), -1).sum(axis=1)


def loss(network, x, y):
    return -np.log(network(x)[np.arange(len(x)), y])


def jacobian(function, x, step=1e-6):
    """d function / dx ``(N, K, *shape)``, one central difference for each place."""
    rows = np.empty((*function(x).shape, *x.shape[1:]))
    for place in np.ndindex(x.shape[1:]):
        shift = np.zeros(x.shape[1:])
        shift[place] = step
        rows[(..., *place)] = (function(x + shift) - function(x - shift)) / (2 * step)
    return rows


def assert_steepest(d, v, norm, tolerance):
    """``d`` has norm 1 and is steepest for ``v``: equality in Hoelder's inequality. In L2: parallel, positive scale."""
    np.testing.assert_allclose(size_of(d, NORMS[norm]), 1, rtol=tolerance)
    np.testing.assert_allclose(inner(d, v), size_of(v, DUAL[norm]), rtol=tolerance)


# --- what the directions are -----------------------------------------------------------------------------------------


@every_kind
@every_norm
@every_form
@every_dtype
def test_adv_loss_is_the_steepest_descent_of_alpha_y(kind, norm, form, dtype):
    network = network_of(kind, dtype)
    x, y = batch(network)
    d = adv_loss(network, x, y, norm, form)
    assert (d.shape, d.dtype) == (x.shape, x.dtype)
    T_y = jacobian(in_double(network), x.astype(np.float64))[np.arange(len(x)), y]
    assert_steepest(d, -T_y, norm, TOLERANCE[dtype])


@every_kind
@every_norm
@every_form
@every_dtype
def test_adv_alpha_leads_to_the_nearest_class_and_away_from_the_label_of_what_is_wrong(kind, norm, form, dtype):
    network = network_of(kind, dtype)
    x, y = batch(network)
    d = adv_alpha(network, x, y, norm, form)
    assert (d.shape, d.dtype) == (x.shape, x.dtype)
    alpha, T = in_double(network)(x.astype(np.float64)), jacobian(in_double(network), x.astype(np.float64))
    for n in range(len(x)):
        J = int(alpha[n].argmax())
        others = [j for j in range(4) if j != J]
        distances = [(alpha[n, J] - alpha[n, j]) / size_of((T[n, j] - T[n, J])[None], DUAL[norm])[0] for j in others]
        nearest = others[int(np.argmin(distances))]
        a = T[n, nearest] - T[n, y[n]] if y[n] == J else T[n, J] - T[n, y[n]]
        assert_steepest(d[n : n + 1], a[None], norm, TOLERANCE[dtype])


@every_kind
@every_norm
@every_form
@every_dtype
def test_a_small_step_along_adv_loss_raises_the_loss_as_its_gradient_promises(kind, norm, form, dtype):
    network = network_of(kind, dtype)
    x, y = batch(network)
    double, own = in_double(network), (np.arange(len(x)), y)
    d = adv_loss(network, x, y, norm, form).astype(np.float64)
    x, step = x.astype(np.float64), 1e-4
    rise = loss(double, x + step * d, y) - loss(double, x, y)
    slope = size_of(jacobian(double, x)[own], DUAL[norm]) / double(x)[own]
    assert (slope > 0).all()
    np.testing.assert_allclose(rise, step * slope, rtol=0.02)


@every_kind
@every_norm
@every_form
@every_dtype
def test_a_small_step_along_adv_alpha_brings_another_class_nearer_to_the_label_s(kind, norm, form, dtype):
    network = network_of(kind, dtype)
    x, y = batch(network)
    double, samples = in_double(network), np.arange(len(x))
    d = adv_alpha(network, x, y, norm, form).astype(np.float64)
    x, step = x.astype(np.float64), 1e-4
    alpha = double(x)
    J = alpha.argmax(axis=1)
    other = np.where(y == J, algorithm_1(double, x, norm)[0], J)

    def gap(alpha):
        return alpha[samples, y] - alpha[samples, other]

    T = jacobian(double, x)
    slope = size_of(T[samples, other] - T[samples, y], DUAL[norm])
    assert (slope > 0).all()
    np.testing.assert_allclose(gap(alpha) - gap(double(x + step * d)), step * slope, rtol=0.02)


@every_kind
@every_norm
@pytest.mark.parametrize("along", [adv_loss, adv_alpha])
def test_both_forms_agree_where_nothing_is_saturated(kind, norm, along):
    network = network_of(kind)
    x, y = batch(network)
    np.testing.assert_allclose(
        along(network, x, y, norm, "printed"), along(network, x, y, norm, "stable"), rtol=1e-9, atol=1e-12
    )


def test_with_two_classes_both_methods_have_one_direction():
    network = mlp(5, 6, 2, dtype="float64", seed=3)
    x = np.random.default_rng(0).normal(size=(10, 5))
    y = np.arange(10) % 2
    np.testing.assert_allclose(adv_alpha(network, x, y), adv_loss(network, x, y), rtol=1e-9, atol=1e-12)


@every_kind
def test_directions_change_neither_the_parameters_nor_the_batch(kind):
    network = network_of(kind)
    x, y = batch(network)
    for array in (x, y):
        array.setflags(write=False)
    tree_map(lambda a: a.setflags(write=False), network.parameters)  # a write would raise
    before = network(x)
    for name in DIRECTIONS:
        for form in FORMS:
            direction(name, form)(network, x, y)
    np.testing.assert_array_equal(network(x), before)


# --- where the network is sure of itself -----------------------------------------------------------------------------


def linear_network(z, dtype, features=5):
    """A linear network and one image on which its logits are ``z``, up to rounding."""
    rng = np.random.default_rng(4)
    w = rng.normal(size=(features, len(z))).astype(dtype)
    x = rng.normal(size=(1, features)).astype(dtype)
    b = (np.array(z) - x.astype(np.float64)[0] @ w).astype(dtype)
    network = create((dense(len(z)), softmax()), (features,), dtype=dtype)
    return network.with_parameters(({"w": w, "b": b}, ())), x


def exact_T(network, x):
    """(alpha, T) of a linear network on one image by the paper's formula, with a thousand digits."""
    with localcontext() as context:
        context.prec = 1000
        z = [Decimal(float(a)) for a in network.logits(x)[0]]
        w = [[Decimal(float(a)) for a in row] for row in network.parameters[0]["w"]]  # (D, K)
        total = sum(a.exp() for a in z)
        alpha = [a.exp() / total for a in z]
        mean = [sum(a * b for a, b in zip(alpha, row, strict=True)) for row in w]  # (D,)
        return alpha, [[alpha[k] * (w[d][k] - mean[d]) for d in range(len(w))] for k in range(len(z))]


def unit(v):
    """``v`` over its L2 length, in float64, however small ``v`` is."""
    with localcontext() as context:
        context.prec = 1000
        length = sum(a * a for a in v).sqrt()
        return np.array([float(a / length) for a in v])


def minus(a, b):
    with localcontext() as context:
        context.prec = 1000
        return [p - q for p, q in zip(a, b, strict=True)]


@pytest.mark.parametrize("y", [0, 1, 3])
@pytest.mark.parametrize(
    ("form", "dtype", "margin"),
    [("stable", dtype, margin) for dtype in DTYPES for margin in (5, 20, 100, 1000)]
    + [("printed", "float32", 5), ("printed", "float64", 5), ("printed", "float64", 15)],
)
def test_a_wrong_sample_is_pushed_on_however_sure_the_network_is(form, dtype, margin, y):
    network, x = linear_network((0, 0.3 * margin, margin, margin - 3), dtype)  # J = 2
    _, T = exact_T(network, x)
    d = adv_alpha(network, x, np.array([y]), form=form)
    tolerance = np.finfo(dtype).eps * (50 if form == "stable" else 50 * math.exp(min(margin, 3)))
    np.testing.assert_allclose(d[0], unit(minus(T[2], T[y])), rtol=0, atol=tolerance)


@every_dtype
@pytest.mark.parametrize("margin", [5, 20, 100, 1000])
def test_a_right_sample_is_turned_the_right_way_however_sure_the_network_is(dtype, margin):
    network, x = linear_network((0, margin - 1, margin - 0.9, 2 * margin), dtype)  # J = 3
    y, tolerance = np.array([3]), 50 * np.finfo(dtype).eps
    alpha, T = exact_T(network, x)
    np.testing.assert_allclose(adv_loss(network, x, y)[0], unit([-a for a in T[3]]), rtol=0, atol=tolerance)
    with localcontext() as context:
        context.prec = 1000
        towards = [minus(T[j], T[3]) for j in range(3)]
        distances = [(alpha[3] - alpha[j]) / sum(a * a for a in towards[j]).sqrt() for j in range(3)]
    nearest = min(range(3), key=lambda j: distances[j])
    np.testing.assert_allclose(adv_alpha(network, x, y)[0], unit(towards[nearest]), rtol=0, atol=tolerance)


@every_kind
@every_norm
@every_form
@pytest.mark.parametrize("along", [adv_loss, adv_alpha])
def test_nothing_is_nan_where_the_network_is_saturated(kind, norm, form, along):
    network = network_of(kind, "float32")
    x, y = batch(network)
    *below, head, end = network.parameters
    sure = network.with_parameters((*below, tree_map(lambda a: 1000 * a, head), end))
    assert (sure(x).max(axis=1) == 1).any()
    with np.errstate(invalid="raise", divide="raise", over="raise"):
        d = along(sure, x, y, norm, form)
        r = perturbation(lambda *_: d, 1.5, "l2")(sure, x, y)
    assert np.isfinite(d).all()
    size, length = size_of(d, NORMS[norm]), size_of(r, 2)
    given = size > 0
    np.testing.assert_allclose(size[given], 1, rtol=1e-5)
    np.testing.assert_allclose(length[given], 1.5, rtol=1e-5)
    assert not length[~given].any()
    if form == "stable":  # the printed form may underflow to no direction at all
        assert given.all()


# --- by name ---------------------------------------------------------------------------------------------------------


@every_form
def test_directions_have_the_paper_s_names(form):
    network = network_of("dense")
    x, y = batch(network)
    assert list(DIRECTIONS) == ["adv_loss", "adv_loss_sign", "adv_alpha"]
    for name, expected in [
        ("adv_loss", adv_loss(network, x, y, "l2", form)),
        ("adv_loss_sign", adv_loss(network, x, y, "linf", form)),
        ("adv_alpha", adv_alpha(network, x, y, "l2", form)),
    ]:
        np.testing.assert_array_equal(direction(name, form)(network, x, y), expected)
    assert set(np.unique(direction("adv_loss_sign", form)(network, x, y))) == {-1, 1}
    for norm in NORMS:
        np.testing.assert_array_equal(
            direction("adv_alpha", form, norm)(network, x, y), adv_alpha(network, x, y, norm, form)
        )
    np.testing.assert_array_equal(
        direction("adv_loss_sign", form, "l1")(network, x, y), adv_loss(network, x, y, "l1", form)
    )


def test_the_stable_form_is_the_default():
    network, x = linear_network((0, 1, 30, 2), "float32")
    y = np.array([2])
    for name in DIRECTIONS:
        np.testing.assert_array_equal(direction(name)(network, x, y), direction(name, "stable")(network, x, y))
    exact = unit([-a for a in exact_T(network, x)[1][2]])
    np.testing.assert_allclose(adv_loss(network, x, y)[0], exact, rtol=0, atol=1e-5)
    assert np.abs(adv_loss(network, x, y, form="printed")[0] - exact).max() > 0.1  # 1 - alpha_y is 0 in float32


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("direction", lambda: direction("fgsm")),
        ("direction", lambda: direction("Adv_Loss")),
        ("form", lambda: direction("adv_loss", form="exact")),
        ("norm", lambda: direction("adv_loss", norm="l0")),
        ("norm", lambda: direction("adv_alpha", norm=0.5)),
        ("norm", lambda: direction("adv_alpha", norm=math.nan)),
        ("radius", lambda: perturbation(adv_loss, -0.1)),
        ("radius", lambda: perturbation(adv_loss, math.nan)),
        ("radius", lambda: perturbation(adv_loss, math.inf)),
        ("radius", lambda: perturbation(adv_loss, -1, relative=True)),
        ("norm", lambda: perturbation(adv_loss, 1, "l0")),
        ("norm", lambda: perturbation(adv_loss, 1, 0.5)),
    ],
)
def test_unknown_names_and_impossible_radii_are_refused_before_any_image_is_seen(argument, call):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.argument == argument


@pytest.mark.parametrize("along", [adv_loss, adv_alpha])
def test_a_direction_refuses_unknown_norms_and_forms(along):
    network = network_of("dense")
    x, y = batch(network)
    with pytest.raises(InputError, match="norm"):
        along(network, x, y, norm="l7")
    with pytest.raises(InputError, match="form"):
        along(network, x, y, form="exact")


@every_direction
def test_directions_are_those_of_classifiers(name):
    network = create((dense(5), tanh(), dense(4)), (6,))
    x = np.ones((3, 6), np.float32)
    with pytest.raises(InputError, match="softmax"):
        direction(name)(network, x, np.array([0, 1, 2]))


# --- the length of a perturbation ------------------------------------------------------------------------------------


@every_kind
@every_direction
@every_dtype
@every_norm
@pytest.mark.parametrize("along_norm", ["l1", "l2", "linf"])
def test_a_perturbation_is_as_long_as_asked_in_the_norm_asked(kind, name, dtype, norm, along_norm):
    network = network_of(kind, dtype)
    x, y = batch(network)
    along = direction(name, norm=along_norm)
    r = perturbation(along, 1.7, norm)(network, x, y)
    assert (r.shape, r.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose(size_of(r.astype(np.float64), NORMS[norm]), 1.7, rtol=4 * np.finfo(dtype).eps)
    d = along(network, x, y)
    scale = inner(r, d) / inner(d, d)
    assert (scale > 0).all()
    np.testing.assert_allclose(r, d * scale.reshape(-1, *[1] * (d.ndim - 1)), rtol=2e-5, atol=1e-7)


@every_norm
@every_dtype
def test_a_relative_radius_is_a_multiple_of_each_sample_s_own_norm(norm, dtype):
    network = network_of("conv", dtype)
    x, y = batch(network)
    x *= np.arange(len(x), dtype=dtype).reshape(-1, 1, 1, 1)  # the first is zero, all norms differ
    r = perturbation(adv_loss, 0.25, norm, relative=True)(network, x, y)
    np.testing.assert_allclose(size_of(r, NORMS[norm]), 0.25 * size_of(x, NORMS[norm]), rtol=1e-5)
    assert not r[0].any()
    assert r[1:].any(axis=(1, 2, 3)).all()


@every_direction
def test_radius_zero_is_no_perturbation(name):
    network = network_of("dense")
    x, y = batch(network)
    for relative in (False, True):
        r = perturbation(direction(name), 0, relative=relative)(network, x, y)
        np.testing.assert_array_equal(r, no_perturbation(network, x, y))
        assert r.dtype == x.dtype
        assert not r.any()


@every_direction
@every_form
@every_norm
@every_dtype
def test_where_there_is_no_direction_there_is_no_perturbation(name, form, norm, dtype):
    network = mlp(6, 5, 4, scale=0.0, dtype=dtype)  # all weights zero: every class the same everywhere
    x, y = np.ones((4, 6), dtype), np.arange(4)
    with np.errstate(invalid="raise", divide="raise"):
        r = perturbation(direction(name, form), 2.0, norm)(network, x, y)
    np.testing.assert_array_equal(r, np.zeros_like(x))


def test_directions_of_any_length_give_the_same_perturbation():
    network = network_of("dense")
    x, y = batch(network)
    expected = perturbation(adv_loss, 1.2)(network, x, y)
    for factor in (1e-200, 1e-9, 1e9, 1e200):
        r = perturbation(lambda *a, factor=factor: factor * adv_loss(*a), 1.2)(network, x, y)
        np.testing.assert_allclose(r, expected, rtol=1e-12)
