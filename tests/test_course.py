"""The coursework's graders, tested as software: full marks, none, and what each wrong submission loses.

Most submissions run as `minilwa course grade` runs them; some in real kernels under nbgrader itself.
"""

import csv
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from course_plants import BACKWARD, MASKING, MASTER_OF, MASTERS, NORMS, PLANTS, as_handed_in, assignment_of, planted

from minilwa import cli
from minilwa.course import checks, numeric_rows, numeric_vjp, wire
from minilwa.course.cells import Cell, read_notebook, without_hidden, without_solution
from minilwa.course.grading import given_names, judge
from minilwa.course.sandbox import Limits, Sandbox

ROOT = MASTERS.parents[1]
reference = cache(assignment_of)


@pytest.fixture(scope="module")
def judged():
    """The judgement of every plant, two at a time: an endless loop mostly waits."""
    for name in MASTER_OF:
        given_names(reference(name))
    with ThreadPoolExecutor(2) as pool:
        found = {}
        for plant in PLANTS:
            assignment = reference(plant.assignment)
            found[plant.what] = pool.submit(judge, assignment, planted(plant, assignment), Limits(plant.seconds))
        yield found
        pool.shutdown(cancel_futures=True)


# --- what is lost ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("name", MASTER_OF)
def test_the_reference_scores_full_marks(name, seed):
    assignment = assignment_of(name, seed)
    judgement = judge(assignment, as_handed_in(assignment))
    assert (judgement.lost, judgement.status, judgement.notes) == (set(), "ok", ())
    assert sum(assignment.questions.values()) == 20


@pytest.mark.parametrize("name", MASTER_OF)
def test_an_empty_submission_scores_zero(name):
    assignment = reference(name)
    cells = [replace(cell, source=without_solution(cell.source)) for cell in as_handed_in(assignment)]
    judgement = judge(assignment, cells)
    assert judgement.lost == {test.id for test in assignment.tests}
    assert judgement.status == "ok"


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.what.replace(" ", "_"))
def test_a_wrong_submission_loses_exactly_its_points(plant, judged):
    judgement = judged[plant.what].result()
    assert judgement.lost == plant.lost, {test: judgement.failures[test] for test in judgement.lost}
    assert judgement.status == plant.status, judgement.notes


def test_without_metadata_the_functions_are_graded_and_the_changes_told():
    assignment = reference(NORMS)
    judgement = judge(assignment, [Cell("code", cell.source) for cell in as_handed_in(assignment) if not cell.grade])
    assert judgement.lost == set()
    assert judgement.status == "tampered"


def test_changed_points_do_not_count():
    assignment = reference(NORMS)
    cells = [replace(cell, points=100.0 * cell.points) for cell in as_handed_in(assignment)]
    judgement = judge(assignment, cells)
    assert (judgement.lost, judgement.status) == (set(), "tampered")
    assert sum(judgement.assignment.questions.values()) == 20


def test_last_years_notebook_is_told_from_this_years():
    judgement = judge(assignment_of(NORMS, seed=1), as_handed_in(assignment_of(NORMS, seed=2)))
    assert judgement.status == "error"
    assert "--seed 2" in judgement.failures["q1_l1"]


# --- what is told ----------------------------------------------------------------------------------------------------


def test_a_visible_failure_tells_all_and_a_hidden_one_a_hint():
    assignment = reference(BACKWARD)
    cells = {
        "q1": "def add_vjp(g, a, b):\n    return g, 2 * g",
        "q6": "def row_max_vjp(g, a):\n    return g[..., None] * (a == a.max(axis=-1, keepdims=True))",
    }
    handed_in = [replace(cell, source=cells.get(cell.id, cell.source)) for cell in as_handed_in(assignment)]
    failures = judge(assignment, handed_in).failures
    assert failures["q1_values"].startswith(
        "add_vjp[1]: true value 3, yours 6 at (1, 1)\n  input 1: array([[ 1. , -2. ]"
    )
    assert failures["q6_ties"] == "row_max_vjp: equal maxima share the cotangent"


