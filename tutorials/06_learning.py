# %% [markdown]
# # 6. Learning with an adversary
#
# **What you learn:** Robust training is a game: the network minimises a loss that an adversary has first maximised. To
# descend, you need the gradient of a maximum. Danskin's theorem says that you may hold the adversary's move fixed, and
# Algorithm 2 does just that. The paper's version of the theorem (Proposition 3.1) is false as printed; you see a
# counterexample, the missing condition, and why training works all the same.
#
# **Place in the paper:** Section 3: problem (2), Proposition 3.1, Algorithm 2, and 3.1 for the adversary's move. In the
# code: [algorithms.py](../minilwa/algorithms.py), [directions.py](../minilwa/directions.py),
# [training.py](../minilwa/training.py).
#
# **You need:** notebooks 1 (gradients), 4 (steepest directions) and 5 (Algorithm 1). **Time:** 60 minutes with the
# exercises.

# %%
import matplotlib.pyplot as plt
import numpy as np
from check import check
from pictures import show_row
from widgets import slider

import minilwa
from minilwa.algorithms import batch_loss, loss_gradient
from minilwa.norms import rescale
from minilwa.training import shuffled_batches

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## The gradient of a maximum
#
# Let $f(u, v)$ be the loss when the adversary plays $u$ and the network's parameter is $v$. The network pays
# $L(v) = \max_u f(u, v)$. Each grey curve below is $f(u, \cdot)$ for one move $u$; $L$ is their upper envelope. At a
# point $v_0$ the best move $u^*$ is the curve that touches the envelope there.


# %%
def f(u, v):
    """A smooth game: the adversary's move u, the parameter v."""
    return np.sin(3 * u) * v - (u - v) ** 2


moves = np.linspace(-2, 2, 4001)
parameters = np.linspace(-1.5, 1.5, 301)
L = f(moves[:, None], parameters).max(axis=0)


def slope(function, v, h=1e-5):
    """The slope of function at v, by a central difference."""
    return (function(v + h) - function(v - h)) / (2 * h)


def draw_game(v0):
    """The envelope, the best move's curve at v0, and the tangent that they share."""
    _, ax = plt.subplots(figsize=(6.5, 3.6))
    for u in moves[::160]:
        ax.plot(parameters, f(u, parameters), color="0.8", linewidth=0.8)
    best = moves[f(moves, v0).argmax()]
    ax.plot(parameters, L, color="black", linewidth=2.5, label="$L(v) = \\max_u f(u, v)$")
    ax.plot(parameters, f(best, parameters), color="tab:red", label=f"$f(u^*, v)$, $u^*$ = {best:.2f}")
    tangent = slope(lambda v: f(best, v), v0)
    ax.plot(v0 + np.array([-0.5, 0.5]), f(best, v0) + tangent * np.array([-0.5, 0.5]), "--", color="tab:blue")
    ax.plot(v0, f(best, v0), "o", color="tab:blue", label=f"their slope at {v0:.2f}: {tangent:.2f}")
    ax.set(ylim=(-3, 3), xlabel="v")
    ax.legend(loc="lower center", fontsize=9, frameon=True)
    plt.show()


draw_game(0.6)

# %% [markdown]
# The red curve lies below the black one everywhere and touches it at $v_0$. Two curves that touch without crossing have
# the same slope, where each has one: **the slope of the maximum is the slope of the maximiser, with the move held
# fixed.** You may look for a place where it fails:

# %%
slider(draw_game, v0=(-1.3, 1.3, 0.05, -0.4))

# %%
for v0 in (-1.0, -0.4, 0.3, 0.6, 1.1):
    best = moves[f(moves, v0).argmax()]
    of_L = slope(lambda v: f(moves, v).max(), v0)
    of_f = slope(lambda v, best=best: f(best, v), v0)
    print(f"v0 = {v0:4.1f}   u* = {best:5.2f}   slope of L {of_L:7.4f}   slope of f(u*, .) {of_f:7.4f}")

