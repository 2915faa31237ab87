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
# # Coursework 1: the backward pass, by hand
#
# Six vector-Jacobian products and the loop that strings them together, 20 points. You need NumPy and the chain rule;
# the paper comes later.
#
# A function takes arrays to an array `value`. Its *vjp* takes a cotangent `g`, an array of the shape of `value`, to one
# cotangent for each input, of that input's shape: the gradient of `(g * value).sum()`.
#
# Write the functions where it says `YOUR CODE HERE`. The cells beneath check them at once, and say nothing if all is
# well. When they are graded, more inputs are tried than the ones you see: other shapes, other numbers, huge ones too, the
# corners that the text names. Answers use NumPy alone. An answer that calls minilwa's own functions counts as wrong,
# wherever it took them from.

# %% nbgrader={"grade": false, "grade_id": "numbers", "locked": true, "schema_version": 3, "solution": false}
import numpy as np

from minilwa.course import call, expect, numeric_vjp, require, same

SEED = 0
SLOPE = round(float(np.random.default_rng(SEED).uniform(0.05, 0.35)), 2)  # of the leaky ReLU below


def leaky_relu(a):
    return np.where(a > 0, a, SLOPE * a)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# %% [markdown]
# `SLOPE` differs from class to class. `numeric_vjp(function, g, *inputs)` finds a vjp by central differences: slow, no use
# at kinks, and independent of all calculus. It is for checking: what you derive must agree with it, and an answer that
# calls it counts as wrong.

# %%
numeric_vjp(leaky_relu, np.ones(3), np.array([-2.0, 1.0, 3.0]))

# %% [markdown]
# ## Broadcasting
#
# NumPy stretches axes: `(4, 3) + (3,)` is `(4, 3)`. A number that was used four times receives the sum of four
# cotangents. This function is not graded by itself, but questions 1 and 2 can be told in one line each with it.


# %% nbgrader={"grade": false, "grade_id": "unbroadcast", "locked": false, "schema_version": 3, "solution": true}
def unbroadcast(g, shape):
    """`g` summed over the axes along which an array of `shape` was stretched; the result has that shape."""
    ### BEGIN SOLUTION
    added = g.ndim - len(shape)
    stretched = [i for i in range(len(shape)) if shape[i] != g.shape[added + i]]
    return g.sum(axis=(*range(added), *(added + i for i in stretched))).reshape(shape)
    ### END SOLUTION


# %% [markdown]
# ## 1. `value = a + b` (2 points)
#
# Return the two cotangents `(ga, gb)`. Either input may have been stretched.


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true}
def add_vjp(g, a, b):
    ### BEGIN SOLUTION
    return unbroadcast(g, a.shape), unbroadcast(g, b.shape)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
g, a, b = np.array([[1.0, -2.0], [0.5, 3.0]]), np.ones((2, 2)), np.zeros((2, 2))
expect(add_vjp, (g, a, b), (g, g))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 11])
g, a, b = rng.normal(size=(3, 3, 5))
for size in (1, 1e12):  # of this size a + 1e-5 is a, so that differences are of no use
    expect(add_vjp, (g, size * a, size * b), (g, g), hint="add_vjp: try other numbers and shapes")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q1_broadcast", "locked": true, "points": 1, "schema_version": 3, "solution": false}
g, a, b = np.array([[1.0, 2.0], [10.0, 20.0]]), np.ones((2, 2)), np.ones(2)
expect(add_vjp, (g, a, b), (g, np.array([11.0, 22.0])))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 12])
for left, right in (((4, 3), (3,)), ((4, 1), (1, 3)), ((1, 3), (2, 4, 3)), ((), (2, 3)), ((2, 1, 3), (5, 1))):
    a, b = rng.normal(size=left), rng.normal(size=right)
    g = rng.normal(size=(a + b).shape)
    hint = f"add_vjp: shapes {left} and {right} are not summed back as they were stretched"
    wanted = numeric_vjp(np.add, g, a, b)
    for size in (1, 1e12):
        expect(add_vjp, (g, np.array(size * a), np.array(size * b)), wanted, hint=hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 2. `value = a * b` (2 points)


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true}
def multiply_vjp(g, a, b):
    ### BEGIN SOLUTION
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
g, a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, -6.0])
expect(multiply_vjp, (g, a, b), (np.array([5.0, -12.0]), np.array([3.0, 8.0])))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 21])
g, a, b = rng.normal(size=(3, 3, 5))
for size in (1, 1e12):
    wanted = (size * g * b, size * g * a)
    expect(multiply_vjp, (g, size * a, size * b), wanted, hint="multiply_vjp: try other numbers and shapes")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q2_broadcast", "locked": true, "points": 1, "schema_version": 3, "solution": false}
