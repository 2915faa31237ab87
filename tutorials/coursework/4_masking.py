# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Coursework 4: break a model
#
# You have been sold a network that reads digits and, its maker says, resists every attack by gradients up to an $L_2$
# radius of 2. His evidence is true. His conclusion is not: the network hides its gradients. Find out how, prove it by
# attacks that succeed, and say by which signs one could have known. 20 points. The cells beneath an answer check it, and
# say nothing if all is well; grading tries other images and other networks. Answers use NumPy alone; one that calls
# minilwa's own functions counts as wrong.
#
# An attack counts by what it does: every perturbed image must lie in the ball, and the network is asked what it sees.

# %% nbgrader={"grade": false, "grade_id": "network", "locked": true, "schema_version": 3, "solution": false}
import numpy as np

import minilwa
from minilwa.course import call, expect, numeric_rows, require, same

SEED = 0
data = minilwa.load_data()  # 5,000 digits of MNIST, pixels in [0, 1)
x_train, y_train = data.x_train.reshape(len(data.x_train), -1), data.y_train
x_test, y_test = data.x_test.reshape(len(data.x_test), -1)[:200], data.y_test[:200]
CLASSES, FLOAT = 10, np.float32


def logits(parameters, x):
    """z `(N, 10)`: dense, ReLU, dense, times the network's `scale`."""
    h = np.maximum(x @ parameters["W1"] + parameters["b1"], 0)
    return parameters["scale"] * (h @ parameters["W2"] + parameters["b2"])


def alpha_of(parameters, x):
    """alpha `(N, 10)` in float32, as the network computes it."""
    z = logits(parameters, x)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def train(seed, scale, hidden=32, epochs=4, batch=50):
    """A network 784-32-10, trained with scale 1 and sold with `scale`, which changes no prediction."""
    rng = np.random.default_rng(seed)
    p = {"W1": rng.normal(0, 0.05, (784, hidden)), "b1": np.zeros(hidden)}
    p |= {"W2": rng.normal(0, 0.2, (hidden, CLASSES)), "b2": np.zeros(CLASSES)}
    p = {name: value.astype(FLOAT) for name, value in p.items()} | {"scale": FLOAT(1)}
    for _ in range(epochs):
        order = rng.permutation(len(x_train))
        for start in range(0, len(order), batch):
            x, y = x_train[order[start : start + batch]], y_train[order[start : start + batch]]
            h = np.maximum(x @ p["W1"] + p["b1"], 0)
            error = (alpha_of(p, x) - np.eye(CLASSES, dtype=FLOAT)[y]) / FLOAT(len(x))
            back = (error @ p["W2"].T) * (h > 0)
            slopes = {"W1": x.T @ back, "b1": back.sum(axis=0), "W2": h.T @ error, "b2": error.sum(axis=0)}
            p |= {name: p[name] - FLOAT(0.3) * slope for name, slope in slopes.items()}
    return p | {"scale": FLOAT(scale)}


def accuracy(parameters, x, y):
    return float((logits(parameters, x).argmax(axis=1) == y).mean())


def moved(x, r, radius):
    """x + radius r / ||r||_2 of each sample, where 0 / ||0|| is 0."""
    total = np.linalg.norm(r, axis=1, keepdims=True)
    return x + (radius * r / np.where(total > 0, total, 1)).astype(x.dtype)


SOLD = train([SEED, 1], scale=3000)
ANOTHER = train([SEED, 2], scale=1)  # the same layers and digits, another start: all that the transfer attack sees

# %% [markdown]
# The maker's evidence: the gradient of the likelihood, as section 3.1.1 of the paper has it, moves nothing, and neither
# does noise of the same length.

# %%
import matplotlib.pyplot as plt

