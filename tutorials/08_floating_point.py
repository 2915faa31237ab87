# %% [markdown]
# # 8. When floating point lies
#
# **What you learn:** the paper's formulas contain $1 - \alpha_y$, and float32 cannot hold it once the network is
# confident. The gradient then points somewhere else, or nowhere, and an attack looks weaker than it is: a network seems
# robust because of rounding. You see it happen, derive a form of the same mathematics without the subtraction, and
# check it line by line.
#
# **Place in the paper:** sections 2 and 3.1, every formula with $T$; no word of it is in the paper. In the code:
# `form="stable"` and `form="printed"` in [propositions.py](../minilwa/propositions.py) and
# [directions.py](../minilwa/directions.py).
#
# **You need:** notebook 3 (rows of the Jacobian), notebook 5 (Algorithm 1). **Time:** 60 minutes with the exercises.

# %%
import matplotlib.pyplot as plt
import numpy as np
from check import check
from pictures import show_row
from widgets import slider

import minilwa
from minilwa.norms import length
from minilwa.tree import tree_map

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## A miracle
#
# Train a network; then multiply its last layer by $t$, weights and biases. All logits grow by $t$, so their order
# stays: **no decision changes, at any point.** Such a network cannot be more robust than it was. Now attack it with
# Adv_Loss as printed ($T_y$, with the sign corrected), in float32, by 1.5 in L2.

# %%
data = minilwa.load_data(device=device)
x, y = data.x_test[:400], data.y_test[:400]
start = minilwa.mlp(784, 200, 200, 10, input_shape=(1, 28, 28), device=device)
network = minilwa.train(start, data.x_train, data.y_train, minilwa.method("Normal"), minilwa.Recipe(epochs=10))


def louder(network, t):
    """The network with its logits multiplied by t."""
    *below, last, softmax = network.parameters
    return network.with_parameters((*below, tree_map(lambda p: p * float(t), last), softmax))


def attacked(network, form, name="adv_loss", x=x, radius=1.5):
    """The score on the test digits moved along a direction of the paper."""
    return minilwa.attacked_scores(network, x, y, minilwa.direction(name, form), [radius])[0]


for t in (1, 4, 16, 64):
    loud = louder(network, t)
    same = bool((minilwa.predict(loud, x) == minilwa.predict(network, x)).all())
    score = attacked(loud, "printed")
    print(f"t = {t:2}  same decisions: {same}   right under attack: {score.accuracy:.3f}", end="")
    print(f"   zero gradients: {score.zero_gradients}")

# %% [markdown]
# A "defence" of one multiplication. The accuracy under attack rises, and with it the number of digits for which the
# attack found no direction at all. The same in float64, and by the stable form that we shall derive:

# %%
network64 = network.with_parameters(tree_map(lambda p: p.astype("float64"), network.parameters))
x64 = x.astype("float64")
loudness = np.array([0.5, 1, 2, 4, 8, 16, 32, 64])
curves = {
    "printed, float32": [attacked(louder(network, t), "printed") for t in loudness],
    "printed, float64": [attacked(louder(network64, t), "printed", x=x64) for t in loudness],
    "stable, float32": [attacked(louder(network, t), "stable") for t in loudness],
}
_, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
for name, scores in curves.items():
    axes[0].semilogx(loudness, [score.accuracy for score in scores], "-o", markersize=4, label=name)
    axes[1].semilogx(loudness, [score.zero_gradients for score in scores], "-o", markersize=4, label=name)
axes[0].set(title="accuracy under attack", xlabel="loudness t", ylim=(0, 1))
axes[0].legend(fontsize=9)
axes[1].set(title=f"zero gradients among {len(x)} digits", xlabel="loudness t")
for ax in axes:
    ax.set_xticks(loudness, [f"{t:g}" for t in loudness])
plt.show()

# %% [markdown]
# float64 does not cure it; it only comes later. The stable form does not care.
#
# ## What a float32 can hold
#
# A float32 has 24 binary digits. Just below one its neighbours lie $2^{-24} \approx 6 \cdot 10^{-8}$ apart, so
# $1 - \alpha$ comes in steps of that size, and is 0 for anything much smaller.