g, a, b = np.array([[1.0, 2.0], [10.0, 20.0]]), np.ones((2, 2)), np.array([1.0, 3.0])
expect(multiply_vjp, (g, a, b), (np.array([[1.0, 6.0], [10.0, 60.0]]), np.array([11.0, 22.0])))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 22])
for left, right in (((4, 3), (3,)), ((4, 1), (1, 3)), ((1, 3), (2, 4, 3)), ((), (2, 3)), ((2, 1, 3), (5, 1))):
    a, b = rng.normal(size=left), rng.normal(size=right)
    g = rng.normal(size=(a * b).shape)
    hint = f"multiply_vjp: shapes {left} and {right} are not summed back as they were stretched"
    wanted = numeric_vjp(np.multiply, g, a, b, step=1.0)  # exact, since the product is linear in each input
    for size in (1, 1e12):
        scaled = [size * part for part in wanted]
        expect(multiply_vjp, (g, np.array(size * a), np.array(size * b)), scaled, hint=hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 3. `value = a @ b` (2 points)
#
# `b` is a matrix `(M, P)`. `a` is `(N, M)`, or has axes before these, `(..., N, M)`: the same `b` then serves them all.


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true}
def matmul_vjp(g, a, b):
    ### BEGIN SOLUTION
    rows, cotangents = a.reshape(-1, a.shape[-1]), g.reshape(-1, g.shape[-1])
    return g @ b.T, rows.T @ cotangents
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
g, a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0, 5.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
expect(matmul_vjp, (g, a, b), (np.array([[1.0, 2.0, 6.0]]), np.array([[3.0, 6.0], [4.0, 8.0], [5.0, 10.0]])))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 31])
a, b, g = rng.normal(size=(1, 4)), rng.normal(size=(4, 2)), rng.normal(size=(1, 2))
wanted = numeric_vjp(np.matmul, g, a, b, step=1.0)
for size in (1, 1e12):
    scaled = [size * part for part in wanted]
    expect(matmul_vjp, (g, size * a, size * b), scaled, hint="matmul_vjp: try other numbers and shapes")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q3_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# More rows than one, and more axes than two.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 32])
for leading in ((3,), (2, 3), (2, 2, 1)):
    a, b = rng.normal(size=(*leading, 4)), rng.normal(size=(4, 2))
    g = rng.normal(size=(*leading, 2))
    hint = f"matmul_vjp: wrong for a of shape {a.shape}; how many rows does b serve?"
    wanted = numeric_vjp(np.matmul, g, a, b, step=1.0)
    for size in (1, 1e12):
        expect(matmul_vjp, (g, size * a, size * b), [size * part for part in wanted], hint=hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 4. `value = leaky_relu(a)` (2 points)
#
# The slope is 1 where `a > 0` and `SLOPE` elsewhere, at 0 too.


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true}
def leaky_relu_vjp(g, a):
    ### BEGIN SOLUTION
    return g * np.where(a > 0, 1.0, SLOPE)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(leaky_relu_vjp, (np.array([1.0, 10.0]), np.array([2.0, -3.0])), np.array([1.0, 10 * SLOPE]))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 41])
g, a = rng.normal(size=(2, 4, 3))
wanted = numeric_vjp(leaky_relu, g, a)[0]
for size in (1, 1e12):
    expect(leaky_relu_vjp, (g, size * a), wanted, hint="leaky_relu_vjp: try other numbers and shapes")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q4_zero", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# At 0 exactly.
