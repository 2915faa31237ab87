"""The report as files: for each experiment a table (Markdown, CSV) and a figure (PNG, SVG), and one page with all."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from minilwa.files import write_text
from minilwa.report.figures import draw
from minilwa.report.text import LINES, NAMES, PROTOCOLS, caption, csv_text, markdown

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1a1a1a; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 3rem; }
nav ul { columns: 18rem; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #ddd; white-space: nowrap; }
tr.beside td { color: #666; }
img { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
code { background: #f3f3f3; padding: 0.1rem 0.3rem; overflow-wrap: anywhere; }
"""


def write_report(folder: Path, experiments: dict[str, dict[str, Any]]) -> list[Path]:
    """Tables and figures of every experiment, by "experiment/protocol", in ``folder``, and index.html, which needs no
    other file. The paths written."""
    paths, sections = [], []
    for key, entry in experiments.items():
        path = folder / key.replace("/", "-").replace(" ", "-")
        write_text(path.with_name(path.name + ".md"), f"{caption(entry)}\n\n{markdown(entry)}\n")
        write_text(path.with_name(path.name + ".csv"), csv_text(entry))
        png, svg = draw(entry, path)
        paths += [path.with_name(path.name + ".md"), path.with_name(path.name + ".csv"), png, svg]
        sections.append(section(key, entry, png))
    write_text(folder / "index.html", page(experiments, sections))
    return [folder / "index.html", *paths]


def page(experiments: dict[str, dict[str, Any]], sections: list[str]) -> str:
    """The whole page."""
    links = "".join(f'<li><a href="#{anchor(key)}">{escape(heading(e))}</a></li>' for key, e in experiments.items())
    title = "Learning with Adversary: what was measured"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head>
<body><h1>{title}</h1>
<p>Accuracies on test images; perturbations are not clipped to the pixel range, and a misclassified image counts as
wrong at every radius, except in the column Fixed. Lines in grey are the paper's figures, and those of its authors'
later notebooks.</p>
<nav><ul>{links}</ul></nav>
{"".join(sections)}
</body></html>
"""


def section(key: str, entry: dict[str, Any], png: Path) -> str:
    """One experiment: table, figure, how to make them, and how its networks were trained."""
    image = base64.b64encode(png.read_bytes()).decode("ascii")
    versions = ", ".join(f"{name} {version}" for name, version in entry["versions"].items())
    return f"""
<section id="{anchor(key)}"><h2>{escape(heading(entry))}</h2>
<p>{escape(caption(entry))}</p>
<div class="wide">{html_table(LINES[entry["experiment"]](entry))}</div>
<img src="data:image/png;base64,{image}" alt="{escape(heading(entry))}, the numbers of the table">
<p>Made by <code>{escape(entry["command"])}</code> ({entry["form"]} formulas, {entry["dtype"]}, {escape(versions)}).</p>
<details><summary>How the networks were trained</summary>
<div class="wide">{html_table(settings(entry["plans"]))}</div></details></section>
"""


def settings(plans: dict[str, dict[str, Any]]) -> list[list[str]]:
    """A line of the main settings for each network."""
    lines = [["Network", "Layers", "Method", "Radius", "Dropout", "Epochs", "Batch", "Rate", "Momentum", "Start"]]
    for label, plan in plans.items():
        method, recipe = plan["method"], plan["recipe"]
        layers = "-".join(map(str, plan["widths"])) if plan["network"] == "mlp" else plan["network"]
        radius = f"{method['radius']:g}" + (f" relative, after layer {method['at']}" if method["at"] else "")
        rate = f"{recipe['rate']:g}, times {recipe['decay']:g} after {recipe['decay_at'] * recipe['epochs']:g} epochs"
        along = f"{method['along']}, {method['form']}" + (" + clean" if method["clean"] else "")
        start = "He" if plan["scale"] is None else f"uniform ±{plan['scale']:g}"
        line = [label, layers, along if method["along"] else "no perturbation", radius if method["along"] else ""]
        line += [f"{method['dropout']:g}", str(recipe["epochs"]), str(recipe["batch"]), rate]
        lines.append([*line, f"{recipe['momentum']:g}", start])
    return lines


def html_table(lines: list[list[str]]) -> str:
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
    """The section's id."""
    return key.replace("/", "-").replace(" ", "-")
