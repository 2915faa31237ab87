"""Exact lazy Algorithm 1: what all rows would give, a certificate that is true, and no more rows than it says."""

import warnings
from dataclasses import replace
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reach import reach_of
from threadpoolctl import threadpool_limits

from minilwa import parallel, tape
from minilwa.algorithms import SGD, algorithm_1, loss_gradient
from minilwa.backend import to_numpy
from minilwa.data import load
from minilwa.directions import adv_alpha
from minilwa.errors import InputError
from minilwa.jacobian import jacobian_rows
from minilwa.layers import Layer, chain, conv, dense, dropout, flatten, max_pool, relu, softmax, tanh
from minilwa.lazy import lazy_algorithm_1
from minilwa.methods import METHODS
from minilwa.networks import Network, create, initialise, mlp, split
from minilwa.norms import dual, exponent
from minilwa.span import LARGEST, Span
from minilwa.training import Recipe, train
from minilwa.tree import tree_map

pytestmark = pytest.mark.filterwarnings("error")

NORMS = ["l1", "l2", "linf", 3, 1.5]
DTYPES = ["float32", "float64"]
ROUNDING = 128  # epsilons: of a backward pass, and of exp at the end of its range, where exponents are a hundred
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Shares of a batch round logits otherwise than the whole does: here both are to see the same bits."""
    with threadpool_limits(1):
        yield


# --- what is drawn ---------------------------------------------------------------------------------------------------


@st.composite
def dense_layers(draw, classes):
    inputs = draw(st.integers(1, 10))
    layers = []
    for width in draw(st.lists(st.integers(1, 12), max_size=3)):
        layers += [dense(width), draw(st.sampled_from([relu, tanh]))()]
        layers += draw(st.sampled_from([[], [dropout(0.4)]]))
    return (*layers, dense(classes), softmax()), (inputs,)


@st.composite
def conv_layers(draw, classes):
    shape = (draw(st.integers(1, 2)), draw(st.integers(4, 8)), draw(st.integers(4, 8)))
    layers = [
        conv(draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 2))),
        draw(st.sampled_from([relu, tanh]))(),
    ]
    if draw(st.booleans()):
        (_, rows, columns) = output_shape(layers, shape)
        size = draw(st.integers(1, min(3, rows, columns)))
        layers.append(max_pool(size, draw(st.sampled_from([None, 1, 2, 3]))))
    layers.append(flatten())
    if draw(st.booleans()) or not 2 <= output_shape(layers, shape)[0] <= 100:
        layers.append(dense(classes))  # else the convolution's own outputs are the logits
    return (*layers, softmax()), shape


def output_shape(layers, shape):
    return initialise((*layers, relu()), shape, np.random.default_rng(0))[1][-1]


class Case(NamedTuple):
    network: Network
    x: np.ndarray
    dtype: str
    seed: int
    gain: float

    def __repr__(self):
        layers = [(layer.name, *layer.settings.values()) for layer in self.network.layers]
        return f"Case({layers}, x {self.x.shape}, {self.dtype}, seed {self.seed}, gain {self.gain})"


@st.composite
def cases(draw, gains=(1, 1, 1, 10, 100), classes=(2, 3, 4, 5, 10, 30, 100), samples=(1, 2, 3, 7, 40), dtypes=DTYPES):
    """A network and a batch: at initialisation, or saturated where the gain on all weights is large."""
    K, N = draw(st.sampled_from(classes)), draw(st.sampled_from(samples))
    layers, shape = draw(st.one_of(dense_layers(K), conv_layers(K)))
    seed, gain, dtype = draw(SEEDS), draw(st.sampled_from(gains)), draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(seed)
    network = scaled(with_biases(create(layers, shape, seed, dtype), rng), gain)
    return Case(network, rng.normal(size=(N, *shape)).astype(dtype), dtype, seed, gain)


def with_biases(network, rng, size=0.3):
    parts = [
        {"w": p["w"], "b": (size * rng.normal(size=p["b"].shape)).astype(network.dtype)} if p else p
        for p in network.parameters
    ]
    return network.with_parameters(tuple(parts))


def scaled(network, gain):
    return network.with_parameters(tree_map(lambda a: a * a.dtype.type(gain), network.parameters))


def with_last(network, **changes):
    """The network with other ``w`` or ``b`` in its last dense layer."""
    *below, head, end = network.parameters
    return network.with_parameters((*below, {**head, **changes}, end))


def steps(network, x, y, count, rate):
    velocity = tree_map(np.zeros_like, network.parameters)
    for _ in range(count):
        network, velocity = SGD(rate, 0.9).step(network, velocity, loss_gradient(network, x, y))
    return network


# --- what is true ----------------------------------------------------------------------------------------------------


class Truth(NamedTuple):
    """All classes, in float64 from the rows and logits as the network gives them."""

    predicted: np.ndarray  # (N,)
    values: np.ndarray  # (N, K): ||G + pi_j D_j / delta_j||_*, inf at ties, -inf at the predicted class
    v: np.ndarray  # (N, K, D): delta_j G + pi_j D_j, along which the perturbation lies
    blur: np.ndarray  # (N, K): what rounding may do to the values


def truth(network, x, norm, layered=True):
    """With ``layered`` the rounding is that of rows as long as the layers allow, else that of rows as long as they are.

    A row that is short since long ones cancel, or a saturated tanh lets little through, is rounded like the long ones.
    """
    z, J = jacobian_rows(network.logits, x)
    rows = J.reshape(*z.shape, -1).astype(np.float64)
    samples, predicted = np.arange(len(z)), z.argmax(axis=1)
    margin = (z - z[samples, predicted][:, None]).astype(np.float64)
    others = np.where(np.arange(z.shape[1]) == predicted[:, None], -np.inf, margin)
    pi = np.exp(others - others.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    delta = -np.expm1(margin) / np.exp(margin).sum(axis=1, keepdims=True)
    D = rows - rows[samples, predicted][:, None]
    G = np.einsum("nk,nkd->nd", pi, D)
    v = delta[..., None] * G[:, None] + pi[..., None] * D
    size = np.linalg.norm(v, dual(norm), axis=-1)
    f = 1 / np.where(delta > 0, delta, 1)
    values = np.where(delta > 0, size * f, np.inf)
    values[samples, predicted] = -np.inf
    lengths = np.linalg.norm(D, dual(norm), axis=-1)
    if layered:
        lengths = reach_of(network, x, norm)[predicted]
    terms = pi * lengths
    longest = np.linalg.norm(rows, dual(norm), axis=-1).max(axis=1, keepdims=True)  # G is their mean less one of them
    eps = np.finfo(network.dtype).eps
    blur = ROUNDING * eps * (terms.sum(axis=1, keepdims=True) + f * terms) + 16 * eps * longest
    return Truth(predicted, values, v, blur)


def check(network, x, norm, y=None, layered=True):
    """Lazy equals full: the class but for ties within rounding, the direction and the log distance to rounding."""
    eps = np.finfo(network.dtype).eps
    predicted, values, v, blur = truth(network, x, norm, layered)
    full, candidates = algorithm_1(network, x, norm)
    found = lazy_algorithm_1(network, x, norm, y)
    samples, best = np.arange(len(x)), values.max(axis=1)
    searched = np.ones(len(x), dtype=bool) if y is None else predicted == y
    assert_array_equal(found.predicted, predicted)
    if y is not None:
        assert_array_equal(found.nearest[~searched], y[~searched])

    # the class: the full one's where that is alone at the top, one of those at the top elsewhere
    coarse = 4 * eps * np.abs(np.where(np.isfinite(candidates.log_distance), candidates.log_distance, 0))
    order = np.argsort(values, axis=1)
    first, second = (values[samples, order[:, -i]] for i in (1, 2))
    around, tied = blur[samples, order[:, -1]] + blur[samples, order[:, -2]], best == np.inf
    alone = searched & ~tied & (first > around) & (second + around < np.where(tied, 0, first) * (1 - coarse))
    assert_array_equal(found.nearest[alone], full[alone])
    mine, slack = values[samples, found.nearest], blur[samples, found.nearest]
    assert (mine + around + slack >= first)[searched].all()

    # the direction: steepest for the true v of its class, and none where that is zero
    direction = found.perturbation.direction
    assert (direction.dtype, direction.shape) == (x.dtype, x.shape)
    flat, along = direction.reshape(len(x), -1), v[samples, found.nearest]
    size = np.linalg.norm(along, dual(norm), axis=1)
    assert not flat[size == 0].any()
    relative = np.where(mine == np.inf, ROUNDING * eps, np.minimum(slack / np.where(mine > 0, mine, 1), 1))
    clear = (size > 0) & (relative < 0.1)
    assert_allclose(np.linalg.norm(flat[clear], exponent(norm), axis=1), 1, rtol=ROUNDING * eps)
    assert (np.einsum("nd,nd->n", flat, along) >= size * (1 - 2 * relative))[clear].all()
    same = searched & clear & (found.nearest == full)
    if norm == "l2":
        apart = np.linalg.norm(flat - candidates.direction.reshape(len(x), -1), axis=1)
        assert (apart <= 4 * relative)[same].all()

    # the distance
    log_distance, expected = found.perturbation.log_distance, candidates.log_distance
    assert log_distance.dtype == x.dtype
    finite = np.isfinite(expected)
    assert_array_equal(log_distance[searched & ~finite], expected[searched & ~finite])
    near = np.abs(log_distance[finite & same] - expected[finite & same])
    assert (near <= (coarse + 2 * relative)[finite & same]).all()
    return found


# --- lazy equals full ------------------------------------------------------------------------------------------------


@given(cases(), st.sampled_from(NORMS))
@settings(max_examples=200)
def test_lazy_is_full_at_initialisation_and_saturated(case, norm):
    check(case.network, case.x, norm)


@given(cases(samples=(3, 20)), st.sampled_from(NORMS), st.integers(1, 4), st.sampled_from([0.003, 0.1, 1.0]))
def test_lazy_is_full_after_steps_of_training(case, norm, count, rate):
    network, x = case.network, case.x
    y = np.random.default_rng(case.seed).integers(0, network.logits(x).shape[1], len(x))
    lazy_algorithm_1(network, x, norm)  # the bounds of now are remembered
    for _ in range(2):
        network = steps(network, x, y, count, rate / max(1, np.abs(network.logits(x)).max()))
        check(network, x, norm)


@given(cases(), st.sampled_from(NORMS), st.data())
def test_lazy_is_full_where_labels_are_given(case, norm, data):
    y = case.network.logits(case.x).argmax(axis=1)
    wrong = np.random.default_rng(case.seed).random(len(y)) < data.draw(st.sampled_from([0, 0.5, 1]))
    K = case.network.logits(case.x).shape[1]
    y = np.where(wrong, (y + np.random.default_rng(case.seed).integers(1, K, len(y))) % K, y)
    found = check(case.network, case.x, norm, y)
    assert (found.certificate.rows[wrong] == min(K, 3) - 1).all()  # no search: G and the row of the label
    sign = np.where(wrong, -1, 1).reshape(-1, *[1] * (case.x.ndim - 1))
    assert_array_equal(adv_alpha(case.network, case.x, y, norm), found.perturbation.direction * sign)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [3, 10, 100])
def test_near_ties_and_steep_ones(K, norm, dtype):
    """Logits so near to the largest that 1 / delta reaches beyond 1e6, and beyond all bounds at an exact tie."""
    rng = np.random.default_rng(K)
    network = create((dense(12), tanh(), dense(K), softmax()), (8,), seed=K, dtype=dtype)
    x = rng.normal(size=(1, 8)).astype(dtype)
    z = network.logits(x)[0].astype(np.float64)
    for gap in (0, 1e-15, 1e-12, 1e-9, 3e-7, 2e-6, 1e-4):
        below = rng.choice([0, 1, 1, 2, 1e4], K) * gap
        check(with_last(network, b=(5 - z - below).astype(dtype)), x, norm, layered=False)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_duplicate_classes(norm, dtype):
    rng = np.random.default_rng(1)
    network = with_biases(create((dense(9), relu(), dense(8), softmax()), (5,), seed=1, dtype=dtype), rng)
    head = {name: np.concatenate([a] * 3, axis=-1) for name, a in network.parameters[-2].items()}
    *below, _, end = network.parameters
    tripled = create((dense(9), relu(), dense(24), softmax()), (5,), dtype=dtype).with_parameters((*below, head, end))
    x = rng.normal(size=(50, 5)).astype(dtype)
    check(tripled, x, norm, layered=False)
    lower = {"w": head["w"], "b": head["b"] - np.repeat(np.array([0, 1, 1], dtype), 8)}  # pairs, not at the top
    found = check(tripled.with_parameters((*below, lower, end)), x, norm, layered=False)
    assert np.isfinite(found.perturbation.log_distance).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 3, 10])
def test_exact_ties_need_no_search(K, norm, dtype):
    network = mlp(6, 9, K, dtype=dtype, seed=2)
    below, head, end = network.parameters[:3], network.parameters[3], network.parameters[4]
    same = {"w": np.zeros_like(head["w"]), "b": np.zeros_like(head["b"])}
    same["w"][0] = np.arange(K)  # only the first hidden unit tells the classes apart
    x = np.random.default_rng(3).normal(size=(40, 6)).astype(dtype)
    tied = network.with_parameters((*below, same, end))
    z = tied.logits(x)
    level = (z == z[:, :1]).all(axis=1)
    assert level.any()
    assert not level.all()
    found = check(tied, x, norm, layered=False)
    assert (found.perturbation.log_distance[level] == -np.inf).all()
    assert (found.certificate.best[level] == np.inf).all()
    assert (found.certificate.rows[level] == min(K, 3) - 1).all()
    pair = network.with_parameters((*below, {"w": head["w"][:, [0] * K], "b": head["b"]}, end))
    check(pair, x, norm, layered=False)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_where_all_rows_are_zero_there_is_no_direction(norm, dtype):
    network = mlp(6, 9, 7, dtype=dtype, seed=2)
    below, end = network.parameters[0], network.parameters[4]
    x = np.random.default_rng(3).normal(size=(40, 6)).astype(dtype)
    b = np.arange(7, dtype=dtype) / 3
    hidden, head = network.parameters[1], {**network.parameters[3], "b": b}
    blind = network.with_parameters((below, hidden, (), {**head, "w": 0 * head["w"]}, end))
    dead = network.with_parameters((below, {**hidden, "b": np.full(9, -100, dtype)}, (), head, end))
    for net in (blind, dead):  # the bounds are zero too: nothing needs a look
        found = check(net, x, norm, layered=False)
        assert not found.perturbation.direction.any()
        assert (found.perturbation.log_distance == np.inf).all()
        assert not found.certificate.best.any()
        assert (found.certificate.rows == 2).all()


@given(st.data(), st.sampled_from(NORMS))
@settings(max_examples=50)
def test_the_classifier_of_a_split_network(data, norm):
    case = data.draw(cases(gains=(1, 10)))
    lazy_algorithm_1(case.network, case.x, norm)
    at = data.draw(st.integers(1, len(case.network.layers) - 1))
    representation, classifier = split(case.network, at)
    check(classifier, representation(case.x), norm)
    check(case.network, case.x, norm)


@pytest.mark.parametrize("gain", [1e-12, 1e-9, 1e9, 3e10])
@pytest.mark.parametrize("norm", NORMS)
def test_rows_so_small_or_large_that_their_squares_are_no_float32(gain, norm):
    rng = np.random.default_rng(0)
    network = scaled(mlp(6, 8, 3, seed=2), gain)
    network = with_last(network, b=rng.normal(size=3).astype(np.float32))
    x = (rng.normal(size=(200, 6)) * min(1, gain**-2)).astype(np.float32)
    check(network, x, norm, layered=False)


@pytest.mark.parametrize("norm", NORMS)
def test_bounds_that_overflow_certify_nothing_false(norm):
    """Forty layers whose norms multiply to more than float32 holds, while rows and logits are ordinary."""
    network = create((*[dense(8, 4.0), relu()] * 40, dense(6), softmax()), (8,), seed=1)
    x = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    *below, head, end = network.parameters
    z = network.logits(x)
    w = head["w"] * (30 / np.abs(z).max())
    check(network.with_parameters((*below, {**head, "w": w}, end)), x, norm, layered=False)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("longest", ["what all columns share", "the first column", "the last column"])
def test_long_columns_cost_no_digits_where_they_do_not_count(longest, norm):
    """Only differences of columns count in T, and a class far from all images counts for nothing."""
    rng = np.random.default_rng(0)
    network = create((dense(30), softmax()), (20,))
    w, b, long = rng.normal(size=(20, 30)), rng.normal(size=30), 1e4 * rng.normal(size=(20, 1))
    if longest == "what all columns share":
        w += long
    else:
        one = [0] if longest == "the first column" else [29]
        w[:, one], b[one] = long, -1e6
    network = with_last(network, w=w.astype(np.float32), b=b.astype(np.float32))
    x = (rng.normal(size=(200, 20)) * 0.3).astype(np.float32)
    _, candidates = algorithm_1(network, x, norm)
    found = lazy_algorithm_1(network, x, norm)
    assert_allclose(found.perturbation.log_distance, candidates.log_distance, rtol=1e-5, atol=2e-5)


def linear_classifier(w, b):
    """A network whose last layer is given, on its inputs themselves."""
    H, K = w.shape
    network = create((dense(H), dense(K), softmax()), (H,))
    first = {"w": np.eye(H, dtype=np.float32), "b": np.zeros(H, np.float32)}
    return with_last(network.with_parameters((first, *network.parameters[1:])), w=w, b=b)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("tiny", [1e-19, 1e-23, 1e-30])
def test_columns_whose_squares_vanish_beside_the_largest(tiny, norm):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        w, b, x = tiny * rng.normal(size=(20, 30)), rng.normal(size=30), 0.1 * rng.normal(size=(20, 20))
        w[:, 0], b[0] = rng.normal(size=20), -1e6
        network, x = linear_classifier(w.astype(np.float32), b.astype(np.float32)), x.astype(np.float32)
        _, candidates = algorithm_1(network, x, norm)
        found = lazy_algorithm_1(network, x, norm)
        assert_allclose(found.perturbation.log_distance, candidates.log_distance, rtol=1e-6, atol=2e-5)


@pytest.mark.parametrize("ratio", [1e4, 1e6, 1e8])
def test_a_long_column_that_counts_for_one_sample_costs_the_others_no_digits(ratio):
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(20, 10)), rng.normal(size=10), rng.normal(size=(20, 20))
    long = w[:, 0] / np.linalg.norm(w[:, 0])
    w[:, 0] *= ratio
    x += np.outer(np.where(np.arange(20) == 0, 3, -0.5) - x @ long, long)
    network, x = linear_classifier(w.astype(np.float32), b.astype(np.float32)), x.astype(np.float32)
    found = lazy_algorithm_1(network, x)
    assert_array_equal(found.predicted == 0, np.arange(20) == 0)
    nearest, candidates = algorithm_1(network, x)
    assert_array_equal(found.nearest, nearest)
    assert_allclose(found.perturbation.direction, candidates.direction, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_logits_so_small_that_1_over_delta_is_no_float32(norm):
    network = scaled(mlp(6, 8, 5, seed=2), 1e-19)
    check(network, np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32), norm)


# --- the certificate -------------------------------------------------------------------------------------------------


class Spy:
    """A first layer that changes nothing and keeps what is pulled back to it, by sample; zeros only fill up a batch."""

    def __init__(self, x):
        self.number = {sample.tobytes(): n for n, sample in enumerate(x)}
        self.rows = [[] for _ in x]
        self.forward, self.together = [], 0  # sizes of the batches run forward; passes back over all of x
        self.layer = Layer("spy", {}, lambda rng, shape: ((), shape), lambda p, x, rng=None: self.watch(x), 1.0)

    def watch(self, x):
        @tape.op
        def identity(x):
            self.forward.append(len(x))
            samples = [self.number[sample.tobytes()] for sample in to_numpy(x)]

            def vjp(g):
                self.together += len(x) == len(self.rows)
                for rows in to_numpy(g).reshape(-1, len(x), x[0].size):
                    for n, row in zip(samples, rows, strict=True):
                        if row.any():
                            self.rows[n].append(row)
                return g

            return x.copy(), (vjp,)

        return identity(x)


def searched(network, x, norm):
    """What the search finds in the network with a spy in front, and the spy."""
    spy = Spy(x)
    layers, parameters = (spy.layer, *network.layers), ((), *network.parameters)
    spied = Network(layers, parameters, (network.input_shape, *network.shapes))
    return lazy_algorithm_1(spied, x, norm), spy


@given(cases(), st.sampled_from(NORMS))
@settings(max_examples=150)
def test_the_certificate_is_true_of_all_classes(case, norm):
    x = case.x
    assume(len({sample.tobytes() for sample in x}) == len(x))
    (predicted, nearest, _, certificate), spy = searched(case.network, x, norm)
    _, values, _, blur = truth(case.network, x, norm)
    N, K = values.shape
    best, remaining, rows = certificate
    assert [a.shape for a in certificate] == [(N,)] * 3
    top, around = values.max(axis=1), blur[np.arange(N), nearest] + blur[np.arange(N), values.argmax(axis=1)]
    assert ((best == top) | (np.abs(best - np.where(top < np.inf, top, 0)) <= around)).all()
    assert (best >= remaining).all()
    assert (rows >= min(K, 3) - 1).all()
    assert (rows <= K).all()
    assert (rows >= [len(pulled) for pulled in spy.rows]).all()
    if case.dtype == "float32":
        return
    _, J = jacobian_rows(case.network.logits, x)
    for n in np.flatnonzero([len(pulled) == count for pulled, count in zip(spy.rows, rows, strict=True)]):
        D = (J[n] - J[n, predicted[n]]).reshape(K, -1)
        pulled = np.array(spy.rows[n][K > 2 :])  # the first row is that of G
        near = np.linalg.norm(D[:, None] - pulled, axis=-1) < 1e-9 * np.linalg.norm(D, axis=-1).max()
        assert near.any(axis=0).all(), "a row that is no D_j"
        assert near[nearest[n]].any()
        unseen = ~near.any(axis=1)
        unseen[predicted[n]] = False
        assert remaining[n] >= (values - blur)[n, unseen].max(initial=-np.inf)
        assert rows[n] < K or remaining[n] == -np.inf


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("K", [2, 3, 20])
def test_the_rows_counted_are_the_rows_pulled(K, norm):
    network = create((dense(7), tanh(), dense(K), softmax()), (5,), seed=4)
    x = np.random.default_rng(5).normal(size=(30, 5)).astype(np.float32)
    found, spy = searched(network, x, norm)
    assert_array_equal(found.certificate.rows, [len(pulled) for pulled in spy.rows])
    if K > 3:
        assert len(np.unique(found.certificate.rows)) > 1


@pytest.mark.parametrize("norm", NORMS)
def test_two_classes_take_one_row(norm):
    network = mlp(5, 7, 2, seed=4)
    found = check(network, np.random.default_rng(5).normal(size=(30, 5)).astype(np.float32), norm)
    assert (found.certificate.rows == 1).all()
    assert (found.nearest == 1 - found.predicted).all()


def test_few_samples_are_run_again_and_many_pulled_together():
    network = mlp(20, 30, 30, 25, seed=6)
    x = np.random.default_rng(7).normal(size=(300, 20)).astype(np.float32)
    check(network, x, "l2")
    _, spy = searched(network, x, "l2")
    assert spy.together > 1
    assert any(1 < size < 150 for size in spy.forward[1:])


def test_shares_of_the_batch_are_searched_side_by_side():
    network = mlp(20, 30, 30, 25, seed=6)
    x = np.random.default_rng(7).normal(size=(100, 20)).astype(np.float32)
    y = network(x).argmax(axis=1)
    y[::3] = (y[::3] + 1) % 25
    alone = lazy_algorithm_1(network, x, "l2", y)
    with patch.object(parallel, "threads", return_value=3):
        for labels in (None, y):
            shared = check(network, x, "l2", labels)
        direction = adv_alpha(network, x, y)
    assert_array_equal(shared.nearest, alone.nearest)
    best, remaining, rows = shared.certificate
    right = y == shared.predicted
    assert (best >= remaining)[right].all()
    assert (rows[~right] == 2).all()
    assert rows[right].max() <= 25
    assert_allclose(direction, adv_alpha(network, x, y), rtol=0, atol=1e-5)


def test_inputs_are_left_as_they_are():
    network = mlp(6, 8, 8, 12, seed=8)
    x = np.random.default_rng(9).normal(size=(30, 6)).astype(np.float32)
    y = network(x).argmax(axis=1)
    y[::3] = (y[::3] + 1) % 12
    x.setflags(write=False)
    y.setflags(write=False)
    tree_map(lambda a: a.setflags(write=False), network.parameters)
    before = x.copy(), y.copy(), tree_map(np.copy, network.parameters)
    for _ in range(2):
        lazy_algorithm_1(network, x, "l2", y)
        adv_alpha(network, x, y)
    assert_array_equal(x, before[0])
    assert_array_equal(y, before[1])
    tree_map(assert_array_equal, network.parameters, before[2])


# --- the bounds of the search ----------------------------------------------------------------------------------------


@given(
    seed=SEEDS,
    K=st.integers(3, 12),
    size=st.integers(1, 300),
    norm=st.sampled_from(NORMS),
    dtype=st.sampled_from(DTYPES),
    steep=st.sampled_from([0, 3, 5.5, 7]),
    scale=st.sampled_from([1e-6, 1, 1e6]),
)
@settings(max_examples=300)
def test_bounds_of_the_span_are_never_below_the_values(seed, K, size, norm, dtype, steep, scale):
    check_span(seed, K, size, norm, dtype, steep, scale)


@pytest.mark.parametrize("scale", [1e-25, 1e-15, 1e15, 1e25])
@pytest.mark.parametrize("norm", NORMS)
def test_bounds_of_rows_whose_squares_are_no_float32(norm, scale):
    for seed in range(10):
        check_span(seed, 4, 20, norm, "float32", seed % 8, scale)


def check_span(seed, K, size, norm, dtype, steep, scale):
    """For linear maps B, starts that share much or little, and weights of any size; classes are seen in any order."""
    rng, N, H = np.random.default_rng(seed), 4, int(np.random.default_rng(seed).integers(1, 12))
    w = (scale * (rng.normal(size=(H, 1)) + rng.choice([0.001, 1]) * rng.normal(size=(H, K)))).astype(dtype)
    slopes = (rng.random((N, H)) * rng.choice([0, 1], (N, H), p=[0.3, 0.7])).astype(dtype)
    predicted = rng.integers(0, K, N)
    B = rng.normal(size=(N, H, size)) * rng.choice([1, 1e-3], (N, H, 1))
    stretch = np.linalg.norm(B, 2, axis=(1, 2)).max() * size ** max(1 / dual(norm) - 1 / 2, 0) * (1 + 1e-5)
    starts = slopes[:, None] * (w.T - w.T[predicted][:, None])  # (N, K, H)
    pi = rng.dirichlet(np.full(K, rng.choice([0.05, 1, 100])), N)
    exact = np.einsum("nkh,nhd->nkd", starts.astype(np.float64), B)  # D_j, (N, K, D)
    start = np.einsum("nk,nkh->nh", pi, starts)
    G = np.einsum("nk,nkd->nd", pi, exact)
    t = pi * 10 ** rng.uniform(0, steep or 0.01, (N, K))
    values = np.linalg.norm(G[:, None] + t[..., None] * exact, dual(norm), axis=-1)
    longest = np.linalg.norm(exact, dual(norm), axis=-1).max(axis=1, keepdims=True)
    blur = 100 * np.finfo(dtype).eps * (1 + t) * longest  # of the rows as they are given
    span = Span(w, slopes, predicted, np.asarray(stretch, dtype=dtype), norm)
    span.add(start.astype(dtype), G.astype(dtype))
    rows, size_of_G = exact.astype(dtype), np.linalg.norm(G, dual(norm), axis=-1)[:, None].astype(dtype)
    unseen, before = np.ones((N, K), dtype=bool), np.inf
    for j in rng.permutation(K):
        U = span.bounds(size_of_G, t.astype(dtype))
        assert (U.shape, U.dtype) == ((N, K), np.dtype(dtype))
        assert (values - blur <= U)[unseen].all()
        left = span.reach()
        assert (left <= before).all()
        before = left
        span.add(starts[:, j], rows[:, j])
        unseen[:, j] = False
    assert len(span.basis) <= LARGEST


def test_what_the_span_knows_it_knows_exactly():
    """Three classes whose starts lie in a plane: G and one row give the last class's value, whatever L is."""
    rng = np.random.default_rng(1)
    w, B = rng.normal(size=(5, 3)), rng.normal(size=(1, 5, 7))
    slopes, predicted, pi, t = np.ones((1, 5)), np.array([0]), np.array([[0, 0.7, 0.3]]), np.array([[0, 2.0, 3.0]])
    starts = w.T - w.T[0]
    rows, start = starts @ B[0], pi @ starts
    span = Span(w, slopes, predicted, np.asarray(1000.0), "l2")
    span.add(start, start @ B[0])
    size = np.linalg.norm(start @ B[0])[None, None]
    loose = span.bounds(size, t)[0, 2]
    span.add(starts[1:2], rows[1:2])
    value = np.linalg.norm(start @ B[0] + 3 * rows[2])
    assert loose > 10 * value
    assert_allclose(span.bounds(size, t)[0, 2], value, rtol=1e-3)


