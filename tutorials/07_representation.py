# %% [markdown]
# # 7. The representation: Algorithm 3
#
# **What you learn:** the adversary need not move pixels. Cut the network in two, and let it move the *features* that
# the lower part makes. You write Algorithm 3, see what such a move means when it is decoded back to pixels (and how
# much of it no image could ever cause), and try out where to cut.
#
# **Place in the paper:** section 3, problem (4) and Algorithm 3; the row LWA_Rep of Table 1. In the code:
# [algorithms.py](../minilwa/algorithms.py), `split` in [networks.py](../minilwa/networks.py).
#
# **You need:** notebook 6 (Algorithm 2), notebook 3 (rows of the Jacobian). **Time:** 60 minutes with the exercises.

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from check import check
from pictures import show_row
from widgets import slider

import minilwa
from minilwa.algorithms import batch_loss
from minilwa.backend import namespace
from minilwa.norms import length, rescale
from minilwa.training import shuffled_batches

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## Two networks in one
#
# A network is a list of layers. Cut it after the first `at` of them: the lower part is the representation
# $\mathcal N_\text{rep}$, the upper part the classifier $\mathcal N_\text{cal}$, a network in its own right that takes
# features for input.

# %%
data = minilwa.load_data(device=device)
x_test, y_test = data.x_test[:500], data.y_test[:500]
start = minilwa.mlp(784, 200, 200, 10, input_shape=(1, 28, 28), device=device)
recipe = minilwa.Recipe(epochs=6)
normal = minilwa.train(start, data.x_train, data.y_train, minilwa.method("Normal"), recipe)

print("at  the layer below the cut  the features there")
for at in range(1, len(normal.layers)):
    representation, classifier = minilwa.split(normal, at)
    print(f"{at:2}  {representation.layers[-1].name:23}  {classifier.input_shape}")

# %%
AT = 3  # after the first hidden layer and its ReLU
representation, classifier = minilwa.split(normal, AT)
x, y = x_test[:10], y_test[:10]
h = representation(x)  # (10, 200)
print("features", h.shape, "   classifier(h) is network(x):", bool((classifier(h) == normal(x)).all()))

# %% [markdown]
# ## A move in the features
#
# Everything of notebooks 4 to 6 applies to $\mathcal N_\text{cal}$ as it stands: it has rows
# $\partial \alpha / \partial \tilde x$, a steepest direction, a radius. What the radius should be is less clear than
# for pixels, so we measure it in units of the features' own length, $\|r\| = c\,\|\tilde x\|$.

# %%
c = 0.3
direction = minilwa.adv_loss(classifier, h, y)  # (10, 200), unit length
r = rescale(direction, c * length(h), "l2")
print("the digits            ", *(int(k) for k in y))
print("network on the images ", *(int(k) for k in minilwa.predict(normal, x)))
print("after the feature move", *(int(k) for k in minilwa.predict(classifier, h + r)))

# %% [markdown]
# Here are the 200 features of one digit, sorted, and where the move takes them.

# %%
one = minilwa.to_numpy(h[4])
moved = minilwa.to_numpy(h[4] + r[4])
order = np.argsort(-one)
plt.figure(figsize=(9, 2.8))
plt.fill_between(np.arange(200), one[order], color="0.85", label="features of the digit")
plt.plot(np.maximum(moved[order], 0), ".", color="tab:blue", label="moved")
plt.plot(np.where(moved[order] < 0, moved[order], np.nan), ".", color="tab:red", label="moved below zero")
plt.axhline(0, color="black", linewidth=0.8)
plt.xlabel("feature (sorted)")
plt.legend(fontsize=9)
plt.show()
print(f"{(one == 0).sum()} of 200 features are off; {(moved < 0).sum()} end below zero")

# %% [markdown]
# A ReLU gives nothing below zero, so no image has these features. **The adversary of Algorithm 3 is not bound to
# features that exist.** In that it is stronger than any change of the image. In another way it is weaker: it cannot
# exploit the layers below the cut, which stand outside the game.
#
# ## Decoded to pixels
#
# Which image comes closest to the moved features? Least squares: with $J = \partial \mathcal N_\text{rep} / \partial x$
# (the rows of notebook 3, 200 of them) take
# $\hat x \leftarrow \hat x + J^\top (J J^\top + \lambda I)^{-1} (\tilde x + r - \mathcal N_\text{rep}(\hat x))$ a few
# times. $\lambda$ keeps the step short where $J$ hardly reaches.


