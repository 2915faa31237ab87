"""The second run of the tests is one: what a test module imports meets device arrays there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from minilwa.backend import namespace
from minilwa.networks import mlp


def test_arrays_and_networks_are_sent_to_the_device(library):
    expected = "numpy" if library == "numpy" else "cupy"
    assert namespace(np.ones(2)).__name__ == expected
    assert namespace(*mlp(2, 3, 2).parameters[1].values()).__name__ == expected


def test_the_tests_for_a_gpu_run_on_a_stand_in_and_leave_a_record(tmp_path):
    """So that they are right when there is one: the stand-in rounds otherwise than NumPy."""
    path = tmp_path / "record.json"
    options = ["-n", "0", "-p", "no:cacheprovider", "-m", "gpu", "--stand-in", "--record", path]
    command = [sys.executable, "-m", "pytest", Path(__file__).with_name("test_gpu.py"), *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    record = json.loads(path.read_text())
    assert record["gpu"].startswith("none")
    assert record["tests"]["passed"] > 50
    assert record["tests"]["skipped"] == 2  # TF32
