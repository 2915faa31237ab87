"""Reported numbers as tables: lines of cells for Markdown and HTML, and tidy CSV with one number a line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minilwa.experiments.paper import COLUMNS
from minilwa.report.judged_lines import Lines, judgement
from minilwa.report.numbers import figure, signed, spread

TITLES = {
    "validation": "Validation",
    "fixed": "Fixed",
    "adv_loss_sign": "Adv_Loss_Sign",
    "adv_loss": "Adv_Loss",
    "adv_alpha": "Adv_Alpha",
    "deepfool": "DeepFool's direction",
    "noise": "Noise",
}
NAMES = {
    "table1": "Table 1, two hidden layers",
    "table2": "Table 2, LeNet",
    "cifar10": "CIFAR-10",
    "figure1": "Figure 1, accuracy over the radius",
    "figure2": "Figure 2, learning curves",
    "factorial": "Adv_Alpha against Adv_Loss",
    "variants": "Table 1 with settings changed",
    "judge-table1": "The networks of Table 1, judged",
    "judge-table2": "The networks of Table 2, judged",
    "judge-cifar10": "The networks of CIFAR-10, judged",
    "frontier": "Robustness against training time",
    "frontier-choice": "The choice of the frontier's steps",
}
JUDGED = ("judge-table1", "judge-table2", "judge-cifar10")
PROTOCOLS = {
    "quick": "settings for a quick look",
    "paper": "the paper's protocol",
    "equal": "one architecture for all",
}


def caption(entry: dict[str, Any]) -> str:
    """What stands above a table or below a figure."""
    seeds = len(entry["seeds"])
    over = "[95% Wilson interval over images]" if seeds == 1 else f"± standard deviation over {seeds} seeds"
    if entry["experiment"] in {"figure1", "figure2"}:
        over = f"means over {seeds} seeds" if seeds > 1 else "one seed"
    elif seeds > 1 and any(row["seeds"] == 1 for row in entry["rows"]):
        over += ", or [95% Wilson interval over images] for one seed"
    if entry["experiment"] == "frontier" and seeds > 1:
        over += "; over LWA as in the paper and PGD at its longest, [95% t-interval] of the differences seed by seed"
    if entry["experiment"] == "frontier-choice":
        over += ", on training images left out; over PGD, [95% interval over images, paired]"
    split = f", {entry['images'][0]:,} training images" if entry["split"] != "full" else ""
    return f"{NAMES[entry['experiment']]}: {entry['data']}{split}, {PROTOCOLS[entry['protocol']]}, {over}"


def table(entry: dict[str, Any]) -> Lines:
    """Tables in the paper's columns: a line for each method or variant, beneath it the paper's and the notebooks' own.

    The latter not in the protocol "quick", which is not made to be compared with them.
    """
    lines = [["Method", *(TITLES[column] for column in COLUMNS)]]
    for row in entry["rows"]:
        lines.append([row.get("variant", row["method"]), *(spread(row[column]) for column in COLUMNS)])
        for source in ("paper",) if entry["protocol"] == "quick" else ("paper", "notebooks"):
            if source in row:
                lines.append([f"({source})", *(figure(row[source][column]) for column in COLUMNS)])
    return lines


def figure1(entry: dict[str, Any]) -> Lines:
    """Figure 1 in numbers: a line for every second radius."""
    rows = entry["rows"]
    lines = [["Radius", *(TITLES.get(row["direction"], row["direction"]) for row in rows)]]
    for i, radius in list(enumerate(rows[0]["radii"]))[::5]:
        lines.append([f"{radius:g}", *(figure(row["accuracy"]["mean"][i]) for row in rows)])
    return lines


def figure2(entry: dict[str, Any]) -> Lines:
    """Figure 2 in numbers: after the last epoch."""
    names = list(entry["rows"][0]["curves"])
    lines = [["Method", "Epochs", *(TITLES[name] for name in names)]]
    for row in entry["rows"]:
        last = (figure(row["curves"][name]["mean"][-1]) for name in names)
        lines.append([row["method"], str(row["epochs"][-1]), *last])
    return lines


def factorial(entry: dict[str, Any]) -> Lines:
    """A line for each training length, form and precision: both accuracies and their difference.

    "Too sure" is the share of test images with 1 - alpha_y < 1e-6, which float32 loses in the printed form.
    """
    head = ["Epochs", "Too sure", "Formulas", "Precision", "Adv_Loss", "Adv_Alpha", "Gain of Adv_Alpha"]
    lines = [head]
    for row in entry["rows"]:
        cells = {(c["form"], c["precision"], c["direction"]): c["accuracy"] for c in row["cells"]}
        for gain in row["gains"]:
            both = (spread(cells[gain["form"], gain["precision"], name]) for name in ("adv_loss", "adv_alpha"))
            more = f"{gain['mean']:+.4f}" + (f" ± {gain['std']:.4f}" if gain["std"] is not None else "")
            about = [str(row["epochs"]), figure(row["sure"]["mean"]), gain["form"], gain["precision"]]
            lines.append([*about, *both, more])
    return lines


def frontier(entry: dict[str, Any]) -> Lines:
    """A line for each variant: what training takes, also as a share of the longest PGD training's; gains over both."""
    lines = [["Method", "Change", "Epochs", "Core-seconds", "of PGD's", "Clean", "Adv_Loss", "Worst case"]]
    lines[0] += ["Over LWA", "Over PGD"]
    for row in entry["rows"]:
        about = [row["curve"] or row["method"], row["change"], str(row["epochs"])]
        about += [f"{row['seconds']['mean']:.0f}", f"{row['share']['mean']:.2f}"]
        gains = ["" if row[over] is None else signed(row[over]) for over in ("gain", "lead")]
        lines.append([*about, *(spread(row[column]) for column in ("clean", "adv_loss", "worst")), *gains])
    return lines


