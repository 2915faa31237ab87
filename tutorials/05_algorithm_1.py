# %% [markdown]
# # 5. Half-spaces and their union: Algorithm 1
#
# **What you learn:** What turns a prediction, once the network is replaced by its linear model, is a union of
# half-spaces; the nearest point of the union is the nearest of the nearest points. That is Proposition 2.2, and
# Algorithm 1 is no more than that. You then see, on a network with two inputs where everything can be drawn, what the
# linear model gets right (the direction) and what it gets wrong (the length).
#
# **Place in the paper:** Section 2: inequality (1), Propositions 2.1 and 2.2, Algorithm 1. In the code:
# [propositions.py](../minilwa/propositions.py), [algorithms.py](../minilwa/algorithms.py).
#
# **You need:** notebooks 3 (rows of the Jacobian) and 4 (norms and Proposition 2.1). **Time:** 60 minutes with the
# exercises.

# %%
import matplotlib.pyplot as plt
import numpy as np
from check import check
from pictures import show_row
from widgets import slider

import minilwa
from minilwa import layers
from minilwa.backend import like
from minilwa.norms import dual_length, length, rescale, steepest

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## A plane of digits
#
# To see half-spaces we need a plane. Take the digits 0, 1, 3 and 4, and project them on their two first principal
# components. The projection keeps lengths *within the plane*: one unit is one unit of L2 distance between images.

# %%
data = minilwa.load_data()
classes = np.array([0, 1, 3, 4])
chosen = np.isin(data.y_train, classes)
images = data.x_train[chosen].reshape(-1, 784).astype(np.float64)
labels = np.searchsorted(classes, data.y_train[chosen])  # 0 to 3

mean = images.mean(axis=0)
_, _, components = np.linalg.svd(images - mean, full_matrices=False)
plane = components[:2]  # (2, 784), orthonormal rows
points = (images - mean) @ plane.T  # (N, 2)
print(len(points), "digits, each now a point of", points.shape[1], "numbers instead of", images.shape[1])

# %% [markdown]
# A small tanh network with a softmax on top: 2 inputs, 4 classes. In float64, so that nothing below is rounding.

# %%
network = minilwa.create(
    (layers.dense(16), layers.tanh(), layers.dense(16), layers.tanh(), layers.dense(4), layers.softmax()),
    input_shape=(2,),
    dtype="float64",
    device=device,
)
x_train = minilwa.asarray(points, "float64", device)
y_train = like(labels, x_train)  # on the same device
network = minilwa.train(network, x_train, y_train, minilwa.method("Normal"), minilwa.Recipe(epochs=8))


def g(x):
    """The network's alpha at points (..., 2) of the plane, as a NumPy array (..., 4)."""
    batch = minilwa.asarray(np.reshape(x, (-1, 2)), "float64", device)
    return minilwa.to_numpy(network(batch)).reshape(*np.shape(x)[:-1], 4)


print(f"right on the training points: {(g(points).argmax(axis=1) == labels).mean():.3f}")

# %%
COLOURS = np.array([[0.30, 0.45, 0.69], [0.87, 0.52, 0.32], [0.33, 0.66, 0.41], [0.77, 0.31, 0.32]])
LOW, HIGH = -7.5, 7.5
axis = np.linspace(LOW, HIGH, 301)
grid = np.stack(np.meshgrid(axis, axis), axis=-1)  # (301, 301, 2)


def paint(ax, values, title=""):
    """Colour the plane by the class with the largest of values (301, 301, 4); the boundary in black."""
    winner = values.argmax(axis=-1)
    ax.imshow(0.45 + 0.55 * COLOURS[winner], origin="lower", extent=(LOW, HIGH, LOW, HIGH))
    for k in range(4):
        ax.contour(axis, axis, winner == k, levels=[0.5], colors="black", linewidths=0.8)
    ax.set_title(title)


