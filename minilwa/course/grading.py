"""One submission judged: its cells run in a sandbox, the master's tests run here, against what it answers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minilwa.course.cells import SEED, Assignment, Cell, without_hidden
from minilwa.course.checks import CheckFailed
from minilwa.course.sandbox import WHYS, Limits, Sandbox
from minilwa.errors import InputError

HIDDEN_MARK = "### BEGIN HIDDEN TESTS"


@dataclass(frozen=True)
class Judgement:
    """What came of one submission: for each test cell None, or why it failed; how it ran; what else to know."""

    assignment: Assignment
    failures: dict[str, str | None]
    status: str = "ok"
    notes: tuple[str, ...] = ()

    @property
    def lost(self) -> set[str]:
        """The ids of the test cells that failed."""
        return {test for test, failure in self.failures.items() if failure is not None}


def judge(
    assignment: Assignment,
    cells: Sequence[Cell],
    limits: Limits | None = None,
    started: Callable[[Sandbox], object] = lambda sandbox: None,
) -> Judgement:
    """Run the assignment's tests against the functions that the submitted ``cells`` define.

    ``started`` hears of the sandbox, so that another thread can abort it.
    """
    if wrong := seed_of(cells) - seed_of(assignment.cells):
        told = f"this notebook was released with --seed {wrong.pop()}: grade it with the same"
        return Judgement(assignment, {cell.id: told for cell in assignment.tests}, "error")
    changed = changed_cells(assignment, cells)
    with Sandbox(cells_to_run(assignment, cells), limits or Limits()) as sandbox:
        started(sandbox)
        names = dict(given_names(assignment)) | {name: sandbox.function(name) for name in assignment.functions}
        failures = {cell.id: failure_of(cell, dict(names)) for cell in assignment.tests}
    whys = sandbox.whys | ({"tampered"} if changed else set())
    status = max(whys, key=WHYS.index) if whys else "ok"
    notes = [f"{name}: {what}" for name, what in sandbox.notes.items()]
    notes += [f"{name} was changed or removed; the original was used" for name in changed]
    return Judgement(assignment, failures, status, tuple(notes))


def judge_file(
    assignment: Assignment,
    path: Path,
    read: Callable[[Path], list[Cell]],
    limits: Limits | None = None,
    started: Callable[[Sandbox], object] = lambda sandbox: None,
) -> Judgement:
    """`judge` on the cells that ``read`` finds in a file; a file that it cannot read fails every test."""
    try:
        cells = read(path)
    except InputError as error:
        told = str(error)
        return Judgement(assignment, {test.id: told for test in assignment.tests}, "error")
    return judge(assignment, cells, limits, started)


def cells_to_run(assignment: Assignment, cells: Sequence[Cell]) -> list[Cell]:
    """The submission's code in its order: its own cells as they are, the given ones as the master has them, no tests.

    Given cells that the submission lacks come first.
    """
    masters = {cell.id: cell for cell in assignment.cells if cell.id}
    present = {cell.id for cell in cells}
    run = [cell for cell in assignment.given if cell.id not in present]
    for cell in cells:
        master = masters.get(cell.id)
        if master is not None and master.given:
            run.append(master)
        elif cell.kind == "code" and (master is None or not master.grade):
            run.append(cell)
    return run


def changed_cells(assignment: Assignment, cells: Sequence[Cell]) -> list[str]:
    """The ids of test cells and given cells that are not as they were released."""
    submitted = {cell.id: cell for cell in cells}
    managed = [cell for cell in assignment.cells if cell.kind == "code" and (cell.grade or cell.given)]
    changed = []
    for master in managed:
        found = submitted.get(master.id)
        if (
            found is None
            or found.source.strip() not in {master.source.strip(), without_hidden(master.source).strip()}
            or (found.points, found.grade, found.kind) != (master.points, master.grade, master.kind)
        ):
            changed.append(master.id)
    return changed


def seed_of(cells: Sequence[Cell]) -> set[int]:
    """The seed in a given cell, if there is one."""
    found = [SEED.search(cell.source) for cell in cells if cell.given]
    return {int(match[1]) for match in found if match}


@lru_cache(maxsize=8)
def given_names(assignment: Assignment) -> dict[str, Any]:
    """What the given cells define, for the tests: executed once, from the master."""
    names: dict[str, Any] = {"__name__": assignment.name}
    for cell in assignment.given:
        exec(compile(cell.source, cell.id, "exec"), names)
    return names


def failure_of(test: Cell, names: dict[str, Any]) -> str | None:
    """Run one test cell: None if it passes, or what the student may know of why it does not."""
    try:
        with np.errstate(all="ignore"):
            exec(compile(test.source, test.id, "exec"), names)
    except CheckFailed as failure:
        return str(failure)
    except Exception as error:  # an answer of an odd kind, on which the test itself tripped
        line = traceback.extract_tb(error.__traceback__)[1].lineno or 0
        hidden = HIDDEN_MARK in "\n".join(test.source.splitlines()[:line])
        return "a hidden test could not use the answer" if hidden else f"the answer could not be used ({error})"
    return None
