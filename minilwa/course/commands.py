"""``minilwa course``: what its commands do with their options."""

from __future__ import annotations

import csv
import io
import sys
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minilwa.commands import check_outputs
from minilwa.course.cells import Cell, cells_of_notebook
from minilwa.course.feedback import feedback
from minilwa.course.grading import Judgement, given_names, judge_file
from minilwa.course.masters import assignments_in, masters_in
from minilwa.course.release import write_release
from minilwa.course.sandbox import Limits, Sandbox
from minilwa.course.submissions import Submission, submissions_in
from minilwa.errors import InputError
from minilwa.files import write_text


def release(options: Namespace) -> None:
    """Write the students' notebooks."""
    need_nbgrader()
    for path in write_release(masters_in(options.masters), options.out, options.seed, options.source):
        print(path)
    print("Every reference solution scores full marks with these numbers.")


def grade(options: Namespace) -> None:
    """Grade a folder of submissions: a row of the CSV and a page of feedback for each."""
    need_nbgrader()
    if options.jobs < 1 or options.seconds <= 0 or options.megabytes < 1:
        got = f"--jobs {options.jobs} --seconds {options.seconds:g} --megabytes {options.megabytes}"
        raise InputError("limits", got, "numbers > 0")
    check_outputs(options.csv)
    submissions = submissions_in(options.submissions, assignments_in(options.masters, options.seed))
    limits = Limits(options.seconds, options.megabytes)
    pages = options.csv.with_name(f"{options.csv.stem}-feedback")
    most = max(len(each.assignment.questions) for each in submissions)
    rows: list[dict[str, Any]] = []
    with judgements(submissions, limits, options.jobs) as judged:
        for submission, judgement in judged:
            scores = scored(judgement)
            rows.append(row_of(submission, judgement, scores))
            page = pages / submission.student / f"{submission.assignment.name}.md"
            write_text(page, feedback(submission.student, judgement, scores))
            write_text(options.csv, table(rows, most))
    for row in sorted(rows, key=order):
        print(f"{row['student']:<20} {row['assignment']:<14} {row['total']:>5g} of {row['max']:g}  {row['status']}")
    print(f"{options.csv}: {len(rows)} rows; feedback in {pages}")


def need_nbgrader() -> None:
    """InputError unless the extra ``course`` is installed."""
    missing = [name for name in ("nbgrader", "jupytext") if find_spec(name) is None]
    if missing:
        hint = 'pip install "minilwa[course]", in a clone pip install -e ".[course]".'
        raise InputError("course", f"no {' and no '.join(missing)}", "the packages of the extra course", hint)


@contextmanager
def judgements(
    submissions: list[Submission], limits: Limits, jobs: int
) -> Iterator[Iterator[tuple[Submission, Judgement]]]:
    """The submissions with their judgements, as they come; on an error or Ctrl-C whatever runs is ended at once."""
    from tqdm import tqdm

    live: list[Sandbox] = []
    for assignment in {each.assignment for each in submissions}:
        given_names(assignment)  # once, before the threads ask for it
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(judge_file, each.assignment, each.path, read_submission, limits, live.append): each
            for each in submissions
        }
        bar = partial(tqdm, total=len(futures), desc="grade", unit=" notebooks", disable=None)
        try:
            yield ((futures[future], future.result()) for future in bar(as_completed(futures)))
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for sandbox in live:
                sandbox.abort()
            if isinstance(error, KeyboardInterrupt):
                print("\nWhat was graded so far is in the CSV file; the same command starts anew.", file=sys.stderr)
            raise


def read_submission(path: Path) -> list[Cell]:
    """The cells of a submitted notebook, brought to the present format, each of nbgrader's ids once."""
    import nbformat
    from nbgrader.preprocessors import DeduplicateIds

    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        notebook, _ = DeduplicateIds().preprocess(notebook, {})
        return cells_of_notebook(notebook)
    except Exception as error:  # a file that is no notebook fails in many ways
        raise InputError("notebook", f"{path.name} ({type(error).__name__})", "a Jupyter notebook") from None


def scored(judgement: Judgement) -> dict[str, float]:
    """The points of every test cell, by nbgrader's own rule for executed cells."""
    from nbformat import v4
    from nbgrader.utils import determine_grade

    scores = {}
    for test in judgement.assignment.tests:
        failure = judgement.failures[test.id]
        outputs = [] if failure is None else [v4.new_output("error", ename="CheckFailed", evalue=failure, traceback=[])]
        metadata = {"nbgrader": {"grade": True, "solution": False, "grade_id": test.id, "points": test.points}}
        cell = v4.new_code_cell(test.source, metadata=metadata, outputs=outputs)
        scores[test.id], _ = determine_grade(cell)
    return scores


def row_of(submission: Submission, judgement: Judgement, scores: dict[str, float]) -> dict[str, Any]:
    """The row of the CSV file."""
    row: dict[str, Any] = {"student": submission.student, "assignment": submission.assignment.name}
    row |= dict.fromkeys(submission.assignment.questions, 0.0)
    for test in submission.assignment.tests:
        row[test.question] += scores[test.id]
    points = sum(submission.assignment.questions.values())
    return row | {"total": sum(scores.values()), "max": points, "status": judgement.status}


def order(row: dict[str, Any]) -> tuple[str, str]:
    """Rows are sorted by student, then by assignment."""
    return row["student"], row["assignment"]


def table(rows: list[dict[str, Any]], questions: int) -> str:
    """The CSV file: a question that an assignment does not have stays empty."""
    names = ["student", "assignment", *(f"q{i + 1}" for i in range(questions)), "total", "max", "status"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=order):
        writer.writerow({key: f"{value:g}" if isinstance(value, float) else value for key, value in row.items()})
    return text.getvalue()
