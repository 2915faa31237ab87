"""One check of all that a vjp promises, for any function of arrays, and what hypothesis draws for it."""

import sys

import numpy as np
import strict_cupy
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from numpy.testing import assert_allclose, assert_array_equal

from minilwa.tape import vjp

STEP = 1e-4  # of the central differences: an error of order STEP^4 = 1e-16 from curvature, 1e-16 / STEP from rounding
DIFFERENCE = 1e-9  # allowed per output element, relative to 1 + |its derivative|: float32 inside would show
ROUNDING = 1e-12  # for the same sums added up in another order

ON_GPU = False  # set by second_run.py: results are compared with CuPy's too
OTHERWISE = 1e-11  # relative to the largest entry: the same numbers, rounded otherwise

SEEDS = st.integers(0, 2**32 - 1)
STACKS = st.sampled_from([(), (1,), (3,), (2, 2), (0,)])


def shapes(min_dims=0, max_dims=3):
    return nps.array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=4)


def away_from_zero(seed, shape):
    """Values in [0.5, 2] of either sign: no relu kink and no pole within reach of a difference step."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2, shape) * rng.choice([-1.0, 1.0], shape)


def apart(seed, shape):
    """Values at least 0.1 apart from each other: a difference step never changes which one is the largest."""
    size = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(size) * 0.1 - size * 0.05).reshape(shape)


def frozen(array):
    """A read-only copy."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def layouts(array):
    """Read-only arrays equal to ``array`` that lie otherwise in memory: transposed, backwards, with gaps."""
    backwards = (..., *[slice(None, None, -1)] * array.ndim)
    every_other = (..., *[slice(None, None, 2)] * array.ndim)
    gaps = np.full([2 * n for n in array.shape], np.nan)
    gaps[every_other] = array
    for other in (array.copy(order="F"), array[backwards].copy()[backwards], gaps[every_other]):
        other.flags.writeable = False
        yield other


def check_vjp(function, *arrays, stack, seed):
    """Check the pullback of ``function`` at float64 ``arrays`` for a stack of random cotangents; returns the value."""
    rng = np.random.default_rng(seed)
    arrays = [frozen(a) for a in arrays]
    value, pullback = vjp(function, *arrays)
    assert_allclose(value, function(*arrays), ROUNDING, ROUNDING, err_msg="depends on whether it is traced")
    cotangent = frozen(rng.standard_normal(stack + value.shape))
    before = [a.copy() for a in (*arrays, cotangent)]
    gradients = pullback(cotangent)
    for array, copy in zip((*arrays, cotangent), before, strict=True):
        assert_array_equal(array, copy, err_msg="an input or the cotangent was changed")

    check_shapes_and_dtypes(np.float64, arrays, stack, value, gradients)
    check_float32(function, arrays, stack)
    gradients = check_independent(pullback, arrays, cotangent, gradients)
    check_differences(function, arrays, cotangent, gradients, rng)
    check_loop_of_rows(pullback, cotangent, gradients, stack)
    check_alone(function, arrays, cotangent, gradients)
    check_layouts(function, arrays, value, cotangent, gradients)
    check_on_device(function, arrays, value, cotangent, gradients)
    if ON_GPU:
        check_on_gpu(function, arrays, value, cotangent, gradients)
    return value


def check_shapes_and_dtypes(dtype, arrays, stack, value, gradients):
    found = [(g.shape, g.dtype) for g in gradients]
    expected = [(stack + a.shape, dtype) for a in arrays]
    assert value.dtype == dtype, f"the value is {value.dtype}, its inputs are {dtype}"
    assert found == expected, f"shapes and dtypes of gradients: {found}, expected {expected}"


def check_float32(function, arrays, stack):
    value, pullback = vjp(function, *[a.astype(np.float32) for a in arrays])
    gradients = pullback(np.ones(stack + value.shape, np.float32))
    check_shapes_and_dtypes(np.float32, arrays, stack, value, gradients)


