"""Layers: the shapes that they declare, their initial parameters, dropout, nesting, and being made again."""

import json
import math

import numpy as np
import pytest

from minilwa.errors import InputError
from minilwa.layers import CATALOGUE, chain, conv, dense, dropout, flatten, make, max_pool, relu, softmax, tanh
from minilwa.networks import create
from minilwa.tree import leaves

# (layer, shape of one sample, shape of one output)
EXAMPLES = [
    (dense(3), (5,), (3,)),
    (dense(3, scale=0.07), (5,), (3,)),
    (conv(4, 3), (2, 7, 6), (4, 5, 4)),
    (conv(3, 3, stride=2, padding=1, scale=0.1), (1, 7, 6), (3, 4, 3)),
    (conv(2, 1), (3, 1, 1), (2, 1, 1)),
    (max_pool(2), (2, 7, 6), (2, 3, 3)),
    (max_pool(3, 2), (2, 7, 6), (2, 3, 2)),
    (relu(), (2, 3), (2, 3)),
    (tanh(), (2, 3), (2, 3)),
    (softmax(), (4,), (4,)),
    (flatten(), (2, 3, 4), (24,)),
    (flatten(), (5,), (5,)),
    (dropout(0.4), (2, 3), (2, 3)),
    (chain(), (2, 3), (2, 3)),
    (chain(conv(2, 3), relu(), chain(flatten(), dropout(0.5), chain(dense(4), tanh()))), (1, 5, 5), (4,)),
]
NAMES = [f"{layer.name}-{number}" for number, (layer, _, _) in enumerate(EXAMPLES)]
every_layer = pytest.mark.parametrize(("layer", "shape", "output"), EXAMPLES, ids=NAMES)


def batch_of(shape, size=3):
    return np.random.default_rng(7).normal(size=(size, *shape))


def test_every_layer_of_the_catalogue_has_an_example():
    assert {layer.name for layer, _, _ in EXAMPLES} == {*CATALOGUE, "chain"}


@every_layer
def test_the_output_has_the_shape_that_init_declares(layer, shape, output):
    parameters, declared = layer.init(np.random.default_rng(0), shape)
    assert declared == output
    assert layer.apply(parameters, batch_of(shape)).shape == (3, *output)
    assert layer.apply(parameters, batch_of(shape, size=1)).shape == (1, *output)


@every_layer
def test_apply_changes_neither_parameters_nor_input(layer, shape, output):
    parameters, _ = layer.init(np.random.default_rng(0), shape)
    x = batch_of(shape)
    for array in (x, *leaves(parameters)):
        array.setflags(write=False)
    first = layer.apply(parameters, x, np.random.default_rng(1))
    np.testing.assert_array_equal(layer.apply(parameters, x, np.random.default_rng(1)), first)


@every_layer
def test_a_layer_is_made_again_from_its_name_and_settings_through_json(layer, shape, output):
    again = make(*json.loads(json.dumps([layer.name, layer.settings])))
    assert (again.name, again.settings) == (layer.name, layer.settings)
    parameters, _ = layer.init(np.random.default_rng(2), shape)
    parameters_again, _ = again.init(np.random.default_rng(2), shape)
    for a, b in zip(leaves(parameters), leaves(parameters_again), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        again.apply(parameters, batch_of(shape), np.random.default_rng(3)),
        layer.apply(parameters, batch_of(shape), np.random.default_rng(3)),
    )


@pytest.mark.parametrize("name", ["perceptron", "Dense", "", "init"])
def test_a_layer_of_another_name_is_refused(name):
    with pytest.raises(InputError, match="layer"):
        make(name, {})


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in"),
    [(dense(200), (300,), 300), (conv(40, 5), (20, 5, 5), 500)],
    ids=["dense", "conv"],
)
def test_default_weights_are_uniform_with_the_variance_of_he(layer, shape, fan_in):
    w = layer.init(np.random.default_rng(0), shape)[0]["w"]
    limit = math.sqrt(6 / fan_in)
    assert np.abs(w).max() <= limit
    assert w.min() < -0.99 * limit
    assert w.max() > 0.99 * limit
    # a mean and a variance of n uniform numbers, within five standard errors
    assert abs(w.mean()) < 5 * limit / math.sqrt(3 * w.size)
    assert abs(w.var() / (2 / fan_in) - 1) < 5 * math.sqrt(0.8 / w.size)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(dense(100, scale=0.07), (100,)), (conv(40, 5, scale=0.07), (20, 5, 5))],
    ids=["dense", "conv"],
)
def test_a_given_scale_bounds_the_weights(layer, shape):
    w = layer.init(np.random.default_rng(0), shape)[0]["w"]
    assert -0.07 <= w.min() < -0.069
    assert 0.069 < w.max() <= 0.07


@pytest.mark.parametrize(("layer", "shape"), [(dense(5), (4,)), (conv(5, 3), (2, 6, 6))], ids=["dense", "conv"])
def test_biases_start_at_zero_one_for_each_unit_and_are_added(layer, shape):
    parameters, output = layer.init(np.random.default_rng(0), shape)
    assert parameters["b"].size == 5
    assert not parameters["b"].any()
    b = np.arange(5.0).reshape(parameters["b"].shape)
    moved = layer.apply({"w": parameters["w"], "b": b}, batch_of(shape)) - layer.apply(parameters, batch_of(shape))
    expected = np.arange(5.0).reshape(5, *[1] * (len(output) - 1))
    np.testing.assert_allclose(moved, np.broadcast_to(expected, moved.shape), atol=1e-12)


