"""The questions: each claim of the paper put to the experiments that decide it, or that stand beside these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from minilwa.experiments.paper import PRINTED
from minilwa.experiments.protocols import ROWS
from minilwa.experiments.variants import TRIED
from minilwa.report.claims import accuracy, attacks, factorial, figures, norm, training
from minilwa.report.claims.evidence import Decision
from minilwa.report.intervals import Record


@dataclass(frozen=True)
class Question:
    """A claim put to one experiment under one protocol: the rows that it needs, the criterion, and who applies it.

    ``decides``: whether it counts for the verdict, or only stands beside it; ``essential``: whether there is none as
    long as it is open. ``substitutes``: whether other data, or settings for a quick look, may answer it where the
    paper's are not there. ``worst_case``: whether it is about the worst case over attacks, and not the paper's own
    single steps.
    """

    experiment: str
    protocol: str
    criterion: str
    decide: Callable[[Record], Decision]
    needs: Sequence[str] = ()
    decides: bool = True
    substitutes: bool = True
    worst_case: bool = False
    essential: bool = False


@dataclass(frozen=True)
class Claim:
    """What the paper says, in short and in its own words, and where."""

    letter: str
    text: str
    section: str
    questions: Sequence[Question]
    quotes: Sequence[str] = ()


def asked(
    criterion: str, decide: Callable[[Record], Decision], needs: Sequence[str], *of: str, decides: bool = True
) -> list[Question]:
    """One question to several experiments, each "experiment/protocol": tables, or the worst case of their networks."""
    pairs = [name.split("/") for name in of]
    return [Question(e, p, criterion, decide, needs, decides, worst_case=e.startswith("judge-")) for e, p in pairs]


TRAINED = tuple(f"{table}/{protocol}" for table in ("table1", "table2") for protocol in ("paper", "equal"))
TABLES = (*TRAINED, *(f"judge-{table}" for table in TRAINED))
UNDER_PGD = ("table2/equal-pgd", "judge-table2/equal-pgd")
PRINTED_ROWS = {table: tuple(rows) for table, rows in PRINTED.items()}
DROPOUT_ROWS = ("Normal", "Dropout", "Goodfellow")
CIFAR = ("cifar10/paper", "cifar10/equal")
beside = partial(Question, decides=False)

CLAIMS = (
    Claim(
        "a",
        "Adv_Alpha is consistently, but slightly, more efficient than Adv_Loss, and both are significantly more "
        "efficient than Adv_Loss_Sign.",
        "4.1, Figure 1",
        [
            Question("factorial", "paper", factorial.FACTORIAL, factorial.over_loss, essential=True),
            *asked(attacks.SIGN, attacks.over_sign, ROWS, *TRAINED),
            *asked(attacks.EVERY_ROW, attacks.in_every_row, ROWS, *TRAINED, decides=False),
            *(beside("figure1", protocol, attacks.OVER_RADIUS, attacks.over_radius) for protocol in ("paper", "equal")),
        ],
        [
            "Experimental results suggest that Adv_Alpha is consistently, but slightly, more efficient than Adv_Loss, "
            "and these two method are significantly more efficient than Adv_Loss_Sign."
        ],
    ),
    Claim(
        "b",
        "LWA is the most robust of the five methods, Goodfellow's the next.",
        "4.2, Tables 1 and 2",
        [
            *asked(training.MOST_ROBUST, training.most_robust, ROWS, *TABLES),
            *asked(training.MOST_ROBUST, training.most_robust, ROWS, *UNDER_PGD, decides=False),
            *asked(accuracy.BEST, accuracy.most_accurate, ROWS, *TRAINED, decides=False),
        ],
        [
            "Goodfellow's method improves the network's robust greatly, compared to the previous methods. The best "
            "performance and the most robustness are both achieved by LWA."
        ],
    ),
    Claim(
        "c",
        "Robustness costs no accuracy: no trade-off is observed.",
        "4.2, Tables 1 and 2, Figure 2",
        [
            *asked(accuracy.NO_COST, accuracy.no_cost, ("Normal", "LWA"), *TRAINED),
            *asked(accuracy.NO_COST, accuracy.no_cost, ("Normal", "LWA"), UNDER_PGD[0], decides=False),
            *(
                beside("figure2", protocol, accuracy.WHILE_TRAINING, accuracy.no_cost_while_training, ("Normal", "LWA"))
                for protocol in ("paper", "equal")
            ),
        ],
        ["It is interesting that we do not observe the trade-off between robustness and its performance."],
    ),
    Claim(
        "d",
        "Dropout improves accuracy and robustness, but the robustness is still weak: it helps a little.",
        "4.2, Table 1",
        [
            *asked(training.DROPOUT, training.dropout_helps, DROPOUT_ROWS, *TABLES),
            *asked(training.DROPOUT, training.dropout_helps, DROPOUT_ROWS, *UNDER_PGD, decides=False),
        ],
        [
            "By training with the dropout technique, both performance and robustness of the neural network are "
            "improved, but its robustness is still weak."
        ],
    ),
    Claim(
        "e",
        "LWA_Rep is comparable to Goodfellow's method.",
        "4.2, Table 1",
        [
            *asked(training.COMPARABLE, training.comparable, ("Goodfellow", "LWA_Rep"), *TABLES),
            *asked(training.COMPARABLE, training.comparable, ("Goodfellow", "LWA_Rep"), *UNDER_PGD, decides=False),
            beside(
                "variants-table1", "paper", training.COMPARABLE_CHANGED, training.comparable_changed, substitutes=False
            ),
        ],
        ["Overall, it achieves fair comparable performance to Goodfellow's method."],
    ),
    Claim(
        "f",
        "The L2 norm is a reasonable measure: no perturbation is seen that has most of its weight in one place.",
        "4.1",
        [
            Question(judged, protocol, norm.L2, norm.not_concentrated, decides=protocol == "paper")
            for protocol in ("paper", "equal")
            for judged in ("judge-table2", "judge-table1")
        ],
        [
            "One may concern that if the following case may happen: a small perturbation in l2 norm has most of its "
            "weight on some specific position, and thus change the picture distinguishably. [...] we don't observe "
            "such phenomenon in our experiments."
        ],
    ),
    Claim(
        "g",
        "The figures of Tables 1 and 2 themselves.",
        "4.2",
        [
            *(
                Question(table, "paper", figures.PRINTED_FIGURES, figures.printed_figures, rows, substitutes=False)
                for table, rows in PRINTED_ROWS.items()
            ),
            *(
                beside(f"variants-{table}", "paper", figures.NEAREST, figures.nearest_change, substitutes=False)
                for table in TRIED
            ),
        ],
    ),
    Claim(
        "h",
        "CIFAR-10: “STAY TUNED!!!”. There are no figures in print; the question is whether what is claimed on MNIST, "
        "(b) and (c), holds there.",
        "4.2",
        [
            *asked(training.MOST_ROBUST, training.most_robust, ROWS, *CIFAR, *(f"judge-{table}" for table in CIFAR)),
            *asked(accuracy.NO_COST, accuracy.no_cost, ("Normal", "LWA"), *CIFAR),
        ],
    ),
)