noise = np.random.default_rng(0).normal(size=x_test.shape)
figure, axes = plt.subplots(2, 8, figsize=(9, 2.4))
for images, row, title in zip((x_test, moved(x_test, noise, 2.0)), axes, ("clean", "noise, 2.0"), strict=True):
    for image, axis in zip(images, row, strict=False):
        axis.imshow(image.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(title)
plt.show()
print("clean accuracy", accuracy(SOLD, x_test, y_test), "  noise", accuracy(SOLD, moved(x_test, noise, 2.0), y_test))
print("its alpha on three images:", alpha_of(SOLD, x_test[:3]).max(axis=1))

# %% [markdown]
# ## 1. The gradient that is not there (4 points)
#
# `printed_gradient(parameters, x, y)` returns $T_y = \partial\alpha_y/\partial x$, `(N, 784)`, by the formula in $\alpha$
# as `alpha_of` computes it: $T_y = \alpha_y (J_y - \sum_k \alpha_k J_k)$ with $J_k = \partial z_k/\partial x$. `scale` is
# part of $z$. (`numeric_gradient` beneath is for checking; an answer that calls it, or `numeric_rows`, counts as wrong.)
# `count_zeros(gradients)` counts the samples whose gradient is zero in every component, exactly.


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true}
def printed_gradient(parameters, x, y):
    ### BEGIN SOLUTION
    active = x @ parameters["W1"] + parameters["b1"] > 0
    alpha = alpha_of(parameters, x)
    alpha_y = alpha[np.arange(len(x)), y][:, None]
    cotangent = alpha_y * (np.eye(alpha.shape[1], dtype=alpha.dtype)[y] - alpha)
    return parameters["scale"] * (cotangent @ parameters["W2"].T * active) @ parameters["W1"].T
    ### END SOLUTION


def count_zeros(gradients):
    ### BEGIN SOLUTION
    return int((gradients == 0).all(axis=1).sum())
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "differences", "locked": true, "schema_version": 3, "solution": false}
def numeric_gradient(parameters, x, y, pixels):
    """T_y at some pixels, by central differences in float64, for checking."""
    p = {name: np.asarray(value, dtype=float) for name, value in parameters.items()}
    T = numeric_rows(lambda x: alpha_of(p, x), x.astype(float), pixels, step=1e-4)
    return T[np.arange(len(x)), y]


# %% nbgrader={"grade": true, "grade_id": "q1_gradient", "locked": true, "points": 2, "schema_version": 3, "solution": false}
pixels = np.arange(0, 784, 37)
found = call(printed_gradient, ANOTHER, x_test[:4], y_test[:4])
same(np.shape(found), (4, 784), "shape of printed_gradient")
same(found[:, pixels], numeric_gradient(ANOTHER, x_test[:4], y_test[:4], pixels), "printed_gradient", tolerance=1e-4)
### BEGIN HIDDEN TESTS
pixels, y = np.arange(5, 784, 29), (y_test[20:32] + np.arange(12) % 3) % CLASSES
for scale in (0.5, 2.0):
    parameters = ANOTHER | {"scale": FLOAT(scale)}
    hint = "printed_gradient: other labels than the predicted ones, and another scale"
    found = call(printed_gradient, parameters, x_test[20:32], y, hint=hint)
    wanted = numeric_gradient(parameters, x_test[20:32], y, pixels)
    same(found[:, pixels], wanted, "printed_gradient", hint, tolerance=1e-4)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q1_count", "locked": true, "points": 2, "schema_version": 3, "solution": false}
gradients = np.array([[0.0, 0.0], [0.0, 1e-30], [1.0, -1.0]], dtype=FLOAT)
expect(count_zeros, (gradients,), 1)
### BEGIN HIDDEN TESTS
gradients = np.random.default_rng([SEED, 12]).integers(-1, 2, size=(300, 3)).astype(FLOAT)
wanted = sum(1 for g in gradients if not any(g))
expect(count_zeros, (gradients,), wanted, hint="count_zeros: every component, exactly, no sums")
expect(count_zeros, (np.zeros((5, 4), dtype=FLOAT),), 5, hint="count_zeros: all of them")
### END HIDDEN TESTS


# %% [markdown]
# Now count the zeros of `printed_gradient(SOLD, x_test, y_test)`. What has `scale` done to $\alpha$, and what does float32
# make of $1 - \alpha_y$?

# %% [markdown]
# ## 2. An attack that holds (6 points)
#
# `stable_attack(parameters, x, y, radius)` returns perturbed images, `(N, 784)`, each within `radius` of its `x` in
# $L_2$, that break the sold network although it says nothing through $\alpha$: its accuracy must fall below 0.3 at radius 2
# and below 0.5 at radius 1.5. So must that of another network of the maker, with another scale and its classes in another
# order, below 0.3 at radius 2; and a single image at radius 5 must be misread. The parameters are yours to read: what
# grows along $z$ does not saturate. (Pixels may leave [0, 1] here.)


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true}
def stable_attack(parameters, x, y, radius):
    ### BEGIN SOLUTION
    z = logits(parameters, x)
    onehot = np.eye(z.shape[1], dtype=z.dtype)
    rival = np.where(onehot[y] > 0, -np.inf, z).argmax(axis=1)
    active = x @ parameters["W1"] + parameters["b1"] > 0
    r = ((onehot[rival] - onehot[y]) @ parameters["W2"].T * active) @ parameters["W1"].T
    return moved(x, r, radius)
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "attack_check", "locked": true, "schema_version": 3, "solution": false}
def check_attack(found, parameters, x, y, radius, below, hint=None):
    """CheckFailed unless every image lies in the ball and the network's accuracy on them is `below`."""
    same(np.shape(found), x.shape, "shape of the perturbed images", hint)
    lengths = np.linalg.norm(np.asarray(found, dtype=float) - x, axis=1)
    outside = int((~(lengths <= radius * (1 + 1e-4))).sum())
    require(outside == 0, hint or f"{outside} of {len(x)} images lie outside the ball, or are no numbers")
    reached = accuracy(parameters, np.asarray(found), y)
    require(reached < below, hint or f"the network is right on {reached:.3f} of the images, not below {below}")


