"""The training loop: checkpoints, interruption, resumption to the same bits."""

from dataclasses import replace

import numpy as np
import pytest

from minilwa.errors import InputError
from minilwa.layers import Layer, chain, dense, flatten, relu, softmax
from minilwa.methods import METHODS, method
from minilwa.networks import create, lenet, mlp
from minilwa.saving import load, save
from minilwa.training import Recipe, train
from minilwa.tree import leaves

RECIPE = Recipe(epochs=4, batch=8, rate=0.05, seed=3)


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    return rng.random((30, 1, 12, 12), dtype=np.float32), rng.integers(0, 4, 30)


def small(chosen):
    return mlp(144, 16, 12, 4, input_shape=(1, 12, 12), rate=chosen.dropout, seed=1)


def same_bits(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one.parameters), leaves(other.parameters), strict=True))


class Stop(Exception):
    """Stands for Ctrl-C in the middle of an epoch."""


@pytest.mark.parametrize("chosen", [*METHODS.values(), method("LWA", along="adv_alpha")], ids=str)
@pytest.mark.parametrize("after", [1, 41, 95])
def test_interrupted_and_resumed_ends_with_the_same_bits(chosen, after, digits, tmp_path):
    whole = train(small(chosen), *digits, chosen, RECIPE)
    path = tmp_path / "net.npz"
    seen = 0

    def tick(images):
        nonlocal seen
        seen += images
        if seen >= after:
            raise Stop

    with pytest.raises(Stop):
        train(small(chosen), *digits, chosen, RECIPE, path, tick)
    assert path.exists() == (after >= 30)
    resumed = train(small(chosen), *digits, chosen, RECIPE, path)
    assert same_bits(resumed, whole)
    assert same_bits(load(path), whole)


def test_finished_training_is_not_repeated(digits, tmp_path):
    chosen, path = METHODS["LWA"], tmp_path / "net.npz"
    first = train(small(chosen), *digits, chosen, RECIPE, path)
    ticks = []
    again = train(small(chosen), *digits, chosen, RECIPE, path, ticks.append)
    assert same_bits(first, again)
    assert ticks == [RECIPE.epochs * 30]


def test_checkpoint_of_other_settings_is_refused_and_kept(digits, tmp_path):
    x, y = digits
    path = tmp_path / "net.npz"
    train(small(METHODS["LWA"]), x, y, METHODS["LWA"], RECIPE, path)
    before = path.read_bytes()
    attempts = {
        "method": (small(METHODS["LWA"]), x, y, method("LWA", radius=0.5), RECIPE),
        "recipe": (small(METHODS["LWA"]), x, y, METHODS["LWA"], replace(RECIPE, seed=4)),
        "images": (small(METHODS["LWA"]), x[::-1], y, METHODS["LWA"], RECIPE),
        "start": (mlp(144, 16, 12, 4, input_shape=(1, 12, 12), seed=2), x, y, METHODS["LWA"], RECIPE),
        "network": (mlp(144, 16, 4, input_shape=(1, 12, 12)), x, y, METHODS["LWA"], RECIPE),
    }
    for changed, arguments in attempts.items():
        with pytest.raises(InputError, match=changed):
            train(*arguments, path)
    assert path.read_bytes() == before


def test_training_learns(digits):
    x, y = digits
    network = train(small(METHODS["Normal"]), x, y, METHODS["Normal"], replace(RECIPE, epochs=200, decay=1))
    assert (network(x).argmax(axis=-1) == y).mean() > 0.9


def test_divergence_is_an_error_that_keeps_the_last_checkpoint(digits, tmp_path):
    path = tmp_path / "net.npz"
    with np.errstate(all="ignore"), pytest.raises(InputError, match="rate"):
        train(small(METHODS["Normal"]), *digits, METHODS["Normal"], replace(RECIPE, rate=1e6, epochs=40), path)
    if path.exists():
        assert all(np.isfinite(leaf).all() for leaf in leaves(load(path).parameters))


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": -1},
        {"batch": 0},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"momentum": 1},
        {"decay": -0.1},
        {"decay_at": 1.5},
    ],
)
def test_bad_recipe(changes):
    with pytest.raises(InputError, match=f"{next(iter(changes))}: got"):
        Recipe(**changes)


