"""The attacks beside Foolbox's and the Adversarial Robustness Toolbox's, on the same weights and images."""

import warnings

import numpy as np
import pytest

from minilwa import METHODS, Recipe, load_data, mlp, train
from minilwa.attacks import deepfool, fmn, pgd, square
from minilwa.evaluation import predict

torch = pytest.importorskip("torch")
RADIUS = {"l2": 0.9, "linf": 0.05}
P = {"l2": 2, "linf": np.inf}
every_norm = pytest.mark.parametrize("norm", P)
every_box = pytest.mark.parametrize("clip", [False, True])


@pytest.fixture(scope="module")
def trained():
    data = load_data()
    network = mlp(784, 100, 100, 10, input_shape=(1, 28, 28))
    network = train(network, data.x_train, data.y_train, METHODS["Normal"], Recipe(epochs=3))
    x, y = data.x_test[:200], data.y_test[:200]
    right = predict(network, x) == y
    return network, x[right], y[right].astype(np.int64)


@pytest.fixture(scope="module")
def peer(trained):
    """The same network in PyTorch."""
    modules = []
    for layer, parameters in zip(trained[0].layers[:-1], trained[0].parameters[:-1], strict=True):
        if layer.name == "dense":
            modules.append(torch.nn.Linear(*parameters["w"].shape))
            with torch.no_grad():
                modules[-1].weight.copy_(torch.from_numpy(parameters["w"].T))
                modules[-1].bias.copy_(torch.from_numpy(parameters["b"]))
        else:
            modules.append({"flatten": torch.nn.Flatten, "relu": torch.nn.ReLU}[layer.name]())
    return torch.nn.Sequential(*modules).eval()


def sizes(r, norm):
    return np.linalg.norm(r.reshape(len(r), -1).astype(np.float64), ord=P[norm], axis=1)


def by_foolbox(attack, peer, x, y, clip=False, epsilon=None):
    """What an attack of Foolbox returns, within bounds that are the box, or so wide that they do not matter."""
    foolbox = pytest.importorskip("foolbox")
    torch.manual_seed(0)
    model = foolbox.PyTorchModel(peer, bounds=(0, 1) if clip else (-50, 50))
    _, x_hat, _ = attack(model, torch.from_numpy(x), torch.from_numpy(y), epsilons=epsilon)
    return x_hat.numpy()


def test_the_peer_is_the_same_network(trained, peer):
    network, x, _ = trained
    with torch.no_grad():
        np.testing.assert_allclose(peer(torch.from_numpy(x)).numpy(), network.logits(x), atol=1e-4)


@every_norm
@every_box
def test_pgd_is_as_strong_as_foolboxs(norm, clip, trained, peer):
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = trained
    theirs = {"l2": attacks.L2PGD, "linf": attacks.LinfPGD}[norm](steps=100)
    found = by_foolbox(theirs, peer, x, y, clip, RADIUS[norm])
    ours = pgd(network, x, y, RADIUS[norm], norm, restarts=1, clip=clip)
    broken, peers = (predict(network, images) != y for images in (ours, found))
    assert broken.sum() >= peers.sum()
    assert 0.2 < broken.mean() < 0.8


@every_norm
def test_deepfool_is_foolboxs(norm, trained, peer):
    """But for the 1e-4 that Foolbox adds to the length of every step."""
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = trained
    theirs = {"l2": attacks.L2DeepFoolAttack, "linf": attacks.LinfDeepFoolAttack}[norm](candidates=10, loss="logits")
    ours, found = (sizes(x_hat - x, norm) for x_hat in (deepfool(network, x, y, norm), by_foolbox(theirs, peer, x, y)))
    assert -2e-4 < np.median(ours - found) < 0
    assert (np.abs(ours / found - 1) < 0.02).mean() > 0.9


@every_norm
@every_box
def test_fmn_is_no_farther_than_foolboxs(norm, clip, trained, peer):
    """In L2 it is much nearer: Foolbox 3.3.4 divides a norm by itself there, so that nothing is projected."""
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = trained
    theirs = {"l2": attacks.L2FMNAttack, "linf": attacks.LInfFMNAttack}[norm](steps=100)
    found, ours = by_foolbox(theirs, peer, x, y, clip), fmn(network, x, y, norm, clip=clip)
    ratio = sizes(ours - x, norm) / sizes(found - x, norm)
    assert np.median(ratio) < 1.01
    assert np.quantile(ratio, 0.95) < 1.05


@every_box
def test_fmn_is_no_farther_than_foolboxs_ddn(clip, trained, peer):
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = trained
    found, ours = by_foolbox(attacks.DDNAttack(steps=100), peer, x, y, clip), fmn(network, x, y, clip=clip)
    ratio = sizes(ours - x, "l2") / sizes(found - x, "l2")
    assert np.median(ratio) < 1.01


def by_art(name, peer, x, y, **settings):
    evasion = pytest.importorskip("art.attacks.evasion")
    from art.estimators.classification import PyTorchClassifier

    np.random.seed(0)  # where the toolbox draws from
    classifier = PyTorchClassifier(peer, torch.nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(evasion, name)(classifier, **settings).generate(x, y)


def test_pgd_is_as_strong_as_the_toolboxs(trained, peer):
    network, x, y = trained
    settings = {"norm": 2, "eps": 0.9, "eps_step": 0.0225, "max_iter": 100, "num_random_init": 1, "verbose": False}
    found = by_art("ProjectedGradientDescent", peer, x, y, **settings)
    broken, peers = (predict(network, images) != y for images in (pgd(network, x, y, 0.9, clip=True), found))
    assert broken.sum() >= peers.sum()


def test_square_is_no_weaker_than_the_toolboxs(trained, peer):
    """In fact stronger: the toolbox draws one window for all images, and never one that reaches the last row."""
    network, x, y = trained
    found = by_art("SquareAttack", peer, x, y, norm=2, eps=1.5, max_iter=500, p_init=0.1, verbose=False)
    assert sizes(found - x, "l2").max() < 1.5 * (1 + 1e-5)
    broken, peers = (predict(network, a) != y for a in (square(network, x, y, 1.5, queries=500, clip=True), found))
    assert broken.sum() >= peers.sum() > 0
