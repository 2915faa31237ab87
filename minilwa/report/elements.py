"""Pieces of the page: tables, headings, and the names that links go by."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from minilwa.report.text import NAMES, PROTOCOLS, Lines


def html_table(lines: Lines) -> str:
    """Lines of cells, the first of them the head, as a table."""
    head, *body = lines
    rows = "".join(
        f"<tr{' class=beside' if line[0].startswith('(') else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in line)
        + "</tr>"
        for line in body
    )
    heads = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def heading(entry: dict[str, Any]) -> str:
    """The name of a section."""
    return f"{NAMES[entry['experiment']]} ({entry['data']}, {PROTOCOLS[entry['protocol']]})"


def anchor(key: str) -> str:
    """The section's id, which is the name of its files too: what a data file's name may hold besides becomes a dash."""
    return re.sub(r"[^\w.+-]", "-", key)