def test_lenet_trains_in_float64_under_every_method(digits):
    x, y = np.repeat(np.repeat(digits[0], 2, axis=2), 2, axis=3).astype(np.float64), digits[1]
    for chosen in METHODS.values():
        network = lenet((1, 24, 24), 4, rate=chosen.dropout, dtype="float64")
        trained = train(network, x, y, chosen, Recipe(epochs=1, batch=10, rate=0.01))
        assert all(leaf.dtype == np.float64 for leaf in leaves(trained.parameters))
        assert not same_bits(network, trained)


def test_a_network_of_chains_resumes(digits, tmp_path):
    parts = (flatten(), chain(dense(8), relu(), chain(dense(4))), softmax())
    network, path = create(parts, (1, 12, 12)), tmp_path / "net.npz"
    first = train(network, *digits, METHODS["Normal"], RECIPE, path)
    assert same_bits(first, train(network, *digits, METHODS["Normal"], RECIPE, path))


def test_dropout_needs_a_network_with_dropout(digits):
    with pytest.raises(InputError, match="without dropout"):
        train(small(METHODS["Normal"]), *digits, METHODS["Dropout"], RECIPE)


@pytest.mark.parametrize(("changes", "message"), [({"radus": 1}, "radus"), ({"at": 2, "clean": True}, "at=2")])
def test_methods_refuse_what_they_do_not_know(changes, message):
    with pytest.raises(InputError, match=message):
        method("LWA", **changes)


def test_what_could_not_be_loaded_again_is_not_trained(digits, tmp_path):
    own = Layer("square", {}, lambda rng, shape: ((), shape), lambda parameters, x, rng=None: x * x)
    net = create((flatten(), dense(8), own, dense(4), softmax()), (1, 12, 12))
    for write in (
        lambda path: save(path, net),
        lambda path: train(net, *digits, METHODS["Normal"], RECIPE, path, tick=pytest.fail),
    ):
        with pytest.raises(InputError, match="layer: got 'square'"):
            write(tmp_path / "net.npz")
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_saved_as_numbers(digits, tmp_path):
    recipe = replace(RECIPE, epochs=np.int64(1), seed=np.int64(5), rate=np.float32(0.125))
    path, chosen = tmp_path / "net.npz", METHODS["Normal"]
    first = train(small(chosen), *digits, chosen, recipe, path)
    assert same_bits(train(small(chosen), *digits, chosen, recipe, path, tick=lambda n: None), first)
    save(tmp_path / "sizes.npz", mlp(*np.array([4, 3, 2])))
    assert load(tmp_path / "sizes.npz").shapes[0] == (4,)


def test_pixels_outside_the_middle_are_checked_where_crops_reach_them(digits):
    x, y = digits[0].copy(), digits[1]
    x[3, 0, 0, 0] = np.nan
    net = mlp(100, 8, 4, input_shape=(1, 10, 10))
    with pytest.raises(InputError, match="x: got NaN"):
        train(net, x, y, METHODS["Normal"], replace(RECIPE, crop=10))
    with pytest.raises(InputError, match=r"data: got samples of shape \(144,\), expected images"):
        train(net, x.reshape(30, 144), y, METHODS["Normal"], replace(RECIPE, crop=10))


@pytest.mark.parametrize(("share", "epochs", "first"), [(0.56, 25, 14), (0.28, 25, 7), (0.7, 30, 21), (0.5, 5, 3)])
def test_the_rate_decays_once_the_share_of_the_epochs_is_done(share, epochs, first):
    recipe = Recipe(epochs=epochs, rate=1.0, decay=0.5, decay_at=share)
    assert [recipe.sgd(epoch).rate for epoch in (first - 1, first)] == [1.0, 0.5]


@pytest.mark.parametrize("change", [{"radius": 1.5}, {"mixed": "adv_loss"}, {"steps": 2}, {"start": True}, {"at": 3}])
def test_a_perturbation_s_settings_need_a_direction(change):
    with pytest.raises(InputError, match="expected a direction in along"):
        method("Normal", **change)
