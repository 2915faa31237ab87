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
# # Coursework 3: Proposition 2.2, Algorithm 1, Algorithm 2
#
# From the nearest half-space to learning with an adversary, 20 points. Everything works on a batch: `(N, K)` numbers
# for `N` samples and `K` classes, perturbations `(N, D)`. The cells beneath an answer check it, and say nothing if all is
# well; grading tries more inputs. Answers use NumPy alone; one that calls minilwa's own functions counts as wrong.

# %% nbgrader={"grade": false, "grade_id": "numbers", "locked": true, "schema_version": 3, "solution": false}
import numpy as np

from minilwa.course import call, expect, numeric_rows, same

SEED = 0


def drawn_parameters(seed, inputs=6, hidden=12, classes=4):
    """The parameters of a small network: a dict of `W1` (D, H), `b1` (H,), `W2` (H, K), `b2` (K,)."""
    rng = np.random.default_rng(seed)
    shapes = {"W1": (inputs, hidden), "b1": (hidden,), "W2": (hidden, classes), "b2": (classes,)}
    parameters = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}
    return parameters | {"b1": np.abs(parameters["b1"]) + 0.5}  # so that no image finds all units off


def forward(parameters, x):
    """alpha `(N, K)`: dense, ReLU, dense, softmax."""
    h = np.maximum(x @ parameters["W1"] + parameters["b1"], 0)
    z = h @ parameters["W2"] + parameters["b2"]
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def length(r):
    """||r||_2 of each sample: `(N, D)` to `(N,)`."""
    return np.sqrt((r**2).sum(axis=-1))


PARAMETERS = drawn_parameters(SEED)
X = np.random.default_rng([SEED, 1]).normal(size=(3, 6))

# %% [markdown]
# ## 1. Proposition 2.2 (3 points)
#
# Given the shortest perturbation towards every class, `r` `(N, K, D)`, and its length, `distance` `(N, K)`, the shortest
# one that changes the prediction at all is the shortest of these. Return its class $I$ `(N,)`, the first if several are
# as short, and `r_I` `(N, D)`. A length may be `inf`: that class cannot be reached. If none can, $I = -1$ and $r_I = 0$.


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true}
def proposition_2_2(r, distance):
    ### BEGIN SOLUTION
    nearest = distance.argmin(axis=1)
    chosen = r[np.arange(len(r)), nearest]
    reachable = np.isfinite(distance.min(axis=1))
    return np.where(reachable, nearest, -1), np.where(reachable[:, None], chosen, 0)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
r, distance = np.array([[[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]]]), np.array([[np.inf, 5.0, 2.0]])
expect(proposition_2_2, (r, distance), (np.array([2]), np.array([[0.0, 2.0]])))
### BEGIN HIDDEN TESTS
r, distance = np.array([[[0.0], [3.0], [2.0], [-2.0]]]), np.array([[np.inf, 3.0, 2.0, 2.0]])
hint = "proposition_2_2: the first of several that are as short"
expect(proposition_2_2, (r, distance), (np.array([2]), np.array([[2.0]])), hint=hint)
rng = np.random.default_rng([SEED, 11])
for _ in range(5):
    r = rng.normal(size=(1, 4, 3))
    I = length(r).argmin(axis=1)
    expect(proposition_2_2, (r, length(r)), (I, r[0, I]), hint="proposition_2_2: try other numbers")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q1_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Several samples, each with its own I.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 12])