# %%
def decode(representation, x, target, damping=1.0, steps=6):
    """Images near x (N, 1, 28, 28) whose features are nearly target (N, H): damped least squares, a few steps."""
    xp = namespace(x)
    x_hat = x
    for _ in range(steps):
        h, rows = minilwa.jacobian_rows(representation, x_hat)
        J = rows.reshape(*h.shape, -1)  # (N, H, 784)
        gram = J @ J.swapaxes(1, 2) + damping * xp.eye(h.shape[1], dtype=x.dtype)
        step = J.swapaxes(1, 2) @ xp.linalg.solve(gram, (target - h)[..., None])  # (N, 784, 1)
        x_hat = x_hat + step.reshape(x.shape)
    return x_hat


x_hat = decode(representation, x, h + r)
reached = 1 - length(h + r - representation(x_hat)) / length(r)
moved_by = length((x_hat - x).reshape(10, -1))
print("share of the move that is reached:", minilwa.to_numpy(reached).round(2))
print("length of the change in pixels:   ", minilwa.to_numpy(moved_by).round(2))

# %%
show_row(x, [f"{int(k)}" for k in minilwa.predict(normal, x)])
show_row(x_hat - x, signed=True)
show_row(x_hat, [f"{int(k)}" for k in minilwa.predict(normal, x_hat)])

# %% [markdown]
# The digits with what the network says; the decoded move; the decoded images with what the network says. Part of the
# move has no image, and the rest costs pixels. Here is how the strength $c$ changes one digit:


# %%
def show_decoded(digit=4, strength=0.3):
    """One test digit, the decoded change, and the sum, for a feature move of that relative strength."""
    x, y = x_test[[digit]], y_test[[digit]]
    h = representation(x)
    r = rescale(minilwa.adv_loss(classifier, h, y), strength * length(h), "l2")
    x_hat = decode(representation, x, h + r)
    features, image = int(minilwa.predict(classifier, h + r)[0]), int(minilwa.predict(normal, x_hat)[0])
    size = float(length((x_hat - x).reshape(1, -1))[0])
    show_row(x_hat, [f"a {int(y[0])}, decoded\nmoved by {size:.2f}"], size=2)
    print(f"the classifier on the moved features says {features}, the network on the decoded image {image}")


slider(show_decoded, digit=(0, 49, 1, 4), strength=(0.0, 1.0, 0.05, 0.3))

# %%
strengths = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0]
repeated = namespace(x).concatenate([x[4:5]] * len(strengths))
h_repeated = representation(repeated)
along = minilwa.adv_loss(classifier, h_repeated, namespace(x).concatenate([y[4:5]] * len(strengths)))
target = h_repeated + along * minilwa.asarray(strengths, device=device)[:, None] * length(h_repeated)[:, None]
decoded = decode(representation, repeated, target)
titles = [f"c = {s}\nsays {int(k)}" for s, k in zip(strengths, minilwa.predict(normal, decoded), strict=True)]
show_row(decoded, titles)

# %% [markdown]
# ## A ball of features is an ellipsoid of pixels
#
# Both adversaries use the same gradient: by the chain rule $J^\top\, T^\text{cal}_y = T_y$, so the pixel direction that
# drives the features fastest along $-T^\text{cal}_y$ is Adv_Loss itself (exercise 3). What differs is the *ball*. To
# first order a unit ball of features is, in pixels, an ellipsoid whose half-axes are $1/\sigma_i$, with the singular
# values $\sigma_i$ of $J$: short where the layers amplify, endless where they are blind.

# %%
plt.figure(figsize=(6, 3))
for at in (1, 3, 5):
    lower, _ = minilwa.split(normal, at)
    _, rows = minilwa.jacobian_rows(lower, x[4:5])
    singular = np.linalg.svd(minilwa.to_numpy(rows).reshape(rows.shape[1], -1), compute_uv=False)
    plt.semilogy(np.maximum(singular, 1e-4), label=f"at = {at}: {(singular > 1e-3).sum()} directions")
plt.ylim(1e-3, None)
plt.xlim(0, 220)
plt.xlabel("i")
plt.ylabel(r"$\sigma_i$ of $\partial\,\mathcal{N}_{rep} / \partial x$")
plt.legend(fontsize=9)
plt.show()

# %% [markdown]
# At the cut `at = 1` (after `flatten`) the features are the pixels. Behind the first hidden layer (`at = 3`) as many
# directions of the image are left as there are units that are on, and all are stretched much alike. Behind the second
# (`at = 5`) they are stretched very unequally, and the last ones hardly count.
#
# ## Algorithm 3
#
# The listing of the paper, with its line numbers. Forward through $\mathcal N_\text{rep}$ once; find the move on
# $\mathcal N_\text{cal}$; one backward pass through $\mathcal N_\text{cal}$ at the moved features; and on through
# $\mathcal N_\text{rep}$, as if the move were a constant that was added (notebook 6: it may be held fixed).


