"""The browser site's checks: what is imported can be had there, wheels are pure, and what is amiss is found."""

import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("packaging")
LITE = Path(__file__).parent.parent / "tutorials" / "lite"
sys.path.insert(0, str(LITE))

import checks  # noqa: E402
import pyodide_list  # noqa: E402
import wheels  # noqa: E402

PYODIDE = pyodide_list.read()


def make_wheel(folder, files, requires=(), tag="py3-none-any"):
    path = folder / f"own-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        lines = ["Metadata-Version: 2.1", "Name: own", "Version: 1.0", *(f"Requires-Dist: {r}" for r in requires)]
        archive.writestr("own-1.0.dist-info/METADATA", "\n".join(lines) + "\n")
    return path


def test_package_and_tutorials_import_only_what_the_browser_has():
    root = LITE.parent.parent
    carried = {*wheels.CARRIED, "minilwa"} | {path.stem for path in LITE.parent.glob("*.py")}
    sources = sorted([*root.glob("minilwa/**/*.py"), *LITE.parent.glob("[0-9]*.ipynb")])
    sources.remove(root / "minilwa/embedded/make_mnist5k.py")  # a tool, not in the wheel
    sources = [path for path in sources if not path.relative_to(root).as_posix().startswith(checks.ELSEWHERE)]
    assert len(sources) > 30
    needed = set().union(*(checks.imports(checks.code_of(path)) for path in sources))
    assert {"numpy", "scipy", "matplotlib", "tqdm", "threadpoolctl", "pooch"} <= needed
    assert {module for module in needed - carried if not PYODIDE.importable(module)} == set()


def test_the_only_thing_that_our_wheel_lacks_there_is_carried(tmp_path):
    found = checks.faults(wheels.make(tmp_path), [], [], PYODIDE)
    assert len(found) == 2
    assert "imports pooch" in found[0]
    assert "requires pooch" in found[1]
    assert "pooch" in wheels.CARRIED


def test_a_good_wheel_has_no_faults(tmp_path):
    files = {"own/__init__.py": "import numpy, json\nfrom . import other\n", checks.DIGITS: "digits"}
    wheel = make_wheel(tmp_path, files, ["numpy>=2.0", 'pytest; extra == "test"', 'pywin32; sys_platform == "win32"'])
    assert checks.faults(wheel, [], [], PYODIDE) == []


@pytest.mark.parametrize(
    ("files", "requires", "tag", "fault"),
    [
        ({"own/a.py": "def f():\n    import cupy.cuda"}, (), "py3-none-any", "own/a.py imports cupy"),
        ({"own/a.py": "from resource import getrusage"}, (), "py3-none-any", "own/a.py imports resource"),
        ({"own/fast.cpython-311.so": ""}, (), "py3-none-any", "holds own/fast.cpython-311.so"),
        ({}, (), "cp311-cp311-linux_x86_64", "is not pure Python"),
        ({}, ("numpy>=99",), "py3-none-any", "requires numpy>=99, the browser has 2."),
        ({}, ("torch",), "py3-none-any", "requires torch, the browser has none"),
    ],
)
def test_what_is_amiss_is_named(tmp_path, files, requires, tag, fault):
    wheel = make_wheel(tmp_path, {checks.DIGITS: "digits", **files}, requires, tag)
    (found,) = checks.faults(wheel, [], [], PYODIDE)
    assert fault in found


def test_missing_digits_and_a_tutorials_import(tmp_path):
    notebook = tmp_path / "00_own.ipynb"
    notebook.write_text(
        '{"cells": [{"cell_type": "code", "source": ["%pip install x\\n", "import torch"]},'
        ' {"cell_type": "markdown", "source": "import nothing"}]}'
    )
    digits, module = checks.faults(make_wheel(tmp_path, {}), [notebook], [], PYODIDE)
    assert "lacks minilwa/embedded/mnist5k.npz" in digits
    assert module.startswith("00_own.ipynb imports torch")


def test_the_list_is_of_the_pyodide_that_the_kernel_runs():
    constants = pytest.importorskip("jupyterlite_pyodide_kernel.constants", reason='needs pip install -e ".[lite]"')
    assert PYODIDE.version == constants.PYODIDE_VERSION