r = rng.normal(size=(9, 4, 3))
I = length(r).argmin(axis=1)
wanted = (I, r[np.arange(9), I])
expect(proposition_2_2, (r, length(r)), wanted, hint="proposition_2_2: each sample has its own I")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q1_unreachable", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# No class can be reached.
### BEGIN HIDDEN TESTS
r, distance = np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[np.inf, np.inf]])
hint = "proposition_2_2: no class can be reached"
expect(proposition_2_2, (r, distance), (np.array([-1]), np.zeros((1, 2))), hint=hint)
r, distance = np.arange(1.0, 13.0).reshape(3, 2, 2), np.array([[np.inf, np.inf], [np.inf, 7.0], [np.inf, np.inf]])
hint = "proposition_2_2: no class can be reached, for some samples of a batch"
I, r_I = call(proposition_2_2, r, distance, hint=hint)
same(I == -1, np.array([True, False, True]), "I", hint)
same(r_I[[0, 2]], np.zeros((2, 2)), "r_I", hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 2. The rows of T (4 points)
#
# For the network of `forward`, with ReLU'(0) = 0: return $\alpha$ `(N, K)` and $T = \partial\alpha / \partial x$,
# `(N, K, D)`. Its rows must sum to zero over the classes. Why? `numeric_T` beneath your answer finds $T$ by central
# differences of `forward`. It is for checking: away from kinks it must agree, and an answer that calls it, or
# `numeric_rows`, counts as wrong.


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true}
def rows(parameters, x):
    ### BEGIN SOLUTION
    active = x @ parameters["W1"] + parameters["b1"] > 0
    alpha = forward(parameters, x)
    softmax_rows = alpha[:, :, None] * (np.eye(alpha.shape[1]) - alpha[:, None, :])
    return alpha, (softmax_rows @ parameters["W2"].T * active[:, None]) @ parameters["W1"].T
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "differences", "locked": true, "schema_version": 3, "solution": false}
def numeric_T(parameters, x):
    """T by central differences of `forward`, for checking."""
    return numeric_rows(lambda x: forward(parameters, x), x)


# %% nbgrader={"grade": true, "grade_id": "q2_alpha", "locked": true, "points": 1, "schema_version": 3, "solution": false}
alpha, T = call(rows, PARAMETERS, X[:1])
same(alpha, forward(PARAMETERS, X[:1]), "alpha")
### BEGIN HIDDEN TESTS
parameters = drawn_parameters([SEED, 21], inputs=3, hidden=9, classes=5)
x = np.random.default_rng([SEED, 22]).normal(size=(1, 3))
alpha, T = call(rows, parameters, x, hint="rows: a network of another size")
same(alpha, forward(parameters, x), "alpha", hint="rows: alpha of another network")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_rows", "locked": true, "points": 2, "schema_version": 3, "solution": false}
alpha, T = call(rows, PARAMETERS, X[:1])
same(T, numeric_T(PARAMETERS, X[:1]), "T")
### BEGIN HIDDEN TESTS
for i in range(4):
    parameters = drawn_parameters([SEED, 23, i], inputs=3, hidden=9, classes=5)
    x = np.random.default_rng([SEED, 24, i]).normal(size=(1, 3))
    alpha, T = call(rows, parameters, x, hint="rows: a network of another size")
    same(T, numeric_T(parameters, x), "T", hint="rows: T of another network; is every factor of the chain in it?")
