"""The tutorials run with device = "gpu", on a stand-in for CuPy that takes what CuPy takes."""

from pathlib import Path

import lenient_cupy
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from test_tutorials import build, by_source, check

DEVICE = 'device = "cpu"'
FIRST = f"""
import dataclasses, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
sys.modules["ipywidgets"] = None  # a slider's picture is drawn in its cell, not by a widget that would hide its errors
import lenient_cupy, minilwa
stand_in = lenient_cupy.installed()
stand_in.__enter__()

def fewer(*args, load_data=minilwa.load_data, **settings):
    "A quarter of the training images: nothing is learned here but whether it runs."
    data = load_data(*args, **settings)
    return dataclasses.replace(data, x_train=data.x_train[:1000], y_train=data.y_train[:1000])

minilwa.load_data = fewer
"""


def run(cells):
    """The cells executed where the stand-in is CuPy; CellExecutionError if one raises."""
    return build.execute(new_notebook(cells=[new_code_cell(FIRST), *cells]))


@by_source
def test_runs_on_a_gpu_with_open_exercises_and_with_their_solutions(source):
    cells = build.with_solutions(build.read(source)).cells
    (switch,) = [cell for cell in cells if cell.cell_type == "code" and DEVICE in cell.source]
    switch.source = switch.source.replace(DEVICE, 'device = "gpu"')
    assert build.faults_of_checks(run(cells)) == []


PLANTED = {
    "a silent copy": "np.asarray(data.x_test)",
    "a picture of a device array": "plt.imshow(data.x_test[0, 0])",
    "host and device in one operation": "data.x_test - np.zeros((28, 28))",
    "a slider": "slider(lambda image: np.sort(data.x_test[image, 0]) @ np.eye(28), image=(0, 9, 1, 0))",
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_would_fail_on_a_gpu_fails_here(name):
    first = "import matplotlib.pyplot as plt\nimport minilwa\nimport numpy as np\nfrom widgets import slider\n"
    first += 'data = minilwa.load_data(device="gpu")\nprint(float(data.x_test.max()))'
    with pytest.raises(CellExecutionError) as caught:
        run([new_code_cell(first), new_code_cell(PLANTED[name])])
    assert caught.value.ename == "TypeError"
    assert caught.value.evalue.startswith(("Implicit conversion", "Unsupported type"))
    assert f"-\n{PLANTED[name]}\n-" in str(caught.value)  # the cell


def test_answers_may_be_on_the_gpu(capsys):
    with lenient_cupy.installed() as cupy:
        a = cupy.arange(3.0)
        check("an array", a, [0, 1, 2])
        check("a list of numbers", [a[0], a[1], 2], a)
        check("a list of rows", (a, 2 * a), [[0, 1, 2], [0, 2, 4]])
        check("a number", [a[2], a[2]], [2, 3])
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["ok    an array", "ok    a list of numbers", "ok    a list of rows"]
    assert said[3] == "      a number: at [1] true value 3, yours 2 (1 of 2 entries differ)"
