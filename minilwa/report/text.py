"""What experiments, columns and protocols are called, captions, and tables in Markdown."""

from __future__ import annotations

from typing import Any

Lines = list[list[str]]  # of cells, the first line the head
TITLES = {
    "validation": "Validation",
    "fixed": "Fixed",
    "adv_loss_sign": "Adv_Loss_Sign",
    "adv_loss": "Adv_Loss",
    "adv_alpha": "Adv_Alpha",
    "pgd": "PGD",
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
    "variants-table1": "Table 1 with settings changed",
    "variants-table2": "Table 2 with settings changed",
    "first-epoch": "The first epoch of a LeNet against its adversary",
    "masking": "A single step against PGD while a LeNet trains",
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
    "equal-pgd": "one architecture for all, settings selected under PGD",
}


def beside_the_notebooks(entry: dict[str, Any]) -> bool:
    """Whether the figures of the authors' later notebooks belong beside; the protocol "quick" is not made for that."""
    return bool(entry["protocol"] != "quick")


def caption(entry: dict[str, Any]) -> str:
    """What stands above a table or below a figure."""
    seeds = len(entry["seeds"])
    over = "[95% Wilson interval over images]"
    if seeds > 1:
        least = min((row["seeds"] for row in entry["rows"] if row["seeds"] > 1), default=seeds)
        over = f"± standard deviation over {seeds if least == seeds else f'{least} to {seeds}'} seeds"
    if entry["experiment"] in {"figure1", "figure2"}:
        over = f"means over {seeds} seeds" if seeds > 1 else "one seed"
    elif entry["experiment"] == "masking":
        over = "seed by seed"
    elif seeds > 1 and any(row["seeds"] == 1 for row in entry["rows"]):
        over += ", or [95% Wilson interval over images] for one seed"
    if entry["experiment"] == "frontier" and seeds > 1:
        over += "; over LWA as in the paper and PGD at its longest, [95% t-interval] of the differences seed by seed"
    if entry["experiment"] == "frontier-choice":
        over += ", on training images left out; over PGD, [95% interval over images, paired]"
    split = f", {entry['images'][0]:,} training images" if entry["split"] != "full" else ""
    return f"{NAMES[entry['experiment']]}: {entry['data']}{split}, {PROTOCOLS[entry['protocol']]}, {over}"


def markdown_table(lines: Lines) -> str:
    """Lines of cells, the first of them the head, as a Markdown table, its columns aligned."""
    head, *body = lines
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [head, ["---"] * len(head), *body]
    )
