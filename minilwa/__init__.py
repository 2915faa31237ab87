"""minilwa: the paper "Learning with Adversary" as code to be read beside it.

import minilwa

data = minilwa.load_data()  # 5,000 MNIST digits
network = minilwa.mlp(784, 1000, 1000, 10)
network = minilwa.train(network, data.x_train, data.y_train, minilwa.method("LWA"), minilwa.Recipe(epochs=3))
alpha, T = minilwa.jacobian_rows(network, data.x_test[:5])  # (5, 10) and (5, 10, 1, 28, 28)
nearest, r = minilwa.algorithm_1(network, data.x_test[:5])  # (5,) and direction, log distance
"""

from minilwa.algorithms import SGD, algorithm_1, algorithm_2, algorithm_3
from minilwa.backend import asarray, to_numpy
from minilwa.data import Dataset
from minilwa.data import load as load_data
from minilwa.directions import adv_alpha, adv_loss, direction, perturbation
from minilwa.errors import InputError
from minilwa.evaluation import Score, adversarial_images, attacked_scores, clean_score, predict
from minilwa.jacobian import jacobian_rows
from minilwa.lazy import lazy_algorithm_1
from minilwa.methods import METHODS, Method, method
from minilwa.networks import Network, cifar_net, create, join, lenet, mlp, split
from minilwa.propositions import Perturbations, proposition_2_1, proposition_2_1_stable, proposition_2_2
from minilwa.saving import load, save
from minilwa.tape import value_and_gradient, vjp
from minilwa.training import Recipe, train

__all__ = [
    "METHODS",
    "SGD",
    "Dataset",
    "InputError",
    "Method",
    "Network",
    "Perturbations",
    "Recipe",
    "Score",
    "adv_alpha",
    "adv_loss",
    "adversarial_images",
    "algorithm_1",
    "algorithm_2",
    "algorithm_3",
    "asarray",
    "attacked_scores",
    "cifar_net",
    "clean_score",
    "create",
    "direction",
    "jacobian_rows",
    "join",
    "lazy_algorithm_1",
    "lenet",
    "load",
    "load_data",
    "method",
    "mlp",
    "perturbation",
    "predict",
    "proposition_2_1",
    "proposition_2_1_stable",
    "proposition_2_2",
    "save",
    "split",
    "to_numpy",
    "train",
    "value_and_gradient",
    "vjp",
]
