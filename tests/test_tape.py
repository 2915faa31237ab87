"""The tape: graphs of any depth and shape, pullbacks of stacks, and what is refused."""

import importlib
import sys
import types
from functools import partial

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd.scipy.special import logsumexp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from vjp_check import SEEDS, STACKS, away_from_zero, check_vjp

from minilwa import layers, ops
from minilwa.backend import asarray, device_namespace, namespace, to_numpy
from minilwa.conv import conv2d, max_pool2d
from minilwa.errors import InputError
from minilwa.tape import Node, backward, op, topological_order, value_and_gradient, vjp
from minilwa.tree import leaves, tree_map

# --- the check itself finds what it looks for ------------------------------------------------------------------------


def op_with_vjp(vjp_of):
    """x * x with the vjp ``vjp_of(x, g)``; the right one is ``2 * g * x``."""
    return op(lambda x: (x * x, (lambda g: vjp_of(x, g),)))


def overwrite_cotangent(x, g):
    gradient = 2 * g * x
    g.flags.writeable = True
    g[...] = 0
    return gradient


class Counting:
    """A wrong vjp whose result depends on how often it was called."""

    calls = 0

    def __call__(self, x, g):
        self.calls += 1
        return 2 * g * x * (1 + 1e-14 * self.calls)


def test_the_check_passes_a_right_vjp():
    check_vjp(op_with_vjp(lambda x, g: 2 * g * x), away_from_zero(0, (3, 2)), stack=(2,), seed=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x, g: 2.00001 * g * x, "off by"),
        (lambda x, g: 2 * np.sum(g, axis=0, keepdims=True) * x + 0 * g, "off by"),  # the stack summed
        (lambda x, g: 2 * g * x.astype(np.float32).astype(x.dtype), "off by"),
        (lambda x, g: np.float64(2) * g * x, "float32"),
        (lambda x, g: (2 * g * x).astype(np.float32), "float64"),
        (overwrite_cotangent, "was changed"),
        (lambda x, g: 2 * g * x if g.flags.c_contiguous else g * x, "memory layout"),
        (Counting(), "a second time"),
    ],
)
def test_the_check_finds_a_wrong_vjp(wrong, message):
    with pytest.raises(AssertionError, match=message):
        check_vjp(op_with_vjp(wrong), away_from_zero(0, (3, 2)), stack=(2,), seed=0)


# --- graphs ----------------------------------------------------------------------------------------------------------


def test_a_graph_ten_thousand_operations_deep():
    def function(x):
        y = x
        for _ in range(10_000):
            y = y + x
        return y

    value, pullback = vjp(function, np.array([1.0, 2.0]))
    assert_array_equal(value, [10_001, 20_002])
    assert_array_equal(pullback(np.array([1.0, 3.0]))[0], [10_001, 30_003])


def test_a_graph_with_more_paths_than_can_be_walked():
    def function(x):
        for _ in range(100):
            x = x + x
        return x

    _, pullback = vjp(function, np.ones(1))
    assert_array_equal(pullback(np.ones(1))[0], [2.0**100])


GRAPHS = st.lists(st.tuples(st.sampled_from(["add", "multiply"]), st.integers(0), st.integers(0)), max_size=12)


@given(steps=GRAPHS, seed=SEEDS)
def test_any_graph_agrees_with_forward_mode(steps, seed):
    """Drawn graphs over three inputs: values used many times, and values and inputs that are not used at all."""
    rng = np.random.default_rng(seed)
    inputs, tangents = rng.standard_normal((3, 2, 3)), rng.standard_normal((3, 2, 3))

    def function(*values):
        values = list(values)
        for kind, i, j in steps:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(a + b if kind == "add" else ops.tanh(a * b))
        return values[-1]

    values, derivatives = list(inputs), list(tangents)
    for kind, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        da, db = derivatives[i % len(values)], derivatives[j % len(values)]
        values.append(a + b if kind == "add" else np.tanh(a * b))
        derivatives.append(da + db if kind == "add" else (1 - values[-1] ** 2) * (a * db + da * b))

    value, pullback = vjp(function, *inputs)
    assert_array_equal(value, values[-1])
    cotangent = rng.standard_normal((4, *value.shape))
    directional = sum((g * t).sum(axis=(-2, -1)) for g, t in zip(pullback(cotangent), tangents, strict=True))
    assert_allclose(directional, (cotangent * derivatives[-1]).sum(axis=(-2, -1)), rtol=1e-10, atol=1e-10)


def test_topological_order_puts_every_node_after_all_that_were_made_from_it():
    x, unused = Node(np.ones(2)), Node(np.ones(2))
    a = x * 2
    b = a + x
    c = ops.concatenate(b, a, x, axis=0)
    _ = unused * x
    order = topological_order(c)
    assert order[0] is c
    assert sorted(map(id, order)) == sorted(map(id, [x, a, b, c]))
    for place, node in enumerate(order):
        assert all(parent in order[place + 1 :] for parent, _ in node.parents)