def test_an_odd_answer_is_a_failure_not_a_crash_of_the_grader():
    assignment = reference(MASKING)
    cells = {"q1": "def printed_gradient(p, x, y):\n    return [[0.0] * 784] * len(x)\n"}
    handed_in = [replace(cell, source=cells.get(cell.id, cell.source)) for cell in as_handed_in(assignment)]
    failures = judge(assignment, handed_in).failures
    assert failures["q1_gradient"].startswith("the answer could not be used")
    assert failures["q1_count"] == "count_zeros: not defined"


def test_an_exception_of_an_answer_does_not_tell_what_a_hidden_test_put_in():
    assignment = reference(BACKWARD)
    text = "def leaky_relu_vjp(g, a):\n    from minilwa.course.checks import CheckFailed\n"
    text += "    if len(a) > 2:\n        raise %s(repr(a))\n    return g * np.where(a > 0, 1.0, SLOPE)"
    for kind, told in {"ValueError": "ValueError", "CheckFailed": "an exception"}.items():
        cells = [replace(c, source=text % kind) if c.id == "q4" else c for c in as_handed_in(assignment)]
        failures = judge(assignment, cells).failures
        assert failures["q4_zero"] == f"leaky_relu_vjp: which slope does the text give to a = 0? ({told} was raised)"


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        (np.zeros(2), np.zeros(3), "f: true shape (3,), yours (2,)"),
        (0.0, 1.23, "f: true value 1.23, yours 0"),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "f: true value 2, yours nan at (1,)"),
        ([1.0], [1.0, 2.0], "f: expected 2 values, yours [1.0]"),
        ({"a": 1.0}, {"a": 1.5}, "f['a']: true value 1.5, yours 1"),
        ("a", "b", "f: true value 'b', yours 'a'"),
        (None, 1.0, "f: expected an array or a number, yours None"),
        (np.array([np.inf, np.nan]), np.array([np.inf, np.nan]), ""),
        (np.float32(1) / 3, 1 / 3, ""),
    ],
)
def test_differences_are_told(found, wanted, told):
    assert checks.difference_of(found, wanted, "f", 1e-6) == told


def test_central_differences_of_rows_and_vjps_agree():
    x, g = np.random.default_rng(0).normal(size=(2, 3, 4))
    rows = numeric_rows(np.sin, x)
    np.testing.assert_allclose(np.einsum("nk,nkd->nd", g, rows), numeric_vjp(np.sin, g, x)[0], atol=1e-8)
    np.testing.assert_allclose(numeric_rows(np.sin, x, [3, 1]), rows[..., [3, 1]], atol=1e-8)
    np.testing.assert_allclose(rows, np.cos(x)[..., None] * np.eye(4), atol=1e-8)


def test_jupyter_shows_the_message_and_the_answers_own_lines():
    def answer():
        raise KeyError("mine")

    with pytest.raises(checks.CheckFailed) as failed:
        checks.expect(answer, (), 1.0)
    shown = "".join(failed.value._render_traceback_())
    assert shown.startswith("CheckFailed: answer raised KeyError: 'mine'")
    assert "in answer\n" in shown
    assert "checks.py" not in shown


# --- the fence -------------------------------------------------------------------------------------------------------


def asked(source, *arguments, **limits):
    with Sandbox([Cell("code", source, "cell")], Limits(**limits)) as sandbox:
        return sandbox.call("f", *arguments), sandbox


