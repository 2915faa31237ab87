"""Figures that the paper prints, to stand beside ours. MNIST, 50,000 training and 10,000 test images, L2 radius 1.5."""

COLUMNS = ("validation", "fixed", "adv_loss_sign", "adv_loss", "adv_alpha")

PRINTED: dict[str, dict[str, tuple[float, ...]]] = {
    "table1": {
        "Normal": (0.980, 0.314, 0.193, 0.091, 0.078),
        "Dropout": (0.982, 0.366, 0.256, 0.135, 0.238),
        "Goodfellow": (0.987, 0.938, 0.923, 0.713, 0.701),
        "LWA": (0.987, 0.962, 0.935, 0.860, 0.857),
        "LWA_Rep": (0.986, 0.899, 0.900, 0.802, 0.767),
    },
    "table2": {
        "Normal": (0.9916, 0.6342, 0.6940, 0.3998, 0.3792),
        "LWA": (0.9932, 0.9817, 0.9800, 0.9533, 0.9529),
    },
}

NOTEBOOKS: dict[str, dict[str, tuple[float, ...]]] = {  # the authors' later runs, widths as in protocols.PROTOCOLS
    "table1": {
        "Normal": (0.977, 0.361, 0.287, 0.201, 0.074),
        "Dropout": (0.982, 0.446, 0.440, 0.321, 0.193),
        "Goodfellow": (0.991, 0.972, 0.939, 0.844, 0.836),
        "LWA": (0.990, 0.974, 0.944, 0.867, 0.862),
    },
    "table2": {
        "Normal": (0.9912, 0.7456, 0.8082, 0.5194, 0.5014),
        "Dropout": (0.9922, 0.7217, 0.7694, 0.5322, 0.4893),
        "LWA": (0.9934, 0.9822, 0.9859, 0.9632, 0.9627),
    },
    "cifar10": {
        "Normal": (0.851, 0.747, 0.517, 0.429, 0.416),
        "Dropout": (0.877, 0.777, 0.593, 0.495, 0.479),
        "Goodfellow": (0.856, 0.818, 0.794, 0.745, 0.734),
        "LWA": (0.864, 0.831, 0.803, 0.760, 0.750),
    },
}

FIGURE1: dict[float, dict[str, float]] = {  # by radius, of the authors' LeNet, not clipped
    1.0: {"adv_loss_sign": 0.912, "adv_loss": 0.769, "adv_alpha": 0.762},
    1.4: {"adv_loss_sign": 0.822, "adv_loss": 0.565, "adv_alpha": 0.548},
    2.0: {"adv_loss_sign": 0.637, "adv_loss": 0.312, "adv_alpha": 0.301},
    3.0: {"adv_loss_sign": 0.333, "adv_loss": 0.128, "adv_alpha": 0.121},
}

DEEPFOOL = {  # mean ||r|| / ||x|| that Moosavi-Dezfooli et al. (1511.04599) give for MNIST, by network; Normal training
    "judge-table1": ("FC500-150-10", 0.11),
    "judge-table2": ("LeNet", 0.20),
}
