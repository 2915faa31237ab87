"""Assignments and submissions as lists of cells, read without any notebook library.

A master is a py:percent file (``# %%`` between cells, nbgrader's metadata as JSON behind it), a submission an
``.ipynb``, which is JSON.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

from minilwa.errors import InputError

MARKER = re.compile(r"^# %%(?: \[(\w+)\])?(?: nbgrader=(\{.*\}))?\s*$")
SEED = re.compile(r"^SEED = (\d+)", re.MULTILINE)
HIDDEN = re.compile(r"^[^\n]*### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS[^\n]*\n?", re.MULTILINE | re.DOTALL)
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION[^\n]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell; ``id`` is nbgrader's grade_id, empty for a cell that nbgrader does not manage."""

    kind: str  # "code" or "markdown"
    source: str
    id: str = ""
    points: float = 0.0
    grade: bool = False
    solution: bool = False
    locked: bool = False

    @property
    def given(self) -> bool:
        """Whether students get it as it is: locked, no test."""
        return self.kind == "code" and self.locked and not self.grade and not self.solution

    @property
    def question(self) -> str:
        """The question that a test cell belongs to: q3 of q3_batch."""
        return self.id.partition("_")[0]


@dataclass(frozen=True)
class Assignment:
    """A master with its seed set: name, cells, and from them what is given, asked and tested."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def given(self) -> list[Cell]:
        """The locked code cells before and between the questions."""
        return [cell for cell in self.cells if cell.given]

    @property
    def tests(self) -> list[Cell]:
        """The graded cells."""
        return [cell for cell in self.cells if cell.grade]

    @property
    def functions(self) -> list[str]:
        """The names of the functions that the solution cells define."""
        trees = [ast.parse(cell.source) for cell in self.cells if cell.solution]
        return [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]

    @property
    def questions(self) -> dict[str, float]:
        """The points of each question."""
        totals: dict[str, float] = {}
        for cell in self.tests:
            totals[cell.question] = totals.get(cell.question, 0) + cell.points
        return totals


def read_master(path: Path, seed: int) -> Assignment:
    """The assignment in a py:percent file, its numbers drawn with ``seed``."""
    return Assignment(path.stem, tuple(cells_of_master(with_seed(path.read_text(encoding="utf-8"), seed))))


def with_seed(source: str, seed: int) -> str:
    """The master's text with the line ``SEED = 0`` set to ``seed``."""
    return SEED.sub(f"SEED = {seed}", source, count=1)


def cells_of_master(text: str) -> list[Cell]:
    """The cells of a py:percent text; what stands before the first marker is the header."""
    cells: list[Cell] = []
    marker, lines = None, []
    for line in [*text.splitlines(), "# %%"]:
        found = MARKER.match(line)
        if not found:
            lines.append(line)
            continue
        if marker:
            kind = marker[1] or "code"
            source = "\n".join(re.sub(r"^# ?", "", part) if kind == "markdown" else part for part in lines)
            cells.append(cell_of(kind, source.strip("\n"), json.loads(marker[2] or "{}")))
        marker, lines = found, []
    return cells


def read_notebook(path: Path) -> list[Cell]:
    """The cells of a submitted ``.ipynb``; InputError if it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return cells_of_notebook(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError("notebook", f"{path} ({error})", "a Jupyter notebook of format 4") from None


def cells_of_notebook(content: dict) -> list[Cell]:
    """The cells of a notebook as JSON has it. Of several with one id the last counts, the others have none."""
    cells = []
    for cell in content["cells"]:
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        cells.append(cell_of(cell["cell_type"], source, cell.get("metadata", {}).get("nbgrader") or {}))
    last = {cell.id: i for i, cell in enumerate(cells)}
    return [cell if last[cell.id] == i else Cell(cell.kind, cell.source) for i, cell in enumerate(cells)]


def cell_of(kind: str, source: str, metadata: dict) -> Cell:
    """A cell with nbgrader's metadata."""
    grade, solution, locked = (bool(metadata.get(key)) for key in ("grade", "solution", "locked"))
    points = float(metadata.get("points") or 0)
    return Cell(kind, source, str(metadata.get("grade_id") or ""), points, grade, solution, locked)


def without_hidden(source: str) -> str:
    """A test cell as students get it."""
    return HIDDEN.sub("", source)


def without_solution(source: str) -> str:
    """A solution cell as students get it."""
    return SOLUTION.sub(r"\1# YOUR CODE HERE\n\1raise NotImplementedError()", source)
