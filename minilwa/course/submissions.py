"""Which notebooks a folder of submissions holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minilwa.course.cells import Assignment
from minilwa.errors import InputError


@dataclass(frozen=True)
class Submission:
    """One notebook of one student."""

    student: str
    assignment: Assignment
    path: Path


def submissions_in(folder: Path, assignments: dict[str, Assignment]) -> list[Submission]:
    """Every notebook that bears an assignment's name, at any depth below a folder with the student's name.

    InputError if there is none, or two of one student for one assignment.
    """
    if not folder.is_dir():
        raise InputError("submissions", folder, "a folder")
    found: dict[tuple[str, str], Submission] = {}
    for path in sorted(folder.rglob("*.ipynb")):
        parts = path.relative_to(folder).parts
        if len(parts) < 2 or path.stem not in assignments or any(part.startswith(".") for part in parts):
            continue
        key = parts[0], path.stem
        if key in found:
            raise InputError("submissions", f"{found[key].path} and {path}", "one notebook a student and assignment")
        found[key] = Submission(parts[0], assignments[path.stem], path)
    if not found:
        names = ", ".join(f"{name}.ipynb" for name in assignments)
        raise InputError("submissions", f"no notebooks in {folder}", f"STUDENT/.../NAME.ipynb, NAME one of {names}")
    return list(found.values())
