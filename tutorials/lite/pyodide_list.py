"""What Pyodide's distribution holds: read from a list that is kept here, or made anew from its lock file.

usage: python tutorials/lite/pyodide_list.py VERSION LOCK    (LOCK: pyodide-lock.json of the npm package pyodide)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_name("pyodide.json")
SOURCE = "pyodide-lock.json in the npm package pyodide"
# What CPython's standard library has and Pyodide's has not (importlib.util.find_spec finds nothing).
ABSENT = "curses dbm ensurepip grp idlelib msvcrt nt pwd readline resource syslog tkinter turtle turtledemo venv winreg"


class Distribution(NamedTuple):
    """Pyodide's version, its packages as name -> version, and which package a module is imported from."""

    version: str
    packages: dict[str, str]
    modules: dict[str, str]

    def importable(self, module: str) -> bool:
        """Whether the standard library in Pyodide, or a package of the distribution, has a top-level module."""
        return (module in sys.stdlib_module_names and module not in ABSENT.split()) or module in self.modules


def read() -> Distribution:
    """The list that is kept here."""
    kept = json.loads(LIST.read_text(encoding="utf-8"))
    modules = {module: name for name, (_, *modules) in kept["packages"].items() for module in modules}
    return Distribution(kept["version"], {name: version for name, (version, *_) in kept["packages"].items()}, modules)


def write(version: str, lock: Path) -> None:
    """Make the list anew: a line for each package, with its version and its modules."""
    found = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    lines = [
        f"  {json.dumps(name)}: {json.dumps([package['version'], *package['imports']])}"
        for name, package in sorted(found.items())
        if package["package_type"] == "package"
    ]
    head = f'{{\n"version": {json.dumps(version)},\n"source": {json.dumps(f"{SOURCE}@{version}")},\n"packages": {{\n'
    LIST.write_text(head + ",\n".join(lines) + "\n}\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