_, ax = plt.subplots(figsize=(5.2, 5))
paint(ax, g(grid), "where the network says 0, 1, 3, 4")
for k in range(4):
    some = points[labels == k][:60]
    ax.scatter(*some.T, s=9, color=0.7 * COLOURS[k], label=f"digit {classes[k]}")
ax.legend(loc="upper right", frameon=True, fontsize=9)
plt.show()

# %% [markdown]
# ## The linear model at one point
#
# At a point $x$ the paper replaces the network by $\hat g(x + r) = \alpha + T r$, with $\alpha = g(x)$ and
# $T = \partial g / \partial x$. (The paper prints $\partial g/\partial w$; it is the derivative by the input.) Here $T$
# has 4 rows and 2 columns, and its rows sum to zero because $\alpha$ always sums to one.

# %%
x0 = np.array([1.6, -0.4])


def linear_model(x):
    """alpha (4,) and T (4, 2) at the point x (2,)."""
    alpha, T = minilwa.jacobian_rows(network, minilwa.asarray(x[None], "float64", device))
    return minilwa.to_numpy(alpha)[0], minilwa.to_numpy(T)[0]


alpha, T = linear_model(x0)
J = alpha.argmax()
print("alpha =", alpha.round(3), " predicted digit:", classes[J])
print("T =\n", T.round(3))
print("sum of the rows of T:", T.sum(axis=0).round(12))

# %%
REACH = 3.4  # half the width of the dotted square, into which the next pictures zoom
_, axes = plt.subplots(1, 2, figsize=(8.4, 4.2))
paint(axes[0], g(grid), "the network $g$")
paint(axes[1], alpha + (grid - x0) @ T.T, r"its linear model $\hat g$ at the star")
for ax in axes:
    ax.plot(*x0, "*", color="black", markersize=12)
    ax.add_patch(plt.Rectangle(x0 - REACH, 2 * REACH, 2 * REACH, fill=False, linestyle=":"))
plt.show()

# %% [markdown]
# On the right every boundary is a straight line, and the further from the star, the less the two pictures have to do
# with each other. The next pictures zoom into the dotted square, with $r = 0$ in its middle.
#
# ## One half-space for each class
#
# In the linear model class $j$ overtakes the predicted class $J$ where
#
# $$\langle a_j, r\rangle \ge \delta_j, \qquad a_j = T_j - T_J, \quad \delta_j = \alpha_J - \alpha_j .$$
#
# That is a half-space. Its nearest point to $r = 0$ is the $r_{(j)}$ of Proposition 2.1; its distance is
# $\delta_j / \|a_j\|_*$. Note the direction of the inequality: the paper prints $\le$, which $r = 0$ already satisfies.

# %%
a = T - T[J]  # (4, 2)
delta = alpha[J] - alpha  # (4,)
others = [j for j in range(4) if j != J]


near = np.linspace(-REACH, REACH, 241)
r_grid = np.stack(np.meshgrid(near, near), axis=-1)  # (241, 241, 2), perturbations r
NEAR = (-REACH, REACH, -REACH, REACH)


def half_space(ax, j, strength=0.5):
    """Colour {r : <a_j, r> >= delta_j} in the colour of class j."""
    inside = r_grid @ a[j] >= delta[j]
    colour = np.broadcast_to(COLOURS[j], (*inside.shape, 3))
    ax.imshow(np.dstack([colour, strength * inside]), origin="lower", extent=NEAR)
    ax.contour(near, near, inside, levels=[0.5], colors=[0.6 * COLOURS[j]], linewidths=1.5)


def star_and_arrow(ax, r):
    """r = 0, and the perturbation r."""
    ax.plot(0, 0, "*", color="black", markersize=11)
    ax.annotate("", r, (0, 0), arrowprops={"arrowstyle": "->", "lw": 2, "shrinkA": 0, "shrinkB": 0})
    ax.set(xlim=NEAR[:2], ylim=NEAR[2:], aspect="equal")


