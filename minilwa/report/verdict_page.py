"""The verdicts as they are read: in Markdown, and as the first part of the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from minilwa.report.claims.evidence import NOT_DECIDED, NOT_TESTED
from minilwa.report.elements import anchor, html_table
from minilwa.report.text import markdown_table

Record = dict[str, Any]
HEAD = ["Claim", "Under the paper's attacks", "In the worst case"]
ABOUT = (
    "Each claim of the paper, and what the runs say of it. “The paper's attacks” are single steps; “the worst case” "
    "is over many attacks, image by image. A claim holds “partly” where its questions are answered differently; open "
    "ones do not count, but (a) waits for the factorial.",
    "Intervals are 95% t-intervals of differences paired over training seeds, on the test images that there are: "
    "others would add their own spread, and two seeds can lie close by chance.",
    "Not all was decided blind. When the criteria were fixed, only Table 1 and Figure 1 had been run in full, after "
    "the protocol “paper”. With the results known, (b) and (d) were amended, so that an interval around 0 leaves open "
    "what it had decided, and later so that a method which is behind in one column and ahead in none decides what this "
    "had left open (LWA on LeNet with one architecture, in the worst case; Dropout there under Adv_Loss_Sign); (g) was "
    "made stricter, by the spread over seeds alone; and what stands beside a verdict was "
    "added: changed settings, LWA's clean accuracy, Figure 2, and with one architecture Figure 1 and (f). Table 2 was "
    "put to the questions under the protocol “equal” before it was run so, and so was CIFAR-10. After Table 2's "
    "results its settings were selected again under PGD (protocol “equal-pgd”); that stands beside the verdicts and "
    "does not count.",
)


def status_of(verdict: Record, which: str) -> str:
    """A verdict in words, and what limits it; empty if the claim has no such question."""
    return f"{verdict[which]}{limits(verdict, which)}" if verdict[which] else ""


def limits(verdict: Record, which: str) -> str:
    """Data that are not the paper's, and how many of the questions are open."""
    asked = [f for f in verdict["findings"] if f["decides"] and f["worst_case"] == (which == "worst_case")]
    counted = [finding for finding in asked if finding["counts"]]
    told = ["on substitute data"] * any(finding["substitute"] for finding in counted)
    told += [f"{len(asked) - len(counted)} of {len(asked)} open"] * (len(counted) < len(asked))
    return f" ({', '.join(told)})" if told else ""


def as_markdown(found: Sequence[Record]) -> str:
    """All of it, with links to the files beside it."""
    overview = [[f"({v['claim']}) {v['text']}", status_of(v, "verdict"), status_of(v, "worst_case")] for v in found]
    parts = ["# Verdicts", *ABOUT, markdown_table([HEAD, *overview])]
    for verdict in found:
        parts += [f"## ({verdict['claim']}) {verdict['text']}", source_of(verdict)]
        for criterion, findings in by_criterion(verdict):
            parts.append(f"*Criterion.* {criterion}")
            parts += [part for finding in findings if is_tested(finding) for part in finding_in_markdown(finding)]
        if rest := [finding for finding in verdict["findings"] if not is_tested(finding)]:
            parts.append("Not tested:")
            parts.append("\n".join(f"- {about}. {sentence} `{command}`" for about, sentence, command in lacking(rest)))
    return "\n\n".join(parts) + "\n"


def finding_in_markdown(finding: Record) -> list[str]:
    """One finding as paragraphs."""
    parts = [f"**{finding['about']}: {finding['status']}.** {finding['sentence']}{beside(finding)}"]
    if len(finding["evidence"]) > 1:
        parts.append(markdown_table(finding["evidence"]))
    stem = anchor(finding["key"])
    return [*parts, f"[Table]({stem}.md), [figure]({stem}.png). {made_by(finding)} `{finding['command']}`"]


