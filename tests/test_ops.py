"""Every primitive: its value against NumPy or SciPy, its vjp against central differences."""

import operator

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.testing import assert_allclose, assert_array_equal
from vjp_check import SEEDS, STACKS, apart, away_from_zero, check_vjp, shapes

from minilwa import ops
from minilwa.backend import like
from minilwa.errors import InputError
from minilwa.tape import Node, vjp


def broadcastable(count):
    return nps.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, max_side=3)


@st.composite
def axes_of(draw, ndim):
    """None, one axis, or a tuple of axes, counted from the left or from the right."""
    chosen = draw(st.lists(st.integers(0, ndim - 1), unique=True) if ndim else st.just([]))
    signed = tuple(axis - ndim * draw(st.booleans()) for axis in chosen)
    return draw(st.sampled_from([None, signed, *signed]))


# --- arithmetic ------------------------------------------------------------------------------------------------------

ARITHMETIC = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}


@pytest.mark.parametrize("name", ARITHMETIC)
@given(drawn=broadcastable(2), stack=STACKS, seed=SEEDS)
def test_arithmetic_broadcasts(name, drawn, stack, seed):
    a, b = (away_from_zero(seed + i, shape) for i, shape in enumerate(drawn.input_shapes))
    value = check_vjp(getattr(ops, name), a, b, stack=stack, seed=seed)
    assert_array_equal(value, ARITHMETIC[name](a, b))


@pytest.mark.parametrize("operate", [operator.add, operator.sub, operator.mul, operator.truediv])
@given(drawn=broadcastable(2), stack=STACKS, seed=SEEDS)
def test_operators_take_nodes_and_plain_arrays_on_either_side(operate, drawn, stack, seed):
    a, b = (away_from_zero(seed + i, shape) for i, shape in enumerate(drawn.input_shapes))
    check_vjp(operate, a, b, stack=stack, seed=seed)


@pytest.mark.parametrize("operate", [operator.add, operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("number", [3, -0.5, np.float32(1.5)])
@given(shape=shapes(), stack=STACKS, seed=SEEDS)
def test_operators_take_numbers_on_either_side(operate, number, shape, stack, seed):
    a = away_from_zero(seed, shape)
    check_vjp(lambda a: operate(a, number), a, stack=stack, seed=seed)
    check_vjp(lambda a: operate(number, a), a, stack=stack, seed=seed)


@given(shape=shapes(), stack=STACKS, seed=SEEDS)
def test_one_array_on_both_sides_of_an_operation(shape, stack, seed):
    check_vjp(lambda a: a * a - a / (a * a), away_from_zero(seed, shape), stack=stack, seed=seed)


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (ops.negative, np.negative),
        (operator.neg, np.negative),
        (ops.exp, np.exp),
        (ops.tanh, np.tanh),
        (ops.relu, lambda a: np.where(a > 0, a, 0)),
    ],
)
@given(shape=shapes(), stack=STACKS, seed=SEEDS)
def test_elementwise(function, reference, shape, stack, seed):
    a = away_from_zero(seed, shape)
    assert_array_equal(check_vjp(function, a, stack=stack, seed=seed), reference(a))


@given(shape=shapes(), stack=STACKS, seed=SEEDS)
def test_log(shape, stack, seed):
    a = np.abs(away_from_zero(seed, shape))
    assert_array_equal(check_vjp(ops.log, a, stack=stack, seed=seed), np.log(a))


def test_relu_has_no_gradient_at_zero():
    _, pullback = vjp(ops.relu, np.array([-1.0, -0.0, 0.0, 1.0]))
    assert_array_equal(pullback(np.full(4, 5.0))[0], [0, 0, 0, 5])


MATRICES = nps.mutually_broadcastable_shapes(signature="(n,m),(m,p)->(n,p)", max_dims=2, max_side=3)


@pytest.mark.parametrize("function", [ops.matmul, operator.matmul])
@given(drawn=MATRICES, stack=STACKS, seed=SEEDS)
def test_matmul_broadcasts_its_leading_axes(function, drawn, stack, seed):
    a, b = (away_from_zero(seed + i, shape) for i, shape in enumerate(drawn.input_shapes))
    assert_allclose(check_vjp(function, a, b, stack=stack, seed=seed), np.matmul(a, b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("a", "b"), [((2, 3), (2, 3)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 4, 3), (2, 4, 3))])
