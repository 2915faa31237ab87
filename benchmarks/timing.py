"""Turns, taken one after another, and what to say of the seconds that they took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from harness import say
from worker import Worker

ROUNDS, LEAST_ROUNDS = 15, 3
TURN = 0.1  # seconds of calls in one turn
SLOW = 0.2  # seconds from which on a call needs none before it to warm up


def take_turns(
    who: dict[str, Worker], first: dict[str, float], chosen: Any, calls: int | None = None
) -> dict[str, list[float]]:
    """Seconds of the calls of every key, in rounds A B C, A B C, ...; ``first`` is an estimate of one call.

    As many rounds as the options ``chosen`` say: at least three, then until their seconds are spent. Quick calls are
    repeated within a turn, unless ``calls`` says how often each is made.
    """
    seconds: dict[str, list[float]] = {key: [] for key in who}
    start = time.monotonic()
    for done in range(chosen.rounds or (LEAST_ROUNDS if chosen.quick else ROUNDS)):
        if done >= LEAST_ROUNDS and time.monotonic() - start > chosen.seconds:
            break
        for key, worker in who.items():
            estimate = min([first[key], *seconds[key]])
            count = max(1, int(TURN / estimate)) if calls is None else calls
            warm = chosen.device == "gpu" or (calls is None and estimate < SLOW)  # a GPU slows down in a pause
            seconds[key] += worker.ask("turn", key, count, warm)
        say(f"  round {done + 1}: {time.monotonic() - start:.0f} s")
    return seconds


def summary(seconds: dict[str, list[float]], keys: Sequence[str]) -> dict[str, Any]:
    """The median of every key, None for those that were not timed; how steady it was, and how many calls."""
    return {
        "seconds": {key: median(seconds[key]) if key in seconds else None for key in keys},
        "quartiles": {key: np.quantile(found, [0.25, 0.75]).tolist() for key, found in seconds.items()},
        "calls": {key: len(found) for key, found in seconds.items()},
    }
