"""The first epoch against an adversary: it is how longer trainings begin, and what is told of seeds that learn."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from test_frontier import reproduced, write_images

from minilwa.cli import main
from minilwa.data import load as load_data
from minilwa.directions import direction
from minilwa.evaluation import attacked_scores, clean_score
from minilwa.experiments import first_epoch
from minilwa.experiments.runs import Setting, Source, trained
from minilwa.report.numbers import spread
from minilwa.saving import load
from minilwa.tree import leaves

TOLD = (  # of each setting by seed: clean, and under Adv_Loss
    ((0.9, 0.7), (0.8, 0.6)),
    ((0.9, 0.8), (0.1, 0.1)),
    ((0.3, 0.3), (0.7, 0.5)),
    ((0.1, 0.1), (0.2, 0.1)),
    ((0.6, 0.5), (0.8, 0.7)),
    ((0.7, 0.5), (0.9, 0.8)),
    ((0.8, 0.5), (0.9, 0.4)),
)


def test_settings_differ_from_the_rows_of_table_2_in_what_their_names_say(tmp_path):
    setting = Setting(Source("mnist5k"), tmp_path, "equal", seeds=(3, 4), chosen={("lenet", "LWA"): {"rate": 0.03}})
    units = first_epoch.units(setting)
    assert len({unit.record(setting) for unit in units}) == len(units) == 2 * len(first_epoch.TRIED)
    for unit in units:
        plan, usual = unit.plan, setting.plan("lenet", unit.plan.method.name, unit.plan.recipe.seed)
        _, *changes = plan.variant.split("-")
        named = {"epochs1", f"radius{plan.method.radius:g}"}
        named |= {f"along{plan.method.along}"} if plan.method.along != usual.method.along else set()
        named |= {f"rate{plan.recipe.rate:g}"} if plan.recipe.rate != usual.recipe.rate else set()
        assert set(changes) == named
        same = replace(usual.recipe, epochs=1, rate=plan.recipe.rate)
        moved = replace(usual.method, radius=plan.method.radius, along=plan.method.along)
        assert (plan.recipe, plan.method) == (same, moved)


def test_it_is_how_the_longer_training_of_that_seed_begins(tmp_path):
    write_images(tmp_path / "own.npz")
    setting = Setting(Source(str(tmp_path / "own.npz")), tmp_path, "quick", recipe={"batch": 30, "epochs": 3})
    row, changes = first_epoch.TRIED[1]
    short = trained(setting, first_epoch.plan_of(setting, row, changes, seed=5))
    longer = setting.plan("lenet", row, 5, **changes)
    ended, begun = trained(setting, longer), load(setting.kept(longer, 1))
    first = leaves(short.parameters)
    pairs = [list(zip(first, leaves(other.parameters), strict=True)) for other in (begun, ended)]
    assert all(np.array_equal(a, b) for a, b in pairs[0])
    assert not all(np.array_equal(a, b) for a, b in pairs[1])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with results/ of two seeds, whose accuracies are replaced by `TOLD`, and report/ with summary.json."""
    folder = reproduced(
        tmp_path_factory.mktemp("first-epoch"), "first-epoch", ["--seeds", "2", "--epochs", "1"], first_epoch
    )
    for variant, accuracies in zip(first_epoch.VARIANTS, TOLD, strict=True):
        for seed, (clean, attacked) in enumerate(accuracies):
            (path,) = (folder / "results").glob(f"*/first-epoch/{variant}-seed{seed}.json")
            told = {"clean": clean, "adv_loss": attacked, "learned": clean > 0.4}
            path.write_text(json.dumps(json.loads(path.read_text()) | told))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["report", "--json", "summary.json"]) == 0
    return folder


def test_what_is_measured_is_the_networks(made):
    for record in json.loads((made / "first-epoch.json").read_text())["rows"]:
        (path,) = (made / "results").glob(f"*/networks/lenet-{record['variant']}-seed{record['seed']}.npz")
        data = load_data(str(made / "own.npz"))
        x, y, network = data.x_test, data.y_test, load(path)
        found = clean_score(network, x, y)
        (attacked,) = attacked_scores(network, x, y, direction("adv_loss", "stable"), [1.5])
        assert (record["clean"], record["adv_loss"], record["n"]) == (found.accuracy, attacked.accuracy, found.n)
        assert record["learned"] == (found.accuracy > 0.4)  # of three classes


def test_accuracies_are_told_of_the_seeds_that_learn(made):
    (entry,) = json.loads((made / "summary.json").read_text())["experiments"].values()
    assert [row["variant"] for row in entry["rows"]] == first_epoch.VARIANTS
    assert [row["learned"] for row in entry["rows"]] == [[0, 1], [0], [1], [], [0, 1], [0, 1], [0, 1]]
    for row, accuracies in zip(entry["rows"], TOLD, strict=True):
        for key, values in zip(("clean", "adv_loss"), zip(*accuracies, strict=True), strict=True):
            assert row[key]["values"] == list(values)
            of_these = [values[seed] for seed in row["learned"]]
            assert (row[f"{key}_learned"] or {"values": []})["values"] == of_these
    assert entry["command"].endswith("--epochs 1 --batch 30 --seeds 2")


def test_files_of_the_report(made):
    (entry,) = json.loads((made / "summary.json").read_text())["experiments"].values()
    (stem,) = (path.with_suffix("") for path in (made / "report").glob("first-epoch*.md"))
    text = stem.with_name(stem.name + ".md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    all_two = "2 of 2 [.34, 1.00]"
    one, none = "1 of 2 [.09, .91]", "0 of 2 [.00, .66]"
    assert [line[4] for line in lines[2:]] == [all_two, one, one, none, all_two, all_two, all_two]
    for row, line in zip(entry["rows"], lines[2:], strict=True):
        assert line[:1] + line[2:4] == [row["method"], f"{row['rate']:g}", f"{row['radius']:g}"]
        of_these = [row["clean_learned"], row["adv_loss_learned"]]
        assert line[5:] == [spread(found) if found else "" for found in of_these]
    directions = ["Adv_Loss_Sign", "Adv_Loss", "Adv_Loss", "Adv_Loss_Sign", "Adv_Loss", "Adv_Loss", "Adv_Loss"]
    assert [line[1] for line in lines[2:]] == directions
    assert "right more than twice as often as guessing" in text
    with open(stem.with_name(stem.name + ".csv"), newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 5 * len(TOLD) - 2  # nothing where none learned
    for line in found:
        row = next(row for row in entry["rows"] if row["variant"] == line["variant"])
        assert float(line["mean"]) == row[line["column"]]["mean"]
        assert int(line["of_seeds"]) == len(row[line["column"]]["values"])
    drawn = stem.with_name(stem.name + ".svg").read_text()
    assert "LWA along Adv_Loss_Sign" in drawn
    assert "rate 0.02, c = 2.2: 0 of 2 learn" in drawn
    assert "accuracy on 30 test images after one epoch, by seed" in drawn