### BEGIN HIDDEN TESTS
g, a = np.array([3.0, -4.0, 5.0]), np.array([0.0, -0.0, 1.0])
hint = "leaky_relu_vjp: which slope does the text give to a = 0?"
expect(leaky_relu_vjp, (g, a), np.array([3 * SLOPE, -4 * SLOPE, 5.0]), hint=hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 5. `value = softmax(z)`, over the last axis (2 points)
#
# Logits of any size must do: $e^{1000}$ is no number, the softmax of 1000 is.


# %% nbgrader={"grade": false, "grade_id": "q5", "locked": false, "schema_version": 3, "solution": true}
def softmax_vjp(g, z):
    ### BEGIN SOLUTION
    alpha = softmax(z)
    return alpha * (g - (g * alpha).sum(axis=-1, keepdims=True))
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q5_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(softmax_vjp, (np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]])), np.array([[0.25, -0.25]]))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 51])
g, z = rng.normal(size=(2, 1, 5))
hint = "softmax_vjp: alpha_i depends on every z_j, not on z_i alone"
expect(softmax_vjp, (g, z), numeric_vjp(softmax, g, z)[0], hint=hint)
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q5_batch", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Several samples, one with large logits.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 52])
for shape in ((4, 3), (2, 3, 4)):
    g, z = rng.normal(size=(2, *shape))
    expect(softmax_vjp, (g, z), numeric_vjp(softmax, g, z)[0], hint=f"softmax_vjp: wrong for logits of shape {shape}")
g, z = np.array([[1.0, 0.0, 2.0]]), np.array([[1e12, 1e12, -1e12]])
expect(softmax_vjp, (g, z), np.array([[0.25, -0.25, 0.0]]), hint="softmax_vjp: large logits overflow")
### END HIDDEN TESTS


# %% [markdown]
# ## 6. `value = a.max(axis=-1)` (2 points)
#
# Several entries of a row may be equal to its maximum. Then they share the cotangent in equal parts.


# %% nbgrader={"grade": false, "grade_id": "q6", "locked": false, "schema_version": 3, "solution": true}
def row_max_vjp(g, a):
    ### BEGIN SOLUTION
    largest = a == a.max(axis=-1, keepdims=True)
    return g[..., None] * largest / largest.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q6_values", "locked": true, "points": 1, "schema_version": 3, "solution": false}
expect(row_max_vjp, (np.array([5.0]), np.array([[1.0, 7.0, 2.0]])), np.array([[0.0, 5.0, 0.0]]))
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 61])
a, g = rng.permutation(12.0 * np.arange(12)).reshape(3, 4), rng.normal(size=3)
wanted = numeric_vjp(lambda a: a.max(axis=-1), g, a)[0]
for size in (1, 1e12):
    expect(row_max_vjp, (g, size * a), wanted, hint="row_max_vjp: try other numbers and shapes")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q6_ties", "locked": true, "points": 1, "schema_version": 3, "solution": false}
# Equal entries.
### BEGIN HIDDEN TESTS
g, a = np.array([6.0, 1.0]), np.array([[4.0, 4.0, 1.0, 4.0], [0.0, 2.0, 2.0, 1.0]])
hint = "row_max_vjp: equal maxima share the cotangent"
expect(row_max_vjp, (g, a), np.array([[2.0, 2.0, 0.0, 2.0], [0.0, 0.5, 0.5, 0.0]]), hint=hint)
### END HIDDEN TESTS


# %% [markdown]
# ## 7. The backward pass (8 points)
#
# A tape is a list of records `(op, parents, value)`: the name of the operation, the places on the tape of the values
# that it was applied to, and what came out. An input has the op `""` and no parents. Here is $y = x \cdot x + \sin x$:

# %% nbgrader={"grade": false, "grade_id": "tape", "locked": true, "schema_version": 3, "solution": false}
VJPS = {
    "plus": lambda g, a, b: [g, g],
    "times": lambda g, a, b: [g * b, g * a],
    "sin": lambda g, a: [g * np.cos(a)],
}
x = np.array([0.5, 2.0])
TAPE = [("", [], x), ("times", [0, 0], x * x), ("sin", [0], np.sin(x)), ("plus", [1, 2], x * x + np.sin(x))]

# %% [markdown]
# `backward(tape, output, cotangent, vjps)` returns a list with one array for every record: the gradient of
# `(cotangent * value of the output).sum()` for that record's value, in its shape; zeros where the output does not
# depend on it. `vjps[op](g, *values of the parents)` gives one cotangent for each parent.
#
# Records may lie on the tape in any order, later ones before their parents. A tape may be thousands of records deep,
# and a value may be used twice by one that is used twice, again and again: count the ways from end to start before you
# walk each of them.


