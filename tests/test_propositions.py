"""Propositions 2.1 and 2.2: optimality by hypothesis, the two forms against each other, and the degenerate cases."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minilwa.algorithms import algorithm_1
from minilwa.errors import InputError
from minilwa.layers import dense, flatten, softmax
from minilwa.networks import Network, create
from minilwa.norms import dual, dual_length, length, steepest
from minilwa.propositions import (
    likelihood_direction,
    proposition_2_1,
    proposition_2_1_stable,
    proposition_2_2,
    select,
    softmax_of_others,
)

pytestmark = pytest.mark.filterwarnings("error")

NAMES = ["l1", "l2", "linf"]
RTOL = {"float32": 2e-5, "float64": 1e-12}
NORMS = st.sampled_from([*NAMES, 1.25, 3, math.inf]) | st.floats(1.05, 20)
DTYPES = st.sampled_from(list(RTOL))
ENTRIES = st.floats(-1, 1, width=16, allow_subnormal=False) | st.integers(-2, 2).map(float)
SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


@st.composite
def logits_and_rows(draw, samples=(1, 3), classes=(2, 5)):
    """z ``(N, K)``, whose entries are exact in float32 and often equal, and J ``(N, K, *shape)``; float64."""
    size = (draw(st.integers(*samples)), draw(st.integers(*classes)))
    z = draw(arrays(np.float64, size, elements=st.integers(-24, 24).map(lambda i: i / 8)))
    return z, draw(arrays(np.float64, size + draw(SHAPES), elements=ENTRIES))


def differentiate(z, J):
    """alpha = softmax(z) and T_j = alpha_j (J_j - Jbar), whose rows sum to zero."""
    alpha = np.exp(z - z.max(axis=1, keepdims=True))
    alpha /= alpha.sum(axis=1, keepdims=True)
    weights = alpha.reshape(alpha.shape + (1,) * (J.ndim - 2))
    return alpha, weights * (J - (weights * J).sum(axis=1, keepdims=True))


@st.composite
def problems(draw, **sizes):
    """alpha ``(N, K)`` and T ``(N, K, *shape)`` of one dtype; T is a softmax's derivative, or arbitrary."""
    z, J = draw(logits_and_rows(**sizes))
    alpha, T = differentiate(z, J)
    if draw(st.booleans()):
        T = J
    dtype = draw(DTYPES)
    return alpha.astype(dtype), (T * 10.0 ** draw(st.integers(-8, 8))).astype(dtype)


def constraints(alpha, T):
    """(n, j, a_j, delta_j) of every sample n and class j != J, as float64."""
    alpha, T = alpha.astype(np.float64), T.astype(np.float64).reshape(*alpha.shape, -1)
    for n, J in enumerate(alpha.argmax(axis=1)):
        for j in range(alpha.shape[1]):
            if j != J:
                yield n, j, T[n, j] - T[n, J], alpha[n, J] - alpha[n, j]


def flat(r, places):
    """``r`` ``(*places, *shape)`` as float64, one axis a vector."""
    return r.astype(np.float64).reshape(*places, -1)


def leads(alpha, T, r):
    """alpha + T r of one sample, less its value at J, class by class, in exact arithmetic."""
    exact = [[Fraction(float(t)) for t in row] for row in T.reshape(len(alpha), -1)]
    step = [Fraction(float(component)) for component in np.ravel(r)]
    values = [Fraction(float(a)) + sum(map(Fraction.__mul__, row, step)) for a, row in zip(alpha, exact, strict=True)]
    return np.array([value - values[alpha.argmax()] for value in values])


# --- Proposition 2.1 -------------------------------------------------------------------------------------------------


@given(problems(), NORMS)
def test_results_have_the_shapes_and_dtype_of_the_problem(problem, norm):
    alpha, T = problem
    for array in problem:
        array.flags.writeable = False
    candidates = proposition_2_1(alpha, T, norm)
    assert candidates.direction.shape == candidates.r.shape == T.shape
    assert candidates.log_distance.shape == alpha.shape
    assert candidates.direction.dtype == candidates.r.dtype == candidates.log_distance.dtype == T.dtype
    nearest, one = proposition_2_2(candidates)
    assert nearest.shape == one.log_distance.shape == alpha.shape[:1]
    assert one.direction.shape == one.r.shape == (len(T), *T.shape[2:])


