"""What each protocol trains: architectures, methods and recipes, as plain settings.

``quick`` is one architecture for all rows with settings that suit the embedded digits; ``paper`` is what the authors'
later notebooks ran, each method with a network of its own; ``equal`` is one architecture and as many epochs for all
rows, with hyper-parameters that `search` selects under Adv_Loss, and ``equal-pgd`` the same, selected under PGD. Radii
are L2, on pixels in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from minilwa.data import Dataset, centre
from minilwa.errors import InputError
from minilwa.methods import Method, method
from minilwa.networks import Network, cifar_net, lenet, mlp
from minilwa.training import Recipe

NETWORKS = ("mlp", "lenet", "cifar")
RADIUS = {"mlp": 1.5, "lenet": 1.5, "cifar": 0.25}  # of the attacks
CURVE = (1, 2, 3, 4, 5, 7, 9, 11, 13, 15, 16, 17, 18, 20, 22, 25)
ROWS = ("Normal", "Dropout", "Goodfellow", "LWA", "LWA_Rep")  # the paper's order


Grid = dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Plan:
    """How one network comes about: its architecture, the method and the recipe, which holds the seed.

    ``widths`` are the hidden layers of an "mlp", and dropout, where the method has it, follows those ``dropped``, "all"
    or the "last"; ``scale`` is the limit of the uniform initial weights (None: He's); ``label`` tells apart what one
    method does in several ways.
    """

    network: str
    method: Method
    recipe: Recipe
    widths: tuple[int, ...] = (1000, 1000)
    scale: float | None = None
    label: str = ""
    dropped: str = "all"

    def __post_init__(self) -> None:
        if self.dropped not in ("all", "last"):
            raise InputError("dropped", repr(self.dropped), "'all' or 'last'")

    @property
    def variant(self) -> str:
        """What was trained how: the label, or else the method's name."""
        return self.label or self.method.name

    @property
    def name(self) -> str:
        """What the network is called among those of one protocol."""
        return f"{self.network}-{self.variant}-seed{self.recipe.seed}"

    @classmethod
    def read(cls, found: dict[str, Any]) -> Plan:
        """A plan from plain JSON data, as `dataclasses.asdict` gives it; what it lacks is as the defaults say."""
        parts = {"method": Method(**found["method"]), "recipe": Recipe(**found["recipe"])}
        return cls(**found | parts | {"widths": tuple(found["widths"])})

    def build(self, data: Dataset, dtype: str = "float32", device: str = "cpu") -> Network:
        """The network before training, for the images and classes of ``data``; InputError if these are too small."""
        shape = centre(data.x_train[:1], self.recipe.crop).shape[1:]
        rate = self.method.dropout
        common: dict[str, Any] = {"scale": self.scale, "seed": self.recipe.seed, "dtype": dtype, "device": device}
        if self.network == "mlp":
            rates = rate if self.dropped == "all" else [0.0] * (len(self.widths) - 1) + [rate]
            return mlp(math.prod(shape), *self.widths, data.classes, input_shape=shape, rate=rates, **common)
        try:
            return {"lenet": lenet, "cifar": cifar_net}[self.network](shape, data.classes, rate, **common)
        except InputError as error:
            raise InputError("data", f"images of shape {shape}", f"larger ones, for {self.network}") from error


@dataclass(frozen=True)
class Protocol:
    """The form of the formulas, the recipe of all rows, and where a network's rows depart from `METHODS` and from it.

    ``changes[network][row]`` are settings of the method, the recipe or the plan; ``selected_under`` is the attack
    under which `search` selects others, None where it does not.
    """

    form: str
    recipe: Recipe
    changes: dict[str, dict[str, dict[str, Any]]]
    scale: float | None = None
    selected_under: str | None = None

    def plan(self, network: str, row: str, **changes: Any) -> Plan:
        """The plan of one row of a table; ``changes`` go before what the protocol says, and give seed and form."""
        known = {"form": self.form, "scale": self.scale} | self.changes.get(network, {}).get(row, {}) | changes
        in_recipe, in_method = ({f.name for f in fields(kind)} & set(known) for kind in (Recipe, Method))
        return Plan(
            network,
            method(row, **{key: known[key] for key in in_method}),
            replace(self.recipe, **{key: known[key] for key in in_recipe}),
            **{key: value for key, value in known.items() if key not in in_recipe | in_method},
        )


CIFAR = {"epochs": 25, "rate": 0.01, "momentum": 0.9, "decay_at": 0.7, "crop": 28}  # ours: theirs is not known
DROPOUT = {"dropout": 0.5}
SLOWER = {"rate": 0.02}  # at the rate of the dense networks an adversary keeps a LeNet from learning at all

PROTOCOLS = {
    "quick": Protocol(
        "stable",
        Recipe(),
        {
            "lenet": {
                "Dropout": SLOWER,
                "Goodfellow": SLOWER,
                "LWA": SLOWER,
                "LWA_Rep": SLOWER | {"at": 6},
            },
        },
    ),
    "paper": Protocol(
        "printed",
        Recipe(epochs=25, rate=0.1, momentum=0.0, decay=0.1, decay_at=0.6),  # 0.01 after epoch 15
        {
            "mlp": {
                "Normal": {"widths": (100, 100)},
                "Dropout": {"widths": (200, 200)},
                "Goodfellow": {"widths": (500, 500), "radius": 1.5},
                "LWA": {"widths": (500, 500), "radius": 1.7},  # at the notebooks' rate, .02, 100 epochs are too few
                "LWA_Rep": {"radius": 0.25, "at": 5},
            },
            "lenet": {
                "Goodfellow": {"radius": 1.2},
                "LWA": {"radius": 1.2},
                "LWA_Rep": {"radius": 0.25, "at": 9},
            },
            "cifar": {
                "Normal": CIFAR,
                "Dropout": CIFAR,
                "Goodfellow": CIFAR | DROPOUT | {"radius": 0.25},
                "LWA": CIFAR | DROPOUT | {"radius": 0.25},
                "LWA_Rep": CIFAR | {"radius": 0.25, "at": 9},
            },
        },
        scale=0.07,
    ),
    "equal": Protocol(
        "stable",
        Recipe(epochs=25),
        {"lenet": {"LWA_Rep": {"at": 6}}, "cifar": {row: {"crop": 28} for row in ROWS}},
        selected_under="adv_loss",
    ),
}
PROTOCOLS["equal-pgd"] = replace(PROTOCOLS["equal"], selected_under="pgd")

SEARCH_EPOCHS = {"mlp": 5, "lenet": 5, "cifar": 2}


def label(row: str, changes: dict[str, Any]) -> str:
    """The row's name with what is changed of its settings: "LWA-epochs100", "Dropout-widths1000x1000"."""
    values = {key: "x".join(map(str, v)) if isinstance(v, tuple) else v for key, v in changes.items()}
    return "-".join([row, *(f"{key}{value}" for key, value in values.items())])


def grid(rates: tuple[float, ...], radii: tuple[float, ...], relative: tuple[float, ...]) -> dict[str, Grid]:
    """What is tried for each row: learning rates, and radii for those that perturb (PGD's are told apart elsewhere)."""
    own = {"Goodfellow": {"radius": radii}, "LWA": {"radius": radii}, "LWA_Rep": {"radius": relative}}
    return {row: {"rate": rates} | own.get(row, {}) for row in (*ROWS, "PGD")}


GRIDS = {  # of "equal" and "equal-pgd"; momentum is 0.9
    "mlp": grid((0.01, 0.03, 0.1), (1.2, 1.7, 2.2), (0.06, 0.12, 0.25)),
    "lenet": grid((0.003, 0.01, 0.03), (1.2, 1.7, 2.2), (0.06, 0.12, 0.25)),
    "cifar": grid((0.003, 0.01), (0.2, 0.35), (0.06, 0.12)),
}


def snapshots(plan: Plan) -> tuple[int, ...]:
    """The epochs after which the network is kept beside the checkpoint: those of Figure 2, for a LeNet."""
    kept = plan.network == "lenet" and not plan.label
    return tuple(epoch for epoch in CURVE if kept and epoch <= plan.recipe.epochs)
