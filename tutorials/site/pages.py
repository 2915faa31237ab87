"""What the pages take from elsewhere, so that it is written once: parts of the READMEs, the notebooks, the modules.

A page may hold, on lines of their own, two kinds of comment that are replaced as it is read:

    <!-- part: README.md | The API on one page -->    that section, or the file without its title if none is named
    <!-- modules: minilwa.norms minilwa.attacks* -->  the docstrings of those modules; * alone: of all not yet named
"""

from __future__ import annotations

import fnmatch
import json
import pkgutil
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

SITE = Path(__file__).resolve().parent
CLONE = SITE.parent.parent
PART = re.compile(r"^<!-- part: (\S+?)(?: \| (.+))? -->$", re.MULTILINE)
MODULES = re.compile(r"^<!-- modules: (.+) -->$", re.MULTILINE)
LINK = re.compile(r"```.*?```|`[^`\n]*`|(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)\s:#]+)\)", re.DOTALL)
SUBSCRIPT = re.compile(  # a_j, but not in code
    r"```.*?```|`[^`\n]*`|^    .*?$|(?P<base>(?<!\w)[^\W\d_]|[)‖])_(?P<index>\w)(?!\w)", re.DOTALL | re.MULTILINE
)
PAGES = {"README.md": "index.md", "benchmarks/README.md": "benchmarks.md", "tutorials/README.md": "tutorials.md"}
UNDOCUMENTED = ("minilwa.ops",)  # its functions say what they do by name: list those without a docstring too


def part(file: str, heading: str | None) -> str:
    """A section of a Markdown file, up to the next heading of any level, its links led to the pages here."""
    text = (CLONE / file).read_text(encoding="utf-8")
    if heading is None:
        text = text.partition("\n")[2]
    else:
        found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", _without_code(text), re.MULTILINE | re.DOTALL)
        if found is None:
            raise ValueError(f"{file} has no section called {heading}")
        text = text[found.start(1) : found.end(1)]
    text = SUBSCRIPT.sub(
        lambda s: f"{s['base']}<sub>{s['index']}</sub>" if s["base"] else s[0], text
    )  # a_j, not in code
    return led(text, posixpath.dirname(file)).strip("\n")


def led(text: str, folder: str) -> str:
    """Markdown of a file in ``folder`` with its links led to the pages here."""
    return LINK.sub(lambda link: _led(link, folder), text)


def _without_code(text: str) -> str:
    """Code blocks blanked out, all other characters in their places: a comment in code is no heading."""
    return re.sub(r"^```.*?^```", lambda code: re.sub(r"[^\n]", " ", code[0]), text, flags=re.MULTILINE | re.DOTALL)


def _led(link: re.Match[str], folder: str) -> str:
    """A link of a README as a link of a page: to a page, a module's docstrings, a picture; else only its text."""
    picture, text, path = link.groups()
    if path is None:  # code
        return link[0]
    path = posixpath.normpath(posixpath.join(folder, path))
    if not (CLONE / path).exists():
        from sphinx.util import logging

        logging.getLogger(__name__).warning("a link to %s, which does not exist", path)
    if picture:
        return f"![{text}](../../{path})"
    if path in PAGES:
        return f"[{text}](/{PAGES[path]})"
    if path.startswith("minilwa/") and path.removesuffix(".py").replace("/", ".") in modules():
        return f"{{py:mod}}`{text} <{path.removesuffix('.py').replace('/', '.')}>`"
    if path.endswith(".ipynb"):
        return f"[{text}](/notebooks/{posixpath.basename(path)})"
    return text


def modules() -> list[str]:
    """All modules of minilwa but the entry points and what begins with an underscore."""
    import minilwa

    names = [module.name for module in pkgutil.walk_packages(minilwa.__path__, "minilwa.")]
    return [name for name in names if not name.rpartition(".")[2].startswith("_")]


def chosen(patterns: str) -> list[str]:
    """The modules of one comment, in its order."""
    if patterns == "*":
        named = [text for page in SITE.glob("api/*.md") for text in MODULES.findall(page.read_text(encoding="utf-8"))]
        taken = {name for text in named if text != "*" for name in chosen(text)}
        return [name for name in modules() if name not in taken]
    return [name for pattern in patterns.split() for name in fnmatch.filter(modules(), pattern)]


def documented(name: str) -> str:
    """A module's section."""
    option = "\n   :undoc-members:" if name in UNDOCUMENTED else ""
    return f"## {name}\n\n```{{eval-rst}}\n.. automodule:: {name}{option}\n```"


def fill(app: Any, page: str, source: list[str]) -> None:
    """Replace the comments of a page; it is read again when a file that it takes from has changed."""
    for file, _ in PART.findall(source[0]):
        app.env.note_dependency(CLONE / file, docname=page)
    text = PART.sub(lambda found: part(found[1], found[2]), source[0])
    source[0] = MODULES.sub(lambda found: "\n\n".join(map(documented, chosen(found[1]))), text)


def copy_notebooks(app: Any) -> None:
    """Bring the tutorials to where Sphinx reads, their links led to the pages here."""
    folder = SITE / "notebooks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in sorted(SITE.parent.glob("[0-9][0-9]_*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = led("".join(cell["source"]), "tutorials")
        (folder / path.name).write_text(json.dumps(notebook), encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("builder-inited", copy_notebooks)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}
