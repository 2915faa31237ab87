"""Criteria for how robust the paper says its ways to train are: each takes a table, or a judgement, to a decision.

Differences are paired over seeds: the networks of one seed share the order of the images and the start of the weights
where their sizes agree. A claim that several differences must all support needs no correction for their number.
"""

from __future__ import annotations

from minilwa.experiments.paper import COLUMNS, PRINTED
from minilwa.experiments.protocols import ROWS
from minilwa.report.claims.evidence import (
    NOT_DECIDED,
    NOT_REPRODUCED,
    NOT_TESTED,
    ONE_SEED,
    PARTLY,
    REPRODUCED,
    Decision,
    Sheet,
    cell,
    side,
    sizes,
    titles,
    where,
)
from minilwa.report.intervals import Record, statistics
from minilwa.report.notes import half_width, remarks, unlearned
from minilwa.report.numbers import figure, listed, signed

MOST_ROBUST = (
    "Reproduced if in every column under attack the 95% t-intervals, paired over seeds, of LWA minus each other "
    "method and of Goodfellow's minus each of the other three lie above 0. Not reproduced if in some column LWA is "
    "behind another method, by an interval below 0, and in none ahead of all; partly if in one it is ahead of all, and "
    "in one it, or Goodfellow's, is behind."
)
DROPOUT = (
    "Reproduced if in every column, the clean one too, the 95% t-interval of Dropout minus Normal, paired over seeds, "
    "lies above 0 (it helps), and under every attack that is less than half of what Goodfellow's method gains (a "
    "little, its interval too). Not reproduced if under every attack it rules out a gain larger than half a Wilson "
    "interval of Normal's accuracy, which the test set cannot resolve, or if it is behind under one, by an interval "
    "below 0, and helps under none; partly if it helps under an attack, and in a column such a gain is ruled out, or "
    "is more than half of Goodfellow's."
)
COMPARABLE = (
    "Reproduced if in every column under attack the 95% t-interval of LWA_Rep minus Goodfellow, paired over seeds, "
    "lies within the largest difference between the two in the paper's own Table 1; not reproduced if it lies beyond "
    "somewhere and within nowhere."
)
COMPARABLE_CHANGED = (
    "Reproduced if with some setting changed LWA_Rep lies within that difference of Goodfellow's method as it is, in "
    "every column under attack (95% t-interval over seeds), not reproduced if with each it lies beyond in some. The "
    "settings were tried so as to come near."
)


