"""Attacks against what is known exactly: linear networks, and small ones searched by brute force in the plane."""

import math
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minilwa.attacks import ATTACKS, deepfool, fmn, lbfgs, noise, pgd, single_step, square
from minilwa.attacks.common import Gradients, margins
from minilwa.attacks.square import draw, patterns, two_bumps, windows
from minilwa.attacks.worst import distances
from minilwa.directions import DIRECTIONS, deepfool_direction, direction, noise_direction
from minilwa.errors import InputError
from minilwa.evaluation import predict
from minilwa.layers import conv, dense, flatten, softmax, tanh
from minilwa.networks import create, mlp
from minilwa.tree import tree_map

P = {"l2": 2, "linf": np.inf}
DUAL = {"l2": 2, "linf": 1}
DTYPES = ("float32", "float64")

AT_RADIUS = {
    "pgd": pgd,
    "pgd margin": partial(pgd, loss="margin"),
    "pgd linf": partial(pgd, norm="linf"),
    "square": partial(square, queries=300),
    "noise": noise,
    "noise linf": partial(noise, norm="linf"),
    "single step": partial(single_step, along=direction("adv_alpha")),
}
MINIMUM_NORM = {
    "deepfool": deepfool,
    "deepfool linf": partial(deepfool, norm="linf"),
    "fmn": fmn,
    "fmn linf": partial(fmn, norm="linf"),
    "lbfgs": lbfgs,
}
ALL = {**{name: partial(attack, radius=0.4) for name, attack in AT_RADIUS.items()}, **MINIMUM_NORM}

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_attack = pytest.mark.parametrize("name", ALL)


def norm_of(name):
    return "linf" if "linf" in name else "l2"


def sizes(r, norm):
    return np.linalg.norm(r.reshape(len(r), -1).astype(np.float64), ord=P[norm], axis=1)


def linear(classes, dtype="float64", shape=(1, 6, 6)):
    """A linear network on images, with images of it and the labels that it gives them."""
    rng = np.random.default_rng(3)
    net = create((flatten(), dense(classes), softmax()), shape, seed=4, dtype=dtype)
    w = rng.normal(size=(math.prod(shape), classes))
    b = rng.normal(size=classes)
    net = net.with_parameters(((), {"w": w.astype(dtype), "b": b.astype(dtype)}, ()))
    x = rng.random((40, *shape)).astype(dtype)
    return net, x, predict(net, x), w


def exact_distances(net, x, y, w, norm):
    """min over j of (z_y - z_j) / ||w_j - w_y||_*."""
    z = net.logits(x).astype(np.float64)
    D = w.T[None] - w.T[y][:, None]  # (N, K, D)
    dual = np.linalg.norm(D, ord=DUAL[norm], axis=2)
    margin = z[np.arange(len(y)), y][:, None] - z
    margin[np.arange(len(y)), y] = np.inf
    return (margin / np.where(dual > 0, dual, 1)).min(axis=1)


# --- a linear network: everything is known ---------------------------------------------------------------------------

# than the distance, at most; the loss of L-BFGS looks at all classes, so with more than two it does not go straight
LONGER = {"deepfool": {2: 1.02, 5: 1.02}, "fmn": {2: 1.002, 5: 1.002}, "lbfgs": {2: 1.03, 5: 1.2}}


@every_dtype
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("name", MINIMUM_NORM)
def test_minimum_norms_of_a_linear_network(name, classes, dtype):
    net, x, y, w = linear(classes, dtype)
    x_hat = MINIMUM_NORM[name](net, x, y)
    assert (x_hat.shape, x_hat.dtype) == (x.shape, x.dtype)
    assert (predict(net, x_hat) != y).all()
    ratio = sizes(x_hat - x, norm_of(name)) / exact_distances(net, x, y, w, norm_of(name))
    assert ratio.min() >= 1 - 1e-4
    assert ratio.max() <= LONGER[name.split()[0]][classes] + 1e-4


@every_dtype
@pytest.mark.parametrize("name", ["pgd", "pgd margin", "pgd linf"])
def test_pgd_breaks_a_linear_network_beyond_the_distance_and_only_there(name, dtype):
    net, x, y, w = linear(5, dtype)
    for n, distance in enumerate(exact_distances(net, x, y, w, norm_of(name))[:12]):
        one = slice(n, n + 1)
        for factor, broken in ((0.995, False), (1.005, True)):
            x_hat = AT_RADIUS[name](net, x[one], y[one], float(factor * distance), restarts=2)
            assert (predict(net, x_hat) != y[one])[0] == broken


