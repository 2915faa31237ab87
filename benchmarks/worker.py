"""Each contender in a process of its own that has imported no other, told what to do in lines of JSON.

Only one of them works at a time. Threads that wait for work by spinning, as those of OpenBLAS, OpenMP and XLA do for
some milliseconds after a call, would take time from whoever comes next: so a turn begins with a pause in which they
fall asleep, and with a call that is not counted, which wakes one's own. With all in one process and no pause, PyTorch's
median was 28 ms where it is 23 (5% of its calls above 117, where it is 28), and minilwa's and JAX's rose as well.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from cases import Case
from meters import ENVIRONMENT, Meter, meter

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

    def __init__(self, name: str, threads: int, device: str) -> None:
        environment = {**os.environ, **dict.fromkeys(THREADS, str(threads)), **ENVIRONMENT[device]}
        environment = {name: value for name, value in environment.items() if name not in KERNELS}
        command = [sys.executable, __file__, name, str(threads), device]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)  # Ctrl-C is ours
        assert self.process.stdin  # a pipe, as is the other
        assert self.process.stdout
        self.requests, self.replies = self.process.stdin, self.process.stdout

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
        self.requests.write(json.dumps([do, arguments]) + "\n")
        self.requests.flush()

    def hear(self) -> Any:
        """The answer to the earliest question that has had none."""
        reply = self._read()
        if reply["error"]:
            raise Failed(reply["error"])
        return reply["result"]

    def _read(self) -> Any:
        line = self.replies.readline()
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

    def __init__(self, contender: Any, meter: Meter, device: str) -> None:
        self.contender, self.meter, self.device = contender, meter, device
        self.calls: dict[str, Callable[[], dict[str, Any]]] = {}

    def prepare_jacobian(self, network: str, images: str, size: int) -> list[str]:
        """The keys of what this contender computes for a case (the arguments of `Case.read`)."""
        self.calls = self.contender.jacobian(Case.read(network, images, size, self.device))
        return list(self.calls)

    def prepare_training(self, key: str, method: str, steps: int, network: str, images: str, size: int) -> None:
        """A call that goes ``steps`` of ``method`` on."""
        self.calls = {key: self.contender.training(Case.read(network, images, size, self.device), method, steps)}

    def answer(self, key: str, path: str) -> float:
        """Leave the result of a first call in the file ``path``; its seconds."""
        seconds, arrays = self.meter.seconds(self.calls[key])
        found: dict[str, Any] = {name: self.meter.to_numpy(array) for name, array in arrays.items()}
        np.savez(path, **found)
        return seconds

    def turn(self, key: str, calls: int, warm: bool) -> list[float]:
        """The seconds of some calls, one after another; with ``warm`` one more that is not counted comes first."""
        time.sleep(PAUSE)
        return [self.meter.seconds(self.calls[key])[0] for _ in range(calls + warm)][warm:]

    def peak(self, key: str, network: str, images: str, size: int) -> int | None:
        """Bytes that one call adds at most, by the `Meter`; for that this must be a new process.

        Before that the same call on one image has loaded and computed whatever is needed once: libraries, threads, the
        bounds of a network.
        """
        whole = Case.read(network, images, size, self.device)
        self.contender.jacobian(replace(whole, x=whole.x[:1], y=whole.y[:1]))[key]()
        return self.meter.peak(self.contender.jacobian(whole)[key])


def serve(name: str, threads: int, device: str) -> None:
    """Answer requests until there are no more."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no reply

    def reply(**message: Any) -> None:
        print(json.dumps(message), file=replies, flush=True)

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        contender = importlib.import_module(f"contender_{name}")
        measures = meter(name, device)
    except Exception as error:  # each engine has its own for a GPU that it cannot use
        return reply(version=None, missing=str(error) or type(error).__name__)
    reply(version=contender.VERSION, missing="")
    desk = Desk(contender, measures, device)
    for line in sys.stdin:
        do, arguments = json.loads(line)
        try:
            reply(result=getattr(desk, do)(*arguments), error="")
        except Exception as error:  # goes to whoever asked, who knows what it means for the comparison
            reply(result=None, error=f"{type(error).__name__}: {error}")
    return None


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
