"""Formulas as MathML, which browsers draw themselves: nothing to load, so pages are whole without a network."""

from __future__ import annotations

import html
import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

ALIASES = {r"\dots": r"\ldots"}  # what docutils has under another name


def convert(node: nodes.Element, block: bool) -> str:
    """A formula's MathML; a warning, and its LaTeX, if a command is not known."""
    formula = re.sub(r"\\[A-Za-z]+", lambda command: ALIASES.get(command[0], command[0]), node.astext())
    try:
        return tex2mathml(formula, as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("formula %r: %s", node.astext(), error, location=node)
        return f"<code>{html.escape(node.astext())}</code>"


def inline(translator: Any, node: nodes.Element) -> None:
    """A formula in running text."""
    translator.body.append(convert(node, False))
    raise nodes.SkipNode


def display(translator: Any, node: nodes.Element) -> None:
    """A formula on a line of its own."""
    translator.body.append(translator.starttag(node, "div", CLASS="math") + convert(node, True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True}
