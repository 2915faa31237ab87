"""The report as files: for each experiment a table (Markdown, CSV) and a figure (PNG, SVG), and one page with all."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from minilwa.files import write_text
from minilwa.report.elements import anchor, heading, html_table
from minilwa.report.kinds import csv_text, draw, lines_of, markdown, notes_on
from minilwa.report.text import caption
from minilwa.report.verdict_page import as_html, as_markdown

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --faint: #5f5f5f; --rule: #ddd; --code: #f1f1f1; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #161616; --faint: #a3a3a3; --rule: #3a3a3a; --code: #262626; }
  a { color: #8ab4f8; } a:visited { color: #c58af9; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 74rem; padding: 1rem; }
body { color: var(--ink); background: var(--paper); }
p, li { max-width: 62rem; }
h1 { font-size: 1.6rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 3rem; }
h3 { font-size: 1.05rem; margin-top: 2.2rem; line-height: 1.35; }
nav ul { columns: 18rem; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--rule); }
th, td { white-space: nowrap; }
.claims th, .claims td { vertical-align: top; white-space: normal; }
.finding table { font-size: 0.8rem; }
@media (max-width: 40rem) {
  .claims thead { display: none; }
  .claims tr { border-bottom: 1px solid var(--rule); display: block; padding: 0.4rem 0; }
  .claims td { border: 0; display: block; } .claims td:empty { display: none; }
  .claims td[data-head]::before { content: attr(data-head) ": "; }
}
tr.beside td, .notes, .faint { color: var(--faint); }
.notes { font-size: 0.9rem; padding-left: 1.2rem; }
.finding { border-left: 3px solid var(--rule); padding-left: 0.9rem; margin: 1.4rem 0; }
.badge { border-radius: 0.3rem; color: #fff; font-size: 0.85rem; padding: 0.1rem 0.5rem; white-space: nowrap; }
.reproduced { background: #1b7a3d; } .not-reproduced { background: #b3261e; } .partly { background: #8a5a00; }
.an-artefact-of-float32 { background: #6b3fa0; } .not-decided, .not-tested { background: #666; }
img { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
code { background: var(--code); padding: 0.1rem 0.3rem; overflow-wrap: anywhere; }
"""


def write_report(folder: Path, experiments: dict[str, dict[str, Any]], found: list[dict[str, Any]]) -> list[Path]:
    """Tables and figures of every experiment, by "experiment/protocol", in ``folder``, the verdicts ``found``, and
    index.html, which needs no other file. The paths written."""
    paths, sections = [folder / "verdicts.md"], []
    write_text(paths[0], as_markdown(found))
    for key, entry in experiments.items():
        path = folder / anchor(key)
        remarks = "".join(f"\n- {note}" for note in notes_on(entry))
        remarks = f"\n{remarks}\n" if remarks else ""
        write_text(path.with_name(path.name + ".md"), f"{caption(entry)}\n\n{markdown(entry)}\n{remarks}")
        write_text(path.with_name(path.name + ".csv"), csv_text(entry))
        png, svg = draw(entry, path)
        paths += [path.with_name(path.name + ".md"), path.with_name(path.name + ".csv"), png, svg]
        sections.append(section(key, entry, png))
    write_text(folder / "index.html", page(experiments, as_html(found), sections))
    return [folder / "index.html", *paths]


def page(experiments: dict[str, dict[str, Any]], verdicts: str, sections: list[str]) -> str:
    """The whole page."""
    links = "".join(f'<li><a href="#{anchor(key)}">{escape(heading(e))}</a></li>' for key, e in experiments.items())
    title = "Learning with Adversary, examined again"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head>
<body><h1>{title}</h1>
{verdicts}
<h2>What was measured</h2>
<p>Accuracies on test images where nothing else is said; perturbations are not clipped to the pixel range, and a
misclassified image counts as wrong at every radius, except in the column Fixed. Lines in grey are the paper's figures,
and those of its authors' later notebooks.</p>
<nav><ul>{links}</ul></nav>
{"".join(sections)}
</body></html>
"""


def section(key: str, entry: dict[str, Any], png: Path) -> str:
    """One experiment: table, figure, how to make them, and how its networks were trained."""
    image = base64.b64encode(png.read_bytes()).decode("ascii")
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes_on(entry))
    remarks = f"<ul class=notes>{remarks}</ul>" if remarks else ""
    return f"""
<section id="{anchor(key)}"><h2>{escape(heading(entry))}</h2>
<p>{escape(caption(entry))}</p>
<div class="wide">{html_table(lines_of(entry))}</div>
{remarks}
<img src="data:image/png;base64,{image}" alt="{escape(heading(entry))}, the numbers of the table">
<p>Made by <code>{escape(entry["command"])}</code> ({escape(entry["form"])} formulas,
{escape(entry["dtype"])}). Records: {escape(made_with(entry["versions"]))}.</p>
<details><summary>How the networks were trained</summary>
<div class="wide">{html_table(settings(entry["plans"]))}</div></details></section>
"""


def made_with(versions: list[dict[str, Any]]) -> str:
    """How many records were made with what."""
    named = [", ".join(f"{name} {version}" for name, version in each["versions"].items()) for each in versions]
    return "; ".join(
        f"{each['records']} with {told or 'versions that they do not tell'}"
        for each, told in zip(versions, named, strict=True)
    )


def settings(plans: dict[str, dict[str, Any]]) -> list[list[str]]:
    """A line of the main settings for each network."""
    lines = [["Network", "Layers", "Method", "Radius", "Dropout", "Epochs", "Batch", "Rate", "Momentum", "Start"]]
    for label, plan in plans.items():
        method, recipe = plan["method"], plan["recipe"]
        layers = "-".join(map(str, plan["widths"])) if plan["network"] == "mlp" else plan["network"]
        radius = f"{method['radius']:g}" + (f" relative, after layer {method['at']}" if method["at"] else "")
        rate = f"{recipe['rate']:g}, times {recipe['decay']:g} after {recipe['decay_at'] * recipe['epochs']:g} epochs"
        along = " and ".join(filter(None, (method["along"], method["mixed"])))
        along += f", {method['form']}" + (" + clean" if method["clean"] else "")
        along += f", {method['steps']} steps of {method['stride'] / method['steps']:g}" if method["steps"] > 1 else ""
        along += ", random start" if method["start"] else ""
        start = "He" if plan["scale"] is None else f"uniform ±{plan['scale']:g}"
        line = [label, layers, along if method["along"] else "no perturbation", radius if method["along"] else ""]
        dropped = f"{method['dropout']:g}" + (", before the last layer alone" if plan["dropped"] == "last" else "")
        line += [dropped, str(recipe["epochs"]), str(recipe["batch"]), rate]
        lines.append([*line, f"{recipe['momentum']:g}", start])
    return lines
