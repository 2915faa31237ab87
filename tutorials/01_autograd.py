# %% [markdown]
# # 1. Autograd from scratch
#
# Everything in the paper needs derivatives: of outputs by pixels to find a perturbation, of a loss by weights to
# learn. Autograd gives both, and there is little to it. You build one here, in fewer than 60 lines, and then meet the
# same lines in [minilwa/tape.py](../minilwa/tape.py).
#
# **What you learn:** what a vector-Jacobian product is, how a value can remember where it came from, why the memory
# has to be walked in a topological order, why broadcasting has to be undone, and how to find a wrong gradient.
#
# **Place in the paper:** "forward-backward propagation", the first line of Algorithm 1 and lines 3 and 7 of Algorithm
# 2.
#
# **You need:** NumPy and the chain rule. **Time:** 45 minutes.

# %%
from functools import wraps

import matplotlib.pyplot as plt
import numpy as np
import pictures
from check import check

import minilwa

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## The chain rule, from the back
#
# Let $y = f(h)$ and $h = g(x)$, all of them vectors. The chain rule multiplies Jacobians, $J = J_f J_g$. To have all
# of $J$ is expensive, and mostly one wants less: for a given vector $\bar y$, as long as $y$, the product
#
# $$\bar x = J^\top \bar y = J_g^\top \bigl(J_f^\top \bar y\bigr).$$
#
# Read from the right, this never forms a matrix. Each function only has to know how to *pull back* a vector: from
# $\bar h$, which belongs to its result, to $J_g^\top \bar h$, which belongs to its argument. That is its **vjp**
# (vector-Jacobian product), and $\bar y, \bar h, \bar x$ are called **cotangents**. If $y$ is one number and
# $\bar y = 1$, then $\bar x$ is the gradient. If $\bar y$ is the unit vector $e_k$, it is row $k$ of the Jacobian,
# and that is what this paper is made of.
#
# For example $y = \tanh x$, component by component: its Jacobian is the diagonal matrix of $1 - y_i^2$, and the vjp
# multiplies by that diagonal.

# %%
x = np.linspace(-3, 3, 7)
y = np.tanh(x)
jacobian = np.diag(1 - y**2)
cotangent = np.array([0, 0, 1.0, 0, 0, 0, 0])
print("J^T g, with the matrix ", (jacobian.T @ cotangent).round(3))
print("vjp(g), without it     ", (cotangent * (1 - y**2)).round(3))

# %% [markdown]
# ### Exercise 1.1: a vjp
#
# Write the vjp of $y = e^x$, component by component. `y` is given, since the forward pass has computed it anyway.


# %%
def exp_vjp(y, cotangent):
    """J^T cotangent for y = exp(x)."""
    return 0 * cotangent  # your turn


# %%
y, cotangent = np.exp([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 0.5])
check("vjp of exp", exp_vjp(y, cotangent), [1.0, -2.718281828, 3.694528049])

# %% [markdown]
# <details><summary>Solution</summary>
#
# The derivative of $e^x$ is $e^x = y$, and the Jacobian is diagonal.
#
# ```python
# def exp_vjp(y, cotangent):
#     """J^T cotangent for y = exp(x)."""
#     return cotangent * y
# ```
#
# </details>

# %% [markdown]
# ## A value that remembers
#
# A `Node` is an array together with its memory: from which nodes it was made, and for each of them the vjp that leads
# back there. (The name is only for the pictures.)


# %%
class Node:
    """An array, and the (parent, vjp) pairs that it came from."""

    def __init__(self, value, parents=(), name="input"):
        self.value, self.parents, self.name = value, parents, name


def op(forward):
    """An operation on arrays or nodes, from forward(*arrays) -> (value, one vjp per array)."""

    @wraps(forward)
    def apply(*args):
        values = [a.value if isinstance(a, Node) else a for a in args]
        value, vjps = forward(*values)
        parents = [(a, vjp) for a, vjp in zip(args, vjps) if isinstance(a, Node)]
        return Node(value, parents, forward.__name__)

    return apply


