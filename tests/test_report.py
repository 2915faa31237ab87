"""The report: what its numbers are, its files, and that the page needs no other."""

import csv
import json
import re
import shutil
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest

from minilwa.attacks import pgd, single_step
from minilwa.cli import main
from minilwa.data import centre, crops, random_places
from minilwa.directions import adv_alpha, adv_loss
from minilwa.evaluation import beyond_guessing
from minilwa.experiments import judge, search, tables, variants
from minilwa.experiments.protocols import PROTOCOLS
from minilwa.experiments.runs import Setting, Source, trained
from minilwa.report.elements import anchor
from minilwa.report.entries import collect
from minilwa.report.entries import command as made_by
from minilwa.report.intervals import band, statistics
from minilwa.report.page import made_with
from minilwa.saving import load

ROWS = ["Normal", "Dropout", "Goodfellow", "LWA", "LWA_Rep"]
COLUMNS = ("validation", "fixed", "adv_loss_sign", "adv_loss", "adv_alpha")


def write_images(path):
    """120 images 16x16 of three patterns under noise, bytes."""
    rng = np.random.default_rng(7)
    y = np.arange(120) % 3
    x = (rng.integers(0, 128, (3, 16, 16))[y] + rng.integers(0, 128, (120, 16, 16))).astype(np.uint8)
    np.savez(path, x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with results/ of all experiments under two protocols and few attacks, and report/ with summary.json."""
    folder = tmp_path_factory.mktemp("report")
    write_images(folder / "own.npz")
    common = ["--data", str(folder / "own.npz"), "--epochs", "2", "--batch", "30"]
    parts = judge.parts("lenet", "paper")
    few = {name: parts[name] for name in ("adv_loss", "deepfool", "deepfool-clipped", "fmn_linf")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(judge, "parts", lambda network, protocol: few)
        patch.setattr(variants, "TRIED", TRIED)
        for what in ("all", "judge-table2", "variants-table1", "variants-table2"):
            assert main(["reproduce", what, *common, "--protocol", "paper", "--seeds", "2"]) == 0
        patch.setattr("minilwa.experiments.search.GRIDS", SMALL_GRIDS)
        assert main(["reproduce", "table1", *common, "--protocol", "equal", "--seeds", "2", "--split", "paper"]) == 0
        assert main(["report", "--json", "summary.json"]) == 0
    return folder


TRIED = {
    "table1": {"LWA": ({"epochs": 3}, {"widths": (20,)}), "Normal": (), "Dropout": (variants.LAST,)},
    "table2": {"LWA": ({"radius": 1.7},), "Normal": (), "Dropout": ()},
}
SMALL_GRIDS = {"mlp": {row: {"rate": (0.01, 1e9)} for row in ROWS} | {"LWA": {"rate": (0.01,), "radius": (0.5, 2.0)}}}


@pytest.fixture(scope="module")
def experiments(made):
    return json.loads((made / "summary.json").read_text())["experiments"]


def records(made, experiment, method, protocol="paper"):
    return [json.loads(p.read_text()) for p in sorted(made.glob(f"results/own-{protocol}/{experiment}/{method}-seed*"))]


def test_every_experiment_is_there(experiments):
    names = ["table1", "table2", "figure1", "figure2", "factorial", "judge-table2"]
    names += ["variants-table1", "variants-table2"]
    assert set(experiments) == {f"{name}/paper/own.npz" for name in names} | {"table1/equal/own.npz"}


@pytest.mark.parametrize("table", ["table1", "table2"])
def test_rows_of_a_table_are_means_over_seeds(table, made, experiments):
    rows = experiments[f"{table}/paper/own.npz"]["rows"]
    assert [row["method"] for row in rows] == ROWS
    for row in rows:
        found = records(made, table, row["method"])
        assert (row["seeds"], row["n"], len(found)) == (2, 30, 2)
        for column in COLUMNS:
            values = [record[column] for record in found]
            assert row[column]["values"] == values
            assert row[column]["mean"] == pytest.approx(mean(values))
            assert row[column]["std"] == pytest.approx(stdev(values))
            assert row[column]["wilson"][0] <= row[column]["mean"] <= row[column]["wilson"][1]
    assert rows[3]["paper"]["adv_loss"] == (0.860 if table == "table1" else 0.9533)
    assert rows[3]["notebooks"]["adv_alpha"] == (0.862 if table == "table1" else 0.9627)


def test_t_interval_against_a_known_one():
    found = statistics([0.8, 0.9, 1.0])
    assert found["std"] == pytest.approx(0.1)
    half = 4.302653 * 0.1 / 3**0.5  # the 97.5% point of t with 2 degrees of freedom
    assert found["interval"] == pytest.approx([0.9 - half, 0.9 + half], abs=1e-6)
    assert statistics([0.5], 100) == {
        "mean": 0.5,
        "std": None,
        "interval": None,
        "values": [0.5],
        "wilson": pytest.approx([0.4038315, 0.5961685]),
    }
    assert band([[0.5, 0.5]], 100)["low"] == pytest.approx([0.4038315] * 2)
    wide = band([[0.99, 0.5], [0.1, 0.5]], 100)  # accuracies end at 0 and 1
    assert (wide["low"], wide["high"]) == ([0, 0.5], [1, 0.5])


def test_csv_says_the_same_as_the_json(made, experiments):
    for key, entry in experiments.items():
        with open(made / "report" / f"{key.replace('/', '-')}.csv", newline="") as file:
            lines = list(csv.DictReader(file))
        assert all(None not in line.values() and None not in line for line in lines)
        if key.startswith("table"):
            assert len(lines) == len(ROWS) * len(COLUMNS)
            for line in lines:
                row = next(row for row in entry["rows"] if row["method"] == line["method"])
                assert float(line["mean"]) == row[line["column"]]["mean"]
                assert float(line["std"]) == row[line["column"]]["std"]
        if key.startswith("judge"):
            of_lwa = [line for line in lines if (line["method"], line["attack"]) == ("LWA", "worst, curve")]
            curve = next(row for row in entry["rows"] if row["method"] == "LWA")["worst"]["curve"]
            assert [float(line["mean"]) for line in of_lwa] == curve["mean"]


def test_files_of_every_experiment(made, experiments):
    found = {path.name for path in (made / "report").iterdir()}
    stems = {key.replace("/", "-") for key in experiments}
    ends = (".md", ".csv", ".png", ".svg")
    assert found == {stem + end for stem in stems for end in ends} | {"index.html", "verdicts.md"}
    for stem in stems:
        assert (made / "report" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (made / "report" / f"{stem}.svg").read_text()
        lines = [line for line in (made / "report" / f"{stem}.md").read_text().splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1


class Page(HTMLParser):
    """What a page refers to, and whether its elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.references, self.ids, self.open = [], set(), []

    def handle_starttag(self, tag, attrs):
        self.references += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        self.ids |= {value for name, value in attrs if name == "id"}
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_in_itself(made, experiments):
    text = (made / "report" / "index.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    inside = {reference[1:] for reference in page.references if reference.startswith("#")}
    assert inside == page.ids
    images = [reference for reference in page.references if not reference.startswith("#")]
    assert len(images) == len(experiments)
    assert all(reference.startswith("data:image/png;base64,") for reference in images)
    assert not re.search(r"url\(|@import|<script|<link", text)
    assert "minilwa reproduce table1 --data own.npz --protocol paper --epochs 2 --batch 30 --seeds 2" in text


def test_search_chooses_by_the_validation_part_and_is_recorded(made, experiments):
    tried = [json.loads(p.read_text()) for p in made.glob("results/own-paper-split-equal/search/mlp/LWA-rate*.json")]
    assert sorted(record["changes"]["radius"] for record in tried) == [0.5, 2.0]
    best = max(tried, key=lambda record: record["score"])
    entry = experiments["table1/equal/own.npz"]
    assert entry["plans"]["LWA"]["method"]["radius"] == best["changes"]["radius"]
    assert entry["images"] == [75, 30]
    assert {plan["recipe"]["rate"] for plan in entry["plans"].values()} == {0.01}  # 1e9 overflows: score 0
    assert all(record["clean"] * 15 == round(record["clean"] * 15) for record in tried)  # 15 of 90 validate


def test_candidates_are_scored_under_the_attack_of_the_protocol(made, tmp_path):
    source = Source(str(made / "own.npz"), split="search")
    left = []
    for protocol, attack in (
        ("equal", partial(single_step, along=adv_loss)),
        ("equal-pgd", partial(pgd, steps=20, restarts=1)),
    ):
        setting = Setting(source, tmp_path, protocol, recipe={"epochs": 3, "batch": 5})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "GRIDS", {"mlp": {"LWA": {"rate": (0.01,), "radius": (0.5,)}}})
            (unit,) = search.candidates(setting, "mlp", "LWA")
            found = search.score(setting, unit.plan)
        network, (x, y) = trained(setting, unit.plan), setting.test_images(unit.plan)
        left.append(float((network(attack(network, x, y, 1.5)).argmax(axis=1) == y).mean()))
        assert (found["attacked"], found["score"]) == (left[-1], (found["clean"] + left[-1]) / 2)
        assert found["changes"] == {"rate": 0.01, "radius": 0.5}
    assert left[1] < left[0]


def test_each_protocol_trains_what_its_own_search_selects(tmp_path):
    write_images(tmp_path / "own.npz")

    def planted(setting, plan):
        under_pgd = PROTOCOLS[setting.protocol].selected_under == "pgd"
        changes = {"rate": plan.recipe.rate} | ({"radius": plan.method.radius} if plan.method.radius else {})
        return {"changes": changes, "score": float((plan.method.radius == 0.5) == under_pgd)}

    chosen = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr(search, "GRIDS", SMALL_GRIDS)
        patch.setattr(search, "score", planted)
        for protocol in ("equal", "equal-pgd"):
            words = ["--data", "own.npz", "--epochs", "1", "--batch", "30", "--protocol", protocol]
            assert main(["reproduce", "table1", *words]) == 0
            (record,) = (tmp_path / "results").glob(f"own-{protocol}/table1/LWA-seed0.json")
            chosen[protocol] = json.loads(record.read_text())["plan"]["method"]["radius"]
    assert chosen == {"equal": 2.0, "equal-pgd": 0.5}


def test_learning_curves_end_where_the_table_does(made, experiments):
    table = {row["method"]: row for row in experiments["table2/paper/own.npz"]["rows"]}
    for row in experiments["figure2/paper/own.npz"]["rows"]:
        assert row["epochs"] == [1, 2]
        for column in ("validation", "adv_loss", "adv_alpha", "adv_loss_sign"):
            assert row["curves"][column]["mean"][-1] == pytest.approx(table[row["method"]][column]["mean"])


def test_networks_without_snapshots_are_told(made, tmp_path, capsys):
    shutil.copytree(
        made / "results/own-paper", tmp_path / "out", ignore=shutil.ignore_patterns("figure2*", "*epoch1.npz")
    )
    common = ["--data", str(made / "own.npz"), "--epochs", "2", "--batch", "30", "--protocol", "paper", "--seeds", "2"]
    assert main(["reproduce", "figure2", *common, "--out", str(tmp_path / "out")]) == 2
    assert re.search(
        r"without its snapshot .*epoch1\.npz, .* Delete .*lenet-\S+\.npz to train", capsys.readouterr().err
    )


def test_factorial_has_all_cells_and_their_differences(made, experiments):
    table = {row["method"]: row for row in experiments["table1/paper/own.npz"]["rows"]}
    rows = experiments["factorial/paper/own.npz"]["rows"]
    assert [row["epochs"] for row in rows] == [1, 2, 4]
    for row in rows:
        cells = {(c["form"], c["precision"], c["direction"]): c["accuracy"]["mean"] for c in row["cells"]}
        assert len(cells) == 8
        for gain in row["gains"]:
            of = gain["form"], gain["precision"]
            assert gain["mean"] == pytest.approx(cells[(*of, "adv_loss")] - cells[(*of, "adv_alpha")])
        if row["epochs"] == 2:  # the networks of Table 1, trained alike
            assert cells["printed", "float32", "adv_loss"] == pytest.approx(table["Normal"]["adv_loss"]["mean"])


def test_variants_change_one_setting_of_a_row(made, experiments):
    entry = experiments["variants-table1/paper/own.npz"]
    rows = {row["variant"]: row for row in entry["rows"]}
    changed = ["LWA-epochs3", "LWA-widths20"]
    dropped = ["Dropout", "Dropout-droppedlast", "Dropout-droppedlast-masks", "Dropout-masks"]
    assert list(rows) == ["Normal", *dropped, "LWA", *changed]
    usual = {row["method"]: row for row in experiments["table1/paper/own.npz"]["rows"]}
    for name in ("Normal", "Dropout", "LWA"):
        assert {key: value for key, value in rows[name].items() if key != "variant"} == usual[name]
    plans = entry["plans"]
    assert [plans[name]["recipe"]["epochs"] for name in ("Normal", "LWA", *changed)] == [2, 2, 3, 2]
    assert [plans[name]["widths"] for name in changed] == [[500, 500], [20]]
    assert [plans[name]["dropped"] for name in dropped[:2]] == ["all", "last"]
    assert {plans[name]["method"]["radius"] for name in ("LWA", *changed)} == {1.7}
    text = (made / "report" / "variants-table1-paper-own.npz.md").read_text()
    assert text.count("(paper)") == text.count("(notebooks)") == 3  # beneath the rows as they are


def test_variants_of_a_lenet_stand_beside_its_table(made, experiments):
    entry = experiments["variants-table2/paper/own.npz"]
    rows = {row["variant"]: row for row in entry["rows"]}
    assert list(rows) == ["Normal", "Dropout", "Dropout-masks", "LWA", "LWA-radius1.7"]
    usual = {row["method"]: row for row in experiments["table2/paper/own.npz"]["rows"]}
    for name in ("Normal", "Dropout", "LWA"):
        assert {key: value for key, value in rows[name].items() if key != "variant"} == usual[name]
    assert {plan["network"] for plan in entry["plans"].values()} == {"lenet"}
    assert [entry["plans"][name]["method"]["radius"] for name in ("LWA", "LWA-radius1.7")] == [1.2, 1.7]


def test_the_same_results_give_the_same_files(made, tmp_path):
    for out in ("once", "again"):
        assert main(["report", "--results", str(made / "results"), "--out", str(tmp_path / out)]) == 0
    for path in (tmp_path / "once").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_attacks_with_dropout_on_are_told_apart(made, experiments):
    rows = {row["variant"]: row for row in experiments["variants-table1/paper/own.npz"]["rows"]}
    for name in ("Dropout", "Dropout-droppedlast"):
        plain, masked = rows[name], rows[f"{name}-masks"]
        for column in ("validation", "fixed"):  # no gradients of this network
            assert masked[column] == plain[column]
        assert masked["method"] == "Dropout"
    (kept,) = made.glob("results/own-paper/networks/mlp-Dropout-droppedlast-seed0.npz")
    network = load(kept)
    assert [layer.name for layer in network.layers].count("dropout") == 1
    x = np.random.default_rng(0).uniform(size=(5, 1, 16, 16)).astype("float32")
    y = np.zeros(5, int)
    seen = variants.in_training(network, np.random.default_rng(0))
    np.testing.assert_array_equal(network(x), network(x))
    assert (seen(x) != seen(x)).any()
    for along in (adv_loss, adv_alpha):
        assert (along(seen, x, y, form="printed") != along(network, x, y, form="printed")).any()
    plan = PROTOCOLS["paper"].plan("mlp", "Dropout", seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "row", lambda setting, plan, seen: {"seen": seen})
        along = variants.under_masks(None, plan)["seen"](adv_loss)
    assert (along(network, x, y) != adv_loss(network, x, y)).any()


def test_judgement_is_the_worst_case_image_by_image(made, experiments):
    for row in experiments["judge-table2/paper/own.npz"]["rows"]:
        assert set(row["attacks"]) == {"adv_loss", "deepfool", "deepfool-clipped", "fmn_linf", "transfer"}
        assert row["worst"]["attacks"] == ["adv_loss", "deepfool", "deepfool-clipped"]
        assert row["worst_clipped"]["attacks"] == ["deepfool-clipped"]
        values = []
        for seed in (0, 1):
            left = {}
            for attack in row["worst"]["attacks"]:
                path = made / "results/own-paper/judge-table2" / f"{row['method']}-seed{seed}-{attack}.json"
                left[attack] = json.loads(path.read_text())["distances"]
            right = [all(d is None or d > 1.5 for d in of_one) for of_one in zip(*left.values(), strict=True)]
            values.append(sum(right) / len(right))
        assert row["worst"]["accuracy"]["values"] == pytest.approx(values)
        clean = row["validation"]["values"]
        learned = [accuracy for accuracy in clean if beyond_guessing(accuracy, row["classes"])] or clean
        assert row["worst"]["curve"]["mean"][0] == pytest.approx(np.mean(learned))
        assert row["worst"]["accuracy"]["mean"] <= row["attacks"]["adv_loss"]["accuracy"]["1.5"]["mean"]


def test_verdicts_come_first_and_are_in_the_json(made):
    verdicts = json.loads((made / "summary.json").read_text())["verdicts"]
    assert [verdict["claim"] for verdict in verdicts] == list("abcdefgh")
    text = (made / "report" / "index.html").read_text(encoding="utf-8")
    assert text.index('id="claim-a"') < text.index('id="claim-h"') < text.index('id="table1-paper-own.npz"')
    keys = {finding["key"] for verdict in verdicts for finding in verdict["findings"]} - {None}
    assert "judge-table2/paper/own.npz" in keys
    assert all(verdict["substitute"] for verdict in verdicts if verdict["verdict"] not in {"not decided", "not tested"})
    markdown = (made / "report" / "verdicts.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)]+)\)", markdown))
    assert linked
    assert all((made / "report" / name).is_file() for name in linked)


