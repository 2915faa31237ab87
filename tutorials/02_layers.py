# %% [markdown]
# # 2. Layers and networks
#
# A network is a chain of layers, and few kinds of them suffice: a matrix product, a convolution (which is a matrix
# product too, once the image is laid out for it), a bend, and a softmax at the end.
#
# **What you learn:** what a layer is in this package, how a convolution becomes one matrix product and what its vjp
# is, and the Jacobian of the softmax, through which every derivative of the paper passes.
#
# **Place in the paper:** section 1.1 (the network $\mathcal N$ and its last layer $g(x) = \alpha$) and the networks
# of section 4: two hidden layers of 1,000 units, and LeNet.
#
# **You need:** notebook 1. **Time:** 45 minutes.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pictures
from check import check
from widgets import slider

import minilwa
from minilwa import layers, ops
from minilwa.conv import col2im, conv2d, im2col

device = "cpu"  # "gpu" puts everything on a CUDA device
data = minilwa.load_data(device=device)

# %% [markdown]
# ## A layer is a pair of functions
#
# `init` draws parameters for inputs of a shape and says what shape comes out. `apply` computes. Neither keeps
# anything: parameters are handed in, so the same layer can be applied to other parameters, to a batch, or to nodes of
# the tape.

# %%
layer = layers.dense(3)
parameters, shape = layer.init(np.random.default_rng(0), (4,))
for name, value in parameters.items():
    print(name, value.shape)
print("samples of shape (4,) become", shape)
print(layer.apply(parameters, np.ones((2, 4))))

# %% [markdown]
# A `Network` freezes a chain of layers together with its parameters. Here is the LeNet of the paper, layer by layer:
# what a sample looks like on the way, and how many parameters each layer has.

# %%
lenet = minilwa.lenet()
for layer, part, before in zip(lenet.layers, lenet.parameters, lenet.shapes):
    count = sum(p.size for p in part.values()) if part else 0
    print(f"{layer.name:9} takes {before!s:13} {count:9,} parameters")

# %% [markdown]
# ### Exercise 2.1: shapes
#
# A window of $k \times k$ fits into an image of $n \times n$ at $n - k + 1$ places in each direction. Pooling with
# windows of 2 halves the sides. How many numbers would the last pooling of LeNet hand on, if the digits were
# $32 \times 32$ (two convolutions $5 \times 5$, the second with 50 filters)?

# %%
answer = 0  # your turn

# %%
check("numbers after the second pooling", answer, 1250)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $32 \to 28 \to 14 \to 10 \to 5$, and 50 channels.
#
# ```python
# answer = 50 * 5 * 5
# ```
#
# `minilwa.lenet((1, 32, 32)).shapes` agrees.
#
# </details>

# %% [markdown]
# ## Dense: every output sees every pixel
#
# $y = x W + b$. Column $k$ of $W$ holds the weights of unit $k$, one for each pixel, so it can be drawn as an image.
# Train a network without any hidden layer, that is $\alpha = \operatorname{softmax}(x W + b)$, and look at its ten
# columns:

# %%
normal = minilwa.method("Normal")
linear = minilwa.mlp(784, 10, input_shape=(1, 28, 28), scale=0.001, device=device)
linear = minilwa.train(linear, data.x_train, data.y_train, normal, minilwa.Recipe(epochs=10))
print("accuracy", minilwa.clean_score(linear, data.x_test, data.y_test).accuracy)
W = linear.parameters[1]["w"]  # (784, 10)
pictures.show_row(W.T.reshape(10, 28, 28), [str(k) for k in range(10)], signed=True)

# %% [markdown]
# Each is a template: ink on red pixels speaks for the class, ink on blue ones against it. (Look for the hole of the
# 0.)
#
# ## Convolution: the same small window everywhere
#
# A convolution looks through a small window, takes the inner product of what it sees with a filter, and moves on.
# (What everyone calls convolution is, strictly, a cross-correlation: the filter is not flipped.) With a filter that
# compares left with right:

