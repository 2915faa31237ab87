"""Verdicts: what the paper claims, one claim after another, and what the experiments that are there say of it.

Each question is decided by a criterion that was fixed before most figures were known (`verdict_page` says which were),
or it is told which runs are missing and how to make them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from minilwa.report.claims.evidence import NOT_DECIDED, NOT_TESTED, PARTLY
from minilwa.report.claims.questions import CLAIMS, Claim, Question
from minilwa.report.entries import OPTIONS, USUAL_DATA
from minilwa.report.intervals import Record
from minilwa.report.judged import missing_attacks
from minilwa.report.numbers import listed
from minilwa.report.text import NAMES, PROTOCOLS, Lines

Experiments = dict[str, Record]  # by key, as `entries.collect` gives them
SEEDS = {"table1": 5, "judge-table1": 5, "factorial": 5}  # to be asked for; 3 of the others
OPEN = (NOT_DECIDED, NOT_TESTED)


@dataclass(frozen=True)
class Finding:
    """The answer to a question: of what it was asked, the decision, and what it rests on.

    ``key`` is that of the experiment (None: there is none); ``worst_case`` whether it is about the worst case over
    attacks rather than the paper's own single steps; ``substitute`` whether data or settings are not the paper's.
    """

    about: str
    status: str
    sentence: str
    criterion: str
    command: str
    worst_case: bool
    decides: bool
    essential: bool
    key: str | None = None
    substitute: bool = False
    evidence: Lines = field(default_factory=list)


def verdicts_on(experiments: Experiments) -> list[Record]:
    """Every claim with its verdict under the paper's attacks, its verdict in the worst case (None: no such question),
    how many of its questions are open, and the findings, each with whether it counts, as plain JSON data."""
    return [verdict(claim, [answer(question, experiments) for question in claim.questions]) for claim in CLAIMS]


def verdict(claim: Claim, findings: Sequence[Finding]) -> Record:
    """What the findings come to; those on the paper's data, where one of them is decided, before those on others."""
    deciding = [finding for finding in findings if finding.decides]
    own = [finding for finding in deciding if not finding.substitute]
    counted = own if any(finding.status not in OPEN for finding in own) else deciding
    answered = [finding for finding in counted if finding.status not in OPEN]
    return {
        "claim": claim.letter,
        "text": claim.text,
        "quotes": list(claim.quotes),
        "section": claim.section,
        "verdict": combined([f for f in deciding if not f.worst_case], answered),
        "worst_case": combined(worst, answered) if (worst := [f for f in deciding if f.worst_case]) else None,
        "substitute": any(finding.substitute for finding in answered),
        "questions": len(deciding),
        "open": len(deciding) - len(answered),
        "findings": [asdict(finding) | {"counts": finding in answered} for finding in findings],
    }


def combined(deciding: Sequence[Finding], answered: Sequence[Finding]) -> str:
    """One status for several: that of all which are answered if they agree, else that it holds in part."""
    waiting = [finding for finding in deciding if finding not in answered]
    statuses = {finding.status for finding in deciding if finding in answered}
    if not statuses or any(finding.essential for finding in waiting):
        return NOT_TESTED if all(finding.status == NOT_TESTED for finding in deciding) else NOT_DECIDED
    return statuses.pop() if len(statuses) == 1 else PARTLY


def answer(question: Question, experiments: Experiments) -> Finding:
    """The decision, or what is missing for it."""
    key = chosen(question, experiments)
    common: Record = {key: getattr(question, key) for key in ("criterion", "decides", "essential", "worst_case")}
    if key is None:
        about = f"{NAMES[question.experiment]} ({PROTOCOLS[question.protocol]})"
        return Finding(about, NOT_TESTED, "The runs are missing.", command=command_of(question), **common)
    entry = experiments[key]
    rows = {row["method"]: set(row["seed_numbers"]) for row in entry["rows"]} if question.needs else {}
    missing = [method for method in question.needs if method not in rows]
    seeds = entry["seeds"] if not question.needs else set.intersection(*(rows.get(m, set()) for m in question.needs))
    about = f"{NAMES[entry['experiment']]} ({entry['data']}, {PROTOCOLS[entry['protocol']]})"
    common |= {"key": key, "substitute": is_substitute(entry)}
    if not seeds:
        lack = f"the runs of {listed(missing)}" if missing else "seeds that all methods have"
        common["command"] = with_seeds(entry, len(entry["seeds"]))
        return Finding(about, NOT_TESTED, f"What is missing: {lack}.", **common)
    found = question.decide(entry)
    count = found.seeds or len(seeds)
    about += f", {count} seed{'s' if count != 1 else ''}"
    if question.worst_case and (still := missing_attacks(entry)):
        sentence = f"Still to be run, so no part of the worst case: {listed(still)}. {found.sentence}"
        found = replace(found, status=NOT_DECIDED, sentence=sentence)
    more = with_seeds(entry, count + 1)
    common["command"] = more if found.status == NOT_DECIDED else entry["command"]
    return Finding(about, found.status, found.sentence, evidence=found.evidence, **common)


def with_seeds(entry: Record, least: int) -> str:
    """The command that made an experiment, for ``least`` seeds, or as many as are asked for."""
    return re.sub(r"--seeds? \d+", f"--seeds {max(SEEDS.get(entry['experiment'], 3), least)}", entry["command"])


def chosen(question: Question, experiments: Experiments) -> str | None:
    """The key of the experiment to ask: on the paper's data if there is one, with the most seeds, in its split."""
    of = {key: entry for key, entry in experiments.items() if entry["experiment"] == question.experiment}
    found = {key: entry for key, entry in of.items() if entry["protocol"] == question.protocol}
    if question.protocol == "paper":
        found = {key: e for key, e in of.items() if e["protocol"] in {"paper", "quick"}}
    if not question.substitutes:
        found = {key: entry for key, entry in found.items() if not is_substitute(entry)}
    ranks = {
        key: (not is_substitute(e), e["protocol"] != "quick", len(e["seeds"]), e["split"] == "paper", key)
        for key, e in found.items()
    }
    return max(ranks, key=lambda key: ranks[key]) if ranks else None


def is_substitute(entry: Record) -> bool:
    """Whether data or settings are others than the paper's, or than the protocol's."""
    usual = USUAL_DATA.get(entry["experiment"], "mnist")
    changed = any(f"--{option} " in entry["command"] for option in OPTIONS)
    return bool(changed or entry["protocol"] == "quick" or entry["data"].split()[0] != usual)


def command_of(question: Question) -> str:
    """The command that makes the runs that a question needs."""
    data = USUAL_DATA.get(question.experiment, "mnist")
    split = " --split paper" if data == "mnist" else ""
    seeds = SEEDS.get(question.experiment, 3)
    start = f"minilwa reproduce {question.experiment} --data {data} --protocol {question.protocol}"
    return f"{start}{split} --seeds {seeds}"
