"""Each contender in a process of its own that has imported no other, told what to do in lines of JSON.

Only one of them works at a time. Threads that wait for work by spinning, as those of OpenBLAS, OpenMP and XLA do for
some milliseconds after a call, would take time from whoever comes next: so a turn begins with a pause in which they
fall asleep, and with a call that is not counted, which wakes one's own. With all in one process and no pause, PyTorch's
median was 28 ms where it is 23 (5% of its calls above 117, where it is 28), and minilwa's and JAX's rose as well.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case

PAUSE = 0.05  # seconds; OpenBLAS spins longest
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # NPROC is what XLA reads
# what holds a library to kernels for another processor than this one; a benchmark lets all choose for themselves
KERNELS = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
)


class Failed(Exception):
    """A contender could not do what it was asked for."""


class Worker:
    """A contender's process, seen from outside. It starts at once; `greet` waits until it has imported its engine."""

    def __init__(self, name: str, threads: int) -> None:
        environment = {**os.environ, **dict.fromkeys(THREADS, str(threads)), "JAX_PLATFORMS": "cpu"}
        environment = {name: value for name, value in environment.items() if name not in KERNELS}
        command = [sys.executable, __file__, name, str(threads)]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)  # Ctrl-C is ours

    def greet(self) -> tuple[str | None, str]:
        """The engine's version, and why there is none, or nothing."""
        hello = self._read()
        return hello["version"], hello["missing"]

    def ask(self, do: str, *arguments: Any) -> Any:
        """What the method ``do`` of `Desk` answers."""
        self.tell(do, *arguments)
        return self.hear()

    def tell(self, do: str, *arguments: Any) -> None:
        """Ask without waiting for the answer."""
        self.process.stdin.write(json.dumps([do, arguments]) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        """The answer to the earliest question that has had none."""
        reply = self._read()
        if reply["error"]:
            raise Failed(reply["error"])
        return reply["result"]

    def _read(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"its process ended with status {self.process.wait()}, perhaps for want of memory")
        return json.loads(line)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()


class Desk:
    """The contender's side: a case, its calls by key, and what can be measured of them."""

    def __init__(self, contender: Any) -> None:
        self.contender = contender
        self.calls: dict[str, Callable[[], dict[str, Any]]] = {}

    def prepare_jacobian(self, *case: Any) -> list[str]:
        """The keys of what this contender computes for a case (the arguments of `Case.read`)."""
        self.calls = self.contender.jacobian(Case.read(*case))
        return list(self.calls)

    def prepare_training(self, key: str, method: str, steps: int, *case: Any) -> None:
        """A call that goes ``steps`` of ``method`` on."""
        self.calls = {key: self.contender.training(Case.read(*case), method, steps)}

    def answer(self, key: str, path: str) -> float:
        """Leave the result of a first call in the file ``path``; its seconds."""
        start = time.perf_counter()
        arrays = self.calls[key]()
        seconds = time.perf_counter() - start
        np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
        return seconds

    def turn(self, key: str, calls: int, warm: bool) -> list[float]:
        """The seconds of some calls, one after another; with ``warm`` one more that is not counted comes first."""
        time.sleep(PAUSE)
        seconds = []
        for _ in range(calls + warm):
            start = time.perf_counter()
            self.calls[key]()
            seconds.append(time.perf_counter() - start)
        return seconds[warm:]

    def peak(self, key: str, *case: Any) -> int | None:
        """Bytes that one call adds to this process at most; for that it must be a new one.

        The growth of the resident set, as Linux keeps its peak, over what it was before the call. Before that the same
        call on one image has loaded and computed whatever is needed once: libraries, threads, the bounds of a network.
        None where there is no such record.
        """
        whole = Case.read(*case)
        self.contender.jacobian(replace(whole, x=whole.x[:1], y=whole.y[:1]))[key]()
        call = self.contender.jacobian(whole)[key]
        gc.collect()
        if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)  # what is free goes back to the system, so that taking it again counts
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
        except OSError:
            return None
        before = resident("VmRSS")
        call()
        return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes, by a field of /proc/self/status: VmRSS as it is, VmHWM at its peak."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def serve(name: str, threads: int) -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no reply

    def reply(**message: Any) -> None:
        print(json.dumps(message), file=replies, flush=True)

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        contender = importlib.import_module(f"contender_{name}")
    except ImportError as error:
        return reply(version=None, missing=str(error))
    reply(version=contender.VERSION, missing="")
    desk = Desk(contender)
    for line in sys.stdin:
        do, arguments = json.loads(line)
        try:
            reply(result=getattr(desk, do)(*arguments), error="")
        except Exception as error:  # goes to whoever asked, who knows what it means for the comparison
            reply(result=None, error=f"{type(error).__name__}: {error}")
    return None


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
