"""A share of the work for each core, each with a BLAS of one thread.

The BLAS spreads a matrix product over the cores, but NumPy's element-wise work stays on one of them while the others
wait. Cut into shares, everything runs side by side, since NumPy lets go of Python's lock while it computes. There are
as many shares as the BLAS would have had threads, so its settings (OPENBLAS_NUM_THREADS, threadpoolctl) hold here too,
and a result depends on their number by rounding alone. On a GPU there is one share.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

from minilwa.backend import Array, device_of, namespace
from minilwa.tree import Tree, tree_map

SMALLEST = 16  # samples; smaller shares cost more than they save
LOCK = threading.Lock()


def threads(array: Array) -> int:
    """How many shares work on ``array`` is cut into: the threads that the BLAS may use, here and now."""
    if device_of(array) != "cpu":
        return 1
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


def run_shares(task: Callable[[Any], Any], shares: Sequence[Any], workers: int) -> list[Any]:
    """``[task(share) for share in shares]``, side by side; calls from within a task, or beside one, run in line."""
    if workers < 2 or len(shares) < 2 or not LOCK.acquire(blocking=False):
        return [task(share) for share in shares]
    try:
        with _blas().limit(limits=1):
            return list(_pool(workers).map(task, shares))
    finally:
        LOCK.release()


def by_samples(function: Callable[..., Tree], *batch: Array) -> Tree:
    """``function(*batch)``, computed on shares of the samples; the leaves of the result are joined along axis 0.

    For functions that treat every sample by itself: each array of ``batch`` and each leaf has the samples first.
    """
    count = min(threads(batch[0]), len(batch[0]) // SMALLEST)
    if count < 2:
        return function(*batch)
    ends = [len(batch[0]) * i // count for i in range(count + 1)]
    shares = [slice(*pair) for pair in pairwise(ends)]
    results = run_shares(lambda share: function(*(a[share] for a in batch)), shares, count)
    return tree_map(lambda *parts: namespace(*parts).concatenate(parts), *results)


@lru_cache(maxsize=1)
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="minilwa")