def test_a_submission_has_an_empty_home_and_a_clean_environment(monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    source = (
        "import os\ndef f():\n    return [os.getcwd(), os.environ['HOME'], os.environ.get('SECRET'), os.listdir('.')]"
    )
    (folder, home, secret, files), _ = asked(source)
    assert os.path.realpath(home) == os.path.realpath(folder)
    assert (secret, files) == (None, [])
    assert not Path(folder).exists()


def test_a_submission_may_write_where_it_runs_and_nowhere_else(tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    inside = "import os\ndef f():\n    open('a', 'w').write('1'); os.remove('a'); return np.load\nimport numpy as np\n"
    _, sandbox = asked(inside.replace("return np.load", "return 1"))
    assert sandbox.whys == set()
    acts = ["open(path, 'w')", "open(path)", "os.remove(path)", "os.rename(path, 'b')", "os.system('true')"]
    acts += ["threading.Thread(target=print).start()", "os.kill(os.getppid(), 0)", "os.symlink(path, 'b')"]
    for act in acts:
        source = f"import os, threading\npath = {str(kept)!r}\ndef f():\n    {act}\n"
        with Sandbox([Cell("code", source, "cell")], Limits()) as sandbox:
            with pytest.raises(checks.CheckFailed, match="reached for what it may not"):
                sandbox.call("f")
            assert sandbox.whys == {"tampered"}
    assert kept.read_text() == "kept"


def test_what_a_cell_defined_while_it_reached_out_does_not_count():
    source = "def f():\n    return 1\ntry:\n    open('/etc/passwd')\nexcept OSError:\n    pass"
    with pytest.raises(checks.CheckFailed, match="f: not defined"):
        asked(source)


def test_pictures_and_magics_are_no_obstacle():
    source = "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('a.png')\n!ls\n"
    found, sandbox = asked(source + "def f(x):\n    return x + 1", np.ones(2))
    assert (found.tolist(), sandbox.notes) == ([2.0, 2.0], {})


def test_functions_go_out_and_are_called_here():
    seen = []
    found, _ = asked("def f(g, x):\n    return [g(x), g(2 * x)]", lambda x: seen.append(x) or x + 1, np.ones(1))
    assert [float(x[0]) for x in found] == [2.0, 3.0]
    assert [float(x[0]) for x in seen] == [1.0, 2.0]


def test_nothing_runs_after_an_abort():
    with Sandbox([Cell("code", "def f():\n    return 1", "cell")], Limits()) as sandbox:
        assert sandbox.call("f") == 1
        sandbox.abort()
        with pytest.raises(checks.CheckFailed):
            sandbox.call("f")
        assert sandbox.process is None


def test_values_survive_the_wire():
    value = {"a": np.arange(6.0).reshape(2, 3), "b": [1, None, "text", np.float32(0.1)], "c": np.array([], dtype=bool)}
    stream = io.BytesIO()
    wire.send(stream, value)
    stream.seek(0)
    found = wire.receive(stream)
    assert found["a"].tolist() == value["a"].tolist()
    assert found["b"][:3] == [1, None, "text"]
    assert (found["b"][3].dtype, found["c"].dtype, found["c"].shape) == (np.float32, bool, (0,))
    found["a"][0] = 1  # an array of one's own


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"{",
        b'{"a": {"__array__": "AAAA", "dtype": "O", "shape": [1]}}',
        b'{"a": {"__array__": "AAAA", "dtype": "<f8", "shape": [1]}}',
        b'{"a": {"__array__": "AAAA"}}',
        b'{"a": {"__function__": 0}}',
        b"[" * 100_000,
    ],
)
def test_what_is_malformed_is_refused(body):
    with pytest.raises(ValueError, match=r".+"):
        wire.receive(io.BytesIO(struct.pack(">Q", len(body)) + body))


def test_minilwas_own_is_found_out_in_a_students_kernel_too():
    import minilwa
    from minilwa.norms import dual_length

    routes = {
        "directly": lambda v: dual_length(v, "l1"),
        "as an attribute": lambda v: getattr(minilwa.propositions, "dual_" + "length")(v, "l1"),
        "in a map": lambda v: next(map(dual_length, [v])),
        "for checking only": lambda v: numeric_vjp(np.sin, v, v)[0],
        "rows for checking only": lambda v: numeric_rows(np.sin, v[None]),
    }
    for route, function in routes.items():
        with pytest.raises(checks.CheckFailed, match="write it yourself"):
            checks.call(function, np.ones(3))
        assert sys.getprofile() is None, route
    for given, wanted in ((dual_length, 2.0), (lambda v: numeric_rows(np.square, v[None])[0], 2 * np.eye(4))):
        found = checks.call(lambda v, given: given(v), np.ones(4), given)  # what a test hands over may
        np.testing.assert_allclose(found, wanted, atol=1e-8)
    assert len(checks.call(lambda: minilwa.load_data().y_test)) == 1000


