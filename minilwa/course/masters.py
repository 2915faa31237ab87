"""Where the assignments are: in a clone, never in the installed package."""

from __future__ import annotations

from pathlib import Path

from minilwa.course.cells import Assignment, read_master
from minilwa.errors import InputError

HOME = Path("tutorials") / "coursework"
PATTERN = "[0-9]_*.py"


def masters_in(folder: Path | None) -> list[Path]:
    """The masters in ``folder``; unless given, in the clone that minilwa is imported from, or that this is run in."""
    places = [folder] if folder else [Path(__file__).parents[2] / HOME, Path.cwd() / HOME]
    for place in places:
        if found := sorted(place.glob(PATTERN)):
            return found
    hint = "Run it in a clone of minilwa, or name the folder with --masters: the installed package has no solutions."
    raise InputError("masters", f"no assignments in {' or '.join(map(str, places))}", "tutorials/coursework", hint)


def assignments_in(folder: Path | None, seed: int) -> dict[str, Assignment]:
    """The assignments by name, their numbers drawn with ``seed``."""
    return {path.stem: read_master(path, seed) for path in masters_in(folder)}
