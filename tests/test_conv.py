"""Convolution and pooling against plain loops and SciPy, and their vjps against central differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import correlate
from vjp_check import SEEDS, STACKS, apart, away_from_zero, check_vjp

from minilwa.conv import conv2d, max_pool2d
from minilwa.errors import InputError
from minilwa.tape import vjp


def conv2d_loop(x, w, stride, padding):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    height, width = w.shape[2:]
    rows, columns = (x.shape[2] - height) // stride + 1, (x.shape[3] - width) // stride + 1
    value = np.empty((len(x), len(w), rows, columns))
    for n, f, i, j in np.ndindex(value.shape):
        top, left = i * stride, j * stride
        value[n, f, i, j] = np.sum(x[n, :, top : top + height, left : left + width] * w[f])
    return value


def windows(x, size, stride):
    """(n, c, row, column), top, left of every whole window of the images, row by row."""
    rows, columns = (x.shape[2] - size) // stride + 1, (x.shape[3] - size) // stride + 1
    for n, c, i, j in np.ndindex(*x.shape[:2], rows, columns):
        yield (n, c, i, j), i * stride, j * stride


def max_pool2d_loop(x, size, stride):
    return np.array([x[n, c, i : i + size, j : j + size].max() for (n, c, _, _), i, j in windows(x, size, stride)])


@st.composite
def convolutions(draw):
    """(x shape, w shape, stride, padding): sizes of one, sides not square, rows and columns left over."""
    n, c, f, height, width = (draw(st.integers(1, limit)) for limit in (2, 3, 3, 3, 3))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    sides = [max(1, k - 2 * padding) + draw(st.integers(0, 3)) for k in (height, width)]
    return (n, c, *sides), (f, c, height, width), stride, padding


@st.composite
def poolings(draw):
    """(x shape, size, stride): windows that overlap, touch or leave gaps."""
    size, stride = draw(st.integers(1, 3)), draw(st.none() | st.integers(1, 4))
    n, c, *more = (draw(st.integers(least, 3)) for least in (1, 1, 0, 0))
    return (n, c, size + more[0], size + more[1]), size, stride


@given(drawn=convolutions(), stack=STACKS, seed=SEEDS)
def test_conv2d(drawn, stack, seed):
    x_shape, w_shape, stride, padding = drawn
    x, w = away_from_zero(seed, x_shape), away_from_zero(seed + 1, w_shape)
    value = check_vjp(lambda x, w: conv2d(x, w, stride=stride, padding=padding), x, w, stack=stack, seed=seed)
    assert_allclose(value, conv2d_loop(x, w, stride, padding), rtol=1e-12, atol=1e-12)


@given(drawn=convolutions(), seed=SEEDS)
def test_conv2d_is_scipys_correlation(drawn, seed):
    x_shape, w_shape, _, _ = drawn
    x, w = away_from_zero(seed, x_shape), away_from_zero(seed + 1, w_shape)
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    expected = [[correlate(image, filters, "valid", "direct")[0] for filters in w] for image in padded]
    assert_allclose(conv2d(x, w, padding=2), expected, rtol=1e-12, atol=1e-12)


def test_conv2d_of_a_convolution_that_was_pooled():
    """A result lies in memory batch-last: so do the next layer's inputs and the cotangents that come back."""

    def network(x, w, v):
        return conv2d(max_pool2d(conv2d(x, w), size=2), v, padding=1)

    x, w, v = (away_from_zero(i, shape) for i, shape in enumerate([(2, 1, 6, 7), (2, 1, 3, 2), (3, 2, 2, 3)]))
    check_vjp(network, x, w, v, stack=(3,), seed=0)


@pytest.mark.parametrize(
    ("x", "w", "settings"),
    [
        ((1, 2, 5, 5), (3, 1, 3, 3), {}),
        ((2, 5, 5), (3, 2, 3, 3), {}),
        ((1, 2, 5, 5), (2, 3, 3), {}),
        ((1, 2, 5, 2), (3, 2, 3, 3), {}),
        ((1, 2, 2, 5), (3, 2, 5, 3), {"padding": 1}),
        ((1, 2, 5, 5), (3, 2, 3, 3), {"stride": 0}),
        ((1, 2, 5, 5), (3, 2, 3, 3), {"padding": -1}),
    ],
)
def test_conv2d_refuses_what_does_not_fit(x, w, settings):
    with pytest.raises(InputError, match="expected"):
        conv2d(np.ones(x), np.ones(w), **settings)


@given(drawn=poolings(), stack=STACKS, seed=SEEDS)
def test_max_pool2d(drawn, stack, seed):
    shape, size, stride = drawn
    x = apart(seed, shape)
    value = check_vjp(lambda x: max_pool2d(x, size=size, stride=stride), x, stack=stack, seed=seed)
    assert_array_equal(value.ravel(), max_pool2d_loop(x, size, stride or size))


@given(drawn=poolings(), seed=SEEDS)
def test_max_pool2d_gives_the_gradient_of_ties_to_one_maximiser(drawn, seed):
    shape, size, stride = drawn
    x = np.random.default_rng(seed).integers(0, 2, shape).astype(float)
    value, pullback = vjp(lambda x: max_pool2d(x, size=size, stride=stride), x)
    rows = pullback(np.eye(value.size).reshape(-1, *value.shape))[0]  # one row for each window
    for row, ((n, c, i, j), top, left) in zip(rows, windows(x, size, stride or size), strict=True):
        ((place,), ones) = np.argwhere(row), row[row != 0]
        assert_array_equal(ones, [1])
        assert x[tuple(place)] == value[n, c, i, j]
        assert (place[:2] == (n, c)).all()
        assert top <= place[2] < top + size
        assert left <= place[3] < left + size


@given(drawn=poolings(), stack=STACKS, seed=SEEDS)
def test_max_pool2d_of_ties_keeps_the_sum_of_the_cotangent(drawn, stack, seed):
    shape, size, stride = drawn
    value, pullback = vjp(lambda x: max_pool2d(x, size=size, stride=stride), np.zeros(shape))
    cotangent = np.random.default_rng(seed).standard_normal(stack + value.shape)
    gradient = pullback(cotangent)[0]
    assert_allclose(gradient.sum(axis=(-2, -1)), cotangent.sum(axis=(-2, -1)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((3, 4, 4), {"size": 2}),
        ((1, 3, 4, 4), {"size": 5}),
        ((1, 3, 4, 4), {"size": 2, "stride": 0}),
        ((1, 3, 4, 4), {"size": 0, "stride": 1}),
    ],
)
def test_max_pool2d_refuses_what_does_not_fit(shape, settings):
    with pytest.raises(InputError, match="expected"):
        max_pool2d(np.ones(shape), **settings)