# %% [markdown]
# An operation computes its value and, right beneath, says how to go back. The vjps are closures: they keep the arrays
# that they need.


# %%
@op
def tanh(a):
    value = np.tanh(a)
    return value, (lambda g: g * (1 - value**2),)


@op
def multiply(a, b):
    return a * b, (lambda g: g * b, lambda g: g * a)


x = Node(0.5)
h = tanh(x)
s = multiply(h, h)
y = multiply(h, s)
pictures.show_graph(y, lambda node: f"{node.name}\n{node.value:.3f}")

# %% [markdown]
# That is $y = h \cdot h^2$ with $h = \tanh x$ at $x = 0.5$. The arrows show how it was computed; the memory points
# the other way. What is $dy/dx$? By hand, $3h^2 (1 - h^2)$:

# %%
by_hand = 3 * np.tanh(0.5) ** 2 * (1 - np.tanh(0.5) ** 2)
print(f"{by_hand:.4f}")

# %% [markdown]
# ## Walking back: in which order?
#
# First idea: start at the output with cotangent 1 and follow every path back to the inputs. Where paths meet, the
# results add up.

# %%
calls = 0


def every_path(node, cotangent, gradients):
    """Add to gradients[input] what arrives there, along every path."""
    global calls
    if not node.parents:
        gradients[node] = gradients.get(node, 0) + cotangent
    for parent, vjp in node.parents:
        calls += 1
        every_path(parent, vjp(cotangent), gradients)
    return gradients


found = every_path(y, 1.0, {})
print(f"{found[x]:.4f} with {calls} calls of a vjp")

# %% [markdown]
# Right, but it took seven calls where the graph has five arrows (two of them from `tanh` to the first `multiply`):
# three cotangents arrive at $h$, and each is carried on to $x$ by itself. That gets out of hand. Square a number $n$
# times, $x \to x^2 \to x^4 \to \dots$, and there are two ways through every step:

# %%
depths, needed = range(1, 15), []
for n in depths:
    z = Node(1.0)
    for _ in range(n):
        z = multiply(z, z)
    calls = 0
    every_path(z, 1.0, {})
    needed.append(calls)

plt.figure(figsize=(5, 3))
plt.semilogy(depths, needed, "o-", label="every path")
plt.semilogy(depths, [2 * n for n in depths], "s-", label="every arrow once")
plt.gca().set(xlabel="squarings", ylabel="calls of a vjp")
plt.legend()
plt.show()

# %% [markdown]
# ### Exercise 1.2: how far out of hand?
#
# How many calls does `every_path` need for $n = 50$ squarings? Do not run it.

# %%
answer = 0  # your turn

# %%
check("calls for 50 squarings", answer, 2251799813685246, tolerance=0)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The first step back makes 2 calls, and each call leads to two more one step further: $2 + 4 + \dots + 2^n$.
#
# ```python
# answer = 2**51 - 2
# ```
#
# At a nanosecond a call that is 26 days, for a derivative that a pencil finds in a second.
#
# </details>

# %% [markdown]
# Second idea: pass on what has arrived at a node only once, all of it together. But which node first? Let us take
# them as they are met, those nearest to the output first.


# %%
def as_they_are_met(output):
    """The nodes behind output, nearest first."""
    order = [output]
    for node in order:
        for parent, _ in node.parents:
            if parent not in order:
                order.append(parent)
    return order


def pull_back(output, cotangent, order):
    """The cotangents of all nodes, each passed on once, in the given order."""
    gradients = {output: cotangent}
    for node in order:
        for parent, vjp in node.parents:
            gradients[parent] = gradients.get(parent, 0) + vjp(gradients[node])
    return gradients


order = as_they_are_met(y)
found = pull_back(y, 1.0, order)
pictures.show_graph(y, lambda node: f"{order.index(node) + 1}. {node.name}\n{found[node]:.3f}")
print(f"at the input {found[x]:.4f}, by hand {by_hand:.4f}")

