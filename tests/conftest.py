"""What every test runs under.

No deadlines, since no test is a timing; in CI every run draws the same examples. One BLAS thread a worker, since two
workers with two threads each would spend their time waiting for one another.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

from hypothesis import settings
from second_run import (  # noqa: F401
    gpu,
    library,
    pytest_addoption,
    pytest_generate_tests,
    pytest_pyfunc_call,
    pytest_terminal_summary,
)

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
