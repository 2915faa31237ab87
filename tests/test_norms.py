"""Norms, dual norms and steepest directions against their definitions, and the inequality that makes them duals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minilwa.errors import InputError
from minilwa.norms import (
    check_ball,
    draw_in_ball,
    dual,
    dual_length,
    exponent,
    length,
    project,
    rescale,
    steepest,
)

pytestmark = pytest.mark.filterwarnings("error")

NAMES = {"l1": 1, "l2": 2, "linf": math.inf}
RTOL = {"float32": 1e-5, "float64": 1e-13}
NORMS = st.sampled_from([*NAMES, "L2", 1, 1.25, 3, 40.0, math.inf]) | st.floats(1.05, 20)
DTYPES = st.sampled_from(list(RTOL))


ONE = st.just(())
BATCHES = st.sampled_from([(), (2,), (2, 3)])


@st.composite
def vectors(draw, count=1, batch=ONE):
    """``count`` arrays of one shape ``(*batch, D)`` and dtype, each at a scale of its own, 1e-30 to 1e30."""
    dtype = np.dtype(draw(DTYPES))
    shape = (*draw(batch), draw(st.integers(1, 9)))
    elements = st.floats(-1, 1, width=32, allow_subnormal=False) | st.integers(-2, 2).map(float)
    scales = st.integers(-30, 30).map(lambda power: dtype.type(10.0**power))
    drawn = [draw(arrays(dtype, shape, elements=elements)) * draw(scales) for _ in range(count)]
    return drawn[0] if count == 1 else drawn


def by_definition(v, p):
    """(sum |v_i|^p)^(1/p) of one vector in Python's floats, summed without rounding; max |v_i| for p = inf."""
    sizes = [abs(float(component)) for component in v]
    largest = max(sizes)
    if p == math.inf or largest == 0:
        return largest
    return largest * math.fsum((size / largest) ** p for size in sizes) ** (1 / p)


def inner(u, v):
    return math.fsum(float(a) * float(b) for a, b in zip(u, v, strict=True))


def about(value, dtype):
    """``value`` within the rounding of ``dtype``, below whose normal numbers no relative accuracy exists."""
    return pytest.approx(value, rel=RTOL[str(dtype)], abs=float(np.finfo(dtype).smallest_normal))


# --- by hypothesis ---------------------------------------------------------------------------------------------------


@given(vectors(batch=BATCHES), NORMS)
def test_length_and_dual_length_are_the_definitions(v, norm):
    p = exponent(norm)
    q = 1 / (1 - 1 / p) if p > 1 else math.inf
    for measured, power in ((length(v, norm), p), (dual_length(v, norm), q)):
        assert measured.shape == v.shape[:-1]
        assert measured.dtype == v.dtype
        for place in np.ndindex(v.shape[:-1]):
            assert float(measured[place]) == about(by_definition(v[place], power), v.dtype)


@given(vectors(batch=BATCHES), NORMS)
def test_the_steepest_direction_attains_the_dual_norm(v, norm):
    r = steepest(v, norm)
    assert r.shape == v.shape
    assert r.dtype == v.dtype
    for place in np.ndindex(v.shape[:-1]):
        if v[place].any():
            assert by_definition(r[place], exponent(norm)) == about(1, v.dtype)
            assert inner(v[place], r[place]) == about(float(dual_length(v[place], norm)), v.dtype)
        else:
            assert not r[place].any()


@given(vectors(count=2), NORMS)
def test_hoelders_inequality(pair, norm):
    u, v = pair
    of_u, of_v = float(dual_length(u, norm)), float(length(v, norm))
    subnormal = float(np.finfo(u.dtype).smallest_normal)  # a length below this has lost digits
    assert abs(inner(u, v)) <= of_u * of_v * (1 + RTOL[str(u.dtype)]) + subnormal * (of_u + of_v)


@given(vectors(count=2), NORMS)
def test_no_direction_of_length_one_is_steeper(pair, norm):
    v, other = pair
    r = steepest(other, norm)
    assert inner(v, r) <= inner(v, steepest(v, norm)) * (1 + RTOL[str(v.dtype)])


@given(vectors(batch=st.just((3,))), NORMS)
def test_a_batch_is_its_rows_and_the_input_is_left_alone(v, norm):
    v.flags.writeable = False
    before = v.copy()
    for function in (length, dual_length, steepest):
        np.testing.assert_allclose(function(v, norm), [function(row, norm) for row in v], rtol=RTOL[str(v.dtype)])
    np.testing.assert_array_equal(v, before)


@given(
    vectors(batch=st.sampled_from([(1,), (3,), (2, 2), (2, 1, 3)])),
    NORMS,
    st.floats(0, 100, width=32, allow_subnormal=False),
    st.booleans(),
)
def test_rescale_sets_the_length_and_keeps_the_direction(v, norm, radius, one_each):
    radii = radius * np.arange(1.0, len(v) + 1) if one_each else np.full(len(v), radius)
    scaled = rescale(v, radii if one_each else radius, norm)
    assert scaled.shape == v.shape
    assert scaled.dtype == v.dtype
    for sample, result, wanted in zip(v.reshape(len(v), -1), scaled.reshape(len(v), -1), radii, strict=True):
        size = by_definition(sample, exponent(norm))
        assert by_definition(result, exponent(norm)) == about(float(wanted) if size else 0, v.dtype)
        for before, after in zip(sample, result, strict=True):
            assert float(after) == about(float(before) / size * float(wanted) if size else 0, v.dtype)


