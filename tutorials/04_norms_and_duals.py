# %% [markdown]
# # 4. Norms and duals
#
# "Small" perturbation: in which norm? The answer decides what the perturbation looks like. One pixel, a smear, or a
# speck on every pixel: all three are the smallest, each in a norm of its own.
#
# **What you learn:** what the dual norm is and why it is the one that matters, which direction is steepest in which
# norm, and Proposition 2.1, drawn and checked by linear programming. Two misprints are corrected on the way.
#
# **Place in the paper:** section 1.1 (the dual norm), inequality (1) and Proposition 2.1 in section 2.
#
# **You need:** notebook 3. **Time:** 45 minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pictures
from check import check
from scipy.optimize import linprog
from widgets import slider

import minilwa
from minilwa.norms import dual_length, length, steepest

device = "cpu"  # "gpu" puts everything on a CUDA device
NORMS = ("l1", "l2", "linf")

# %% [markdown]
# ## Unit balls
#
# $\|r\|_p = \bigl(\sum_i |r_i|^p\bigr)^{1/p}$, and $\|r\|_\infty = \max_i |r_i|$. The unit ball, all $r$ with
# $\|r\| \le 1$, shows what a norm counts as small:

# %%
angles = np.linspace(0, 2 * np.pi, 721)
circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (721, 2)


def sphere(p):
    """The points of norm 1, in every direction, (721, 2)."""
    return circle / length(circle, p)[:, None]


