"""How each experiment is reported: as rows, a table, tidy CSV, a figure, and notes. What is new is entered here."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minilwa.experiments.variants import TRIED
from minilwa.report import figures, judged, judged_lines, lines, notes, rows, tidy
from minilwa.report.intervals import Record
from minilwa.report.text import JUDGED, Lines, markdown_table

IN_CSV = ("method", "variant", "direction", "epochs", "seeds", "n")


@dataclass(frozen=True)
class Kind:
    """From the records of one experiment to its rows, and from the entry that holds these to what a reader sees."""

    rows: Callable[[Sequence[Record]], list[Record]]
    lines: Callable[[Record], Lines]
    tidy: Callable[[Record, Record], Iterator[Record]]  # of a row, and of what all of its lines have
    figure: Callable[[Record], Any]
    notes: Callable[[Record], list[str]] = lambda entry: []


KINDS = {
    **{
        name: Kind(partial(rows.table, experiment=name), lines.table, tidy.table, figures.table, notes.table)
        for name in ("table1", "table2", "cifar10")
    },
    "figure1": Kind(rows.figure1, lines.figure1, tidy.figure1, figures.figure1),
    "figure2": Kind(rows.figure2, lines.figure2, tidy.figure2, figures.figure2),
    "factorial": Kind(rows.factorial, lines.factorial, tidy.factorial, figures.factorial, notes.factorial),
    **{
        f"variants-{name}": Kind(
            partial(rows.variants, table=name), lines.table, tidy.table, figures.variants, notes.variants
        )
        for name in TRIED
    },
    "first-epoch": Kind(rows.first_epoch, lines.first_epoch, tidy.first_epoch, figures.first_epoch, notes.first_epoch),
    "masking": Kind(rows.masking, lines.masking, tidy.masking, figures.masking, notes.masking),
    **dict.fromkeys(
        JUDGED,
        Kind(judged.judgement, judged_lines.judgement, tidy.judgement, figures.judgement, notes.judgement),
    ),
    "frontier": Kind(rows.frontier, lines.frontier, tidy.frontier, figures.frontier, notes.frontier),
    "frontier-choice": Kind(rows.choice, lines.choice, tidy.frontier, figures.choice, notes.choice),
}


def lines_of(entry: Record) -> Lines:
    """The table of an experiment, the first line its head."""
    return KINDS[entry["experiment"]].lines(entry)


def notes_on(entry: Record) -> list[str]:
    """Sentences to stand under that table."""
    return KINDS[entry["experiment"]].notes(entry)


def markdown(entry: Record) -> str:
    """The table in Markdown."""
    return markdown_table(lines_of(entry))


def csv_text(entry: Record) -> str:
    """Every number of an experiment with what it is the number of, one a line, as CSV; what is not known is empty."""
    found: list[Record] = []
    for row in entry["rows"]:
        about = {key: row[key] for key in IN_CSV if key in row}
        found += KINDS[entry["experiment"]].tidy(row, about)
    text = io.StringIO()
    writer = csv.DictWriter(text, found[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def draw(entry: Record, path: Path) -> list[Path]:
    """The figure of one experiment, under the name ``path`` with .png and with .svg."""
    canvas = KINDS[entry["experiment"]].figure(entry)
    paths = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    for each in paths:
        figures.write_figure(each, canvas)
    return paths