# %% [markdown]
# ## Proposition 3.1 is false as printed
#
# The paper asks of $f$ only that it be differentiable *almost everywhere* (and that $L$ be Lipschitz). Take
#
# $$f(u, v) = -|u - v| \quad\text{on } [0, 1]^2 .$$
#
# It is differentiable except on the line $u = v$, which has no area. $L(v) = 0$ for every $v$: the adversary plays
# $u = v$. So $L' = 0$ everywhere. But the best move sits exactly on the bad line: $f(u^*, \cdot)$ is a tent with its
# tip at $v_0$, and has no derivative there. Not for some unlucky $v_0$: for every one.

# %%
v = np.linspace(0, 1, 201)
_, axes = plt.subplots(1, 2, figsize=(10, 3.2))
for u in (0.2, 0.5, 0.8):
    (line,) = axes[0].plot(v, -np.abs(u - v), label=f"$f({u}, v)$")
    axes[0].plot(u, 0, "o", color=line.get_color())
axes[0].plot(v, 0 * v, color="black", linewidth=2.5, label="$L(v) = 0$")
axes[0].legend(fontsize=9)
axes[0].set(title="every curve touches L with its tip", xlabel="v")
best = moves[f(moves, 0.6).argmax()]
axes[1].plot(parameters - 0.6, L - f(best, parameters), label="the smooth game")
axes[1].plot(v - 0.5, np.abs(v - 0.5), label="the tents")
axes[1].set(
    title=r"the gap $\phi(v) = L(v) - f(u^*, v)$ around $v_0$",
    xlim=(-0.3, 0.3),
    ylim=(-0.02, 0.32),
    xlabel="$v - v_0$",
)
axes[1].legend(fontsize=9)
plt.show()

# %% [markdown]
# The picture on the right is the theorem and its proof. The gap $\phi(v) = L(v) - f(u^*, v)$ is never negative and zero
# at $v_0$, so $v_0$ is its minimum. *If* $L$ and $f(u^*, \cdot)$ both have a derivative at $v_0$, so has $\phi$; at a
# minimum it is zero; the slopes agree. The tent's gap is a minimum too, but with a kink. So, corrected:
#
# > If $L$ is differentiable at $v_0$, the maximum is attained at some $u^*$, and **$f(u^*, \cdot)$ is differentiable at
# > $v_0$**, then $\nabla L(v_0) = \nabla_v f(u^*, v_0)$.
#
# "Almost everywhere in $(u, v)$" does not give that, since the adversary chooses $u^*$, and may choose it on the bad
# set. (Danskin's own theorem asks that $\nabla_v f$ exist everywhere and be continuous.) ReLU networks have kinks, so
# the worry is not idle; in practice a kink is rarely hit exactly.
#
# ## Where the adversary is exact
#
# For a linear classifier with labels $y = \pm 1$ and the logistic loss $\log(1 + e^{-y \langle w, x\rangle})$ the best
# move in an L2 ball is known, $r^* = -y\,c\,w / \|w\|$, so $L$ is too:
# $\log(1 + e^{-y \langle w, x\rangle + c \|w\|})$. Does holding $r^*$ fixed give its gradient? Note that $r^*$ itself
# depends on $w$, and that dependence is ignored.

# %%
rng = np.random.default_rng(0)
w, x, y, c = rng.normal(size=5), rng.normal(size=5), 1.0, 0.7


def loss(w, x, y):
    """The logistic loss of one sample."""
    return np.log1p(np.exp(-y * (w @ x)))


r = -y * c * w / np.linalg.norm(w)


def gradient_of(function):
    """The gradient of function(w) at w, by central differences."""
    return np.array([slope(lambda t, e=e: function(w + t * e), 0.0) for e in np.eye(5)])


held_fixed = gradient_of(lambda w: loss(w, x + r, y))
of_L = gradient_of(lambda w: np.log1p(np.exp(-y * (w @ x) + c * np.linalg.norm(w))))
print("gradient with r* held fixed:", held_fixed.round(5))
print("gradient of the maximum:    ", of_L.round(5))

