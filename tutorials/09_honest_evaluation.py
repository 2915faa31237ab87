# %% [markdown]
# # 9. Honest evaluation
#
# **What you learn:** an accuracy under attack says as much about the attack as about the network. You write a many-step
# attack in fifteen lines, use restarts, noise and transferred images to catch a network that only looks robust, put
# intervals around the numbers, and then meet a result that needs no trust at all: the certificate with which the exact
# search answers Algorithm 1 from a few rows, often two, instead of ten.
#
# **Place in the paper:** section 4 (Figure 1, Table 1, and "Drawback of using $\alpha$"); the criticism came later
# (Madry et al. 2017, Tramèr et al. 2017, Carlini et al. 2019). In the code: [evaluation.py](../minilwa/evaluation.py),
# [lazy.py](../minilwa/lazy.py), [span.py](../minilwa/span.py), [bounds.py](../minilwa/bounds.py).
#
# **You need:** notebooks 6 and 8. **Time:** 75 minutes with the exercises.

# %%
import matplotlib.pyplot as plt
import numpy as np
from check import check
from pictures import show_row
from widgets import slider

import minilwa
from minilwa.backend import namespace
from minilwa.norms import length, rescale
from minilwa.tree import tree_map

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## Three networks and the paper's curves
#
# **Normal**; **LWA**, trained by Algorithm 2; and **Masked**, which is Normal with its logits multiplied by 64
# (notebook 8): it decides exactly like Normal, everywhere, so it deserves exactly Normal's numbers. The attack is
# Adv_Loss as printed, one step, float32: what an unsuspecting reader of the paper would write.

# %%
data = minilwa.load_data(device=device)
x, y = data.x_test[:300], data.y_test[:300]
start = minilwa.mlp(784, 200, 200, 10, input_shape=(1, 28, 28), device=device)
recipe = minilwa.Recipe(epochs=8)
normal = minilwa.train(start, data.x_train, data.y_train, minilwa.method("Normal"), recipe)
lwa = minilwa.train(start, data.x_train, data.y_train, minilwa.method("LWA", radius=1.5), recipe)
*below, last, softmax = normal.parameters
masked = normal.with_parameters((*below, tree_map(lambda p: p * 64.0, last), softmax))
networks = {"Normal": normal, "LWA": lwa, "Masked": masked}
for name, network in networks.items():
    print(f"{name:7} clean accuracy {minilwa.clean_score(network, x, y).accuracy:.3f}")

# %%
COLOURS = {"Normal": "tab:blue", "LWA": "tab:orange", "Masked": "tab:red"}
radii = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
printed = minilwa.direction("adv_loss", form="printed")
one_step = {
    name: [score.accuracy for score in minilwa.attacked_scores(network, x, y, printed, radii)]
    for name, network in networks.items()
}
plt.figure(figsize=(6, 3.2))
for name, curve in one_step.items():
    plt.plot(radii, curve, "-o", markersize=4, color=COLOURS[name], label=name)
plt.xlabel("radius (L2)")
plt.ylabel("accuracy, one step")
plt.ylim(0, 1)
plt.legend()
plt.show()

# %% [markdown]
# By this picture Masked is the most robust network ever trained. First lesson: **draw the curve over the radius, down
# to zero.** An unbounded move can turn any digit into any other, so a curve that does not fall shows a broken attack.
#
# ## Many steps
#
# One step trusts the gradient at the start all the way. Projected gradient descent takes many small steps, each along
# the gradient where it *is*, and after each goes back into the ball. Fifteen lines:


# %%
def pgd(network, x, y, radius, steps=20, along=minilwa.adv_loss, seed=None):
    """Images x_hat with ||x_hat - x|| <= radius (L2), by small steps along a direction; a seed starts at random."""
    r = namespace(x).zeros_like(x)
    if seed is not None:
        noise = minilwa.asarray(np.random.default_rng(seed).normal(size=x.shape), str(x.dtype), device)
        r = rescale(noise, radius)
    for _ in range(steps):
        r = r + (2.5 * radius / steps) * along(network, x + r, y)
        r = into_ball(r, radius)
    return x + r


def into_ball(r, radius):
    """Each perturbation of the batch, shortened to radius where it is longer."""
    size = length(r.reshape(len(r), -1))
    return rescale(r, namespace(r).minimum(size, radius))


def accuracy(network, x_hat):
    """The share of the digits that are right at x_hat."""
    return float((minilwa.predict(network, x_hat) == y).mean())


