"""Is Adv_Alpha more efficient than Adv_Loss, or does float32 make it look so? {form} x {precision} x {direction}.

Each cell is measured on the same networks: Normal ones, of several training lengths, since the printed formulas lose
the true class in float32 only once the network is sure of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minilwa.backend import to_numpy
from minilwa.directions import direction
from minilwa.evaluation import attacked_scores, parts
from minilwa.experiments.protocols import RADIUS, Plan
from minilwa.experiments.runs import Setting, Unit, gathered, trained
from minilwa.propositions import FORMS
from minilwa.tree import tree_map

LENGTHS = (0.2, 0.5, 1, 2)  # of the protocol's own
COMPARED = ("adv_loss", "adv_alpha")
PRECISIONS = ("float32", "float64")
SURE = 1e-6  # below it 1 - alpha_y is lost in float32


def units(setting: Setting, name: str = "factorial") -> list[Unit]:
    """A unit for each training length and seed."""
    usual = setting.plan("mlp", "Normal", 0).recipe.epochs
    lengths = sorted({max(1, round(usual * length)) for length in LENGTHS})
    plans = [
        setting.plan("mlp", "Normal", seed, label=f"Normal-{epochs}epochs", epochs=epochs)
        for seed in setting.seeds
        for epochs in lengths
    ]
    return [Unit(name, plan, cells) for plan in plans]


def cells(setting: Setting, plan: Plan) -> dict[str, Any]:
    """The accuracy in every cell, and the share of test images that the network is too sure of for float32."""
    network, (x, y), found = trained(setting, plan), setting.test_images(plan), []
    for precision in PRECISIONS:
        other = network.with_parameters(tree_map(lambda p, dtype=precision: p.astype(dtype), network.parameters))
        images = x.astype(precision)
        for form in FORMS:
            for name in COMPARED:
                (score,) = attacked_scores(other, images, y, direction(name, form), [RADIUS["mlp"]])
                cell = {"form": form, "precision": precision, "direction": name}
                found.append(cell | score.describe())
    alpha = np.concatenate([to_numpy(other(images[part])) for part in parts(len(x))])  # in float64
    sure = (1 - alpha[np.arange(len(x)), to_numpy(y)] < SURE).sum().item()
    result = {"method": plan.method.name, "seed": plan.recipe.seed, "epochs": plan.recipe.epochs, "n": len(x)}
    return result | {"sure": sure / len(x), "cells": found}


def summary(setting: Setting, name: str = "factorial") -> dict[str, Any]:
    """The configuration, and the cells of every length and seed."""
    return gathered(setting, units(setting, name), radius=RADIUS["mlp"])
