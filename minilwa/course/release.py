"""What students and instructors are given: notebooks made of the masters by nbgrader's own preprocessors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minilwa.course.cells import read_master, with_seed
from minilwa.course.grading import judge
from minilwa.errors import InputError
from minilwa.files import write_text

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def source_notebook(master: Path, seed: int) -> Any:
    """The instructor's notebook, with solutions and hidden tests, as nbgrader's ``source`` folder wants it."""
    import jupytext

    notebook = jupytext.reads(with_seed(master.read_text(encoding="utf-8"), seed), fmt="py:percent")
    notebook.metadata = type(notebook.metadata)(kernelspec=KERNEL)
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # the same at every release
        cell.metadata.pop("lines_to_next_cell", None)
    return notebook


def released_notebook(master: Path, seed: int) -> Any:
    """The students' notebook, in the order of nbgrader's own ``generate_assignment``."""
    from nbgrader import preprocessors as nbgrader

    notebook = source_notebook(master, seed)
    for step in (
        nbgrader.LockCells,
        nbgrader.ClearSolutions,
        nbgrader.ClearOutput,
        nbgrader.CheckCellMetadata,
        nbgrader.ClearHiddenTests,
        nbgrader.ComputeChecksums,
    ):
        notebook, _ = step().preprocess(notebook, {})
    return notebook


def write_release(masters: list[Path], out: Path, seed: int, source: Path | None) -> list[Path]:
    """Write ``out/NAME/NAME.ipynb`` for every master, and if wanted the same with solutions in ``source``.

    InputError if a reference solution does not score full marks with the numbers that ``seed`` draws.
    """
    written = []
    for master in masters:
        assignment = read_master(master, seed)
        if lost := judge(assignment, assignment.cells).lost:
            got = f"{seed}, with which the reference solution of {master.stem} fails {', '.join(sorted(lost))}"
            raise InputError("seed", got, "numbers that suit the assignment", "Take another seed.")
        for folder, make in ((out, released_notebook), (source, source_notebook)):
            if folder is not None:
                written.append(folder / master.stem / f"{master.stem}.ipynb")
                write_notebook(written[-1], make(master, seed))
    return written


def write_notebook(path: Path, notebook: Any) -> None:
    """Write a notebook, whole."""
    import nbformat

    write_text(path, nbformat.writes(notebook) + "\n")