def frame(axis, title="", limit=1.5):
    """A square picture with the axes through the origin."""
    axis.axhline(0, color="0.85", zorder=0)
    axis.axvline(0, color="0.85", zorder=0)
    axis.set(title=title, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


plt.figure(figsize=(5.2, 3.8))
frame(plt.gca(), "unit balls", limit=1.2)
for p in (1, 1.3, 2, 4, np.inf):
    plt.plot(*sphere(p).T, label=f"p = {p}")
plt.legend(loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# The $L_1$ ball reaches far along the axes and hardly between them: one large change is cheap, many small ones are
# dear. In $L_\infty$ it is the reverse: once one component has changed by 1, all others may as well.
#
# ## The dual norm: how much can a unit step gain?
#
# Let $v$ be the slope of a linear function $r \mapsto \langle v, r \rangle$. The best step of length 1 gains
#
# $$\|v\|_* = \max_{\|r\| \le 1} \langle v, r \rangle .$$
#
# To see it, move the line $\langle v, r \rangle = c$ outwards as far as it still touches the ball. The point that it
# touches last is the **steepest** direction, and $c$ is then the dual norm.


# %%
def touch(axis, v, p):
    """The ball of norm p, the slope v, and the line <v, r> = c that just touches."""
    r, gain = steepest(v, p), dual_length(v, p)
    frame(axis, f"{p}:  gain {gain:.2f}", limit=1.7)
    axis.fill(*sphere(p).T, color="C0", alpha=0.2)
    along = np.array([-v[1], v[0]]) / np.hypot(*v)  # the line's own direction
    foot = v * gain / (v @ v)
    axis.plot(*np.stack([foot - 4 * along, foot + 4 * along]).T, "C1")
    axis.annotate("", v / np.hypot(*v) * 0.6, (0, 0), arrowprops={"arrowstyle": "->", "color": "k"})
    axis.plot(*r, "C3o")


def look(angle, norm):
    """The steepest direction in one norm, for a slope of length 1 at an angle in degrees."""
    v = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    _, axis = plt.subplots(figsize=(3.6, 3.8))
    touch(axis, v, norm)
    plt.show()


v = np.array([2.0, 1.0])
_, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
for axis, norm in zip(axes, NORMS):
    touch(axis, v, norm)
plt.show()

# %% [markdown]
# The arrow is $v = (2, 1)$, the red point the steepest direction: a corner of the $L_1$ ball (all on the larger
# component), $v$ itself in $L_2$, a corner of the $L_\infty$ ball (full steps in both). Turn $v$, and watch the
# points jump from corner to corner.

# %%
slider(look, angle=(0, 360, 5, 20), norm=[*NORMS, 1.3, 4.0])

# %% [markdown]
# In formulas, with $i^* = \arg\max_i |v_i|$:
#
# | norm of the step | steepest direction | gain, the dual norm |
# | --- | --- | --- |
# | $L_1$ | $\operatorname{sign}(v_{i^*})\, e_{i^*}$ | $\|v\|_\infty$ |
# | $L_2$ | $v / \|v\|_2$ | $\|v\|_2$ |
# | $L_\infty$ | $\operatorname{sign}(v)$ | $\|v\|_1$ |
# | $L_p$ | $\propto \operatorname{sign}(v)\,\lvert v\rvert^{q-1}$ | $\|v\|_q$ with $\frac1p + \frac1q = 1$ |
#
# ### Exercise 4.1: steepest
#
# Write the first three rows of the table for a vector `v`.


# %%
def my_steepest(v, norm):
    """The r with ||r|| = 1 and <v, r> = ||v||_*, for norm "l1", "l2" or "linf"."""
    return 0 * v  # your turn


# %%
w = np.array([1.0, -4.0, 2.0, 0.5])
check("L1", my_steepest(w, "l1"), [0, -1, 0, 0])
check("L2", my_steepest(w, "l2"), w / 4.6097722286)
check("Linf", my_steepest(w, "linf"), [1, -1, 1, 1])

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_steepest(v, norm):
#     """The r with ||r|| = 1 and <v, r> = ||v||_*, for norm "l1", "l2" or "linf"."""
#     if norm == "linf":
#         return np.sign(v)
#     if norm == "l2":
#         return v / np.sqrt((v**2).sum())
#     r = np.zeros_like(v)
#     largest = np.abs(v).argmax()
#     r[largest] = np.sign(v[largest])
#     return r
# ```
#
# [norms.py](../minilwa/norms.py) does it for batches, for every $p \ge 1$, and without overflow.
#
# </details>

# %% [markdown]
# ## Hölder's inequality
#
# By the definition of the maximum no step gains more than its length times the dual norm,
#
# $$\lvert\langle v, r \rangle\rvert \le \|r\|_p \, \|v\|_q, \qquad \tfrac1p + \tfrac1q = 1,$$
#
# and that is Hölder's inequality. Draw random pairs of vectors, and see how much of the bound they use: in two
# dimensions, and in 784.

# %%
rng = np.random.default_rng(0)
_, axes = plt.subplots(1, 2, figsize=(8.5, 2.8))
for axis, dimensions in zip(axes, (2, 784)):
    v, r = rng.normal(size=(2, 5000, dimensions))
    for p in NORMS:
        used = abs((v * r).sum(axis=1)) / (length(r, p) * dual_length(v, p))
        axis.hist(used, bins=50, range=(0, 1), histtype="step", label=p, density=True)
    axis.set(title=f"{dimensions} dimensions", xlabel="part of the bound that is used", yticks=[])
axes[0].legend()
plt.show()

best = (v * steepest(v, "linf")).sum(axis=1) / dual_length(v, "linf")
print("the steepest directions use all of it:", best.min().round(6), "to", best.max().round(6))

# %% [markdown]
# In many dimensions a random step gains next to nothing compared with the best one. That is why noise does nothing
# (notebook 0), while an aimed perturbation of the same length does.
#
# ### Exercise 4.2: the dual of a norm in between
#
# Steps are measured with $p = 3$. What is the exponent $q$ of the dual norm, and what is the dual norm of
# $v = (2, 1)$?

# %%
q = 0.0  # your turn
gain = 0.0  # your turn

# %%
check("q", q, 1.5)
check("dual norm", gain, 2.4472608148)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# q = 1 / (1 - 1 / 3)
# gain = (2**q + 1**q) ** (1 / q)
# ```
#
# </details>

# %% [markdown]
# ## Proposition 2.1
#
# Now the problem of the paper. In the linear model class $j$ catches up with the predicted class $J$ when
#
# $$\langle a_j, r \rangle \ge \delta_j, \qquad a_j = T_j - T_J, \quad \delta_j = \alpha_J - \alpha_j .$$
#
# Inequality (1) of the paper is printed with $\le$. That cannot be meant: $r = 0$ satisfies it, and the answer would
# always be to do nothing.
#
# All such $r$ form a half-space. Which of them is the smallest? Let a ball grow until it touches. It touches where
# its steepest direction for $a_j$ is, when the gain, radius times $\|a_j\|_*$, has reached $\delta_j$. So
#
# $$\|r_{(j)}\| = \frac{\delta_j}{\|a_j\|_*}, \qquad r_{(j)} = \frac{\delta_j}{\|a_j\|_*} \cdot \text{steepest}(a_j).$$


# %%
def smallest(a, delta, norm):
    """Proposition 2.1: the smallest r with <a, r> >= delta, and its norm."""
    distance = delta / dual_length(a, norm)
    return distance * steepest(a, norm), distance


def draw(axis, a, delta, norm):
    """The half-plane, the ball that touches it, and the point where it does."""
    r, distance = smallest(a, delta, norm)
    frame(axis, f"{norm}:  distance {distance:.3f}", limit=1.6)
    x, y = np.meshgrid(np.linspace(-1.6, 1.6, 400), np.linspace(-1.6, 1.6, 400))
    axis.contourf(x, y, a[0] * x + a[1] * y - delta, levels=[0, 100], colors=["C1"], alpha=0.25)
    axis.plot(*(distance * sphere(norm)).T, "C0")
    axis.plot(*r, "C3o")


a, delta = np.array([1.0, -1.6]), 1.2
_, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
for axis, norm in zip(axes, NORMS):
    draw(axis, a, delta, norm)
plt.show()

# %% [markdown]
# Orange: where class $j$ has caught up. The three red points all lie on its edge, and each is the nearest for its own
# norm. Move the half-space:


# %%
def move(angle, delta):
    """Proposition 2.1 for a of length 2 at an angle in degrees."""
    a = 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    _, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
    for axis, norm in zip(axes, NORMS):
        draw(axis, a, delta, norm)
    plt.show()


slider(move, angle=(0, 360, 5, 45), delta=(0.0, 2.0, 0.1, 1.2))

# %% [markdown]
# ### Exercise 4.3: mend the print
#
# For the $L_1$ norm the paper prints $r = \frac{c}{\|a\|_\infty} e_I$, where $I$ is the place of the largest
# component. There are two mistakes in it: $c$ stands for $\delta_j$, and something else is missing. Find it with
# $a = (1, -3, 2)$ and $\delta = 0.5$: what does the printed $r$ give for $\langle a, r \rangle$, and which $r$ is
# right?

# %%
a, delta = np.array([1.0, -3.0, 2.0]), 0.5
print("largest component at place", np.abs(a).argmax(), "with the value", a[np.abs(a).argmax()])

# %%
product_of_the_print = 0.0  # your turn
r = np.zeros(3)  # your turn

# %%
check("<a, r> for the printed r", product_of_the_print, -0.5)
check("the right r", r, [0, -1 / 6, 0])

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# printed = delta / 3 * np.array([0.0, 1.0, 0.0])
# product_of_the_print = a @ printed
# r = delta / 3 * np.sign(-3.0) * np.array([0.0, 1.0, 0.0])
# ```
#
# The sign of the component is missing. Without it the step goes away from the half-space whenever that component is
# negative, about half of the time.
#
# </details>

# %% [markdown]
# ## Ask somebody else: linear programming
#
# A closed form should be checked by something that does not know it. For $L_1$ and $L_\infty$ the problem is a linear
# program, and SciPy solves those:
#
# - $L_\infty$: minimise $t$ subject to $-t \le r_i \le t$ for all $i$ and $\langle a, r \rangle \ge \delta$;
# - $L_1$: write $r = r^+ - r^-$ with both parts $\ge 0$, and minimise the sum of all parts.
#
# $L_2$ is not linear, but a disc is nearly a polygon of many sides, $\langle u_k, r \rangle \le t$ for unit vectors
# $u_k$ all around.


# %%
def by_linear_programming(a, delta, norm, sides=720):
    """min ||r|| with <a, r> >= delta, from scipy's linprog; l2 in two dimensions only."""
    n = len(a)
    if norm == "l1":
        cost = np.ones(2 * n)  # of (r+, r-)
        found = linprog(cost, A_ub=[-np.concatenate([a, -a])], b_ub=[-delta])
    else:
        turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        disc, cube = np.stack([np.cos(turn), np.sin(turn)], axis=1), np.vstack([np.eye(n), -np.eye(n)])
        faces = cube if norm == "linf" else disc  # <u, r> <= t for each row u
        cost = np.append(np.zeros(n), 1.0)  # of (r, t)
        limits = np.vstack([np.column_stack([faces, -np.ones(len(faces))]), np.append(-a, 0)])
        bounds = [(None, None)] * n + [(0, None)]
        found = linprog(cost, A_ub=limits, b_ub=np.append(np.zeros(len(faces)), -delta), bounds=bounds)
    return found.fun


worst = dict.fromkeys(NORMS, 0.0)
for _ in range(20):
    a, delta = rng.normal(size=2), rng.uniform(0.1, 2)
    for norm in NORMS:
        closed = smallest(a, delta, norm)[1]
        worst[norm] = max(worst[norm], abs(by_linear_programming(a, delta, norm) / closed - 1))
for norm, difference in worst.items():
    print(f"{norm:4}  largest relative difference of 20: {difference:.1e}")

# %% [markdown]
# $L_1$ and $L_\infty$ agree to rounding, $L_2$ to what a polygon of 720 sides can give
# ($1 - \cos(\pi/720) \approx 10^{-5}$).
#
# ## When there is more than one answer, or none
#
# A ball with flat sides can touch along a whole side:

# %%
_, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
draw(axes[0], np.array([1.0, 1.0]), 1.0, "l1")
draw(axes[1], np.array([0.0, 1.0]), 1.0, "linf")
draw(axes[2], np.array([0.0, 1.0]), 1.0, "l2")
plt.show()

# %% [markdown]
# Then every point of the side is a smallest $r$, and the code takes one: in $L_1$ the first largest component, in
# $L_\infty$ a step of 0 where $a$ is 0. Nothing depends on the choice, as far as the linear model goes.
#
# ### Exercise 4.4: the degenerate cases
#
# The paper takes for granted that there is an answer. What is the smallest distance when $a_j = 0$ and
# $\delta_j = 0.3$ (the rows of both classes are equal)? When $a_j = 0$ and $\delta_j = 0$? When $a_j \neq 0$ and
# $\delta_j = 0$? Write `np.inf` for "no $r$ does it".

# %%
distances = [1.0, 1.0, 1.0]  # your turn: for the three cases

# %%
check("distances of the three cases", distances, [np.inf, 0, 0])

# %% [markdown]
# <details><summary>Solution</summary>
#
# With $a_j = 0$ the left side is 0 for every $r$: it never reaches 0.3, and always reaches 0. With $\delta_j = 0$, a
# tie, $r = 0$ does it.
#
# ```python
# distances = [np.inf, 0.0, 0.0]
# ```
#
# [propositions.py](../minilwa/propositions.py) returns the same. Careless code returns 0/0 in the second case. It is
# also what happens for $j = J$, which Algorithm 1, as printed, does not leave out.
#
# </details>

# %% [markdown]
# ## On a digit
#
# Two dimensions were for the eye. Here is the same in 784. What the smallest perturbation looks like, by norm:

# %%
data = minilwa.load_data(device=device)
start = minilwa.mlp(784, 300, 300, 10, input_shape=(1, 28, 28), device=device)
recipe = minilwa.Recipe(epochs=15)
network = minilwa.train(start, data.x_train, data.y_train, minilwa.method("LWA"), recipe)

x = data.x_test[336:337]
alpha, T = minilwa.jacobian_rows(network, x)
steps, nearest = {}, {}
for norm in NORMS:
    towards, r = minilwa.proposition_2_2(minilwa.proposition_2_1(alpha, T, norm))
    steps[norm], nearest[norm] = r.r, int(towards[0])

_, axes = plt.subplots(2, 4, figsize=(8, 4.4))
pictures.draw(axes[0, 0], x[0, 0], f"predicted {int(alpha.argmax())}")
axes[1, 0].axis("off")
for column, norm in enumerate(NORMS, start=1):
    pictures.draw(axes[0, column], (x + steps[norm])[0, 0], f"{norm}: to {nearest[norm]}")
    pictures.draw(axes[1, column], steps[norm][0, 0], "its r", signed=True)
plt.show()

# %% [markdown]
# One pixel, a smear, a speck on every pixel. (The single pixel gets more ink than a pixel can hold, 1. The paper does
# not clip, and neither do we, until notebook 9.)
#
# The table has the length of each of the three in every norm. In each column the smallest number must stand on the
# diagonal: no perturbation reaches the half-space more cheaply in a norm than the one that was made for it.

# %%
print("made for      " + "".join(f"{'in ' + norm:>10}" for norm in NORMS))
for norm, r in steps.items():
    print(f"{norm:12}  " + "".join(f"{float(length(r.reshape(1, -1), other)[0]):10.3f}" for other in NORMS))

# %% [markdown]
# And the linear program agrees here too, with 1,568 unknowns for $L_1$:

# %%
a = minilwa.to_numpy(T[0, nearest["l1"]] - T[0, int(alpha.argmax())]).reshape(-1).astype(float)
delta = float(alpha[0].max() - alpha[0, nearest["l1"]])
for norm in ("l1", "linf"):
    closed, programmed = smallest(a, delta, norm)[1], by_linear_programming(a, delta, norm)
    print(f"{norm:4}  closed form {closed:.6f}  linprog {programmed:.6f}")

# %% [markdown]
# ### Exercise 4.5: ten distances
#
# Compute the distance to every class for this digit in $L_2$: $\delta_j / \|a_j\|_2$, and `np.inf` for the predicted
# class itself. `alpha` is $(1, 10)$ and `T` $(1, 10, 1, 28, 28)$.

# %%
outputs, rows = minilwa.to_numpy(alpha)[0], minilwa.to_numpy(T)[0].reshape(10, 784)
distances = np.zeros(10)  # your turn

# %%
true = minilwa.to_numpy(minilwa.proposition_2_1(alpha, T, "l2").log_distance)[0]
check("ten distances", distances, np.exp(true), tolerance=1e-5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# outputs, rows = minilwa.to_numpy(alpha)[0], minilwa.to_numpy(T)[0].reshape(10, 784)
# top = outputs.argmax()
# distances = np.full(10, np.inf)
# for j in range(10):
#     if j != top:
#         distances[j] = (outputs[top] - outputs[j]) / np.linalg.norm(rows[j] - rows[top])
# ```
#
# The smallest of them is what Algorithm 1 returns: the next notebook.
#
# </details>

# %% [markdown]
# ## What to remember
#
# - The dual norm of a slope is the most that a step of length 1 can gain. For steps in $L_1$, $L_2$, $L_\infty$ it is
#   the $L_\infty$, $L_2$, $L_1$ norm of the slope.
# - The smallest step into a half-space goes along the steepest direction, and its length is $\delta / \|a\|_*$: that
#   is Proposition 2.1, and it is Hölder's inequality with equality.
# - The print has $\le$ for $\ge$ in (1), and no sign in the $L_1$ case; and where $a_j = 0$ there is no answer.
# - Which norm gives the *direction* and which measures the *radius* are two choices. Adv_Loss_Sign has a direction
#   from $L_\infty$, and the paper measures it in $L_2$.
#
# Next: [5. Algorithm 1](05_algorithm_1.ipynb): many half-spaces at once.