@pytest.mark.parametrize("name", ["pgd", "pgd margin", "pgd linf"])
def test_pgd_reaches_the_largest_margin_in_the_ball(name):
    net, x, y, w = linear(2)
    before = margins(net.logits(x), y)
    radius = 0.9 * exact_distances(net, x, y, w, norm_of(name)).min()
    after = margins(net.logits(AT_RADIUS[name](net, x, y, radius, restarts=1)), y)
    slope = np.linalg.norm(w[:, 0] - w[:, 1], ord=DUAL[norm_of(name)])
    np.testing.assert_allclose(after, before + radius * slope, rtol=1e-9)


@pytest.mark.parametrize("name", ["square", "noise", "noise linf"])
def test_without_gradients_nothing_is_broken_within_the_distance(name):
    net, x, y, w = linear(5)
    distances = exact_distances(net, x, y, w, norm_of(name))
    x_hat = AT_RADIUS[name](net, x, y, radius=float(np.median(distances)))
    assert not (predict(net, x_hat) != y)[distances > np.median(distances)].any()


def test_square_finds_what_noise_does_not():
    net, x, y, w = linear(5)
    distances = exact_distances(net, x, y, w, "l2")
    radius = 1.6 * float(np.median(distances))
    near = distances < np.median(distances)
    by_square, by_noise = (predict(net, attack(net, x, y, radius)) != y for attack in (AT_RADIUS["square"], noise))
    assert by_square[near].mean() > 0.9
    assert by_noise[near].mean() < by_square[near].mean()


def test_the_length_of_noise_of_which_half_breaks():
    """Along a uniform direction in D dimensions the margin moves by radius ||D|| g / sqrt(D), g nearly normal."""
    net, x, y, w = linear(2, shape=(1, 20, 20))
    slope = np.linalg.norm(w[:, 0] - w[:, 1])
    one = np.repeat(x[:1], 1000, axis=0)
    radius = -margins(net.logits(x[:1]), y[:1])[0] * 20 / slope
    broken = (predict(net, noise(net, one, np.repeat(y[:1], 1000), radius, draws=1)) != y[0]).mean()
    assert abs(broken - 0.1587) < 4 * math.sqrt(0.16 * 0.84 / 1000)  # P(g > 1)


@pytest.mark.parametrize("norm", P)
def test_one_step_of_deepfool_is_exact_on_a_linear_network(norm):
    net, x, y, w = linear(5)
    d = deepfool_direction(net, x, y, norm)
    np.testing.assert_allclose(sizes(d, norm), 1)
    distances = exact_distances(net, x, y, w, norm).reshape(-1, 1, 1, 1)
    assert (predict(net, x + (1 + 1e-6) * distances * d) != y).all()
    assert (predict(net, x + (1 - 1e-6) * distances * d) == y).all()


def test_deepfools_direction_pushes_what_is_wrong_on():
    net, x, y, w = linear(5)
    wrong = (y + 1) % 5
    d = deepfool_direction(net, x, wrong).reshape(len(x), -1)
    expected = w.T[y] - w.T[wrong]
    np.testing.assert_allclose(d, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-12)


