"""Figures that the paper prints, to stand beside ours. MNIST, 50,000 training and 10,000 test images, L2 radius 1.5."""

COLUMNS = ("validation", "fixed", "adv_loss_sign", "adv_loss", "adv_alpha")

TABLE_1 = {
    "Normal": (0.980, 0.314, 0.193, 0.091, 0.078),
    "Dropout": (0.982, 0.366, 0.256, 0.135, 0.238),
    "Goodfellow": (0.987, 0.938, 0.923, 0.713, 0.701),
    "LWA": (0.987, 0.962, 0.935, 0.860, 0.857),
    "LWA_Rep": (0.986, 0.899, 0.900, 0.802, 0.767),
}
