"""Sphinx's settings: `python -m sphinx -W tutorials/site dist/docs` builds the pages, without a network."""

import sys
from pathlib import Path

from matplotlib import get_data_path

SITE = Path(__file__).resolve().parent
sys.path[:0] = [str(SITE), str(SITE.parent.parent)]  # the extensions here; this clone's minilwa

project = "minilwa"
copyright = "the minilwa authors, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "docstrings", "mathml", "pages"]
exclude_patterns = ["README.md"]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks are published as they were executed

# Each object where it is defined, whatever a package's __init__ gathers.
autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: name for name in ("Array", "Tree", "Norm", "Perturb", "Direction", "Batches", "Shape")}
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "minilwa"
FONT = Path(get_data_path()) / "fonts/ttf"  # for formulas, where the reader's system has none made for them
html_static_path = ["static", str(FONT / "STIXGeneral.ttf"), str(FONT / "LICENSE_STIX")]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
