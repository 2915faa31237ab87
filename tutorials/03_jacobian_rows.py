# %% [markdown]
# # 3. Jacobian rows
#
# The paper needs one thing from a network, and it is not a gradient: it is $T$, the derivative of *all* outputs by
# the input. This notebook takes $T$ apart, row by row.
#
# **What you learn:** how to get $T$ for a whole batch in one backward pass, why its rows sum to zero, what they look
# like, what they predict, and what they cost.
#
# **Place in the paper:** section 2, $\hat g(x + r) = g(x) + T r$, and line 1 of Algorithm 1. (The paper prints
# $T = \partial g / \partial w$; it means $\partial g / \partial x$. The perturbation is of the image, not of the
# weights.)
#
# **You need:** notebooks 1 and 2. **Time:** 40 minutes.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pictures
from check import check
from matplotlib.ticker import LogLocator
from widgets import slider

import minilwa

device = "cpu"  # "gpu" puts everything on a CUDA device

# %%
data = minilwa.load_data(device=device)
start = minilwa.mlp(784, 300, 300, 10, input_shape=(1, 28, 28), device=device)
recipe = minilwa.Recipe(epochs=15)
network = minilwa.train(start, data.x_train, data.y_train, minilwa.method("Normal"), recipe)

wanted = [336, 165, 450, 11]
x, y = data.x_test[wanted], data.y_test[wanted]  # (4, 1, 28, 28)
pictures.show_row(x, [f"{int(a.argmax())}  ({float(a.max()):.2f})" for a in network(x)], size=1.6)

# %% [markdown]
# ## Row by row
#
# Row $k$ of $T$ is the vjp of the unit vector $e_k$. The pullback of a network takes cotangents for a whole batch,
# $(N, K)$, so we can ask for row $k$ of all images at once: image number $n$ only influences output number $n$, and
# their rows do not mix.

# %%
alpha, pullback = minilwa.vjp(network, x)  # alpha (4, 10)


def row(k):
    """Row k of T for each image, (4, 1, 28, 28)."""
    cotangent = np.zeros((4, 10))
    cotangent[:, k] = 1
    return pullback(minilwa.asarray(cotangent, device=device))[0]


one_by_one = np.stack([minilwa.to_numpy(row(k)) for k in range(10)], axis=1)
print("ten backward passes give", one_by_one.shape, "= (images, classes, *pixels)")

# %% [markdown]
# ## All at once
#
# minilwa's pullback also takes a *stack* of cotangents, $(R, N, K)$, and carries all of it back in one pass. Ten unit
# vectors for each of four images:

# %%
stack = np.broadcast_to(np.eye(10)[:, None, :], (10, 4, 10))  # (R, N, K)
(rows,) = pullback(minilwa.asarray(stack, device=device))
print("one backward pass gives", rows.shape, "= (rows, images, *pixels)")

alpha, T = minilwa.jacobian_rows(network, x)  # the same, with the images first
largest = np.abs(minilwa.to_numpy(T) - one_by_one).max()
print("jacobian_rows gives", T.shape, "- largest difference from row by row", largest)

# %% [markdown]
# [jacobian.py](../minilwa/jacobian.py) has hardly more lines than that.
#
# ### Exercise 3.1: the row of each image's own label
#
# Often one row is enough, but for each image another one: Adv_Loss needs $T_y$. Write the cotangent, shape $(4, 10)$,
# with which a *single* pullback gives $T_{y_n}$ for image $n$.

# %%
labels = minilwa.to_numpy(y)
cotangent = np.zeros((4, 10))  # your turn

# %%
(own_rows,) = pullback(minilwa.asarray(cotangent, device=device))
true = minilwa.to_numpy(T)[np.arange(4), labels]
check("T_y of each image", own_rows, true)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# labels = minilwa.to_numpy(y)
# cotangent = np.eye(10)[labels]
# ```
#
# </details>

# %% [markdown]
# ## What they look like
#
# A row has an entry for each pixel, so it is an image: red where more ink raises this output, blue where more ink
# lowers it. The ten rows for one digit, first each on its own scale, then all on the same:


# %%
def show_rows(rows, alpha, shared):
    """Ten rows (10, 1, 28, 28) as images; with shared all on one scale."""
    rows = minilwa.to_numpy(rows)[:, 0]
    limit = np.abs(rows).max()
    _, axes = plt.subplots(1, 10, figsize=(12, 1.6))
    for k, axis in enumerate(axes):
        pictures.draw(axis, rows[k], f"{k}: {float(alpha[k]):.2g}", signed=True)
        if shared:
            axis.images[0].set_clim(-limit, limit)
    plt.show()


show_rows(T[0], alpha[0], shared=False)
show_rows(T[0], alpha[0], shared=True)

# %% [markdown]
# On one scale only those classes are left that the network takes into account at all; the number above each row is
# $\alpha_k$. For a digit like the last of the four, of which the network is sure, there is hardly anything: look at
# how small the entries are. Move through the test images.


