# %% [markdown]
# # 0. The paper in ten minutes
#
# *Learning with Adversary* (Huang, Xu, Schuurmans, Szepesvári, 2015) asks two questions. How little must one change
# an image until a network calls it something else? And can a network be trained so that it takes more?
#
# **What you learn:** what an adversarial perturbation is, how the paper finds one, and what training on such
# perturbations does. Everything here is taken apart in the notebooks after this one.
#
# **Place in the paper:** all of it, once over: section 2 (finding), section 3 (learning), Figure 1 and Table 1.
#
# **You need:** NumPy. **Time:** ten minutes, the exercises included if you are quick.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pictures
from check import check
from widgets import slider

import minilwa

device = "cpu"  # "gpu" puts everything on a CUDA device

# %% [markdown]
# ## A network that reads digits
#
# The package carries 5,000 MNIST digits: 4,000 to train on, 1,000 to test on. Twenty passes over them take a few
# seconds.

# %%
data = minilwa.load_data(device=device)
start = minilwa.mlp(784, 300, 300, 10, input_shape=(1, 28, 28), device=device)
recipe = minilwa.Recipe(epochs=20)
network = minilwa.train(start, data.x_train, data.y_train, minilwa.method("Normal"), recipe)

print("test images", data.x_test.shape, "with pixels from 0 to", data.x_test.max())
score = minilwa.clean_score(network, data.x_test, data.y_test)
print("accuracy on the test images", score.accuracy)

# %% [markdown]
# The network ends with a softmax. For an image $x$ it gives ten numbers $\alpha = g(x)$, positive and with sum 1, and
# the prediction is the class of the largest. Here are ten digits, each with its prediction and $\alpha$ of that
# class.

# %%
alpha = network(data.x_test[:10])
titles = [f"{int(a.argmax())}  ({float(a.max()):.2f})" for a in alpha]
pictures.show_row(data.x_test[:10], titles)

# %% [markdown]
# ## Noise does nothing
#
# Take one of them, and add noise of Euclidean length 1.5.

# %%
place = 6
x, y = data.x_test[[place]], data.y_test[[place]]  # a batch of one: (1, 1, 28, 28) and (1,)
label = int(y[0])


def length(r):
    """The Euclidean length of an array, all of its entries taken together."""
    return float((r**2).sum()) ** 0.5


def title(image):
    """What the network says about one image."""
    alpha = network(image)[0]
    return f"{int(alpha.argmax())}  ({float(alpha.max()):.2f})"


rng = np.random.default_rng(0)
noise = minilwa.asarray(rng.normal(size=x.shape), device=device)
noise = 1.5 * noise / length(noise)
print(f"length of the digit {length(x):.2f}, of the noise {length(noise):.2f}")
pictures.show_row([x, x + noise], [title(x), title(x + noise)], size=2)

# %% [markdown]
# ## The smallest change that matters
#
# Section 2 of the paper looks for the smallest perturbation that changes the prediction,
#
# $$\min_r \|r\| \quad\text{so that}\quad \mathcal N(x + r) \neq \mathcal N(x),$$
#
# and makes it easy by replacing the network by its linear approximation at $x$,
#
# $$\hat g(x + r) = \alpha + T r, \qquad T = \frac{\partial \alpha}{\partial x},$$
#
# where $T$ has a row for each class and a column for each pixel. For a linear function the smallest change that lifts
# class $j$ to the height of the predicted class $J$ is known in closed form (Proposition 2.1): it goes along
# $T_j - T_J$. The nearest of the ten classes wins (Proposition 2.2). That is Algorithm 1, and it is one call:

# %%
nearest, r = minilwa.algorithm_1(network, x)
print("predicted", label, "- nearest other class", int(nearest[0]))

direction = r.direction  # (1, 1, 28, 28), of length 1
step = 1.5 * direction
titles = [title(x), f"noise\n{title(x + noise)}", f"Algorithm 1\n{title(x + step)}"]
pictures.show_row([x, x + noise, x + step], titles, size=2)
pictures.show_row([noise, step], ["the noise", "the step"], signed=True, size=2)

# %% [markdown]
# Noise and step have the same length. The step is not visibly larger, it is only *aimed*: where it is red a pixel
# gets darker ink, where it is blue it loses some, and each of the 784 small changes helps one class and hurts the
# other.
#
# Follow it further out.

# %%
radii = [0, 0.5, 1, 1.5, 2, 3, 4]
moved = [x + c * direction for c in radii]
titles = [f"radius {c}\n{title(image)}" for c, image in zip(radii, moved)]
pictures.show_row(moved, titles, size=1.5)