@given(problems(), NORMS)
def test_the_constraint_is_tight(problem, norm):
    alpha, T = problem
    r = flat(proposition_2_1(alpha, T, norm).r, alpha.shape)
    for n, j, a, delta in constraints(alpha, T):
        if a.any():
            assert a @ r[n, j] == pytest.approx(delta, rel=RTOL[str(T.dtype)], abs=0)
        else:
            assert not r[n, j].any()


@given(problems(), NORMS)
def test_the_length_is_delta_over_the_dual_norm(problem, norm):
    alpha, T = problem
    candidates = proposition_2_1(alpha, T, norm)
    r = flat(candidates.r, alpha.shape)
    for n, j, a, delta in constraints(alpha, T):
        distance = np.exp(float(candidates.log_distance[n, j]))
        if a.any() or not delta:
            expected = delta / dual_length(a, norm) if delta else 0
            assert length(r[n, j], norm) == pytest.approx(expected, rel=RTOL[str(T.dtype)], abs=0)
            assert distance == pytest.approx(expected, rel=RTOL[str(T.dtype)], abs=0)
        else:
            assert distance == math.inf


@given(problems(), NORMS, st.data())
def test_no_drawn_feasible_vector_is_shorter(problem, norm, data):
    alpha, T = problem
    distance = np.exp(proposition_2_1(alpha, T, norm).log_distance.astype(np.float64))
    drawn = data.draw(arrays(np.float64, (4, T[0, 0].size), elements=ENTRIES))
    for n, j, a, delta in constraints(alpha, T):
        for along in drawn:
            gain = a @ along
            if gain:  # the shortest feasible multiple of what was drawn
                feasible = along * (delta / gain)
                assert length(feasible, norm) >= distance[n, j] * (1 - RTOL[str(T.dtype)])


def solve_linear_program(a, norm):
    """min ||r|| subject to <a, r> >= 1, in L1 or Linf, by scipy's linear programming."""
    from scipy.optimize import linprog

    D, one = len(a), np.ones((len(a), 1))
    if norm == "l1":  # r = u - v, u and v >= 0
        answer = linprog(np.ones(2 * D), A_ub=[[*-a, *a]], b_ub=[-1])
    else:  # the bound t on every |r_i| is the last variable
        A = np.block([[np.eye(D), -one], [-np.eye(D), -one], [-a, 0]])
        answer = linprog([0] * D + [1], A_ub=A, b_ub=[0] * (2 * D) + [-1], bounds=[(None, None)] * D + [(0, None)])
    assert answer.status == 0
    return answer.fun


def solve_by_slsqp(a, start):
    """min ||r||_2 subject to <a, r> >= 1, by sequential quadratic programming from ``start``."""
    from scipy.optimize import minimize

    constraint = {"type": "ineq", "fun": lambda r: a @ r - 1, "jac": lambda r: a}
    answer = minimize(lambda r: r @ r, start, jac=lambda r: 2 * r, constraints=constraint, method="SLSQP", tol=1e-14)
    assert answer.success
    return math.sqrt(answer.fun)


@pytest.mark.parametrize("norm", NAMES)
@given(problem=problems(samples=(1, 1), classes=(2, 4)), data=st.data())
@settings(max_examples=50)
def test_scipy_finds_nothing_shorter(norm, problem, data):
    alpha, T = problem
    log_distance = proposition_2_1(alpha, T, norm).log_distance.astype(np.float64)
    start = data.draw(arrays(np.float64, T[0, 0].size, elements=ENTRIES))
    for n, j, a, delta in constraints(alpha, T):
        if a.any() and delta:
            unit = np.abs(a).max()  # the solvers see a problem of order one: a / unit, delta = 1
            shortest = solve_by_slsqp(a / unit, start) if norm == "l2" else solve_linear_program(a / unit, norm)
            ours = math.exp(log_distance[n, j] + math.log(unit) - math.log(delta))
            assert ours == pytest.approx(shortest, rel=RTOL[str(T.dtype)] + 1e-7)