# %%
def rows_of(image):
    """The digit and the rows of T for one test image, with their largest entries."""
    alpha, T = minilwa.jacobian_rows(network, data.x_test[[image]])
    pictures.show_row(data.x_test[[image]], [f"image {image}"])
    show_rows(T[0], alpha[0], shared=False)
    sizes = abs(minilwa.to_numpy(T[0])).max(axis=(1, 2, 3))
    print("largest entry of each row:", " ".join(f"{size:.0e}" for size in sizes))


rows_of(11)

# %%
slider(rows_of, image=(0, 999, 1, 8))

# %% [markdown]
# ## Rows sum to zero
#
# The ten outputs sum to 1 for every image, so their derivatives sum to 0: what raises one output lowers others by
# exactly as much.

# %%
for image in (0, 3):
    largest, total = float(abs(T[image]).max()), float(abs(T[image].sum(axis=0)).max())
    print(f"image {image}: largest entry of T {largest:.1e}, of the sum of its rows {total:.1e}")

# %% [markdown]
# For the first image it is so, up to rounding. For the last, the sum is about as large as $T$ itself! There
# $\alpha_y$ is so near 1 that single precision cannot tell $1 - \alpha_y$ from 0, and row $y$ is wrong. Keep it in
# mind; notebook 8 is about it, and in between we stay with digits that are less sure.
#
# So $T$ has at most rank $K - 1$. One row follows from the others, and nine backward rows would do. The rows of the
# *logits*, $J_k = \partial z_k / \partial x$, have no such tie. Singular values of both show it:

# %%
z, J = minilwa.jacobian_rows(network.logits, x)
plt.figure(figsize=(5.5, 3.2))
for name, matrix in (("T, of the outputs", T), ("J, of the logits", J)):
    values = np.linalg.svd(minilwa.to_numpy(matrix[0]).reshape(10, 784), compute_uv=False)
    plt.semilogy(range(1, 11), values, "o-", label=name)
plt.gca().set(xlabel="number", ylabel="singular value", xticks=range(1, 11))
plt.legend()
plt.show()

# %% [markdown]
# The last singular value of $T$ is rounding error.
#
# ## T from the rows of the logits
#
# The softmax is the last layer, and notebook 2 has its Jacobian:
# $T = (\operatorname{diag}(\alpha) - \alpha \alpha^\top) J$. Row by row that is
#
# $$T_k = \alpha_k \, (J_k - \bar J), \qquad \bar J = \sum_j \alpha_j J_j .$$
#
# A row of $T$ is a logit's row, measured from the average that the network itself would take, and multiplied by the
# output. So small $\alpha_k$, small row.
#
# ### Exercise 3.2: from J to T
#
# Compute $T$ for all four images from `alpha` $(4, 10)$ and `J` $(4, 10, 1, 28, 28)$, without another backward pass.

# %%
a, rows_of_logits = minilwa.to_numpy(alpha), minilwa.to_numpy(J)
mine = np.zeros_like(rows_of_logits)  # your turn

# %%
check("T from J", mine, T)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# a, rows_of_logits = minilwa.to_numpy(alpha), minilwa.to_numpy(J)
# weights = a[:, :, None, None, None]
# mean = (weights * rows_of_logits).sum(axis=1, keepdims=True)
# mine = weights * (rows_of_logits - mean)
# ```
#
# Notebook 8 asks what this product does in single precision when $\alpha_J$ is nearly 1.
#
# </details>

# %% [markdown]
# ## What they predict
#
# The linear model says $g(x + r) \approx \alpha + T r$. Follow it along the direction in which $\alpha_y$ falls
# fastest, and in a random one:

# %%
which = 0
picture, label = x[which : which + 1], int(y[which])
downhill = -T[which : which + 1, label]
downhill = downhill / (downhill**2).sum() ** 0.5
random = minilwa.asarray(np.random.default_rng(0).normal(size=(1, 1, 28, 28)), device=device)
random = random / (random**2).sum() ** 0.5

radii = np.linspace(0, 1, 31)
_, axes = plt.subplots(1, 2, figsize=(8.5, 3), sharey=True)
for axis, name, r in zip(axes, ("downhill", "random direction"), (downhill, random)):
    actual = [float(network(picture + float(c) * r)[0, label]) for c in radii]
    slope = float((T[which, label] * r[0]).sum())
    axis.plot(radii, actual, label=r"$\alpha_y$ of the network")
    axis.plot(radii, float(alpha[which, label]) + radii * slope, "--", label="linear model")
    axis.set(title=name, xlabel="radius", ylim=(-0.1, 1.1))
axes[0].set_ylabel(r"$\alpha_y$")
axes[0].legend()
plt.show()

# %% [markdown]
# Near the image it holds. Then the curve bends, as a softmax does, and the straight line goes on. The *direction* was
# right all the same: downhill leads down, while the random direction leads nowhere. Remember the difference. The
# paper takes directions from the linear model, and the length from elsewhere.
#
# ### Exercise 3.3: do you trust T?
#
# Check one entry by a difference quotient: $\partial \alpha_8 / \partial x_p$ of the first image for the pixel in row
# 14, column 14. Use double precision and $h = 10^{-5}$ (notebook 1 says why).

