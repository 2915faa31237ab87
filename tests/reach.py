"""How long rows can be, by the bounds of the layers."""

import numpy as np

from minilwa.lazy import body_and_last, stretch_of


def reach_of(network, x, norm):
    """An upper bound of ||J_j - J_i||_* for any two classes ``(K, K)``, at every input; in float64."""
    _, last = body_and_last(network.layers)
    dense_last = last < len(network.layers) - 1
    w = np.asarray(network.parameters[last]["w"] if dense_last else np.eye(network.classes), dtype=np.float64)
    return float(stretch_of(network, x, norm)) * np.linalg.norm(w.T[:, None] - w.T, axis=-1)
