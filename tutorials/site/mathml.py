"""Formulas as MathML, which browsers draw themselves: nothing to load, so pages are whole without a network."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

ARG = re.compile(r"\\arg(?![A-Za-z])")  # what the converter lacks
# How a browser spaces and stretches what the converter takes for operators.
MENDED = (
    (re.compile(r"<mo>(&#x0221E;|&#x02202;)</mo>"), r"<mi>\1</mi>"),  # infinity and the partial d are letters
    (re.compile(r"<mo>&#x02016;</mo>"), r'<mo stretchy="false">&#x02016;</mo>'),  # both bars of a norm alike
    (re.compile(r'<mo>(\w{2,})</mo>(?=<mo stretchy="false">&#x00028;)'), r'<mo lspace="0" rspace="0">\1</mo>'),
    (re.compile(r"<mo>(\w{2,})</mo>"), r'<mo lspace="0" rspace="0.17em">\1</mo>'),
)
SCRIPT = re.compile(r'<mi mathvariant="script">(\w)</mi>')
UNKNOWN = re.compile(
    r"\\(?:[A-Za-z]+|\S)|<mi>&(?:amp;)?</mi>"
)  # what the converter did not understand comes out as it went in


def mathml(formula: str, block: bool) -> str:
    """A formula's MathML; ValueError if a command in it is not known."""
    try:
        found = convert(ARG.sub(r"\\operatorname{arg}", formula), display="block" if block else "inline")
    except Exception as error:  # the converter's errors have no common base
        raise ValueError(f"{type(error).__name__} {error}") from None
    if unknown := UNKNOWN.search(found):
        raise ValueError(f"{unknown[0]} is not known")
    for pattern, mended in MENDED:
        found = pattern.sub(mended, found)
    return SCRIPT.sub(lambda letter: f"<mi>{script(letter[1])}</mi>", found)


def script(letter: str) -> str:
    r"""A letter of \mathcal as the character that browsers have for it."""
    for name in ("SCRIPT CAPITAL", "MATHEMATICAL SCRIPT CAPITAL"):
        try:
            return unicodedata.lookup(f"{name} {letter}")
        except KeyError:
            continue
    return letter


def write(translator: Any, node: nodes.Element, block: bool) -> None:
    """Put a formula on the page; a warning, and its LaTeX, if it is not understood."""
    try:
        found = mathml(node.astext(), block)
    except ValueError as error:
        logging.getLogger(__name__).warning("formula %s: %s", node.astext(), error, location=node)
        found = f"<code>{html.escape(node.astext())}</code>"
    translator.body.append(f'<div class="math">{found}</div>\n' if block else found)
    raise nodes.SkipNode


def inline(translator: Any, node: nodes.Element) -> None:
    """A formula in running text."""
    write(translator, node, False)


def display(translator: Any, node: nodes.Element) -> None:
    """A formula on a line of its own."""
    write(translator, node, True)


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True}