# %%
def look(radius):
    """The digit moved by a radius, and what the network makes of it."""
    image = x + radius * direction
    _, (left, right) = plt.subplots(1, 2, figsize=(6, 2.6), width_ratios=(1, 2))
    pictures.draw(left, image[0, 0], f"radius {radius:.2f}")
    colours = ["C3" if k == label else "C0" for k in range(10)]
    right.bar(range(10), minilwa.to_numpy(network(image)[0]), color=colours)
    right.set(xticks=range(10), ylim=(0, 1), ylabel=r"$\alpha$")
    right.set_xlabel(f"class (red: the label, {label})")
    plt.show()


look(0.0)
look(1.5)

# %% [markdown]
# The same picture with a slider. Where does the prediction turn?

# %%
slider(look, radius=(0.0, 4.0, 0.05, 1.0))

# %% [markdown]
# ### Exercise 0.1: where it turns
#
# Which is the smallest of these radii at which the network no longer predicts `label`? Find it with code (or with the
# slider).

# %%
candidates = np.arange(0, 4, 0.05)
print(candidates[:4], "...", candidates[-1])

# %%
answer = 0.0  # your turn

# %%
turned = [int(minilwa.predict(network, x + float(c) * direction)[0]) != label for c in candidates]
check("the radius where it turns", answer, candidates[np.argmax(turned)])

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# for c in candidates:
#     if int(network(x + float(c) * direction)[0].argmax()) != label:
#         answer = c
#         break
# ```
#
# </details>

# %% [markdown]
# ## Not one digit: all of them
#
# The paper compares three directions, each scaled to the same Euclidean length:
#
# - **Adv_Alpha**, the direction of Algorithm 1;
# - **Adv_Loss**, straight down the slope of $\alpha_y$, the output for the true class, which is $-T_y$;
# - **Adv_Loss_Sign**, only the sign of each component of it: every pixel changes by the same amount.
#
# This is its Figure 1 for our network (the paper's is a LeNet), with noise beside it. An image that the network gets
# wrong untouched counts as wrong everywhere.

# %%
LABELS = {"adv_loss_sign": "Adv_Loss_Sign", "adv_loss": "Adv_Loss", "adv_alpha": "Adv_Alpha"}
radii = np.arange(0, 4.01, 0.25)


def curve(network, along):
    """The accuracy on the test images at each radius."""
    scores = minilwa.attacked_scores(network, data.x_test, data.y_test, along, radii)
    return [score.accuracy for score in scores]


def random_direction(network, x, y):
    """A random direction for each image."""
    return minilwa.asarray(np.random.default_rng(1).normal(size=x.shape), device=device)


normal = {name: curve(network, minilwa.direction(name)) for name in LABELS}
plt.figure(figsize=(6, 3.6))
plt.plot(radii, curve(network, random_direction), "k:", label="noise")
for name, accuracies in normal.items():
    plt.plot(radii, accuracies, label=LABELS[name])
plt.gca().set(xlabel="radius (Euclidean length of the perturbation)", ylabel="accuracy", ylim=(0, 1))
plt.legend()
plt.show()

# %% [markdown]
# Noise of length 4 hardly matters. A step of length 1.5 along Adv_Loss or Adv_Alpha leaves little of the accuracy; along
# the sign it leaves a third.
#
# ### Exercise 0.2: how much is that for one pixel?
#
# Adv_Loss_Sign changes each of the 784 pixels by the same amount, up or down. By how much, if the whole perturbation
# has the Euclidean length 1.5?

# %%
change_of_one_pixel = 0.0  # your turn

# %%
check("change of one pixel", change_of_one_pixel, 0.0535714286)

# %% [markdown]
# <details><summary>Solution</summary>
#
# The length of a vector of 784 entries $\pm\varepsilon$ is $\sqrt{784\,\varepsilon^2} = 28\,\varepsilon$.
#
# ```python
# change_of_one_pixel = 1.5 / np.sqrt(784)
# ```
#
# </details>

# %% [markdown]
# ### Exercise 0.3: a sign in the print
#
# Section 3.1.1 of the paper prints the step along the loss as $r^* = +c\,T_y / \|T_y\|_2$. Its own text says what the
# step is for: to make $\alpha_y$ as *small* as possible. Compute $\alpha_y$ after a step of length 0.7 with a plus
# and with a minus, and decide. `jacobian_rows` gives $T$.