# %%
precise = minilwa.mlp(784, 300, 300, 10, input_shape=(1, 28, 28), dtype="float64", device=device)
double = [{k: minilwa.asarray(v, "float64", device) for k, v in dict(p).items()} for p in network.parameters]
precise = precise.with_parameters(tuple(double))  # the same network in double precision
image = minilwa.asarray(x[:1], "float64", device)
print(precise(image).dtype, precise(image).shape)

# %%
h = 1e-5
quotient = 0.0  # your turn

# %%
entry = minilwa.jacobian_rows(precise, image, rows=[8])[1][0, 0, 0, 14, 14]
check("the entry", quotient, entry)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# h = 1e-5
# up, down = image.copy(), image.copy()
# up[0, 0, 14, 14] += h
# down[0, 0, 14, 14] -= h
# quotient = float(precise(up)[0, 8] - precise(down)[0, 8]) / (2 * h)
# ```
#
# </details>

# %% [markdown]
# ## Training changes them
#
# The same rows after learning with an adversary (Algorithm 2, notebook 6). The network has had to put its sensitivity
# where the digits are:

# %%
lwa = minilwa.train(start, data.x_train, data.y_train, minilwa.method("LWA"), recipe)
for name, net in (("Normal", network), ("LWA", lwa)):
    _, rows = minilwa.jacobian_rows(net.logits, x[:1])
    lengths = (rows[0] ** 2).sum(axis=(1, 2, 3)) ** 0.5
    print(f"{name}: rows of the logits, of length {float(lengths.mean()):.2f} on average")
    pictures.show_row(rows[0], [str(k) for k in range(10)], signed=True)

# %% [markdown]
# ## What they cost
#
# The paper names it as the drawback of Adv_Alpha: $T$ needs $d$ backward passes, where $d$ is the number of classes,
# and the loss needs one. Measure it, for 100 images and a growing number of classes (untrained networks cost the
# same):


# %%
def seconds(function, repeats=7):
    """The shortest of a few runs."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        minilwa.to_numpy(function()[0])  # a copy waits for it: a GPU returns before it is done
        times.append(time.perf_counter() - started)
    return min(times)


counts = [2, 5, 10, 20, 50]
_, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for axis, images in zip(axes, (1, 100)):
    batch = data.x_test[:images]
    one, loop, stacked = [], [], []
    for classes in counts:
        net = minilwa.mlp(784, 300, 300, classes, input_shape=(1, 28, 28), device=device)
        one.append(seconds(lambda: minilwa.jacobian_rows(net, batch, rows=[0])))
        loop.append(seconds(lambda: minilwa.jacobian_rows(net, batch, chunk=1)))
        stacked.append(seconds(lambda: minilwa.jacobian_rows(net, batch)))
    axis.loglog(counts, 1000 * np.array(loop), "o-", label="a backward pass for each row")
    axis.loglog(counts, 1000 * np.array(stacked), "s-", label="one pass with a stack")
    axis.loglog(counts, 1000 * np.array(one), "k.:", label="one row")
    axis.set(title=f"{images} image{'s' * (images > 1)}", xlabel="classes", ylabel="milliseconds")
    axis.set_xticks(counts, counts)
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
axes[0].legend()
plt.show()

# %% [markdown]
# For one image the stack wins clearly: a pass for each row reads all weights each time to multiply them by one
# vector, and the stack reads them once. With 100 images a pass has enough to do, and the stack saves less. Either way
# the arithmetic grows with the number of rows, and so does the memory.
#
# ### Exercise 3.4: how large is T?
#
# How many megabytes (of $10^6$ bytes) does $T$ take for 100 images of $28 \times 28$ pixels and 1,000 classes, in
# single precision?

# %%
megabytes = 0.0  # your turn

# %%
check("megabytes", megabytes, 313.6)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# megabytes = 100 * 1000 * 28 * 28 * 4 / 1e6
# ```
#
# And a backward pass with so large a stack would hold several arrays of the kind. `jacobian_rows` therefore takes
# passes of at most `chunk` rows.
#
# </details>

# %% [markdown]
# Does one need all of them? To find the nearest class, no: on dense networks two or three rows a sample suffice on
# average, together with a proof that the others cannot win. That is `lazy_algorithm_1`, and notebook 9 shows how.
# [benchmarks](../benchmarks/README.md) measures all of this properly, beside PyTorch and JAX.
#
# ## What to remember
#
# - $T = \partial \alpha / \partial x$ has a row for each class and a column for each pixel. Row $k$ is the vjp of
#   $e_k$; a stack of cotangents gives all rows in one pass.
# - Rows sum to zero, so the rank is at most $K - 1$. $T_k = \alpha_k (J_k - \bar J)$: unlikely classes have small
#   rows.
# - The linear model $\alpha + T r$ knows the direction better than the distance.
# - The cost grows with the number of rows. Ask only for the rows that you need.
#
# Next: [4. Norms and duals](04_norms_and_duals.ipynb), which turns rows into perturbations.