# %%
one = np.float32(1)
print("spacing just below 1:", one - np.nextafter(one, np.float32(0)))
for gap in (1e-3, 1e-5, 1e-7, 1e-8):
    print(f"true 1 - alpha {gap:.0e}    in float32: {one - (one - np.float32(gap)):.4e}")

# %% [markdown]
# How confident is our network? Here is the true $1 - \alpha_J$ (from float64 logits, without a subtraction), at $t = 1$
# and at $t = 4$, and what float32 makes of it. It comes from differences of *logsumexps*: $\log \sum_k e^{z_k}$ is
# computed as $m + \log \sum_k e^{z_k - m}$ with the largest entry $m$, so nothing overflows (`np.logaddexp.reduce`).


# %%
def log10_s(z):
    """log10 of s = 1 - alpha_J from logits (N, K), by logsumexp: no subtraction of close numbers."""
    ordered = np.sort(minilwa.to_numpy(z).astype(np.float64), axis=1)
    others = np.logaddexp.reduce(ordered[:, :-1], axis=1)
    return (others - np.logaddexp(others, ordered[:, -1])) / np.log(10)


_, axes = plt.subplots(1, 2, figsize=(9.5, 2.8), sharey=True)
for ax, t in zip(axes, (1, 4), strict=True):
    loud = louder(network, t)
    true = log10_s(loud.logits(x))
    rounded = 1 - minilwa.to_numpy(loud(x)).max(axis=1)
    ax.hist(
        [true[rounded > 0], true[rounded == 0]],
        bins=40,
        stacked=True,
        label=["float32 sees something", "float32 sees 0"],
    )
    ax.axvline(np.log10(2.0**-24), color="black", linestyle=":")
    ax.set(title=f"t = {t}", xlabel=r"$\log_{10}(1 - \alpha_J)$")
    print(f"t = {t}: 1 - alpha is exactly 0 in float32 for {(rounded == 0).sum()} of {len(x)} digits")
axes[0].legend(fontsize=9)
plt.show()

# %% [markdown]
# ## Where the digits go
#
# By the chain rule $T_y = J^\top \big(\alpha_y (e_y - \alpha)\big)$, with the rows $J_k = \partial z_k / \partial x$ of
# the logits. The entry of the true class is $\alpha_y (1 - \alpha_y)$. Watch it for one digit, as the network gets
# louder:

# %%
digit = 0
label = int(y[digit])
for t in (1, 2, 4, 8):
    alpha = minilwa.to_numpy(louder(network, t)(x[[digit]]))[0]
    entries = alpha[label] * (np.eye(10, dtype=np.float32)[label] - alpha)  # float32
    exact = minilwa.to_numpy(louder(network64, t)(x64[[digit]]))[0]
    true = exact[label] * np.delete(exact, label).sum()
    print(f"t = {t}   true class: float32 {entries[label]:.3e}, true {true:.3e}", end="")
    print(f"   all the others: {np.delete(entries, label).sum():.3e}")

# %% [markdown]
# The entries should cancel in the sum. What is left, once that of the true class has gone to 0, is "raise the others"
# without "lower the true class": half of a direction. Louder still, and the other entries underflow as well; then there
# is no direction at all. This is what it looks like:


# %%
def show_directions(t=4.0, digit=0):
    """The direction of Adv_Loss for one test digit at loudness t, printed and stable, in float32."""
    pair = [minilwa.adv_loss(louder(network, t), x[[digit]], y[[digit]], form=form) for form in ("printed", "stable")]
    show_row(pair, ["printed", "stable"], signed=True, size=2)


slider(show_directions, t=(0.5, 64.0, 0.5, 4.0), digit=(0, 19, 1, 0))

# %%
for form in ("printed", "stable"):
    directions = [minilwa.adv_loss(louder(network, t), x[[0]], y[[0]], form=form) for t in loudness]
    show_row(directions, [f"{form}\nt = {t:g}" for t in loudness], signed=True)

# %% [markdown]
# And over all digits: the cosine between the float32 direction and the true one (stable, float64), over how confident
# the network is. At 1 it is right. The printed form loses half of its direction where float32 loses $1 - \alpha_J$,
# between $10^{-7}$ and $10^{-8}$, and all of it where the other entries underflow too.