# %% nbgrader={"grade": true, "grade_id": "q2_sold", "locked": true, "points": 3, "schema_version": 3, "solution": false}
found = call(stable_attack, SOLD, x_test, y_test, 2.0)
check_attack(found, SOLD, x_test, y_test, 2.0, below=0.3)
### BEGIN HIDDEN TESTS
x, y = data.x_test.reshape(len(data.x_test), -1)[500:700], data.y_test[500:700]
hint = "stable_attack: other images, and another radius"
# seeds 0 to 20: down z_y, up the mean of the others or one of them, the likeliest or any, leaves at most 0.255 and 0.46
for radius, below in ((2.0, 0.3), (1.5, 0.5)):
    found = call(stable_attack, SOLD, x, y, radius, hint=hint)
    check_attack(found, SOLD, x, y, radius, below, hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_other", "locked": true, "points": 3, "schema_version": 3, "solution": false}
# Another network of the same maker, and a single image.
### BEGIN HIDDEN TESTS
other, y = train([SEED, 21], scale=50_000), (y_test + 3) % CLASSES
other |= {name: np.roll(other[name], 3, axis=-1) for name in ("W2", "b2")}  # or an attack on SOLD would do
hint = "stable_attack: another network, with another scale and its classes in another order"
found = call(stable_attack, other, x_test, y, 2.0, hint=hint)
check_attack(found, other, x_test, y, 2.0, 0.3, hint)
for i in range(3):
    found = call(stable_attack, other, x_test[[i]], y[[i]], 5.0, hint="stable_attack: a single image")
    check_attack(found, other, x_test[[i]], y[[i]], 5.0, 0.5, "stable_attack: a single image, radius 5")
### END HIDDEN TESTS


# %% [markdown]
# ## 3. An attack by proxy (4 points)
#
# Perhaps the parameters are secret. `transfer_attack(another, x, y, radius)` sees the parameters of a network of yours
# only, `ANOTHER`, and returns images within the ball that bring the accuracy of the *sold* one at radius 2 below 0.6.


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true}
def transfer_attack(another, x, y, radius):
    ### BEGIN SOLUTION
    z = logits(another, x)
    onehot = np.eye(z.shape[1], dtype=z.dtype)
    rival = np.where(onehot[y] > 0, -np.inf, z).argmax(axis=1)
    active = x @ another["W1"] + another["b1"] > 0
    return moved(x, ((onehot[rival] - onehot[y]) @ another["W2"].T * active) @ another["W1"].T, radius)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3_sold", "locked": true, "points": 2, "schema_version": 3, "solution": false}
found = call(transfer_attack, ANOTHER, x_test, y_test, 2.0)
check_attack(found, SOLD, x_test, y_test, 2.0, below=0.6)
### BEGIN HIDDEN TESTS
x, y = data.x_test.reshape(len(data.x_test), -1)[500:700], data.y_test[500:700]
found = call(transfer_attack, ANOTHER, x, y, 2.0, hint="transfer_attack: other images")
check_attack(found, SOLD, x, y, 2.0, 0.6, "transfer_attack: other images")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_other", "locked": true, "points": 2, "schema_version": 3, "solution": false}
# Another pair of networks: what you learnt about this one does not help.
### BEGIN HIDDEN TESTS
other, proxy = train([SEED, 31], scale=3000), train([SEED, 32], scale=1)
hint = "transfer_attack: another pair of networks"
found = call(transfer_attack, proxy, x_test, y_test, 2.0, hint=hint)
check_attack(found, other, x_test, y_test, 2.0, 0.6, hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 4. An attack by questions (4 points)
#
# `black_box_attack(predict, x, y, radius)` gets no parameters at all: `predict(images)` returns labels, `(N,)`, and you
# may ask for at most 20 labels per image of `x`. `x_train` and `y_train` are yours. Bring the accuracy at radius 3 below
# 0.6. (No gradient is needed: which directions lead to another digit?)


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true}
def black_box_attack(predict, x, y, radius):
    ### BEGIN SOLUTION
    best, fooled = x.copy(), np.zeros(len(x), dtype=bool)
    for k in range(CLASSES):
        tried = moved(x, x_train[y_train == k].mean(axis=0) - x, radius)
        turned = (predict(tried) != y) & ~fooled
        best[turned] = tried[turned]
        fooled |= turned
    return best
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "questions", "locked": true, "schema_version": 3, "solution": false}
def oracle(parameters, images):
    """The function `predict` for a network, which answers 20 questions an image and no more."""
    left = [20 * images]

    def predict(x):
        left[0] -= len(x)
        if left[0] < 0:
            raise RuntimeError(f"more than {20 * images} labels were asked for")
        return logits(parameters, np.asarray(x, dtype=FLOAT)).argmax(axis=1)

    return predict