# %%
def my_algorithm_3(network, velocity, batches, c, sgd, at):
    """One epoch against an adversary that moves the output of the first at layers by c of its own length."""
    for x, y in batches:  # 1, 2
        representation, classifier = minilwa.split(network, at)
        forward = partial(representation.apply, x=x)
        h, pullback = minilwa.vjp(forward, representation.parameters)  # 3: forward
        r = minilwa.adv_loss(classifier, h, y)  # 4 to 6: the direction
        h_hat = h + rescale(r, c * length(h), "l2")  # 7: the pseudo-samples
        loss = partial(batch_loss, network=classifier, y=y)
        _, (gradient_cal, gradient_h) = minilwa.value_and_gradient(loss, classifier.parameters, h_hat)  # 9, 10
        (gradient_rep,) = pullback(gradient_h)  # 10: on through N_rep
        network, velocity = sgd.step(network, velocity, gradient_rep + gradient_cal)
    return network, velocity


# %% [markdown]
# [algorithms.py](../minilwa/algorithms.py) has the same lines. Ten batches with both:

# %%
sgd = minilwa.SGD(rate=0.05, momentum=0.9)
rng = np.random.default_rng(0)
batches = list(shuffled_batches(data.x_train[:1000], data.y_train[:1000], minilwa.Recipe(), rng, lambda images: None))
perturb = minilwa.perturbation(minilwa.direction("adv_loss"), 0.12, relative=True)
mine, _ = my_algorithm_3(start, sgd.start(start), batches, 0.12, sgd, AT)
theirs, _ = minilwa.algorithm_3(start, sgd.start(start), batches, perturb, sgd, AT)
for layer in (1, 3, 5):
    w0, w1, w2 = (net.parameters[layer]["w"] for net in (start, mine, theirs))
    learned, apart = float(abs(w1 - w0).max()), float(abs(w1 - w2).max())
    print(f"layer {layer}: weights have moved by {learned:.4f} at most, and differ from minilwa's by {apart:.1e}")

# %% [markdown]
# ## Where to cut?
#
# The paper leaves it open. So let us look: cut after `flatten` (pixels, that is Algorithm 2), after the first and after
# the second hidden layer, at several strengths, and measure every network with the *same* yardstick: test digits as
# they are, and moved by 1.5 in **pixels**, against the whole network.


# %%
def accuracies(network):
    """Accuracy on the 500 test digits, clean and moved by 1.5 in pixels along Adv_Loss."""
    scores = minilwa.attacked_scores(network, x_test, y_test, minilwa.direction("adv_loss"), [0.0, 1.5])
    return [score.accuracy for score in scores]


tried = {1: [0.05, 0.1, 0.15, 0.2], 3: [0.05, 0.1, 0.15, 0.2], 5: [0.1, 0.2, 0.3, 0.4]}
results, networks = {}, {}
for at, strengths in tried.items():
    for strength in strengths:
        method = minilwa.method("LWA_Rep", at=at, radius=strength)
        networks[at, strength] = minilwa.train(start, data.x_train, data.y_train, method, recipe)
        results[at, strength] = accuracies(networks[at, strength])

# %%
clean, attacked = accuracies(normal)
print(f"Normal            clean {clean:.3f}   moved {attacked:.3f}")
for (at, strength), (a, b) in results.items():
    print(f"at = {at}, c = {strength:4}   clean {a:.3f}   moved {b:.3f}")

# %%
plt.figure(figsize=(6, 3.6))
for at, strengths in tried.items():
    points = np.array([[clean, attacked]] + [results[at, strength] for strength in strengths])
    plt.plot(*points.T, "-o", markersize=4, label=f"at = {at}")
plt.plot(clean, attacked, "*", color="black", markersize=13, label="Normal")
plt.xlabel("accuracy on clean digits")
plt.ylabel("accuracy, moved by 1.5 in pixels")
plt.legend(fontsize=9)
plt.show()

# %% [markdown]
# Each line starts at the Normal network and goes on with growing $c$; up and to the right is better. Measured in
# pixels, the adversary in pixels pays off most, and the deeper the cut, the less is won. That is plausible: what the
# layers below the cut amplify, nobody attacks. In the paper's Table 1 too, LWA_Rep lies below LWA. (One run of six
# epochs on 4,000 digits: the order is worth remembering, the digits are not.)
#
# What does a feature move look like when the network was trained against such moves? The same decoding, the same $c$:

# %%
hardened = networks[AT, 0.15]
for name, network in (("Normal", normal), ("trained by Algorithm 3", hardened)):
    lower, upper = minilwa.split(network, AT)
    features = lower(x)
    target = features + rescale(minilwa.adv_loss(upper, features, y), c * length(features), "l2")
    image = decode(lower, x, target)
    print(f"{name}: mean length of the decoded move {float(length((image - x).reshape(10, -1)).mean()):.2f}")
    show_row(image - x, [str(int(k)) for k in minilwa.predict(network, image)], signed=True)