# %%
alpha, T = minilwa.jacobian_rows(network, x)  # (1, 10) and (1, 10, 1, 28, 28)
T_y = T[:, label]
print(f"alpha_y at x: {float(alpha[0, label]):.6f}")

# %%
with_plus = 0.0  # your turn
with_minus = 0.0  # your turn

# %%
unit = T_y / length(T_y)
check("alpha_y with the printed sign", with_plus, network(x + 0.7 * unit)[0, label], tolerance=1e-5)
check("alpha_y with a minus", with_minus, network(x - 0.7 * unit)[0, label], tolerance=1e-5)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# with_plus = float(network(x + 0.7 * T_y / length(T_y))[0, label])
# with_minus = float(network(x - 0.7 * T_y / length(T_y))[0, label])
# print(with_plus, with_minus)
# ```
#
# The minus is right: it is $\alpha_y$ that must fall. The print has this sign wrong in all three norms
# ([directions.py](../minilwa/directions.py) has it right; notebook 6 comes back to it, and [the README](../README.md)
# names all misprints).
#
# </details>

# %% [markdown]
# ## Learning with an adversary
#
# Section 3: if the worst case within a radius $c$ is what hurts, train on it,
#
# $$\min_f \sum_i \max_{\|r^{(i)}\| \le c} \ell\bigl(g(x_i + r^{(i)}), y_i\bigr).$$
#
# Algorithm 2 does so in the simplest way. For each batch it finds the perturbations against the network *as it is
# now*, adds them, and takes an ordinary step on the moved images. The same loop, the same network at the start; only
# the method differs.

# %%
lwa = minilwa.train(start, data.x_train, data.y_train, minilwa.method("LWA"), recipe)
print("accuracy on the test images", minilwa.clean_score(lwa, data.x_test, data.y_test).accuracy)
robust = {name: curve(lwa, minilwa.direction(name)) for name in LABELS}

_, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
for axis, name in zip(axes, LABELS):
    axis.plot(radii, normal[name], "C0", label="Normal")
    axis.plot(radii, robust[name], "C2", label="LWA")
    axis.axvline(1.5, color="0.8", zorder=0)
    axis.set(title=LABELS[name], xlabel="radius", ylim=(0, 1))
axes[0].set_ylabel("accuracy")
axes[0].legend()
plt.show()

# %% [markdown]
# At the grey line, the radius of the paper's Table 1, the network that has learned with its adversary keeps most of
# its accuracy, and it is no worse on images that nobody moved. (Each network is attacked along its own directions,
# not those of the other.)
#
# What changed? Here is the step of Algorithm 1 for the same digits, against either network.

# %%
some = data.x_test[:8]
for name, net in (("Normal", network), ("LWA", lwa)):
    towards, r = minilwa.algorithm_1(net, some)
    pictures.show_row(r.direction, [f"{name}: to {int(k)}" for k in towards], signed=True, size=1.3)

# %% [markdown]
# Against the Normal network the step is mostly speckle, all over the picture. Against the LWA network it is drawn in
# strokes, on and around the digit: blue takes ink from a stroke, red begins another. To fool this network one has to
# begin to change the digit itself.
#
# ### Exercise 0.4: the table
#
# Read off the accuracy of the LWA network under Adv_Alpha at radius 1.5 (the paper, with twelve times as many digits
# and a larger network: 0.857). `robust["adv_alpha"]` holds one accuracy for each of `radii`.

# %%
answer = 0.0  # your turn

# %%
along = minilwa.direction("adv_alpha")
score = minilwa.attacked_scores(lwa, data.x_test, data.y_test, along, radii=[1.5])[0]
check("LWA under Adv_Alpha", answer, score.accuracy)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# answer = robust["adv_alpha"][list(radii).index(1.5)]
# ```
#
# </details>

# %% [markdown]
# ## What to remember
#
# - A perturbation much shorter than harmless noise turns a prediction when it is aimed. The aim comes from $T$, the
#   derivative of the outputs by the pixels, through a closed form.
# - Adv_Alpha aims at the nearest other class, Adv_Loss down the slope of the true one; the sign version spends its
#   length evenly on all pixels and gets less for it.
# - Learning with an adversary trains on images moved against the network as it is at that moment.
# - One straight step is a weak adversary. A network that survives it has not been shown to be robust: notebook 9 says
#   what would have to be shown.
#
# Next: [1. Autograd](01_autograd.ipynb) builds the tool that gives $T$. The lines behind this page are in
# [algorithms.py](../minilwa/algorithms.py), [propositions.py](../minilwa/propositions.py) and
# [directions.py](../minilwa/directions.py), and each of them fits on a few screens.