def test_matmul_names_shapes_that_do_not_fit(a, b):
    with pytest.raises(InputError, match=r"matmul: got shapes .*expected \(\.\.\., N, M\) and \(\.\.\., M, P\)"):
        ops.matmul(np.ones(a), np.ones(b))


# --- shape -----------------------------------------------------------------------------------------------------------


@given(data=st.data(), shape=shapes(), stack=STACKS, seed=SEEDS)
def test_reshape(data, shape, stack, seed):
    a = away_from_zero(seed, shape)
    target = data.draw(st.permutations((*shape, 1)))
    if data.draw(st.booleans()):
        target[data.draw(st.integers(0, len(target) - 1))] = -1
    value = check_vjp(lambda a: ops.reshape(a, shape=tuple(target)), a, stack=stack, seed=seed)
    assert_array_equal(value, a.reshape(target))


@given(data=st.data(), shape=shapes(), stack=STACKS, seed=SEEDS)
def test_transpose(data, shape, stack, seed):
    a = away_from_zero(seed, shape)
    axes = data.draw(st.permutations(range(a.ndim)))
    value = check_vjp(lambda a: ops.transpose(a, axes=tuple(axes)), a, stack=stack, seed=seed)
    assert_array_equal(value, np.transpose(a, axes))


def test_transpose_with_axes_counted_from_the_right():
    check_vjp(lambda a: ops.transpose(a, axes=(-1, 0, 1)), away_from_zero(0, (2, 2, 2)), stack=(3,), seed=0)


@given(data=st.data(), shape=shapes(), stack=STACKS, seed=SEEDS)
def test_index_by_integers_slices_ellipsis_and_none(data, shape, stack, seed):
    at = data.draw(nps.basic_indices(shape, allow_newaxis=True))
    check_vjp(lambda a: a[at], away_from_zero(seed, shape), stack=stack, seed=seed)


def test_index_by_a_numpy_integer():
    assert_array_equal(Node(np.arange(6).reshape(2, 3))[np.argmax([0, 1])].value, [3, 4, 5])


@pytest.mark.parametrize("at", [np.array([0, 0]), [0, 1], np.array([True, False]), True, (0, [1]), "a", 1.0])
def test_index_refuses_what_may_name_a_place_twice(at):
    with pytest.raises(InputError, match="index: got"):
        Node(np.ones((2, 3)))[at]


@given(data=st.data(), shape=shapes(min_dims=1), stack=STACKS, seed=SEEDS)
def test_concatenate(data, shape, stack, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    arrays = []
    for i, size in enumerate(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))):
        part = list(shape)
        part[axis] = size
        arrays.append(away_from_zero(seed + i, part))
    value = check_vjp(lambda *arrays: ops.concatenate(*arrays, axis=axis), *arrays, stack=stack, seed=seed)
    assert_array_equal(value, np.concatenate(arrays, axis))


def test_concatenate_an_array_with_itself():
    check_vjp(lambda a: ops.concatenate(a, a * 3, a, axis=-1), away_from_zero(0, (2, 3)), stack=(2,), seed=0)


# --- reductions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "reference"), [(ops.sum, np.sum), (ops.mean, np.mean)])
@given(data=st.data(), shape=shapes(), keepdims=st.booleans(), stack=STACKS, seed=SEEDS)
def test_sum_and_mean(function, reference, data, shape, keepdims, stack, seed):
    a = away_from_zero(seed, shape)
    axis = data.draw(axes_of(a.ndim))
    value = check_vjp(lambda a: function(a, axis=axis, keepdims=keepdims), a, stack=stack, seed=seed)
    assert_allclose(value, reference(a, axis=axis, keepdims=keepdims), rtol=1e-14, atol=1e-14)


@given(data=st.data(), shape=shapes(min_dims=1), keepdims=st.booleans(), stack=STACKS, seed=SEEDS)
def test_max(data, shape, keepdims, stack, seed):
    a = apart(seed, shape)
    axis = data.draw(st.integers(-a.ndim, a.ndim - 1))
    value = check_vjp(lambda a: ops.max(a, axis=axis, keepdims=keepdims), a, stack=stack, seed=seed)
    assert_array_equal(value, a.max(axis=axis, keepdims=keepdims))


