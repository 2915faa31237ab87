"""Operator norm bounds: above the truth at every input, near it where they say so, and never those of other weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reach import reach_of

from minilwa.algorithms import SGD, loss_gradient
from minilwa.backend import frozen
from minilwa.bounds import RENEW, SLACK, Memory, WeightBound, convolution_norm, matrix_norm
from minilwa.conv import conv2d
from minilwa.jacobian import jacobian_rows
from minilwa.layers import CATALOGUE, chain, conv, dense, dropout, flatten, max_pool, relu, softmax, tanh
from minilwa.lazy import lazy_algorithm_1
from minilwa.networks import create, join, lenet, mlp, split
from minilwa.norms import dual
from minilwa.tape import vjp
from minilwa.tree import tree_map

pytestmark = pytest.mark.filterwarnings("error")

NORMS = ["l1", "l2", "linf", 3, 1.5]
DTYPES = ["float32", "float64"]
SEEDS = st.integers(0, 2**32 - 1)
ABOVE = 1 - 1e-12  # rounding of the float64 references


def spectral(matrix):
    """The largest singular value, by the eigenvalues of the smaller Gram matrix."""
    gram = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    return math.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0))


def jacobian(layer, parameters, x):
    """d layer(x) / dx at one sample ``x``: ``(outputs, inputs)``."""
    value, pullback = vjp(lambda x: layer.apply(parameters, x), x[None])
    cotangents = np.eye(value.size).reshape(-1, *value.shape)
    return pullback(cotangents)[0].reshape(value.size, x.size)


# --- dense layers ----------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(1, 30), st.integers(1, 30), st.sampled_from([1e-20, 1, 1e20]), st.integers(1, 5))
def test_matrix_norm_is_the_operator_norm(seed, rows, columns, scale, rank):
    rng = np.random.default_rng(seed)
    w = scale * (rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns)))
    norm = matrix_norm(w, (rows,))
    assert_allclose(norm, spectral(w), rtol=1e-7)
    v = rng.normal(size=(50, rows))
    assert (np.linalg.norm(v @ w, axis=1) * ABOVE <= norm * np.linalg.norm(v, axis=1)).all()


# --- convolutions ----------------------------------------------------------------------------------------------------


def convolution_matrix(w, shape, stride, padding):
    """The convolution on images of ``shape`` as a matrix, from its values on the basis images."""
    basis = np.eye(math.prod(shape)).reshape(-1, *shape)
    return conv2d(basis, w, stride=stride, padding=padding).reshape(len(basis), -1)


def holds_a_window(side, size, stride, padding):
    """Whether a window lies within a side of the image, free of padding."""
    starts = range(-padding, side + padding - size + 1, stride)
    return any(0 <= start <= side - size for start in starts)


@given(
    seed=SEEDS,
    filters=st.integers(1, 4),
    channels=st.integers(1, 3),
    size=st.integers(1, 4),
    height=st.integers(1, 8),
    width=st.integers(1, 8),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    mean=st.sampled_from([0, 1, 100]),
)
@settings(max_examples=300)
def test_the_bound_of_a_convolution_is_above_its_norm(
    seed, filters, channels, size, height, width, stride, padding, mean
):
    """And at most ``size`` times it, on images that hold a whole window.

    For a window inside the image is one row of blocks W, ||W|| <= the norm, and at each frequency the matrix is W times
    size * size blocks of modulus 1: its norm is at most ||W|| size.
    """
    height, width = (max(side, size - 2 * padding) for side in (height, width))
    w = mean + np.random.default_rng(seed).normal(size=(filters, channels, size, size))
    layer = conv(filters, size, stride, padding)
    bound = layer.bound.norm(w, (channels, height, width))
    true = spectral(convolution_matrix(w, (channels, height, width), stride, padding))
    assert true * ABOVE <= bound
    if all(holds_a_window(side, size, stride, padding) for side in (height, width)):
        assert bound <= size * true / ABOVE


@pytest.mark.parametrize(("height", "width", "padding"), [(12, 12, 0), (10, 14, 1), (12, 11, 2)])
@pytest.mark.parametrize(("filters", "channels"), [(1, 1), (4, 3), (2, 6)])
def test_at_stride_1_the_bound_of_a_convolution_is_at_most_a_quarter_above_its_norm(
    height, width, padding, filters, channels
):
    for seed in range(5):
        w = np.random.default_rng(seed).normal(size=(filters, channels, 3, 3))
        true = spectral(convolution_matrix(w, (channels, height, width), 1, padding))
        assert true <= convolution_norm(w, height + 2 * padding, width + 2 * padding) <= 1.25 * true


def test_the_bound_of_a_convolution_is_reached_where_no_window_wraps_around():
    w = np.random.default_rng(0).normal(size=(3, 2, 1, 1))
    true = spectral(convolution_matrix(w, (2, 4, 5), 1, 0))
    assert_allclose(convolution_norm(w, 4, 5), true, rtol=1e-12)


# --- the other layers ------------------------------------------------------------------------------------------------


@given(
    SEEDS,
    st.integers(1, 4),
    st.sampled_from([None, 1, 2, 3, 5]),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from(["drawn", "equal", "few values"]),
)
@settings(max_examples=200)
def test_the_bound_of_pooling_is_above_its_norm(seed, size, stride, height, width, kind):
    rng = np.random.default_rng(seed)
    shape = (2, max(size, height), max(size, width))
    x = {"drawn": rng.normal(size=shape), "equal": np.ones(shape), "few values": rng.integers(0, 2, shape) * 1.0}[kind]
    layer = max_pool(size, stride)
    assert spectral(jacobian(layer, (), x)) * ABOVE <= layer.bound


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 2), (3, 1), (4, 3), (4, 2), (2, 3), (1, 1)])
def test_the_bound_of_pooling_is_reached_by_the_largest_of_all_its_windows(size, stride):
    layer, norms = max_pool(size, stride), []
    for place in range(size * 3):
        x = np.zeros((1, size * 3, size * 3))
        x[0, place, place] = 1
        norms.append(spectral(jacobian(layer, (), x)))
    assert_allclose(max(norms), layer.bound, rtol=1e-12)


@given(SEEDS, st.integers(2, 12), st.sampled_from([0, 0.1, 1, 10, 100]))
def test_the_bounds_of_layers_without_weights_are_above_their_norms(seed, size, spread):
    z = spread * np.random.default_rng(seed).normal(size=size)
    for layer in (relu(), tanh(), softmax(), flatten(), dropout(0.5)):
        assert spectral(jacobian(layer, (), z)) * ABOVE <= layer.bound


def test_the_bounds_of_layers_without_weights_are_reached():
    assert_allclose(spectral(jacobian(softmax(), (), np.array([0.0, 0, -900]))), softmax().bound, rtol=1e-12)
    for layer in (relu(), tanh(), flatten(), dropout(0.5)):
        assert_allclose(spectral(jacobian(layer, (), np.full(3, 1e-9))), layer.bound, rtol=1e-12)


def test_all_layers_state_a_bound_but_a_nested_chain():
    settings_of = {
        "dense": {"units": 2},
        "conv": {"filters": 2, "size": 3},
        "max_pool": {"size": 2},
        "dropout": {"rate": 0.5},
    }
    for name, make in CATALOGUE.items():
        assert make(**settings_of.get(name, {})).bound is not None, name
    assert chain(relu()).bound is None


# --- rows of a network -----------------------------------------------------------------------------------------------


NETWORKS = {
    "dense": lambda s, d: create((dense(7), relu(), dense(6), tanh(), dropout(0.3), dense(5), softmax()), (8,), s, d),
    "linear": lambda s, d: create((dense(4), softmax()), (6,), s, d),
    "no weights": lambda s, d: create((tanh(), softmax()), (6,), s, d),
    "conv": lambda s, d: create(
        (conv(3, 3, 2, 1), relu(), max_pool(3, 1), flatten(), dense(5), softmax()), (2, 9, 7), s, d
    ),
    "conv last": lambda s, d: create(
        (conv(3, 3), tanh(), max_pool(2), conv(2, 2), flatten(), softmax()), (1, 8, 9), s, d
    ),
    "dense, then relu": lambda s, d: create((dense(6), tanh(), dense(5), relu(), softmax()), (7,), s, d),
    "softmax twice": lambda s, d: create((dense(6), softmax(), dense(5), softmax()), (7,), s, d),
}


def reaches(network, norm, x):
    """L ``(N, K)``: the bound of ||D_j||_* where the class predicted is J."""
    return reach_of(network, x, norm)[network.logits(x).argmax(axis=1)]


def true_lengths(network, norm, x):
    """||D_j||_* ``(N, K)``."""
    z, J = jacobian_rows(network.logits, x)
    rows = J.reshape(*z.shape, -1).astype(np.float64)
    D = rows - rows[np.arange(len(z)), z.argmax(axis=1)][:, None]
    return np.linalg.norm(D, dual(norm), axis=-1)


def assert_above(network, x, norm):
    assert (true_lengths(network, norm, x) <= reaches(network, norm, x)).all()


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, norm=st.sampled_from(NORMS), gain=st.sampled_from([0.01, 1, 10]))
@settings(max_examples=20)
def test_reach_is_above_the_rows(kind, dtype, seed, norm, gain):
    network = NETWORKS[kind](seed, dtype)
    network = network.with_parameters(tree_map(lambda a: a * a.dtype.type(gain), network.parameters))
    x = np.random.default_rng(seed).normal(size=(6, *network.input_shape)).astype(dtype)
    assert_above(network, x, norm)


def test_reach_of_a_linear_network_is_the_length_of_its_rows():
    network = NETWORKS["linear"](0, "float64")
    x = np.random.default_rng(0).normal(size=(6, 6))
    assert_allclose(reaches(network, "l2", x), true_lengths(network, "l2", x), rtol=4 * (SLACK - 1), atol=1e-5)
    other = np.sqrt(6) * np.linalg.norm(network.parameters[0]["w"][:, 1] - network.parameters[0]["w"][:, 2])
    assert_allclose(reach_of(network, x, "linf")[1, 2], other, rtol=4 * (SLACK - 1))  # ||v||_1 <= sqrt(6) ||v||_2


# --- bounds remembered -----------------------------------------------------------------------------------------------


class Counted:
    """A norm that counts its calls."""

    def __init__(self, norm):
        self.norm, self.calls = norm, 0

    def __call__(self, w, shape):
        self.calls += 1
        return self.norm(w, shape)


BOUNDS = {
    "dense": (dense(6).bound, (9, 6), (9,)),
    "conv": (conv(3, 3, 2, 1).bound, (3, 2, 3, 3), (2, 6, 7)),
}
every_bound = pytest.mark.parametrize("kind", BOUNDS)


@every_bound
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=SEEDS, changes=st.lists(st.sampled_from([0, 1e-9, 1e-6, 1e-3, 0.1, 0.4, 1, 30, -0.3, -0.99]), max_size=12))
@settings(max_examples=60)
def test_a_remembered_bound_is_that_of_the_weights_as_they_are(kind, dtype, seed, changes):
    """Drifting at random, along themselves (positive growth) or shrinking, in place; it renews itself in time."""
    bound, shape, sample = BOUNDS[kind]
    rng, memory, counted = np.random.default_rng(seed), Memory(), Counted(bound.norm)
    counting = bound._replace(norm=counted)
    w = rng.normal(size=shape).astype(dtype)
    memory.recall(0, w, sample, counting)
    known, start = bound.norm(w.astype(np.float64), sample), w.copy()
    for change in changes:
        step = w if rng.random() < 0.5 else rng.normal(size=shape)
        w += (change * step).astype(dtype)
        calls = counted.calls
        found = memory.recall(0, w, sample, counting)
        true = bound.norm(w.astype(np.float64), sample)
        assert np.shape(found) == np.shape(true)
        assert (true <= found).all()
        drift = bound.per_frobenius * np.linalg.norm(w.astype(np.float64) - start)
        if counted.calls > calls:
            assert drift >= RENEW * np.max(known) * ABOVE
            known, start = true, w.copy()
            assert_allclose(found, true, rtol=2 * (SLACK - 1))
        else:
            assert_allclose(found, known + drift, rtol=4 * (SLACK - 1))
            assert np.max(found) <= (1 + RENEW) * np.max(known) * SLACK**2


@pytest.mark.parametrize(("value", "share"), [(0.01, 0.1), (0.013, 0.44), (0.3, 0.44), (0.7, 0.23)])
def test_many_small_equal_changes_add_up(value, share):
    """Two million equal float32 squares: a sum that rounds the same way each time would fall short of them."""
    memory, bound = Memory(), WeightBound(matrix_norm, 1.0)
    w = np.full((1, 2_250_000), value, np.float32)
    memory.recall(0, w, (1,), bound)
    w *= np.float32(1 + share)
    assert math.sqrt(w.size) * float(w[0, 0]) <= float(memory.recall(0, w, (1,), bound))


@every_bound
@given(seed=SEEDS, size=st.sampled_from([1e-6, 1e-2, 1, 100]))
def test_a_change_of_the_weights_changes_a_bound_as_stated_at_most(kind, seed, size):
    bound, shape, sample = BOUNDS[kind]
    rng = np.random.default_rng(seed)
    w, change = rng.normal(size=shape), size * rng.normal(size=shape)
    if rng.random() < 0.5:
        change = size * w
    allowed = bound.per_frobenius * np.linalg.norm(change) + 1e-5 * np.linalg.norm(w)
    assert np.abs(bound.norm(w + change, sample) - bound.norm(w, sample)).max() <= allowed


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("dense", np.ones((9, 6))),
        ("conv", np.ones((3, 2, 3, 3))),  # on the frequency 0 all places of a filter add up
    ],
)
def test_what_is_stated_of_changes_is_reached(kind, change):
    bound, _, sample = BOUNDS[kind]
    grown = np.max(bound.norm(2 * change, sample) - bound.norm(change, sample))
    assert_allclose(grown, bound.per_frobenius * np.linalg.norm(change), rtol=1e-5)


def test_weights_of_another_shape_are_never_taken_for_those_remembered():
    memory, bound = Memory(), WeightBound(matrix_norm, 1.0)
    for shape in [(4, 6), (6, 4), (1, 6), (4, 6), (1, 1)]:
        w = np.random.default_rng(0).normal(size=shape)
        assert_allclose(memory.recall(0, w, shape[:1], bound), spectral(w), rtol=2 * (SLACK - 1))


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
def test_weights_in_another_precision(dtypes):
    memory, bound = Memory(), WeightBound(matrix_norm, 1.0)
    w = np.random.default_rng(0).normal(size=(5, 4))
    for dtype in dtypes:
        found = memory.recall(0, w.astype(dtype), (5,), bound)
        assert spectral(w.astype(dtype).astype(np.float64)) <= found <= spectral(w) * 1.001


# --- and never stale -------------------------------------------------------------------------------------------------


SMALL = {
    "mlp": lambda: mlp(8, 7, 6, 5, seed=1),
    "conv": lambda: create(
        (conv(3, 3), relu(), max_pool(2), flatten(), dense(6), tanh(), dense(4), softmax()), (1, 8, 8)
    ),
}
every_network = pytest.mark.parametrize("kind", SMALL)


def counting(network):
    """The network with its layers' norms counted, and the counters; the last layer's is not asked for."""
    counters = [Counted(layer.bound.norm) for layer in network.layers[:-2] if isinstance(layer.bound, WeightBound)]
    left = iter(counters)
    layers = tuple(
        replace(layer, bound=layer.bound._replace(norm=next(left))) if isinstance(layer.bound, WeightBound) else layer
        for layer in network.layers[:-2]
    )
    return replace(network, layers=(*layers, *network.layers[-2:])), counters


@every_network
@pytest.mark.parametrize("rate", [1e-6, 0.01, 1.0])
def test_bounds_follow_steps_of_training(kind, rate):
    network, counters = counting(SMALL[kind]())
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, *network.input_shape)).astype(np.float32)
    y = rng.integers(0, 4, 20)
    velocity = tree_map(np.zeros_like, network.parameters)
    for _ in range(15):
        lazy_algorithm_1(network, x)
        network, velocity = SGD(rate, 0.5).step(network, velocity, loss_gradient(network, x, y))
        assert_above(network, x, "l2")
        assert_above(network, x, "linf")
    if rate == 1e-6:
        assert [c.calls for c in counters] == [1] * len(counters)  # small steps add to what is known


@every_network
@pytest.mark.parametrize("factor", [1.0001, 1.2, 3, 1000, 0.001])
def test_bounds_follow_changes_in_place(kind, factor):
    network, counters = counting(SMALL[kind]())
    network = network.with_parameters(tree_map(np.copy, network.parameters))  # those it came with are read-only
    x = np.random.default_rng(3).normal(size=(20, *network.input_shape)).astype(np.float32)
    lazy_algorithm_1(network, x)
    for part in network.parameters:
        if part:
            part["w"][...] *= np.float32(factor)
            assert_above(network, x, "l2")
    if factor != 1.2:  # which is a large change for some layers
        assert [c.calls for c in counters] == [1 if factor == 1.0001 else 2] * len(counters)


@every_network
def test_nothing_is_computed_again_while_nothing_changes(kind):
    network, counters = counting(SMALL[kind]())
    x = np.random.default_rng(4).normal(size=(30, *network.input_shape)).astype(np.float32)
    for norm in NORMS:
        lazy_algorithm_1(network, x, norm)
    lazy_algorithm_1(network.with_parameters(tree_map(np.copy, network.parameters)), x)
    _, classifier = split(network, 2)
    lazy_algorithm_1(classifier, split(network, 2)[0](x))
    assert [c.calls for c in counters] == [1] * len(counters)


@every_network
def test_frozen_weights_are_known_by_being_the_same(kind):
    """No copy of them is kept, and none of their numbers is read again."""
    network = SMALL[kind]()
    x = np.random.default_rng(4).normal(size=(5, *network.input_shape)).astype(np.float32)
    lazy_algorithm_1(network, x)
    kept = [copy for copy, _ in network.memory.entries.values()]
    weights = [part["w"] for part in network.parameters if part]
    assert kept
    assert all(any(copy is w for w in weights) for copy in kept)
    for w in weights:
        with pytest.raises(ValueError, match="read-only"):
            w[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            w.flags.writeable = True


def test_weights_made_read_only_by_others_may_change_all_the_same():
    memory, bound = Memory(), WeightBound(matrix_norm, 1.0)
    w = np.eye(3)
    w.flags.writeable = False
    before = memory.recall(0, w, (3,), bound)
    w.flags.writeable = True
    w *= 100
    w.flags.writeable = False
    assert memory.recall(0, w, (3,), bound) >= 100 > before
    base = np.eye(3)
    view = base[:]
    base.flags.writeable = view.flags.writeable = False
    memory.recall(1, view, (3,), bound)
    base.flags.writeable = True
    base *= 100
    assert memory.recall(1, view, (3,), bound) >= 100


def test_read_only_views_are_copied_since_their_base_may_change():
    memory, bound = Memory(), WeightBound(matrix_norm, 1.0)
    base = np.eye(3)
    view = base[:]
    view.flags.writeable = False
    before = memory.recall(0, view, (3,), bound)
    base *= 100
    assert memory.recall(0, view, (3,), bound) >= 100 > before
    own = frozen(base[:])
    base *= 0
    assert own[0, 0] == 100


@every_network
def test_networks_that_share_a_memory_do_not_share_bounds(kind):
    network = SMALL[kind]()
    x = np.random.default_rng(5).normal(size=(20, *network.input_shape)).astype(np.float32)
    larger = network.with_parameters(tree_map(lambda a: a * np.float32(7), network.parameters))
    for _ in range(2):
        for either in (network, larger):
            lazy_algorithm_1(either, x)
            assert_above(either, x, "l2")
    representation, classifier = split(network, 3)
    other, _ = split(larger, 3)
    mixed = join(other, classifier)
    assert_above(classifier, representation(x), "l2")
    assert_above(mixed, x, "l2")
    assert_above(network, x, "l2")


def test_the_bound_of_lenet_is_above_its_rows():
    network = lenet()
    x = np.random.default_rng(7).random((4, 1, 28, 28)).astype(np.float32)
    for norm in NORMS:
        assert_above(network, x, norm)
    assert_array_equal(reach_of(network, x, "l2"), reach_of(network, x, "l1"))