# %%
image = data.x_test[3, 0]  # (28, 28)
edge = minilwa.asarray([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=device)


def by_loop(image, kernel):
    """Every window of the image times the kernel, summed."""
    k = len(kernel)
    result = np.zeros((image.shape[0] - k + 1, image.shape[1] - k + 1), dtype=image.dtype)
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            window = image[row : row + k, column : column + k]
            result[row, column] = (window * kernel).sum()
    return result


edges = by_loop(minilwa.to_numpy(image), minilwa.to_numpy(edge))
_, axes = plt.subplots(1, 3, figsize=(6, 2.2), width_ratios=(3, 1, 3))
pictures.draw(axes[0], image, "image")
pictures.draw(axes[1], edge, "filter", signed=True)
pictures.draw(axes[2], edges, "result", signed=True)
plt.show()
print("from", image.shape, "to", edges.shape)

# %% [markdown]
# ## The same as one matrix product
#
# Loops over pixels are slow in Python, and not fast anywhere: machines are built for matrix products. So lay the
# windows out as the *columns* of a matrix. This is called **im2col**. An image small enough to see all of it:

# %%
small = np.arange(25.0).reshape(1, 1, 5, 5)  # (N, C, H, W)
columns = im2col(small, (3, 3), 1, 0)  # stride 1, no padding
print("nine windows of nine pixels:", columns.shape)


def show_column(window):
    """The small image with one window marked, and the matrix of all windows with its column marked."""
    _, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
    row, column = divmod(window, 3)
    marked_image, marked_columns = np.zeros((5, 5)), np.zeros((9, 9))
    marked_image[row : row + 3, column : column + 3] = 1
    marked_columns[:, window] = 1
    for axis, numbers, marked in ((left, small[0, 0], marked_image), (right, columns, marked_columns)):
        axis.imshow(marked, cmap="Oranges", vmin=0, vmax=2)
        for place, value in np.ndenumerate(numbers):
            axis.text(place[1], place[0], f"{value:.0f}", ha="center", va="center", fontsize=9)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    left.set_title("the image, pixels numbered")
    right.set(title="im2col: a column for each window", xlabel=f"window {window}")
    plt.show()


show_column(0)
show_column(5)

# %%
slider(show_column, window=(0, 8, 1, 4))

# %% [markdown]
# Look along a row of the matrix, too: it is the image as one place of the window sees it while the window moves.
#
# With the filters as *rows* of a matrix, $F \times C k k$, the whole convolution is one product:
#
# $$\underbrace{\text{filters}}_{F \times C k^2} \; \underbrace{\text{columns}}_{C k^2 \times (\text{windows} \cdot N)}
# = \underbrace{\text{result}}_{F \times (\text{windows} \cdot N)}.$$

# %%
batch = minilwa.asarray(minilwa.to_numpy(image)[None, None], device=device)  # (1, 1, 28, 28)
columns = im2col(batch, (3, 3), 1, 0)
product = (edge.reshape(1, 9) @ columns).reshape(26, 26)
print("filters", edge.reshape(1, 9).shape, "times columns", columns.shape)
print("largest difference from the loop:", np.abs(minilwa.to_numpy(product) - edges).max())
print("from minilwa.conv.conv2d:        ", abs(conv2d(batch, edge[None, None])[0, 0] - product).max())

# %% [markdown]
# What does it save? A hundred digits, one filter:

# %%
hundred = data.x_test[:100]
started = time.perf_counter()
for picture in minilwa.to_numpy(hundred):
    by_loop(picture[0], minilwa.to_numpy(edge))
loop = time.perf_counter() - started
started = time.perf_counter()
minilwa.to_numpy(conv2d(hundred, edge[None, None]))  # a copy waits for it: a GPU returns before it is done
matrix = time.perf_counter() - started
print(f"loops {1000 * loop:.0f} ms, matrix product {1000 * matrix:.2f} ms")

# %% [markdown]
# ### Exercise 2.2: im2col of one image
#
# Write it for a single image `(H, W)` without channels, by loops: column number `row * places + column` holds the
# window that begins at `(row, column)`, its pixels in reading order.


# %%
def my_im2col(image, k):
    """Every k x k window of an image (H, W) as a column: (k * k, windows)."""
    rows, places = image.shape[0] - k + 1, image.shape[1] - k + 1
    return np.zeros((k * k, rows * places))  # your turn


# %%
picture = np.random.default_rng(0).normal(size=(6, 8))
check("3 x 3 windows", my_im2col(picture, 3), im2col(picture[None, None], (3, 3), 1, 0))
check("5 x 5 windows", my_im2col(picture, 5), im2col(picture[None, None], (5, 5), 1, 0))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_im2col(image, k):
#     """Every k x k window of an image (H, W) as a column: (k * k, windows)."""
#     rows, places = image.shape[0] - k + 1, image.shape[1] - k + 1
#     result = np.zeros((k * k, rows * places))
#     for row in range(rows):
#         for column in range(places):
#             window = image[row : row + k, column : column + k]
#             result[:, row * places + column] = window.reshape(-1)
#     return result
# ```
#
# [conv.py](../minilwa/conv.py) does it without a loop. It describes the windows to NumPy by strides alone, as an
# array of six axes in which a pixel occurs as often as there are windows over it, and one `reshape` copies that into
# place.
#
# </details>

# %% [markdown]
# ## The way back: col2im
#
# im2col is linear: it copies pixels. So its vjp is its transpose: what was copied to several places collects what
# comes back from all of them. That is un-broadcasting again, with windows in the place of axes. Send back a 1 from
# every entry of the matrix, and each pixel counts the windows over it:

# %%
ones = np.ones((9, 26 * 26))
counts = col2im(ones, (1, 1, 28, 28), (3, 3), 1, 0)  # batch-last: (C, H, W, N)
plt.figure(figsize=(3.6, 3))
plt.imshow(counts[0, :, :, 0], cmap="viridis")
plt.title("windows over each pixel")
plt.colorbar()
plt.show()

# %% [markdown]
# Two maps are transposes of each other exactly when $\langle A x, c \rangle = \langle x, A^\top c \rangle$ for all
# $x$ and $c$. Random ones will do as a test. The tests of this package check every vjp in this way.

# %%
rng = np.random.default_rng(1)
x, c = rng.normal(size=(1, 1, 28, 28)), rng.normal(size=(9, 26 * 26))
print("<im2col(x), c> ", (im2col(x, (3, 3), 1, 0) * c).sum())
print("<x, col2im(c)> ", (x[0, 0] * col2im(c, (1, 1, 28, 28), (3, 3), 1, 0)[0, :, :, 0]).sum())

# %% [markdown]
# ## A convolutional network looks
#
# Eight filters of $5 \times 5$, ReLU, pooling, one dense layer. In a few passes over the digits the filters learn to
# answer to strokes and edges of one slant or another. Above, the filters; beneath, what each makes of one digit,
# after ReLU.

# %%
network = minilwa.create(
    (
        layers.conv(8, 5, scale=0.05),
        layers.relu(),
        layers.max_pool(2),
        layers.flatten(),
        layers.dense(10),
        layers.softmax(),
    ),
    input_shape=(1, 28, 28),
    device=device,
)
network = minilwa.train(network, data.x_train, data.y_train, normal, minilwa.Recipe(epochs=6))
print("accuracy", minilwa.clean_score(network, data.x_test, data.y_test).accuracy)

representation, classifier = minilwa.split(network, at=2)  # the first two layers, and the rest
features = representation(data.x_test[3:4])  # (1, 8, 24, 24)
pictures.show_row(network.parameters[0]["w"][:, 0], [f"filter {k}" for k in range(8)], signed=True)
pictures.show_row(features[0] / features.max())

# %% [markdown]
# ### Exercise 2.3: how many parameters?
#
# The convolution above makes $8 \times 24 \times 24$ numbers from $28 \times 28$. How many parameters has it, biases
# included? And how many would a dense layer need for the same sizes?

# %%
convolution = 0  # your turn
dense = 0  # your turn

# %%
check("parameters of the convolution", convolution, 208)
check("parameters of a dense layer", dense, 3617280)

# %% [markdown]
# <details><summary>Solution</summary>
#
# A filter is $5 \times 5$ weights and a bias, the same at all places. A dense layer has a weight for each pair of an
# input and an output.
#
# ```python
# convolution = 8 * (5 * 5 + 1)
# dense = (28 * 28 + 1) * 8 * 24 * 24
# ```
#
# </details>

# %% [markdown]
# ## ReLU and pooling: where a cotangent goes
#
# The two layers without parameters are switches. ReLU lets a cotangent through where its input was positive.
# Max-pooling hands it to the pixel that was the largest of its window. Send a 1 back from every output: which pixels
# get it?

# %%
from minilwa.conv import max_pool2d

digit = data.x_test[3:4]
pooled, pullback = minilwa.vjp(lambda x: max_pool2d(x, size=4), digit)
(reached,) = pullback(pooled * 0 + 1)
activity, pullback = minilwa.vjp(lambda x: ops.relu(conv2d(x, edge[None, None])), digit)
(seen,) = pullback(activity * 0 + 1)

_, axes = plt.subplots(1, 4, figsize=(9, 2.5))
pictures.draw(axes[0], pooled[0, 0], "pooled, 4 x 4")
pictures.draw(axes[1], reached[0, 0], "back through the pooling")
pictures.draw(axes[2], activity[0, 0], "filter and ReLU")
pictures.draw(axes[3], seen[0, 0], "back through both", signed=True)
plt.show()

# %% [markdown]
# One pixel in each window of 16 (where all are equal, as in the empty margin, the first). So the derivative of a
# network depends on which switches are on: it is that of a *linear* function near this image, and of another one
# elsewhere. A linear model of a network, the tool of the whole paper, is exact as far as no switch turns, and up to
# the softmax.

# %% [markdown]
# ## Softmax and its Jacobian
#
# The last layer turns logits $z$ into positive numbers of sum 1,
#
# $$\alpha_k = \frac{e^{z_k}}{\sum_j e^{z_j}}.$$
#
# To add the same number to all logits changes nothing, and so the code first subtracts the largest: $e^{1000}$
# overflows, $e^0$ does not. Differentiate, and the diagonal and the denominator give two terms,
#
# $$\frac{\partial \alpha_k}{\partial z_j} = \alpha_k\,[k = j] - \alpha_k \alpha_j, \qquad
# S = \operatorname{diag}(\alpha) - \alpha \alpha^\top .$$


# %%
def softmax_and_jacobian(z):
    """alpha (K,) and S (K, K)."""
    alpha = np.exp(z - z.max())
    alpha /= alpha.sum()
    return alpha, np.diag(alpha) - np.outer(alpha, alpha)


z = np.array([0.0, 1.0, 2.0, 0.5, -1.0])


def look(scale):
    """alpha and S of scaled logits."""
    alpha, S = softmax_and_jacobian(scale * z)
    _, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8))
    left.bar(range(5), alpha)
    left.set(ylim=(0, 1), xlabel="class", title=rf"$\alpha$ of {scale:.2g} z")
    shown = right.imshow(S, cmap="RdBu_r", vmin=-0.25, vmax=0.25)
    right.set(xticks=range(5), yticks=range(5), title=rf"$S$, largest entry {abs(S).max():.1e}")
    plt.colorbar(shown)
    plt.show()


