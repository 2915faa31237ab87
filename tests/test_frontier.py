"""The frontier: as long a training for each change, worst case image by image, and what is reported of both."""

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minilwa.attacks import ATTACKS, pgd, square
from minilwa.attacks.worst import distances, score_at, worst_case
from minilwa.cli import main, parser
from minilwa.commands import folder_name
from minilwa.data import load
from minilwa.evaluation import predict
from minilwa.experiments import frontier
from minilwa.experiments.protocols import PROTOCOLS
from minilwa.experiments.runs import Setting, Source
from minilwa.methods import METHODS
from minilwa.networks import mlp
from minilwa.report.figures import OTHERS
from minilwa.report.numbers import signed
from minilwa.report.rows import frontier as rows_of
from minilwa.training import Recipe, train

FEW = {
    "fmn": replace(ATTACKS["fmn"], run=partial(ATTACKS["fmn"].run, steps=10)),
    "pgd": replace(ATTACKS["pgd"], run=partial(pgd, steps=5, restarts=2)),
    "square": replace(ATTACKS["square"], run=partial(square, queries=20)),
}
NAMES = ("LWA-half", "LWA", "LWA-mixture", "LWA-start", "PGD-short", "PGD")


def write_images(path):
    """120 images 16x16 of three patterns under noise, bytes."""
    rng = np.random.default_rng(7)
    y = np.arange(120) % 3
    x = (rng.integers(0, 128, (3, 16, 16))[y] + rng.integers(0, 128, (120, 16, 16))).astype(np.uint8)
    np.savez(path, x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])