# %% nbgrader={"grade": false, "grade_id": "q7", "locked": false, "schema_version": 3, "solution": true}
def backward(tape, output, cotangent, vjps):
    ### BEGIN SOLUTION
    order, seen, todo = [], set(), [(output, False)]
    while todo:
        place, finished = todo.pop()
        if finished:
            order.append(place)
        elif place not in seen:
            seen.add(place)
            todo.append((place, True))
            todo += [(parent, False) for parent in tape[place][1]]
    gradients = [np.zeros_like(value) for _, _, value in tape]
    gradients[output] = cotangent
    for place in reversed(order):
        op, parents, _ = tape[place]
        if parents:
            cotangents = vjps[op](gradients[place], *(tape[parent][2] for parent in parents))
            for parent, part in zip(parents, cotangents, strict=True):
                gradients[parent] = gradients[parent] + part
    return gradients
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q7_chain", "locked": true, "points": 2, "schema_version": 3, "solution": false}
x = np.array([0.5, 2.0])
tape = [("", [], x), ("sin", [0], np.sin(x)), ("sin", [1], np.sin(np.sin(x)))]
ones = np.ones(2)
expect(backward, (tape, 2, ones, VJPS), [np.cos(np.sin(x)) * np.cos(x), np.cos(np.sin(x)), ones])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 71])
x, g = rng.normal(size=(2, 3))
tape = [("", [], x), ("triple", [0], 3 * x), ("sin", [1], np.sin(3 * x))]
vjps = VJPS | {"triple": lambda g, a: [3 * g]}
wanted = [3 * g * np.cos(3 * x), g * np.cos(3 * x), g]
expect(backward, (tape, 2, g, vjps), wanted, hint="backward: a chain with a cotangent that is not all ones")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q7_shared", "locked": true, "points": 2, "schema_version": 3, "solution": false}
x = np.array([0.5, 2.0])
expect(backward, (TAPE, 3, np.ones(2), VJPS), [2 * x + np.cos(x), np.ones(2), np.ones(2), np.ones(2)])
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 72])
x, y, g = rng.normal(size=(3, 3))
tape = [("", [], x), ("", [], y), ("times", [0, 1], x * y), ("times", [2, 0], x * y * x)]
tape.append(("plus", [3, 2], x * y * (x + 1)))
wanted = [g * y * (2 * x + 1), g * x * (x + 1), g * (x + 1), g, g]
expect(backward, (tape, 4, g, VJPS), wanted, hint="backward: a value that is used more than once")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q7_unused", "locked": true, "points": 2, "schema_version": 3, "solution": false}
# What the output does not depend on, and an output that is not the last record.
### BEGIN HIDDEN TESTS
rng = np.random.default_rng([SEED, 73])
x, y, g = rng.normal(size=(3, 2))
tape = [("", [], x), ("", [], y), ("sin", [0], np.sin(x)), ("times", [2, 1], np.sin(x) * y)]
wanted = [g * np.cos(x), np.zeros(2), g, np.zeros(2)]
expect(backward, (tape, 2, g, VJPS), wanted, hint="backward: records that the output does not depend on get zeros")
### END HIDDEN TESTS

# %% nbgrader={"grade": true, "grade_id": "q7_order", "locked": true, "points": 2, "schema_version": 3, "solution": false}
# Any order, thousands deep, and more ways from end to start than anyone can walk.
### BEGIN HIDDEN TESTS
g, deep = np.array([1.5]), 1500
chain = [("plus", [i + 1, deep], np.zeros(1)) for i in range(deep)] + [("", [], np.zeros(1))]
found = call(backward, chain, 0, g, VJPS, hint="backward: a tape 1500 records deep, its input at the end")
hint = "backward: wrong on a deep tape whose input comes last"
require(isinstance(found, list) and len(found) == deep + 1, hint)
same(found[deep], (deep + 1) * g, "backward", hint)
doubling = [("", [], np.zeros(1))] + [("plus", [i, i], np.zeros(1)) for i in range(50)]
found = call(backward, doubling, 50, g, VJPS, hint="backward: a tape with 2 ** 50 ways")
same(found[0], 2.0**50 * g, "backward", hint="backward: each record once, when all that use it are done")
### END HIDDEN TESTS