# %%
_, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), sharey=True)
for ax, form in zip(axes, ("printed", "stable"), strict=True):
    for t in (1, 2, 4, 8):
        true = minilwa.to_numpy(minilwa.adv_loss(louder(network64, t), x64, y)).reshape(len(x), -1)
        ours = minilwa.to_numpy(minilwa.adv_loss(louder(network, t), x, y, form=form)).reshape(len(x), -1)
        confidence = log10_s(louder(network, t).logits(x))
        ax.plot(confidence, (true * ours).sum(axis=1), ".", markersize=4, label=f"t = {t}")
    ax.set(title=f"{form}, float32", xlabel=r"$\log_{10}(1 - \alpha_J)$", ylim=(-0.1, 1.05), xlim=(-50, 0))
axes[0].set_ylabel("cosine with the true direction")
axes[1].legend(loc="lower left", markerscale=2)
plt.show()

# %% [markdown]
# ## The stable form of Adv_Loss
#
# Let $s = 1 - \alpha_y$ and let $\pi$ be the softmax of $z$ over the classes *other than* $y$. Since
# $\alpha_k = s\,\pi_k$ for $k \ne y$,
#
# $$e_y - \alpha = s\,(e_y - \pi), \qquad\text{so}\qquad T_y = \alpha_y\, s \; J^\top (e_y - \pi) .$$
#
# The small number $s$ is now a mere factor, and a direction does not depend on factors. $\pi$ comes from the logits
# with no subtraction of close numbers. That is all. First check the identity (float64, where both sides still have
# digits):


# %%
def softmax_without(z, y):
    """pi (K,): the softmax of z (K,) over the classes other than y."""
    others = np.where(np.arange(len(z)) == y, -np.inf, z)
    e = np.exp(others - others.max())
    return e / e.sum()


alpha64, T64 = (minilwa.to_numpy(a)[0] for a in minilwa.jacobian_rows(network64, x64[[digit]]))
z64, J64 = (minilwa.to_numpy(a)[0] for a in minilwa.jacobian_rows(network64.logits, x64[[digit]]))
T64, J64 = T64.reshape(10, -1), J64.reshape(10, -1)  # (10, 784)
pi = softmax_without(z64, label)
s = np.delete(alpha64, label).sum()
stable = alpha64[label] * s * ((np.eye(10)[label] - pi) @ J64)
print("largest |T_y|:", np.abs(T64[label]).max(), "   largest difference:", np.abs(stable - T64[label]).max())

# %% [markdown]
# ## The stable form of Adv_Alpha
#
# The same for $a_j = T_j - T_J$ and $\delta_j = \alpha_J - \alpha_j$, with $D_j = J_j - J_J$:
#
# 1. $T_j = \alpha_j (J_j - \bar J)$ with $\bar J = \sum_k \alpha_k J_k$, hence $a_j = \alpha_j D_j + \delta_j \bar D$
#    with $\bar D = \sum_k \alpha_k D_k$.
# 2. $D_J = 0$, so $\bar D = s\,G$ with $G = \sum_{k \ne J} \pi_k D_k$ and $s = 1 - \alpha_J$.
# 3. Together $a_j = s\,v_j$ with $v_j = \delta_j G + \pi_j D_j$. Again $s$ is a mere factor.
# 4. $\delta_j = \alpha_J (1 - e^{z_j - z_J}) = -\alpha_J\,\mathrm{expm1}(z_j - z_J)$, which keeps its digits near a
#    tie.
# 5. The distance $\delta_j / \|a_j\|_*$ is $1/s$ times a harmless number. Take logarithms:
#    $\log \text{distance}_j = \log \delta_j - \log s - \log \|v_j\|_*$, with $\log s$ from logsumexp.
#
# Each line is checked as it is written:

