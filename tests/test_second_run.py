"""The second run of the tests is one: what a test module imports meets device arrays there."""

import numpy as np

from minilwa.backend import namespace
from minilwa.networks import mlp


def test_arrays_and_networks_are_sent_to_the_device(library):
    expected = "numpy" if library == "numpy" else "cupy"
    assert namespace(np.ones(2)).__name__ == expected
    assert namespace(*mlp(2, 3, 2).parameters[1].values()).__name__ == expected
