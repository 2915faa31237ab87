"""What must hold before the site is built: everything that is imported can be had in the browser, the wheel is pure."""

from __future__ import annotations

import ast
import email
import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from pyodide_list import Distribution

DIGITS = "minilwa/embedded/mnist5k.npz"
ELSEWHERE = ("minilwa/course/",)  # grading runs where the instructor is, with the extra "course"


def faults(wheel: Path, sources: Iterable[Path], others: Iterable[Path], pyodide: Distribution) -> list[str]:
    """What keeps ``wheel`` and the tutorials in ``sources`` from running in the browser; empty if nothing does.

    ``others`` are the wheels that the site carries beside Pyodide's distribution.
    """
    sources, others = list(sources), list(others)
    own = {"minilwa", *(path.stem for path in sources)}
    carried = own.union(*map(modules_of, others))
    found = [fault for path in (wheel, *others) for fault in impurities(path)]
    with zipfile.ZipFile(wheel) as archive:
        if DIGITS not in archive.namelist():
            found.append(f"{wheel.name} lacks {DIGITS}")
    texts = [*texts_of(wheel), *((path.name, code_of(path)) for path in sources)]
    for name, text in texts:
        lacking = {module for module in imports(text) if module not in carried and not pyodide.importable(module)}
        found += [f"{name} imports {module}, which Pyodide {pyodide.version} lacks" for module in sorted(lacking)]
    versions = pyodide.packages | {str(name): str(version) for name, version, *_ in map(_parsed, others)}
    for path in (wheel, *others):
        found += [f"{path.name} {fault}" for fault in unmet(path, versions)]
    return found


def impurities(wheel: Path) -> list[str]:
    """Why a wheel does not run on every platform; empty if it does."""
    with zipfile.ZipFile(wheel) as archive:
        compiled = [name for name in archive.namelist() if PurePath(name).suffix in {".so", ".pyd", ".dylib", ".dll"}]
    tagged = wheel.name.endswith("-none-any.whl")
    return [f"{wheel.name} holds {name}" for name in compiled] + [f"{wheel.name} is not pure Python"] * (not tagged)


def texts_of(wheel: Path) -> Iterator[tuple[str, str]]:
    """The Python files of a wheel that are for the browser: name and text."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py") and not name.startswith(ELSEWHERE):
                yield name, archive.read(name).decode()


def code_of(source: Path) -> str:
    """The Python in a module or in a notebook's code cells, without IPython's own lines."""
    text = source.read_text(encoding="utf-8")
    if source.suffix != ".ipynb":
        return text
    cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


def imports(text: str) -> set[str]:
    """The top-level modules that Python code imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def modules_of(wheel: Path) -> set[str]:
    """The top-level modules of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {PurePath(name).parts[0].removesuffix(".py") for name in archive.namelist() if name.endswith(".py")}


def unmet(wheel: Path, versions: dict[str, str]) -> list[str]:
    """The requirements of a wheel (without extras, in the browser) that no version at hand meets."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = email.message_from_bytes(archive.read(metadata)).get_all("Requires-Dist", [])
    browser = {"extra": "", "sys_platform": "emscripten", "platform_system": "Emscripten", "os_name": "posix"}
    found = []
    for requirement in map(Requirement, lines):
        if requirement.marker and not requirement.marker.evaluate(browser):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(f"requires {requirement}, the browser has {version or 'none'}")
    return found


def _parsed(wheel: Path) -> tuple:
    return parse_wheel_filename(wheel.name)