def reproduced(folder, experiment, options, module, **planted):
    """``folder`` with what an experiment and a report leave there, names of its module ``planted`` meanwhile."""
    write_images(folder / "own.npz")
    words = ["--data", str(folder / "own.npz"), "--epochs", "4", "--batch", "30", *options]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in planted.items():
            patch.setattr(module, name, value)
        assert main(["reproduce", experiment, *words, "--json", f"{experiment}.json"]) == 0
        assert main(["report", "--json", "summary.json"]) == 0
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with results/ of some variants and two seeds under weak attacks, and report/ with summary.json."""
    variants = {name: frontier.VARIANTS[name] for name in NAMES}
    options = ["--protocol", "paper", "--seeds", "2"]
    folder = tmp_path_factory.mktemp("frontier")
    return reproduced(folder, "frontier", options, frontier, ATTACKED_BY=FEW, VARIANTS=variants)


@pytest.fixture(scope="module")
def records(made):
    return json.loads((made / "frontier.json").read_text())["rows"]


@pytest.fixture(scope="module")
def entry(made):
    return json.loads((made / "summary.json").read_text())["experiments"]["frontier/paper/own.npz"]


def test_every_variant_differs_from_lwa_in_what_it_says_and_trains_as_long():
    setting = Setting(Source("mnist5k"), Path("nowhere"), "paper")
    lwa = frontier.plan_of(setting, "LWA", 0)
    assert (lwa.recipe.epochs, lwa.method.radius, lwa.method.form) == (25, 1.7, "stable")
    for name, variant in frontier.VARIANTS.items():
        plan = frontier.plan_of(setting, name, 0)
        same = replace(plan.recipe, epochs=lwa.recipe.epochs)
        assert (plan.widths, plan.scale, same) == ((500, 500), 0.07, lwa.recipe)
        passes = plan.recipe.epochs * variant.cost
        assert abs(passes - variant.time * 50) <= variant.cost / 2 + 1e-9
        if variant.row == "LWA":
            changed = {k for k, v in vars(plan.method).items() if v != vars(lwa.method)[k]}
            assert changed == {k for k, v in variant.settings.items() if v != vars(lwa.method)[k]}
            assert changed or variant.curve == "LWA"
        if not variant.curve:
            assert (variant.time, len(changed - {"stride"})) == (1, 1)
    assert frontier.REFERENCE in frontier.VARIANTS
    assert len({variant.curve for variant in frontier.VARIANTS.values()} - {""}) <= 1 + len(OTHERS)  # drawn, all


def test_the_user_sets_the_length_of_all():
    setting = Setting(Source("mnist5k"), Path("nowhere"), "paper", recipe={"epochs": 10})
    lengths = {name: frontier.plan_of(setting, name, 0).recipe.epochs for name in frontier.VARIANTS}
    assert (lengths["LWA"], lengths["LWA-half"], lengths["LWA-2steps"]) == (10, 5, 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(setting.recipe, "epochs", 1)
        assert frontier.plan_of(setting, "LWA-half", 0).recipe.epochs == 1


def test_radii_are_the_variants_own_whatever_a_search_chose():
    chosen = {("mlp", "LWA"): {"rate": 0.03, "radius": 2.2}}
    plan = frontier.plan_of(Setting(Source("mnist5k"), Path("nowhere"), "equal", chosen=chosen), "LWA", 0)
    assert (plan.recipe.rate, plan.method.radius) == (0.03, 1.7)
    assert PROTOCOLS["equal"].recipe.epochs == plan.recipe.epochs


def test_units_of_the_first_seed_come_first():
    units = frontier.units(Setting(Source("mnist5k"), Path("nowhere"), "paper", seeds=(0, 1)))
    half = len(units) // 2
    assert {unit.plan.recipe.seed for unit in units[:half]} == {0}
    assert [unit.plan.variant for unit in units[:half]] == [*frontier.VARIANTS, *frontier.VARIANTS]
    assert len({unit.record(Setting(Source("mnist5k"), Path("nowhere"))) for unit in units}) == len(units)


@pytest.fixture(scope="module")
def trained():
    data = load("mnist5k")
    network = mlp(784, 50, 10, input_shape=(1, 28, 28))
    network = train(network, data.x_train[:1000], data.y_train[:1000], METHODS["LWA"], Recipe(epochs=6))
    return network, data.x_test[:60], data.y_test[:60]


def test_attacks_on_survivors_alone_leave_the_worst_case(trained):
    network, x, y = trained
    left = frontier.survivors(network, x, y, 1.5, FEW)
    found = [distances(attack, network, x, y, [1.5] if attack.at_radius else ()) for attack in FEW.values()]
    worst = score_at(worst_case(found), 1.5).accuracy
    left = {name: len(rest) / len(x) for name, rest in left.items()}
    assert list(left) == ["fmn", "pgd", "square"]
    assert left["fmn"] == score_at(found[0], 1.5).accuracy
    assert list(left.values()) == sorted(left.values(), reverse=True)
    assert 0 < worst < score_at(found[0], 0).accuracy
    assert abs(left["square"] - worst) <= 2 / len(x)  # what is drawn depends on the batch


def test_nothing_is_left_of_a_network_that_is_always_wrong(trained):
    network, x, _ = trained
    wrong = (predict(network, x) + 1) % 10
    assert not any(len(rest) for rest in frontier.survivors(network, x, wrong, 1.5, FEW).values())


def test_records_hold_time_and_accuracies(records):
    attacked, timed = ([r for r in records if key in r] for key in ("worst", "share"))
    for of in (attacked, timed):
        assert [(r["variant"], r["seed"]) for r in of] == [(name, seed) for seed in (0, 1) for name in NAMES]
    assert len(records) == len(attacked) + len(timed)
    for r in timed:
        assert r["seconds"] == pytest.approx(r["plan"]["recipe"]["epochs"] * 3 * r["step_seconds"])
        assert r["step_seconds"] > 0
        assert (r["share"] == 1) == (r["variant"] == "PGD")
    for r in attacked:
        assert r["passes"] == r["epochs"] * 3 * frontier.VARIANTS[r["variant"]].cost
        assert r["worst"] == r["left"]["square"] <= r["left"]["fmn"] <= r["clean"]
        assert r["worst"] <= r["adv_loss"] <= r["clean"]
        assert len(r["standing"]) == len(set(r["standing"])) == round(r["worst"] * r["n"])
        assert r["n"] == 30


def test_rows_are_means_over_seeds_beside_pgd(entry, records):
    assert [row["variant"] for row in entry["rows"]] == list(NAMES)
    of = {(r["variant"], r["seed"]): r for r in records if "worst" in r}
    times = {(r["variant"], r["seed"]): r for r in records if "share" in r}
    for row in entry["rows"]:
        both = [of[row["variant"], seed] for seed in (0, 1)]
        for column in ("clean", "adv_loss", "worst"):
            assert row[column]["values"] == [r[column] for r in both]
        for column in ("seconds", "share"):
            assert row[column]["values"] == [times[row["variant"], seed][column] for seed in (0, 1)]
        if row["variant"] == "LWA":
            assert row["gain"] is None
        else:
            assert row["gain"]["values"] == pytest.approx([r["worst"] - of["LWA", r["seed"]]["worst"] for r in both])
        if row["variant"] == "PGD":
            assert row["lead"] is None
        else:
            assert row["lead"]["values"] == pytest.approx([r["worst"] - of["PGD", r["seed"]]["worst"] for r in both])
    assert entry["rows"][-1]["share"]["mean"] == 1


def test_what_is_not_timed_yet_is_left_out(records):
    rows = rows_of([r for r in records if r["variant"] != "PGD" or "share" not in r])
    assert [row["variant"] for row in rows] == list(NAMES[:-1])
    assert all(row["lead"] is None for row in rows)
    rows = rows_of([r for r in records if r["seed"] == 0 or "share" not in r])
    assert [(row["variant"], row["seeds"]) for row in rows] == [(name, 1) for name in NAMES]


def test_time_is_told_beside_that_of_pgd_training_in_the_same_run(monkeypatch):
    """A machine that is half as fast for one unit as for another takes as long for both of its trainings."""
    setting = Setting(Source("mnist5k"), Path("nowhere"), "quick", recipe={"epochs": 2})
    cost = {"LWA": 2.0, "PGD": 10.0}
    monkeypatch.setattr(frontier, "trained", frontier.untrained)
    found = []
    for speed in (1.0, 0.5):
        seconds = {name: cost[name] / speed for name in cost}
        monkeypatch.setattr(frontier, "step_seconds", lambda s, plan, network, of=seconds: np.full(3, of[plan.variant]))
        found.append(frontier.timed(setting, frontier.plan_of(setting, "LWA", 0)))
    one, other = found
    epochs = frontier.plan_of(setting, "PGD", 0).recipe.epochs
    assert one["share"] == other["share"] == pytest.approx(2 * 2 / (10 * epochs))
    assert other["seconds"] == 2 * one["seconds"] == 2 * 2 * 40 * 2.0  # 2 epochs of 40 batches


def test_files_of_the_report(made, entry):
    stem = made / "report" / "frontier-paper-own.npz"
    lines = [line for line in stem.with_name(stem.name + ".md").read_text().splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(NAMES)
    assert lines[0].split("|")[1].strip() == "Method"
    gains = [[signed(row[over]) if row[over] else "" for over in ("gain", "lead")] for row in entry["rows"]]
    assert [[cell.strip() for cell in line.split("|")[-3:-1]] for line in lines[2:]] == gains
    assert gains[0][0].endswith("]")
    assert gains[1][0] == gains[-1][1] == ""
    with open(stem.with_name(stem.name + ".csv"), newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(NAMES) * 6
    for line in found:
        row = next(row for row in entry["rows"] if row["variant"] == line["variant"])
        key = line["column"]
        expected = row["left"][key[8:]] if key.startswith("left by ") else row[key]
        assert float(line["mean"]) == expected["mean"]
    svg = stem.with_name(stem.name + ".svg").read_text()
    assert "<svg" in svg
    page = (made / "report" / "index.html").read_text()
    assert "adv_loss and adv_alpha, stable" in page
    assert "adv_loss, stable, 10 steps of 0.25, random start" in page
    assert (made / "results/own-paper-frontier/frontier.png").read_bytes().startswith(b"\x89PNG")


def test_pgd_is_searched_for_too(made, capsys):
    """Under the protocol "equal" the rates of LWA and of PGD are chosen on the validation part."""
    words = ["--data", str(made / "own.npz"), "--protocol", "equal", "--epochs", "1", "--batch", "30"]
    grid = {"mlp": {"LWA": {"rate": (0.01,)}, "PGD": {"rate": (0.01, 1e9)}}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontier, "ATTACKED_BY", {"fmn": FEW["fmn"]})
        patch.setattr(frontier, "VARIANTS", {name: frontier.VARIANTS[name] for name in ("LWA", "PGD")})
        patch.setattr("minilwa.experiments.search.GRIDS", grid)
        assert main(["reproduce", "frontier", *words, "--out", str(made / "equal")]) == 0
    rates = {
        p.stem: json.loads(p.read_text())["plan"]["recipe"]["rate"]
        for p in (made / "equal/frontier").glob("*seed0.json")
    }
    assert rates == {"LWA-seed0": 0.01, "PGD-seed0": 0.01}
    assert "as in the paper" in capsys.readouterr().out


def test_the_folder_of_an_earlier_version_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = parser().parse_args(["reproduce", "frontier", "--data", "mnist", "--seeds", "3"])
    assert folder_name(options) == "mnist-quick-frontier"
    (tmp_path / "results/mnist-quick/frontier").mkdir(parents=True)
    assert folder_name(options) == "mnist-quick"