hint = "rows: units at 0 exactly, where ReLU' is 0"  # 1/2 by central differences
alpha, T = call(rows, PARAMETERS | {"b1": np.zeros(12)}, np.zeros((1, 6)), hint=hint)
same(T, np.zeros((1, 4, 6)), "T", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
alpha, T = call(rows, PARAMETERS, X)
same(T, numeric_T(PARAMETERS, X), "T")
### BEGIN HIDDEN TESTS
x = np.random.default_rng([SEED, 25]).normal(size=(7, 6))
alpha, T = call(rows, PARAMETERS, x, hint="rows: a batch of seven")
same(alpha, forward(PARAMETERS, x), "alpha", hint="rows: alpha of a batch of seven")
same(T, numeric_T(PARAMETERS, x), "T", hint="rows: T of a batch of seven")
### END HIDDEN TESTS


# %% [markdown]
# ## 3. Algorithm 1 (4 points)
#
# Two functions are handed to you. `network(x)` returns $\alpha$ and $T$. `candidates(alpha, T)` returns `r` and
# `distance` for every class by the formula of Proposition 2.1. The listing lets $j$ run over all classes; for $J$ itself
# the formula says 0/0, so that what stands there has no meaning: it may be `inf`, `nan` or 0.
#
# Return the nearest class $I$ `(N,)` and `r_I` `(N, D)`. Here every class but $J$ can be reached. If several classes have
# the largest $\alpha$, the first is $J$, and the others are reached with length 0.


# %% nbgrader={"grade": false, "grade_id": "formula", "locked": true, "schema_version": 3, "solution": false}
def candidates_with(odd):
    """The function `candidates` of question 3, in L2, with the length `odd` for J itself."""

    def candidates(alpha, T):
        samples, J = np.arange(len(alpha)), alpha.argmax(axis=1)
        a, delta = T - T[samples, J][:, None], alpha[samples, J][:, None] - alpha
        slope = length(a)
        slope[samples, J] = 1
        distance = delta / slope
        distance[samples, J] = odd
        return (delta / slope**2)[..., None] * a, distance

    return candidates


def network_of(parameters):
    """The function `network` of question 3, by central differences."""
    return lambda x: (forward(parameters, x), numeric_T(parameters, x))


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true}
def algorithm_1(x, network, candidates):
    ### BEGIN SOLUTION
    alpha, T = network(x)
    r, distance = candidates(alpha, T)
    others = np.arange(alpha.shape[1]) != alpha.argmax(axis=1)[:, None]
    nearest = np.where(others, distance, np.inf).argmin(axis=1)
    return nearest, r[np.arange(len(x)), nearest]
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "nearest", "locked": true, "schema_version": 3, "solution": false}
def nearest_of(alpha, T):
    """I and r_I, sample by sample and class by class."""
    classes, perturbations = [], []
    for a, t in zip(alpha, T, strict=True):
        J = int(a.argmax())
        lengths = [np.inf if j == J else (a[J] - a[j]) / length(t[j] - t[J]) for j in range(len(a))]
        I = int(np.argmin(lengths))
        classes.append(I)
        perturbations.append(lengths[I] * (t[I] - t[J]) / length(t[I] - t[J]))
    return np.array(classes), np.array(perturbations)


# %% nbgrader={"grade": true, "grade_id": "q3_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
network = network_of(PARAMETERS)
found = call(algorithm_1, X[:1], network, candidates_with(np.inf))
same(found, nearest_of(*network(X[:1])), "algorithm_1")
### BEGIN HIDDEN TESTS
for i in range(5):
    network = network_of(drawn_parameters([SEED, 31, i]))
    x = np.random.default_rng([SEED, 32, i]).normal(size=(1, 6))
    found = call(algorithm_1, x, network, candidates_with(np.inf), hint="algorithm_1: other networks")
    same(found, nearest_of(*network(x)), "algorithm_1", hint="algorithm_1: other networks")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_itself", "locked": true, "points": 2, "schema_version": 3, "solution": false}
