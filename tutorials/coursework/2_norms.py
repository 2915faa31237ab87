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
# # Coursework 2: dual norms and Proposition 2.1
#
# How far must $x$ move before the linear model prefers class $j$ to the predicted class $J$? Four questions, 20 points,
# and the paper's Proposition 2.1 with its misprints put right by you.
#
# A norm is named `"l1"`, `"l2"` or `"linf"`. Vectors lie along the last axis, and whatever works on one must work on a
# stack of them. The cells beneath an answer check it, and say nothing if all is well; grading tries more inputs. Answers
# use NumPy alone; one that calls minilwa's own functions counts as wrong.

# %% nbgrader={"grade": false, "grade_id": "numbers", "locked": true, "schema_version": 3, "solution": false}
import numpy as np

from minilwa.course import call, expect, require, same

SEED = 0
NORMS = ("l1", "l2", "linf")
V = np.random.default_rng(SEED).integers(1, 9, size=3) * np.array([1.0, -1.0, 1.0])


def length(r, norm):
    """||r|| along the last axis, to check perturbations with."""
    size = np.abs(r)
    return {"l1": size.sum(axis=-1), "l2": np.sqrt((size**2).sum(axis=-1)), "linf": size.max(axis=-1)}[norm]


# %% [markdown]
# ## 1. The dual norm (3 points)
#
# $\|v\|_* = \max_{\|r\| \le 1} \langle v, r \rangle$, where `norm` names $\|\cdot\|$, not $\|\cdot\|_*$. From `(..., D)`
# to `(...)`.


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true}
def dual_norm(v, norm):
    ### BEGIN SOLUTION
    size = np.abs(v)
    if norm == "l1":
        return size.max(axis=-1)
    return size.sum(axis=-1) if norm == "linf" else np.sqrt((size**2).sum(axis=-1))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1_l1", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(dual_norm, (V, "l1"), np.abs(V).max())
### BEGIN HIDDEN TESTS
v = np.random.default_rng([SEED, 11]).normal(size=(4, 2, 5))
expect(dual_norm, (v, "l1"), np.abs(v).max(axis=-1), hint="dual_norm, l1: try a stack of vectors, negative numbers too")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q1_l2", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(dual_norm, (np.array([3.0, -4.0]), "l2"), 5.0)
### BEGIN HIDDEN TESTS
v = np.random.default_rng([SEED, 12]).normal(size=(4, 2, 5))
expect(dual_norm, (v, "l2"), np.linalg.norm(v, axis=-1), hint="dual_norm, l2: try a stack of vectors")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q1_linf", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(dual_norm, (V, "linf"), np.abs(V).sum())
### BEGIN HIDDEN TESTS
v = np.random.default_rng([SEED, 13]).normal(size=(4, 2, 5))
expect(dual_norm, (v, "linf"), np.abs(v).sum(axis=-1), hint="dual_norm, linf: stacks, negative numbers too")
### END HIDDEN TESTS


# %% [markdown]
# ## 2. The steepest direction (4 points)
#
# An $r$ with $\|r\| = 1$ and $\langle v, r \rangle = \|v\|_*$; where there are several, any of them. Where $v = 0$ there
# is nothing to follow: return zeros, not `nan`. From `(..., D)` to `(..., D)`.


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true}
def steepest(v, norm):
    ### BEGIN SOLUTION
    if norm == "linf":
        return np.sign(v)
    if norm == "l1":
        first = np.abs(v).argmax(axis=-1)[..., None] == np.arange(v.shape[-1])
        return np.sign(v) * first
    total = np.sqrt((v**2).sum(axis=-1, keepdims=True))
    return v / np.where(total > 0, total, 1)
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "steepest_check", "locked": true, "schema_version": 3, "solution": false}
def check_steepest(steepest, v, norm, hint=None):
    """CheckFailed unless `steepest(v, norm)` has length 1 and reaches the dual norm."""
    r = call(steepest, v, norm, hint=hint)
    require(isinstance(r, np.ndarray) and r.shape == v.shape, hint or f"steepest: expected an array of shape {v.shape}")
    dual = {"l1": "linf", "l2": "l2", "linf": "l1"}[norm]
    same(length(r, norm), np.ones(v.shape[:-1]), f"steepest, {norm}: ||r||", hint)
    same((v * r).sum(axis=-1), length(v, dual), f"steepest, {norm}: <v, r>", hint)


