"""On what a benchmark ran: processor, cores, GPU, load, system, versions."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from worker import KERNELS

from minilwa.backend import device_namespace

BUSY = 0.5  # processes at work, on average over a minute, from which on something else may be running


def describe(threads: int, versions: dict[str, str | None], device: str = "cpu") -> dict[str, Any]:
    """The machine as plain JSON data; versions are null for what is not installed."""
    return {
        "processor": processor(),
        "gpu": gpu() if device == "gpu" else None,
        "cores": len(available_cores()),
        "threads": threads,
        "memory_bytes": memory(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": blas(),
        "not_passed_on": {name: os.environ[name] for name in KERNELS if name in os.environ},
        **versions,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def in_words(machine: dict[str, Any]) -> str:
    """A line for a table's head; others if settings are not passed on, or the machine has something else to do."""
    peers = [f"{name} {machine[name]}" for name in ("torch", "jax", "autograd") if machine.get(name)]
    line = f"{machine['processor']}, {machine['threads']} threads, numpy {machine['numpy']}, {', '.join(peers)}"
    if machine["gpu"]:
        line = f"{machine['gpu']['device']}, CUDA {machine['gpu']['cuda']}, cupy {machine['gpu']['cupy']}, {line}"
    if machine["not_passed_on"]:
        settings = ", ".join(f"{name}={value}" for name, value in machine["not_passed_on"].items())
        line += f"\nNot passed on, so that every engine chooses its kernels for this processor: {settings}."
    if machine["load"] is not None and machine["load"] > BUSY:
        line += f"\nLoad {machine['load']:.1f} at the start: if other programs are at work, timings mean little."
    return line


def gpu() -> dict[str, Any]:
    """The GPU and what drives it, as CuPy sees them."""
    cupy = device_namespace("gpu")
    runtime = cupy.cuda.runtime
    about, driver = runtime.getDeviceProperties(cupy.cuda.Device().id), Path("/proc/driver/nvidia/version")
    return {
        "device": about["name"].decode(),
        "memory_bytes": about["totalGlobalMem"],
        "compute_capability": f"{about['major']}.{about['minor']}",
        "driver": driver.read_text().splitlines()[0] if driver.exists() else None,
        "driver_supports_cuda": runtime.driverGetVersion(),  # 12040 is 12.4
        "cuda": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }


def available_cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> int | None:
    """Bytes of memory, where the system says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def blas() -> str:
    """What multiplies NumPy's matrices."""
    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"
