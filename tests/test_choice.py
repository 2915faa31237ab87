"""The choice behind the frontier's steps: what is tried, on which images, and what is reported of it."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_frontier import reproduced

from minilwa.attacks import ATTACKS
from minilwa.cli import main
from minilwa.data import load
from minilwa.experiments import choice, frontier
from minilwa.experiments.runs import Setting, Source
from minilwa.report.intervals import paired
from minilwa.report.numbers import signed, spread

SETTING = Setting(Source("mnist5k", split="paper"), Path("nowhere"), "quick", seeds=(13, 14))
FEW = {"fmn": replace(ATTACKS["fmn"], run=partial(ATTACKS["fmn"].run, steps=10))}
NAMES = ("3x0.5-c1.7", "5x0.5-c1.7", "PGD")


def test_every_candidate_trains_for_the_same_time_with_what_its_name_says():
    units = choice.units(SETTING)
    assert len({unit.record(SETTING) for unit in units}) == len(units) == 2 * len(choice.CANDIDATES)
    assert {unit.plan.recipe.seed for unit in units} == {13, 14}
    usual = frontier.plan_of(SETTING, "LWA", 13)
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
    chosen = frontier.plan_of(SETTING, "LWA++", 13)
    same = [unit.plan for unit in choice.units(SETTING) if unit.plan.method == chosen.method]
    assert [plan.recipe for plan in same if plan.recipe.seed == 13] == [chosen.recipe]


def test_it_chooses_on_images_that_no_network_and_no_test_has_seen():
    x, y = choice.left_out(SETTING)
    every, trained_on = load("mnist5k"), SETTING.dataset.x_train
    assert len(trained_on) + len(x) == len(every.x_train)
    assert np.array_equal(np.concatenate([trained_on, x]), every.x_train)
    assert np.array_equal(y, every.y_train[len(trained_on) :])


def test_images_left_out_and_seeds_of_its_own_are_what_a_choice_needs(capsys, tmp_path):
    assert main(["reproduce", "frontier-choice", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in ("split", "full", "paper"))
    words = ["--split", "paper", "--seeds", "11", "--out", str(tmp_path / "out")]
    assert main(["reproduce", "frontier-choice", *words]) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in ("seed", "got 0", ">= 10", "--seed 10"))
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with results/ of three candidates under a weak attack, and report/ with summary.json."""
    candidates = {name: choice.CANDIDATES[name] for name in NAMES}
    options = ["--split", "paper", "--seed", "13"]
    folder = tmp_path_factory.mktemp("choice")
    return reproduced(folder, "frontier-choice", options, choice, ATTACKED_BY=FEW, CANDIDATES=candidates)


def test_what_is_reported_is_what_was_measured_the_best_first(made):
    records = {r["variant"]: r for r in json.loads((made / "frontier-choice.json").read_text())["rows"]}
    (entry,) = json.loads((made / "summary.json").read_text())["experiments"].values()
    rows = entry["rows"]
    assert {row["variant"] for row in rows} == set(records) == set(NAMES)
    assert [row["worst"]["mean"] for row in rows] == sorted((r["worst"] for r in records.values()), reverse=True)
    for row in rows:
        for column in ("clean", "adv_loss", "worst"):
            assert row[column]["values"] == [records[row["variant"]][column]]
        assert (row["n"], row["change"]) == (15, choice.CANDIDATES[row["variant"]].change)
        lead = records[row["variant"]]["worst"] - records["PGD"]["worst"]
        assert row["lead"] is None if row["method"] == "PGD" else row["lead"]["mean"] == pytest.approx(lead)
    assert entry["command"].endswith("--batch 30 --seed 13")


def test_files_of_the_report(made):
    (entry,) = json.loads((made / "summary.json").read_text())["experiments"].values()
    (stem,) = (path.with_suffix("") for path in (made / "report").glob("frontier-choice*.md"))
    text = stem.with_name(stem.name + ".md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["Method", "Change", "Epochs", "Clean", "Adv_Loss", "Worst case", "Over PGD"]
    for row, line in zip(entry["rows"], lines[2:], strict=True):
        told = [spread(row[column]) for column in ("clean", "adv_loss", "worst")]
        lead = signed(row["lead"]) if row["method"] != "PGD" else ""
        assert line == [row["method"], row["change"], str(row["epochs"]), *told, lead]
    assert "on training images left out" in text
    assert "The worst case is over fmn alone" in text
    with open(stem.with_name(stem.name + ".csv"), newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 4 * len(NAMES)
    for line in found:
        row = next(row for row in entry["rows"] if row["variant"] == line["variant"])
        key = line["column"]
        assert float(line["mean"]) == (row["left"]["fmn"] if key == "left by fmn" else row[key])["mean"]
    drawn = stem.with_name(stem.name + ".svg").read_text()
    passes = {row["variant"]: row["passes"] for row in entry["rows"]}
    assert f"PGD training, {passes['PGD'] / passes['5x0.5-c1.7']:.1f} times as long" in drawn
    assert "5 steps of 0.5 c, c = 1.7" in drawn
    assert "10 steps of c / 4" not in drawn  # PGD is a line, no candidate


def test_the_lead_over_pgd_is_taken_image_by_image():
    ours, theirs = [[0, 1, 2, 3], [0, 1, 2]], [[0, 4], [0, 1, 2]]
    found = paired(list(zip(ours, theirs, strict=True)), 10)
    by_image = np.array([0, 1, 1, 1, -1, 0, 0, 0, 0, 0]) / 2  # of the first seed; the second has none
    assert found["mean"] == pytest.approx(by_image.mean())
    assert found["values"] == pytest.approx([0.2, 0.0])
    half = 1.96 * by_image.std(ddof=1) / np.sqrt(10)
    assert found["interval"] == pytest.approx([by_image.mean() - half, by_image.mean() + half])
    assert paired([(theirs[0], theirs[0])], 10)["interval"] == [0, 0]
