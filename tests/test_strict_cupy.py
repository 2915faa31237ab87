"""The stand-in for CuPy is as strict as it says, and has nothing that CuPy lacks."""

import inspect

import numpy as np
import pytest
import strict_cupy
from strict_cupy import Forbidden, no_transfers, transfers

from minilwa import conv, ops
from minilwa.algorithms import next_velocity
from minilwa.backend import asarray, to_numpy


@pytest.fixture
def cupy():
    with strict_cupy.installed() as module:
        yield module


SILENT = {
    "bool": bool,
    "float": float,
    "int": int,
    "index": range,
    "format": lambda a: f"{a:g}",
    "numpy.asarray": np.asarray,
    "numpy.exp": np.exp,
    "numpy.concatenate": lambda a: np.concatenate([a, a]),
    "numpy.linalg.norm": np.linalg.norm,
    "host + device": lambda a: np.ones(3) + a,
    "device + host": lambda a: a + np.ones(3),
    "device += host": lambda a: a.__iadd__(np.ones(3)),
    "host += device": lambda a: np.ones(3).__iadd__(a),
    "host @ device": lambda a: np.ones((3, 3)) @ a,
    "device == host": lambda a: a == np.ones(3),
    "host[device]": lambda a: np.ones(9)[a.astype("int64")],
    "device[host]": lambda a: a[np.arange(2)],
    "device[list]": lambda a: a[[0, 1]],
    "device[...] = host": lambda a: a.__setitem__(Ellipsis, np.ones(3)),
    "host[...] = device": lambda a: np.ones(3).__setitem__(Ellipsis, a),
    "max": max,
    "where": lambda a: strict_cupy.MODULE.where(a > 0, np.ones(3), a),
    "maximum": lambda a: strict_cupy.MODULE.maximum(np.ones(3), a),
    "concatenate": lambda a: strict_cupy.MODULE.concatenate([a, np.ones(3)]),
    "full": lambda a: strict_cupy.MODULE.full(3, np.ones(3)),
    "zeros": strict_cupy.MODULE.zeros,
    "a parameter": lambda a: strict_cupy.MODULE.stack([a], out=a),
    "a seed": lambda a: strict_cupy.MODULE.random.Philox4x3210(np.random.default_rng(0)),
    "a host array fused": lambda a: strict_cupy.MODULE.fuse(lambda a, b: a + b)(a, np.ones(3)),
    "a sum fused": strict_cupy.MODULE.fuse(lambda a: a.sum()),
    "an index fused": strict_cupy.MODULE.fuse(lambda a: a[0]),
    "a function fused": strict_cupy.MODULE.fuse(lambda a: strict_cupy.MODULE.stack([a, a])),
}


@pytest.mark.parametrize("name", SILENT)
def test_the_stand_in_refuses(name):
    with pytest.raises((TypeError, IndexError)):
        SILENT[name](strict_cupy.ndarray(np.ones(3) if name not in ("bool", "float", "int", "index") else np.ones(())))


def test_the_stand_in_has_no_other_functions(cupy):
    for name in ("errstate", "putmask", "linalg", "matrix_norm", "median", "dot", "isin"):
        assert not hasattr(cupy, name)


def test_writing_twice_in_one_place_is_refused(cupy):
    a = cupy.zeros(3)
    a[cupy.arange(3)] = 1.0
    with pytest.raises(IndexError, match="twice"):
        a[cupy.zeros(2, dtype="int64")] = 1.0


def test_elements_rows_and_reductions_stay_on_the_device(cupy):
    a = cupy.arange(6.0).reshape(2, 3)
    for part in (a[0], a[0, 1], a.sum(), a.max(axis=0), next(iter(a)), 2 * a, 1 - a.sum(), np.float32(2) * a, a[a > 2]):
        assert type(part) is cupy.ndarray
    a[0, 1][...] = 7.0  # an element is a view
    assert a.get()[0, 1] == 7


def test_transfers_are_counted_with_their_place(cupy):
    with transfers() as found:
        a = asarray(np.ones(3), device="gpu")
        to_numpy(a)
        a.sum().item()
        a[a > 0], cupy.nonzero(a)
    assert found == {"asarray outside": 1, "item outside": 2, "get outside": 1, "mask outside": 1, "nonzero outside": 1}
    with no_transfers(["item outside"]):
        a.sum().item()
        with pytest.raises(Forbidden, match="get in outside"):
            a.get()


def test_the_stand_in_claims_nothing_that_cupy_lacks():
    """Takes CuPy, but no GPU."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed, so its functions cannot be looked up")
    for name in strict_cupy.UFUNCS:
        assert isinstance(getattr(cupy, name), cupy.ufunc), name
    for name, stars in strict_cupy.FUNCTIONS.items():
        names = [star.lstrip("*") for star in stars.split()]
        inspect.signature(getattr(cupy, name)).bind_partial(**dict.fromkeys(names))
    for name in (*strict_cupy.CONSTANTS, "asarray", "einsum", "fuse", "may_share_memory", "nonzero"):
        assert hasattr(cupy, name), name
    inspect.signature(cupy.lib.stride_tricks.as_strided).bind(None, shape=(), strides=())
    assert {"random", "standard_normal"} <= set(dir(cupy.random.Generator))
    assert issubclass(cupy.random.Philox4x3210, cupy.random.BitGenerator)
    of_python = {*dir(object), "__module__", "__slots__", "__array_ufunc__", "_host"}
    refused = {"__contains__", "__index__"}  # by both
    ours = {name for name in vars(strict_cupy.ndarray) if name not in of_python | refused}
    assert ours <= set(dir(cupy.ndarray))


FUSED = [  # with how many arrays, and with which numbers
    (ops.plus, 2, ()),
    (ops.positive_part, 1, ()),
    (ops.hyperbolic_tangent, 1, ()),
    (ops.times_slope_of_relu, 2, ()),
    (ops.times_slope_of_tanh, 2, ()),
    (conv.larger, 2, ()),
    (conv.is_first, 3, ()),
    (next_velocity, 2, (0.9, 0.01)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("function", "arrays", "numbers"), FUSED, ids=lambda value: getattr(value, "__name__", None))
@pytest.mark.parametrize("stack", [(), (2,)])  # cotangents of several rows at once
def test_cupy_makes_one_kernel_of_a_fused_function(stack, function, arrays, numbers, dtype):
    """Takes CuPy, but no GPU: tracing reads shapes and dtypes alone, and what fails is to launch the kernel."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed, so it cannot trace what is fused")
    if cupy.is_available():
        pytest.skip("there is a GPU: pytest -m gpu runs the kernels")
    memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(1 << 16, 1 << 10, None, device_id=0), 0)
    kinds = [dtype, dtype, bool][:arrays]
    shapes = [(*stack, 3, 4), (3, 4), (3, 4)]
    given = [cupy.ndarray(shape, kind, memptr=memory) for shape, kind in zip(shapes, kinds, strict=False)]
    fusion = cupy.fuse(function.__wrapped__)
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        fusion(*given, *numbers)
    ((kernel, _),) = fusion._memo.values()
    assert isinstance(kernel, cupy.ElementwiseKernel)
    assert [parameter.dtype for parameter in kernel.out_params] == [bool if function is conv.is_first else dtype]