# --- release ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A release with its source, both at seed 3."""
    pytest.importorskip("nbgrader")
    folder = tmp_path_factory.mktemp("course")
    run("release", folder / "release", "--source", folder / "source", "--seed", 3)
    return folder


def run(*arguments):
    assert cli.main(["course", *map(str, arguments)]) == 0


def notebook(folder, part, name):
    return folder / part / name / f"{name}.ipynb"


@pytest.mark.parametrize("name", MASTER_OF)
def test_a_release_holds_neither_solutions_nor_hidden_tests(released, name):
    text = notebook(released, "release", name).read_text(encoding="utf-8")
    assert "HIDDEN" not in text
    assert "SOLUTION" not in text
    master = assignment_of(name, seed=3)
    cells = {cell.id: cell for cell in read_notebook(notebook(released, "release", name)) if cell.id}
    managed = [cell for cell in master.cells if cell.id]
    assert len(cells) == len(managed) > 10
    for cell in managed:
        stripped = without_solution(without_hidden(cell.source)).strip()
        assert cells[cell.id] == replace(cell, source=stripped), cell.id
    assert sum("raise NotImplementedError()" in cell.source for cell in cells.values()) >= len(master.questions)
    imports = re.findall(r"^\s*(?:import|from) (\w+)", "\n".join(cell.source for cell in cells.values()), re.MULTILINE)
    assert set(imports) <= {"numpy", "matplotlib", "minilwa"}


@pytest.mark.parametrize("name", MASTER_OF)
def test_the_masters_read_as_jupytext_reads_them(released, name):
    ours = [(cell.kind, cell.source, cell.id) for cell in assignment_of(name, seed=3).cells]
    theirs = [(cell.kind, cell.source, cell.id) for cell in read_notebook(notebook(released, "source", name))]
    assert ours == theirs


def test_the_numbers_follow_the_seed(released):
    text = notebook(released, "release", BACKWARD).read_text(encoding="utf-8")
    assert text.count("SEED = 3") == 1
    slopes = {given_names(assignment_of(BACKWARD, seed))["SLOPE"] for seed in range(5)}
    assert len(slopes) == 5
    assert not np.allclose(given_names(reference(NORMS))["V"], given_names(assignment_of(NORMS, 3))["V"])


def test_a_release_is_the_same_every_time(released, tmp_path):
    run("release", tmp_path, "--seed", 3)
    for name in MASTER_OF:
        again = tmp_path / name / f"{name}.ipynb"
        assert again.read_bytes() == notebook(released, "release", name).read_bytes()