r_to = {j: delta[j] / dual_length(a[j], "l2") * steepest(a[j], "l2") for j in others}
_, axes = plt.subplots(1, 3, figsize=(9.6, 3.5))
for ax, j in zip(axes, others, strict=True):
    half_space(ax, j)
    star_and_arrow(ax, r_to[j])
    ax.set_title(f"digit {classes[j]} overtakes digit {classes[J]}:\ndistance {length(r_to[j]):.2f}")
plt.show()

# %% [markdown]
# (Look back at the true regions: digit 0 lives on the left, and the linear model puts it on the right. It is a model of
# the surroundings of the star, and digit 0 is not among them.)
#
# ## Proposition 2.2: the union
#
# The linear model no longer says $J$ as soon as *any* class overtakes it. So the set of perturbations that turn it is
# the **union** of the three half-spaces, and what is left, where $J$ still wins, is a polygon around the star (here one
# that is open to the left).
#
# A point of the union lies in one of the half-spaces, so it is at least as long as that half-space's nearest point, so
# at least as long as the shortest of the $r_{(j)}$; and the shortest of them is in the union. That is the whole proof,
# and it never mentions which norm: **the minimum over a union is the minimum of the minima**.
#
# Below, the ball grows until it first touches the union, in each of three norms.

# %%
BALLS = {
    "l1": np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]]),
    "l2": np.stack([np.cos(np.linspace(0, 2 * np.pi, 200)), np.sin(np.linspace(0, 2 * np.pi, 200))], axis=1),
    "linf": np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]),
}


def nearest_of(norm):
    """Class I, its r and its length: the least of Proposition 2.1's solutions in this norm."""
    distance = {j: delta[j] / dual_length(a[j], norm) for j in others}
    nearest = min(distance, key=distance.get)
    return nearest, distance[nearest] * steepest(a[nearest], norm), distance[nearest]


_, axes = plt.subplots(1, 3, figsize=(9.6, 3.5))
for ax, norm in zip(axes, BALLS, strict=True):
    nearest, r, distance = nearest_of(norm)
    for j in others:
        half_space(ax, j, 0.35)
    ax.plot(*(distance * BALLS[norm]).T, color="black", linewidth=1.2)
    star_and_arrow(ax, r)
    ax.set_title(f"{norm}: radius {distance:.2f}, touches digit {classes[nearest]}")
plt.show()

# %% [markdown]
# Is it really the minimum? Ask the grid: of all its points where $\hat g$ no longer says $J$, which is nearest? (Its
# points are a few hundredths apart, so it can only come close, from above.)

# %%
turned = (alpha + r_grid @ T.T).argmax(axis=-1) != J
for norm in BALLS:
    by_search = length(r_grid[turned], norm).min()
    print(f"{norm:4}  Proposition 2.2: {nearest_of(norm)[2]:.3f}   best grid point: {by_search:.3f}")

# %% [markdown]
# ## Algorithm 1
#
# So the algorithm is: $T$, then $r_{(j)}$ for every class but $J$, then the shortest. (The paper's loop is `j = 1..d`;
# with $j = J$ in it, the quotient would be $0/0$.)


# %%
def my_algorithm_1(x, norm="l2"):
    """Algorithm 1 for one point x (2,): the nearest class I and r."""
    alpha, T = linear_model(x)  # line 1
    J = alpha.argmax()
    best, nearest, r = np.inf, None, None
    for j in range(len(alpha)):  # line 2
        if j == J:
            continue
        a, delta = T[j] - T[J], alpha[J] - alpha[j]
        distance = delta / dual_length(a, norm)  # line 3, Proposition 2.1
        if distance < best:
            best, nearest, r = distance, j, distance * steepest(a, norm)
    return nearest, r  # line 5


nearest, r = my_algorithm_1(x0)
theirs, perturbation = minilwa.algorithm_1(network, minilwa.asarray(x0[None], "float64", device))
print("mine:    digit", classes[nearest], r)
print("minilwa: digit", classes[int(theirs[0])], minilwa.to_numpy(perturbation.r)[0])