# --- Proposition 2.2 -------------------------------------------------------------------------------------------------


@given(problems(), NORMS)
def test_at_the_nearest_r_two_classes_tie_and_none_is_above(problem, norm):
    alpha, T = problem
    nearest, one = proposition_2_2(proposition_2_1(alpha, T, norm))
    for n, closest in enumerate(nearest):
        if np.isposinf(one.log_distance[n]):
            assert not one.r[n].any()
            continue
        J = alpha[n].argmax()
        assert closest != J
        lead = leads(alpha[n], T[n], one.r[n])
        tolerance = RTOL[str(T.dtype)] * (alpha[n, J] - alpha[n].astype(np.float64))  # (K,)
        assert abs(lead[closest]) <= tolerance[closest]
        assert all(lead <= tolerance)


@given(problems(), NORMS)
def test_just_beyond_the_nearest_r_the_linear_model_predicts_something_else(problem, norm):
    alpha, T = problem
    nearest, one = proposition_2_2(proposition_2_1(alpha, T, norm))
    for n, closest in enumerate(nearest):
        beyond = one.r[n].astype(np.float64) * (1 + 10 * RTOL[str(T.dtype)])
        if beyond.any():
            assert leads(alpha[n], T[n], beyond)[closest] > 0


@given(problems(), NORMS, st.data())
def test_every_shorter_r_keeps_the_prediction(problem, norm, data):
    alpha, T = problem
    candidates = proposition_2_1(alpha, T, norm)
    _, one = proposition_2_2(candidates)
    drawn = data.draw(arrays(np.float64, (3, T[0, 0].size), elements=ENTRIES))
    sizes = length(drawn, norm)[:, None]
    drawn /= np.where(sizes > 0, sizes, 1)
    shares = [data.draw(st.floats(0, 0.999)), 1 - 10 * RTOL[str(T.dtype)]]
    for n, J in enumerate(alpha.argmax(axis=1)):
        distance = min(math.exp(float(one.log_distance[n])), 1e30)  # where nothing turns the model, 1e30 does not
        if distance:
            towards_each = flat(candidates.direction[n], alpha.shape[1:])  # the sharpest attempts there are
            for along in (*drawn, *towards_each):
                for share in shares:
                    lead = leads(alpha[n], T[n], along * (share * distance))
                    assert all(np.delete(lead, J) < 0)


# --- the two forms ---------------------------------------------------------------------------------------------------


@given(logits_and_rows(), NORMS)
def test_both_forms_agree_in_float64_where_nothing_saturates(problem, norm):
    z, J = problem
    alpha, T = differentiate(z, J)
    printed, stable = proposition_2_1(alpha, T, norm), proposition_2_1_stable(z, J, norm)
    directions = flat(stable.direction, z.shape)
    for n, j, a, _ in constraints(alpha, T):
        slope = dual_length(a, norm)
        if slope > 1e-5 * np.abs(J[n]).max():  # below, the printed form is mostly rounding
            assert stable.log_distance[n, j] == pytest.approx(printed.log_distance[n, j], rel=1e-9, abs=1e-9)
            assert length(directions[n, j], norm) == pytest.approx(1)
            assert a @ directions[n, j] == pytest.approx(slope, rel=1e-9)
            if norm == "l2":
                np.testing.assert_allclose(stable.direction[n, j], printed.direction[n, j], atol=1e-9)