# What stands at J has no meaning; a length of 0 elsewhere has.
### BEGIN HIDDEN TESTS
tie = np.array([[0.2, 0.4, 0.4]]), np.random.default_rng([SEED, 34]).normal(size=(1, 3, 6))
for network, what in ((network_of(PARAMETERS), ""), (lambda x: tie, ", and another class is as likely")):
    for odd in (np.nan, 0.0):
        hint = f"algorithm_1: the formula gave {odd} for J itself{what}"
        found = call(algorithm_1, X[:1], network, candidates_with(odd), hint=hint)
        same(found, nearest_of(*network(X[:1])), "algorithm_1", hint=hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Several samples, each with its own J and I.
### BEGIN HIDDEN TESTS
network, x = network_of(PARAMETERS), np.random.default_rng([SEED, 33]).normal(size=(9, 6))
hint = "algorithm_1: a batch of nine"
found = call(algorithm_1, x, network, candidates_with(np.inf), hint=hint)
same(found, nearest_of(*network(x)), "algorithm_1", hint=hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 4. The perturbation that lowers the likelihood (4 points)
#
# Section 3.1.1: given the rows $T_y$ `(N, D)` of the true classes, the $r$ with $\|r\| = 1$ that *lowers* $\alpha_y$ in
# the linear model as fast as can be, `(N, D)`; if there are several, any. Where $T_y = 0$ return zeros. Check the signs
# that the paper prints before you copy them. `norm` is `"l1"`, `"l2"` or `"linf"`.


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true}
def likelihood_direction(T_y, norm):
    ### BEGIN SOLUTION
    if norm == "linf":
        return -np.sign(T_y)
    if norm == "l1":
        return -np.sign(T_y) * (np.abs(T_y).argmax(axis=1)[:, None] == np.arange(T_y.shape[1]))
    total = length(T_y)[:, None]
    return -T_y / np.where(total > 0, total, 1)
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "direction_check", "locked": true, "schema_version": 3, "solution": false}
def check_direction(likelihood_direction, T_y, norm, hint=None):
    """CheckFailed unless r has length 1 and lowers alpha_y as fast as the dual norm allows."""
    r = call(likelihood_direction, T_y, norm, hint=hint)
    same(0 * np.asarray(r), 0 * T_y, "r", hint)
    size, steep = np.abs(r), np.abs(T_y)
    if norm == "l2":
        norm_of_r, dual = length(r), length(T_y)
    else:
        norm_of_r, dual = size.sum(axis=1), steep.max(axis=1)
        if norm == "linf":
            norm_of_r, dual = size.max(axis=1), steep.sum(axis=1)
    same(norm_of_r, np.ones(len(T_y)), f"likelihood_direction, {norm}: ||r||", hint)
    same((T_y * r).sum(axis=1), -dual, f"likelihood_direction, {norm}: <T_y, r>", hint)


# %% nbgrader={"grade": true, "grade_id": "q4_l2", "locked": true, "points": 1, "schema_version": 3, "solution": false}
check_direction(likelihood_direction, np.array([[3.0, -4.0, 1.0]]), "l2")
### BEGIN HIDDEN TESTS
T_y = np.random.default_rng([SEED, 41]).normal(size=(6, 5))
check_direction(likelihood_direction, T_y, "l2", hint="likelihood_direction, l2: other numbers, several samples")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q4_linf", "locked": true, "points": 1, "schema_version": 3, "solution": false}
check_direction(likelihood_direction, np.array([[3.0, -4.0, 1.0]]), "linf")
### BEGIN HIDDEN TESTS
T_y = np.random.default_rng([SEED, 42]).normal(size=(6, 5))
check_direction(likelihood_direction, T_y, "linf", hint="likelihood_direction, linf: other numbers, several samples")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q4_l1", "locked": true, "points": 1, "schema_version": 3, "solution": false}
check_direction(likelihood_direction, np.array([[3.0, -4.0, 1.0]]), "l1")
### BEGIN HIDDEN TESTS
T_y = np.random.default_rng([SEED, 43]).normal(size=(6, 5))
check_direction(likelihood_direction, np.concatenate([T_y, -T_y]), "l1", hint="likelihood_direction, l1: either sign")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q4_zero", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# A row of zeros, as saturated networks have them.
### BEGIN HIDDEN TESTS
for norm in ("l1", "l2", "linf"):
    hint = f"likelihood_direction, {norm}: T_y = 0"
    expect(likelihood_direction, (np.zeros((2, 3)), norm), np.zeros((2, 3)), hint=hint)
    found = call(likelihood_direction, np.array([[0.0, 0.0, 0.0], [3.0, -4.0, 1.0]]), norm, hint=hint)
    same((np.asarray(found) == 0).all(axis=1), np.array([True, False]), "r = 0", f"{hint}, one sample of several")
### END HIDDEN TESTS


# %% [markdown]
# ## 5. Pseudo-samples (2 points)
#
# Line 5 of Algorithm 2: $\hat x_i = x_i + c \, r^*_i / \|r^*_i\|_2$. The radius $c$ is measured in $L_2$ whatever norm
# gave the direction, and $0 / \|0\|$ is 0.


# %% nbgrader={"grade": false, "grade_id": "q5", "locked": false, "schema_version": 3, "solution": true}
def pseudo_samples(x, r, c):
    ### BEGIN SOLUTION
    total = length(r)[:, None]
    return x + c * r / np.where(total > 0, total, 1)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q5_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(pseudo_samples, (np.array([[1.0, 1.0]]), np.array([[3.0, -4.0]]), 10.0), np.array([[7.0, -7.0]]))