def composite(x, w, b):
    """A little of everything: convolution, pooling, broadcasting, indexing, reductions, and x used twice."""
    y = ops.tanh(max_pool2d(conv2d(x, w, padding=1), size=2) + b)
    z = ops.reshape(y, shape=(2, 12))
    return ops.log_softmax(z[:, :4] * ops.mean(x, axis=(1, 2, 3), keepdims=True)[:, :, 0, 0])


@given(stack=STACKS, seed=SEEDS)
@settings(max_examples=20)
def test_a_composite_of_operations(stack, seed):
    inputs = [away_from_zero(seed + i, shape) for i, shape in enumerate([(2, 1, 4, 5), (3, 1, 3, 3), (3, 1, 1)])]
    check_vjp(composite, *inputs, stack=stack, seed=seed)


# --- inputs and cotangents -------------------------------------------------------------------------------------------


@given(stack=STACKS, seed=SEEDS)
@settings(max_examples=20)
def test_a_function_that_returns_its_input(stack, seed):
    check_vjp(lambda x: x, away_from_zero(seed, (2, 3)), stack=stack, seed=seed)


@given(stack=STACKS, seed=SEEDS)
@settings(max_examples=20)
def test_a_function_that_returns_one_of_its_inputs(stack, seed):
    x, y = away_from_zero(seed, (2, 3)), away_from_zero(seed, (4,))
    check_vjp(lambda x, y: x, x, y, stack=stack, seed=seed)


@pytest.mark.parametrize("stack", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_input_that_is_not_used_gets_zeros(stack, dtype):
    x, y = np.ones((2, 3), dtype), np.ones((4, 1), dtype)
    _, pullback = vjp(lambda x, y: ops.exp(x), x, y)
    gradient = pullback(np.ones((*stack, 2, 3), dtype))[1]
    assert gradient.dtype == dtype
    assert_array_equal(gradient, np.zeros((*stack, 4, 1)))


def test_a_function_that_ignores_all_its_inputs():
    value, pullback = vjp(lambda x: np.full(2, 7.0), np.ones(3))
    assert_array_equal(value, [7, 7])
    assert_array_equal(pullback(np.ones((5, 2)))[0], np.zeros((5, 3)))


def test_the_same_array_as_two_inputs_is_two_inputs():
    x = np.array([2.0, 3.0])
    _, pullback = vjp(lambda a, b: a * a * b, x, x)
    by_a, by_b = pullback(np.ones(2))
    assert_array_equal(by_a, 2 * x * x)
    assert_array_equal(by_b, x * x)


def test_an_input_inside_the_graph_of_another():
    """Gradients for a value halfway and for the input that it was made from, in one pass."""
    x = Node(np.array([2.0, 3.0]))
    halfway = x * x
    by_halfway, by_x = backward(halfway * 5 + x, np.ones(2), [halfway, x])
    assert_array_equal(by_halfway, [5, 5])
    assert_array_equal(by_x, 5 * 2 * x.value + 1)


def test_inputs_are_trees_and_gradients_have_their_structure():
    parameters = ({"w": np.ones((3, 2)), "b": np.zeros(2)}, (), [np.ones(2)])

    def function(parameters, x):
        first, _, (scale,) = parameters
        return (x @ first["w"] + first["b"]) * scale

    _, pullback = vjp(function, parameters, np.ones((4, 3)))
    gradients, by_x = pullback(np.ones((5, 4, 2)))
    assert tree_map(np.shape, gradients) == ({"w": (5, 3, 2), "b": (5, 2)}, (), [(5, 2)])
    assert by_x.shape == (5, 4, 3)


@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (2, 1), (1, 3), (2, 3, 1), (3, 2, 5)])
def test_a_cotangent_of_the_wrong_shape_is_refused(shape):
    _, pullback = vjp(lambda x: x * 2, np.ones((2, 3)))
    with pytest.raises(InputError, match=r"cotangent: got shape .*expected \(\*stack, \*\(2, 3\)\)"):
        pullback(np.ones(shape))


@pytest.mark.parametrize("wrong", [lambda g: g.sum(axis=-1), lambda g: g[..., :1], lambda g: g[None]])
@pytest.mark.parametrize("stack", [(), (3,), (2, 3)])
def test_a_vjp_that_returns_the_wrong_shape_is_refused(wrong, stack):
    _, pullback = vjp(op(lambda x: (x * 1, (wrong,))), np.ones((2, 3)))
    with pytest.raises(InputError, match=r"lambda.*got a gradient of shape"):
        pullback(np.ones((*stack, 2, 3)))