def printed_in_500_digits(z, J, norm):
    """Each a_j, its conditioning, and log distance_j, by the paper's formulas in arithmetic that nothing saturates.

    One sample, ``z`` ``(K,)`` and ``J`` ``(K, D)``. The conditioning is what a_j would measure if none of the terms
    that it is the sum of cancelled, over what it measures: by so much can rounding grow.
    """
    q = dual(norm)
    with localcontext() as context:
        context.prec = 500
        z = [Decimal(float(value)) for value in z]
        J = np.array([[Decimal(float(entry)) for entry in row] for row in J])
        e = [(value - max(z)).exp() for value in z]
        alpha = [value / sum(e) for value in e]
        T = np.array([alpha[j] * (J[j] - np.dot(alpha, J)) for j in range(len(z))])
        top = z.index(max(z))

        def measure(v):
            sizes = [abs(entry) for entry in v]
            return max(sizes) if q == math.inf else sum(size ** Decimal(q) for size in sizes) ** (1 / Decimal(q))

        result = {}
        for j in set(range(len(z))) - {top}:
            a, delta = T[j] - T[top], alpha[top] - alpha[j]
            slope = measure(a)
            terms = alpha[j] * abs(J[j] - J[top]) + delta * np.dot(alpha, abs(J - J[top]))
            if measure(terms):  # else a_j = 0
                unit = np.array([float(entry / slope) for entry in a])
                log_distance = float((delta / slope).ln()) if delta else -math.inf
                result[j] = unit, float(measure(terms) / slope), log_distance
        return result


@given(
    logits_and_rows(samples=(1, 1), classes=(2, 4)),
    st.sampled_from([0.125, 2.5, 20.0, 100.0, 1000.0]),
    st.sampled_from([*NAMES, 3]),
    DTYPES,
)
@settings(max_examples=50)
def test_the_stable_form_stays_right_at_every_margin(problem, margin, norm, dtype):
    z, J = problem
    top = z[0].argmax()
    z[0] -= z[0, top]
    z[0, np.arange(len(z[0])) != top] -= margin
    candidates = proposition_2_1_stable(z.astype(dtype), J.astype(dtype), norm)
    directions = flat(candidates.direction, z.shape)[0]
    eps = RTOL[dtype] / 10
    reference = printed_in_500_digits(z[0], J[0].reshape(len(z[0]), -1), norm)
    for j in set(range(len(z[0]))) - set(reference):
        assert candidates.log_distance[0, j] == math.inf
    for j, (unit, conditioning, log_distance) in reference.items():
        if conditioning < 1e3:
            assert float(candidates.log_distance[0, j]) == pytest.approx(log_distance, rel=eps, abs=eps * conditioning)
            assert length(directions[j], norm) == pytest.approx(1, rel=eps)
            assert unit @ directions[j] == pytest.approx(1, rel=eps * conditioning)
            if norm == "l2":
                np.testing.assert_allclose(directions[j], unit, atol=eps * conditioning)


def linear_network(w, b):
    """softmax(x @ w + b) as a network, with the parameters and the dtype given."""
    network = create((flatten(), dense(w.shape[1]), softmax()), (len(w),), dtype=str(w.dtype))
    return network.with_parameters(((), {"w": w, "b": b}, ()))


@pytest.mark.parametrize("norm", NAMES)
@pytest.mark.parametrize("margin", [20, 100, 1000])
def test_in_float32_the_stable_form_is_right_where_the_printed_one_is_not(margin, norm):
    w = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    b = np.array([0, margin, -0.5, 0.25], np.float32)
    x = np.zeros((1, 6), np.float32)  # so that the logits are b
    reference = printed_in_500_digits(b, w.T, norm)
    wanted = min(reference, key=lambda j: reference[j][2])
    unit, _, log_distance = reference[wanted]

    nearest, one = algorithm_1(linear_network(w, b), x, norm, "stable")
    assert nearest[0] == wanted
    assert one.log_distance[0] == pytest.approx(log_distance, rel=1e-6)
    assert unit @ one.direction[0] == pytest.approx(1, rel=1e-6)

    _, printed = algorithm_1(linear_network(w, b), x, norm, "printed")
    assert not abs(float(printed.log_distance[0]) - log_distance) < 0.1  # the distance is off by 10% or more
    if norm == "l2":
        assert not unit @ printed.direction[0] > 0.99  # and the direction by 8 degrees or more


def test_logits_count_only_by_their_differences():
    z = np.array([[0.5, 0, -0.625, 0.375]], np.float32)
    J = np.array([[[1, 2], [0, -1], [3, 1], [-2, 0.5]]], np.float32)
    here, there = (proposition_2_1_stable(logits, J) for logits in (z, z + 4096))  # exact in float32
    np.testing.assert_allclose(there.log_distance, here.log_distance, rtol=1e-6)
    np.testing.assert_allclose(there.direction, here.direction, atol=1e-6)


