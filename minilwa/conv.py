"""Convolution as a matrix product (im2col / col2im), and max-pooling.

To the reader, images are ``(N, C, H, W)``. In memory the results lie batch-last, ``(C, H, W, N)``, and are returned
as transposed views: a patch then copies as long contiguous runs, the product needs no transposition afterwards, and a
stack of R cotangents is nothing but a batch of ``R * N``. Element-wise operations keep the memory order: NumPy's by
themselves, CuPy's because they are `fused`.
"""

from __future__ import annotations

from minilwa.backend import Array, fused, namespace
from minilwa.errors import InputError
from minilwa.tape import op

IMAGE_AXES = (-3, -2, -1)


def batch_last(images: Array) -> Array:
    """``(*stack, N, C, H, W)`` as a contiguous ``(C, H, W, *stack * N)``: no copy if it lies like that already."""
    xp = namespace(images)
    moved = xp.moveaxis(images, IMAGE_AXES, (0, 1, 2))
    return xp.ascontiguousarray(moved).reshape(*moved.shape[:3], -1)


def batch_first(array: Array, batch: tuple[int, ...]) -> Array:
    """``(C, H, W, *batch flattened)`` as a view ``(*batch, C, H, W)``."""
    return namespace(array).moveaxis(array.reshape(*array.shape[:3], *batch), (0, 1, 2), IMAGE_AXES)


def output_size(argument: str, shape: tuple[int, ...], size: tuple[int, int], stride: int, padding: int = 0):
    """Rows and columns of windows of ``size`` that fit into images of ``shape``; InputError if there are none."""
    if len(shape) != 4 or min(shape[2] - size[0], shape[3] - size[1]) + 2 * padding < 0:
        raise InputError(argument, f"images of shape {shape}", f"(N, C, H, W) with room for windows of {size}")
    if min(size) < 1 or stride < 1 or padding < 0:
        raise InputError(
            argument, f"size {size}, stride {stride}, padding {padding}", "sizes and stride >= 1, padding >= 0"
        )
    rows, columns = ((side + 2 * padding - k) // stride + 1 for side, k in zip(shape[2:], size, strict=True))
    return rows, columns


def im2col(images: Array, size: tuple[int, int], stride: int, padding: int) -> Array:
    """Every window of ``(N, C, H, W)`` as a column: ``(C * kh * kw, rows * columns * N)``."""
    xp = namespace(images)
    rows, columns = output_size("x", images.shape, size, stride, padding)
    source = batch_last(images)  # (C, H, W, N)
    if padding:
        source = xp.pad(source, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    c, h, w, n = source.strides
    windows = xp.lib.stride_tricks.as_strided(
        source,
        (source.shape[0], *size, rows, columns, source.shape[3]),
        (c, h, w, h * stride, w * stride, n),
    )  # (C, kh, kw, rows, columns, N)
    return windows.reshape(source.shape[0] * size[0] * size[1], -1)


def col2im(columns_: Array, shape: tuple[int, ...], size: tuple[int, int], stride: int, padding: int) -> Array:
    """The adjoint of `im2col`: columns added up where their windows overlap, batch-last ``(C, H, W, batch)``."""
    _, channels, height, width = shape
    rows, columns = output_size("x", shape, size, stride, padding)
    patches = columns_.reshape(channels, *size, rows, columns, -1)
    images = namespace(columns_).zeros(
        (channels, height + 2 * padding, width + 2 * padding, patches.shape[-1]), dtype=columns_.dtype
    )
    for i in range(size[0]):
        for j in range(size[1]):
            images[:, i : i + rows * stride : stride, j : j + columns * stride : stride] += patches[:, i, j]
    return images[:, padding : padding + height, padding : padding + width]


@op
def conv2d(x, w, *, stride=1, padding=0):
    """Cross-correlation of images ``(N, C, H, W)`` with filters ``(F, C, kh, kw)``: ``(N, F, rows, columns)``.

    InputError unless both have four axes and the same C.
    """
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1]:
        raise InputError("conv2d", f"x {x.shape} and w {w.shape}", "(N, C, H, W) and (F, C, kh, kw)")
    size = w.shape[2:]
    rows, columns = output_size("x", x.shape, size, stride, padding)
    patches = im2col(x, size, stride, padding)  # (C * kh * kw, rows * columns * N)
    filters = w.reshape(len(w), -1)  # (F, C * kh * kw)
    value = batch_first((filters @ patches).reshape(len(w), rows, columns, -1), x.shape[:1])

    def vjp_x(g):
        spread = filters.T @ batch_last(g).reshape(len(w), -1)  # (C * kh * kw, rows * columns * stack * N)
        return batch_first(col2im(spread, x.shape, size, stride, padding), g.shape[:-3])

    def vjp_w(g):
        stack = g.shape[:-4]
        flat = namespace(g).moveaxis(g, -4, -1).reshape(*stack, len(w), patches.shape[1])  # (*stack, F, columns)
        return (flat @ patches.T).reshape(*stack, *w.shape)

    return value, (vjp_x, vjp_w)


@op
def max_pool2d(x, *, size, stride=None):
    """The largest value of each square window of ``(N, C, H, W)``; of several equal ones the first gets the gradient.

    Rows and columns that do not fill a window are left out.
    """
    xp = namespace(x)
    stride = size if stride is None else stride
    rows, columns = output_size("x", x.shape, (size, size), stride)
    places = [
        (..., slice(i, i + (rows - 1) * stride + 1, stride), slice(j, j + (columns - 1) * stride + 1, stride))
        for i in range(size)
        for j in range(size)
    ]
    value = x[places[0]]
    for place in places[1:]:
        value = larger(value, x[place])

    def vjp(g):
        stacked = batch_last(g).reshape(*g.shape[-3:], -1, len(x))  # (C, rows, columns, stack, N)
        gradient = xp.zeros((*x.shape[1:], *stacked.shape[3:]), dtype=g.dtype)
        free = xp.ones_like(value, dtype=bool)
        for place in places:
            first = is_first(value, x[place], free)
            free ^= first
            part = gradient[:, place[1], place[2]]
            mask = batch_last(first)[..., None, :]
            if size > stride:
                part += stacked * mask
            else:  # no pixel lies in two windows
                xp.multiply(stacked, mask, out=part)
        return batch_first(gradient, g.shape[:-3])

    return value, (vjp,)


@fused
def larger(a: Array, b: Array) -> Array:
    """The larger of two, element by element."""
    return namespace(a, b).maximum(a, b)


@fused
def is_first(value: Array, pixels: Array, free: Array) -> Array:
    """Where ``pixels`` are the largest of their window, and none before them was."""
    return free & (pixels == value)
