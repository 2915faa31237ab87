"""A stand-in for CuPy that runs on any machine and is stricter than CuPy is.

Its arrays are NumPy's, wrapped in a type of their own. They refuse to become a NumPy array, a Python number or a truth
value silently, to meet a NumPy array in one operation, to be written to twice in one place. What a GPU is waited for
(`get`, `item`, `nonzero`, a mask as an index) and what is sent to it (`asarray`) is told with the place in minilwa that
asked. There are no functions but those below, with no parameters but those below, all of which
CuPy has: `test_strict_cupy.py` compares them with CuPy itself where that is installed, which takes no GPU.
"""

import sys
import types
from collections import Counter
from contextlib import contextmanager
from functools import cache, partial
from operator import attrgetter
from pathlib import Path

import numpy as np

NUMBERS = (bool, int, float, np.generic)


# --- transfers -------------------------------------------------------------------------------------------------------


class Forbidden(AssertionError):
    """A transfer where there should be none."""


LISTENERS = []  # to transfers: functions of (kind, "module.function")


@cache
def asks(code):
    """Whether a function of minilwa runs this code, and no comprehension within it."""
    path = Path(code.co_filename)
    return "minilwa" in path.parts[:-1] and path.name != "backend.py" and not code.co_name.startswith("<")


def note(kind):
    """Tell of a transfer of some kind, made at the innermost place in minilwa above its backend."""
    frame = sys._getframe(1)
    while frame is not None and not asks(frame.f_code):
        frame = frame.f_back
    place = "outside" if frame is None else f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
    for listener in LISTENERS:
        listener(kind, place)


@contextmanager
def listening(listener):
    LISTENERS.append(listener)
    try:
        yield
    finally:
        LISTENERS.remove(listener)


@contextmanager
def transfers():
    """Counts what is transferred within: a Counter of "kind module.function"."""
    found = Counter()
    with listening(lambda kind, place: found.update([f"{kind} {place}"])):
        yield found


@contextmanager
def no_transfers(allowed=()):
    """Any transfer within is an error, but those ``allowed``, each a "kind module.function"."""

    def refuse(kind, place):
        if f"{kind} {place}" not in allowed:
            raise Forbidden(f"{kind} in {place}")

    with listening(refuse):
        yield


# --- kernels ---------------------------------------------------------------------------------------------------------

LAUNCHED = Counter()  # kernels, about as many as CuPy launches
FUSING = []  # not empty within a function that is one kernel


def launch(one=True):
    LAUNCHED["kernels"] += one and not FUSING


def no_kernel(what):
    if FUSING:
        raise TypeError(f"{what} in a fused function, which goes element by element")


def fuse(function):
    """One kernel, of operators and ufuncs."""

    def call(*values):
        list(map(host, values))
        launch()
        FUSING.append(function)
        try:
            return function(*values)
        finally:
            FUSING.pop()

    return call


# --- arrays ----------------------------------------------------------------------------------------------------------


def refuse(what):
    def method(self, *args, **settings):
        raise TypeError(f"{what} of a device array: ask for it with .get() or .item()")

    return method


class ndarray:
    __array_ufunc__ = None  # host @ device and numpy.exp(device) are TypeErrors, host and traced values get their turn
    __hash__ = None
    __slots__ = ("_host",)

    def __init__(self, host):
        self._host = host

    __array__ = refuse("a silent copy to the host")
    __bool__ = refuse("bool()")
    __float__ = refuse("float()")
    __int__ = refuse("int()")
    __index__ = refuse("an index made")
    __complex__ = refuse("complex()")
    __contains__ = refuse("a search")
    __format__ = refuse("a text made")

    def __repr__(self):
        return f"strict_cupy.ndarray({self._host!r})"

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    T = property(lambda self: ndarray(self._host.T))

    def get(self):
        note("get")
        return self._host.copy()

    def item(self):
        note("item")
        return self._host.item()

    def __getitem__(self, at):
        no_kernel("an index")
        at = place(at)
        launch(any(isinstance(part, np.ndarray) for part in at))
        return ndarray(self._host[at])

    def __setitem__(self, at, value):
        no_kernel("an assignment")
        launch()
        at = place(at)
        if any(isinstance(part, np.ndarray) and part.dtype != bool for part in at):
            times = np.zeros(self.shape, dtype=int)
            np.add.at(times, at, 1)
            if (times > 1).any():
                raise IndexError("written to twice in one place: on a GPU either value may stay")
        self._host[at] = host(value)

    def astype(self, dtype, copy=True):
        launch()
        return ndarray(self._host.astype(dtype, copy=copy))

    def copy(self):
        launch()
        return ndarray(self._host.copy(order="C"))

    def reshape(self, *shape):
        found = self._host.reshape(*shape)
        launch(not np.may_share_memory(found, self._host))
        return ndarray(found)

    def transpose(self, *axes):
        return ndarray(self._host.transpose(*axes))

    def swapaxes(self, axis1, axis2):
        return ndarray(self._host.swapaxes(axis1, axis2))