# %% nbgrader={"grade": true, "grade_id": "q2_l1", "locked": true, "points": 1, "schema_version": 3, "solution": false}
check_steepest(steepest, V, "l1")
### BEGIN HIDDEN TESTS
v = np.random.default_rng([SEED, 21]).normal(size=(4, 2, 5))
hint = "steepest, l1: which component, and which sign? One vector of a stack at a time"
check_steepest(steepest, np.concatenate([v, -v]), "l1", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_l2", "locked": true, "points": 1, "schema_version": 3, "solution": false}
check_steepest(steepest, V, "l2")
### BEGIN HIDDEN TESTS
v = np.random.default_rng([SEED, 22]).normal(size=(4, 2, 5))
check_steepest(steepest, v, "l2", hint="steepest, l2: one vector of a stack at a time")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_linf", "locked": true, "points": 1, "schema_version": 3, "solution": false}
check_steepest(steepest, V, "linf")
### BEGIN HIDDEN TESTS
v = np.random.default_rng([SEED, 23]).normal(size=(4, 2, 5))
check_steepest(steepest, v, "linf", hint="steepest, linf: try a stack of vectors")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_zero", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(steepest, (np.zeros(3), "l2"), np.zeros(3))
### BEGIN HIDDEN TESTS
for norm in NORMS:
    expect(steepest, (np.zeros((2, 3)), norm), np.zeros((2, 3)), hint=f"steepest, {norm}: zero vectors")
v = np.array([[0.0, 0.0], [3.0, -4.0]])
expect(steepest, (v, "l2"), np.array([[0.0, 0.0], [0.6, -0.8]]), hint="steepest, l2: a zero vector among others")
### END HIDDEN TESTS


# %% [markdown]
# ## 3. Proposition 2.1 (11 points)
#
# The network says $\alpha$, `(N, K)`, and its derivative by $x$ is $T$, `(N, K, D)`. With $J$ the predicted class, the
# largest $\alpha$ of a sample, put $a_j = T_j - T_J$ and $\delta_j = \alpha_J - \alpha_j \ge 0$. In the linear model
# class $j$ catches up with $J$ once $\langle a_j, r \rangle \ge \delta_j$. (The paper prints $\le$ in (1), which $r = 0$
# satisfies, and forgets a sign in the $L_1$ case.)
#
# `proposition_2_1(alpha, T, norm)` returns, for every class $j$ of every sample, the shortest such $r_{(j)}$,
# `(N, K, D)`, and its length, `(N, K)`. Where there are several shortest ones, any of them. Three corners:
#
# - $J$ itself is no candidate: $r = 0$ and length `inf`.
# - $a_j = 0$ and $\delta_j > 0$: no $r$ will do. Again $r = 0$ and length `inf`.
# - $\delta_j = 0$, a tie: $r = 0$ will do. Length 0, whatever $a_j$ is. (Of tied classes the first is $J$.)


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true}
def proposition_2_1(alpha, T, norm):
    ### BEGIN SOLUTION
    samples, J = np.arange(len(alpha)), alpha.argmax(axis=1)
    a = T - T[samples, J][:, None]
    delta = alpha[samples, J][:, None] - alpha
    size = np.abs(a)
    if norm == "l1":
        slope = size.max(axis=-1)
        direction = np.sign(a) * (size.argmax(axis=-1)[..., None] == np.arange(a.shape[-1]))
    elif norm == "linf":
        slope, direction = size.sum(axis=-1), np.sign(a)
    else:
        slope = np.sqrt((size**2).sum(axis=-1))
        direction = a / np.where(slope > 0, slope, 1)[..., None]
    possible = slope > 0
    distance = np.where(possible, delta / np.where(possible, slope, 1), np.inf)
    distance = np.where(delta == 0, 0, distance)
    distance[samples, J] = np.inf
    return direction * np.where(np.isfinite(distance), distance, 0)[..., None], distance
    ### END SOLUTION