def test_a_seed_that_the_reference_fails_at_is_refused(tmp_path, capsys):
    pytest.importorskip("nbgrader")
    text = MASTER_OF[NORMS].read_text(encoding="utf-8").replace("return np.sign(v)\n", "return -np.sign(v)\n")
    (tmp_path / "2_norms.py").write_text(text, encoding="utf-8")
    arguments = ["course", "release", str(tmp_path / "out"), "--masters", str(tmp_path)]
    assert cli.main(arguments) == 2
    assert "the reference solution of 2_norms fails q2_linf" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- grade -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def submissions(released, tmp_path):
    """Four students: one right, one empty, one right in part, one who handed in no notebook."""
    folder = tmp_path / "submitted"
    right = notebook(released, "source", NORMS)
    content = json.loads(right.read_text(encoding="utf-8"))
    put(folder / "right" / NORMS / f"{NORMS}.ipynb", right.read_text(encoding="utf-8"))
    put(folder / "empty" / f"{NORMS}.ipynb", notebook(released, "release", NORMS).read_text(encoding="utf-8"))
    put(folder / "empty" / f"{BACKWARD}.ipynb", notebook(released, "release", BACKWARD).read_text(encoding="utf-8"))
    put(folder / "broken" / f"{NORMS}.ipynb", "{")
    for cell in content["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "q4":
            cell["source"] = "".join(cell["source"]).replace(">= delta", "<= delta")
    put(folder / "part" / NORMS / f"{NORMS}.ipynb", json.dumps(content))
    put(folder / "part" / ".ipynb_checkpoints" / f"{NORMS}.ipynb", "{")
    return folder


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_grades_go_to_a_csv_file_with_feedback(submissions, tmp_path, capsys):
    run("grade", submissions, "--csv", tmp_path / "out" / "grades.csv", "--seed", 3)
    with open(tmp_path / "out" / "grades.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    told = [[row[key] for key in ("student", "assignment", "q1", "q4", "q5", "total", "max", "status")] for row in rows]
    assert told == [
        ["broken", NORMS, "0", "0", "", "0", "20", "error"],
        ["empty", BACKWARD, "0", "0", "0", "0", "20", "ok"],
        ["empty", NORMS, "0", "0", "", "0", "20", "ok"],
        ["part", NORMS, "3", "0", "", "18", "20", "ok"],
        ["right", NORMS, "3", "2", "", "20", "20", "ok"],
    ]
    page = (tmp_path / "out" / "grades-feedback" / "part" / f"{NORMS}.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {NORMS}, part: 18 of 20\n")
    assert "| q4 | 0 | 2 |" in page
    assert "q4_values (1 point):\n\n    feasible: true value " in page
    assert "feasible: each sample has its own J" in page
    assert "right                2_norms           20 of 20  ok" in capsys.readouterr().out


def test_ctrl_c_leaves_what_is_graded(submissions, tmp_path, monkeypatch, capsys):
    from minilwa.course import commands

    seen = []

    def judge_file(assignment, path, *others):
        seen.append(path)
        if len(seen) > 1:
            raise KeyboardInterrupt
        return judge(assignment, commands.read_submission(path))

    monkeypatch.setattr(commands, "judge_file", judge_file)
    file = tmp_path / "grades.csv"
    (submissions / "broken" / f"{NORMS}.ipynb").unlink()
    arguments = ["course", "grade", str(submissions), "--csv", str(file), "--seed", "3", "--jobs", "1"]
    assert cli.main(arguments) == 130
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2
    assert "the same command starts anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["release", "out", "--masters", "nowhere"], "no assignments in nowhere"),
        (["grade", "nowhere", "--csv", "g.csv"], "submissions: got nowhere, expected a folder"),
        (["grade", ".", "--csv", "g.csv"], "NAME one of 1_backward.ipynb"),
        (["grade", ".", "--csv", "g.csv", "--jobs", "0"], "--jobs 0"),
        (["grade", ".", "--csv", "."], "output: got ., which is no ordinary file"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, told, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nbgrader")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["course", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_two_notebooks_of_one_student_are_refused(tmp_path, capsys):
    pytest.importorskip("nbgrader")
    for folder in ("a", "b"):
        put(tmp_path / "student" / folder / f"{NORMS}.ipynb", "{}")
    assert cli.main(["course", "grade", str(tmp_path), "--csv", str(tmp_path / "g.csv")]) == 2
    assert "one notebook a student and assignment" in capsys.readouterr().err


def test_without_nbgrader_the_commands_say_what_to_install(tmp_path, monkeypatch, capsys):
    from minilwa.course import commands

    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    assert cli.main(["course", "release", str(tmp_path / "out")]) == 2
    assert 'pip install "minilwa[course]"' in capsys.readouterr().err


@pytest.mark.parametrize("command", ["", "release", "grade"])
def test_help_shows_examples(command, capsys):
    with pytest.raises(SystemExit):
        cli.main(["course", *filter(None, [command]), "--help"])
    assert f"minilwa course {command}" in capsys.readouterr().out.split("Examples:")[1]


# --- nbgrader itself, and pytest without it --------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASTER_OF)
def test_the_reference_scores_full_marks_in_a_kernel(released, name):
    nbformat = pytest.importorskip("nbformat")
    from nbgrader.preprocessors import Execute
    from nbgrader.utils import determine_grade, is_grade

    content = nbformat.read(notebook(released, "source", name), as_version=4)
    content, _ = Execute(timeout=60).preprocess(content, {"metadata": {"path": str(released)}})
    scores = [determine_grade(cell) for cell in content.cells if is_grade(cell)]
    assert scores == [(most, most) for _, most in scores]
    assert sum(score for score, _ in scores) == 20


def test_nbgrader_itself_grades_as_we_do(released, tmp_path):
    """A course under nbgrader, from our source: its release is ours, and its scores are ours."""
    pytest.importorskip("nbgrader")
    plants = [plant for plant in PLANTS if plant.what in {"minilwa's own Proposition 2.1", "inequality (1) as printed"}]
    content = json.loads(notebook(released, "release", NORMS).read_text(encoding="utf-8"))
    assignment = assignment_of(NORMS, seed=3)
    sources = {}
    for plant in plants:
        changed = {cell.id: cell.source for cell in planted(plant, assignment)}
        for cell in (*plant.edits, *plant.cells):
            sources[cell] = changed[cell]
    sources["q1"] = next(cell.source for cell in assignment.cells if cell.id == "q1")
    for cell in content["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = sources.get(name, cell["source"])
        if name in {"q2_l1", "q1_l1"}:
            cell["source"] = "pass  # changed; nbgrader puts it back"
    put(tmp_path / "submitted" / "student" / NORMS / f"{NORMS}.ipynb", json.dumps(content))
    shutil.copytree(released / "source" / NORMS, tmp_path / "source" / NORMS)
    put(tmp_path / "nbgrader_config.py", "c = get_config()\nc.CourseDirectory.course_id = 'lwa'\n")
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in (["generate_assignment", NORMS], ["autograde", NORMS], ["export"]):
        arguments = [sys.executable, "-m", "nbgrader", *command]
        done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    made = json.loads((tmp_path / "release" / NORMS / f"{NORMS}.ipynb").read_text(encoding="utf-8"))
    ours = json.loads(notebook(released, "release", NORMS).read_text(encoding="utf-8"))
    assert made["cells"] == ours["cells"]
    with open(tmp_path / "grades.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    judgement = judge(assignment, read_notebook(tmp_path / "submitted" / "student" / NORMS / f"{NORMS}.ipynb"))
    assert judgement.status == "tampered"
    lost = sum(test.points for test in assignment.tests if test.id in judgement.lost)
    assert lost == 4 + 11 + 2  # nothing for question 2, minilwa's own in 3, the misprint in 4
    assert float(row["score"]) == 20 - lost


def test_the_same_checks_run_under_pytest_without_nbgrader(submissions):
    code = (
        "import sys, pytest; sys.modules |= dict.fromkeys(['nbgrader', 'jupytext', 'nbformat', 'nbclient']);"
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = ["-n", "0", "-p", "no:cacheprovider", "-rA", "--submissions", str(submissions), "--seed", "3"]
    arguments = [sys.executable, "-c", code, str(MASTERS), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    lines = re.findall(r"^(PASSED|FAILED|ERROR) \S+\[(\S+)\]", done.stdout, re.MULTILINE)
    told = {test: outcome for outcome, test in lines}
    assert {told[f"right-{NORMS}-{test}"] for test in ("q1_l1", "q3_batch", "q4_batch")} == {"PASSED"}
    part = [told[f"part-{NORMS}-{test}"] for test in ("q3_batch", "q4_values", "q4_batch")]
    assert part == ["PASSED", "FAILED", "FAILED"]
    assert {told[f"empty-{BACKWARD}-{test.id}"] for test in reference(BACKWARD).tests} == {"FAILED"}
    assert told[f"broken-{NORMS}-q1_l1"] == "FAILED"
