"""Memory that stays with the process: what one step frees, the next one takes again.

The C library of most Linux systems hands the memory of large arrays back as soon as they are freed. The next step asks
for as much, and the system maps and clears every page anew: milliseconds of a training step, more with several threads.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as <malloc.h> numbers them
MAPPED = 32 * 2**20  # bytes; arrays from here on are mapped by themselves and do go back. glibc allows no more
KEPT = 2**30  # bytes of free memory at most


def keep_pages() -> bool:
    """Keep up to `KEPT` bytes of freed memory for arrays to come; False where the C library has no such setting."""
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    return bool(libc.mallopt(M_MMAP_THRESHOLD, MAPPED)) and bool(libc.mallopt(M_TRIM_THRESHOLD, KEPT))
