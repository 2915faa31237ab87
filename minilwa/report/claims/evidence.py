"""What verdicts are drawn from: accuracies by column, method and seed, and differences paired over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minilwa.experiments.paper import COLUMNS
from minilwa.experiments.protocols import ROWS
from minilwa.report.intervals import Record, statistics
from minilwa.report.numbers import figure, listed, signed
from minilwa.report.text import JUDGED, TITLES, Lines

REPRODUCED, NOT_REPRODUCED, PARTLY = "reproduced", "not reproduced", "partly"
ARTEFACT = "an artefact of float32"
NOT_DECIDED, NOT_TESTED = "not decided", "not tested"
ONE_SEED = "One seed decides nothing, since accuracies under attack move from seed to seed, some by several points."
WORST = {"worst": "the worst case", "worst_clipped": "the worst case, clipped"}


@dataclass(frozen=True)
class Decision:
    """What the figures of one experiment say of a claim; ``evidence`` are the cells of a table, the first its head."""

    status: str
    sentence: str
    evidence: Lines
    seeds: int | None = None  # that were compared, where these are fewer than the experiment has


@dataclass(frozen=True)
class Sheet:
    """Accuracies by column, method and seed, of the seeds that all ``needed`` methods have, and of every method that
    has these."""

    entry: Record
    seeds: tuple[int, ...]
    accuracy: dict[str, dict[str, dict[int, float]]]

    @classmethod
    def of(cls, entry: Record, needed: Sequence[str]) -> Sheet:
        """The sheet of a table, or of a judgement, whose rows hold the ``needed`` methods."""
        rows = {row["method"]: row for row in entry["rows"]}
        seeds = set.intersection(*(set(rows[method]["seed_numbers"]) for method in needed))
        rows = {method: row for method, row in rows.items() if seeds <= set(row["seed_numbers"])}
        accuracy = {
            column: {
                method: dict(zip(row["seed_numbers"], cell(row, column)["values"], strict=True))
                for method, row in rows.items()
            }
            for column in columns_of(entry)
        }
        return cls(entry, tuple(sorted(seeds)), accuracy)

    @property
    def attacked(self) -> list[str]:
        """The columns under attack."""
        return [column for column in self.accuracy if column != "validation"]

    @property
    def methods(self) -> list[str]:
        """The methods, in the table's order."""
        return list(self.accuracy["validation"])

    def gap(self, column: str, one: str, other: str) -> Record:
        """By how much ``one`` is more accurate than ``other``, paired over seeds."""
        found = self.accuracy[column]
        return statistics([found[one][seed] - found[other][seed] for seed in self.seeds])

    def mean(self, column: str, method: str) -> float:
        """Over the seeds."""
        return float(statistics([self.accuracy[column][method][seed] for seed in self.seeds])["mean"])

    def ranking(self) -> str:
        """All methods from the most accurate down, in the last column that is not clipped."""
        column = [column for column in self.attacked if column != "worst_clipped"][-1]
        means = sorted(((self.mean(column, method), method) for method in self.methods), reverse=True)
        return f"Under {title(column)}: {', '.join(f'{method} {figure(mean)}' for mean, method in means)}."

    def lines(self, pairs: Iterable[tuple[str, str]], columns: Sequence[str]) -> Lines:
        """A line of differences for each pair of methods."""
        body = [[f"{a} - {b}", *(signed(self.gap(column, a, b)) for column in columns)] for a, b in pairs]
        return [["Difference", *map(title, columns)], *body]


def columns_of(entry: Record) -> list[str]:
    """The columns that all rows have."""
    if entry["experiment"] not in JUDGED:
        return list(COLUMNS)
    return ["validation", *(name for name in WORST if all(row[name] for row in entry["rows"]))]


def cell(row: Record, column: str) -> Record:
    """The statistics of one column."""
    found: Record = row[column]["accuracy"] if column in WORST else row[column]
    return found


def side(gap: Record) -> int:
    """1 or -1 if the 95% t-interval over seeds lies above or below 0, else 0."""
    low, high = gap["interval"]
    return int(low > 0) - int(high < 0)


def where(columns: list[str], every: list[str]) -> str:
    """In which of the columns: everywhere, nowhere, or under these."""
    return "in every column" if columns == every else f"under {titles(columns)}" if columns else "in no column"


def sizes(entry: Record) -> str:
    """A remark if Normal's network is of another size than those that it is compared with."""
    widths = {name: tuple(plan["widths"]) for name, plan in entry["plans"].items() if plan["network"] == "mlp"}
    if len(set(widths.values())) < 2:
        return ""
    own = ", ".join(f"{name} {'-'.join(map(str, widths[name]))}" for name in ROWS if name in widths)
    return f" The networks are of different sizes: {own}."


def title(column: str) -> str:
    """What a column is called."""
    return WORST.get(column) or TITLES[column]


def titles(columns: Sequence[str]) -> str:
    """Columns as a sentence lists them."""
    return listed([title(column) for column in columns])