def test_rounding_does_not_grow_from_start_to_start():
    """Each start lies along the last, 1 / 28 aside: a class along a late q must not get a bound from rounded rows."""
    H, bounded = 16, []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        V, b = np.linalg.qr(rng.normal(size=(H, H)))[0], rng.normal(size=(H, 1))
        L = np.linalg.norm(b)
        starts = np.stack([V[0]] + [V[k - 1] + V[k] / 28 for k in range(1, 8)]).astype(np.float32)
        rows = starts @ b.astype(np.float32)

        def span(w, starts=starts, rows=rows, L=L):
            known = Span(w, np.ones((1, H), np.float32), np.array([0]), np.float32(L * (1 + 1e-5)), "l2")
            for start, row in zip(starts, rows, strict=True):
                known.add(start[None], row[None])
            return known

        w = np.concatenate([np.zeros((1, H), np.float32), starts, starts[-1:]]).T
        for q, *_ in span(w).basis:
            w[:, -1] = 0.9 * q[0]
            U = span(w).bounds(np.zeros((1, 1), np.float32), np.ones((1, 10), np.float32))[0, -1]
            bounded.append(abs(w[:, -1].astype(np.float64) @ b[:, 0]) <= U)
    assert all(bounded)


def test_a_span_goes_on_with_some_of_the_samples():
    rng = np.random.default_rng(2)
    w, slopes, predicted = rng.normal(size=(6, 4)), rng.random((5, 6)), np.array([0, 1, 2, 3, 0])
    start, row, t, kept = rng.normal(size=(5, 6)), rng.normal(size=(5, 9)), rng.random((5, 4)), np.arange(5) % 2 == 0
    size = np.linalg.norm(row, axis=1, keepdims=True)
    for norm in NORMS:
        whole, part = (Span(w, slopes, predicted, np.asarray(2.0), norm) for _ in range(2))
        whole.add(start, row)
        part.keep(np.ones(5, dtype=bool))
        part.add(start, row)
        part.keep(kept)
        assert_allclose(part.bounds(size[kept], t[kept]), whole.bounds(size, t)[kept], rtol=1e-12)
        assert_allclose(part.reach(), whole.reach()[kept], rtol=1e-12)