def check_independent(pullback, arrays, cotangent, gradients):
    """Gradients are arrays of their own: after overwriting them, a second pullback gives the same bits.

    Returns copies of the gradients.
    """
    copies = [g.copy() for g in gradients]
    for i, gradient in enumerate(gradients):
        for other in (cotangent, *arrays, *gradients[:i]):
            assert not np.shares_memory(gradient, other), f"the gradient of input {i} shares memory"
        if gradient.size and not isinstance(gradient, np.generic):  # a NumPy scalar cannot be overwritten
            gradient[...] = np.nan
    for again, copy in zip(pullback(cotangent), copies, strict=True):
        assert_array_equal(again, copy, err_msg="pulled back a second time")
    return copies


def check_differences(function, arrays, cotangent, gradients, rng):
    """<cotangent, derivative along a tangent> = <gradient, tangent>, for each input and each row of the stack."""
    for i, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        tangent = rng.standard_normal(array.shape)
        far_behind, behind, ahead, far_ahead = (
            function(*arrays[:i], array + steps * STEP * tangent, *arrays[i + 1 :]) for steps in (-2, -1, 1, 2)
        )
        derivative = (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * STEP)
        expected = over_last(cotangent * derivative, derivative.ndim)
        allowed = DIFFERENCE * over_last(np.abs(cotangent) * (1 + np.abs(derivative)), derivative.ndim)
        error = np.abs(over_last(gradient * tangent, array.ndim) - expected)
        assert (error <= allowed).all(), f"gradient of input {i}: off by {error}, allowed {allowed}"


def over_last(array, ndim):
    return array.sum(axis=tuple(range(-ndim, 0)))


def check_loop_of_rows(pullback, cotangent, gradients, stack):
    for row in np.ndindex(*stack):
        for together, alone in zip(gradients, pullback(cotangent[(*row, ...)]), strict=True):
            assert_allclose(together[row], alone, ROUNDING, ROUNDING, err_msg="a stack is not the loop of its rows")


def check_alone(function, arrays, cotangent, gradients):
    """With one input traced and the others plain arrays, its gradient has the same bits."""
    for i, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        _, pullback = vjp(lambda a, i=i: function(*arrays[:i], a, *arrays[i + 1 :]), array)
        assert_array_equal(pullback(cotangent)[0], gradient, err_msg=f"input {i} traced alone")


def check_layouts(function, arrays, value, cotangent, gradients):
    """How inputs and cotangents lie in memory, or whether a cotangent is one number repeated, makes no difference."""
    for *others, other_cotangent in zip(*map(layouts, (*arrays, cotangent)), strict=True):
        other_value, pullback = vjp(function, *others)
        assert_allclose(other_value, value, ROUNDING, ROUNDING)
        for gradient, other in zip(gradients, pullback(other_cotangent), strict=True):
            assert_allclose(other, gradient, ROUNDING, ROUNDING, err_msg="depends on the memory layout")
    _, pullback = vjp(function, *arrays)
    repeated = pullback(np.broadcast_to(1.5, cotangent.shape))
    for gradient, other in zip(pullback(np.full(cotangent.shape, 1.5)), repeated, strict=True):
        assert_allclose(other, gradient, ROUNDING, ROUNDING, err_msg="a broadcast cotangent")


def check_on_device(function, arrays, value, cotangent, gradients):
    """On the stand-in for CuPy the results have the same bits, and nothing is transferred but what a test sends."""
    with strict_cupy.installed(), strict_cupy.no_transfers(["asarray tape.vjp"]):
        on_device, pullback = vjp(function, *map(strict_cupy.ndarray, arrays))
        pulled = pullback(strict_cupy.ndarray(cotangent))
    for found, expected in zip((on_device, *pulled), (value, *gradients), strict=True):
        assert_array_equal(strict_cupy.host(found), expected, err_msg="on the stand-in for CuPy")


def check_on_gpu(function, arrays, value, cotangent, gradients):
    """On CuPy the results are the same within rounding."""
    cupy = sys.modules["cupy"]
    on_gpu, pullback = vjp(function, *map(cupy.asarray, arrays))
    for found, expected in zip((on_gpu, *pullback(cupy.asarray(cotangent))), (value, *gradients), strict=True):
        largest = np.abs(expected).max(initial=0)
        assert_allclose(found.get(), expected, OTHERWISE, OTHERWISE * largest, err_msg="on CuPy")