# %% [markdown]
# Above each is what the network says of the decoded image. Compare the two lengths: after training, the same relative
# move of the features stands for another change of the picture, and a larger one.

# %% [markdown]
# ## Exercises
#
# **1. The shallowest cut.** For which `at` do Algorithm 3 and Algorithm 2 do the same to this network?

# %%
same_at = 0  # your turn

# %%
check("at", same_at, 1)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The first layer, `flatten`, has no parameters and changes no number.
#
# ```python
# same_at = 1
# ```
# </details>

# %% [markdown]
# **2. Features that do not exist.** For the ten digits above, `h` $(10, 200)$ and `r`: which share of $\|r\|^2$ does
# the part of the move take that leads below zero? (For each feature that part is $\min(\tilde x + r, 0)$.) One number
# for each digit.

# %%
share_below = np.zeros(10)  # your turn

# %%
H, R = minilwa.to_numpy(h), minilwa.to_numpy(r)
check("share below zero", share_below, (np.minimum(H + R, 0) ** 2).sum(axis=1) / (R**2).sum(axis=1), 1e-5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# H, R = minilwa.to_numpy(h), minilwa.to_numpy(r)
# share_below = (np.minimum(H + R, 0) ** 2).sum(axis=1) / (R**2).sum(axis=1)
# ```
# </details>

# %% [markdown]
# **3. One gradient, two balls.** Pull the feature direction (`direction`, $(10, 200)$) back to pixels with
# `minilwa.vjp(representation, x)`, and compute its cosine with Adv_Loss of the whole network, for each digit.

# %%
cosine = np.zeros(10)  # your turn

# %%
check("cosine", cosine, np.ones(10), 1e-4)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The direction is $-T^\text{cal}_y$ up to its length, and $J^\top T^\text{cal}_y = T_y$.
#
# ```python
# _, pullback = minilwa.vjp(representation, x)
# (pulled,) = pullback(direction)
# p, a = (minilwa.to_numpy(v).reshape(10, -1) for v in (pulled, minilwa.adv_loss(normal, x, y)))
# cosine = (p * a).sum(axis=1) / (length(p) * length(a))
# ```
# </details>

# %% [markdown]
# **4. The shortest change.** For digit number 4, `J_on` $(A, 784)$ holds the rows of the features that are on, `r_on`
# $(A,)$ their moves. Which change `d` of the pixels is the shortest with $J d = r$? (To first order, that is.)

# %%
_, rows = minilwa.jacobian_rows(representation, x[4:5])
on = minilwa.to_numpy(h[4]) > 0
J_on = minilwa.to_numpy(rows)[0].reshape(200, 784)[on].astype(np.float64)
r_on = minilwa.to_numpy(r[4])[on].astype(np.float64)
print(on.sum(), "features are on;  rank of J_on:", np.linalg.matrix_rank(J_on))

# %%
d = np.zeros(784)  # your turn

# %%
check("J d", J_on @ d, r_on)
check("length of d", np.linalg.norm(d), np.linalg.norm(np.linalg.pinv(J_on) @ r_on))

# %% [markdown]
# <details><summary>Solution</summary>
#
# Fewer equations than unknowns: the pseudo-inverse gives the solution of least norm.
#
# ```python
# d = np.linalg.pinv(J_on) @ r_on  # or J_on.T @ np.linalg.solve(J_on @ J_on.T, r_on)
# ```
# </details>

# %% [markdown]
# **5. A relative radius.** LWA_Rep uses $\|r\| = 0.12\,\|\tilde x\|$. What absolute radius is that, on average over the
# 500 test digits, in pixels (`at = 1`), after the first hidden layer (3), and after the second (5) of the Normal
# network?

# %%
mean_radius = [0.0, 0.0, 0.0]  # your turn

# %%
true = [0.12 * float(length(minilwa.split(normal, at)[0](x_test)).mean()) for at in (1, 3, 5)]
check("mean radius at 1, 3 and 5", mean_radius, true, 1e-5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# mean_radius = [0.12 * float(length(minilwa.split(normal, at)[0](x_test)).mean()) for at in (1, 3, 5)]
# ```
# </details>

# %% [markdown]
# ## What to remember
#
# - Algorithm 3 is Algorithm 2 on the upper part of a network, with the gradient handed on to the lower part.
# - The gradient is the same as in pixels; the ball is not. A move of features may have no image at all.
# - Judge robustness where the world acts: in pixels.
#
# Next: [8. When floating point lies](08_floating_point.ipynb).
