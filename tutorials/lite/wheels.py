"""The wheels that the site carries: minilwa's, and those of others that Pyodide's distribution lacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent.parent
# Pure Python and not in Pyodide's distribution: what minilwa requires, what sliders need, what the kernel starts with.
CARRIED = ("pooch", "ipywidgets", "jupyterlab-widgets", "comm")


def make(folder: Path) -> Path:
    """minilwa's wheel, from a copy of this clone: what an earlier build left in it must not get in."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(CLONE / name, copy)
        shutil.copytree(CLONE / "minilwa", Path(copy) / "minilwa")
        pip("wheel", "--no-deps", "--wheel-dir", str(folder), copy)
    (wheel,) = folder.glob("minilwa-*.whl")
    return wheel


def fetch(folder: Path) -> list[Path]:
    """The other wheels that the site carries, from the package index."""
    pip("download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), *CARRIED)
    return sorted(folder.glob("*.whl"))


def pip(*arguments: str) -> None:
    """Call pip, quietly."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)
