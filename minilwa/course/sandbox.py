"""The grader's side of a submission's process: start it, call its functions, end it when it takes too long."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, cast

from minilwa.course.cells import Cell
from minilwa.course.checks import CheckFailed, Raised, describe_error
from minilwa.course.wire import receive, send

STARTING = 60.0  # seconds for Python and NumPy to load, not the submission's own
WHYS = ("error", "memory", "timeout", "tampered")  # the later the worse


@dataclass(frozen=True)
class Limits:
    """What a submission may use: seconds for one cell or one call, megabytes of memory."""

    seconds: float = 10.0
    megabytes: int = 2048

    @property
    def total(self) -> float:
        """Seconds for everything together."""
        return 12 * self.seconds


class Stopped(Exception):
    """The process is gone; ``why`` is one of `WHYS`."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


class Sandbox:
    """One submission in a process of its own, in an empty folder, with a clean environment.

    After a cell or a call has been stopped a new process takes up the rest without it, so one endless loop costs one
    question. ``notes`` are the failures of cells, ``whys`` what went wrong besides wrong answers.
    """

    def __init__(self, cells: Sequence[Cell], limits: Limits) -> None:
        self.cells = cells
        self.limits = limits
        self.notes: dict[str, str] = {}
        self.whys: set[str] = set()
        self.process: subprocess.Popen[bytes] | None = None
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.skipped: set[int] = set()
        self.stopped: dict[str, str] = {}
        self.deadline = time.monotonic() + STARTING + limits.total

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def function(self, name: str) -> Callable[..., Any]:
        """What stands for the submission's function ``name`` in the tests."""

        def remote(*arguments: Any) -> Any:
            return self.call(name, *arguments)

        remote.__name__ = name
        return remote

    def call(self, name: str, *arguments: Any) -> Any:
        """The result of one function; `Raised` if it raised an exception, CheckFailed if it could not be called."""
        if name in self.stopped:  # once is enough to know
            raise CheckFailed(self.stopped[name])
        try:
            self.start()
            reply = self.request({"call": name, "arguments": list(arguments)}, name)
        except Stopped as stop:
            self.whys.add(stop.why)
            self.stopped[name] = str(stop)
            raise CheckFailed(str(stop)) from None
        self.note(reply, name)
        if "raised" in reply:
            raise Raised(reply.get("error", ""), reply["raised"])
        if "error" in reply:
            raise CheckFailed(f"{name}: {reply['error']}")
        return reply.get("result")

    def start(self) -> None:
        """Run the cells in a new process, unless one is there already; Stopped once the time for all is used up."""
        while self.process is None:
            if time.monotonic() > self.deadline:
                raise Stopped("timeout", f"the submission had used up {self.limits.total:g} seconds in all")
            pictures = any("matplotlib" in cell.source for cell in self.cells)
            self.folder = tempfile.TemporaryDirectory(prefix="minilwa-", ignore_cleanup_errors=True)
            self.process = subprocess.Popen(
                [sys.executable, "-m", "minilwa.course.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.folder.name,
                env=environment(self.folder.name) | ({"MPLCONFIGDIR": picture_cache()} if pictures else {}),
                start_new_session=True,
            )
            self.request({"megabytes": self.limits.megabytes, "pictures": pictures}, "Python", STARTING)
            self.run_cells()

    def run_cells(self) -> None:
        """Execute the cells one by one, up to one that ends the process, which is left out from then on."""
        for i, cell in enumerate(self.cells):
            if i in self.skipped:
                continue
            name = cell.id or f"cell {i + 1}"
            try:
                reply = self.request({"cell": cell.source, "name": name}, name)
            except Stopped as stop:
                self.skipped.add(i)
                self.note({"why": stop.why, "error": str(stop)}, name)
                return
            self.note(reply, name)

    def note(self, reply: dict[str, Any], name: str) -> None:
        """Remember why a reply is an error, if it says so."""
        if (why := reply.get("why")) in WHYS:
            self.whys.add(why)
            self.notes[name] = reply.get("error", "")

    def request(self, message: dict[str, Any], name: str, seconds: float | None = None) -> dict[str, Any]:
        """Send one message and wait for the reply; Stopped if there is none. Serves what the process asks meanwhile."""
        assert self.process is not None
        process = self.process
        requests, replies = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
        given: list[Callable[..., Any]] = []
        limit = min(seconds or self.limits.seconds, max(0.0, self.deadline - time.monotonic()))
        late = threading.Event()

        def stop() -> None:
            late.set()
            kill(process)

        watchdog = threading.Timer(limit, stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            send(requests, message, given)
            while "ask" in (reply := receive(replies)):
                send(requests, serve(reply, given))
            if not all(isinstance(reply.get(key, ""), str) for key in ("error", "raised", "why")):
                raise ValueError("a malformed reply")
            return reply
        except (EOFError, OSError, ValueError, MemoryError):
            self.end()
            if late.is_set():
                raise Stopped("timeout", f"{name} was stopped after {limit:.3g} seconds") from None
            raise Stopped("error", f"{name} ended its process") from None
        except BaseException:  # Ctrl-C in the grader
            self.end()
            raise
        finally:
            watchdog.cancel()

    def abort(self) -> None:
        """From another thread: let nothing run any more."""
        self.deadline = -math.inf
        if (process := self.process) is not None:
            kill(process)

    def end(self) -> None:
        """End the process, and all that it may have started, and remove its folder."""
        if self.process is not None:
            kill(self.process)
            for stream in (self.process.stdin, self.process.stdout):
                with suppress(OSError):  # what was still to be written has no reader
                    cast("BinaryIO", stream).close()
            self.process.wait()
            self.process = None
        if self.folder is not None:
            self.folder.cleanup()
            self.folder = None


def serve(reply: dict[str, Any], given: list[Callable[..., Any]]) -> dict[str, Any]:
    """What a function that the test handed over returns, or how it failed."""
    place, arguments = reply["ask"], reply.get("arguments")
    if not isinstance(place, int) or not 0 <= place < len(given) or not isinstance(arguments, list):
        raise ValueError("a malformed question")
    try:
        return {"result": given[place](*arguments)}
    except Exception as error:
        return {"error": describe_error(error)}


def environment(folder: str) -> dict[str, str]:
    """The environment of a submission: where Python and its libraries are, an empty home, one thread."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    libraries = os.pathsep.join(os.path.abspath(path) for path in sys.path if path and os.path.isdir(path))
    return kept | {
        "PYTHONPATH": libraries,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": folder,
        "TMPDIR": folder,
        "MPLBACKEND": "agg",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


@cache
def picture_cache() -> str:
    """Where matplotlib keeps its list of fonts, which would take seconds to make for every submission."""
    import matplotlib

    return matplotlib.get_cachedir()


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