for scale in (0.2, 1, 6):
    look(scale)

# %%
slider(look, scale=(0.0, 12.0, 0.2, 2.0))

# %% [markdown]
# Three things to see, and notebook 3 and 8 come back to all of them:
#
# - Rows and columns of $S$ sum to 0. If one output rises, the others must fall.
# - A confident network has almost no derivative: when one $\alpha_k$ is nearly 1, every entry of $S$ is nearly 0.
# - The matrix needs no storing. The vjp takes a few operations on vectors:
#
# ### Exercise 2.4: softmax without the matrix
#
# Write $S^\top g$ with nothing but $\alpha$, $g$ and an inner product.


# %%
def softmax_vjp(alpha, g):
    """The cotangent of z, (K,), from alpha and its cotangent g, both (K,)."""
    return 0 * g  # your turn


# %%
alpha, S = softmax_and_jacobian(z)
g = np.array([1.0, -2.0, 0.5, 3.0, 1.0])
check("softmax vjp", softmax_vjp(alpha, g), S.T @ g)
check("the same cotangent plus 10", softmax_vjp(alpha, g + 10), S.T @ g)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $S$ is symmetric, and $S g = \alpha \odot g - \alpha \langle \alpha, g \rangle$.
#
# ```python
# def softmax_vjp(alpha, g):
#     """The cotangent of z, (K,), from alpha and its cotangent g, both (K,)."""
#     return alpha * (g - alpha @ g)
# ```
#
# It is the line under `softmax` in [ops.py](../minilwa/ops.py).
#
# </details>