# %% [markdown]
# [minilwa.algorithm_1](../minilwa/algorithms.py) does the same for a batch, and returns direction and *logarithm* of
# the length apart. Notebook 8 shows why: lengths can exceed what a float holds.
#
# Move the star. In white is the edge of the linear model's polygon: near a boundary it hugs the boundary, and where the
# network is confident it is out of the picture, although the true boundary has not moved.


# %%
def explore(across=1.7, up=1.6):
    """The true regions, the polygon of the linear model, and Algorithm 1's step from the point (across, up)."""
    x = np.array([across, up])
    alpha, T = linear_model(x)
    nearest, r = my_algorithm_1(x)
    _, ax = plt.subplots(figsize=(5, 4.8))
    paint(ax, g(grid), f"step of length {length(r):.2f} towards digit {classes[nearest]}")
    still = (alpha + (grid - x) @ T.T).argmax(axis=-1) == alpha.argmax()
    ax.contour(axis, axis, still, levels=[0.5], colors="white", linewidths=3)
    ax.plot(*x, "*", color="black", markersize=13)
    ax.plot(*np.stack([x, x + r]).T, color="black", linewidth=2)
    ax.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH))
    plt.show()


slider(explore, across=(-6.0, 6.0, 0.1, 1.7), up=(-6.0, 6.0, 0.1, 1.6))

# %% [markdown]
# The same for three points, each further from the boundary than the last (white: the edge of the linear model's
# polygon; black: Algorithm 1's step):

# %%
three = np.array([[1.9, 1.4], [1.7, 1.6], [1.35, 2.0]])
_, axes = plt.subplots(1, 3, figsize=(9.6, 3.5))
for ax, x in zip(axes, three, strict=True):
    alpha_x, T_x = linear_model(x)
    r_x = my_algorithm_1(x)[1]
    paint(ax, g(grid), rf"$\alpha_J$ = {alpha_x.max():.4f}, step {length(r_x):.2f}")
    still = (alpha_x + (grid - x) @ T_x.T).argmax(axis=-1) == alpha_x.argmax()
    ax.contour(axis, axis, still, levels=[0.5], colors="white", linewidths=3)
    ax.plot(*x, "*", color="black", markersize=13)
    ax.plot(*np.stack([x, x + r_x]).T, color="black", linewidth=2)
    ax.set(xlim=(LOW, HIGH), ylim=(LOW, HIGH), xticks=[-6, 0, 6])
plt.show()

# %% [markdown]
# ## What the linear model gets wrong: the length
#
# The softmax is flat where it is confident: all of $T$ shrinks with $1 - \alpha_J$, while $\delta_j$ stays near one. So
# $\delta_j / \|a_j\|_*$ explodes. Follow $\alpha_J$ and its linear model along Algorithm 1's direction:

# %%
steps = np.linspace(0, 2, 200)
_, axes = plt.subplots(1, 3, figsize=(9.6, 2.9), sharey=True)
for ax, x in zip(axes, three, strict=True):
    alpha_x, T_x = linear_model(x)
    J_x = alpha_x.argmax()
    nearest, r_x = my_algorithm_1(x)
    along = r_x / length(r_x)
    for j, name in ((J_x, "J"), (nearest, "I")):
        (line,) = ax.plot(steps, g(x + steps[:, None] * along)[:, j], label=rf"$\alpha_{name}$, digit {classes[j]}")
        ax.plot(steps, alpha_x[j] + steps * (T_x[j] @ along), "--", color=line.get_color())
    ax.set(ylim=(0, 1.05), xlabel="length of the step", title=f"the linear model needs {length(r_x):.2f}")
axes[2].legend(loc="center left")
plt.show()

