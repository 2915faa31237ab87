"""The tutorials run, their exercises can be failed and solved, and the notebooks are made from the sources."""

import builtins
import importlib.util
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).parent.parent / "tutorials"
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def load(name):
    """A module of the tutorials, under a name that nothing else has."""
    spec = importlib.util.spec_from_file_location(f"tutorials_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build, check, widgets = load("build"), load("check").check, load("widgets")
by_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)

# --- the notebooks ---------------------------------------------------------------------------------------------------


@by_source
def test_runs_with_open_exercises_and_with_their_solutions(source):
    assert build.solve(source) == []


@by_source
def test_is_in_step_with_its_notebook(source):
    assert build.faults_of_pair(source) == []


@by_source
def test_has_what_every_tutorial_has(source):
    cells = build.read(source).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert 3 <= sum(build.STUB in cell for cell in code) <= 5
    assert sum(cell.startswith('device = "cpu"  # "gpu"') for cell in "\n".join(code).splitlines()) == 1
    first = cells[0].source
    assert first.startswith(f"# {int(source.name[:2])}. ")
    for heading in ("**What you learn:**", "**Place in the paper:**", "**You need:**"):
        assert heading in first
    assert "## What to remember" in cells[-1].source


@by_source
def test_links_lead_somewhere(source):
    text = "\n".join(cell.source for cell in build.read(source).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#:]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    assert links
    planned = {f"{name}.ipynb" for name in syllabus()}  # the next one may not be written yet
    assert [link for link in links if link not in planned and not (FOLDER / link).exists()] == []


@by_source
def test_notebook_shows_nothing_of_the_machine_that_built_it(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    for word in ("site-packages", str(FOLDER), str(Path.home()) + "/", "widget-view", "Warning:", '"version"'):
        assert word not in text
    pictures = [
        output
        for cell in nbformat.reads(text, as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 4


def syllabus():
    """The names of the notebooks that the README lists."""
    return re.findall(r"^\| \[.*?\]\((\w+)\.ipynb\)", (FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_syllabus_lists_every_tutorial_in_order():
    assert [name[:2] for name in syllabus()] == [f"{i:02}" for i in range(10)]
    assert {source.stem for source in SOURCES} <= set(syllabus())


# --- check -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yours", "true"),
    [
        (1.23, 1.23),
        (1.23 + 1e-7, 1.23),
        (1e9 + 1, 1e9),
        (np.float32(0.1), 0.1),
        ([1, 2], np.array([1.0, 2.0])),
        (np.inf, np.inf),
        ([np.nan, -np.inf, 1], [np.nan, -np.inf, 1]),
        (True, True),
        (" Length", "length"),
        (np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_right_answers_are_ok(yours, true, capsys):
    assert check("it", yours, true) is None
    assert capsys.readouterr().out == "ok    it\n"


@pytest.mark.parametrize(
    ("yours", "true", "said"),
    [
        (0.0, 1.23, "true value 1.230, yours 0.000"),
        (0, 1250, "true value 1250, yours 0"),
        (-0.0, 0.5, "true value 0.500, yours 0.000"),
        (1.23001, 1.23, "true value 1.23000, yours 1.23001"),
        (1e-9, 2.5e-4, "true value 0.00025, yours 1e-09"),
        (np.nan, 1.5, "true value 1.500, yours nan"),
        (np.inf, -np.inf, "true value -inf, yours inf"),
        (3.0, np.inf, "true value inf, yours 3"),
        ([1, 2.5, 4], [1, 2, 3.5], "at [1] true value 2.000, yours 2.500 (2 of 3 entries differ)"),
        (np.eye(2), np.zeros((2, 2)), "at [0, 0] true value 0, yours 1 (2 of 4 entries differ)"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "true shape (3, 2), yours (2, 3)"),
        (1.0, [1.0, 1.0], "true shape (2,), yours ()"),
        (None, 1.5, "true value 1.500, yours None"),
        (..., [1, 2], "true value of shape (2,), yours a ellipsis"),
        (print, 3, "true value 3, yours a builtin_function_or_method"),
        ("1.5", 1.5, "true value 1.500, yours a str"),
        ([1, [2, 3]], [1, 2], "true value of shape (2,), yours a list"),
        ("alpha", "beta", "true value 'beta', yours 'alpha'"),
        (0, "beta", "true value 'beta', yours 0"),
    ],
)
def test_wrong_answers_are_told_and_raise_nothing(yours, true, said, capsys):
    assert check("it", yours, true) is None
    assert capsys.readouterr().out == f"      it: {said}\n"


def test_tolerance_is_relative_to_the_largest_entry(capsys):
    check("a", [1000.5, 1], [1000, 1], tolerance=1e-3)
    check("b", [1000, 1.5], [1000, 1], tolerance=1e-3)
    check("c", [1002, 1], [1000, 1], tolerance=1e-3)
    check("d", 0.0005, 0, tolerance=1e-3)
    assert [line[:2] for line in capsys.readouterr().out.splitlines()] == ["ok", "ok", "  ", "ok"]


# --- sliders ---------------------------------------------------------------------------------------------------------


def test_without_ipywidgets_the_picture_is_drawn_once(monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    drawn = []

    def look(**values):
        drawn.append(values)

    widgets.slider(look, radius=(0.0, 4.0, 0.5, 1.0), norm=["l1", "l2"])
    assert drawn == [{"radius": 1.0, "norm": "l1"}]
    assert "look(radius=1.0, norm='l1')" in capsys.readouterr().out


def test_a_script_draws_the_picture_once():
    pytest.importorskip("ipywidgets")
    drawn = []
    widgets.slider(lambda **values: drawn.append(values), radius=(0.0, 4.0, 0.5, 1.0))
    assert drawn == [{"radius": 1.0}]


def test_controls_are_of_the_kind_that_their_values_are():
    ipywidgets = pytest.importorskip("ipywidgets")
    kinds = {"Int": (0, 8, 2, 4), "Float": (0, 8, 0.5, 4)}
    for kind, given in kinds.items():
        made = widgets.control(ipywidgets, "how_far", given)
        assert type(made).__name__ == f"{kind}Slider"
        assert (made.min, made.max, made.step, made.value, made.description) == (*given, "how far")
    menu = widgets.control(ipywidgets, "norm", ["l2", "l1"])
    assert (menu.options, menu.value) == (("l2", "l1"), "l2")


# --- the tool --------------------------------------------------------------------------------------------------------

SOLUTION = "<details><summary>Solution</summary>\n\n```python\nanswer = 2\n```\n\n</details>"
EXERCISE = ["answer = 0  # your turn", 'check("it", answer, 2)']


def notebook(*sources):
    """A notebook of these cells: markdown where a source begins with a tag or a heading, else code."""
    made = [new_markdown_cell(s) if s.startswith(("<", "# ")) else new_code_cell(s) for s in sources]
    return new_notebook(cells=made)


def test_solutions_are_tried_behind_the_open_exercise():
    cells = build.with_solutions(notebook(*EXERCISE, SOLUTION, "answer + 1")).cells
    assert [cell.source for cell in cells] == [*EXERCISE, SOLUTION, "answer = 2\n", EXERCISE[1], "answer + 1"]


@pytest.mark.parametrize(
    "sources",
    [
        EXERCISE,
        [*EXERCISE, *EXERCISE, SOLUTION],
        [EXERCISE[0], SOLUTION],
        [SOLUTION],
        [*EXERCISE, "<details>no block</details>"],
    ],
    ids=["no solution", "one solution for two", "no check", "no exercise", "no code"],
)
def test_half_an_exercise_is_refused(sources):
    with pytest.raises(ValueError, match="exercise"):
        build.with_solutions(notebook(*sources))


@pytest.mark.parametrize(
    ("printed", "faults"),
    [
        (("      it: true value 2, yours 0\n", "ok    it\n"), []),
        (("ok    it\n", "ok    it\n"), ["a stub passes"]),
        (("", "ok    it\n"), ["a stub passes"]),
        (("      it: no\n", "      it: no\n"), ["a solution fails"]),
        (("      it: no\n", "ok    it\n      other: no\n"), ["a solution fails"]),
        (("      it: no\nok    other\n", "ok    it\nok    other\n"), []),
        (("      it: no\n", ""), ["a solution fails"]),
    ],
)
def test_what_checks_print_decides(printed, faults):
    made = build.with_solutions(notebook(*EXERCISE, SOLUTION))
    for cell, text in zip(filter(build.is_check, made.cells), printed, strict=True):
        cell.outputs = [new_output("stream", text=text)] if text else []
    assert [fault.split(",")[0].split(":")[0] for fault in build.faults_of_checks(made)] == faults


@pytest.fixture
def pair(tmp_path):
    """A source and its notebook, as build writes it, unexecuted parts filled in by hand."""
    source = tmp_path / "00_small.py"
    source.write_text("# %% [markdown]\n# # Small\n\n# %%\nprint(1)\n")
    made = build.read(source)
    made.cells[1].update(execution_count=1, outputs=[new_output("stream", text="1\n")])
    nbformat.write(made, source.with_suffix(".ipynb"))
    return source


def rewritten(source, change):
    path = source.with_suffix(".ipynb")
    made = nbformat.read(path, as_version=4)
    change(made.cells[1])
    nbformat.write(made, path)
    return build.faults_of_pair(source)


def test_a_pair_in_step(pair):
    assert build.faults_of_pair(pair) == []


def test_a_changed_source_is_noticed(pair):
    pair.write_text(pair.read_text().replace("print(1)", "print(2)"))
    assert build.faults_of_pair(pair) == ["the source has changed since it was built"]


def test_faulty_notebooks_are_noticed(pair):
    error = new_output("error", ename="ValueError", evalue="no", traceback=[])
    assert rewritten(pair, lambda cell: cell.update(outputs=[error])) == ["a cell ended in an error"]
    assert rewritten(pair, lambda cell: cell.update(outputs=[])) == ["a cell was not executed"]
    much = new_output("stream", text="x" * build.LARGEST)
    (fault,) = rewritten(pair, lambda cell: cell.update(outputs=[much]))
    assert fault.endswith(" kB, more than 500")
    pair.with_suffix(".ipynb").unlink()
    assert build.faults_of_pair(pair) == ["not built"]


def test_tidy_notebooks_hold_no_state_of_sliders_and_no_times():
    made = notebook("slider(look)")
    made.metadata = {"widgets": {"state": 1}, "language_info": {"name": "python", "version": "3.11.7"}}
    made.cells[0].metadata = {"execution": {"iopub.status.busy": "2026-01-01"}}
    made.cells[0].outputs = [new_output("display_data", data={build.SLIDER: {"model_id": "7"}, "text/plain": "x"})]
    tidied = build.tidy(made)
    assert tidied.metadata == {**build.KERNEL, "language_info": {"name": "python"}}
    assert tidied.cells[0].metadata == {}
    assert list(tidied.cells[0].outputs[0].data) == ["text/markdown"]


def test_names_choose_tutorials_and_unknown_ones_are_an_error():
    assert [source.stem[:2] for source in build.sources(["01", "tutorials/03_jacobian_rows.py"])] == ["01", "03"]
    assert build.sources() == SOURCES
    with pytest.raises(SystemExit, match="no tutorial is called 'jacobi_rows'"):
        build.sources(["jacobi_rows"])


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        build.main(["--help"])
    assert stop.value.code == 0
    assert "python tutorials/build.py --solutions" in capsys.readouterr().out


def test_check_exits_with_1_where_a_pair_is_out_of_step(pair, monkeypatch, capsys):
    monkeypatch.setattr(build, "FOLDER", pair.parent)
    assert build.main(["--check"]) == 0
    pair.write_text(pair.read_text() + "\n# %%\nprint(3)\n")
    assert build.main(["--check"]) == 1
    assert "00_small: the source has changed" in capsys.readouterr().out
