"""The errata of the paper, one by one: the formula as printed fails, the corrected one does what the text says."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minilwa.algorithms import algorithm_1, batch_loss
from minilwa.directions import adv_alpha, adv_loss, perturbation
from minilwa.errors import InputError
from minilwa.jacobian import jacobian_rows
from minilwa.layers import dense, flatten, softmax, tanh
from minilwa.networks import create
from minilwa.norms import dual_length, length, rescale, steepest
from minilwa.propositions import likelihood_direction, proposition_2_1, proposition_2_1_stable, proposition_2_2
from minilwa.tape import op, value_and_gradient

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["l1", "l2", "linf"]
EACH_NORM = pytest.mark.parametrize("norm", NAMES)
EACH_FORM = pytest.mark.parametrize("form", ["stable", "printed"])


def smooth_network(classes, seed=0, inputs=(2, 3)):
    """A small tanh network in float64, so that finite differences can be trusted, and five points."""
    layers = (flatten(), dense(7), tanh(), dense(classes), softmax())
    network = create(layers, inputs, seed=seed, dtype="float64")
    return network, np.random.default_rng(seed + 1).normal(size=(5, *inputs))


NETWORKS = st.builds(smooth_network, st.integers(2, 5), st.integers(0, 10**6))


def along(T, d):
    """<T_k, d> of each class: the slopes ``(K,)`` of the linear model of one sample in the direction ``d``."""
    return T.reshape(len(T), -1) @ d.ravel()


def printed_direction(T_y, norm):
    """Section 3.1.1 as it stands in the paper, of one vector, c = 1."""
    if norm == "l2":
        return T_y / np.linalg.norm(T_y)
    if norm == "linf":
        return np.sign(T_y)
    return np.eye(len(T_y))[np.abs(T_y).argmax()]


# --- section 2: T = dg/dx, not dg/dw ---------------------------------------------------------------------------------


@given(NETWORKS)
def test_T_is_the_derivative_by_the_input(case):
    network, x = case
    alpha, T = jacobian_rows(network, x)
    np.testing.assert_array_equal(alpha, network(x))
    assert T.shape == (*alpha.shape, *x.shape[1:])
    for at in np.ndindex(x.shape[1:]):
        step = np.zeros_like(x)
        step[(slice(None), *at)] = 1e-5
        slope = (network(x + step) - network(x - step)) / 2e-5
        np.testing.assert_allclose(T[(slice(None), slice(None), *at)], slope, atol=1e-8)


@given(NETWORKS, st.data())
def test_rows_can_be_chosen_and_chunked(case, data):
    network, x = case
    alpha, T = jacobian_rows(network, x)
    K = alpha.shape[1]
    rows = data.draw(st.lists(st.integers(0, K - 1), min_size=1, max_size=2 * K))
    chunk = data.draw(st.integers(1, 2 * K + 1))
    value, picked = jacobian_rows(network, x, rows=rows, chunk=chunk)
    np.testing.assert_array_equal(value, alpha)
    np.testing.assert_allclose(picked, T[:, rows], rtol=1e-12, atol=1e-15)
    _, from_array = jacobian_rows(network, x, rows=np.array(rows), chunk=chunk)
    np.testing.assert_array_equal(from_array, picked)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, None])
def test_no_pass_carries_more_rows_than_the_chunk(chunk, dtype):
    passes = []

    @op
    def cube(x):
        def vjp(g):
            passes.append(len(g))
            return 3 * x**2 * g

        return x**3, (vjp,)

    x = np.arange(10, dtype=dtype).reshape(2, 5)
    value, rows = jacobian_rows(cube, x, chunk=chunk)
    assert value.dtype == rows.dtype == dtype
    np.testing.assert_array_equal(rows, np.stack([np.diag(3 * sample**2) for sample in x]))
    assert sum(passes) == 5
    assert max(passes) == min(chunk or 5, 5)


@pytest.mark.parametrize("rows", [[], [-1], [3], [0, 3], [1.5], [math.nan], ["a"], 3])
def test_bad_rows_are_refused(rows):
    network, x = smooth_network(3)
    with pytest.raises(InputError, match="rows: got"):
        jacobian_rows(network, x, rows=rows)


@pytest.mark.parametrize("chunk", [0, -1, 1.5, math.nan, "2"])
def test_bad_chunks_are_refused(chunk):
    network, x = smooth_network(3)
    with pytest.raises(InputError, match="chunk: got"):
        jacobian_rows(network, x, chunk=chunk)


@pytest.mark.parametrize("function", [lambda x: x.reshape(-1), lambda x: x[:1], lambda x: x[:, None]])
def test_functions_that_give_no_row_a_sample_are_refused(function):
    with pytest.raises(InputError, match="function: got"):
        jacobian_rows(lambda x: function(x.value), np.ones((2, 3)))


# --- (1): the inequality points the other way ------------------------------------------------------------------------


@EACH_NORM
def test_as_printed_the_constraint_holds_at_zero(norm):
    network, x = smooth_network(4)
    alpha, T = jacobian_rows(network, x)
    _, one = proposition_2_2(proposition_2_1(alpha, T, norm))
    for n, J in enumerate(alpha.argmax(axis=1)):
        nothing = along(T[n], np.zeros_like(x[n]))
        assert np.all(nothing - nothing[J] <= alpha[n, J] - alpha[n])  # the printed constraint; r = 0 turns no one
        gain = along(T[n], one.r[n] * (1 + 1e-9))
        assert np.any(gain - gain[J] > alpha[n, J] - alpha[n])  # ours; a class has overtaken J


# --- Proposition 2.1 -------------------------------------------------------------------------------------------------


def test_the_l1_case_needs_the_sign_of_the_component():
    T = np.random.default_rng(0).normal(size=(1000, 2, 6))
    alpha = np.tile([0.7, 0.3], (1000, 1))
    a, delta = T[:, 1] - T[:, 0], 0.4
    largest = np.abs(a).max(axis=1, keepdims=True)
    printed = delta / largest * (np.abs(a) == largest)
    feasible = (a * printed).sum(axis=1) >= delta - 1e-12
    assert 0.4 < feasible.mean() < 0.6
    ours = proposition_2_1(alpha, T, "l1").r[:, 1]
    np.testing.assert_allclose((a * ours).sum(axis=1), delta)
    np.testing.assert_allclose(np.abs(ours), printed)


def test_it_is_not_always_solvable():
    T = np.array([[[1.0, 2.0], [1.0, 2.0], [3.0, 1.0]]])
    candidates = proposition_2_1(np.array([[0.5, 0.3, 0.2]]), T)
    assert candidates.log_distance[0, 1] == math.inf  # a_1 = 0: nothing moves class 1 against class 0
    assert proposition_2_2(candidates)[0][0] == 2


@pytest.mark.parametrize(("norm", "a", "other"), [("l1", [1, -1], [0, -0.5]), ("linf", [1, 0], [0.5, 0.5])])
def test_the_solution_need_not_be_unique(norm, a, other):
    T = np.array([[[0.0, 0.0], a]])
    ours = proposition_2_1(np.array([[0.75, 0.25]]), T, norm).r[0, 1]
    assert np.dot(a, other) == np.dot(a, ours) == 0.5
    assert length(np.array(other), norm) == pytest.approx(length(ours, norm))
    assert not np.array_equal(ours, other)


# --- Proposition 2.2 and Algorithm 1 ---------------------------------------------------------------------------------


@EACH_NORM
@EACH_FORM
def test_the_predicted_class_must_be_left_out(norm, form):
    network, x = smooth_network(4)
    alpha, T = jacobian_rows(network, x)
    J = alpha.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        own = np.take_along_axis(T, J[:, None, None, None], axis=1)
        printed = (alpha.max(axis=1, keepdims=True) - alpha) / dual_length((T - own).reshape(5, 4, -1), norm)
    np.testing.assert_array_equal(np.isnan(printed), J[:, None] == np.arange(4))  # 0 / 0 at J, and only there
    nearest, one = algorithm_1(network, x, norm, form)
    np.testing.assert_array_equal(nearest, np.nanargmin(printed, axis=1))
    np.testing.assert_allclose(np.exp(one.log_distance), np.nanmin(printed, axis=1))


@EACH_NORM
def test_at_the_nearest_r_the_prediction_is_a_tie(norm):
    alpha, T = np.array([[0.5, 0.25, 0.25]]), np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, -2.0]]])
    nearest, one = proposition_2_2(proposition_2_1(alpha, T, norm))
    at = [alpha[0] + along(T[0], one.r[0] * factor) for factor in (0.999999, 1, 1.000001)]
    assert at[0].argmax() == 0
    assert at[1][0] == pytest.approx(at[1][nearest[0]])
    assert at[2].argmax() == nearest[0]


@given(NETWORKS)
def test_the_rows_of_T_sum_to_zero_so_one_of_them_is_free(case):
    network, x = case
    alpha, T = jacobian_rows(network, x)
    np.testing.assert_allclose(T.sum(axis=1), 0, atol=1e-12)
    for n, J in enumerate(alpha.argmax(axis=1)):
        others = [k for k in range(alpha.shape[1]) if k != J]
        _, rows = jacobian_rows(network, x[n : n + 1], rows=others)  # K - 1 backward rows
        np.testing.assert_allclose(-rows[0].sum(axis=0), T[n, J], atol=1e-12)
        assert np.linalg.matrix_rank(T[n].reshape(len(T[n]), -1), tol=1e-12) <= len(others)


# --- Proposition 3.1 -------------------------------------------------------------------------------------------------


def test_differentiable_almost_everywhere_does_not_suffice():
    def f(u, v):
        return -abs(u - v)

    grid = np.linspace(0, 1, 1025)
    L = f(grid[:, None], grid).max(axis=0)
    np.testing.assert_array_equal(L, 0)  # so that L' = 0
    h = grid[1]
    for v in grid[1:-1]:
        best = grid[f(grid, v).argmax()]
        assert (f(best, v + h) - f(best, v)) / h == -1  # and f(u*, .) has one slope to the right
        assert (f(best, v) - f(best, v - h)) / h == 1  # and another to the left


def test_where_both_are_differentiable_their_gradients_agree():
    def f(u, v):
        return np.sin(3 * u) * v - (u - v) ** 2

    grid, v, h = np.linspace(-2, 2, 400_001), 0.6, 1e-4
    best = grid[f(grid, v).argmax()]
    of_L = (f(grid, v + h).max() - f(grid, v - h).max()) / (2 * h)
    of_f = (f(best, v + h) - f(best, v - h)) / (2 * h)
    assert abs(of_f) > 0.1
    assert of_L == pytest.approx(of_f, abs=1e-4)


# --- 3.1.1: the minus sign -------------------------------------------------------------------------------------------


@EACH_NORM
@EACH_FORM
@given(case=NETWORKS)
def test_alpha_y_falls_along_ours_and_rises_along_the_printed_direction(norm, form, case):
    network, x = case
    alpha, T = jacobian_rows(network, x)
    y = np.arange(len(x)) % alpha.shape[1]
    ours = adv_loss(network, x, y, norm, form)
    for n, label in enumerate(y):
        here, T_y, r = x[n : n + 1], T[n, label].ravel(), ours[n].ravel()
        slope = dual_length(T_y, norm)
        assume(slope > 1e-3)
        assert length(r, norm) == pytest.approx(1)
        assert T_y @ r == pytest.approx(-slope)
        assert network(here + 1e-6 * ours[n])[0, label] < alpha[n, label]
        if norm != "l1":
            printed = printed_direction(T_y, norm)
            assert T_y @ printed == pytest.approx(slope)
            assert network(here + 1e-6 * printed.reshape(here.shape))[0, label] > alpha[n, label]


def test_the_l1_direction_carries_the_sign_of_the_component():
    for T_y in np.array([[1.0, -3.0], [1.0, 3.0]]):
        assert T_y @ likelihood_direction(T_y[None], "l1")[0] == -3
        assert T_y @ printed_direction(T_y, "l1") == T_y[1]  # up or down, as it happens


@given(NETWORKS)
def test_item_2_is_goodfellows_method_only_with_the_minus_sign(case):
    network, x = case
    alpha, T = jacobian_rows(network, x)
    y = np.arange(len(x)) % alpha.shape[1]
    T_y = T[np.arange(len(x)), y]
    _, (gradient,) = value_and_gradient(partial(batch_loss, network.parameters, network=network, y=y), x)
    of_each_loss = len(x) * gradient
    alpha_y = alpha[np.arange(len(x)), y][:, None, None]
    np.testing.assert_allclose(of_each_loss, -T_y / alpha_y, atol=1e-10)
    assume(np.abs(of_each_loss).min() > 1e-9)
    np.testing.assert_array_equal(adv_loss(network, x, y, "linf"), np.sign(of_each_loss))


# --- Algorithms 2 and 3: the direction's norm and the radius's -------------------------------------------------------


@EACH_NORM
@pytest.mark.parametrize("measured", NAMES)
def test_the_norm_of_the_direction_and_of_the_radius_are_two_choices(norm, measured):
    network, x = smooth_network(3)
    y = np.zeros(len(x), int)
    r = perturbation(lambda *batch: adv_loss(*batch, norm), 0.5, measured)(network, x, y)
    np.testing.assert_allclose(length(r.reshape(5, -1), measured), 0.5)
    np.testing.assert_allclose(rescale(r, 1.0, norm), adv_loss(network, x, y, norm))


def test_zero_over_its_norm_is_zero():
    for norm in NAMES:
        np.testing.assert_array_equal(rescale(np.zeros((2, 3)), 1.5, norm), 0)


# --- 3.1.2 on a sample that is wrong already -------------------------------------------------------------------------


@EACH_NORM
@EACH_FORM
def test_a_misclassified_sample_is_pushed_away_from_its_label(norm, form):
    network, x = smooth_network(4)
    alpha, T = jacobian_rows(network, x)
    taken_for = alpha.argmax(axis=1)
    y = (taken_for + 1) % 4
    r = adv_alpha(network, x, y, norm, form)
    for n in range(len(x)):
        a = (T[n, taken_for[n]] - T[n, y[n]]).ravel()
        assert a @ r[n].ravel() == pytest.approx(dual_length(a, norm))
        delta = alpha[n, y[n]] - alpha[n, taken_for[n]]  # the printed formula with y for J: its scale is negative
        assert a @ (delta / dual_length(a, norm) * steepest(a, norm)) < 0  # a step towards y


# --- mathematics.md, section 2 ---------------------------------------------------------------------------------------


@given(NETWORKS)
def test_the_structure_of_T(case):
    network, x = case
    alpha, T = jacobian_rows(network, x)
    z, J = jacobian_rows(network.logits, x)
    for n, y in enumerate(alpha.argmax(axis=1)):
        own, rows, derivative = alpha[n], J[n].reshape(len(J[n]), -1), T[n].reshape(len(T[n]), -1)
        D = rows - rows[y]
        Dbar = own @ D
        delta = own[y] - own
        np.testing.assert_allclose(derivative, own[:, None] * (rows - own @ rows), atol=1e-12)
        np.testing.assert_allclose(Dbar, -derivative[y] / own[y], atol=1e-12)
        a = derivative - derivative[y]
        np.testing.assert_allclose(a, own[:, None] * D + delta[:, None] * Dbar, atol=1e-12)
        others = np.arange(len(own)) != y
        s = own[others].sum()
        pi = np.where(others, own, 0) / s
        tau = pi[others] / delta[others]
        stable = pi @ D + tau[:, None] * D[others]
        np.testing.assert_allclose(a[others], s * delta[others, None] * stable, atol=1e-12)
        np.testing.assert_allclose(delta, -own[y] * np.expm1(z[n] - z[n, y]), atol=1e-12)
        for norm in NAMES:
            log_distance = proposition_2_1_stable(z, J, norm).log_distance[n, others]
            mixture = Dbar + (own[others] / delta[others])[:, None] * D[others]
            np.testing.assert_allclose(np.exp(log_distance), 1 / dual_length(mixture, norm), rtol=1e-9)


@EACH_NORM
@EACH_FORM
@given(seed=st.integers(0, 10**6))
def test_with_two_classes_adv_loss_and_adv_alpha_coincide(norm, form, seed):
    network, x = smooth_network(2, seed)
    for y in (network(x).argmax(axis=1), np.zeros(len(x), int)):  # right, and some of them wrong
        np.testing.assert_allclose(
            adv_alpha(network, x, y, norm, form), adv_loss(network, x, y, norm, form), rtol=1e-7, atol=1e-9
        )