# --- without bounds, and refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("which", ["nested", "unbounded"])
def test_a_layer_without_a_bound_costs_all_rows_and_one_warning(which, norm):
    body = (dense(7), tanh()) if which == "nested" else (dense(7), replace(tanh(), bound=None))
    layers = (chain(*body), dense(5), softmax()) if which == "nested" else (*body, dense(5), softmax())
    network = create(layers, (6,), seed=3)
    x = np.random.default_rng(4).normal(size=(20, 6)).astype(np.float32)
    y = network(x).argmax(axis=1)
    y[::2] = (y[::2] + 1) % 5
    with pytest.warns(UserWarning, match="chain" if which == "nested" else "tanh") as caught:
        found = lazy_algorithm_1(network, x, norm)
    assert len(caught) == 1
    full, candidates = algorithm_1(network, x, norm)
    assert_array_equal(found.nearest, full)
    assert_array_equal(found.perturbation.direction, candidates.direction)
    assert_array_equal(found.perturbation.log_distance, candidates.log_distance)
    best, remaining, rows = found.certificate
    assert_allclose(best, truth(network, x, norm, layered=False).values.max(axis=1), rtol=1e-5)
    assert (remaining == -np.inf).all()
    assert (rows == 5).all()
    with pytest.warns(UserWarning, match="bound"):
        labelled = lazy_algorithm_1(network, x, norm, y)
    assert_array_equal(labelled.nearest, np.where(found.predicted == y, full, y))