# %% [markdown]
# ## Loss and softmax together
#
# Training minimises $\ell = -\log \alpha_y$. Its gradient by the logits is short, because the $1 / \alpha_y$ of the
# logarithm meets the $\alpha_y$ in row $y$ of $S$.
#
# ### Exercise 2.5: the gradient of the loss
#
# Find $\partial \ell / \partial z$ as a formula in $\alpha$ and $y$. For the logits above and $y = 3$:

# %%
y = 3
gradient = np.zeros(5)  # your turn

# %%
_, pullback = minilwa.vjp(lambda z: ops.cross_entropy(z, labels=np.array([3])), z[None])
(true,) = pullback(np.ones(1))
check("gradient of the loss", gradient, true[0])

# %% [markdown]
# <details><summary>Solution</summary>
#
# $-\frac{1}{\alpha_y} S_y = -\frac{1}{\alpha_y} (\alpha_y e_y - \alpha_y \alpha) = \alpha - e_y$.
#
# ```python
# y = 3
# gradient = softmax_and_jacobian(z)[0] - np.eye(5)[y]
# ```
#
# </details>

# %% [markdown]
# So the loss pushes the logit of class $y$ up, and the logit of every other class $k$ down, by $\alpha_k$. It pushes
# hardest while $\alpha_y$ is small, since the factor $\alpha_y$ of row $y$ of $S$ is gone. (A factor $1 - \alpha_y$ is
# left: a sample that is learned stops pushing. Notebook 8 comes back to it.) That is why one learns by the loss.
# The paper *attacks* by $T$, the derivative of $\alpha$ itself, which is $S$ times the derivative of the logits,
#
# $$T = \frac{\partial \alpha}{\partial x} = S \, \frac{\partial z}{\partial x},$$
#
# and there the vanishing of $S$ will matter.
#
# ## What to remember
#
# - A layer is a pair of functions, `init` and `apply`; a network freezes layers and parameters together
#   ([layers.py](../minilwa/layers.py), [networks.py](../minilwa/networks.py)).
# - A convolution is a matrix product with the windows as columns; its vjp multiplies by the transpose and adds up
#   what falls on the same pixel ([conv.py](../minilwa/conv.py)).
# - The Jacobian of softmax is $\operatorname{diag}(\alpha) - \alpha\alpha^\top$: rows sum to 0, and all of it
#   vanishes when the network is sure.
#
# Next: [3. Jacobian rows](03_jacobian_rows.ipynb).
