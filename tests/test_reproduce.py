"""The paper's main result on the embedded digits: the order of Table 1, and the fall of Figure 1.

With 12 epochs, where the command takes 30, to spare the reader's time; seed 0 in both.
"""

import json

import pytest

from minilwa.cli import main

SHORT = ("--epochs", "12")
ATTACKS = ("adv_loss_sign", "adv_loss", "adv_alpha")


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    assert main(["reproduce", *SHORT, "--out", str(folder / "out"), "--json", str(folder / "all.json")]) == 0
    return folder


@pytest.fixture(scope="session")
def rows(results):
    return {row["method"]: row for row in json.loads((results / "out" / "table1.json").read_text())["rows"]}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("robust", ["LWA", "Goodfellow"])
@pytest.mark.parametrize("plain", ["Normal", "Dropout"])
def test_order_of_the_paper(rows, attack, robust, plain):
    assert rows[robust]["intervals"][attack][0] > rows[plain]["intervals"][attack][1]


def test_all_five_methods_in_the_papers_order_with_all_columns(rows):
    assert list(rows) == ["Normal", "Dropout", "Goodfellow", "LWA", "LWA_Rep"]
    for row in rows.values():
        assert row["n"] == 1000
        assert set(row["zero_gradients"]) == set(ATTACKS)
        assert all(0 <= row[column] <= 1 for column in ("validation", "fixed", *ATTACKS))
        assert all(low <= row[column] <= high for column, (low, high) in row["intervals"].items())


def test_every_method_classifies_clean_digits(rows):
    assert all(row["validation"] > 0.9 for row in rows.values())


def test_figure1_falls_as_the_radius_grows(results):
    figure = json.loads((results / "out" / "figure1.json").read_text())
    *adversaries, noise = figure["curves"][:5]
    for curve, clipped in zip(figure["curves"][:5], figure["curves"][5:], strict=True):
        assert (curve["direction"], curve["clip"], clipped["clip"]) == (clipped["direction"], False, True)
        assert curve["accuracy"][0] == clipped["accuracy"][0]
        assert curve["accuracy"][-1] < clipped["accuracy"][-1]  # set back into the range, an image is moved less
    for curve in adversaries:
        assert curve["accuracy"][0] > 0.9
        assert curve["accuracy"][-1] < 0.2
        assert all(b <= a + 0.01 for a, b in zip(curve["accuracy"], curve["accuracy"][1:], strict=False))
        assert all(a < b for a, b in list(zip(curve["accuracy"], noise["accuracy"], strict=True))[2:])
    assert [curve["direction"] for curve in adversaries] == ["adv_loss", "adv_loss_sign", "adv_alpha", "deepfool"]
    assert noise["accuracy"][-1] > 0.5


def test_results_folder_is_complete_and_the_second_call_only_reads_it(results, capsys):
    out = results / "out"
    names = {
        "config.json",
        "networks",
        "table1",
        "table1.json",
        "table1.md",
        "figure1",
        "figure1.json",
        "figure1.png",
        "figure1.svg",
    }
    assert {path.name for path in out.iterdir()} == names
    assert (out / "figure1.png").read_bytes().startswith(b"\x89PNG")
    networks = {path: path.stat().st_mtime_ns for path in (out / "networks").iterdir()}
    assert len(networks) == 7
    before = (out / "table1.json").read_text()
    assert main(["reproduce", "table1", *SHORT, "--out", str(out)]) == 0
    assert (out / "table1.json").read_text() == before
    assert {path: path.stat().st_mtime_ns for path in networks} == networks
    assert "Goodfellow" in capsys.readouterr().out
