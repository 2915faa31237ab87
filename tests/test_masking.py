"""A single step against PGD while a LeNet trains: what is measured, and what is told of every seed."""

import csv
import json
import shutil

import pytest
from test_frontier import reproduced

from minilwa.attacks import pgd, single_step
from minilwa.cli import main
from minilwa.data import load as load_data
from minilwa.directions import adv_loss
from minilwa.evaluation import predict
from minilwa.experiments import masking
from minilwa.saving import load

EPOCHS = [1, 2, 3, 4]
TOLD = {  # by method and seed, over the epochs: clean, under Adv_Loss, under PGD
    ("Goodfellow", 0): ([0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.6, 0.7], [0.3, 0.4, 0.5, 0.5]),
    ("Goodfellow", 1): ([0.5, 0.6, 0.7, 0.9], [0.4, 0.5, 0.6, 0.6], [0.4, 0.4, 0.6, 0.6]),
    ("LWA", 0): ([0.7, 0.8, 0.9, 1.0], [0.6, 0.9, 0.8, 0.9], [0.5, 0.6, 0.2, 0.25]),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with results/ of two seeds, as they were measured."""
    return reproduced(tmp_path_factory.mktemp("masking"), "masking", ["--seeds", "2"], masking)


def records(made):
    return {path: json.loads(path.read_text()) for path in (made / "results").glob("*/masking/*.json")}


def test_what_is_measured_is_the_snapshots(made):
    data = load_data(str(made / "own.npz"))
    x, y = data.x_test, data.y_test
    assert len(records(made)) == 4
    for path, record in records(made).items():
        assert record["epochs"] == EPOCHS
        for i, epoch in enumerate(EPOCHS):
            network = load(path.parents[1] / "networks" / f"lenet-{path.stem}-epoch{epoch}.npz")
            moved = {
                "validation": x,
                "adv_loss": single_step(network, x, y, 1.5, along=adv_loss),
                "pgd": pgd(network, x, y, 1.5, steps=20, restarts=1),
            }
            for name, x_hat in moved.items():
                assert record["curves"][name][i] == float((predict(network, x_hat) == y).mean()), (name, epoch)


def test_every_seed_is_told_and_drawn(made, tmp_path):
    shutil.copytree(made / "results", tmp_path / "results")
    for path, record in records(tmp_path).items():
        told = TOLD.get((record["method"], record["seed"]))
        if told is None:  # still to be run
            path.unlink()
            continue
        path.write_text(json.dumps(record | {"curves": dict(zip(record["curves"], told, strict=True))}))
    assert main(["report", "--results", str(tmp_path / "results"), "--out", str(tmp_path / "report")]) == 0
    (stem,) = (path.with_suffix("") for path in (tmp_path / "report").glob("masking*.md"))
    text = stem.with_name(stem.name + ".md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[2:] == [
        ["Goodfellow", "0", "4", ".800", ".700", ".500", ".500", "3"],
        ["Goodfellow", "1", "4", ".900", ".600", ".600", ".600", "3"],
        ["LWA", "0", "4", "1.000", ".900", ".250", ".600", "2"],
    ]
    assert "20 steps from one start" in text
    assert ", seed by seed" in text
    with open(stem.with_name(stem.name + ".csv"), newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(TOLD) * 3 * len(EPOCHS)
    for line in found:
        column = ("validation", "adv_loss", "pgd").index(line["column"])
        curve = TOLD[line["method"], int(line["seed"])][column]
        assert float(line["accuracy"]) == curve[EPOCHS.index(int(line["epochs"]))]
    drawn = stem.with_name(stem.name + ".svg").read_text()
    assert all(f"{method}, seed {seed}" in drawn for method, seed in TOLD)
    assert "LWA, seed 1" not in drawn
    assert "30 test images, radius 1.5" in " ".join(drawn.split())