# %% [markdown]
# Wrong. The boxes show the order and the cotangents: `tanh` came second and passed on what it had, but the third node
# sends it more. What came late was lost on the way to $x$.
#
# ## Topological order
#
# So a node must wait until *every* node that was made from it has had its turn. An order in which that holds is
# called topological, and a depth-first search finds it: write a node down when all of its ancestors are written down,
# and read the list from the end.


# %%
def topological_order(output):
    """The nodes behind output, each after every node that was made from it."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent, _ in node.parents:
                visit(parent)
            order.append(node)

    visit(output)
    return order[::-1]


order = topological_order(y)
found = pull_back(y, 1.0, order)
pictures.show_graph(y, lambda node: f"{order.index(node) + 1}. {node.name}\n{found[node]:.3f}")
print(f"at the input {found[x]:.4f}, by hand {by_hand:.4f}")

# %% [markdown]
# Right, with each arrow walked once. One thing remains. A recursive search is as deep as the graph, and Python stops
# at a depth of 1,000. A recurrent network, or an attack of many steps, is easily deeper.

# %%
z = Node(0.1)
for _ in range(2000):
    z = tanh(z)
try:
    topological_order(z)
except RecursionError as error:
    print("RecursionError:", error)

# %% [markdown]
# The cure is a list of things to do instead of the recursion. Each node goes on it twice: to be looked at, and,
# beneath its parents, to be written down.


# %%
def topological_order(output):
    """The nodes behind output, each after every node that was made from it."""
    order, seen = [], set()
    todo = [(output, False)]
    while todo:
        node, finished = todo.pop()
        if finished:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo.extend((parent, False) for parent, _ in node.parents)
    return order[::-1]


def backward(output, cotangent):
    """The cotangent of every node behind output."""
    return pull_back(output, cotangent, topological_order(output))


print("2,000 deep:", len(topological_order(z)), "nodes")
print(f"the small graph: {backward(y, 1.0)[x]:.4f}")

# %% [markdown]
# ## Why broadcasting has to be undone
#
# A layer adds one bias vector to all rows of a batch: $(4, 3) + (3)$. NumPy broadcasts, that is, it uses each number
# of $b$ four times. A number that is used four times sends its cotangents back four times, and they add up.

# %%
cotangent = np.arange(12.0).reshape(4, 3)
figure, axes = plt.subplots(1, 3, figsize=(8, 2.6), sharey=True)
shown = [np.array([[1.0, 2.0, 3.0]]), np.broadcast_to([1.0, 2.0, 3.0], (4, 3)), cotangent]
titles = ["b, as it is", "b, as it is used", "the cotangent of x + b"]
for axis, array, title in zip(axes, shown, titles):
    axis.imshow(array, cmap="Blues", vmin=-4, vmax=20)
    for (row, column), value in np.ndenumerate(array):
        axis.text(column, row, f"{value:.0f}", ha="center", va="center")
    axis.set(title=title, xticks=[], yticks=[], ylim=(3.5, -0.5))
    axis.spines[:].set_visible(False)
plt.show()
print("so the cotangent of b is the sum of each column:", cotangent.sum(axis=0))

# %% [markdown]
# ### Exercise 1.3: un-broadcasting
#
# Write `unbroadcast(g, shape)`. It takes the cotangent `g` of a result and sums it over the axes along which an
# argument of this `shape` was broadcast. Remember how NumPy aligns shapes: from the right; axes that are missing on
# the left count as 1, and an axis of 1 is stretched to the other's size.


# %%
def unbroadcast(g, shape):
    """g summed over the axes along which shape was broadcast; the result has this shape."""
    return np.zeros(shape)  # your turn


# %%
g = np.arange(24.0).reshape(2, 4, 3)
check("nothing to undo", unbroadcast(g, (2, 4, 3)), g)
check("a missing axis", unbroadcast(g, (4, 3)), g[0] + g[1])
check("two missing axes", unbroadcast(g, (3,)), [84, 92, 100])
check("an axis of 1 in the middle", unbroadcast(g, (2, 1, 3)), [[[18, 22, 26]], [[66, 70, 74]]])
check("a single number", unbroadcast(g, ()), 276)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def unbroadcast(g, shape):
#     """g summed over the axes along which shape was broadcast; the result has this shape."""
#     aligned = (1,) * (g.ndim - len(shape)) + shape
#     axes = tuple(i for i, size in enumerate(aligned) if size != g.shape[i])
#     return g.sum(axis=axes).reshape(shape)
# ```
#
# </details>

# %% [markdown]
# The notebook goes on with its own (so that the rest works, whatever you wrote above).


# %%
def unbroadcast(g, shape):
    """g summed over the axes along which shape was broadcast; the result has this shape."""
    aligned = (1,) * (g.ndim - len(shape)) + shape
    axes = tuple(i for i, size in enumerate(aligned) if size != g.shape[i])
    return g.sum(axis=axes).reshape(shape)


@op
def add(a, b):
    return a + b, (lambda g: unbroadcast(g, a.shape), lambda g: unbroadcast(g, b.shape))


@op
def subtract(a, b):
    return a - b, (lambda g: unbroadcast(g, a.shape), lambda g: unbroadcast(-g, b.shape))


@op
def square(a):
    return a * a, (lambda g: 2 * g * a,)


@op
def total(a):
    return a.sum(), (lambda g: g * np.ones_like(a),)


# %% [markdown]
# ### Exercise 1.4: the matrix product
#
# One more operation, the one that does the work: $Y = A B$, with $A$ of shape $(N, M)$ and $B$ of shape $(M, P)$. Its
# vjp for $A$ is $\bar A = \bar Y B^\top$. Write the one for $B$. (The shapes leave hardly a choice. To derive it,
# write $\langle \bar Y, A\,dB \rangle$ as $\langle \,?\,, dB \rangle$.)


# %%
def matmul_vjp_b(a, b, g):
    """The cotangent of b, shape (M, P), for the cotangent g, shape (N, P), of a @ b."""
    return np.zeros_like(b)  # your turn


# %%
a, b, g = np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([[1.0], [-1]]), np.array([[1.0], [0], [2]])
check("vjp of a @ b for b", matmul_vjp_b(a, b, g), [[11.0], [14.0]])

# %% [markdown]
# <details><summary>Solution</summary>
#
# $\langle \bar Y, A\,dB \rangle = \operatorname{tr}(\bar Y^\top A\,dB) = \langle A^\top \bar Y, dB \rangle$.
#
# ```python
# def matmul_vjp_b(a, b, g):
#     """The cotangent of b, shape (M, P), for the cotangent g, shape (N, P), of a @ b."""
#     return a.T @ g
# ```
#
# </details>


# %%
@op
def matmul(a, b):
    return a @ b, (lambda g: g @ b.T, lambda g: a.T @ g)


# %% [markdown]
# ## Is it right? Ask a difference quotient
#
# A gradient is easy to get wrong and easy to check. For a function $f$ to one number and any direction $v$,
#
# $$\langle \nabla f(x), v \rangle \approx \frac{f(x + h v) - f(x - h v)}{2 h}.$$
#
# How small should $h$ be? Too large, and the function bends within it; too small, and the difference of two nearly
# equal numbers has few digits left. Both errors at once:

# %%
rng = np.random.default_rng(0)
X, W, b = rng.normal(size=(4, 5)), rng.normal(size=(5, 3)), rng.normal(size=3)


def layer(X, W, b):
    """One number from a dense tanh layer."""
    return total(square(tanh(add(matmul(X, W), b))))


def gradient(function, *arrays):
    """The gradient of function(*arrays), a number, for each of the arrays."""
    nodes = [Node(a) for a in arrays]
    output = function(*nodes)
    found = backward(output, output.value * 0 + 1)  # a 1 of the same type, on the same device
    return [found[node] for node in nodes]


def quotient(function, arrays, directions, h):
    """The central difference quotient of function at arrays along directions."""
    ahead = function(*(Node(a + h * v) for a, v in zip(arrays, directions))).value
    behind = function(*(Node(a - h * v) for a, v in zip(arrays, directions))).value
    return (ahead - behind) / (2 * h)


sizes = 10.0 ** np.arange(-12, 0.5, 0.5)
plt.figure(figsize=(5.5, 3.3))
for dtype in ("float32", "float64"):
    arrays = [a.astype(dtype) for a in (X, W, b)]
    along = [rng.normal(size=a.shape).astype(dtype) for a in arrays]
    exact = sum((g * v).sum() for g, v in zip(gradient(layer, *arrays), along))
    errors = [abs(quotient(layer, arrays, along, np.dtype(dtype).type(h)) / exact - 1) for h in sizes]
    plt.loglog(sizes, errors, "o-", label=dtype)
plt.gca().set(xlabel="h", ylabel="relative difference", title="gradient and quotient")
plt.legend()
plt.show()

# %% [markdown]
# In double precision they agree to ten digits at the best $h$, so the gradient is right. From there the error grows
# as $h^2$ to the right, and as $1/h$ to the left. In single precision the window is narrow: three or four digits at
# best. Always check gradients in double precision.
#
# ### Exercise 1.5: which one is broken?
#
# Three functions, each with a gradient that somebody derived by hand. One of the gradients is wrong. Check each
# against a quotient, and write down the name.


# %%
def log_of_sum(x):
    return np.log(np.exp(x).sum()), np.exp(x) / np.exp(x).sum()


def length(x):
    return np.sqrt((x**2).sum()), x / (x**2).sum()


def product_of_neighbours(x):
    g = np.zeros_like(x)
    g[:-1] += x[1:]
    g[1:] += x[:-1]
    return (x[1:] * x[:-1]).sum(), g


point, along = rng.normal(size=6), rng.normal(size=6)
for function in (log_of_sum, length, product_of_neighbours):
    print(f"{function.__name__:22} {function(point)[0]:.3f}")

# %%
broken = ""  # your turn: "log_of_sum", "length" or "product_of_neighbours"

# %%
check("the broken gradient", broken, "length")

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# h = 1e-5
# for function in (log_of_sum, length, product_of_neighbours):
#     by_quotient = (function(point + h * along)[0] - function(point - h * along)[0]) / (2 * h)
#     by_gradient = function(point)[1] @ along
#     print(f"{function.__name__:22} {by_quotient:9.6f} {by_gradient:9.6f}")
#     if abs(by_quotient - by_gradient) > 1e-6:
#         broken = function.__name__
# ```
#
# The gradient of $\|x\|_2$ is $x / \|x\|_2$; the square root was forgotten.
#
# </details>

# %% [markdown]
# ## It learns
#
# A toy? These lines train a network. Two dense layers with a tanh between them, the squared error to one-hot labels,
# a thousand digits, plain gradient descent:

# %%
data = minilwa.load_data(dtype="float64", device=device)
images = data.x_train[:1000].reshape(1000, 784)
labels = minilwa.to_numpy(data.y_train[:1000])
onehot = minilwa.asarray(np.eye(10)[labels], "float64", device)  # (1000, 10)

rng = np.random.default_rng(0)
weights = [rng.normal(size=(784, 50)) / 200, np.zeros(50), rng.normal(size=(50, 10)) / 7, np.zeros(10)]
weights = [minilwa.asarray(w, "float64", device) for w in weights]


def outputs(images, W1, b1, W2, b2):
    """Ten numbers for each image, (N, 10)."""
    return add(matmul(tanh(add(matmul(images, W1), b1)), W2), b2)


def loss(*weights):
    """The squared error of the outputs, summed over the images."""
    return total(square(subtract(outputs(images, *weights), onehot)))


losses, accuracies = [], []
for _ in range(300):
    z = minilwa.to_numpy(outputs(images, *map(Node, weights)).value)
    losses.append(((z - np.eye(10)[labels]) ** 2).sum(axis=1).mean())
    accuracies.append((z.argmax(axis=1) == labels).mean())
    weights = [w - 1.2e-5 * g for w, g in zip(weights, gradient(loss, *weights))]

_, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8))
left.plot(losses)
left.set(xlabel="steps", ylabel="squared error of an image", ylim=(0, None))
right.plot(accuracies)
right.set(xlabel="steps", ylabel="accuracy on these images", ylim=(0, 1))
plt.show()

# %% [markdown]
# How many lines were that?

# %%
import inspect

engine = [Node.__init__, op, tanh, multiply, topological_order, pull_back, backward]
engine += [unbroadcast, add, subtract, square, total, matmul]
lines = [line.strip() for part in engine for line in inspect.getsource(part).splitlines()]
print(len([line for line in lines if line and not line.startswith('"')]), "lines, without docstrings")

# %% [markdown]
# ## The same lines in minilwa
#
# Open [minilwa/tape.py](../minilwa/tape.py) and [minilwa/ops.py](../minilwa/ops.py) beside this notebook. You know
# nearly all of it:
#
# | here | there | what is different |
# | --- | --- | --- |
# | `Node`, `op` | `Node`, `op` | operators, so that one writes `x @ w + b`; with no node among the arguments the plain array comes back, so evaluation costs nothing |
# | `topological_order` | `topological_order` | nothing |
# | `pull_back`, `backward` | `backward` | cotangents may come as a stack; a vjp that returns a wrong shape is an error |
# | `gradient` | `vjp`, `value_and_gradient` | parameters may be nested tuples and dicts of arrays |
# | `unbroadcast` | `unbroadcast` | counts axes from the right, so that a stack on the left is left alone |
#
# And one thing is the same that is different in most engines: nothing hangs on the arrays. Gradients are what
# `backward` returns, there is no `zero_grad` to forget, and a pass for the inputs cannot touch the gradients of the
# weights. In Algorithm 2, which takes a gradient by the image in the middle of a step on the weights, that matters.
#
# Here is the same function by both.

# %%
from minilwa import ops


def layer_there(X, W, b):
    """The function `layer`, in minilwa's operations."""
    h = ops.tanh(X @ W + b)
    return ops.sum(h * h)