def test_the_same_seed_gives_the_same_weights_in_every_dtype_up_to_rounding():
    layers = (conv(3, 3), relu(), chain(flatten(), dense(5)), dense(2))
    single = create(layers, (1, 6, 6), seed=4, dtype="float32")
    double = create(layers, (1, 6, 6), seed=4, dtype="float64")
    other = create(layers, (1, 6, 6), seed=5, dtype="float64")
    for a, b, c in zip(*(leaves(network.parameters) for network in (single, double, other)), strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(a, b.astype(np.float32))
        assert not b.any() or (b != c).all()  # biases are zero under every seed, weights differ


def test_simple_layers_are_what_their_names_say():
    x = batch_of((2, 3))
    np.testing.assert_array_equal(relu().apply((), x), np.maximum(x, 0))
    np.testing.assert_array_equal(tanh().apply((), x), np.tanh(x))
    np.testing.assert_allclose(softmax().apply((), x), np.exp(x) / np.exp(x).sum(-1, keepdims=True), rtol=1e-14)
    np.testing.assert_array_equal(flatten().apply((), x), x.reshape(3, 6))
    w, b = np.arange(12.0).reshape(6, 2), np.array([1.0, -1.0])
    np.testing.assert_allclose(dense(2).apply({"w": w, "b": b}, x.reshape(3, 6)), x.reshape(3, 6) @ w + b, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_does_nothing_in_evaluation_and_keeps_the_mean_in_training(dtype):
    rate = 0.3
    x = np.random.default_rng(1).uniform(1, 2, (400, 500)).astype(dtype)
    np.testing.assert_array_equal(dropout(rate).apply((), x), x)
    y = dropout(rate).apply((), x, np.random.default_rng(0))
    assert y.dtype == dtype
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)
    five_errors = 5 * math.sqrt(rate * (1 - rate) / x.size)
    assert abs(1 - kept.mean() - rate) < five_errors
    assert abs((y / x).mean() - 1) < five_errors / (1 - rate)
    assert abs(np.corrcoef(kept[:, 0], kept[:, 1])[0, 1]) < 5 / math.sqrt(len(x))  # units fall out independently


def test_dropout_draws_from_the_stream_that_it_is_given():
    x, layer = np.ones((20, 30)), dropout(0.5)
    rng = np.random.default_rng(0)
    first, second = layer.apply((), x, rng), layer.apply((), x, rng)
    np.testing.assert_array_equal(layer.apply((), x, np.random.default_rng(0)), first)
    assert (first != second).any()
    np.testing.assert_array_equal(dropout(0).apply((), x, rng), x)


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, math.nan, math.inf])
def test_dropout_refuses_a_rate_outside_0_to_1(rate):
    with pytest.raises(InputError, match="rate"):
        dropout(rate)


def test_nested_chains_are_the_flat_chain():
    flat = chain(conv(2, 3), tanh(), flatten(), dense(4), dropout(0.5), dense(3))
    nested = chain(chain(conv(2, 3), tanh()), chain(chain(flatten(), dense(4)), dropout(0.5)), chain(), dense(3))
    p, shape = flat.init(np.random.default_rng(0), (1, 5, 5))
    q, nested_shape = nested.init(np.random.default_rng(0), (1, 5, 5))
    assert shape == nested_shape == (3,)
    for a, b in zip(leaves(p), leaves(q), strict=True):
        np.testing.assert_array_equal(a, b)
    x = batch_of((1, 5, 5))
    np.testing.assert_array_equal(nested.apply(q, x), flat.apply(p, x))
    in_training = nested.apply(q, x, np.random.default_rng(1))
    np.testing.assert_array_equal(in_training, flat.apply(p, x, np.random.default_rng(1)))
    assert (in_training != nested.apply(q, x)).any()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (dense(3), (1, 4, 4)),
        (dense(3), ()),
        (conv(2, 3), (9,)),
        (conv(2, 3), (3, 3)),
        (conv(2, 5), (1, 4, 9)),
        (conv(2, 3, padding=-1), (1, 9, 9)),
        (max_pool(2), (16,)),
        (max_pool(5), (1, 9, 4)),
        (chain(conv(2, 3), dense(3)), (1, 5, 5)),
    ],
    ids=lambda value: value.name if hasattr(value, "name") else str(value),
)
def test_samples_that_a_layer_cannot_take_are_refused_when_it_is_made(layer, shape):
    with pytest.raises(InputError):
        layer.init(np.random.default_rng(0), shape)


@pytest.mark.parametrize("number", [0, -1, 2.5, "3", None])
@pytest.mark.parametrize(
    "made",
    [dense, lambda n: conv(n, 3), lambda n: conv(2, n), lambda n: conv(2, 3, stride=n), max_pool],
    ids=["units", "filters", "size", "stride", "pool"],
)
def test_counts_and_sizes_are_whole_numbers(made, number):
    with pytest.raises(InputError, match="expected a whole number >= 1"):
        made(number)


@pytest.mark.parametrize("stride", [0, -1, 0.5])
def test_the_stride_of_max_pooling_is_a_whole_number_or_its_size(stride):
    with pytest.raises(InputError, match="stride: got"):
        max_pool(2, stride)