def choice(entry: dict[str, Any]) -> Lines:
    """A line for each candidate."""
    lines = [["Method", "Change", "Epochs", "Clean", "Adv_Loss", "Worst case", "Over PGD"]]
    for row in entry["rows"]:
        about = [row["method"], row["change"], str(row["epochs"])]
        columns = (spread(row[column]) for column in ("clean", "adv_loss", "worst"))
        lines.append([*about, *columns, signed(row["lead"]) if row["lead"] else ""])
    return lines


LINES: dict[str, Callable[[dict[str, Any]], Lines]] = {
    "table1": table,
    "table2": table,
    "cifar10": table,
    "figure1": figure1,
    "figure2": figure2,
    "factorial": factorial,
    "variants": table,
    **dict.fromkeys(JUDGED, judgement),
    "frontier": frontier,
    "frontier-choice": choice,
}


def markdown(entry: dict[str, Any]) -> str:
    """The table of an experiment in Markdown."""
    return markdown_table(LINES[entry["experiment"]](entry))


def markdown_table(lines: Lines) -> str:
    """Lines of cells, the first of them the head, as a Markdown table, its columns aligned."""
    head, *body = lines
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [head, ["---"] * len(head), *body]
    )


def tidy(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every number of an experiment with what it is the number of, one a line."""
    for row in entry["rows"]:
        about = {key: row[key] for key in ("method", "variant", "direction", "epochs", "seeds", "n") if key in row}
        yield from TIDY[entry["experiment"]](row, about)


def _tidy_table(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for column in COLUMNS:
        printed = {source: row.get(source, {}).get(column) for source in ("paper", "notebooks")}
        yield about | {"column": column} | _numbers(row[column]) | printed


def _tidy_figure1(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for i, radius in enumerate(row["radii"]):
        yield about | {"radius": radius} | {key: values[i] for key, values in row["accuracy"].items()}


def _tidy_figure2(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for column, curve in row["curves"].items():
        for i, epoch in enumerate(row["epochs"]):
            yield about | {"epochs": epoch, "column": column} | {key: values[i] for key, values in curve.items()}


def _tidy_factorial(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in row["cells"]:
        yield about | {key: cell[key] for key in ("form", "precision", "direction")} | _numbers(cell["accuracy"])


def _tidy_judgement(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("worst", "worst_clipped"):
        if row[name]:
            yield about | {"attack": name, "radius": row["radius"]} | _numbers(row[name]["accuracy"])
            for i, radius in enumerate(row[name]["radii"]):
                curve = {key: values[i] for key, values in row[name]["curve"].items()}
                yield about | {"attack": f"{name}, curve", "radius": radius} | curve
    for attack, found in row["attacks"].items():
        for radius, accuracy in found["accuracy"].items():
            yield about | {"attack": attack, "radius": radius} | _numbers(accuracy)


def _tidy_frontier(row: dict[str, Any], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    about |= {"change": row["change"], "passes": row["passes"]}
    about |= {key: row[key]["mean"] for key in ("seconds", "share") if key in row}
    for column in ("clean", "adv_loss", "worst"):
        yield about | {"column": column} | _numbers(row[column])
    for attack, found in row["left"].items():
        yield about | {"column": f"left by {attack}"} | _numbers(found)


TIDY: dict[str, Callable[[dict[str, Any], dict[str, Any]], Iterator[dict[str, Any]]]] = {
    "table1": _tidy_table,
    "table2": _tidy_table,
    "cifar10": _tidy_table,
    "figure1": _tidy_figure1,
    "figure2": _tidy_figure2,
    "factorial": _tidy_factorial,
    "variants": _tidy_table,
    **dict.fromkeys(JUDGED, _tidy_judgement),
    "frontier": _tidy_frontier,
    "frontier-choice": _tidy_frontier,
}


def _numbers(found: dict[str, Any]) -> dict[str, Any]:
    low, high = found["interval"] or (None, None)
    numbers = {"mean": found["mean"], "std": found["std"], "low": low, "high": high}
    return numbers | dict(zip(("wilson_low", "wilson_high"), found["wilson"], strict=True))


def csv_text(entry: dict[str, Any]) -> str:
    """`tidy` as CSV with a head; what is not known is empty."""
    lines: Sequence[dict[str, Any]] = list(tidy(entry))
    text = io.StringIO()
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