def host(value):
    """What is in a device array, or a number as it is; TypeError for anything else, host arrays above all."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, NUMBERS):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def device(value):
    """A result on the device: a scalar stays there as an array without axes; in memory it lies as its axes say."""
    launch()
    return ndarray(np.asarray(value, order="C"))


def place(at):
    """An index, which may be of numbers, slices and device arrays, with an ellipsis: so a single element is a view."""
    parts = at if isinstance(at, tuple) else (at,)
    masks = [part for part in parts if isinstance(part, ndarray) and part.dtype == bool]
    for _ in masks:
        note("mask")
    basic = (slice, type(None), type(Ellipsis))
    found = tuple(part if isinstance(part, basic) else host(part) for part in parts)
    return found if any(part is Ellipsis for part in found) else (*found, Ellipsis)


def reduction(name):
    def method(self, axis=None, keepdims=False):
        no_kernel(name)
        reduce = partial(getattr(np, name), axis=axis, keepdims=keepdims)
        return device(in_another_order(reduce, self._host) if name in ("sum", "mean") else reduce(self._host))

    return method


def along_one_axis(name):
    def method(self, axis=-1 if name == "argsort" else None):
        return device(getattr(self._host, name)(axis=axis))

    return method


for _name in ("sum", "mean", "max", "min", "all", "any", "argmax", "argmin"):
    setattr(ndarray, _name, reduction(_name))
for _name in ("argsort", "cumsum"):
    setattr(ndarray, _name, along_one_axis(_name))


def takes_its_turn(other):
    """Whether the other operand has an operator of its own for arrays, as traced values do."""
    return (
        not isinstance(other, ndarray)
        and not isinstance(other, type)
        and hasattr(other, "__array_ufunc__")
        and (other.__array_ufunc__ is None)
    )


def binary(ufunc, swapped=False):
    def method(self, other):
        if takes_its_turn(other):
            return NotImplemented
        pair = (host(other), self._host) if swapped else (self._host, host(other))
        if ufunc is np.matmul:
            no_kernel("a product")
        found = in_another_order(ufunc, *pair) if ufunc is np.matmul else ufunc(*pair)
        return device(nudged(found) if ufunc is np.power else found)

    return method


def in_place(ufunc):
    def method(self, other):
        launch()
        ufunc(self._host, host(other), out=self._host)
        return self

    return method


ARITHMETIC = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "matmul": np.matmul,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}
for _name, _ufunc in ARITHMETIC.items():
    setattr(ndarray, f"__{_name}__", binary(_ufunc))
    setattr(ndarray, f"__r{_name}__", binary(_ufunc, swapped=True))
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", in_place(_ufunc))
COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
for _name, _ufunc in COMPARISONS.items():
    setattr(ndarray, f"__{_name}__", binary(_ufunc))
for _name, _ufunc in {"neg": np.negative, "abs": np.abs, "invert": np.invert}.items():
    setattr(ndarray, f"__{_name}__", lambda self, ufunc=_ufunc: device(ufunc(self._host)))


# --- rounding --------------------------------------------------------------------------------------------------------

ROUNDED = []  # not empty: sums are added up in another order, and what no processor rounds exactly ends otherwise


def in_another_order(function, *arrays):
    """A sum over axes of arrays, which comes out turned round, in the axes that are left, as they are."""
    if not ROUNDED:
        return function(*arrays)
    return np.flip(function(*map(np.flip, arrays)))


def nudged(value):
    """Every other number but whole ones, of those that change by it, by one in the last place up or down."""
    if not ROUNDED:
        return value
    value = np.asarray(value)
    last = value.view(f"i{value.itemsize}") & 3
    there = np.where(last == 1, np.inf, np.where(last == 2, -np.inf, value)).astype(value.dtype)
    return np.where(np.isfinite(value) & (value != np.round(value)), np.nextafter(value, there), value)


# --- functions -------------------------------------------------------------------------------------------------------

UFUNCS = ["abs", "exp", "expm1", "fmin", "isfinite", "isnan", "ldexp", "log", "logaddexp", "maximum", "minimum"]
UFUNCS += ["multiply", "sign", "sqrt", "square", "tanh"]
TRANSCENDENTAL = ["exp", "expm1", "log", "logaddexp", "tanh"]

FUNCTIONS = {  # name -> the parameters that may be given; those with a star are an array or a number, or several
    "arange": "start stop step dtype",
    "ascontiguousarray": "*a dtype",
    "broadcast_to": "*array shape",
    "clip": "*a *a_min *a_max",
    "concatenate": "*tup axis",
    "empty": "shape dtype",
    "expand_dims": "*a axis",
    "eye": "N M k dtype",
    "full": "shape *fill_value dtype",
    "full_like": "*a *fill_value dtype",
    "moveaxis": "*a source destination",
    "ones": "shape dtype",
    "ones_like": "*a dtype",
    "pad": "*array pad_width",
    "stack": "*tup axis",
    "take_along_axis": "*a *indices axis",
    "where": "*condition *x *y",
    "zeros": "shape dtype",
    "zeros_like": "*a dtype",
}


def parameters(stars):
    """All of a function's parameters, and those with a star."""
    return [star.lstrip("*") for star in stars.split()], {star[1:] for star in stars.split() if star[0] == "*"}


