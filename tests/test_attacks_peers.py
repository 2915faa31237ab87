"""The attacks beside Foolbox's and the Adversarial Robustness Toolbox's, on the same weights and images."""

import copy
import itertools
import warnings

import numpy as np
import pytest
from scipy.stats import binomtest

from minilwa import METHODS, Recipe, load_data, mlp, train
from minilwa.attacks import deepfool, fmn, noise, pgd, single_step, square
from minilwa.directions import direction
from minilwa.evaluation import adversarial_images, predict
from minilwa.propositions import FORMS
from minilwa.tree import tree_map

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
                modules[-1].weight.copy_(torch.tensor(parameters["w"].T))
                modules[-1].bias.copy_(torch.tensor(parameters["b"]))
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


@pytest.mark.parametrize(
    ("norm", "form", "dtype", "atol"),
    [("l2", "stable", "float32", 1e-6), *itertools.product(P, FORMS, ["float64"], [1e-9])],
)
@every_box
def test_a_single_step_of_the_loss_is_foolboxs(norm, form, dtype, atol, clip, trained, peer):
    """Which is in float64: in float32 it is up to 1e-3 off, and so is our printed form, where alpha_y is nearly 1."""
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = trained
    theirs = {"l2": attacks.L2FastGradientAttack, "linf": attacks.LinfFastGradientAttack}[norm]()
    found = by_foolbox(theirs, copy.deepcopy(peer).double(), x.astype("float64"), y, clip, RADIUS[norm])
    network = network.with_parameters(tree_map(lambda p: p.astype(dtype), network.parameters))
    settings = {"along": direction("adv_loss", form, norm), "radius": RADIUS[norm], "norm": norm, "clip": clip}
    for ours in (single_step, adversarial_images):
        np.testing.assert_allclose(ours(network, x.astype(dtype), y, **settings), found, rtol=0, atol=atol)


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
def test_clipped_deepfool_takes_fewer_steps_than_foolboxs_and_ends_little_farther(norm, trained, peer):
    """Foolbox's steps are as if there were no walls, which take most of them away: short, many, and so nearer by 2%."""
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = trained
    theirs = {"l2": attacks.L2DeepFoolAttack, "linf": attacks.LinfDeepFoolAttack}[norm]
    for steps in (5, 50):
        ours = deepfool(network, x, y, norm, steps, clip=True)
        found = by_foolbox(theirs(steps=steps, candidates=10, loss="logits"), peer, x, y, clip=True)
        broken, peers = ((predict(network, images) != y).mean() for images in (ours, found))
        assert broken > 0.95
        assert peers < 0.5 if steps == 5 else broken >= peers > 0.95
    assert np.median(sizes(ours - x, norm) / sizes(found - x, norm)) < 1.05


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


@every_box
def test_noise_is_as_long_as_foolboxs(clip, trained, peer):
    """The box takes as much from both, on average; without it every length is the radius."""
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = (trained[0], *(np.repeat(a, 10, axis=0) for a in trained[1:]))
    found = by_foolbox(attacks.L2AdditiveGaussianNoiseAttack(), peer, x, y, clip, 10)
    gap = (sizes(noise(network, x, y, 10, draws=1, clip=clip) - x, "l2") - sizes(found - x, "l2")) / 10
    assert np.abs(gap).max() < (0.2 if clip else 1e-6)
    assert np.abs(gap.mean()) < max(4 * gap.std() / np.sqrt(len(gap)), 1e-6)


@every_box
def test_noise_breaks_as_many_as_foolboxs(clip, trained, peer):
    """An image that the worst of ten draws breaks for one of the two alone is as likely to be either's."""
    attacks = pytest.importorskip("foolbox").attacks
    network, x, y = (trained[0], *(np.repeat(a, 10, axis=0) for a in trained[1:]))
    found = by_foolbox(attacks.L2RepeatedAdditiveGaussianNoiseAttack(repeats=10), peer, x, y, clip, 10)
    broken, peers = (predict(network, a) != y for a in (noise(network, x, y, 10, draws=10, clip=clip), found))
    assert 0.2 < broken.mean() < 0.8
    assert binomtest((broken & ~peers).sum(), (broken != peers).sum()).pvalue > 1e-3


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