@st.composite
def two_class_networks(draw, margins, dtype):
    """A linear network with two classes, a point, its class, its margin m and D = w_other - w_J."""
    inputs = draw(st.integers(1, 6))
    w = draw(arrays(np.float64, (inputs, 2), elements=ENTRIES)).astype(dtype)
    x = draw(arrays(np.float64, (1, inputs), elements=ENTRIES)).astype(dtype)
    J = draw(st.integers(0, 1))
    D = (w[:, 1 - J] - w[:, J]).astype(np.float64)
    assume(D.any())
    b = np.zeros(2, dtype)
    b[J] = draw(margins) + (x @ (w[:, 1 - J] - w[:, J]))[0]
    network = linear_network(w, b)
    z = network.logits(x)[0].astype(np.float64)
    return network, x, J, z[J] - z[1 - J], D


def assert_sinh(network: Network, x, J, m, D, norm, form, rtol):
    nearest, one = algorithm_1(network, x, norm, form)
    assert nearest[0] == 1 - J
    log_sinh = m + math.log1p(-math.exp(-2 * m)) - math.log(2)
    assert float(one.log_distance[0]) == pytest.approx(log_sinh - math.log(dual_length(D, norm)), rel=rtol, abs=rtol)
    direction = one.direction[0].astype(np.float64)
    assert length(direction, norm) == pytest.approx(1, rel=rtol)
    assert D @ direction == pytest.approx(dual_length(D, norm), rel=rtol)
    return direction


@pytest.mark.parametrize("form", ["stable", "printed"])
@given(case=two_class_networks(st.floats(0.25, 10), "float64"), norm=NORMS)
def test_linear_two_class_network(form, case, norm):
    network, x, J, m, D = case
    direction = assert_sinh(*case, norm, form, rtol=1e-9)
    for factor, predicted in ((1 - 1e-6, J), (1 + 1e-6, 1 - J)):  # the true distance is m / ||D||_*
        moved = x + direction * (factor * m / dual_length(D, norm))
        assert network.logits(moved).argmax() == predicted


@given(two_class_networks(st.floats(0.25, 2000, width=32), "float32"), NORMS)
def test_linear_two_class_network_in_float32(case, norm):
    assert_sinh(*case, norm, "stable", rtol=1e-5)


@given(logits_and_rows(), st.data())
def test_softmax_of_others_leaves_the_reference_out(problem, data):
    z, _ = problem
    N, K = z.shape
    reference = data.draw(arrays(np.int64, N, elements=st.integers(0, K - 1)))
    pi, log_total = softmax_of_others(z, reference)
    for n, y in enumerate(reference):
        others = [k for k in range(K) if k != y]
        total = math.fsum(math.exp(z[n, k]) for k in others)
        assert pi[n, y] == 0
        assert log_total[n, 0] == pytest.approx(math.log(total), rel=1e-12, abs=1e-12)
        assert list(pi[n, others]) == pytest.approx([math.exp(z[n, k]) / total for k in others], rel=1e-12)


@given(problems(), NORMS)
def test_the_likelihood_direction_lowers_alpha_y_as_fast_as_any(problem, norm):
    _, T = problem
    T_y = T[:, 0]
    r = likelihood_direction(T_y, norm)
    assert r.shape == T_y.shape
    assert r.dtype == T_y.dtype
    for row, step in zip(flat(T_y, (len(T),)), flat(r, (len(T),)), strict=True):
        assert row @ step == pytest.approx(-dual_length(row, norm), rel=RTOL[str(T.dtype)])
        assert length(step, norm) == pytest.approx(1 if row.any() else 0, rel=RTOL[str(T.dtype)])


# --- degenerate cases ------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("norm", [*NAMES, 1.5])
ALPHA = np.array([[0.5, 0.3, 0.2]])
Z = np.log(ALPHA)


