"""Algorithms 1, 2 and 3 against plain loops and central differences, on small networks in float64."""

import math
from functools import partial

import numpy as np
import pytest

from minilwa.algorithms import SGD, algorithm_1, algorithm_2, algorithm_3, batch_loss, goodfellow, loss_gradient
from minilwa.backend import to_numpy
from minilwa.directions import DIRECTIONS, adv_alpha, adv_loss, direction, no_perturbation, perturbation
from minilwa.errors import InputError
from minilwa.layers import conv, dense, dropout, flatten, max_pool, relu, softmax, tanh
from minilwa.networks import create, split
from minilwa.tree import leaves, tree_map

NORMS = {"l1": 1, "l2": 2, "linf": math.inf, 3: 3}
KINDS = {
    "dense": ((dense(5), tanh(), dense(6), relu(), dense(3), softmax()), (4,)),
    "conv": ((conv(2, 3), tanh(), max_pool(2), flatten(), dense(4), tanh(), dense(3), softmax()), (1, 6, 6)),
}
SPLITS = [(kind, at) for kind, (layers, _) in KINDS.items() for at in range(1, len(layers))]
PERTURBATIONS = {
    "none": no_perturbation,
    "adv_loss": perturbation(adv_loss, 0.6),
    "adv_loss_sign": perturbation(direction("adv_loss_sign"), 0.6),
    "adv_alpha": perturbation(adv_alpha, 0.6),
    "adv_alpha, printed, l1 in linf": perturbation(direction("adv_alpha", "printed", "l1"), 0.3, "linf"),
    "adv_loss, relative": perturbation(adv_loss, 0.25, relative=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_perturbation = pytest.mark.parametrize("perturb", PERTURBATIONS.values(), ids=PERTURBATIONS)
every_split = pytest.mark.parametrize(("kind", "at"), SPLITS)


def network_of(kind, dtype="float64", seed=4):
    network = create(*KINDS[kind], seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)  # biases other than zero
    return network.with_parameters(
        tree_map(lambda a: a + rng.normal(size=a.shape).astype(dtype) / 4, network.parameters)
    )


def dropped(rate=0.5):
    """A network with dropout below and above its third layer."""
    return create(
        (dense(8), tanh(), dropout(rate), dense(8), tanh(), dropout(rate), dense(3), softmax()), (4,), dtype="float64"
    )


def batches_of(network, count=1, size=7):
    rng = np.random.default_rng(3)
    return [
        (rng.normal(size=(size, *network.input_shape)).astype(network.dtype), rng.integers(0, 3, size))
        for _ in range(count)
    ]


def at_rest(network):
    return tree_map(np.zeros_like, network.parameters)


class Recorder:
    """Takes the place of the descent: keeps the gradients, and the network as it is."""

    def __init__(self):
        self.gradients = []

    def step(self, network, velocity, gradient):
        self.gradients.append(tree_map(to_numpy, gradient))
        return network, velocity


def gradient_of(algorithm, network, batch, perturb, **options):
    recorder = Recorder()
    algorithm(network, at_rest(network), [batch], perturb, recorder, **options)
    (gradient,) = recorder.gradients
    return gradient


def assert_same(a, b):
    for left, right in zip(leaves(a), leaves(b), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)


def plain_loss(alpha, y):
    return -np.log(alpha[np.arange(len(y)), y]).mean()


def central_gradient(function, parameters, step=1e-6):
    """The gradient of ``function(parameters)``, one parameter at a time, leaf by leaf."""
    parameters = tree_map(np.copy, parameters)
    gradients = []
    for leaf in leaves(parameters):
        gradient = np.empty_like(leaf)
        for place in np.ndindex(leaf.shape):
            kept = leaf[place]
            leaf[place] = kept + step
            above = function(parameters)
            leaf[place] = kept - step
            below = function(parameters)
            leaf[place] = kept
            gradient[place] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients


def assert_is_gradient_of(gradient, function, parameters):
    for got, expected in zip(leaves(gradient), central_gradient(function, parameters), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


# --- Algorithm 1 -----------------------------------------------------------------------------------------------------


def plain_jacobian(network, image, step=1e-5):
    """T ``(K, *shape)`` of one image by central differences."""
    T = np.empty((3, *image.shape))
    for place in np.ndindex(image.shape):
        shift = np.zeros_like(image)
        shift[place] = step
        T[(slice(None), *place)] = (network((image + shift)[None])[0] - network((image - shift)[None])[0]) / (2 * step)
    return T


def plain_r(a, delta, p):
    """Proposition 2.1 for one sample and one class, as printed but for the sign of L1."""
    if p == 1:
        place = np.unravel_index(np.abs(a).argmax(), a.shape)
        r = np.zeros_like(a)
        r[place] = delta / a[place]
        return r
    if p == math.inf:
        return delta / np.abs(a).sum() * np.sign(a)
    q = p / (p - 1)
    return delta * np.sign(a) * np.abs(a) ** (q - 1) / (np.abs(a) ** q).sum()


@every_kind
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("form", ["stable", "printed"])
def test_algorithm_1_is_the_loop_that_the_paper_prints(kind, norm, form):
    network, p = network_of(kind), NORMS[norm]
    [(x, _)] = batches_of(network, size=12)
    nearest, found = algorithm_1(network, x, norm, form)
    for n, image in enumerate(x):
        alpha, T = network(image[None])[0], plain_jacobian(network, image)  # 1
        J = int(alpha.argmax())
        r = {j: plain_r(T[j] - T[J], alpha[J] - alpha[j], p) for j in range(3) if j != J}  # 2-4
        I = min(r, key=lambda j: np.linalg.norm(r[j].ravel(), p))  # 5  # noqa: E741
        assert nearest[n] == I
        np.testing.assert_allclose(found.r[n], r[I], rtol=0, atol=1e-6 * np.abs(r[I]).max())
        np.testing.assert_allclose(np.exp(found.log_distance[n]), np.linalg.norm(r[I].ravel(), p), rtol=1e-6)
    assert len(set(nearest.tolist())) > 1


def test_algorithm_1_takes_the_stable_form_and_l2_unless_told():
    network = network_of("dense")
    [(x, _)] = batches_of(network)
    for default, explicit in zip(algorithm_1(network, x), algorithm_1(network, x, "l2", "stable"), strict=True):
        assert_same(default, explicit)


def test_algorithm_1_refuses_what_it_does_not_know():
    network = network_of("dense")
    [(x, _)] = batches_of(network)
    for options in ({"form": "exact"}, {"norm": "l7"}, {"norm": 0.5}, {"norm": None}):
        with pytest.raises(InputError, match=next(iter(options))):
            algorithm_1(network, x, **options)
    with pytest.raises(InputError, match="softmax"):
        algorithm_1(split(network, 5)[0], x)


# --- gradients -------------------------------------------------------------------------------------------------------


@every_kind
def test_the_loss_gradient_is_that_of_the_mean_cross_entropy(kind):
    network = network_of(kind)
    [(x, y)] = batches_of(network)
    np.testing.assert_allclose(batch_loss(network.parameters, x, network, y), plain_loss(network(x), y), rtol=1e-13)
    assert_is_gradient_of(
        loss_gradient(network, x, y), lambda p: plain_loss(network.apply(p, x), y), network.parameters
    )


@every_kind
@every_perturbation
def test_algorithm_2_descends_the_loss_at_the_frozen_perturbed_images(kind, perturb):
    network = network_of(kind)
    [(x, y)] = batches_of(network)
    x_hat = x + perturb(network, x, y)
    gradient = gradient_of(algorithm_2, network, (x, y), perturb)
    assert_is_gradient_of(gradient, lambda p: plain_loss(network.apply(p, x_hat), y), network.parameters)


@every_split
@every_perturbation
def test_algorithm_3_descends_the_loss_of_both_parts_with_the_perturbation_frozen(kind, at, perturb):
    network = network_of(kind)
    [(x, y)] = batches_of(network)
    representation, classifier = split(network, at)
    r = perturb(classifier, representation(x), y)

    def loss(parameters):
        features = representation.apply(parameters[:at], x)
        return plain_loss(classifier.apply(parameters[at:], features + r), y)

    gradient = gradient_of(algorithm_3, network, (x, y), perturb, at=at)
    assert_is_gradient_of(gradient, loss, network.parameters)


@every_kind
def test_goodfellow_sums_the_gradients_at_the_clean_and_the_perturbed_images(kind):
    network = network_of(kind)
    perturb = PERTURBATIONS["adv_loss_sign"]
    [(x, y)] = batches_of(network)
    x_hat = x + perturb(network, x, y)
    gradient = gradient_of(goodfellow, network, (x, y), perturb)
    assert_is_gradient_of(
        gradient,
        lambda p: plain_loss(network.apply(p, x), y) + plain_loss(network.apply(p, x_hat), y),
        network.parameters,
    )


@every_kind
def test_nokland_s_method_is_algorithm_2_with_the_sign_of_the_loss_gradient(kind):
    network, epsilon = network_of(kind), 0.1
    [(x, y)] = batches_of(network)
    of_images = central_gradient(lambda images: plain_loss(network(images), y), x)[0]
    assert ((of_images == 0) | (np.abs(of_images) > 1e-8)).all()  # central differences know the signs
    x_hat = x + epsilon * np.sign(of_images)
    gradient = gradient_of(algorithm_2, network, (x, y), perturbation(direction("adv_loss_sign"), epsilon, "linf"))
    assert_is_gradient_of(gradient, lambda p: plain_loss(network.apply(p, x_hat), y), network.parameters)


# --- the adversarial pass stays apart --------------------------------------------------------------------------------


def run(algorithm, at, **options):
    """`algorithm_2` or, with ``at``, `algorithm_3`."""
    return partial(algorithm, **options) if at is None else partial(algorithm_3, at=at, **options)


@every_kind
@every_perturbation
def test_the_gradient_is_that_of_ordinary_training_on_the_perturbed_images(kind, perturb):
    network = network_of(kind)
    [(x, y)] = batches_of(network)
    perturbed = (x + perturb(network, x, y), y)
    assert_same(
        gradient_of(algorithm_2, network, (x, y), perturb),
        gradient_of(algorithm_2, network, perturbed, no_perturbation),
    )


@every_split
@every_perturbation
def test_the_classifier_s_gradient_is_that_of_ordinary_training_on_the_perturbed_features(kind, at, perturb):
    network = network_of(kind)
    [(x, y)] = batches_of(network)
    representation, classifier = split(network, at)
    features = representation(x)
    perturbed = (features + perturb(classifier, features, y), y)
    gradient = gradient_of(algorithm_3, network, (x, y), perturb, at=at)
    assert_same(gradient[at:], gradient_of(algorithm_2, classifier, perturbed, no_perturbation))


@every_perturbation
@pytest.mark.parametrize("method", [algorithm_2, goodfellow, *(partial(algorithm_3, at=at) for at in (1, 3, 5))])
def test_nothing_that_is_given_is_changed(method, perturb):
    network = network_of("dense")
    batches, velocity = batches_of(network, count=2), at_rest(network)
    given = [network.parameters, velocity, batches]
    before = tree_map(np.copy, given)
    tree_map(lambda a: a.setflags(write=False), given)  # a write would raise
    trained, velocity_after = method(network, velocity, batches, perturb, SGD(0.1, 0.9))
    assert_same(given, before)
    for old, new in zip(
        leaves([network.parameters, velocity]), leaves([trained.parameters, velocity_after]), strict=True
    ):
        assert not np.shares_memory(old, new)
        assert (old != new).any()


@every_kind
@every_perturbation
def test_looking_for_a_perturbation_leaves_the_parameters_bit_for_bit(kind, perturb):
    network = network_of(kind)
    before = [a.tobytes() for a in leaves(network.parameters)]
    [(x, y)] = batches_of(network)
    perturb(network, x, y)
    assert [a.tobytes() for a in leaves(network.parameters)] == before


# --- ordinary training -----------------------------------------------------------------------------------------------


@every_kind
def test_without_a_perturbation_algorithm_2_is_stochastic_gradient_descent(kind):
    network, rate, momentum = network_of(kind), 0.3, 0.8
    batches = batches_of(network, count=4)
    trained, velocity = algorithm_2(network, at_rest(network), batches, no_perturbation, SGD(rate, momentum))
    p, v = leaves(network.parameters), leaves(at_rest(network))
    for x, y in batches:  # written out, with gradients by central differences
        remade = iter(p)
        parameters = tree_map(lambda _, remade=remade: next(remade), network.parameters)
        g = central_gradient(lambda q, x=x, y=y: plain_loss(network.apply(q, x), y), parameters)
        v = [momentum * a - rate * b for a, b in zip(v, g, strict=True)]
        p = [a + b for a, b in zip(p, v, strict=True)]
    for got, expected in zip(leaves([trained.parameters, velocity]), p + v, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-8)


@every_split
@pytest.mark.parametrize("perturb", [no_perturbation, perturbation(adv_loss, 0.0), perturbation(adv_alpha, 0, "linf")])
def test_without_a_perturbation_algorithm_3_is_ordinary_training_at_every_split(kind, at, perturb):
    network, sgd = network_of(kind), SGD(0.1, 0.9)
    batches = batches_of(network, count=3)
    ordinary, _ = algorithm_2(network, at_rest(network), batches, no_perturbation, sgd)
    for method in (algorithm_2, partial(algorithm_3, at=at)):
        trained, _ = method(network, at_rest(network), batches, perturb, sgd)
        for got, expected in zip(leaves(trained.parameters), leaves(ordinary.parameters), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def test_momentum_is_the_recurrence_written_out():
    network, rng = network_of("dense"), np.random.default_rng(0)
    sgd, velocity = SGD(rate=0.2, momentum=0.7), at_rest(network)
    p, v = leaves(network.parameters), [0] * 6
    for _ in range(5):
        gradient = tree_map(lambda a: rng.normal(size=a.shape), network.parameters)
        network, velocity = sgd.step(network, velocity, gradient)
        v = [0.7 * a - 0.2 * g for a, g in zip(v, leaves(gradient), strict=True)]
        p = [a + b for a, b in zip(p, v, strict=True)]
    for got, expected in zip(leaves([network.parameters, velocity]), p + v, strict=True):
        np.testing.assert_array_equal(got, expected)
    plain, _ = SGD(rate=0.2).step(network, velocity, gradient)  # without momentum the velocity is forgotten
    for got, was, g in zip(leaves(plain.parameters), leaves(network.parameters), leaves(gradient), strict=True):
        np.testing.assert_allclose(got, was - 0.2 * g, rtol=1e-14, atol=1e-15)


@every_perturbation
@pytest.mark.parametrize("method", [algorithm_2, goodfellow, partial(algorithm_3, at=3)])
def test_two_batches_in_one_call_are_two_calls_of_one(method, perturb):
    network, sgd = network_of("conv"), SGD(0.1, 0.9)
    first, second = batches_of(network, count=2)
    together = method(network, at_rest(network), iter([first, second]), perturb, sgd)
    between, velocity = method(network, at_rest(network), [first], perturb, sgd)
    apart = method(between, velocity, [second], perturb, sgd)
    for (network_, velocity_), (other, other_velocity) in [(together, apart)]:
        assert_same([network_.parameters, velocity_], [other.parameters, other_velocity])


@pytest.mark.parametrize("method", [algorithm_2, goodfellow, partial(algorithm_3, at=2)])
def test_without_batches_nothing_happens(method):
    network = network_of("conv")
    trained, velocity = method(network, at_rest(network), [], PERTURBATIONS["adv_loss"], SGD(0.1))
    assert_same([trained.parameters, velocity], [network.parameters, at_rest(network)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize("method", [algorithm_2, goodfellow, partial(algorithm_3, at=3)])
def test_training_keeps_the_dtype(method, name, dtype):
    network = network_of("conv", dtype)
    perturb = perturbation(direction(name), 0.5, relative=True)
    trained, velocity = method(network, at_rest(network), batches_of(network), perturb, SGD(0.1, 0.9))
    assert {str(a.dtype) for a in leaves([trained.parameters, velocity])} == {dtype}


@pytest.mark.parametrize("at", [0, 6, -1])
def test_algorithm_3_refuses_a_split_that_leaves_one_side_empty(at):
    network = network_of("dense")
    with pytest.raises(InputError, match="at"):
        algorithm_3(network, at_rest(network), batches_of(network), no_perturbation, SGD(0.1), at=at)


# --- dropout ---------------------------------------------------------------------------------------------------------

methods = pytest.mark.parametrize(
    "method", [algorithm_2, goodfellow, *(partial(algorithm_3, at=at) for at in (2, 3, 5))]
)


@methods
def test_dropout_draws_from_the_stream_that_is_given(method):
    network, perturb = dropped(), PERTURBATIONS["adv_alpha"]
    batches = batches_of(network, count=2)

    def trained(seed):
        rng = None if seed is None else np.random.default_rng(seed)
        return method(network, at_rest(network), batches, perturb, SGD(0.1, 0.5), rng=rng)[0].parameters

    assert_same(trained(0), trained(0))
    for other in (1, None):
        assert all((a != b).any() for a, b in zip(leaves(trained(0)), leaves(trained(other)), strict=True))


@methods
def test_without_a_stream_dropout_is_off(method):
    batches, perturb = batches_of(dropped()), PERTURBATIONS["adv_loss"]
    gradients = [gradient_of(method, dropped(rate), batches[0], perturb) for rate in (0.0, 0.5, 0.9)]
    assert_same(gradients[0], gradients[1])
    assert_same(gradients[0], gradients[2])


@methods
def test_the_adversary_sees_the_network_in_evaluation_mode(method):
    network, seen = dropped(), []

    def perturb(network, x, y):
        r = PERTURBATIONS["adv_loss"](network, x, y)
        seen.append((network, x, y, r))
        return r

    method(network, at_rest(network), batches_of(network), perturb, Recorder(), rng=np.random.default_rng(0))
    [(part, x, y, r)] = seen
    off = create(tuple(dropout(0) if a.name == "dropout" else a for a in part.layers), part.input_shape)
    assert_same(r, PERTURBATIONS["adv_loss"](off.with_parameters(part.parameters), x, y))


def test_algorithm_2_drops_the_same_units_as_ordinary_training_from_the_same_stream():
    network, perturb = dropped(), PERTURBATIONS["adv_alpha"]
    [(x, y)] = batches_of(network)
    perturbed = (x + perturb(network, x, y), y)
    assert_same(
        gradient_of(algorithm_2, network, (x, y), perturb, rng=np.random.default_rng(5)),
        gradient_of(algorithm_2, network, perturbed, no_perturbation, rng=np.random.default_rng(5)),
    )


def test_goodfellow_drops_units_in_both_of_its_passes():
    network, perturb = dropped(), PERTURBATIONS["adv_loss_sign"]
    [(x, y)] = batches_of(network)
    rng = np.random.default_rng(5)
    clean = gradient_of(algorithm_2, network, (x, y), no_perturbation, rng=rng)
    adversarial = gradient_of(algorithm_2, network, (x, y), perturb, rng=rng)  # draws on from where the other ended
    assert_same(
        gradient_of(goodfellow, network, (x, y), perturb, rng=np.random.default_rng(5)),
        tree_map(np.add, clean, adversarial),
    )


def test_algorithm_3_pulls_back_through_the_units_that_it_dropped_going_forward():
    network, perturb, at = dropped(), PERTURBATIONS["adv_loss"], 5
    [(x, y)] = batches_of(network)
    representation, classifier = split(network, at)
    r = perturb(classifier, representation.apply(representation.parameters, x, np.random.default_rng(5)), y)

    def loss(parameters):
        rng = np.random.default_rng(5)
        features = representation.apply(parameters[:at], x, rng)
        return plain_loss(classifier.apply(parameters[at:], features + r, rng), y)

    gradient = gradient_of(algorithm_3, network, (x, y), perturb, at=at, rng=np.random.default_rng(5))
    assert_is_gradient_of(gradient, loss, network.parameters)


@pytest.mark.parametrize("label", [-1, 3])
@pytest.mark.parametrize("method", [algorithm_2, partial(algorithm_3, at=1), goodfellow])
def test_labels_that_the_network_has_not_are_refused(method, label):
    """-1 is what `predict` says of logits that are not finite; as an index it would be the last class."""
    network = network_of("dense")
    ((x, y),) = batches_of(network)
    with pytest.raises(InputError, match="y: got labels"):
        method(network, at_rest(network), [(x, 0 * y + label)], no_perturbation, SGD(0.1))