# %% [markdown]
# Equal. The path that was left out, from $w$ through $r^*$ into the loss, contributes nothing: at the best move on the
# sphere, moving along the sphere changes the loss by nothing to first order.
#
# For a deep network $r^*$ is not the maximiser but that of the linear model (notebook 5), so Algorithm 2 descends on an
# approximation of $L$. How good an adversary that is, is the question of notebook 9.
#
# ## Algorithm 2
#
# With the theorem, learning is: for each batch, find the move; add it; take the gradient step *on the moved images as
# if they were data*. Line by line as in the paper's listing (the move: section 3.1.1, that is Adv_Loss):


# %%
def my_algorithm_2(network, velocity, batches, c, sgd):
    """One epoch against an adversary that moves every image by c in L2; c = 0 is ordinary training."""
    for x, y in batches:  # 1, 2
        r = minilwa.adv_loss(network, x, y)  # 3, 4: a unit direction, from derivatives by x
        x_hat = x + rescale(r, c, "l2")  # 5: the pseudo-samples
        gradient = loss_gradient(network, x_hat, y)  # 7: by the parameters; x_hat is a constant
        network, velocity = sgd.step(network, velocity, gradient)
    return network, velocity


# %% [markdown]
# [algorithms.py](../minilwa/algorithms.py) has the same lines, with the move as an argument. Now train twice on 4,000
# digits, from the same start: once without the adversary, once with $c = 1.5$. After each epoch look at the accuracy on
# 500 test digits, clean and moved by 1.5 against the network as it is *now*.

# %%
data = minilwa.load_data(device=device)
x_test, y_test = data.x_test[:500], data.y_test[:500]
sgd = minilwa.SGD(rate=0.05, momentum=0.9)


def accuracy(network, radius):
    """The share of the test digits that are right, each moved by radius along Adv_Loss."""
    along = minilwa.direction("adv_loss")
    return minilwa.attacked_scores(network, x_test, y_test, along, [radius])[0].accuracy


def mean_loss(network, x, y):
    """The mean cross-entropy."""
    return float(batch_loss(network.parameters, x, network, y))


start = minilwa.mlp(784, 200, 200, 10, input_shape=(1, 28, 28), device=device)
print(f"before any training: accuracy {accuracy(start, 0.0):.3f}, loss {mean_loss(start, x_test, y_test):.3f}")


# %%
def train_and_watch(c, epochs=8):
    """The network after training, and (epochs, 4): accuracy clean and moved, loss clean and moved."""
    network, velocity, history = start, sgd.start(start), []
    for epoch in range(epochs):
        rng = np.random.default_rng(epoch)
        batches = shuffled_batches(data.x_train, data.y_train, minilwa.Recipe(), rng, lambda images: None)
        network, velocity = my_algorithm_2(network, velocity, batches, c, sgd)
        x_hat = minilwa.adversarial_images(network, x_test, y_test, minilwa.direction("adv_loss"), 1.5)
        losses = mean_loss(network, x_test, y_test), mean_loss(network, x_hat, y_test)
        history.append((accuracy(network, 0.0), accuracy(network, 1.5), *losses))
    return network, np.array(history)