x_hat = pgd(lwa, x, y, 1.5)
print("longest move:", float(length((x_hat - x).reshape(len(x), -1)).max()))
print(f"LWA at 1.5: one step {one_step['LWA'][3]:.3f}, twenty steps {accuracy(lwa, x_hat):.3f}")

# %% [markdown]
# (The project's own version, with other norms and clipping, is [pgd.py](../minilwa/attacks/pgd.py).) The direction is
# the stable one now. Again the curves:

# %%
many_steps = {name: [accuracy(net, pgd(net, x, y, radius)) for radius in radii] for name, net in networks.items()}
_, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True)
for ax, name in zip(axes, networks, strict=True):
    ax.plot(radii, one_step[name], "--o", markersize=4, color="0.6", label="one step, printed")
    ax.plot(radii, many_steps[name], "-o", markersize=4, color=COLOURS[name], label="20 steps, stable")
    ax.set(title=name, xlabel="radius (L2)", ylim=(0, 1))
    ax.legend(fontsize=9)
axes[0].set_ylabel("accuracy")
plt.show()

# %% [markdown]
# Masked falls onto Normal. LWA keeps some of its robustness, less than the one-step curve promised: it was trained
# against one step, and one step is what it looks best against.
#
# How many steps are enough? And restarts: run the attack from several random starts, and count a digit as right only if
# it survives **every** run.

# %%
counts = [1, 2, 5, 10, 20, 40]
by_steps = {name: [accuracy(net, pgd(net, x, y, 1.5, steps)) for steps in counts] for name, net in networks.items()}
by_restarts = {}
for name, network in networks.items():
    right = minilwa.predict(network, pgd(network, x, y, 1.5)) == y
    survivors = [float(right.mean())]
    for seed in range(5):
        right = right & (minilwa.predict(network, pgd(network, x, y, 1.5, seed=seed)) == y)
        survivors.append(float(right.mean()))
    by_restarts[name] = survivors

# %%
_, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for name in networks:
    axes[0].semilogx(counts, by_steps[name], "-o", markersize=4, color=COLOURS[name], label=name)
    axes[1].plot(by_restarts[name], "-o", markersize=4, color=COLOURS[name])
axes[0].set(title="over the number of steps, radius 1.5", xlabel="steps", ylabel="accuracy", ylim=(0, 0.8))
axes[0].set_xticks(counts, counts)
axes[1].set(title="over the number of restarts, 20 steps", xlabel="random restarts besides the first run")
axes[0].legend()
plt.show()

# %% [markdown]
# Both must be taken to where the curve is flat. Report the flat value, and say how many steps and restarts it took.
#
# What do these images look like? Ten digits at growing radius, made against LWA; above each what LWA says.

# %%
for radius in (1.5, 3.0, 6.0):
    x_hat = pgd(lwa, x[:10], y[:10], radius)
    show_row(x_hat, [str(int(k)) for k in minilwa.predict(lwa, x_hat)])

# %% [markdown]
# At 1.5 the digits are what they were for us; at 6 we would not bet either. (Nothing is clipped here, as in the paper.
# Keeping pixels in [0, 1] binds the adversary further: say which of the two you report.)
#
#
# ## Noise, and images from elsewhere
#
# Two checks need no gradient of the network under test. **Noise** of the same length: if it does as much as the attack,
# the attack is broken. **Transfer**: images made against one network, tried on another. If they hurt more than the
# network's own attack, that attack missed something: its gradients are masked. Rows: the network that the images were
# made against (one step, printed form, radius 2); columns: the network tried.

# %%
made = {name: minilwa.adversarial_images(net, x, y, printed, 2.0) for name, net in networks.items()}
noise = minilwa.asarray(np.random.default_rng(0).normal(size=x.shape), device=device)
made["noise"] = x + rescale(noise, 2.0)
table = np.array([[accuracy(net, images) for net in networks.values()] for images in made.values()])

_, ax = plt.subplots(figsize=(4.8, 3.6))
ax.imshow(table, vmin=0, vmax=1, cmap="Blues")
ax.set_xticks(range(3), networks)
ax.set_yticks(range(4), made)
for i, row in enumerate(table):
    for j, value in enumerate(row):
        ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
ax.set(xlabel="tried on", ylabel="made against")
plt.show()

