"""Execute the tutorials: the sources NN_name.py (py:percent) become the notebooks NN_name.ipynb beside them.

A notebook's exercises follow one pattern: a code cell with the comment "# your turn", a cell of nothing but `check`
calls, and a markdown cell that folds away the solution, a ```python block that could stand in the place of the first.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_output

from minilwa.files import write_text

FOLDER = Path(__file__).resolve().parent
EXAMPLES = """Examples:
  python tutorials/build.py                     execute all, write the notebooks
  python tutorials/build.py 03 norms            those whose names hold "03" or "norms"
  python tutorials/build.py --check             are sources and notebooks in step? (executes nothing, writes nothing)
  python tutorials/build.py --solutions 01      do the folded solutions pass their checks? (writes nothing)
"""
KERNEL = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
SLIDER = "application/vnd.jupyter.widget-view+json"
STUB = "# your turn"
LARGEST = 500_000  # bytes of a notebook
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
Notebook = nbformat.NotebookNode
Tick = Callable[[], object]


def sources(words: list[str] | None = None) -> list[Path]:
    """The sources whose names hold one of ``words``, or all of them."""
    found = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    words = [Path(word).stem for word in words or [""]]
    for word in words:
        if not any(word in path.stem for path in found):
            raise SystemExit(f"no tutorial is called {word!r}; there are {', '.join(path.stem for path in found)}")
    return [path for path in found if any(word in path.stem for word in words)]


def read(source: Path) -> Notebook:
    """A source as a notebook without outputs, its cells numbered."""
    cells = jupytext.read(source, fmt="py:percent").cells
    for number, cell in enumerate(cells):
        cell.id, cell.metadata = f"cell-{number}", {}
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def is_check(cell: Notebook) -> bool:
    """Whether a cell holds check calls."""
    return cell.cell_type == "code" and re.search(r"^check\(", cell.source, re.MULTILINE) is not None


def with_solutions(notebook: Notebook) -> Notebook:
    """The notebook with every solution as a cell where it is told, and its checks once more behind it.

    So one execution shows both that a stub raises nothing and that its solution is right.
    """
    cells, stub, checks = [], None, []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code" and STUB in cell.source:
            if stub is not None:
                raise ValueError(f"an exercise without a solution: {stub.source}")
            stub, checks = cell, []
        elif is_check(cell):
            checks.append(cell)
        elif cell.cell_type == "markdown" and "<details>" in cell.source:
            solution = SOLUTION.search(cell.source)
            if stub is None or not checks or solution is None:
                raise ValueError(f"not an exercise, its checks and a solution in ```python: {cell.source}")
            cells.append(new_code_cell(solution[1], metadata={"solves": stub.source}))
            cells += [new_code_cell(check.source, metadata={"solved": True}) for check in checks]
            stub = None
    if stub is not None:
        raise ValueError(f"an exercise without a solution: {stub.source}")
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def execute(notebook: Notebook, tick: Tick = lambda: None) -> Notebook:
    """The notebook with outputs, executed in this folder; CellExecutionError if a cell raises."""
    client = NotebookClient(
        notebook,
        timeout=120,
        extra_arguments=["--log-level=ERROR"],  # a kernel warns that its sockets are not encrypted: they are local
        resources={"metadata": {"path": str(FOLDER)}},
        on_cell_executed=lambda **_: tick(),
    )
    # nbclient would answer the widgets on the socket where it waits for the cell's end, and can then miss that end
    client.comm_open_handlers = {"jupyter.widget": lambda message: None}
    return client.execute()


def printed(cell: Notebook) -> str:
    """What a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def faults_of_checks(executed: Notebook) -> list[str]:
    """Where a stub passes its check, or a solution does not, in a notebook made by `with_solutions`."""
    faults = []
    for cell in filter(is_check, executed.cells):
        lines = printed(cell).splitlines()
        right = [line.startswith("ok ") for line in lines]
        if cell.metadata.get("solved") and not (right and all(right)):
            faults.append("a solution fails:\n" + printed(cell))
        if not cell.metadata.get("solved") and all(right):
            faults.append("a stub passes, or prints nothing:\n" + cell.source)
    return faults


def tidy(executed: Notebook) -> Notebook:
    """Without what differs from run to run or shows nothing on a page: times, versions, the state of sliders."""
    executed.metadata = {**KERNEL, "language_info": {"name": "python"}}
    for cell in executed.cells:
        cell.metadata = {}
        if any(SLIDER in output.get("data", {}) for output in cell.get("outputs", [])):
            told = {"text/markdown": "*(Run this cell in Jupyter: a slider appears here.)*"}
            cell.outputs = [new_output("display_data", data=told)]
    return executed


def build(source: Path, tick: Tick = lambda: None) -> None:
    """Execute a source and write its notebook."""
    executed = tidy(execute(read(source), tick))
    nbformat.validate(executed)
    write_text(source.with_suffix(".ipynb"), nbformat.writes(executed) + "\n")


def faults_of_pair(source: Path) -> list[str]:
    """What is wrong with the notebook beside a source, without executing either."""
    path = source.with_suffix(".ipynb")
    if not path.exists():
        return ["not built"]
    faults = []
    cells, built = read(source).cells, nbformat.read(path, as_version=4).cells
    if [(c.cell_type, c.source) for c in cells] != [(c.cell_type, c.source) for c in built]:
        faults.append("the source has changed since it was built")
    code = [cell for cell in built if cell.cell_type == "code"]
    if not code or any(cell.execution_count is None for cell in code) or not any(cell.outputs for cell in code):
        faults.append("a cell was not executed")
    if any(output.output_type == "error" for cell in code for output in cell.outputs):
        faults.append("a cell ended in an error")
    if (size := path.stat().st_size) > LARGEST:
        faults.append(f"{size / 1000:.0f} kB, more than {LARGEST // 1000}")
    return faults


def solve(source: Path, tick: Tick = lambda: None) -> list[str]:
    """Execute a source with its solutions; what is wrong with them."""
    return faults_of_checks(execute(with_solutions(read(source)), tick))


def main(arguments: list[str] | None = None) -> int:
    """The command line; the exit code is 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="part of a tutorial's name (all unless given)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only compare sources and notebooks")
    what.add_argument("--solutions", action="store_true", help="execute with the solutions, write nothing")
    options = parser.parse_args(arguments)
    chosen = sources(options.names)
    if options.check:
        faults = {source.stem: faults_of_pair(source) for source in chosen}
    else:
        faults = executed_faults(chosen, options.solutions)
    for name, found in faults.items():
        for fault in found:
            print(f"{name}: {fault}")
    if not any(faults.values()):
        print(f"{len(chosen)} tutorials: ok")
        return 0
    return 1


def executed_faults(chosen: list[Path], solutions: bool) -> dict[str, list[str]]:
    """Build or solve each source, with a progress bar over all cells; what went wrong, by name."""
    from tqdm import tqdm

    prepare = with_solutions if solutions else lambda notebook: notebook
    total = sum(cell.cell_type == "code" for path in chosen for cell in prepare(read(path)).cells)
    faults: dict[str, list[str]] = {}
    with tqdm(total=total, unit="cell") as bar:
        for source in chosen:
            bar.set_description(source.stem)
            try:
                faults[source.stem] = (solve if solutions else build)(source, bar.update) or []
            except CellExecutionError as error:
                faults[source.stem] = [re.sub(r"\x1b\[[0-9;]*m", "", str(error))]  # without colours
    return faults


if __name__ == "__main__":
    sys.exit(main())