# %% [markdown]
# Solid is the network, dashed its linear model; where two lines of a kind cross, the prediction turns. On the right the
# dashed lines start out nearly flat and cross far outside the picture; the solid ones cross soon all the same.
#
# How bad is it? For a few hundred points, compare three lengths: what the linear model claims; how far one really has
# to go along Algorithm 1's direction; and how far the true boundary is, in any direction. The last one we can only have
# because it is a plane: a distance transform on a fine grid gives it everywhere at once.

# %%
from scipy.ndimage import distance_transform_edt

fine = np.linspace(-12, 12, 1201)
step = fine[1] - fine[0]
winners = g(np.stack(np.meshgrid(fine, fine), axis=-1)).argmax(axis=-1)
to_boundary = step * sum(distance_transform_edt(winners == k) for k in range(4))  # it is 0 outside of class k
_, ax = plt.subplots(figsize=(4, 3))
picture = ax.contourf(fine[::6], fine[::6], to_boundary[::6, ::6], levels=8, cmap="magma")
plt.colorbar(picture, label="distance to the boundary")
plt.show()

# %%
some = points[::5]  # every fifth digit
alphas, Ts = minilwa.jacobian_rows(network, minilwa.asarray(some, "float64", device))
_, found = minilwa.proposition_2_2(minilwa.proposition_2_1(alphas, Ts))
directions, claimed = minilwa.to_numpy(found.direction), np.exp(minilwa.to_numpy(found.log_distance))
column, row = np.round((some - fine[0]) / step).astype(int).T
true_distance = to_boundary[row, column]
print(f"claimed / true, median:  {np.median(claimed / true_distance):.2f}")
print(f"claimed / true, largest: {(claimed / true_distance).max():.3g}")

# %%
steps = np.linspace(0, 8, 801)


def distance_along(x, directions):
    """The first of steps at which the prediction changes, from x (N, 2) along directions (N, 2); inf if none."""
    predicted = g(x).argmax(axis=-1)
    turned = g(x + steps[:, None, None] * directions).argmax(axis=-1) != predicted
    return np.where(turned.any(axis=0), steps[turned.argmax(axis=0)], np.inf)


walked = distance_along(some, directions)
print(f"needed / true, median:   {np.median(walked / true_distance):.2f}")
print(f"{np.isfinite(walked).mean():.1%} of the points cross a boundary within 8 units")

# %%
_, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, sharey=True)
for ax, values, title in (
    (axes[0], claimed, "claimed by the linear model"),
    (axes[1], walked, "needed along Algorithm 1's direction"),
):
    ax.loglog(true_distance, values, ".", alpha=0.5)
    ax.plot([0.02, 5], [0.02, 5], color="black", linewidth=1)
    ax.set(title=title, xlabel="distance to the true boundary", xlim=(0.02, 6))
plt.show()

# %% [markdown]
# ## What it gets right: the direction
#
# So the direction is what the paper keeps: in section 3.1.2 it takes $c\, r^*_I / \|r^*_I\|$, with the radius $c$
# chosen by hand. Beside random directions, how good is it?

# %%
rng = np.random.default_rng(0)
angles = rng.uniform(0, 2 * np.pi, len(some))
random = np.stack([np.cos(angles), np.sin(angles)], axis=1)
by_chance = distance_along(some, random)
ratio = np.geomspace(1, 20, 200)
for values, name in ((walked, "Algorithm 1's direction"), (by_chance, "a random direction")):
    plt.semilogx(ratio, [(values <= q * true_distance).mean() for q in ratio], label=name)
plt.gcf().set_size_inches(6, 3.2)
plt.xlabel("length allowed, in units of the distance to the boundary")
plt.ylabel("share of points turned")
plt.xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
plt.ylim(0, 1)
plt.legend()
plt.show()

# %% [markdown]
# In a plane even chance does fairly well, since there are few directions to choose from. In 784 dimensions it is
# hopeless, while the linear model's direction remains good. Here is Algorithm 1 on real digits, all 784 pixels of them:

