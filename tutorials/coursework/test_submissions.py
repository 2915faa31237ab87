"""Every test cell of every submission as one pytest test: ``pytest tutorials/coursework --submissions DIR``."""

import pytest


def test_cell(submission, test, judgement):
    failure = judgement.failures[test]
    if failure is not None:
        pytest.fail(f"{test}: {failure}", pytrace=False)