### BEGIN HIDDEN TESTS
x, r = np.random.default_rng([SEED, 51]).normal(size=(2, 5, 4))
hint = "pseudo_samples: each sample moves by c"
expect(pseudo_samples, (x, r, 1.5), x + 1.5 * r / length(r)[:, None], hint=hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q5_zero", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# A perturbation of zeros.
### BEGIN HIDDEN TESTS
x, r = np.array([[1.0, 2.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [3.0, -4.0]])
expect(pseudo_samples, (x, r, 10.0), np.array([[1.0, 2.0], [7.0, -7.0]]), hint="pseudo_samples: r = 0")
### END HIDDEN TESTS


# %% [markdown]
# ## 6. Algorithm 2 (3 points)
#
# `batches` is a list of pairs `(x, y)`. For each: `perturb(parameters, x, y)` returns the pseudo-samples of the batch,
# and `gradient(parameters, x, y)` the gradient of the mean loss of any batch, a dict like `parameters`. Learn from the
# pseudo-samples, by plain steps of `rate` down the gradient. Return the parameters after the last batch.


# %% nbgrader={"grade": false, "grade_id": "q6", "locked": false, "schema_version": 3, "solution": true}
def algorithm_2(parameters, batches, perturb, gradient, rate):
    ### BEGIN SOLUTION
    for x, y in batches:
        slope = gradient(parameters, perturb(parameters, x, y), y)
        parameters = {name: value - rate * slope[name] for name, value in parameters.items()}
    return parameters
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "regression", "locked": true, "schema_version": 3, "solution": false}
def line_gradient(parameters, x, y):
    """The gradient of the mean of (x @ w - y)^2 / 2: a network small enough to compute with by hand."""
    return {"w": x.T @ (x @ parameters["w"] - y) / len(x)}


def no_perturbation(parameters, x, y):
    return x


def away(parameters, x, y):
    """The pseudo-samples at L2 distance 1, where the loss of every sample grows fastest."""
    return x + np.sign(x @ parameters["w"] - y)[:, None] * parameters["w"] / length(parameters["w"])


# %% nbgrader={"grade": true, "grade_id": "q6_plain", "locked": true, "points": 1, "schema_version": 3, "solution": false}
x, y, w = np.array([[1.0, 2.0]]), np.array([1.0]), np.array([2.0, 1.0])
found = call(algorithm_2, {"w": w}, [(x, y)], no_perturbation, line_gradient, 0.1)
same(found, {"w": np.array([1.7, 0.4])}, "algorithm_2")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 61])
x, y, w = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3)
hint = "algorithm_2: without a perturbation it is gradient descent"
found = call(algorithm_2, {"w": w}, [(x, y)], no_perturbation, line_gradient, 0.3, hint=hint)
same(found, {"w": w - 0.3 * line_gradient({"w": w}, x, y)["w"]}, "algorithm_2", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q6_adversary", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# One batch, with an adversary.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 62])
x, y, w = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3)
hint = "algorithm_2: the gradient is taken on the pseudo-samples, and on nothing else"
found = call(algorithm_2, {"w": w}, [(x, y)], away, line_gradient, 0.3, hint=hint)
same(found, {"w": w - 0.3 * line_gradient({"w": w}, away({"w": w}, x, y), y)["w"]}, "algorithm_2", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q6_batches", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Several batches: who is the adversary of the second one?
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 63])
w = rng.normal(size=3)
batches = [(rng.normal(size=(4, 3)), rng.normal(size=4)) for _ in range(3)]
hint = "algorithm_2: each batch perturbs, and updates, the network as the batch before left it"
found = call(algorithm_2, {"w": w}, batches, away, line_gradient, 0.3, hint=hint)
for x, y in batches:
    w = w - 0.3 * line_gradient({"w": w}, away({"w": w}, x, y), y)["w"]
same(found, {"w": w}, "algorithm_2", hint)
### END HIDDEN TESTS
