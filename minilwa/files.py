"""Whole files or none: what is written appears under its name only once it is complete."""

from __future__ import annotations

import errno
import json
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.errors import InputError


@contextmanager
def complete_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; it takes the name ``path`` if the block ends without an error.

    InputError if it cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        temporary = path.parent / f".{path.stem}-{secrets.token_hex(8)}{path.suffix}"
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise InputError("output", f"{path} ({error.strerror})", "a path that can be written") from None
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:  # such as a full disk
        raise InputError("output", f"{path} ({error.strerror})", "a path that can be written") from None
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole."""
    with complete_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a JSON file, whole; NaN and infinities are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_npz(path: str | os.PathLike[str], arrays: dict[str, np.ndarray], header: Any) -> None:
    """Write ``arrays`` and a JSON ``header`` in one .npz, without pickle."""
    with complete_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header, default=plain_number)), **arrays)  # type: ignore[arg-type]


def plain_number(value: Any) -> Any:
    """A number of NumPy's as one of Python's, for JSON; TypeError for anything else."""
    if not isinstance(value, np.generic):
        raise TypeError(f"{type(value).__name__} is no plain data")
    return value.item()


@contextmanager
def opened_npz(argument: str, path: str | os.PathLike[str]) -> Iterator[Mapping[str, np.ndarray]]:
    """The arrays of an .npz by name, each read when the block asks for it; InputError if it is damaged or needs pickle.

    The block does nothing but read: whatever fails in it counts as damage.
    """
    try:
        with open(path, "rb") as file:  # not by numpy.load, which leaves that of a damaged archive open
            if not zipfile.is_zipfile(file):  # numpy.load would take it for a pickle
                raise ValueError("no zip archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                yield archive
    except FileNotFoundError:
        raise InputError(argument, f"{path}, which does not exist", "an .npz file") from None
    except Exception as error:  # zipfile, zlib, struct, numpy: a damaged archive can fail in any of them
        hint = "Pickled (object) arrays are never loaded." if "pickle" in str(error).lower() else ""
        raise InputError(argument, f"{path} ({error})", "a complete .npz file of plain arrays", hint) from None


def read_npz(argument: str, path: str | os.PathLike[str]) -> tuple[Any, dict[str, np.ndarray]]:
    """The header (None if there is none) and the arrays of an .npz; InputError if it is damaged or needs pickle."""
    with opened_npz(argument, path) as archive:
        arrays = {name: archive[name] for name in archive}
        header = arrays.pop("header", None)
        return None if header is None else json.loads(str(header)), arrays


def read_header(argument: str, path: str | os.PathLike[str]) -> Any:
    """The header of an .npz without its arrays, None if there is none; InputError as from `read_npz`."""
    with opened_npz(argument, path) as archive:
        return json.loads(str(archive["header"])) if "header" in archive else None