# %%
own = alpha64.argmax()
D = J64 - J64[own]
delta = alpha64[own] - alpha64
a = T64 - T64[own]
D_bar = alpha64 @ D
print("1.", np.abs(a - (alpha64[:, None] * D + delta[:, None] * D_bar)).max())
pi, s = softmax_without(z64, own), np.delete(alpha64, own).sum()
G = pi @ D
print("2.", np.abs(D_bar - s * G).max())
v = delta[:, None] * G + pi[:, None] * D
print("3.", np.abs(a - s * v).max())
print("4.", np.abs(delta + alpha64[own] * np.expm1(z64 - z64[own])).max())
others = np.arange(10) != own
log_distance = np.log(delta[others]) - np.log(s) - np.log(length(v[others]))
print("5.", np.abs(log_distance - np.log(delta[others] / length(a[others]))).max())

# %% [markdown]
# [propositions.py](../minilwa/propositions.py) has these lines as `stable_weights` and `proposition_2_1_stable`.
#
# Why logarithms? Because $1/s$ is astronomical where the network is sure. These are the linear model's distances to the
# nearest class, in pixels; the whole image has a length of about 9.

# %%
plt.figure(figsize=(6, 2.8))
for t in (1, 4, 16):
    _, r = minilwa.algorithm_1(louder(network, t), x)
    log10_distance = minilwa.to_numpy(r.log_distance) / np.log(10)
    plt.plot(np.sort(log10_distance), label=f"t = {t}, largest $10^{{{log10_distance.max():.0f}}}$")
plt.axhline(np.log10(np.finfo(np.float32).max), color="black", linestyle=":", label="largest float32")
plt.xlabel("test digits, sorted")
plt.ylabel(r"$\log_{10}$ distance")
plt.legend(fontsize=9)
plt.show()

# %% [markdown]
# ## Does it matter?
#
# Accuracy on the test digits moved by 1.5, for the paper's three directions: the network as trained ($t = 1$), and
# louder.

# %%
names = ["adv_loss_sign", "adv_loss", "adv_alpha"]
columns = {
    "printed f32": (network, "printed", x),
    "stable f32": (network, "stable", x),
    "printed f64": (network64, "printed", x64),
    "stable f64": (network64, "stable", x64),
}
results = {}
for t in (1, 2, 4):
    print(f"t = {t}          ", *(f"{column:>13}" for column in columns))
    for name in names:
        for column, (net, form, images) in columns.items():
            results[t, name, column] = attacked(louder(net, t), form, name, images).accuracy
        print(f"  {name:14}", *(f"{results[t, name, column]:13.3f}" for column in columns))

# %%
for t in (1, 2, 4):
    for column in ("printed f32", "stable f32"):
        gap = results[t, "adv_loss", column] - results[t, "adv_alpha", column]
        print(f"t = {t}  {column}: Adv_Alpha takes {gap:+.3f} more than Adv_Loss")

# %% [markdown]
# The two stable columns agree everywhere. The printed ones leave them as the network gets louder, float32 first and
# float64 later, and each attack by a different amount. So the *difference between two attacks* can be an artefact too:
# one of them looks strong because the other is broken. The paper reports that Adv_Alpha is slightly stronger than
# Adv_Loss; how much of that is rounding cannot be read off its tables.
#
# Nobody multiplies logits by four. But training makes a network louder by itself, once all training digits are right:

# %%
longer, epochs = network, 10
for more in (0, 20, 40):
    recipe = minilwa.Recipe(epochs=more, decay_at=1.0, seed=more)
    longer, epochs = minilwa.train(longer, data.x_train, data.y_train, minilwa.method("Normal"), recipe), epochs + more
    printed, stable = (attacked(longer, form).accuracy for form in ("printed", "stable"))
    confident = np.median(log10_s(longer.logits(x)))
    print(f"{epochs} epochs: median of log10(1 - alpha) {confident:.1f},", end=" ")
    print(f"right under Adv_Loss: printed {printed:.3f}, stable {stable:.3f}")

# %% [markdown]
# The two last columns part without any trick.
#
# ## Exercises
#
# **1. Nothing left.** What is the largest power of two, $2^{-n}$, for which $1 - 2^{-n}$ is still exactly 1 in float32?

# %%
n = 0  # your turn

