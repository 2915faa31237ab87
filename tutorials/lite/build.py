"""Build the tutorials as a JupyterLite site: static files that any host can serve; Python runs in the reader's browser.

NumPy, SciPy and matplotlib come from Pyodide's distribution at run time; the site carries the wheels that it lacks.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checks
import pyodide_list
import wheels

TUTORIALS = Path(__file__).resolve().parent.parent
EXAMPLES = """Examples:
  python tutorials/lite/build.py                     build it in dist/lite
  python tutorials/lite/build.py --out site --serve  and look at it, on http://127.0.0.1:8000
  python tutorials/lite/build.py --pyodide FOLDER    carry Pyodide too, from an unpacked release of it
"""
EXTENSIONS = Path(sys.prefix) / "share/jupyter/labextensions"
KERNEL = EXTENSIONS / "@jupyterlite/pyodide-kernel-extension"
SLIDERS = EXTENSIONS / "@jupyter-widgets/jupyterlab-manager"
KERNELS_OWN = KERNEL / "static/pypi/widgetsnbextension-4.0.999-py3-none-any.whl"  # a stand-in that sliders ask for
INSTALL = (
    "# In the browser only: puts minilwa and the sliders into this page's Python (it takes a while, once).\n"
    "%pip install -q minilwa ipywidgets"
)
APPS = ("lab", "notebooks", "tree", "repl", "edit", "consoles")


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("dist/lite"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--pyodide", type=Path, metavar="FOLDER", help="a Pyodide release for the site to carry")
    parser.add_argument("--serve", nargs="?", type=int, const=8000, metavar="PORT", help="serve it afterwards")
    options = parser.parse_args(arguments)
    build(options.out, options.pyodide)
    print(f"The site is in {options.out}: copy the folder to any static host. A link to one tutorial ends with")
    print("  /notebooks/index.html?path=00_ten_minutes.ipynb    (or /lab/index.html?path=...)")
    if options.serve is not None:
        serve(options.out, options.serve)


def build(out: Path, pyodide: Path | None = None) -> None:
    """Check everything, then build the site in ``out``; SystemExit, with the reasons, if it could not work."""
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    listed = pyodide_list.read()
    if listed.version != PYODIDE_VERSION:
        raise SystemExit(
            f"{pyodide_list.LIST.name} lists Pyodide {listed.version}, the installed kernel runs {PYODIDE_VERSION}: "
            f"pip install -e .[lite], or make the list anew ({Path(pyodide_list.__file__).name})"
        )
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder)
        wheel = wheels.make(temporary / "wheel")
        others = wheels.fetch(temporary / "others")
        sources = tutorials()
        if found := checks.faults(wheel, sources, [*others, KERNELS_OWN], listed):
            raise SystemExit("This would not run in the browser:\n  " + "\n  ".join(found))
        contents = prepare(sources, temporary / "contents")
        lite = temporary / "lite"
        lite.mkdir()
        if pyodide is not None:
            shutil.copytree(pyodide, lite / "static" / "pyodide")
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--no-sourcemaps", "--no-unused-shared-packages"]
        command += [f"--lite-dir={lite}", f"--output-dir={out.resolve()}", f"--contents={contents}"]
        command += [f"--piplite-wheels={path}" for path in (wheel, *others)]
        command += [f"--apps={app}" for app in APPS]
        command += ["--ignore-sys-prefix"]  # other extensions that happen to be installed would not work there
        command += [f"--LiteBuildConfig.federated_extensions={path}" for path in (KERNEL, SLIDERS)]
        subprocess.run(command, check=True, cwd=temporary)


def tutorials() -> list[Path]:
    """The notebooks, in their order, and the modules beside them that they import."""
    notebooks = sorted(TUTORIALS.glob("[0-9][0-9]_*.ipynb"))
    used = set().union(*(checks.imports(checks.code_of(path)) for path in notebooks))
    return notebooks + [path for path in sorted(TUTORIALS.glob("*.py")) if path.stem in used]


def prepare(sources: list[Path], folder: Path) -> Path:
    """Copy the tutorials, each notebook with a first cell that installs minilwa."""
    folder.mkdir()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        if source.suffix == ".ipynb":
            notebook = json.loads(text)
            first = {"cell_type": "code", "execution_count": None, "id": "install", "metadata": {}, "outputs": []}
            notebook["cells"].insert(0, first | {"source": INSTALL})
            notebook["metadata"]["kernelspec"] = {"display_name": "Python (Pyodide)", "name": "python"}
            text = json.dumps(notebook, indent=1)
        (folder / source.name).write_text(text, encoding="utf-8")
    if (syllabus := TUTORIALS / "README.md").exists():
        shutil.copy(syllabus, folder)
    return folder


def serve(folder: Path, port: int) -> None:
    """Serve ``folder`` on this machine until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{port} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