@BOTH
@pytest.mark.parametrize("dtype", list(RTOL))
def test_a_class_whose_row_equals_the_predicted_ones_is_skipped(norm, dtype):
    rows = np.array([[[1, -2], [1, -2], [0, 3]]], dtype)
    candidates = proposition_2_1(ALPHA.astype(dtype), rows, norm)
    np.testing.assert_array_equal(np.isposinf(candidates.log_distance), [[True, True, False]])
    np.testing.assert_array_equal(candidates.direction[0, 1], 0)
    np.testing.assert_array_equal(candidates.r[0, 1], 0)
    nearest, one = proposition_2_2(candidates)
    assert nearest[0] == 2
    np.testing.assert_array_equal(one.direction, candidates.direction[:, 2])


@BOTH
@pytest.mark.parametrize("dtype", list(RTOL))
@pytest.mark.parametrize("K", [2, 3])
def test_where_nothing_can_be_done_the_distance_is_infinite(norm, dtype, K):
    same = np.ones((2, K, 2, 2), dtype)
    alpha = np.full((2, K), 0.1, dtype)
    alpha[:, K - 1] = 0.8
    for candidates in (proposition_2_1(alpha, same, norm), proposition_2_1_stable(np.log(alpha), same, norm)):
        _, one = proposition_2_2(candidates)
        np.testing.assert_array_equal(candidates.log_distance, np.inf)
        np.testing.assert_array_equal(one.log_distance, np.inf)
        np.testing.assert_array_equal(one.direction, 0)
        np.testing.assert_array_equal(one.r, 0)


@BOTH
@pytest.mark.parametrize("dtype", list(RTOL))
@pytest.mark.parametrize("tied", [[1.0, 0.0, 1.0], [0.25, 0.25, 0.25]])
def test_at_an_exact_tie_nothing_is_needed_and_the_direction_remains(norm, dtype, tied):
    z = np.array([tied], dtype)
    J = np.array([[[1, -2], [4, 0], [0.5, 3]]], dtype)
    alpha, T = differentiate(z, J)
    for candidates in (proposition_2_1(alpha, T, norm), proposition_2_1_stable(z, J, norm)):
        assert candidates.log_distance[0, 2] == -np.inf
        np.testing.assert_allclose(candidates.direction[0, 2], steepest(J[0, 2] - J[0, 0], norm), rtol=1e-5)
        np.testing.assert_array_equal(candidates.r[0, 2], 0)
        nearest, one = proposition_2_2(candidates)
        assert nearest[0] == tied.index(tied[0], 1)
        assert one.log_distance[0] == -np.inf


@BOTH
def test_a_tie_of_equal_rows_is_reached_by_staying(norm):
    z, rows = np.zeros((1, 2)), np.ones((1, 2, 3))
    for candidates in (proposition_2_1(z + 0.5, rows, norm), proposition_2_1_stable(z, rows, norm)):
        nearest, one = proposition_2_2(candidates)
        assert nearest[0] == 1
        assert one.log_distance[0] == -np.inf
        np.testing.assert_array_equal(one.r, 0)
        np.testing.assert_array_equal(one.direction, 0)


@given(logits_and_rows(), NORMS)
def test_the_predicted_class_is_no_candidate(problem, norm):
    z, J = problem
    for candidates in (proposition_2_1(*differentiate(z, J), norm), proposition_2_1_stable(z, J, norm)):
        for n, predicted in enumerate(z.argmax(axis=1)):
            assert candidates.log_distance[n, predicted] == np.inf
            assert not candidates.direction[n, predicted].any()
        nearest, one = proposition_2_2(candidates)
        found = np.isfinite(one.log_distance) | np.isneginf(one.log_distance)
        assert np.all((nearest != z.argmax(axis=1))[found])


@pytest.mark.parametrize("gap", [1e-3, 1e-20, 1e-37, 1e-39])
def test_logits_that_nearly_tie(gap):
    z = np.array([[gap, 0, -1]], np.float32)
    J = np.array([[[1, 2], [0, -1], [3, 1]]], np.float32)
    nearest, one = proposition_2_2(proposition_2_1_stable(z, J))
    # to first order in the gap: delta = alpha gap and a = alpha D, so that the distance is gap / ||D||
    assert nearest[0] == 1
    assert one.log_distance[0] == pytest.approx(math.log(float(z[0, 0]) / math.sqrt(10)), rel=1e-3)
    np.testing.assert_allclose(one.direction[0], np.array([-1, -3]) / math.sqrt(10), atol=1e-3)