value, gradients = minilwa.value_and_gradient(layer_there, X, W, b)
for name, mine, theirs in zip("XWb", gradient(layer, X, W, b), gradients):
    print(f"{name}: largest difference {abs(mine - theirs).max():.1e}")

# %% [markdown]
# ## A stack of cotangents
#
# The stack is why minilwa has an autograd of its own. Give the pullback many cotangents at once, and one walk back
# carries them all. With the unit vectors $e_1, \dots, e_K$ as the stack, the result is the whole Jacobian, one row
# each. Here are the ten outputs of the network that you have just trained, for a single digit: which pixels does each
# output listen to?

# %%
W1, b1, W2, b2 = weights
digit = images[1:2]  # (1, 784)
z, pullback = minilwa.vjp(lambda x: ops.tanh(x @ W1 + b1) @ W2 + b2, digit)
stack = minilwa.asarray(np.eye(10)[:, None], "float64", device)  # (10, 1, 10)
(rows,) = pullback(stack)
print("ten cotangents", stack.shape, "for one output", z.shape, "give ten rows", rows.shape)

pictures.show_row([digit.reshape(28, 28)], ["the digit"])
pictures.show_row(rows.reshape(10, 28, 28), [f"output {k}" for k in range(10)], signed=True)

# %% [markdown]
# Red: more ink here raises this output; blue: more ink lowers it. Notebook 3 is about these rows.
#
# ## What to remember
#
# - A vjp pulls a cotangent back through one function, without its Jacobian. Autograd is a graph of vjps and one walk.
# - The walk is in topological order: a node passes on its cotangent when everything that was made from it has
#   reported.
# - What is used several times gets the sum of what comes back: at forks of the graph, and in broadcasting.
# - Check gradients with a central difference in double precision, along random directions.
# - A stack of cotangents gives as many rows of the Jacobian in one walk.
#
# Next: [2. Layers](02_layers.ipynb), where the operations get larger.
