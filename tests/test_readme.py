"""The README's examples run as they stand; the command line's examples parse; importing stays light."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minilwa import cli

README = Path(__file__).parent.parent / "README.md"


def test_python_examples_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 7
    names = {}
    for block in blocks:
        exec(block, names)
    assert names["T"].shape == (20, 10, 1, 28, 28)
    assert abs(names["T"].sum(axis=1)).max() < 1e-4
    assert names["J"].shape == (20, 2, 1, 28, 28)
    assert names["r"].r.shape == names["x"].shape
    assert 0 <= names["score"].accuracy <= 1
    assert (names["found"].nearest == names["minilwa"].algorithm_1(names["network"], names["x"])[0]).all()
    assert [g.shape for g in (names["gradient_x"], names["gradient_w"])] == [(5, 3, 3), (5, 3, 2)]
    assert (names["again"](names["x"]) == names["own"](names["x"])).all()


def test_files_that_the_readme_links_to_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert len(links) > 10
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_help_of_every_command_shows_an_example(capsys):
    for command in ("reproduce", "train", "attack", "evaluate", "data"):
        with pytest.raises(SystemExit) as stop:
            cli.main([command, "--help"])
        assert stop.value.code == 0
        assert f"minilwa {command}" in capsys.readouterr().out.split("Examples:")[1]


def test_import_loads_nothing_heavy():
    heavy = {"matplotlib", "scipy", "pooch", "tqdm", "requests", "argparse", "cupy"}
    code = "import sys, numpy; before = set(sys.modules); import minilwa; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "minilwa.algorithms" in loaded
    assert {name.partition(".")[0] for name in loaded} & heavy == set()