def as_html(found: Sequence[Record]) -> str:
    """The same as a part of the page, with links to its sections."""
    rows = "".join(
        f'<tr><td><a href="#claim-{v["claim"]}">({v["claim"]})</a> {escape(v["text"])}</td>'
        + "".join(f'<td data-head="{head}">{cell}</td>' for head, cell in zip(HEAD[1:], cells(v), strict=True))
        + "</tr>"
        for v in found
    )
    heads = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in HEAD)
    return f"""{"".join(f"<p>{escape(each)}</p>" for each in ABOUT)}
<div class="wide"><table class="claims"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>
{"".join(map(claim_in_html, found))}"""


def claim_in_html(verdict: Record) -> str:
    """One claim with its findings."""
    parts = []
    for criterion, findings in by_criterion(verdict):
        parts.append(f"<p class=faint><b>Criterion.</b> {escape(criterion)}</p>")
        parts += map(finding_in_html, filter(is_tested, findings))
    if rest := [finding for finding in verdict["findings"] if not is_tested(finding)]:
        items = (
            f"<li>{escape(about)}. {escape(sentence)} <code>{escape(command)}</code></li>"
            for about, sentence, command in lacking(rest)
        )
        parts.append(f"<p>{badge_of(NOT_TESTED)}</p><ul class=notes>{''.join(items)}</ul>")
    title = f"({verdict['claim']}) {escape(verdict['text'])}"
    return f"""
<section id="claim-{verdict["claim"]}"><h3>{title}</h3>
<p class=faint>{escape(source_of(verdict))}</p>
{"".join(parts)}</section>"""


def source_of(verdict: Record) -> str:
    """Where the paper says it, and in what words."""
    return " ".join([f"The paper, section {verdict['section']}.", *(f"“{quote}”" for quote in verdict["quotes"])])


def finding_in_html(finding: Record) -> str:
    """One finding: badge, sentence, figures, and where they come from."""
    links = f'<a href="#{anchor(finding["key"])}">Table and figure</a>.'
    table = folded("Figures", html_table(finding["evidence"])) if len(finding["evidence"]) > 1 else ""
    return f"""
<div class=finding><p>{badge_of(finding["status"])} <b>{escape(finding["about"])}</b><br>
{escape(finding["sentence"])}{beside(finding)}</p>{table}
<p class=faint>{links} {made_by(finding)} <code>{escape(finding["command"])}</code></p></div>"""


def folded(title: str, table: str) -> str:
    """A table to open: a page of all would be many screens long."""
    return f'<details><summary>{title}</summary><div class="wide">{table}</div></details>'


def by_criterion(verdict: Record) -> list[tuple[str, list[Record]]]:
    """The findings in their order, those with one criterion together."""
    return [(criterion, list(of)) for criterion, of in groupby(verdict["findings"], lambda f: f["criterion"])]


def cells(verdict: Record) -> list[str]:
    """What stands beside a claim."""
    return [badge(verdict, "verdict"), badge(verdict, "worst_case")]


def badge(verdict: Record, which: str) -> str:
    """A claim's verdict, coloured; empty if the claim has no such question."""
    if not verdict[which]:
        return ""
    return badge_of(verdict[which]) + limits(verdict, which)


def badge_of(status: str) -> str:
    """A status, coloured."""
    return f'<span class="badge {status.replace(" ", "-")}">{escape(status)}</span>'


def lacking(rest: Sequence[Record]) -> list[tuple[str, str, str]]:
    """What is missing and the command that makes it, each once, whatever number of criteria wait for it."""
    return list(dict.fromkeys((f["about"], f["sentence"], f["command"]) for f in rest))


def is_tested(finding: Record) -> bool:
    """Whether there is anything to show."""
    return bool(finding["status"] != NOT_TESTED)


def beside(finding: Record) -> str:
    """A remark on what does not count for the verdict."""
    return "" if finding["decides"] else " (This stands beside the verdict and does not decide it.)"


def made_by(finding: Record) -> str:
    """What the command is for."""
    return "More seeds:" if finding["status"] == NOT_DECIDED else "Made by"