def test_value_and_gradient():
    value, (gradient,) = value_and_gradient(lambda x: ops.sum(x * x), np.array([1.0, 2.0]))
    assert value == 5
    assert_array_equal(gradient, [2, 4])


def test_the_gradient_of_a_mean_can_be_written_to():
    """As in an optimizer that works in place: a gradient is never a broadcast view."""
    _, (gradient,) = value_and_gradient(ops.mean, np.ones((2, 3)))
    gradient *= 6
    assert_array_equal(gradient, np.ones((2, 3)))


def test_value_and_gradient_wants_a_scalar():
    with pytest.raises(InputError, match=r"function: got a value of shape \(2,\), expected a scalar"):
        value_and_gradient(ops.exp, np.ones(2))


def test_numpy_functions_on_a_node_are_refused():
    """Instead of an array of objects that has lost the graph."""
    with pytest.raises(TypeError, match="ufunc"):
        np.exp(Node(np.ones(2)))


# --- dense networks against HIPS autograd ----------------------------------------------------------------------------


@st.composite
def dense_networks(draw):
    """(network, the same in autograd, parameters, images): one to three layers, relu or tanh between them."""
    activation = draw(st.sampled_from(["relu", "tanh"]))
    batch, *sizes = draw(st.lists(st.integers(1, 5), min_size=3, max_size=5))
    rng = np.random.default_rng(draw(SEEDS))
    parts = [layers.dense(sizes[1])]
    for size in sizes[2:]:
        parts += [{"relu": layers.relu, "tanh": layers.tanh}[activation](), layers.dense(size)]
    network = layers.chain(*parts)
    parameters, _ = network.init(rng, (sizes[0],))
    parameters = tree_map(lambda a: rng.standard_normal(a.shape), parameters)  # biases too
    theirs = {"relu": lambda x: anp.maximum(x, 0), "tanh": anp.tanh}[activation]

    def reference(parameters, x):
        for part in parameters:
            x = anp.dot(x, part["w"]) + part["b"] if part else theirs(x)
        return x

    return network, reference, parameters, rng.standard_normal((batch, sizes[0]))


@given(drawn=dense_networks(), seed=SEEDS)
@settings(max_examples=50)
def test_gradients_of_a_dense_network_equal_those_of_autograd(drawn, seed):
    network, reference, parameters, x = drawn
    k = network.apply(parameters, x).shape[-1]
    labels = np.random.default_rng(seed).integers(0, k, len(x))

    def loss(parameters, x):
        return ops.mean(ops.cross_entropy(network.apply(parameters, x), labels=labels))

    def their_loss(parameters, x):
        z = reference(parameters, x)
        return anp.mean(logsumexp(z, axis=-1) - z[np.arange(len(x)), labels])

    value, gradients = value_and_gradient(loss, parameters, x)
    their_value, their_gradients = autograd.value_and_grad(their_loss, argnum=(0, 1))(parameters, x)
    assert_allclose(value, their_value, rtol=1e-12, atol=1e-14)
    assert tree_map(np.shape, gradients[0]) == tree_map(np.shape, parameters)
    for ours, theirs in zip(leaves(gradients), leaves(their_gradients), strict=True):
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@given(drawn=dense_networks())
@settings(max_examples=50)
def test_jacobian_rows_of_softmax_equal_those_of_autograd(drawn):
    network, reference, parameters, x = drawn
    alpha, pullback = vjp(lambda x: ops.softmax(network.apply(parameters, x)), x)
    n, k = alpha.shape
    (rows,) = pullback(np.broadcast_to(np.eye(k)[:, None], (k, n, k)))  # (K, N, inputs)

    def their_alpha(x):
        z = reference(parameters, x)
        return anp.exp(z - logsumexp(z, axis=-1, keepdims=True))

    for sample in range(n):
        theirs = autograd.jacobian(their_alpha)(x[sample])  # (K, inputs)
        for j in range(k):
            assert_allclose(rows[j, sample], theirs[j], rtol=1e-10, atol=1e-12)
    assert_allclose(rows.sum(axis=0), np.zeros_like(x), atol=1e-12)  # the rows of T sum to zero


# --- arrays of two libraries, and a device that is not there ---------------------------------------------------------


class DeviceArray:
    """What `namespace` sees of a CuPy array, on a machine without one."""

    shape = (2, 2)
    ndim = 2
    dtype = np.dtype("float64")


DeviceArray.__module__ = "cupy._core.core"
MIXED = r"arrays: got NumPy and CuPy arrays in one operation.*minilwa\.asarray\(x, device=.*minilwa\.to_numpy"


@pytest.mark.parametrize("operation", [ops.add, ops.subtract, ops.multiply, ops.divide, ops.matmul])
@pytest.mark.parametrize("trace", [lambda a: a, Node])
def test_host_and_device_arrays_in_one_operation_are_refused(operation, trace):
    for arguments in [(trace(np.ones((2, 2))), DeviceArray()), (DeviceArray(), trace(np.ones((2, 2))))]:
        with pytest.raises(InputError, match=MIXED):
            operation(*arguments)