# %%
digits = minilwa.load_data(device=device)
big = minilwa.mlp(784, 100, 100, 10, input_shape=(1, 28, 28), device=device)
big = minilwa.train(big, digits.x_train, digits.y_train, minilwa.method("Normal"), minilwa.Recipe(epochs=4))
print("right on the test digits:", minilwa.clean_score(big, digits.x_test, digits.y_test).accuracy)

# %%
x = digits.x_test[:10]
towards, r = minilwa.algorithm_1(big, x)
moved = x + 2.0 * r.direction
before, after = minilwa.predict(big, x), minilwa.predict(big, moved)
show_row(x, [str(int(k)) for k in before])
show_row(r.direction, [f"to {int(k)}" for k in towards], signed=True)
show_row(moved, [str(int(k)) for k in after])

# %% [markdown]
# Above: the digits with what the network says; the direction of Algorithm 1 with the class that it aims at; the digits
# moved by 2 along it, with what the network says then. And random steps of the same length, over all test digits?

# %%
noise = minilwa.asarray(np.random.default_rng(0).normal(size=digits.x_test.shape), device=device)
noise = rescale(noise, 1.0)
along = minilwa.direction("adv_alpha")
for radius in (1.0, 2.0, 3.0):
    chance = float((minilwa.predict(big, digits.x_test + radius * noise) == digits.y_test).mean())
    attacked = minilwa.attacked_scores(big, digits.x_test, digits.y_test, along, [radius])[0]
    print(f"step {radius}:  right after a random one {chance:.3f}, after Algorithm 1's {attacked.accuracy:.3f}")

# %% [markdown]
# ## Exercises
#
# Each is a misprint or a gap of the paper. Fill in the cell, then run the check below it.
#
# **1. Inequality (1).** The paper prints the constraint as $\langle a_j, r\rangle \le \delta_j$. What is then the
# smallest $\|r\|$ that satisfies it? And the smallest for the right inequality, at the star (`a`, `delta`, L2), for
# digit 4, which is class number 3?

# %%
as_printed = np.nan  # your turn
as_it_should_be = np.nan

# %%
check("as printed", as_printed, 0.0)
check("as it should be", as_it_should_be, length(r_to[3]))

# %% [markdown]
# <details><summary>Solution</summary>
#
# $r = 0$ satisfies $0 \le \delta_j$, since $J$ has the largest $\alpha$: the printed problem has the answer 0 for every
# class. The right one is Proposition 2.1.
#
# ```python
# as_printed = 0.0
# as_it_should_be = delta[3] / np.linalg.norm(a[3])
# ```
# </details>

# %% [markdown]
# **2. The L1 case.** Printed: $r_{(j)} = \frac{c}{\|a_j\|_\infty} e_I$ with $I$ the largest component of $|a_j|$. There
# is no $c$ in the problem: it must be $\delta_j$. And that is not all. Here are 2,000 random constraints; how often
# does $\frac{\delta_j}{\|a_j\|_\infty} e_I$ satisfy $\langle a_j, r\rangle \ge \delta_j$? Then find what is missing, so
# that it always does.

# %%
rng = np.random.default_rng(1)
many_a, many_delta = rng.normal(size=(2000, 5)), rng.uniform(0.1, 1, 2000)
largest = np.abs(many_a).argmax(axis=1)

# %%
share_feasible = 0.0  # your turn
right_r = np.zeros((2000, 5))

# %%
check("share that is feasible", share_feasible, (many_a[np.arange(2000), largest] > 0).mean())
check("the right r reaches the boundary", (many_a * right_r).sum(axis=1), many_delta)
check("and is the shortest in L1", length(right_r, "l1"), many_delta / dual_length(many_a, "l1"))

# %% [markdown]
# <details><summary>Solution</summary>
#
# The sign of the component: without it, half of the steps go away from the boundary.
#
# ```python
# printed = np.zeros((2000, 5))
# printed[np.arange(2000), largest] = many_delta / np.abs(many_a).max(axis=1)
# share_feasible = ((many_a * printed).sum(axis=1) >= many_delta - 1e-12).mean()
# right_r = printed * np.sign(many_a)
# ```
# </details>

