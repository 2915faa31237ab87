"""Values between the grader and the process that runs a submission: JSON with arrays in it, never pickle.

The process at the other end is not trusted: what it sends is decoded to numbers, text, lists, dicts and arrays of
numbers, or refused with ValueError.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

LARGEST = 256 * 2**20  # bytes of one message
ARRAY, FUNCTION = "__array__", "__function__"


def send(stream: BinaryIO, message: dict[str, Any], functions: list[Callable] | None = None) -> None:
    """Write one message; functions in it are kept in ``functions`` and travel as their place there."""
    body = json.dumps(encode(message, functions)).encode()
    stream.write(struct.pack(">Q", len(body)) + body)
    stream.flush()


def receive(stream: BinaryIO, function_at: Callable[[int], Any] | None = None) -> dict[str, Any]:
    """Read one message; EOFError at the end of the stream, ValueError if it is malformed."""
    (size,) = struct.unpack(">Q", _exactly(stream, 8))
    if size > LARGEST:
        raise ValueError(f"a message of {size} bytes")
    try:
        message = decode(json.loads(_exactly(stream, size)), function_at)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"a malformed message ({error!r})") from None
    if not isinstance(message, dict):
        raise ValueError("a message that is no dict")
    return message


def encode(value: Any, functions: list[Callable] | None = None) -> Any:
    """``value`` in terms of JSON."""
    if isinstance(value, (np.ndarray, np.generic)):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {ARRAY: data, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, dict):
        return {key: encode(item, functions) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item, functions) for item in value]
    if callable(value) and functions is not None:
        functions.append(value)
        return {FUNCTION: len(functions) - 1}
    return value


def decode(value: Any, function_at: Callable[[int], Any] | None = None) -> Any:
    """The inverse of `encode`; ``function_at`` makes what stands for a function here."""
    if isinstance(value, list):
        return [decode(item, function_at) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        dtype = np.dtype(str(value["dtype"]))
        if dtype.kind not in "biuf":
            raise ValueError(f"an array of {dtype}")
        return np.frombuffer(base64.b64decode(value[ARRAY]), dtype).reshape(value["shape"]).copy()
    if FUNCTION in value:
        if function_at is None:
            raise ValueError("a function")
        return function_at(int(value[FUNCTION]))
    return {key: decode(item, function_at) for key, item in value.items()}


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data