@pytest.mark.parametrize(
    "mix",
    [
        lambda host, device: host + device,
        lambda host, device: device - host,
        lambda host, device: host @ device,
        lambda host, device: device @ host,
        lambda host, device: ops.concatenate(host, host, device, axis=0),
        lambda host, device: ops.cross_entropy(host, labels=device),
        conv2d,
    ],
)
def test_a_host_node_with_a_device_array_is_refused(mix):
    with pytest.raises(InputError, match=MIXED):
        mix(Node(np.ones((2, 2))), DeviceArray())


@pytest.mark.parametrize("function", [lambda x: x, lambda x: x * 2, lambda x: np.ones((2, 2))])
def test_a_device_cotangent_for_a_host_graph_is_refused(function):
    _, pullback = vjp(function, np.ones((2, 2)))
    with pytest.raises(InputError, match=MIXED):
        pullback(DeviceArray())


@pytest.mark.parametrize("stranger", [[1.0, 2.0], None, "abc", types.SimpleNamespace(shape=(2,))])
def test_what_is_no_array_is_refused(stranger):
    with pytest.raises(InputError, match=r"expected a NumPy or CuPy array\. Make one with minilwa\.asarray"):
        ops.add(np.ones(2), stranger)


def test_numbers_belong_to_any_namespace():
    assert namespace(1, 2.0, True, np.float32(3)) is np
    assert namespace(np.ones(2), 1, np.float32(3)) is np


NO_GPU = r'^device: got "gpu" \(.+\), expected a working CUDA device and CuPy\. .*device="cpu"\.$'


def refuses_gpu():
    for ask in (partial(device_namespace, "gpu"), partial(asarray, [1.0], device="gpu")):
        with pytest.raises(InputError, match=NO_GPU) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_gpu_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    refuses_gpu()


@pytest.mark.parametrize(
    "error", [RuntimeError("cudaErrorNoDevice: no device\nsecond line"), MemoryError(), OSError(2, "libnvrtc.so")]
)
@pytest.mark.parametrize("failing", ["arange", "sum", "item"])
def test_gpu_with_a_cupy_that_does_not_work(monkeypatch, error, failing):
    """No device, no memory, no compiler for the kernel, or its crash: each shows at another step of the trial."""

    def step(name, then):
        def run(*args):
            if name == failing:
                raise error
            return then

        return types.SimpleNamespace(**{name: run})

    monkeypatch.setitem(sys.modules, "cupy", step("arange", step("sum", step("item", 1))))
    refuses_gpu()


def test_gpu_with_a_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise OSError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    refuses_gpu()


@pytest.mark.parametrize("device", ["cuda", "GPU", "", None])
def test_a_device_that_is_not_known(device):
    with pytest.raises(InputError, match=r'device: got .*, expected "cpu" or "gpu"'):
        device_namespace(device)


def test_asarray_makes_floats_of_the_dtype_asked_for():
    assert asarray([1, 2]).dtype == np.float32
    assert asarray(np.arange(3), dtype="float64").dtype == np.float64
    with pytest.raises(InputError, match='dtype: got \'int64\', expected "float32" or "float64"'):
        asarray([1, 2], dtype="int64")


def test_to_numpy_of_a_numpy_array_is_the_array():
    x = np.ones(3)
    assert to_numpy(x) is x


def squared_gradient(a):
    _, (gradient,) = value_and_gradient(lambda b: ops.sum(a * b * b), np.ones(3))
    return ops.sum(gradient * gradient)


def test_a_derivative_of_a_derivative_is_refused():
    """The inner gradient is an array: what the outer pass would make of it is zero, which is wrong."""
    for function in (squared_gradient, lambda a: vjp(lambda b: ops.sum(b * b), a)[0]):
        with pytest.raises(InputError, match="Derivatives of derivatives are not supported"):
            value_and_gradient(function, np.arange(3.0))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.dot(np.eye(3), x),
        np.mean,
        lambda x: np.where(np.eye(3) > 0, x, 0),
        lambda x: np.stack([x, x]),
        np.exp,
    ],
)
def test_a_function_of_numpy_refuses_a_traced_value(function):
    with pytest.raises((InputError, TypeError)):  # numpy's own TypeError for universal functions
        vjp(function, np.ones((3, 3)))


def test_what_is_differentiated_by_and_pulled_back_must_be_arrays():
    with pytest.raises(InputError, match="inputs: got float"):
        value_and_gradient(lambda w: w * w, 3.0)
    _, pullback = vjp(lambda x: x * x, np.ones(2))
    with pytest.raises(InputError, match="cotangent: got float"):
        pullback(1.0)