# %% nbgrader={"grade": false, "grade_id": "proposition_check", "locked": true, "schema_version": 3, "solution": false}
ALPHA, ROWS = np.array([[0.6, 0.4]]), np.array([[[-1.5, 2.0], [1.5, -2.0]]])  # a_1 = (3, -4), delta_1 = 0.2


def drawn(seed, samples, classes=4, inputs=5):
    """alpha `(N, K)`, and T `(N, K, D)` whose rows sum to zero over the classes, as a network's do."""
    rng = np.random.default_rng(seed)
    alpha = rng.dirichlet(np.ones(classes), size=samples)
    T = rng.normal(size=(samples, classes, inputs))
    return alpha, T - T.mean(axis=1, keepdims=True)


def check_proposition(proposition_2_1, alpha, T, norm, hint=None):
    """CheckFailed unless, for every class but J, r reaches the half-space and is as short as can be."""
    found = call(proposition_2_1, alpha, T, norm, hint=hint)
    require(isinstance(found, list) and len(found) == 2, hint or "proposition_2_1 returns r and the lengths")
    r, distance = found
    same(np.zeros(np.shape(r)), np.zeros(T.shape), "r", hint)
    same(np.zeros(np.shape(distance)), np.zeros(alpha.shape), "length", hint)
    samples, J = np.arange(len(alpha)), alpha.argmax(axis=1)
    others = np.arange(alpha.shape[1]) != J[:, None]
    a, delta = T - T[samples, J][:, None], alpha[samples, J][:, None] - alpha
    dual = {"l1": "linf", "l2": "l2", "linf": "l1"}[norm]
    wanted = delta[others] / length(a, dual)[others]
    what = f"proposition_2_1, {norm}"
    same((a * r).sum(axis=-1)[others], delta[others], f"{what}: <a_j, r> against delta_j", hint)
    same(length(r, norm)[others], wanted, f"{what}: ||r||", hint)
    same(distance[others], wanted, f"{what}: the length returned", hint)


# %% nbgrader={"grade": true, "grade_id": "q3_l2", "locked": true, "points": 2, "schema_version": 3, "solution": false}
check_proposition(proposition_2_1, ALPHA, ROWS, "l2")
### BEGIN HIDDEN TESTS
for i in range(5):
    check_proposition(proposition_2_1, *drawn([SEED, 31, i], 1), "l2", "proposition_2_1, l2: other numbers, and J")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_linf", "locked": true, "points": 2, "schema_version": 3, "solution": false}
check_proposition(proposition_2_1, ALPHA, ROWS, "linf")
### BEGIN HIDDEN TESTS
for i in range(5):
    check_proposition(proposition_2_1, *drawn([SEED, 32, i], 1), "linf", "proposition_2_1, linf: other numbers, and J")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_l1", "locked": true, "points": 2, "schema_version": 3, "solution": false}
check_proposition(proposition_2_1, ALPHA, ROWS, "l1")
### BEGIN HIDDEN TESTS
for i in range(5):
    check_proposition(proposition_2_1, *drawn([SEED, 33, i], 1), "l1", "proposition_2_1, l1: numbers of either sign")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_itself", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# J itself.
