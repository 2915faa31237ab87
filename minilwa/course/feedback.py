"""A page of Markdown for one submission: points, what was wrong, hints."""

from __future__ import annotations

from minilwa.course.cells import Cell
from minilwa.course.grading import Judgement

STATUSES = {
    "ok": "",
    "error": "Something in the notebook could not be run.",
    "memory": "Something needed more memory than there is, and was stopped.",
    "timeout": "Something took too long and was stopped.",
    "tampered": "A locked cell was changed, or the code reached for what it may not.",
}


def feedback(student: str, judgement: Judgement, scores: dict[str, float]) -> str:
    """The page, with the points of every test cell in ``scores``."""
    assignment = judgement.assignment
    lines = [f"# {assignment.name}, {student}: {sum(scores.values()):g} of {sum(assignment.questions.values()):g}", ""]
    lines += ["| question | points | of |", "| --- | --- | --- |"]
    for question, most in assignment.questions.items():
        points = sum(scores[test.id] for test in assignment.tests if test.question == question)
        lines.append(f"| {question} | {points:g} | {most:g} |")
    lines.append("")
    if judgement.status != "ok":
        lines += [STATUSES[judgement.status], ""]
    failed: dict[str, list[Cell]] = {}  # several tests often fail for one reason
    for test in assignment.tests:
        if (failure := judgement.failures[test.id]) is not None:
            failed.setdefault(failure, []).append(test)
    if failed:
        lines += ["## What was wrong", ""]
    for failure, tests in failed.items():
        points = sum(test.points for test in tests)
        lines += [f"{', '.join(test.id for test in tests)} ({points:g} {'point' if points == 1 else 'points'}):", ""]
        lines += [*(f"    {line}" for line in failure.splitlines()), ""]
    if judgement.notes:
        lines += ["## Notes", "", *(f"- {' '.join(note.split())}" for note in judgement.notes)]
    return "\n".join(lines).rstrip() + "\n"
