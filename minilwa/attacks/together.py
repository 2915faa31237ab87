"""Searches that each wait for values of their own, evaluated in one batch for all of them."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeVar

Point = TypeVar("Point")
Value = TypeVar("Value")
Result = TypeVar("Result")

Ask = Callable[[Point], Value]


class GivenUp(Exception):
    """Raised within the searches that are left when the evaluation fails or is interrupted."""


def together(
    searches: Sequence[Callable[[Ask[Point, Value]], Result]],
    evaluate: Callable[[list[int], list[Point]], Sequence[Value]],
) -> list[Result]:
    """``[search(ask) for search in searches]``, where ``ask(point)`` waits for the value there.

    A library's optimiser calls for one value after the other, and one image at a time wastes the BLAS and a GPU. So
    each search has a thread, in which it waits until every other one that still runs has asked or ended; then
    ``evaluate(numbers, points)``, in the caller's thread, values the points of the searches ``numbers``, in ascending
    order. What is in a batch does not depend on the threads' timing. What a search or the evaluation raises is raised.
    """
    asked: SimpleQueue[tuple[int, Point | None]] = SimpleQueue()  # None: the search has ended
    answers: list[SimpleQueue[Any]] = [SimpleQueue() for _ in searches]

    def run(number: int) -> Result:
        def ask(point: Point) -> Value:
            asked.put((number, point))
            answer = answers[number].get()
            if answer is GivenUp:
                raise GivenUp
            return answer

        try:
            return searches[number](ask)
        finally:
            asked.put((number, None))

    def gathered(running: int) -> dict[int, Point]:
        return dict(sorted((n, point) for n, point in (asked.get() for _ in range(running)) if point is not None))

    with ThreadPoolExecutor(max(1, len(searches)), thread_name_prefix="search") as threads:
        try:
            found = [threads.submit(contextvars.copy_context().run, run, number) for number in range(len(searches))]
            running = len(searches)
            while points := gathered(running):
                for number, value in zip(points, evaluate(list(points), list(points.values())), strict=True):
                    answers[number].put(value)
                running = len(points)
        finally:
            for answer in answers:
                answer.put(GivenUp)
    return [future.result() for future in found]