# %% [markdown]
# **3. `j = 1..d`.** Compute $\delta_j / \|a_j\|_2$ for all classes of all points at once, from `alphas` $(N, 4)$ and
# `Ts` $(N, 4, 2)$, as the paper's loop says, with $j = J$ included. What comes out there? Then take the nearest class
# of each point, with $J$ left out.

# %%
A, R = minilwa.to_numpy(alphas), minilwa.to_numpy(Ts)
print(A.shape, R.shape)

# %%
nearest_classes = np.zeros(len(A), int)  # your turn

# %%
there = minilwa.asarray(some, "float64", device)
check("nearest classes", nearest_classes, minilwa.to_numpy(minilwa.algorithm_1(network, there)[0]))

# %% [markdown]
# <details><summary>Solution</summary>
#
# At $j = J$ it is $0/0$, which is `nan`, and `argmin` takes a `nan` for the minimum.
#
# ```python
# own = A.argmax(axis=1)
# a_all = R - R[np.arange(len(A)), own][:, None]
# delta_all = A.max(axis=1, keepdims=True) - A
# with np.errstate(invalid="ignore"):
#     quotient = delta_all / np.linalg.norm(a_all, axis=2)
# nearest_classes = np.nanargmin(quotient, axis=1)
# ```
# </details>

# %% [markdown]
# **4. "Always solvable".** The paper calls the solution straightforward for every $j$. Let $\alpha = (0.5, 0.3, 0.2)$
# and $T_1 = (1, 2)$, $T_2 = (1, 2)$, $T_3 = (-2, -4)$. How far away, in L2, is class 2, and how far class 3? (Infinity is
# `np.inf`.)

# %%
distance_2, distance_3 = 0.0, 0.0  # your turn

# %%
check("class 2", distance_2, np.inf)
check("class 3", distance_3, 0.1 / np.sqrt(5))

# %% [markdown]
# <details><summary>Solution</summary>
#
# $a_2 = 0$ while $\delta_2 > 0$: no $r$ moves class 2 against class 1, the half-space is empty. Dead ReLUs make such
# rows.
#
# ```python
# distance_2 = np.inf
# distance_3 = (0.5 - 0.2) / np.linalg.norm([-2 - 1, -4 - 2])
# ```
# </details>

# %% [markdown]
# **5. "Predicts wrongly".** Proposition 2.2 says that $r_I$ makes $\hat g$ wrong. Compute $\hat g_J - \hat g_I$ at
# $x_0 + r_I$ and at $x_0 + 1.01\, r_I$ (L2, at the star; `nearest_of`, `alpha` and `T` are there).

# %%
at_r, a_little_further = np.nan, np.nan  # your turn

# %%
I_star, r_star, _ = nearest_of("l2")
check("at r", at_r, 0.0)
check("a little further", a_little_further, -0.01 * delta[I_star])

# %% [markdown]
# <details><summary>Solution</summary>
#
# Exactly a tie: $J$ is no longer the *only* maximiser. Any $\eta > 0$ more crosses, by $\eta\, \delta_I$.
#
# ```python
# I, r, _ = nearest_of("l2")
# at_r, a_little_further = ((alpha + T @ (r * eta))[[J, I]] @ [1, -1] for eta in (1, 1.01))
# ```
# </details>

# %% [markdown]
# ## What to remember
#
# - A linear model is turned by a union of half-spaces; the nearest of the nearest points is exact, in every norm.
# - The class $J$ itself is no candidate; $a_j = 0$ means unreachable; at $r_I$ there is a tie.
# - Of the linear model's answer keep the direction. Its length belongs to the softmax, not to the boundary.
#
# Next: [6. Learning with an adversary](06_learning.ipynb).