# %%
normal, history_normal = train_and_watch(0.0)
lwa, history_lwa = train_and_watch(1.5)
for name, history in (("Normal", history_normal), ("LWA", history_lwa)):
    clean, moved = history[-1, :2]
    print(f"{name:6} after {len(history)} epochs: clean {clean:.3f}, moved by 1.5 {moved:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
epochs = np.arange(1, len(history_normal) + 1)
for name, history, colour in (("Normal", history_normal, "tab:blue"), ("LWA", history_lwa, "tab:orange")):
    for ax, clean, moved in ((axes[0], 0, 1), (axes[1], 2, 3)):
        ax.plot(epochs, history[:, clean], "-o", color=colour, label=f"{name}, clean", markersize=4)
        ax.plot(epochs, history[:, moved], "--o", color=colour, label=f"{name}, moved by 1.5", markersize=4)
axes[0].set(ylim=(0, 1), xlabel="epoch", title="test accuracy")
axes[1].set(ylim=(0, None), xlabel="epoch", title="test loss")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
plt.show()

# %% [markdown]
# The clean accuracies come close to each other: the adversary makes learning slower. The dashed lines part. Ordinary
# training does nothing for its network's robustness: while the clean loss falls, the loss of the moved digits rises.
#
# ## What the adversary has taught
#
# The weights into the first hidden layer, each an image of 28x28 (of the ten units with the largest weights on the way
# out), and the direction $-T_y$ that hurts each of ten digits most:


# %%
def first_weights(network, count=10):
    """The weights into the hidden units that matter most to the next layer, as images."""
    outgoing = minilwa.to_numpy(network.parameters[3]["w"])
    units = np.argsort(-np.linalg.norm(outgoing, axis=1))[:count]
    return minilwa.to_numpy(network.parameters[1]["w"]).T[units].reshape(count, 28, 28)


show_row(x_test[:10], [f"digit {int(k)}" for k in y_test[:10]])
for name, network in (("Normal", normal), ("LWA", lwa)):
    print(f"{name}: weights of ten units, then what hurts the ten digits above")
    show_row(first_weights(network), signed=True)
    show_row(minilwa.adv_loss(network, x_test[:10], y_test[:10]), signed=True)

# %% [markdown]
# Against the Normal network a sprinkle of pixels hurts; against the LWA network it takes strokes, and the adversary has
# to paint.
#
# ## How strong should the adversary be?
#
# $c$ is a hyperparameter. Too small, and little robustness is learned; too large, and many of the moved digits look like
# another, and the clean accuracy pays for it. Five epochs each, from the same start:

# %%
strengths = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]
recipe = minilwa.Recipe(epochs=5)
trained = [minilwa.train(start, data.x_train, data.y_train, minilwa.method("LWA", radius=c), recipe) for c in strengths]
radii = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0]
curves = np.array([[accuracy(network, radius) for radius in radii] for network in trained])
print("  c   accuracy, clean and moved by", radii[1:])
for strength, curve in zip(strengths, curves, strict=True):
    print(f"{strength:.1f}  ", *(f"{value:.3f}" for value in curve))

# %%
_, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
colours = plt.cm.viridis(np.linspace(0, 0.9, len(strengths)))
for strength, curve, colour in zip(strengths, curves, colours, strict=True):
    axes[0].plot(radii, curve, "-o", markersize=3, color=colour, label=f"c = {strength}")
axes[0].legend(fontsize=9, ncols=2)
axes[0].set(title="accuracy over the radius of the attack", xlabel="radius (L2)", ylim=(0, 1))
axes[1].plot(strengths, curves[:, 0], "-o", label="clean")
axes[1].plot(strengths, curves[:, radii.index(1.5)], "-o", label="moved by 1.5")
axes[1].legend(fontsize=9)
axes[1].set(title="accuracy over the strength c in training", xlabel="c", ylim=(0, 1))
plt.show()

# %% [markdown]
# These are one-step attacks on 500 digits and single runs: enough to see the shape, not enough for a claim.
#
# ## Exercises
#
# **1. Danskin by hand.** $f(u, v) = u v - u^2 / 2$ with $u \in [-1, 1]$. What is $L'(0.5)$, and what $L'(2)$?

# %%
at_half, at_two = 0.0, 0.0  # your turn

# %%
check("L'(0.5)", at_half, 0.5)
check("L'(2)", at_two, 1.0)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The slope of $f(u^*, \cdot)$ is $u^*$. Inside, $u^* = v$; at $v = 2$ the adversary would like to play 2 but must play
# 1.
#
# ```python
# at_half, at_two = 0.5, 1.0
# ```
# </details>

# %% [markdown]
# **2. The tent.** For $f(u, v) = -|u - v|$ and $v_0 = 0.4$: the slopes of $f(u^*, \cdot)$ to the left and to the right
# of $v_0$, and the slope of $L$.

# %%
left, right, of_the_maximum = np.nan, np.nan, np.nan  # your turn