# %%
check("n", n, 25)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Below 1 the spacing is $2^{-24}$. $1 - 2^{-25}$ lies halfway to the neighbour, and halves are rounded to the even one,
# 1.
#
# ```python
# one = np.float32(1)
# n = next(n for n in range(1, 60) if one - np.float32(2.0**-n) == one)
# ```
# </details>

# %% [markdown]
# **2. log s.** For the logits `z_sure` in float32, compute $\log(1 - \alpha_0)$.

# %%
z_sure = np.array([30, 2, 1, -4], dtype=np.float32)
alpha_sure = np.exp(z_sure - z_sure.max()) / np.exp(z_sure - z_sure.max()).sum()
print("1 - alpha, as printed:", 1 - alpha_sure[0])

# %%
log_s = 0.0  # your turn

# %%
true = np.logaddexp.reduce(z_sure[1:].astype(float)) - np.logaddexp.reduce(z_sure.astype(float))
check("log s", log_s, true, 1e-5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# $\log \sum_{k \ne 0} e^{z_k} - \log \sum_k e^{z_k}$: two logsumexps.
#
# ```python
# log_s = np.logaddexp.reduce(z_sure[1:]) - np.logaddexp.reduce(z_sure)
# ```
# </details>

# %% [markdown]
# **3. Near a tie.** At the other end $\delta_j = \alpha_J - \alpha_j$ cancels when two classes are nearly equal. For
# `z_tie`, in float32, compute $\log_{10} \delta_1$ to six digits.

# %%
z_tie = np.array([8, 8 - 2.0**-20, 1], dtype=np.float32)
alpha_tie = np.exp(z_tie - 8) / np.exp(z_tie - 8).sum()
print("log10 of alpha_0 - alpha_1, as printed:", np.log10(alpha_tie[0] - alpha_tie[1]))

# %%
log10_delta = 0.0  # your turn

# %%
exact = np.exp(z_tie.astype(float) - 8)
check("log10 of delta", log10_delta, np.log10(-np.expm1(-(2.0**-20)) / exact.sum()), 1e-6)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The logits still have the digits: their difference is exact.
#
# ```python
# log10_delta = np.log10(-alpha_tie[0] * np.expm1(z_tie[1] - z_tie[0]))
# ```
# </details>

# %% [markdown]
# **4. A gradient that survives.** Write the cotangent of the *logits* whose pullback is the direction of Adv_Loss (the
# steepest descent of $\alpha_y$), up to length: for `z_sure` with $y = 0$. (Its entries sum to 0, and the true class
# gets $-1$.)

# %%
cotangent = np.zeros(4, dtype=np.float32)  # your turn

# %%
weights = np.exp(z_sure[1:].astype(float) - 2)
check("cotangent", cotangent, np.r_[-1, weights / weights.sum()], 1e-6)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Minus $(e_y - \pi)$. As printed it would be $(0, \ldots)$ with entries of $10^{-13}$ behind.
#
# ```python
# cotangent = softmax_without(z_sure, 0) - np.eye(4)[0]
# ```
# </details>

# %% [markdown]
# **5. Count.** From which loudness on (among 1, 2, 4, ..., 64) does the printed form in float32 give more than half of
# the 400 digits no direction at all? (`attacked(...).zero_gradients`.)

# %%
loud_enough = 0  # your turn

# %%
zeros = [attacked(louder(network, 2.0**n), "printed").zero_gradients for n in range(7)]
check("loudness", loud_enough, next(2**n for n in range(7) if zeros[n] > 200))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# loud_enough = 1
# while attacked(louder(network, loud_enough), "printed").zero_gradients <= 200:
#     loud_enough *= 2
# ```
# </details>

# %% [markdown]
# ## What to remember
#
# - $1 - \alpha$ is lost in float32 between $10^{-7}$ and $10^{-8}$, and with it half of the direction of a gradient that
#   is made from it; the other half goes when the other entries underflow.
# - Pull factors out before you compute: $e_y - \alpha = s\,(e_y - \pi)$. Keep lengths as logarithms.
# - A network that is "robust" because gradients vanish is not robust. Count zero gradients, and scale the logits as a
#   test.
#
# Next: [9. Honest evaluation](09_honest_evaluation.ipynb).