def most_robust(entry: Record) -> Decision:
    """Is LWA the most robust of the five, and Goodfellow's method next?"""
    sheet = Sheet.of(entry, ROWS)
    ranks = {"LWA": [m for m in ROWS if m != "LWA"], "Goodfellow": ["Normal", "Dropout", "LWA_Rep"]}
    pairs = [(one, other) for one, others in ranks.items() for other in others]
    evidence = sheet.lines(pairs, sheet.attacked)
    if len(sheet.seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {sheet.ranking()}{remarks(entry)}", evidence)
    nearest = {
        one: {column: min(side(sheet.gap(column, one, other)) for other in others) for column in sheet.attacked}
        for one, others in ranks.items()
    }
    ahead, behind = ({one: [c for c in of if of[c] == which] for one, of in nearest.items()} for which in (1, -1))
    leads, follows = ahead["LWA"], ahead["Goodfellow"]
    words = [f"LWA is ahead of all others {where(leads, sheet.attacked)}"]
    for column in [c for c in sheet.attacked if c not in leads]:
        rival = max(ranks["LWA"], key=lambda other, column=column: sheet.mean(column, other))  # type: ignore[misc]
        gap = signed(sheet.gap(column, "LWA", rival))
        words.append(f"under {titles([column])} LWA minus {rival} is {gap}")
    words.append(f"Goodfellow's is ahead of the other three {where(follows, sheet.attacked)}")
    told = f"{'; '.join(words)}. {sheet.ranking()}{in_print(entry)}{remarks(entry)}"
    if leads == follows == sheet.attacked:
        return Decision(REPRODUCED, told, evidence)
    if behind["LWA"] and not leads:
        return Decision(NOT_REPRODUCED, told, evidence)
    contradicted = leads and (behind["LWA"] or behind["Goodfellow"])
    return Decision(PARTLY if contradicted else NOT_DECIDED, told, evidence)


def dropout_helps(entry: Record) -> Decision:
    """Does dropout help, and only a little?"""
    sheet = Sheet.of(entry, ("Normal", "Dropout", "Goodfellow"))
    columns = ["validation", *sheet.attacked]
    evidence = sheet.lines([("Dropout", "Normal"), ("Goodfellow", "Normal")], columns)
    if len(sheet.seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {sheet.ranking()}{unlearned(entry)}", evidence)
    (normal,) = (row for row in entry["rows"] if row["method"] == "Normal")
    gaps = {column: sheet.gap(column, "Dropout", "Normal") for column in columns}
    helps = [column for column in columns if side(gaps[column]) > 0]
    vain = [c for c in columns if c not in helps and gaps[c]["interval"][1] < half_width(cell(normal, c))]
    harms = [column for column in vain if side(gaps[column]) < 0]
    flat = [column for column in vain if column not in harms]
    shares = {column: side(beyond_half(sheet, column)) for column in sheet.attacked}
    little, much = ([column for column in shares if shares[column] == which] for which in (-1, 1))
    words = f"Dropout is more accurate than Normal {where(helps, columns)}"
    words += f"; it gains no more than the test set resolves {where(flat, columns)}" if flat else ""
    words += f"; it is less accurate {where(harms, columns)}" if harms else ""
    words += f"; its gain is less than half of what Goodfellow's is {where(little, sheet.attacked)}"
    words += f", and more {where(much, sheet.attacked)}" if much else ""
    words += f". {sheet.ranking()}{sizes(entry)}{unlearned(entry)}"
    attacked = set(sheet.attacked)
    if attacked <= set(vain) or (attacked & set(harms) and not attacked & set(helps)):
        return Decision(NOT_REPRODUCED, words, evidence)
    if helps == columns and little == sheet.attacked:
        return Decision(REPRODUCED, words, evidence)
    contradicted = bool(attacked & set(helps)) and bool(vain or much)
    return Decision(PARTLY if contradicted else NOT_DECIDED, words, evidence)


def beyond_half(sheet: Sheet, column: str) -> Record:
    """Dropout's gain over Normal less half of Goodfellow's, paired over seeds."""
    gaps = (sheet.gap(column, method, "Normal")["values"] for method in ("Dropout", "Goodfellow"))
    return statistics([one - other / 2 for one, other in zip(*gaps, strict=True)])


def comparable(entry: Record) -> Decision:
    """Is LWA_Rep about as robust as Goodfellow's method?"""
    sheet = Sheet.of(entry, ("Goodfellow", "LWA_Rep"))
    evidence = sheet.lines([("LWA_Rep", "Goodfellow")], sheet.attacked)
    if len(sheet.seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {sheet.ranking()}{unlearned(entry)}", evidence)
    margin = printed_margin()
    gaps = {column: sheet.gap(column, "LWA_Rep", "Goodfellow") for column in sheet.attacked}
    within = [c for c, gap in gaps.items() if -margin < gap["interval"][0] and gap["interval"][1] < margin]
    beyond = [column for column, gap in gaps.items() if is_beyond(gap, margin)]
    told = f"The two differ by less than {figure(margin)} {where(within, sheet.attacked)}, and by more "
    told += f"{where(beyond, sheet.attacked)}. {sheet.ranking()}{unlearned(entry)}"
    if within == sheet.attacked:
        return Decision(REPRODUCED, told, evidence)
    return Decision((PARTLY if within else NOT_REPRODUCED) if beyond else NOT_DECIDED, told, evidence)


def comparable_changed(entry: Record) -> Decision:
    """Do other settings make LWA_Rep about as robust as Goodfellow's method?"""
    changed = [row["variant"] for row in entry["rows"] if row["method"] == "LWA_Rep"]
    compared = [row | {"method": row["variant"]} for row in entry["rows"] if row["variant"] in (*changed, "Goodfellow")]
    if not changed or len(compared) == len(changed):
        return Decision(NOT_TESTED, "What is missing: the runs of Goodfellow and of LWA_Rep.", [])
    sheet = Sheet.of(entry | {"rows": compared}, [row["method"] for row in compared])
    if not sheet.seeds:
        return Decision(NOT_TESTED, "What is missing: seeds that all of them have.", [])
    margin = printed_margin()
    evidence = sheet.lines([(variant, "Goodfellow") for variant in changed], sheet.attacked)
    gaps = {variant: [sheet.gap(column, variant, "Goodfellow") for column in sheet.attacked] for variant in changed}
    near = [v for v in changed if all(abs(end) < margin for gap in gaps[v] for end in gap["interval"] or [gap["mean"]])]
    far = [v for v in changed if any(is_beyond(gap, margin) for gap in gaps[v])]
    told = f"Within {figure(margin)} of Goodfellow's in every column: {listed(near) if near else 'none'}."
    if len(sheet.seeds) < 2:
        return Decision(NOT_DECIDED, f"{ONE_SEED} {told}", evidence, len(sheet.seeds))
    status = REPRODUCED if near else NOT_REPRODUCED if far == changed else NOT_DECIDED
    return Decision(status, told, evidence, len(sheet.seeds))


def is_beyond(gap: Record, margin: float) -> bool:
    """Whether a difference is larger than ``margin``, by all of its interval, or without one by its mean."""
    low, high = gap["interval"] or (gap["mean"], gap["mean"])
    return bool(high < -margin or margin < low)


def printed_margin() -> float:
    """The largest difference between LWA_Rep and Goodfellow's method under attack in the paper's own Table 1."""
    printed = PRINTED["table1"]
    return max(abs(a - b) for a, b in list(zip(printed["LWA_Rep"], printed["Goodfellow"], strict=True))[1:])


def in_print(entry: Record) -> str:
    """A remark where the paper's own table does not have Goodfellow's method next."""
    printed = {row["method"]: row["paper"] for row in entry["rows"] if "paper" in row}
    if not {"Goodfellow", "LWA_Rep"} <= set(printed):
        return ""
    behind = [c for c in COLUMNS[1:] if printed["LWA_Rep"][c] > printed["Goodfellow"][c]]
    told = [
        f"{titles([c])} ({figure(printed['LWA_Rep'][c])} against {figure(printed['Goodfellow'][c])})" for c in behind
    ]
    return f" In the paper's own table LWA_Rep, not Goodfellow's, is next under {listed(told)}." if behind else ""