# %% [markdown]
# Look down the column of Masked. Its own attack hardly hurts it, the images made against Normal do. In the columns of
# Normal and LWA the own attack is the worst, as it should be. The paper's column "Fixed" (images from one Normal
# network, tried on all) is a row of this table, and by itself says little: those images are aimed at somebody else.
#
# | warning sign | what it means |
# | --- | --- |
# | the curve does not fall to 0 with the radius | the attack is broken |
# | more steps or restarts still lower the accuracy | not enough of them |
# | transferred images hurt more than the own attack | gradients are masked |
# | noise does as much as the attack | the direction is worth nothing |
# | zero gradients | see notebook 8 |
#
# ## Intervals
#
# 300 test digits are a sample. If $k$ of $n$ are right, the 95% **Wilson interval** is the set of all $p$ for which
# $k/n$ is not further than $z = 1.96$ standard deviations $\sqrt{p(1-p)/n}$ away. Solved for $p$:
#
# $$\frac{\hat p + \frac{z^2}{2n} \pm z\sqrt{\frac{\hat p(1 - \hat p)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}},
# \qquad \hat p = k/n .$$
#
# The textbook's $\hat p \pm z\sqrt{\hat p(1-\hat p)/n}$ puts the deviation at $\hat p$ instead. Does it matter? How
# often does each contain the truth?

# %%
n, truths, draws = 300, np.linspace(0.9, 0.999, 100), 20_000
k = np.random.default_rng(0).binomial(n, truths, size=(draws, 100))
p, z = k / n, 1.96
textbook = np.abs(p - truths) <= z * np.sqrt(p * (1 - p) / n)
wilson = np.abs(p - truths) <= z * np.sqrt(truths * (1 - truths) / n)
plt.figure(figsize=(6, 3))
plt.plot(truths, textbook.mean(axis=0), label="textbook")
plt.plot(truths, wilson.mean(axis=0), label="Wilson")
plt.axhline(0.95, color="black", linestyle=":")
plt.xlabel("true accuracy")
plt.ylabel("share of intervals\nthat contain it")
plt.legend()
plt.show()

# %% [markdown]
# Near 1, where clean accuracies live, the textbook's interval is far too short: with all $n$ right it has length zero.
# [Score.interval](../minilwa/evaluation.py) gives Wilson's.
#
# It speaks of *other test digits*, not of another training run. For that, train again with other seeds:

# %%
seeds = range(5)
by_seed = []
for seed in seeds:
    first = minilwa.mlp(784, 200, 200, 10, input_shape=(1, 28, 28), seed=seed, device=device)
    method = minilwa.method("LWA", radius=1.5)
    network = minilwa.train(first, data.x_train, data.y_train, method, minilwa.Recipe(epochs=4, seed=seed))
    right = int((minilwa.predict(network, pgd(network, x, y, 1.5)) == y).sum())
    by_seed.append(minilwa.Score(right, len(x)))

plt.figure(figsize=(5, 2.8))
for seed, score in zip(seeds, by_seed, strict=True):
    low, high = score.interval()
    plt.plot([seed, seed], [low, high], color="tab:orange", linewidth=3, alpha=0.5)
    plt.plot(seed, score.accuracy, "o", color="tab:orange")
plt.xlabel("seed of the training")
plt.ylabel("accuracy at 1.5, PGD")
plt.xticks(list(seeds))
plt.show()
values = np.array([score.accuracy for score in by_seed])
print(f"mean {values.mean():.3f}, standard deviation over seeds {values.std(ddof=1):.3f}")

# %% [markdown]
# Dots: five networks that differ in nothing but the seed; bars: what the interval allows for the choice of test digits.
# The same digits were used for all five, so the spread of the dots is the training's own. A difference between two
# methods is a finding when it is larger than both.
#
# ## A result that needs no trust
#
# All of the above is about *attacks*: they find something, or fail to, and a failure proves nothing. Some questions can
# be answered for certain. The paper names as the drawback of Adv_Alpha that Algorithm 1 needs a backward pass for each
# of $K$ classes. It does not, if one can prove that the classes not looked at cannot win.
#
# By notebook 8 the nearest class is the one with the largest $\text{value}_j = \|G + \tau_j D_j\|_*$, with
# $\tau_j = \pi_j / \delta_j$ known from the forward pass alone, and $G$ one backward row: its $v_j$ is
# $\delta_j (G + \tau_j D_j)$, so the distance is $1 / (s \cdot \text{value}_j)$, with one $s$ for all $j$. By the
# triangle inequality
#
# $$\text{value}_j \;\le\; U_j = \|G\|_* + \tau_j L_j \qquad\text{for any}\quad L_j \ge \|D_j\|_* ,$$
#
# and $L_j$ comes from the weights: no layer stretches a vector more than its largest singular value. So: look at the
# class with the largest $U_j$, compute its row, and stop when the best value found is at least every $U_j$ that is
# left.