def test_the_same_call_warns_once():
    network = create((chain(dense(4), relu()), dense(3), softmax()), (5,))
    x = np.ones((2, 5), np.float32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            lazy_algorithm_1(network, x)
    assert len(caught) == 1


@pytest.mark.parametrize("call", [lazy_algorithm_1, adv_alpha])
def test_refusals(call):
    network, x, y = mlp(4, 3, 3), np.ones((2, 4), np.float32), np.zeros(2, int)
    labels = (y,) if call is adv_alpha else ()
    with pytest.raises(InputError, match="norm"):
        call(network, x, *labels, norm="l7")
    with pytest.raises(InputError, match="softmax"):
        call(create((dense(3), relu()), (4,)), x, *labels)
    with pytest.raises(InputError):
        call(mlp(4, 3, 1), x, *labels)  # one class: no other to be nearest
    with pytest.raises(InputError):
        call(network, x[:0], *(label[:0] for label in labels))


def test_a_rate_that_diverges_is_still_refused_by_name():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 10)).astype(np.float32), rng.integers(0, 4, 400)
    method = replace(METHODS["LWA"], along="adv_alpha")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflow is what is asked for
        with pytest.raises(InputError, match="rate"):
            train(mlp(10, 20, 20, 4), x, y, method, Recipe(epochs=1, rate=1e6))


# --- on digits -------------------------------------------------------------------------------------------------------


def test_on_trained_digits_few_rows_are_enough():
    data = load()
    network = mlp(784, 100, 100, 10, input_shape=(1, 28, 28))
    network = train(network, data.x_train, data.y_train, METHODS["Normal"], Recipe(epochs=4))
    assert (network(data.x_test).argmax(axis=1) == data.y_test).mean() > 0.9
    for norm in ("l1", "l2", "linf"):
        found = check(network, data.x_test, norm, layered=False)
        assert found.certificate.rows.mean() < 5
