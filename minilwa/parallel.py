"""A share of the work for each core, each with a BLAS of one thread.

The BLAS spreads a matrix product over the cores, but NumPy's element-wise work stays on one of them while the others
wait. Cut into shares, everything runs side by side, since NumPy lets go of Python's lock while it computes. There are
at most as many shares as the BLAS may use threads, so its settings (OPENBLAS_NUM_THREADS, threadpoolctl) hold here
too, and a result depends on their number by rounding alone. On a GPU there is one share.
"""

from __future__ import annotations

import contextvars
import functools
import operator
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

from minilwa.backend import Array, device_of, namespace
from minilwa.errors import InputError
from minilwa.pages import keep_pages
from minilwa.tree import Tree, tree_map

SMALLEST = 16  # samples; smaller shares cost more than they save


class State:
    """What the process shares: who computes in shares, with how many threads, on which workers."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.threads = 1
        self.workers = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="minilwa")


STATE = State()
keep_pages()  # shares of a batch allocate and free side by side
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=STATE.__init__)  # type: ignore[misc]  # threads do not survive a fork


def threads(array: Array) -> int:
    """How many shares work on ``array`` is cut into at most: the threads that the BLAS may use."""
    if device_of(array) != "cpu":
        return 1
    if not STATE.busy.locked():  # else the BLAS is held to one thread for the time being
        STATE.threads = blas_threads()
    return STATE.threads


def blas_threads() -> int:
    """How many threads the BLAS may use."""
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


def blas_kernels() -> str:
    """NumPy's BLAS and the processor that its kernels are for: others round otherwise, and a training ends elsewhere.

    SciPy brings one of its own, which is loaded or not, and has no part in what the layers compute.
    """
    ours = [b for b in _blas().info() if "scipy" not in {p.split(".")[0] for p in Path(b["filepath"]).parts[-3:-1]}]
    found = {f"{b['internal_api']} {b['version']} {b.get('architecture', '')}".strip() for b in ours}
    return ", ".join(sorted(found))


def limited_to(count: int | None) -> AbstractContextManager[Any]:
    """Within, the BLAS, and with it the shares, use ``count`` threads (None: as many as before)."""
    return nullcontext() if count is None else _blas().limit(limits=count)


def run_shares(task: Callable[[Any], Any], shares: Sequence[Any], workers: int) -> list[Any]:
    """``[task(share) for share in shares]``, side by side; calls from within a task, or beside one, run in line."""
    if workers < 2 or len(shares) < 2 or not STATE.busy.acquire(blocking=False):
        return [task(share) for share in shares]
    try:
        with _blas().limit(limits=1):
            contexts = [contextvars.copy_context() for _ in shares]  # numpy.errstate among them
            return list(STATE.workers.map(lambda context, share: context.run(task, share), contexts, shares))
    finally:
        STATE.busy.release()


def by_samples(function: Callable[..., Tree], *batch: Array) -> Tree:
    """``function(*batch)``, computed on shares of the samples; the leaves of the result are joined along axis 0.

    For functions that treat every sample by itself: each array of ``batch`` and each leaf has the samples first.
    """
    shares, results = _on_shares(function, batch)
    return results[0] if len(shares) == 1 else tree_map(lambda *p: namespace(*p).concatenate(p), *results)


def mean_over_samples(function: Callable[..., Tree], *batch: Array) -> Tree:
    """``function(*batch)``, whose leaves are means over the samples, from its means on shares of them."""
    shares, results = _on_shares(function, batch)
    if len(shares) == 1:
        return results[0]
    parts = [(share.stop - share.start) / len(batch[0]) for share in shares]
    return tree_map(lambda *means: functools.reduce(operator.add, map(operator.mul, parts, means)), *results)


def _on_shares(function: Callable[..., Tree], batch: tuple[Array, ...]) -> tuple[list[slice], list[Tree]]:
    if len({len(array) for array in batch}) > 1:
        raise InputError(
            "batch", f"{' and '.join(str(len(array)) for array in batch)} samples", "as many in each array"
        )
    count = max(1, min(threads(batch[0]), len(batch[0]) // SMALLEST))
    shares = [slice(*pair) for pair in pairwise(len(batch[0]) * i // count for i in range(count + 1))]
    return shares, run_shares(lambda share: function(*(a[share] for a in batch)), shares, count)


@functools.lru_cache(maxsize=1)
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