# %% nbgrader={"grade": true, "grade_id": "q4_sold", "locked": true, "points": 2, "schema_version": 3, "solution": false}
found = call(black_box_attack, oracle(SOLD, len(x_test)), x_test, y_test, 3.0)
check_attack(found, SOLD, x_test, y_test, 3.0, below=0.6)
### BEGIN HIDDEN TESTS
x, y = data.x_test.reshape(len(data.x_test), -1)[500:700], data.y_test[500:700]
found = call(black_box_attack, oracle(SOLD, len(x)), x, y, 3.0, hint="black_box_attack: other images")
check_attack(found, SOLD, x, y, 3.0, 0.6, "black_box_attack: other images")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q4_other", "locked": true, "points": 2, "schema_version": 3, "solution": false}
# Another network, of which you know nothing.
### BEGIN HIDDEN TESTS
other = train([SEED, 41], scale=3000, hidden=48)
hint = "black_box_attack: another network"
found = call(black_box_attack, oracle(other, len(x_test)), x_test, y_test, 3.0, hint=hint)
check_attack(found, other, x_test, y_test, 3.0, 0.6, hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 5. The signs (2 points)
#
# One need not break a network to suspect it. `signs(found)` gets what an evaluation found, a dict: the share `zeros` of
# gradients that vanish exactly, and the accuracies under the attacks `printed` (white box, by the gradient of alpha),
# `stable`, `transfer`, `black_box` and `noise`, all of one radius. Return a list of those of these texts that hold, in
# this order:
#
# - `"vanished gradients"`: more than one gradient in a hundred is zero;
# - `"stable form stronger"`: the stable attack leaves less accuracy than the printed one, by more than 0.05;
# - `"transfer stronger"`, `"black box stronger"`: so does an attack that knows less;
# - `"noise as strong"`: random noise leaves no more accuracy than the printed attack.


# %% nbgrader={"grade": false, "grade_id": "q5", "locked": false, "schema_version": 3, "solution": true}
def signs(found):
    ### BEGIN SOLUTION
    limit = found["printed"] - 0.05
    held = {
        "vanished gradients": found["zeros"] > 0.01,
        "stable form stronger": found["stable"] < limit,
        "transfer stronger": found["transfer"] < limit,
        "black box stronger": found["black_box"] < limit,
        "noise as strong": found["noise"] <= found["printed"],
    }
    return [text for text, holds in held.items() if holds]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q5_masked", "locked": true, "points": 1, "schema_version": 3, "solution": false}
masked = {"zeros": 0.99, "printed": 0.905, "stable": 0.06, "transfer": 0.3, "black_box": 0.73, "noise": 0.91}
wanted = ["vanished gradients", "stable form stronger", "transfer stronger", "black box stronger"]
expect(signs, (masked,), wanted)
### BEGIN HIDDEN TESTS
masked |= {"zeros": 0.005, "transfer": 0.89, "noise": 0.9}
wanted = ["stable form stronger", "black box stronger", "noise as strong"]
expect(signs, (masked,), wanted, hint="signs: another network that hides its gradients")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q5_honest", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# An honest network shows none of them.
### BEGIN HIDDEN TESTS
honest = {"zeros": 0.0, "printed": 0.12, "stable": 0.1, "transfer": 0.4, "black_box": 0.7, "noise": 0.9}
expect(signs, (honest,), [], hint="signs: an honest network shows none of them")
honest |= {"zeros": 0.01, "transfer": 0.08, "stable": 0.075}
expect(signs, (honest,), [], hint="signs: small differences prove nothing")
### END HIDDEN TESTS