@given(data=st.data(), shape=shapes(min_dims=1), stack=STACKS, seed=SEEDS)
def test_max_gives_the_gradient_of_ties_to_the_first(data, shape, stack, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, shape).astype(float)
    axis = data.draw(st.integers(-a.ndim, a.ndim - 1))
    value, pullback = vjp(lambda a: ops.max(a, axis=axis), a)
    cotangent = rng.standard_normal(stack + value.shape)
    first = np.zeros(shape)
    np.put_along_axis(first, np.expand_dims(a.argmax(axis), axis), 1, axis)
    expected = np.expand_dims(cotangent, axis % a.ndim - a.ndim) * first
    assert_array_equal(pullback(cotangent)[0], expected)


@pytest.mark.parametrize("function", [ops.sum, ops.mean, ops.max])
@pytest.mark.parametrize("axis", [2, -3])
def test_an_axis_that_does_not_exist_is_refused(function, axis):
    with pytest.raises(ValueError, match="axis"):
        function(np.ones((2, 3)), axis=axis)


# --- activations and losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "reference"),
    [(ops.softmax, scipy.special.softmax), (ops.log_softmax, scipy.special.log_softmax)],
)
@given(shape=shapes(min_dims=1), stack=STACKS, seed=SEEDS)
def test_softmax_and_log_softmax(function, reference, shape, stack, seed):
    z = away_from_zero(seed, shape)
    value = check_vjp(function, z, stack=stack, seed=seed)
    assert_allclose(value, reference(z, axis=-1), rtol=1e-13, atol=1e-15)


@given(shape=shapes(min_dims=1), seed=SEEDS, dtype=st.sampled_from([np.float32, np.float64]))
def test_softmax_and_log_softmax_of_extreme_logits(shape, seed, dtype):
    z = np.random.default_rng(seed).choice([-1000, 0, 1000], shape).astype(dtype)
    rounding = 8 * np.finfo(dtype).eps
    for function, reference in [
        (ops.softmax, scipy.special.softmax),
        (ops.log_softmax, scipy.special.log_softmax),
    ]:
        value, pullback = vjp(function, z)
        assert_allclose(value, reference(z.astype(np.float64), axis=-1), rtol=rounding, atol=rounding)
        assert np.isfinite(pullback(np.ones_like(z))[0]).all()


@given(n=st.integers(1, 4), k=st.integers(1, 4), stack=STACKS, seed=SEEDS)
def test_cross_entropy(n, k, stack, seed):
    z = away_from_zero(seed, (n, k))
    labels = np.random.default_rng(seed).integers(0, k, n)

    def loss(z):
        return ops.cross_entropy(z, labels=like(labels, getattr(z, "value", z)))

    value = check_vjp(loss, z, stack=stack, seed=seed)
    assert_allclose(value, -scipy.special.log_softmax(z, axis=-1)[range(n), labels], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_of_extreme_logits(dtype):
    z = np.array([[1000, -1000], [-1000, 1000], [1000, 1000], [-1000, -1000]], dtype)
    value, pullback = vjp(lambda z: ops.cross_entropy(z, labels=np.array([1, 1, 0, 1])), z)
    assert_array_equal(value, np.array([2000, 0, np.log(2), np.log(2)], dtype))
    assert_array_equal(pullback(np.ones(4, dtype))[0], [[1, -1], [0, 0], [-0.5, 0.5], [0.5, -0.5]])


@given(shape=shapes(), rate=st.sampled_from([0, 0.25, 0.9]), stack=STACKS, seed=SEEDS)
def test_dropout_of_a_fixed_draw(shape, rate, stack, seed):
    a = away_from_zero(seed, shape)
    value = check_vjp(lambda a: ops.dropout(a, rate=rate, rng=np.random.default_rng(seed)), a, stack=stack, seed=seed)
    kept = value != 0
    assert_allclose(value[kept], a[kept] / (1 - rate), rtol=1e-15)
    assert rate > 0 or kept.all()


def test_dropout_drops_its_rate_and_draws_anew():
    rng = np.random.default_rng(0)
    first, second = (ops.dropout(np.ones(100_000), rate=0.3, rng=rng) == 0 for _ in range(2))
    deviation = np.sqrt(0.3 * 0.7 / 100_000)
    assert abs(first.mean() - 0.3) < 4 * deviation
    assert abs((first & second).mean() - 0.09) < 4 * deviation  # the two draws are independent


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_dropout_refuses_a_rate_outside_zero_to_one(rate):
    with pytest.raises(InputError, match=r"rate: got .*, expected a number in \[0, 1\)"):
        ops.dropout(np.ones(3), rate=rate, rng=np.random.default_rng(0))