# %%
first = x[:1]
z = minilwa.to_numpy(normal.logits(first))[0].astype(float)
J = int(z.argmax())
W1, W2, w = (minilwa.to_numpy(normal.parameters[i]["w"]).astype(float) for i in (1, 3, 5))
stretch = np.linalg.norm(W1, 2) * np.linalg.norm(W2, 2)  # largest singular values; a ReLU stretches nothing
L = stretch * np.linalg.norm(w - w[:, [J]], axis=0)  # bounds of ||D_j||
_, rows = minilwa.jacobian_rows(normal.logits, first)  # all ten, to look behind the curtain
rows = minilwa.to_numpy(rows)[0].reshape(10, -1).astype(float)
D = rows - rows[J]
others = np.arange(10) != J
pi = np.where(others, np.exp(z - z[others].max()), 0)
pi /= pi.sum()
delta = -np.exp(z[J] - np.logaddexp.reduce(z)) * np.expm1(z - z[J])
tau = np.where(others, pi / np.where(others, delta, 1), 0)
G = pi @ D
value = length(G + tau[:, None] * D)
U = length(G) + tau * L
print("digit", J, "  tau:", tau.round(4))
print("bound of ||D_j|| / ||D_j||:", (L[others] / length(D[others])).round(1))


# %%
def draw_search(rows_done=1):
    """Bounds and values for one digit after some rows: grey is only bounded, blue is known."""
    by_bound = sorted(np.flatnonzero(others), key=lambda j: -U[j])
    known, unknown = by_bound[:rows_done], by_bound[rows_done:]
    _, ax = plt.subplots(figsize=(6.5, 3))
    ax.bar(unknown, U[unknown], color="0.85", label="bound $U_j$")
    ax.plot(unknown, value[unknown], "x", color="0.5", label="its value, not computed")
    ax.bar(known, value[known], color="tab:blue", label="value computed")
    if known:
        best, left = value[known].max(), U[unknown].max(initial=0)
        ax.axhline(best, color="tab:blue", linestyle="--")
        verdict = "stop" if best >= left else "go on"
        ax.set_title(f"{1 + rows_done} rows: best {best:.2f}, largest bound left {left:.2f}: {verdict}", fontsize=10)
    ax.set(xlabel="class", xticks=range(10), ylim=(0, 1.6 * max(*value[known], *U[unknown])))
    ax.legend(fontsize=9)
    plt.show()


draw_search(0)
draw_search(1)

# %%
slider(draw_search, rows_done=(0, 9, 1, 2))

# %% [markdown]
# $\tau_j$ falls exponentially with the logit, so even a loose bound $L_j$ is enough to rule most classes out.
#
# [lazy_algorithm_1](../minilwa/lazy.py) does this for a batch, with bounds that are sharper than $U_j$, since the rows
# that are known say much about the others ([span.py](../minilwa/span.py)), and returns the proof with the answer. Is the
# answer the same as with all rows, for every digit?

# %%
certificates = {}
for name in ("Normal", "LWA"):
    found = minilwa.lazy_algorithm_1(networks[name], x)
    nearest, r = minilwa.algorithm_1(networks[name], x)
    same = int((found.nearest == nearest).sum())
    apart = float(abs(found.perturbation.direction - r.direction).max())
    certificates[name] = {key: minilwa.to_numpy(value) for key, value in found.certificate._asdict().items()}
    best, remaining, rows = certificates[name].values()
    proven = (best >= (1 + 1e-6) * remaining).sum()
    print(f"{name}: the same class for {same} of {len(x)}, directions differ by at most {apart:.1e};")
    print(f"   proven for {proven} of {len(x)}, with {rows.mean():.2f} rows of 10 on average")

# %%
_, axes = plt.subplots(1, 2, figsize=(9, 3))
for place, (name, certificate) in enumerate(certificates.items()):
    best, remaining, rows = certificate.values()
    counts = np.bincount(rows, minlength=11)[2:]
    axes[0].bar(np.arange(2, 11) + 0.4 * place - 0.2, counts, 0.4, color=COLOURS[name], label=name)
    axes[1].loglog(best, np.maximum(remaining, 1e-3), ".", color=COLOURS[name], alpha=0.5)
axes[0].set(title="backward rows it took", xlabel="rows", ylabel="digits")
axes[0].legend()
limits = axes[1].get_xlim()
axes[1].plot(limits, limits, color="black", linewidth=0.8)
axes[1].set(title="the proofs: below the line", xlabel="best value found")
axes[1].set_ylabel("largest bound left\n(at the bottom: none left)")
plt.show()

