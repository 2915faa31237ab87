"""The choice behind the frontier's steps: what is tried, on which images, and what is reported of it."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_frontier import write_images

from minilwa.attacks import ATTACKS
from minilwa.cli import main
from minilwa.data import load
from minilwa.experiments import choice, frontier
from minilwa.experiments.runs import Setting, Source

SETTING = Setting(Source("mnist5k", split="paper"), Path("nowhere"), "quick", seeds=(3, 4))
FEW = {"fmn": replace(ATTACKS["fmn"], run=partial(ATTACKS["fmn"].run, steps=10))}
NAMES = ("3x0.5-c1.7", "5x0.5-c1.7", "PGD")


def test_every_candidate_trains_for_the_same_time_with_what_its_name_says():
    units = choice.units(SETTING)
    assert len({unit.record(SETTING) for unit in units}) == len(units) == 2 * len(choice.CANDIDATES)
    assert {unit.plan.recipe.seed for unit in units} == {3, 4}
    usual = frontier.plan_of(SETTING, "LWA", 3)
    for unit in units:
        plan, method = unit.plan, unit.plan.method
        assert (plan.widths, plan.scale, plan.recipe.rate) == (usual.widths, usual.scale, usual.recipe.rate)
        if method.name == "PGD":
            seen = frontier.plan_of(SETTING, "PGD", plan.recipe.seed)
            assert (seen.method, seen.recipe) == (method, plan.recipe)
            continue
        assert plan.variant == f"{method.steps}x{method.stride / method.steps:g}-c{method.radius:g}"
        passes = plan.recipe.epochs * (method.steps + 1)
        assert abs(passes - choice.TIME * 2 * usual.recipe.epochs) <= (method.steps + 1) / 2 + 1e-9


def test_the_frontiers_five_steps_are_among_the_candidates():
    chosen = frontier.plan_of(SETTING, "LWA++", 3)
    same = [unit.plan for unit in choice.units(SETTING) if unit.plan.method == chosen.method]
    assert [plan.recipe for plan in same if plan.recipe.seed == 3] == [chosen.recipe]


def test_it_chooses_on_images_that_no_network_and_no_test_has_seen():
    x, y = choice.left_out(SETTING)
    every, trained_on = load("mnist5k"), SETTING.dataset.x_train
    assert len(trained_on) + len(x) == len(every.x_train)
    assert np.array_equal(np.concatenate([trained_on, x]), every.x_train)
    assert np.array_equal(y, every.y_train[len(trained_on) :])


def test_without_images_left_out_there_is_nothing_to_choose_on(capsys, tmp_path):
    assert main(["reproduce", "frontier-choice", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in ("split", "full", "paper"))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with results/ of three candidates under a weak attack, and report/ with summary.json."""
    folder = tmp_path_factory.mktemp("choice")
    write_images(folder / "own.npz")
    words = ["--data", str(folder / "own.npz"), "--split", "paper", "--epochs", "4", "--batch", "30", "--seed", "3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(choice, "ATTACKED_BY", FEW)
        patch.setattr(choice, "CANDIDATES", {name: choice.CANDIDATES[name] for name in NAMES})
        assert main(["reproduce", "frontier-choice", *words, "--json", "choice.json"]) == 0
        assert main(["report", "--json", "summary.json"]) == 0
    return folder


def test_what_is_reported_is_what_was_measured_the_best_first(made):
    records = {r["variant"]: r for r in json.loads((made / "choice.json").read_text())["rows"]}
    (entry,) = json.loads((made / "summary.json").read_text())["experiments"].values()
    rows = entry["rows"]
    assert {row["variant"] for row in rows} == set(records) == set(NAMES)
    assert [row["worst"]["mean"] for row in rows] == sorted((r["worst"] for r in records.values()), reverse=True)
    for row in rows:
        for column in ("clean", "adv_loss", "worst"):
            assert row[column]["values"] == [records[row["variant"]][column]]
        assert (row["n"], row["change"]) == (15, choice.CANDIDATES[row["variant"]].change)
    assert entry["command"].endswith("--batch 30 --seed 3")


def test_files_of_the_report(made):
    (stem,) = (path.with_suffix("") for path in (made / "report").glob("frontier-choice*.md"))
    table = [line for line in stem.with_name(stem.name + ".md").read_text().splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(NAMES)
    with open(stem.with_name(stem.name + ".csv"), newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["column"] for line in lines} == {"clean", "adv_loss", "worst", "left by fmn"}
    assert "<svg" in stem.with_name(stem.name + ".svg").read_text()
