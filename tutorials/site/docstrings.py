"""Docstrings as pages: mathematics in plain text is typeset, names in single backticks become links.

The docstrings are written to be read in ``help()``: ``delta_j``, ``||a_j||_*``, ``<a_j, r> >= delta_j``. What looks
like that, outside of code, is set as a formula: no markup but backticks is needed, and none stands in a reader's way.
"""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

GREEK = "alpha|delta|epsilon|eta|pi|tau"
FUNCTIONS = "argmax|argmin|exp|log|max|min|sign|softmax|sum"
LETTER = rf"(?<![\w.'-])(?:{GREEK}|(?!a\b|A [a-z])[A-Za-z])(?![\w'(]|-\w|\.\w)"  # "a" alone is an article
NAME = rf"(?<![\w.'-])(?:{GREEK}|[A-Za-z])"
SYMBOL = rf"{NAME}\*?_(?:\(\w\)|\w\b|\*)|\b[a-z]{{3,}}_\w\b|{NAME}\*(?!\w)|{LETTER}"  # D_j, r*_(I), sum_k, r*, G
NUMBER = r"(?<![\w.-])\d+(?:\.\d+)?(?![\w%])"
DERIVATIVE = rf"\bd ?(?:{GREEK}|[a-z])(?:_\w)? ?/ ?d ?[a-z]\b"  # d alpha / dx
OPERATOR = r" ?(?:[<>!]=|->|[=<>+/]| - | \* ) ?"


def sequence(element: str) -> str:
    """A pattern for elements with operators, or nothing but a space, between them."""
    return rf"(?:- ?)?(?:{element})(?:(?:{OPERATOR}| )(?:{element}))*"


SIMPLE = sequence(f"{DERIVATIVE}|{SYMBOL}|{NUMBER}")
NORM = rf"\|\|(?: |{SIMPLE})\|\|(?:_(?:\*|\w\b))?"
PRODUCT = rf"<{SIMPLE}, {SIMPLE}>"
BASIC = f"{NORM}|{PRODUCT}|{DERIVATIVE}|{SYMBOL}|{NUMBER}"
GROUP = rf"(?<!\w)(?:(?:{FUNCTIONS}) ?)?\({sequence(BASIC)}\)|\b[a-z]+\([A-Za-z]\)|\b(?:log|exp) (?:{NORM}|{SYMBOL})"
FORMULA = re.compile(sequence(f"{GROUP}|{BASIC}"))
PIECE = re.compile(rf"(?P<literal>``.+?``)|`(?P<name>[^`]+)`|(?P<formula>{FORMULA.pattern})", re.DOTALL)
RELATIONS = {">=": r"\ge", "<=": r"\le", "!=": r"\ne", "->": r"\to"}


def rst(text: str, module: ModuleType | None = None) -> str:
    """A docstring as reStructuredText; ``module`` is where its names are looked up."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(_indented(block, module) if block.startswith(" ") else _prose(block, module) for block in blocks)


def latex(formula: str) -> str:
    """A formula of the docstrings in LaTeX."""
    text = re.sub(r"\|\| \|\|", r"||\\cdot||", formula)
    text = re.sub(r"\|\|(.+?)\|\|", r"\\|\1\\|", text)
    text = re.sub(r"<([^<>]+, [^<>]+)>", r"\\langle \1 \\rangle ", text)
    text = re.sub(DERIVATIVE, lambda found: re.sub(r"\bd ?", r"\\partial ", found[0]), text)
    text = re.sub(r"([A-Za-z])\*", r"\1^*", text)
    text = re.sub(r"_(\(\w\)|\w)", r"_{\1}", text)
    text = re.sub(r" \* ", r" \\cdot ", text)
    text = re.sub(rf"(?<![A-Za-z\\])({GREEK})(?![A-Za-z])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z\\])sum(?![A-Za-z])", r"\\sum", text)
    text = re.sub(r"(?<![A-Za-z\\])([a-z]{2,})(?![A-Za-z])", r"\\operatorname{\1}", text)
    return re.sub(r"[<>!]=|->", lambda found: RELATIONS[found[0]] + " ", text).strip()


def _indented(block: str, module: ModuleType | None) -> str:
    """Formulas on lines of their own."""
    lines = [re.sub(r" {2,}", ",  ", line.strip()) for line in block.splitlines()]
    return "\n".join("| " + _prose(line, module) for line in lines)


def _prose(block: str, module: ModuleType | None) -> str:
    """Running text: code stays as it is, names become links, formulas are set, the rest is made plain."""
    out, end = [], 0
    for piece in PIECE.finditer(block):
        if piece["formula"] and not re.search("[A-Za-z|]", piece[0]):
            continue  # a number
        out += [_plain(block[end : piece.start()]), _role(piece, module)]
        end = piece.end()
    return "".join([*out, _plain(block[end:])])


def _role(piece: re.Match[str], module: ModuleType | None) -> str:
    if piece["literal"]:
        return piece[0]
    if piece["name"]:
        found = target(piece["name"], module)
        return f":py:obj:`{piece['name']} <{found}>`" if found else f"``{piece['name']}``"
    # An empty comment on either side lets the role stand next to anything.
    return rf"\ :math:`{latex(piece['formula'])}`\ "


def _plain(text: str) -> str:
    """Text whose characters mean themselves."""
    return re.sub(r"([\\*|_])", r"\\\1", text)


def target(name: str, module: ModuleType | None) -> str | None:
    """The full name of what ``name`` means in ``module``, or as part of the package; None for what has no page."""
    for start in (module, sys.modules["minilwa"]):
        found: Any = start
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, ModuleType):
            return found.__name__
        if getattr(found, "__module__", "").startswith("minilwa") and hasattr(found, "__qualname__"):
            return f"{found.__module__}.{found.__qualname__}"
    return None


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's hook, called with the lines of each docstring."""
    module = sys.modules.get(name if what == "module" else getattr(obj, "__module__", None) or "")
    lines[:] = rst("\n".join(lines), module).splitlines()


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, which their class describes."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def aliases(app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> tuple | None:
    """Names of types as they are written; Sphinx leaves its own stand-ins within brackets."""
    return tuple(text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in (signature, returns))


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("autodoc-process-docstring", process)
    app.connect("autodoc-process-signature", aliases)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True}