### BEGIN HIDDEN TESTS
alpha, T = drawn([SEED, 34], 1)
J = int(alpha[0].argmax())
hint = "proposition_2_1: J itself is no candidate"
for norm in NORMS:
    r, distance = call(proposition_2_1, alpha, T, norm, hint=hint)
    same(distance[0, J], np.inf, "length", hint)
    same(r[0, J], np.zeros(5), "r", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_unreachable", "locked": true, "points": 2, "schema_version": 3, "solution": false}
# No r will do.
### BEGIN HIDDEN TESTS
alpha, T = np.array([[0.5, 0.3, 0.2]]), np.array([[[1.0, -1.0], [1.0, -1.0], [-2.0, 2.0]]])
hint = "proposition_2_1: a_j = 0 and delta_j > 0"
for norm in NORMS:
    r, distance = call(proposition_2_1, alpha, T, norm, hint=hint)
    same(distance[0, 1], np.inf, "length", hint)
    same(r[0, 1], np.zeros(2), "r", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_tie", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# A tie.
### BEGIN HIDDEN TESTS
alpha = np.array([[0.4, 0.4, 0.2]])
hint = "proposition_2_1: delta_j = 0, where r = 0 will do, whatever a_j is"
for T in (np.array([[[1.0, -1.0], [1.0, 2.0], [-2.0, -1.0]]]), np.array([[[1.0, 1.0], [1.0, 1.0], [-2.0, -2.0]]])):
    for norm in NORMS:
        r, distance = call(proposition_2_1, alpha, T, norm, hint=hint)
        same(distance[0, 1], 0.0, "length", hint)
        same(r[0, 1], np.zeros(2), "r", hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Samples with different predictions.
### BEGIN HIDDEN TESTS
alpha, T = drawn([SEED, 37], 8)
alpha[:4] = np.eye(4) * 0.5 + 0.125
for norm in NORMS:
    check_proposition(proposition_2_1, alpha, T, norm, hint=f"proposition_2_1, {norm}: each sample has its own J")
### END HIDDEN TESTS


# %% [markdown]
# ## 4. Is it far enough? (2 points)
#
# `feasible(alpha, T, r)` says for every class $j$ whether $\langle a_j, r_j \rangle \ge \delta_j$, up to a rounding error
# of $10^{-9}$: booleans `(N, K)`, with `r` of shape `(N, K, D)`. For $J$ itself the answer is `False`.


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true}
def feasible(alpha, T, r):
    ### BEGIN SOLUTION
    samples, J = np.arange(len(alpha)), alpha.argmax(axis=1)
    a, delta = T - T[samples, J][:, None], alpha[samples, J][:, None] - alpha
    reached = (a * r).sum(axis=-1) >= delta - 1e-9
    reached[samples, J] = False
    return reached
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(feasible, (ALPHA, ROWS, np.zeros((1, 2, 2))), np.array([[False, False]]))
expect(feasible, (ALPHA, ROWS, np.ones((1, 2, 2)) * np.array([1.0, 0.0])), np.array([[False, True]]))
### BEGIN HIDDEN TESTS
alpha, T = drawn([SEED, 41], 1)
J = int(alpha[0].argmax())
a, delta = T - T[:, [J]], alpha[0, J] - alpha
shortest = a * (delta / (a**2).sum(axis=-1).clip(1e-12))[..., None]
others = np.arange(4) != J
hint = "feasible: (1) as printed holds for r = 0; which way must the inequality point?"
for factor in (0.5, 1 - 1e-6, 1.0, 2.0):
    expect(feasible, (alpha, T, factor * shortest), others[None] & (factor >= 1), hint=hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q4_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Samples with different predictions.
### BEGIN HIDDEN TESTS
alpha, T = drawn([SEED, 42], 6)
alpha[:4] = np.eye(4) * 0.5 + 0.125
samples, J = np.arange(6), alpha.argmax(axis=1)
a, delta = T - T[samples, J][:, None], alpha[samples, J][:, None] - alpha
shortest = a * (delta / (a**2).sum(axis=-1).clip(1e-12))[..., None]
others = np.arange(4) != J[:, None]
for factor in (0.5, 2.0):
    expect(feasible, (alpha, T, factor * shortest), others & (factor > 1), hint="feasible: each sample has its own J")
### END HIDDEN TESTS
