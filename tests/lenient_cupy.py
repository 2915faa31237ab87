"""A stand-in for CuPy that takes what CuPy takes, for code that only has to run there: the tutorials.

`strict_cupy` refuses what a GPU would be waited for. A notebook may wait: here device arrays become numbers and text
when asked, lists and NumPy's integers are an index, and `numpy.abs(array)` is `cupy.abs(array)`. What CuPy refuses is
refused here too: a silent copy to the host, host and device arrays in one operation, a device array as a host array's
index. A function that CuPy has and that is missing here is one line in `UFUNCS` or `FUNCTIONS`.
"""

import types
from contextlib import contextmanager
from functools import partial, partialmethod, reduce
from unittest.mock import patch

import numpy as np
import strict_cupy
from strict_cupy import host, of_arrays, parameters

UFUNCS = ["absolute", "add", "subtract", "divide", "power", "negative", "floor_divide", "remainder", "cos", "sin"]
UFUNCS += ["log10", "log1p", "floor", "ceil", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
UFUNCS += ["logical_and", "logical_or", "logical_not"]

FUNCTIONS = {  # as in `strict_cupy`
    "diag": "*v k",
    "diagonal": "*a offset axis1 axis2",
    "dot": "*a *b",
    "flip": "*a axis",
    "hstack": "*tup",
    "linalg.norm": "*x ord axis keepdims",
    "linalg.solve": "*a *b",
    "linspace": "*start *stop num",
    "median": "*a axis keepdims",
    "outer": "*a *b",
    "prod": "*a axis keepdims",
    "ravel": "*a",
    "repeat": "*a repeats axis",
    "reshape": "*a newshape",
    "round": "*a decimals",
    "sort": "*a axis",
    "squeeze": "*a axis",
    "std": "*a axis ddof keepdims",
    "take": "*a *indices axis",
    "tile": "*A reps",
    "transpose": "*a axes",
    "trace": "*a offset",
    "var": "*a axis ddof keepdims",
    "vstack": "*tup",
}
METHODS = ["clip", "diagonal", "dot", "prod", "ravel", "repeat", "round", "squeeze", "std", "take", "trace", "var"]
BY_METHOD = ["all", "any", "argmax", "argmin", "argsort", "cumsum", "max", "mean", "min", "sum"]  # are functions too
PROPERTIES = ["ndim", "shape", "size"]


class ndarray(strict_cupy.ndarray):
    __slots__ = ()

    def __array__(self, *args, **settings):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc, method, *inputs, **settings):
        if method != "__call__" or not hasattr(MODULE, ufunc.__name__):
            return NotImplemented
        return getattr(MODULE, ufunc.__name__)(*inputs, **settings)

    def __array_function__(self, function, kinds, args, settings):
        try:
            found = reduce(getattr, [*function.__module__.split(".")[1:], function.__name__], MODULE)
        except AttributeError:
            return NotImplemented
        return found(*args, **settings)

    def __bool__(self):
        return bool(self.get())

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __format__(self, how):
        return format(self.get(), how)

    def __str__(self):
        return str(self.get())

    def __repr__(self):
        return repr(self.get())

    def tolist(self):
        return self.get().tolist()

    def flatten(self):
        return self.ravel().copy()


def asarray(a, dtype=None):
    """A list of device arrays becomes one, beside all that `strict_cupy` takes."""
    several = isinstance(a, (list, tuple)) and any(isinstance(part, ndarray) for part in a)
    return STRICT["asarray"](of_arrays(a) if several else a, dtype)


def place(at):
    """An index, which may hold lists and NumPy's integers and masks as well: CuPy sends them to the device."""
    parts = at if isinstance(at, tuple) else (at,)
    return STRICT["place"](tuple(asarray(p) if isinstance(p, (list, np.ndarray)) else p for p in parts))


def by_method(name, a, *args, **settings):
    """A function that is a method of its first argument."""
    host(a)
    return getattr(a, name)(*args, **settings)


OURS = {
    "PARAMETERS": strict_cupy.PARAMETERS | {name: parameters(stars) for name, stars in FUNCTIONS.items()},
    "asarray": asarray,
    "ndarray": ndarray,
    "place": place,
}
STRICT = {name: getattr(strict_cupy, name) for name in OURS}


def make_module():
    """The module "cupy"."""
    module = strict_cupy.make_module()
    module.ndarray, module.asarray, module.array, module.pi = ndarray, asarray, asarray, np.pi
    module.linalg = types.SimpleNamespace()
    for name in UFUNCS:
        setattr(module, name, partial(strict_cupy.ufunc, name))
    for name in FUNCTIONS:
        *within, last = name.split(".")
        setattr(reduce(getattr, within, module), last, partial(strict_cupy.function, name))
    for name in BY_METHOD:
        setattr(module, name, partial(by_method, name))
    for name in PROPERTIES:
        setattr(module, name, partial(lambda name, a: getattr(a, name), name))
    return module


for _name in METHODS:
    setattr(ndarray, _name, partialmethod(partial(strict_cupy.function, _name)))
ndarray.__module__ = "cupy"
MODULE = make_module()


@contextmanager
def installed():
    """Within, this module is what `import cupy` gives."""
    with patch.multiple(strict_cupy, **OURS), patch.dict("sys.modules", cupy=MODULE):
        yield MODULE