PARAMETERS = {name: parameters(stars) for name, stars in FUNCTIONS.items()}
VIEWS = ("broadcast_to", "expand_dims", "moveaxis")
BY_NAME = ("axis", "dtype", "keepdims", "ddof")
CONSTANTS = {name: getattr(np, name) for name in ("inf", "nan", "float32", "float64", "int64", "finfo")}


def ufunc(name, *arrays, out=None):
    launch(out is not None)
    if out is None:
        found = getattr(np, name)(*map(host, arrays))
        return device(nudged(found) if name in TRANSCENDENTAL else found)
    getattr(np, name)(*map(host, arrays), out=host(out))
    return out


def of_arrays(value):
    """`host`, for one array, or for a tuple or list of them."""
    return [host(part) for part in value] if isinstance(value, (tuple, list)) else host(value)


def plain(value):
    """A setting, which is no array: a shape, an axis, a dtype."""
    if isinstance(value, (ndarray, np.ndarray)):
        raise TypeError(f"Unsupported type {type(value)} for a setting")
    return tuple(map(plain, value)) if isinstance(value, (tuple, list)) else value


def function(name, *args, **settings):
    no_kernel(name)
    names, stars = PARAMETERS[name]
    if len(args) > len(names) or set(settings) - set(names[len(args) :]):
        raise TypeError(f"{name}() takes {', '.join(names)}; got {len(args)} arguments and {', '.join(settings)}")
    given = dict(zip(names, args, strict=False)) | settings
    ready = {key: (of_arrays if key in stars else plain)(value) for key, value in given.items()}
    positional = [ready.pop(key) for key in names if key in ready and key not in BY_NAME]
    found = attrgetter(name)(np)(*positional, **ready)
    return ndarray(found) if name in VIEWS else device(found)


def einsum(subscripts, *operands):
    return device(in_another_order(partial(np.einsum, subscripts), *map(host, operands)))


def asarray(a, dtype=None):
    if isinstance(a, ndarray):
        return ndarray(np.asarray(a._host, dtype=dtype))
    note("asarray")
    return ndarray(np.array(a, dtype=dtype))


def frexp(a):
    launch()
    return tuple(map(ndarray, np.frexp(host(a))))


def nonzero(a):
    note("nonzero")
    return tuple(map(ndarray, np.nonzero(host(a))))


def may_share_memory(a, b):
    return np.may_share_memory(host(a), host(b))


def as_strided(x, shape=None, strides=None):
    return ndarray(np.lib.stride_tricks.as_strided(host(x), shape, strides))


class Philox4x3210:
    def __init__(self, seed):
        if type(seed) is not int:
            raise TypeError(f"Unsupported seed {type(seed)}")
        self.seed = seed


class Generator:
    """The same numbers as NumPy's, unless ``rounded``, where CuPy draws others: so a run can be compared with it."""

    def __init__(self, bits):
        self.rng = np.random.default_rng(bits.seed + len(ROUNDED))

    def random(self, size=None, dtype=np.float64):
        return device(self.rng.random(plain(size), dtype))

    def standard_normal(self, size=None, dtype=np.float64):
        return device(self.rng.standard_normal(plain(size), dtype))


class Stream:
    def synchronize(self):
        note("synchronize")


def make_module():
    """The module "cupy"."""
    module = types.ModuleType("cupy")
    module.ndarray = ndarray
    for name in UFUNCS:
        setattr(module, name, partial(ufunc, name))
    for name in FUNCTIONS:
        setattr(module, name, partial(function, name))
    for name, constant in CONSTANTS.items():
        setattr(module, name, constant)
    for given in (asarray, einsum, frexp, fuse, may_share_memory, nonzero):
        setattr(module, given.__name__, given)
    module.lib = types.SimpleNamespace(stride_tricks=types.SimpleNamespace(as_strided=as_strided))
    module.cuda = types.SimpleNamespace(get_current_stream=Stream)
    module.random = types.SimpleNamespace(Generator=Generator, Philox4x3210=Philox4x3210)
    return module


ndarray.__module__ = "cupy"
MODULE = make_module()


@contextmanager
def installed(rounded=False):
    """Within, this module is what `import cupy` gives; ``rounded`` as a GPU may, and with a stream of its own."""
    before, as_before = sys.modules.get("cupy", installed), ROUNDED[:]
    sys.modules["cupy"] = MODULE
    ROUNDED[:] = [True] * rounded
    try:
        yield MODULE
    finally:
        ROUNDED[:] = as_before
        if before is installed:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