# %% [markdown]
# What it certifies: that the answer of Algorithm 1, **on the linear model**, is exact. What it does not: that the
# network is robust. That would need bounds on the network itself in a whole ball, not on its derivative at a point.
# Keep the two apart.
#
# ## Exercises
#
# **1. Wilson by hand.** 291 of 300 digits are right. The 95% interval ($z = 1.96$)?

# %%
low, high = 0.0, 1.0  # your turn

# %%
check("low", low, minilwa.Score(291, 300).interval()[0], 1e-4)
check("high", high, minilwa.Score(291, 300).interval()[1], 1e-4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# n, p, z95 = 300, 291 / 300, 1.96
# middle, half = p + z95**2 / (2 * n), z95 * np.sqrt(p * (1 - p) / n + z95**2 / (4 * n**2))
# low, high = ((middle + sign * half) / (1 + z95**2 / n) for sign in (-1, 1))
# ```
# </details>

# %% [markdown]
# **2. How many digits?** How many test images does it take to make $\pm z\sqrt{p(1-p)/n}$ as small as $\pm 0.01$ when
# the accuracy is about 0.8?

# %%
images_needed = 0  # your turn

# %%
check("images", images_needed, np.ceil(0.8 * 0.2 * (1.96 / 0.01) ** 2))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# images_needed = np.ceil(0.8 * 0.2 * (1.96 / 0.01) ** 2)
# ```
# </details>

# %% [markdown]
# **3. The worst of several.** Three weak attacks on the LWA network at radius 2: one step of Adv_Alpha, and two runs of
# PGD with two steps each. `survives` is $(3, 300)$: which digit survives which attack. What accuracy may one report?
# (Not the smallest of the three.)

# %%
attacks = [minilwa.adversarial_images(lwa, x, y, minilwa.direction("adv_alpha"), 2.0)]
attacks += [pgd(lwa, x, y, 2.0, steps=2, seed=seed) for seed in (1, 2)]
clean_right = minilwa.to_numpy(minilwa.predict(lwa, x) == y)
survives = np.stack([minilwa.to_numpy(minilwa.predict(lwa, images) == y) & clean_right for images in attacks])
print("each by itself:", survives.mean(axis=1).round(3))

# %%
worst_case = 0.0  # your turn

# %%
check("accuracy in the worst case", worst_case, np.logical_and.reduce(survives).mean())

# %% [markdown]
# <details><summary>Solution</summary>
#
# An adversary picks the attack for each image: a digit counts only if it survives all of them.
#
# ```python
# worst_case = survives.all(axis=0).mean()
# ```
# </details>

# %% [markdown]
# **4. Another ball.** For L$\infty$ the step goes along the sign, and the way back into the ball is another. Write the
# move `r` of one PGD step from `r0` for the radius 0.1 and the step 0.05: along `sign_direction`, then back.

# %%
r0 = 0.1 * namespace(x).sign(made["Normal"][:5] - x[:5])
sign_direction = minilwa.adv_loss(lwa, x[:5] + r0, y[:5], norm="linf")

# %%
r_linf = r0  # your turn

# %%
check("the move", r_linf, np.clip(minilwa.to_numpy(r0 + 0.05 * sign_direction), -0.1, 0.1))

# %% [markdown]
# <details><summary>Solution</summary>
#
# The nearest point of a cube, coordinate by coordinate.
#
# ```python
# r_linf = namespace(r0).clip(r0 + 0.05 * sign_direction, -0.1, 0.1)
# ```
# </details>

# %% [markdown]
# **5. May it stop?** Three searches have found `best_found`, and have `bounds_left` for the classes not looked at.
# Which of them may stop? And for those that may not: which class comes next?

# %%
best_found = np.array([2.0, 2.0, 0.5])
bounds_left = {3: np.array([1.9, 2.4, 0.1]), 7: np.array([0.3, 3.1, 0.4]), 8: np.array([1.0, 0.2, 0.45])}

# %%
may_stop = [False, False, False]  # your turn
next_class = -1

# %%
check("may stop", may_stop, [True, False, True])
check("next class", next_class, 7)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# may_stop = best_found >= np.max(list(bounds_left.values()), axis=0)
# next_class = max(bounds_left, key=lambda j: bounds_left[j][1])
# ```
# </details>

# %% [markdown]
# ## What to remember
#
# - An attack gives an upper bound of the robust accuracy. Make it strong: many steps, restarts, the worst case per
#   image.
# - Then try to refute it: noise, transfer, the curve to zero, zero gradients, louder logits.
# - Give intervals over images *and* several seeds. A certificate beats all of it, where there is one: say what it
#   certifies.
#
# You have reached the end. [README.md](README.md) lists all notebooks; the coursework is beside it.
