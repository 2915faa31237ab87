"""How a contender is measured on a device: its clock, its memory, and what brings its arrays back. TF32 is off for all.

On a GPU the clock is a pair of events on the engine's stream, but for JAX, which shows none: there it is the host's,
around `jax.block_until_ready`. Memory is what the engine's allocator had in use at most, workspaces of libraries apart.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.backend import device_namespace

Call = Callable[[], Any]
# what keeps the CUDA libraries from TF32, and JAX from taking most of the memory before it needs any
ENVIRONMENT = {
    "cpu": {"JAX_PLATFORMS": "cpu"},
    "gpu": {
        "JAX_PLATFORMS": "cuda",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "CUPY_TF32": "0",
        "NVIDIA_TF32_OVERRIDE": "0",
    },
}


@dataclass(frozen=True)
class Meter:
    """``seconds(call)`` gives the time that a call takes, with its result; ``peak(call)`` the bytes that it adds."""

    seconds: Callable[[Call], tuple[float, Any]]
    peak: Callable[[Call], int | None]
    to_numpy: Callable[[Any], np.ndarray]


def meter(engine: str, device: str) -> Meter:
    """That of an engine on "cpu" or "gpu"; whatever it raises says why the engine cannot work there."""
    if device == "cpu":
        return Meter(by_clock, growth, np.asarray)
    family = engine.removesuffix("_compile")
    if family not in ON_GPU:
        raise ImportError(f"{engine} knows no GPU")
    return ON_GPU[family]()


# --- the host --------------------------------------------------------------------------------------------------------


def by_clock(call: Call) -> tuple[float, Any]:
    """The host's clock."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def growth(call: Call) -> int | None:
    """The growth of the resident set, as Linux keeps its peak; None where there is no such record."""
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


# --- GPUs ------------------------------------------------------------------------------------------------------------


def by_events(event: Callable[[], Any], milliseconds: Callable[[Any, Any], float], call: Call) -> tuple[float, Any]:
    """The time between two events, which the GPU reaches one before and one after all that the call asks of it."""
    start, end = event(), event()
    start.record()
    result = call()
    end.record()
    end.synchronize()
    return milliseconds(start, end) / 1e3, result


def of_cupy() -> Meter:
    """CuPy's, whose memory a hook of its pool follows."""
    cupy: Any = device_namespace("gpu")

    class InUse(cupy.cuda.MemoryHook):
        name = "bytes in use"
        now = most = 0

        def malloc_postprocess(self, *, mem_size, **_):
            self.now += mem_size
            self.most = max(self.most, self.now)

        def free_postprocess(self, *, mem_size, **_):
            self.now -= mem_size

    def peak(call: Call) -> int:
        with InUse() as hook:
            call()
        return hook.most

    return Meter(partial(by_events, cupy.cuda.Event, cupy.cuda.get_elapsed_time), peak, cupy.asnumpy)


def of_torch() -> Meter:
    """PyTorch's; cuDNN may try its convolutions and keep the fastest, as the shapes stay the same."""
    import torch

    torch.zeros(1, device="cuda")  # raises where there is no GPU, or PyTorch was built without CUDA
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False

    def peak(call: Call) -> int:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before

    event = partial(torch.cuda.Event, enable_timing=True)
    return Meter(partial(by_events, event, torch.cuda.Event.elapsed_time), peak, lambda tensor: tensor.cpu().numpy())


def of_jax() -> Meter:
    """JAX's; its calls return when all is done.

    Its record of memory is the highest of the process, compiling included: a call beneath that has no peak to tell.
    """
    import jax

    device = jax.devices("gpu")[0]  # raises where there is none
    jax.config.update("jax_default_matmul_precision", "highest")

    def peak(call: Call) -> int | None:
        before = device.memory_stats()
        call()
        most = device.memory_stats()["peak_bytes_in_use"]
        return most - before["bytes_in_use"] if most > before["peak_bytes_in_use"] else None

    return Meter(by_clock, peak, np.asarray)


ON_GPU = {"minilwa": of_cupy, "torch": of_torch, "jax": of_jax}