def test_keys_tell_runs_apart(made, tmp_path):
    def run(name, **changed):
        (tmp_path / name / "table1").mkdir(parents=True)
        config = json.loads((made / "results/own-paper/config.json").read_text()) | changed
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        shutil.copy(made / "results/own-paper/table1/LWA-seed0.json", tmp_path / name / "table1")

    run("a", data="mnist", split="paper")
    assert list(collect(tmp_path)) == ["table1/paper"]
    run("b", data="mnist", split="full")
    assert {key: e["split"] for key, e in collect(tmp_path).items()} == {
        "table1/paper": "full",
        "table1/paper/paper-split": "paper",
    }
    run("c", data="mnist", split="full")
    run("d", data="cifar10 decoded from JPEG", split="full")
    assert set(collect(tmp_path)) == {
        "table1/paper",
        "table1/paper/paper-split",
        "table1/paper/c",
        "table1/paper/cifar10 decoded from JPEG",
    }


def test_report_of_nothing_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 2
    assert capsys.readouterr().err.startswith("minilwa: error: results: got results, which is no folder")
    Path("results").mkdir()
    assert main(["report"]) == 2
    assert "without a finished run" in capsys.readouterr().err
    Path("results/config.json").write_text("{}")
    Path("results/table1").mkdir()
    Path("results/table1/LWA-seed0.json").write_text("[]")
    assert main(["report"]) == 2
    assert "LWA-seed0.json (no object)" in capsys.readouterr().err
    Path("results/table1/LWA-seed0.json").write_text("{}")
    assert main(["report"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_crops():
    x = np.arange(2 * 3 * 5 * 6, dtype=np.float32).reshape(2, 3, 5, 6)
    assert centre(x, 0) is x
    assert np.array_equal(centre(x, 3), x[:, :, 1:4, 1:4])
    windows = {
        turned.tobytes(): mirrored
        for i in range(3)
        for j in range(4)
        for mirrored in (False, True)
        for turned in [x[0, :, i : i + 3, j : j + 3][:, :, :: -1 if mirrored else 1]]
    }
    seen = set()
    rng = np.random.default_rng(0)
    for _ in range(400):
        seen.add(crops(x, random_places(x, 3, rng), 3)[0].tobytes())
    assert seen == set(windows)


def test_names_of_files_are_no_markup():
    name = 'x"onmouseover="alert(1) <b>.npz'
    assert anchor(f"table1/quick/{name}") == "table1-quick-x-onmouseover--alert-1---b-.npz"
    config = {"data": name, "split": "full", "protocol": "quick", "recipe": {}}
    assert f"--data '{name}' --protocol quick --seeds 1" in made_by("table1", config, [0])


def test_the_page_tells_what_made_the_records(made):
    page = (made / "report/index.html").read_text()
    (told,) = set(re.findall(r"Records: \d+ with (.*?)\.</p>", page))
    for name in ("python", "minilwa", "numpy", "scipy", "blas"):
        assert f"{name} " in told
    about = [{"records": 2, "versions": {}}, {"records": 1, "versions": {"numpy": "2"}}]
    assert made_with(about) == "2 with versions that they do not tell; 1 with numpy 2"


def test_images_outside_the_box_have_a_figure_without_clipping(tmp_path, monkeypatch):
    write_images(tmp_path / "bytes.npz")
    with np.load(tmp_path / "bytes.npz") as arrays:
        centred = {name: a / 128 - 1 if name.startswith("x") else a for name, a in arrays.items()}
    np.savez(tmp_path / "own.npz", **centred)
    monkeypatch.chdir(tmp_path)
    common = ["--data", "own.npz", "--epochs", "1", "--batch", "30", "--json", "found.json", "--out", "out"]
    assert main(["reproduce", "figure1", *common]) == 0
    assert {curve["clip"] for curve in json.loads(Path("found.json").read_text())["curves"]} == {False}
    assert main(["reproduce", "judge-table1", *common]) == 2
