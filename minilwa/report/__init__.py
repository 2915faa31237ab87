"""Tables, figures and a page of what was measured."""

from minilwa.report.aggregate import collect, entry
from minilwa.report.figures import draw, draw_images, new_figure, write_figure
from minilwa.report.page import write_report
from minilwa.report.text import caption, markdown

__all__ = [
    "caption",
    "collect",
    "draw",
    "draw_images",
    "entry",
    "markdown",
    "new_figure",
    "write_figure",
    "write_report",
]