def nearest_in_the_box(x, v, margin):
    """The length of the shortest r with <v, r> = margin and x + r in [0, 1]: r = clip(x + t v) - x, t by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        t = (low + high) / 2
        r = np.clip(x + t * v, 0, 1) - x
        low, high = (t, high) if v @ r < margin else (low, t)
    return np.linalg.norm(r) if np.isclose(v @ r, margin) else np.inf


LONGER_IN_THE_BOX = {"deepfool": 1.021, "fmn": 1.01, "lbfgs": 1.05}


@pytest.mark.parametrize("name", LONGER_IN_THE_BOX)
def test_minimum_norms_of_a_linear_network_in_the_box(name):
    net, x, _, w = linear(2)
    x = np.round(x)  # black and white: half of all pixels cannot go where they should
    y = predict(net, x)
    margin = -margins(net.logits(x), y)
    flat, v = x.reshape(len(x), -1), (w.T[1 - y] - w.T[y])
    exact = np.array([nearest_in_the_box(flat[n], v[n], margin[n]) for n in range(len(x))])
    x_hat = MINIMUM_NORM[name](net, x, y, clip=True)
    broken = predict(net, x_hat) != y
    assert np.array_equal(broken, np.isfinite(exact))
    ratio = sizes(x_hat - x, "l2")[broken] / exact[broken]
    assert ratio.min() >= 1 - 1e-6
    assert ratio.max() <= LONGER_IN_THE_BOX[name]


# --- two dimensions: brute force -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plane():
    """A small network on the plane, points of it, and the true distances within a step of the search."""
    net = mlp(2, 24, 24, 4, seed=5, dtype="float64")
    rng = np.random.default_rng(8)
    net = net.with_parameters(tree_map(lambda p: p + rng.normal(size=p.shape) * 0.1, net.parameters))
    x = rng.normal(size=(40, 2)) / 2
    y = predict(net, x)
    assert len(np.unique(y)) == 4
    true = {norm: brute_force(net, x, y, norm) for norm in P}
    near = (true["linf"] > 0.01) & np.isfinite(true["l2"] + true["linf"])
    return net, x[near], y[near], {norm: distances[near] for norm, distances in true.items()}


def brute_force(net, x, y, norm, angles=500, radii=100):
    """The least distance to another class along rays, inf where there is none within 1.5; never too small.

    On a grid, twice between two radii of the last; then the same again at angles near the one found.
    """
    found = np.empty(len(x))
    for n in range(len(x)):
        angle, reach = np.linspace(0, 2 * np.pi, angles, endpoint=False), np.linspace(0, 1.5, radii)
        for look in range(5):
            ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            ray /= np.linalg.norm(ray, ord=P[norm], axis=1, keepdims=True)
            points = x[n] + reach[:, None, None] * ray
            other = (net.logits(points.reshape(-1, 2)).argmax(axis=1) != y[n]).reshape(radii, angles)
            first = int(other.any(axis=1).argmax())
            found[n] = reach[first] if other.any() else np.inf
            if not other.any():
                break
            step = reach[1] - reach[0]
            if look == 2:
                best = angle[other[first].argmax()]
                angle = np.linspace(best - 4 * np.pi / angles, best + 4 * np.pi / angles, angles)
                reach = np.linspace(max(0, 0.98 * found[n] - step), found[n], radii)
            else:
                reach = np.linspace(max(0, found[n] - step), found[n], radii)
    return found


def test_the_search_finds_the_distances_of_a_linear_network():
    net, x, y, w = linear(4, shape=(2,))
    for norm in P:
        exact, found = exact_distances(net, x, y, w, norm), brute_force(net, x, y, norm)
        np.testing.assert_allclose(found[exact < 1.5], exact[exact < 1.5], rtol=2e-4)


# how many times the true distance a minimum-norm attack needs, at the median; for how many 1.5 times are enough. L-BFGS
# aims at one class, which need not be the nearest one once the network bends, and cannot always be reached.
WITHIN = {
    "deepfool": (1.2, 0.75),
    "deepfool linf": (1.2, 0.75),
    "fmn": (1.001, 0.9),
    "fmn linf": (1.001, 0.9),
    "lbfgs": (1.3, 0.6),
}


@pytest.mark.parametrize("name", MINIMUM_NORM)
def test_minimum_norms_in_the_plane(name, plane):
    net, x, y, true = plane
    distances = true[norm_of(name)]
    x_hat = MINIMUM_NORM[name](net, x, y)
    broken = predict(net, x_hat) != y
    assert np.array_equal(x_hat[~broken], x[~broken])
    ratio = np.where(broken, sizes(x_hat - x, norm_of(name)), np.inf) / distances
    assert ratio.min() > 0.999
    median, most = WITHIN[name]
    assert np.median(ratio) < median
    assert (ratio < 1.5).mean() > most


@pytest.mark.parametrize("name", ["pgd", "pgd margin", "pgd linf"])
def test_pgd_in_the_plane(name, plane):
    net, x, y, true = plane
    distances = true[norm_of(name)]
    for radius in np.quantile(distances, [0.3, 0.6]):
        broken = predict(net, AT_RADIUS[name](net, x, y, radius)) != y
        assert not broken[distances > 1.001 * radius].any()
        assert broken[distances < 0.99 * radius].mean() > 0.9


@pytest.mark.parametrize("name", ["square", "noise", "single step"])
def test_nothing_is_broken_in_the_plane_within_the_true_distance(name, plane):
    net, x, y, true = plane
    radius = float(np.median(true["l2"]))
    broken = predict(net, AT_RADIUS[name](net, x, y, radius=radius)) != y
    assert not broken[true["l2"] > 1.001 * radius].any()
    assert broken.any()


# --- what holds for every attack -------------------------------------------------------------------------------------


def convolutional(dtype="float32"):
    net = create((conv(4, 3), tanh(), flatten(), dense(4), softmax()), (2, 7, 7), seed=1, dtype=dtype)
    x = np.random.default_rng(2).random((45, 2, 7, 7)).astype(dtype)
    return net, x, predict(net, x)


@every_dtype
@every_attack
@pytest.mark.parametrize("clip", [False, True])
def test_within_the_ball_and_the_box(name, clip, dtype):
    net, x, y = convolutional(dtype)
    x_hat = ALL[name](net, x, y, clip=clip)
    assert (x_hat.shape, x_hat.dtype) == (x.shape, x.dtype)
    assert np.isfinite(x_hat).all()
    if name in AT_RADIUS:
        assert sizes(x_hat - x, norm_of(name)).max() <= 0.4 * (1 + 1e-6 if dtype == "float32" else 1 + 1e-12)
    if clip:
        assert x_hat.min() >= 0
        assert x_hat.max() <= 1
    else:
        assert x_hat.min() < 0 or name == "noise"  # which moves no pixel far
    moved = sizes(x_hat - x, norm_of(name)) > 0
    assert moved.any()
    if name in MINIMUM_NORM:
        assert np.array_equal(predict(net, x_hat) != y, moved)


@every_attack
def test_the_misclassified_stay_as_they_are_and_arguments_too(name):
    net, x, y = convolutional()
    wrong = np.arange(len(x)) % 3 == 0
    y = np.where(wrong, (y + 1) % 4, y)
    kept = x.copy(), y.copy()
    x_hat = ALL[name](net, x, y)
    assert np.array_equal(x_hat[wrong], x[wrong])
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])
    all_wrong = ALL[name](net, x[wrong], y[wrong])
    assert np.array_equal(all_wrong, x[wrong])


@every_attack
def test_the_same_again_and_seeds_matter_where_there_are_any(name):
    net, x, y = convolutional()
    first = ALL[name](net, x, y)
    assert np.array_equal(first, ALL[name](net, x, y))
    if name.split()[0] in {"square", "noise"}:
        assert not np.array_equal(first, ALL[name](net, x, y, seed=1))


def test_pgd_draws_its_starts_from_the_seed():
    net, x, y = convolutional()
    heard = []
    for seed in (0, 0, 1):
        gradients = []
        pgd(net, x, y, 1e-3, restarts=2, steps=1, seed=seed, watch=gradients.append)
        heard.append(gradients)
    assert all(np.array_equal(a, b) for a, b in zip(*heard[:2], strict=True))
    same = [np.array_equal(a, b) for a, b in zip(*heard[1:], strict=True)]
    assert same == [True, True, True, False, False]  # DeepFool's rows and a run from there; then the run that is drawn


@pytest.mark.parametrize("name", ["single step", *MINIMUM_NORM])
def test_attacks_without_chance_treat_every_sample_by_itself(name):
    net, x, y = convolutional("float64")
    order = np.random.default_rng(0).permutation(len(x))[:30]
    whole, some = ALL[name](net, x, y), ALL[name](net, x[order], y[order])
    np.testing.assert_allclose(some, whole[order], rtol=0, atol=1e-3)
    close = np.abs(some - whole[order]).max(axis=(1, 2, 3)) < 1e-7
    assert close.mean() > 0.9  # rounding depends on the batch, and L-BFGS may stop an iteration sooner for it


@pytest.mark.parametrize("name", ["single step", "pgd", "noise", "deepfool", "lbfgs"])
def test_results_do_not_depend_on_the_number_of_threads_beyond_rounding(name):
    net, x, y = convolutional("float64")
    with threadpool_limits(2, user_api="blas"):
        in_shares = ALL[name](net, x, y)
    with threadpool_limits(1, user_api="blas"):
        whole = ALL[name](net, x, y)
    assert (np.abs(in_shares - whole).max(axis=(1, 2, 3)) < 1e-7).mean() > 0.9


@pytest.mark.parametrize("name", ["pgd", "fmn", "deepfool", "lbfgs"])
def test_what_is_broken_is_broken_in_any_batch(name):
    net, x, y = convolutional()
    x_hat = ALL[name](net, x, y)
    broken = predict(net, x_hat) != y
    assert broken.any()
    for n in np.flatnonzero(broken):
        assert predict(net, x_hat[n : n + 1])[0] != y[n]


def test_parts_of_a_batch_and_ticks():
    net, x, y, _ = linear(5)
    x, y = np.repeat(x, 15, axis=0), np.repeat(y, 15)  # 600: three parts
    ticks = []
    x_hat = noise(net, x, y, 0.5, draws=1, tick=ticks.append)
    assert ticks == [250, 250, 100]
    assert len(np.unique(x_hat.reshape(600, -1), axis=0)) == 600  # each part has a stream of its own
    ticks = []
    np.testing.assert_allclose(deepfool(net, x, y, tick=ticks.append)[::15], deepfool(net, x[::15], y[::15]))
    assert sum(ticks) == 600


def test_a_flat_image_is_attacked_like_an_image_of_one_row():
    net, x, y, _ = linear(4, shape=(30,))
    x_hat = square(net, x, y, 0.5, queries=300)
    assert x_hat.shape == x.shape
    assert (margins(net.logits(x_hat), y) > margins(net.logits(x), y)).all()


@pytest.mark.parametrize("form", ["stable", "printed"])
@pytest.mark.parametrize("name", DIRECTIONS)
def test_pgd_is_no_weaker_than_a_single_step(name, form):
    net, x, y = convolutional()
    radius = 0.3
    one = predict(net, single_step(net, x, y, radius, direction(name, form))) != y
    many = predict(net, pgd(net, x, y, radius)) != y
    assert 0 < one.mean() <= many.mean()


def test_networks_without_gradients_are_counted_and_give_nothing_away():
    net, x, y, _ = linear(3)
    flat = net.with_parameters(((), {"w": net.parameters[1]["w"] * 0, "b": np.array([1.0, 0, 0])}, ()))
    y = np.zeros(len(x), dtype=int)
    for name in ("pgd", "fmn", "deepfool", "lbfgs", "single step"):
        count = Gradients()
        x_hat = ALL[name](flat, x, y, watch=count)
        assert (predict(flat, x_hat) == y).all()
        assert np.isfinite(x_hat).all()
        assert count.describe()["zero"] == count.total > 0
    for attack in MINIMUM_NORM.values():
        assert np.array_equal(attack(flat, x, y), x)


def test_gradients_are_counted():
    count = Gradients()
    count(np.array([[0.0, 0.0], [0.0, 1.0], [np.nan, 1.0], [np.inf, 0.0]]))
    count(np.zeros((2, 3, 2)))
    assert count.describe() == {"total": 6, "zero": 3, "not_finite": 2}


def test_gradients_that_overflow_lead_nowhere_without_a_warning():
    net, x, y, w = linear(3, "float32")
    w = np.zeros((36, 3), dtype=np.float32)
    w[:, 0], w[0, 1] = -1e38, 3e38  # the difference of two rows overflows
    net = net.with_parameters(((), {"w": w, "b": np.zeros(3, dtype=np.float32)}, ()))
    x = np.full((2, 1, 6, 6), 1e-3, dtype=np.float32)
    y = predict(net, x)
    for name in ("pgd", "pgd margin", "fmn", "deepfool", "single step"):
        assert np.isfinite(ALL[name](net, x, y)).all(), name


# --- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (3, 3), (4, 3), (5, 5)])
def test_windows(height, width):
    images = np.zeros((300, 2, 7, 7))
    drawn = draw((7, 7), (height, width), 300, 2, np.random.default_rng(0))
    assert set(np.unique(drawn[:, 6:])) == {-1, 1}
    inside, pattern = windows(images, (height, width), patterns(height, width), drawn[:, :3])
    assert (inside.sum(axis=(1, 2, 3)) == height * width).all()
    assert np.array_equal(pattern != 0, inside)
    np.testing.assert_allclose((pattern**2).sum(axis=(1, 2, 3)), 1)
    assert inside[:, 0, 0, 0].any()
    assert inside[:, 0, -1, -1].any()
    half = height // 2
    assert (two_bumps(height, width)[:half] > 0).all()
    assert (two_bumps(height, width)[half:] < 0).all()


def test_margins():
    z = np.array([[1.0, 3.0, 2.0], [4.0, 1.0, 1.0], [np.nan, 0, 0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(margins(z, np.array([0, 0, 1, 1])), [2, -3, np.inf, 0], atol=1e-12)
    assert margins(z[3:], np.array([1]))[0] <= 0  # an exact tie is not yet another class


def test_noise_direction_goes_on_from_its_generator():
    net, x, y, _ = linear(3)
    along = partial(noise_direction, rng=np.random.default_rng(0))
    first, second = along(net, x, y), along(net, x, y)
    np.testing.assert_allclose(sizes(first, "l2"), 1)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, noise_direction(net, x, y, np.random.default_rng(0)))


BAD = {
    "radius": (pgd, {"radius": -1.0}),
    "radius of noise": (noise, {"radius": math.nan}),
    "radius of square": (square, {"radius": math.inf}),
    "norm of pgd": (pgd, {"radius": 1.0, "norm": "l1"}),
    "norm of fmn": (fmn, {"norm": 3}),
    "norm of deepfool": (deepfool, {"norm": "l5"}),
    "loss": (pgd, {"radius": 1.0, "loss": "hinge"}),
    "steps of pgd": (pgd, {"radius": 1.0, "steps": 0}),
    "restarts": (pgd, {"radius": 1.0, "restarts": 0}),
    "steps of fmn": (fmn, {"steps": 0}),
    "steps of deepfool": (deepfool, {"steps": 0}),
    "steps of lbfgs": (lbfgs, {"steps": 0}),
    "searches": (lbfgs, {"searches": 0}),
    "penalties": (lbfgs, {"penalties": (1.0, 0.5)}),
    "overshoot": (deepfool, {"overshoot": -0.1}),
    "queries": (square, {"radius": 1.0, "queries": 0}),
    "area": (square, {"radius": 1.0, "area": 0.0}),
    "draws": (noise, {"radius": 1.0, "draws": 0}),
    "seed": (noise, {"radius": 1.0, "seed": -1}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings(name):
    net, x, y, _ = linear(3)
    attack, settings = BAD[name]
    with pytest.raises(InputError, match=f"^{name.split()[0]}: got"):
        attack(net, x, y, **settings)


@every_attack
def test_bad_batches(name):
    net, x, y, _ = linear(3)
    for images, labels, settings, argument in (
        (x[:0], y[:0], {}, "x"),
        (x.astype(np.float32), y, {}, "x"),
        (x * np.nan, y, {}, "x"),
        (x, y[1:], {}, "y"),
        (x, y + 3, {}, "y"),
        (x + 0.5, y, {"clip": True}, "x"),
    ):
        with pytest.raises(InputError, match=f"^{argument}: got"):
            ALL[name](net, images, labels, **settings)


def test_the_registry_runs_everything():
    net, x, y = convolutional()
    x, y = x[:3], y[:3]
    for name, attack in ATTACKS.items():
        options = {"clip": True, "tick": lambda images: None}
        options |= {"watch": Gradients()} if attack.gradients else {}
        options |= {"seed": 5} if attack.random else {}
        options |= {"queries": 50} if name == "square" else {}
        x_hat = attack.run(net, x, y, *((0.2,) if attack.at_radius else ()), **options)
        assert x_hat.shape == x.shape, name
        assert not attack.at_radius or sizes(x_hat - x, attack.norm).max() < 0.2 * (1 + 1e-5), name


@pytest.mark.parametrize("name", ["deepfool", "deepfool_linf"])
def test_a_boundary_farther_than_floats_reach_is_not_reached(name):
    """Its step is infinite, and what is no image counts for no attack."""
    net = create((flatten(), dense(3), softmax()), (1, 6, 6), seed=1)
    w, b = net.parameters[1]["w"] * np.float32(1e-40), np.array([1.0, 0.0, 0.5], np.float32)
    net = net.with_parameters(((), {"w": w, "b": b}, ()))
    x, y = np.random.default_rng(0).random((4, 1, 6, 6), dtype=np.float32), np.zeros(4, int)
    np.testing.assert_array_equal(ATTACKS[name].run(net, x, y), x)
    assert np.isinf(distances(ATTACKS[name], net, x, y)).all()
