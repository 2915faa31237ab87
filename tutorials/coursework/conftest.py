"""Options of ``pytest tutorials/coursework``, which grades without nbgrader: see the README here."""

from pathlib import Path

import pytest

from minilwa.course.cells import read_notebook
from minilwa.course.grading import judge_file
from minilwa.course.masters import assignments_in
from minilwa.course.submissions import submissions_in

HERE = Path(__file__).parent


def pytest_addoption(parser):
    group = parser.getgroup("coursework")
    group.addoption("--submissions", type=Path, help="folder with STUDENT/.../NAME.ipynb")
    group.addoption("--seed", type=int, default=0, help="the seed that the coursework was released with")


def pytest_generate_tests(metafunc):
    if "submission" not in metafunc.fixturenames:
        return
    folder, seed = metafunc.config.getoption("submissions"), metafunc.config.getoption("seed")
    submissions = submissions_in(folder, assignments_in(HERE, seed)) if folder else []
    cases = [(each, test.id) for each in submissions for test in each.assignment.tests]
    names = [f"{each.student}-{each.assignment.name}-{test}" for each, test in cases]
    metafunc.parametrize(("submission", "test"), cases, ids=names)


@pytest.fixture
def judgement(submission, judged):
    """Each submission is run once, for all of its tests."""
    if submission not in judged:
        judged[submission] = judge_file(submission.assignment, submission.path, read_notebook)
    return judged[submission]


@pytest.fixture(scope="session")
def judged():
    return {}