@pytest.mark.parametrize("dtype", list(RTOL))
@pytest.mark.parametrize("form", ["stable", "printed"])
def test_a_distance_beyond_what_a_float_holds(dtype, form):
    rows = np.array([[[1, 0, -2], [0, 0, 1]]], dtype)
    _, one = proposition_2_2(
        proposition_2_1_stable(np.array([[1000, 0]], dtype), rows)
        if form == "stable"
        else proposition_2_1(np.array([[1, 0]], dtype), rows * np.finfo(dtype).smallest_subnormal)
    )
    assert not np.isposinf(one.log_distance[0])
    np.testing.assert_allclose(length(one.direction, "l2"), 1, rtol=1e-6)
    np.testing.assert_array_equal(one.r, [[-np.inf, 0, np.inf]])


@BOTH
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_huge_and_tiny_rows(norm, scale):
    alpha, T = differentiate(Z, np.random.default_rng(0).normal(size=(1, 3, 2, 4)))
    wanted = proposition_2_1(alpha, T, norm)
    scaled = (T * scale).astype(np.float32)
    for candidates in (
        proposition_2_1(alpha.astype(np.float32), scaled, norm),
        proposition_2_1_stable(Z.astype(np.float32), (T / alpha[..., None, None] * scale).astype(np.float32), norm),
    ):
        np.testing.assert_allclose(candidates.log_distance + math.log(scale), wanted.log_distance, atol=2e-5)
        np.testing.assert_allclose(candidates.direction, wanted.direction, atol=1e-5)


def test_select_takes_one_class_a_sample():
    alpha, T = np.array([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]]), np.arange(24.0).reshape(2, 3, 4)
    candidates = proposition_2_1(alpha, T)
    taken = select(candidates, np.array([2, 0]))
    np.testing.assert_array_equal(taken.direction, candidates.direction[[0, 1], [2, 0]])
    np.testing.assert_array_equal(taken.log_distance, candidates.log_distance[[0, 1], [2, 0]])


@pytest.mark.parametrize("function", [proposition_2_1, proposition_2_1_stable])
@pytest.mark.parametrize(
    ("values", "rows"),
    [
        (np.ones((2, 1)), np.ones((2, 1, 4))),  # one class
        (np.ones((2, 3)), np.ones((2, 4, 4))),  # K differs
        (np.ones((2, 3)), np.ones((1, 3, 4))),  # N differs
        (np.ones(3), np.ones((3, 4))),
        (np.ones(3), np.ones(3)),
        (np.ones((2, 3, 1)), np.ones((2, 3, 1))),
        (np.ones((2, 3)), np.ones(2)),
        (np.ones((0, 3)), np.ones((0, 3, 4))),  # no sample
    ],
)
def test_bad_shapes_are_refused(function, values, rows):
    with pytest.raises(InputError):
        function(values, rows)


@pytest.mark.parametrize("function", [proposition_2_1, proposition_2_1_stable])
def test_an_unknown_norm_is_refused(function):
    with pytest.raises(InputError, match="norm: got 'l3'"):
        function(ALPHA, np.ones((1, 3, 2)), "l3")


def test_an_unknown_form_is_refused():
    with pytest.raises(InputError, match="form: got 'exact'"):
        algorithm_1(linear_network(np.ones((2, 2)), np.zeros(2)), np.ones((1, 2)), form="exact")


def test_no_distance_is_told_of_what_is_no_number():
    rows = np.ones((1, 3, 2)) * np.array([[[1.0], [2.0], [3.0]]])
    z = np.array([[np.nan, 1.0, 2.0]])
    with np.errstate(invalid="ignore"):
        for form in (proposition_2_1, proposition_2_1_stable):
            assert np.isnan(form(z, rows).log_distance[0, 1:]).any(), form