# %%
check("to the left", left, 1.0)
check("to the right", right, -1.0)
check("of L", of_the_maximum, 0.0)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $u^* = 0.4$: a tent that rises to its tip and falls after it. Neither slope is that of $L$.
#
# ```python
# left, right, of_the_maximum = 1.0, -1.0, 0.0
# ```
# </details>

# %% [markdown]
# **3. Another ball.** The linear classifier of above (`w`, `x`, `y`, `c`), but the adversary moves in an L$\infty$ ball
# of radius `c`. Give its best move, and the gradient of the maximum by `w`. Danskin: hold the move fixed.

# %%
worst_r = np.zeros(5)  # your turn
gradient_w = np.zeros(5)

# %%
worst_loss = np.log1p(np.exp(-y * (w @ x) + c * np.abs(w).sum()))
check("the loss after the worst move", loss(w, x + worst_r, y), worst_loss)
check("the gradient", gradient_w, gradient_of(lambda w: np.log1p(np.exp(-y * (w @ x) + c * np.abs(w).sum()))))

# %% [markdown]
# <details><summary>Solution</summary>
#
# The sign, by notebook 4. And the gradient of $\log(1 + e^{-m})$, $m = y\langle w, x + r\rangle$, is
# $-y (x + r) / (1 + e^m)$.
#
# ```python
# worst_r = -y * c * np.sign(w)
# gradient_w = -y * (x + worst_r) / (1 + np.exp(y * (w @ (x + worst_r))))
# ```
# </details>

# %% [markdown]
# **4. The sign in section 3.1.1.** The paper prints $r^* = +c\,T_y / \|T_y\|_2$. Move the 500 test digits by that, with
# $c = 1.5$, against the Normal network. What is the mean loss then? (`minilwa.adv_loss` has the right sign, `mean_loss`
# is above.)

# %%
print(f"clean loss {history_normal[-1, 2]:.4f}, after the right move {history_normal[-1, 3]:.4f}")

# %%
loss_as_printed = np.nan  # your turn

# %%
friendly = x_test - 1.5 * minilwa.adv_loss(normal, x_test, y_test)
check("mean loss after the printed move", loss_as_printed, mean_loss(normal, friendly, y_test))

# %% [markdown]
# <details><summary>Solution</summary>
#
# The printed move is a friend: it raises $\alpha_y$ and the loss falls. Training against friends teaches nothing.
#
# ```python
# loss_as_printed = mean_loss(normal, x_test - 1.5 * minilwa.adv_loss(normal, x_test, y_test), y_test)
# ```
# </details>

# %% [markdown]
# **5. Which norm?** Algorithm 2 divides by $\|r^*\|_2$, Algorithm 3 by $\|r^*\|$. The norm that *shapes* the move and
# the norm that *measures* it are two choices. Adv_Loss_Sign shapes in L$\infty$ and measures in L2: by how much does it
# change each pixel of a 28x28 image (where no derivative is zero), at an L2 radius of 1.5? And how long in L2 is a move
# that changes every pixel by 0.1?

# %%
per_pixel, l2_length = 0.0, 0.0  # your turn

# %%
check("per pixel", per_pixel, 1.5 / 28)
check("L2 length", l2_length, 2.8)

# %% [markdown]
# <details><summary>Solution</summary>
#
# 784 equal changes $\varepsilon$ have the L2 length $\varepsilon\sqrt{784} = 28\,\varepsilon$.
#
# ```python
# per_pixel = 1.5 / np.sqrt(784)
# l2_length = 0.1 * np.sqrt(784)
# ```
# </details>

# %% [markdown]
# ## What to remember
#
# - The gradient of a maximum is the gradient at the maximiser, held fixed, where both are differentiable. "Almost
#   everywhere" is not enough: the adversary chooses where.
# - Algorithm 2 is ordinary training on images that are moved anew in every batch against the network as it is.
# - The direction's norm and the radius's norm are two choices; the sign in 3.1.1 must be minus.
#
# Next: [7. The representation](07_representation.ipynb).
