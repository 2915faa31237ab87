"""The lenient stand-in for CuPy takes what CuPy takes, refuses what CuPy refuses, and has nothing that CuPy lacks."""

import inspect
from operator import attrgetter

import lenient_cupy
import matplotlib.figure
import numpy as np
import pytest
import strict_cupy

from minilwa.backend import namespace

HOST = np.arange(6.0).reshape(2, 3) - 1.5

TAKEN = {  # with the same result as of a host array
    "float": lambda a: float(a.max()),
    "numpy.float64": lambda a: np.float64(a[0, 0]),  # a Python float, too
    "int": lambda a: int(a[1, 2]),
    "bool": lambda a: bool((a > 0).any()),
    "if": lambda a: 1 if a[0, 0] < 0 else 2,
    "format": lambda a: f"{a.sum():.3f} {a.argmax()}",
    "text": lambda a: str(a) + str(a[0]),
    "item": lambda a: a[0, 1].item(),
    "tolist": lambda a: a.tolist(),
    "iteration": lambda a: [float(row.sum()) for row in a],
    "max of several": lambda a: float(max(a[0])),
    "a list as an index": lambda a: a[:, [2, 0]],
    "a host index": lambda a: a[np.arange(2), np.array([2, 0])],
    "a host mask": lambda a: a[HOST > 0],
    "a device index": lambda a: a[a.argmax(axis=0), namespace(a).arange(3)],
    "a NumPy integer": lambda a: a[np.int64(1)],
    "writing": lambda a: [a.__setitem__((0, [0, 2]), 7.0), a][1],
    "std": lambda a: a.std(axis=1, ddof=1),
    "methods": lambda a: a.round(1).clip(-1, 1).ravel().repeat(2).flatten(),
    "rows and columns": lambda a: a.T @ a.swapaxes(0, 1).T,
    "scalars of NumPy": lambda a: np.float64(2) * a + np.float32(1) - np.int64(3) / (a**2 + 1),
    "numpy.abs": np.abs,
    "numpy.maximum": lambda a: np.maximum(a, 0),
    "numpy.linalg.norm": lambda a: np.linalg.norm(a, axis=1, keepdims=True),
    "numpy.stack": lambda a: np.stack([a, 2 * a]),
    "numpy.shape": np.shape,
    "functions": lambda a: namespace(a).where(a > 0, a, 0).sum(axis=0) + namespace(a).median(a),
    "linalg.solve": lambda a: namespace(a).linalg.solve(a @ a.T, a),
    "a list of arrays": lambda a: namespace(a).asarray([a[0], 2 * a[1]]),
}
REFUSED = {
    "numpy.asarray": np.asarray,
    "numpy.array of a list": lambda a: np.array([a[0], a[1]]),
    "numpy.float32": lambda a: np.float32(a[0, 0]),
    "a line": lambda a: matplotlib.figure.Figure().add_subplot().plot(a[0]),
    "a picture": lambda a: matplotlib.figure.Figure().add_subplot().imshow(a),
    "host + device": lambda a: HOST + a,
    "device + host": lambda a: a + HOST,
    "device @ host": lambda a: a @ HOST.T,
    "device == host": lambda a: a == HOST,
    "device += host": lambda a: a.__iadd__(HOST),
    "numpy.add": lambda a: np.add(HOST, a),
    "numpy.where": lambda a: np.where(a > 0, a, HOST),
    "numpy.concatenate": lambda a: np.concatenate([a, HOST]),
    "numpy.insert": lambda a: np.insert(a, 0, 1),
    "numpy.full": lambda a: np.full(3, a[0, 0]),
    "where": lambda a: namespace(a).where(a > 0, a, HOST),
    "a list as an array": lambda a: namespace(a).abs([1.0, 2.0]),
    "host[device]": lambda a: HOST[a.argmax()],
    "host[...] = device": lambda a: HOST.copy().__setitem__(Ellipsis, a),
    "device[...] = host": lambda a: a.__setitem__(Ellipsis, HOST),
    "list[device]": lambda a: [1, 2, 3, 4, 5, 6][a.argmax()],
    "range": lambda a: range(a.argmax()),
    "round": lambda a: round(a[0, 0], 2),
    "a key": lambda a: {a[0, 0]: 1},
    "bool of several": bool,
    "max(initial=)": lambda a: a.max(initial=0.0),
    "numpy.max(initial=)": lambda a: np.max(a, initial=0.0),
}
REFUSALS = (TypeError, ValueError, IndexError, AttributeError, NotImplementedError)


def same(function, device):
    """A function of a device array has the result that it has of a host array, on the device if that is an array."""
    found, expected = function(device.asarray(HOST)), function(HOST.copy())
    if isinstance(expected, np.ndarray):
        assert type(found) is device.ndarray
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.get(), expected, rtol=1e-12, atol=1e-12)
    else:
        assert found == expected


@pytest.fixture
def cupy():
    with lenient_cupy.installed() as module:
        yield module


@pytest.mark.parametrize("name", TAKEN)
def test_the_stand_in_takes(name, cupy):
    same(TAKEN[name], cupy)


@pytest.mark.parametrize("name", REFUSED)
def test_the_stand_in_refuses(name, cupy):
    with pytest.raises(REFUSALS):
        REFUSED[name](cupy.asarray(HOST))


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*TAKEN, *REFUSED])
def test_cupy_takes_and_refuses_the_same(name, gpu):
    if gpu is strict_cupy.MODULE:
        pytest.skip("the strict stand-in takes less")
    if name in TAKEN:
        same(TAKEN[name], gpu)
    else:
        with pytest.raises(REFUSALS):
            REFUSED[name](gpu.asarray(HOST))


def test_the_strict_stand_in_is_strict_again_afterwards():
    with lenient_cupy.installed() as module:
        assert module.ones(3).tolist() == [1, 1, 1]
    with strict_cupy.installed() as module, pytest.raises(TypeError, match=r"float\(\) of a device array"):
        float(module.ones(3).sum())


def test_the_stand_in_claims_nothing_that_cupy_lacks():
    """Takes CuPy, but no GPU."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed, so its functions cannot be looked up")
    for name in lenient_cupy.UFUNCS:
        assert isinstance(getattr(cupy, name), cupy.ufunc), name
    for name, stars in lenient_cupy.FUNCTIONS.items():
        names, _ = strict_cupy.parameters(stars)
        inspect.signature(attrgetter(name)(cupy)).bind_partial(**dict.fromkeys(names))
    for name in (*lenient_cupy.BY_METHOD, *lenient_cupy.PROPERTIES, "array", "pi"):
        assert hasattr(cupy, name), name
    of_python = {*dir(object), "__module__", "__slots__", "__slotnames__"}
    assert set(vars(lenient_cupy.ndarray)) - of_python <= set(dir(cupy.ndarray))