@pytest.mark.parametrize(("size", "radius"), [(4.375e9, 3.859e-32), (1e-42, 100.0), (1e38, 1e-37), (1e-38, 1e38)])
def test_rescale_knows_no_quotient_that_float32_cannot_hold(size, radius):
    v = np.array([[size, 0, -size]], dtype=np.float32)
    half = radius / 2
    assert rescale(v, radius, "l1")[0].tolist() == pytest.approx([half, 0, -half], rel=1e-6, abs=0)


@given(NORMS)
def test_exponents_of_dual_norms_are_conjugate(norm):
    assert 1 / exponent(norm) + 1 / dual(norm) == pytest.approx(1)
    assert dual(dual(norm)) == pytest.approx(exponent(norm))


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "p"), NAMES.items())
def test_names_stand_for_numbers(name, p):
    v = np.array([[1.0, -2.0, 0.0]])
    assert exponent(name) == exponent(name.upper()) == exponent(p) == p
    np.testing.assert_array_equal(length(v, name), length(v, p))
    np.testing.assert_array_equal(steepest(v, name), steepest(v, p))


def test_steepest_directions_of_a_known_vector():
    v = np.array([3.0, -4.0, 0.0, 4.0])
    np.testing.assert_allclose(steepest(v, "l2"), v / math.sqrt(41))
    np.testing.assert_array_equal(steepest(v, "l1"), [0, -1, 0, 0])  # the first of two largest, with its sign
    np.testing.assert_array_equal(steepest(v, "linf"), [1, -1, 0, 1])


@pytest.mark.parametrize("norm", [*NAMES, 1.5, 7])
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_nothing_overflows_or_underflows_on_the_way(norm, scale):
    pixels = np.linspace(-1, 1, 784)  # their squares leave float32's range at both scales
    v = (pixels * scale).astype(np.float32)
    assert float(length(v, norm)) == pytest.approx(by_definition(v, exponent(norm)), rel=1e-5)
    np.testing.assert_allclose(steepest(v, norm), steepest(pixels, norm), rtol=1e-4, atol=1e-7)
    assert float(length(rescale(v[None], 1.5, norm)[0], norm)) == pytest.approx(1.5, rel=1e-5)


@pytest.mark.parametrize("norm", [*NAMES, 1.5, 7])
@pytest.mark.parametrize("dtype", list(RTOL))
def test_zero_vectors_have_length_and_direction_zero(norm, dtype):
    v = np.array([[0, 0, 0], [1, 2, 2]], dtype)
    assert length(v, norm)[0] == dual_length(v, norm)[0] == 0
    np.testing.assert_array_equal(steepest(v, norm)[0], 0)
    np.testing.assert_array_equal(rescale(v, 1.5, norm)[0], 0)
    assert length(rescale(v, 1.5, norm), norm)[1] == pytest.approx(1.5)


@pytest.mark.parametrize("norm", ["l3", "two", "", 0.5, 0, -1, -math.inf, math.nan, True, None, [2], 2j, b"l2"])
def test_unknown_norms_are_refused(norm):
    v = np.ones((1, 2))
    for refuse in (exponent, dual, *(lambda n, f=f: f(v, n) for f in (length, dual_length, steepest))):
        with pytest.raises(InputError, match="norm: got") as caught:
            refuse(norm)
        assert caught.value.argument == "norm"
    with pytest.raises(InputError, match="norm: got"):
        rescale(v, 1.0, norm)


def test_what_is_no_array_is_refused():
    with pytest.raises(InputError, match="NumPy or CuPy array"):
        length([1.0, 2.0])


# --- balls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_projection(norm):
    r = np.random.default_rng(0).normal(size=(50, 3))
    radius = np.linspace(0, 4, 50)
    p = project(r, radius, norm)
    inside = length(r, norm) <= radius
    assert np.array_equal(p[inside], r[inside])
    np.testing.assert_allclose(length(p, norm)[~inside], radius[~inside])
    corners = np.random.default_rng(1).normal(size=(400, 3))  # no point of the ball is nearer
    for n in np.flatnonzero(~inside):
        others = corners / np.maximum(1, length(corners, norm) / max(radius[n], 1e-300))[:, None]
        assert (np.linalg.norm(others - r[n], axis=1) >= np.linalg.norm(p[n] - r[n]) - 1e-12).all()


def test_draws_fill_the_ball_evenly():
    rng = np.random.default_rng(0)
    x = np.zeros((20000, 3))
    half = (length(draw_in_ball(x, 2.0, "l2", rng), "l2") < 1).mean()
    assert abs(half - 1 / 8) < 4 * math.sqrt(7 / 64 / 20000)
    cube = draw_in_ball(x, 2.0, "linf", rng)
    assert 1.99 < np.abs(cube).max() <= 2
    assert abs((np.abs(cube) < 1).mean() - 1 / 2) < 4 * math.sqrt(1 / 4 / 60000)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("dtype", list(RTOL))
def test_every_sample_has_a_ball_of_its_own(norm, dtype):
    x, radius = np.zeros((5, 1, 2, 3), dtype), np.array([0, 0.5, 1, 2, 4], dtype)
    r = draw_in_ball(x, radius, norm, np.random.default_rng(0))
    unit = draw_in_ball(x, 1.0, norm, np.random.default_rng(0))
    assert (r.shape, r.dtype) == (x.shape, np.dtype(dtype))
    np.testing.assert_allclose(r, unit * radius[:, None, None, None], rtol=RTOL[dtype])
    assert (length(unit.reshape(5, -1), norm) > 0.1).all()


def test_only_two_balls_are_known():
    for norm in ("l2", 2, "linf", math.inf):
        check_ball(norm)
    with pytest.raises(InputError, match="norm: got"):
        check_ball("l1")
