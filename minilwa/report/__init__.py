"""Verdicts, tables, figures and a page of what was measured."""

from minilwa.report.entries import collect, entry
from minilwa.report.figures import draw_images, new_figure, write_figure
from minilwa.report.kinds import draw, markdown, notes_on
from minilwa.report.page import write_report
from minilwa.report.text import caption
from minilwa.report.verdicts import verdicts_on

__all__ = [
    "caption",
    "collect",
    "draw",
    "draw_images",
    "entry",
    "markdown",
    "new_figure",
    "notes_on",
    "verdicts_on",
    "write_figure",
    "write_report",
]
