"""The command line: ``minilwa`` and ``python -m minilwa``. Options here, what they do in `commands`."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from minilwa import commands
from minilwa.backend import DEVICES, DTYPES
from minilwa.course import commands as course
from minilwa.data import EMBEDDED
from minilwa.directions import DIRECTIONS
from minilwa.errors import InputError
from minilwa.experiments.protocols import NETWORKS, PROTOCOLS
from minilwa.experiments.runs import SPLITS
from minilwa.methods import METHODS
from minilwa.propositions import FORMS
from minilwa.training import Recipe

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it succeeded, 2 on bad input, 130 on Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        with terminated_as_interrupted():
            options.command(options)
    except InputError as error:
        print(f"minilwa: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        resumes = options.command in (commands.reproduce, commands.train_network)
        hint = "; the same command goes on from the last whole epoch" if resumes else ""
        print(f"\nminilwa: interrupted{hint}.", file=sys.stderr)
        return INTERRUPTED
    return 0


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Within, kill and timeout end a run as Ctrl-C does; only the main thread can see to that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports a wrong option in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: error: {message}. See {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = Parser(
        prog="minilwa",
        description='The paper "Learning with Adversary", in code to be read beside it.',
        epilog="Start with:  minilwa reproduce",
    )
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (_reproduce, _report, _train, _attack, _evaluate, _data, _course):
        add(subparsers)
    return top


def _reproduce(subparsers) -> None:
    command = _command(
        subparsers,
        "reproduce",
        commands.reproduce,
        "train and attack the paper's networks, print Table 1, draw Figure 1",
        "minilwa reproduce\n  minilwa reproduce table1 --data mnist --seed 1 --json table1.json\n"
        "  minilwa reproduce table1 --data mnist --protocol paper --seeds 5 --jobs 2\n"
        "  minilwa reproduce frontier --data mnist --protocol equal --seeds 3 --jobs 2",
    )
    command.add_argument(
        "what",
        nargs="?",
        choices=("all", *commands.EXPERIMENTS),
        default="all",
        help="default: all, which is table1 and figure1; with --protocol paper or equal also table2, figure2 and "
        "factorial; with --data cifar10 only cifar10. The others run by their names alone",
    )
    command.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="quick",
        help="quick (the default): one architecture, settings for the embedded digits; paper: what the authors ran; "
        "equal: one architecture, hyper-parameters chosen on a part of the training set; equal-pgd: chosen there by "
        "clean accuracy and accuracy under PGD, in the place of Adv_Loss",
    )
    _data_options(command)
    command.add_argument(
        "--split", choices=SPLITS, default="full", help="paper: without the last sixth of the training images"
    )
    _recipe_options(command, None, "the protocol's")
    command.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N - 1, instead of --seed")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="units side by side (default: %(default)s)")
    _form_option(command, None, "the protocol's")
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="results folder (default: results/DATA-PROTOCOL, or DATA-seedSEED for one seed of the protocol quick, and "
        "with -frontier for the frontier's)",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")


def _report(subparsers) -> None:
    command = _command(
        subparsers,
        "report",
        commands.make_report,
        "turn what reproduce has finished into verdicts, tables, figures and one page",
        "minilwa report\n  minilwa report --results results --out report --json summary.json",
    )
    command.add_argument(
        "--results", type=Path, metavar="DIR", default=Path("results"), help="results folder, or one with several in it"
    )
    command.add_argument("--out", type=Path, metavar="DIR", default=Path("report"), help="default: report")
    command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")


def _train(subparsers) -> None:
    command = _command(
        subparsers,
        "train",
        commands.train_network,
        "train one network and save it",
        "minilwa train --method LWA --radius 1.5 --out lwa.npz\n"
        "  minilwa train --method PGD --steps 5 --out pgd.npz\n"
        "  minilwa train --network lenet --data mnist --epochs 10 --out lenet.npz",
    )
    command.add_argument("--network", choices=NETWORKS, default="mlp", help="default: %(default)s")
    command.add_argument("--method", choices=METHODS, default="Normal", help="default: %(default)s")
    command.add_argument("--direction", choices=DIRECTIONS, help="what the method perturbs along")
    command.add_argument("--radius", type=float, help="how far, in the method's norm")
    command.add_argument("--norm", type=_norm, help="norm of the radius: l1, l2, linf or a number")
    command.add_argument("--direction-norm", type=_norm, help="norm in which the direction is steepest")
    command.add_argument("--at", type=int, help="LWA_Rep: number of layers in the representation")
    command.add_argument("--steps", type=int, help="of the method's adversary (PGD: 10, the others: 1)")
    _data_options(command)
    _recipe_options(command, Recipe(), "0.05, lenet and cifar 0.02")
    _form_option(command)
    command.add_argument("--out", type=Path, metavar="FILE.npz", required=True, help="the network, and its checkpoint")
    command.add_argument("--json", type=Path, metavar="FILE", help="write settings and accuracy there")


def _attack(subparsers) -> None:
    command = _command(
        subparsers,
        "attack",
        commands.attack,
        "perturb images: perturbed images, labels before and after, a picture",
        "minilwa attack --network lwa.npz --out attacked\n"
        "  minilwa attack --network lwa.npz --images mine.npz --direction adv_loss --radius 2 --out attacked",
    )
    command.add_argument("--network", type=Path, metavar="FILE.npz", required=True, help="as minilwa train wrote it")
    command.add_argument(
        "--images", type=Path, metavar="FILE.npz", help="images x and, if known, labels y (default: test images)"
    )
    command.add_argument("--count", type=int, default=10, help="how many test images (default: %(default)s)")
    command.add_argument("--direction", choices=DIRECTIONS, default="adv_alpha", help="default: %(default)s")
    command.add_argument("--radius", type=float, default=1.5, help="default: %(default)s")
    _attack_options(command)
    _data_options(command, dtype=None)
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for attack.npz, .json, .png")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the labels there too")


def _evaluate(subparsers) -> None:
    command = _command(
        subparsers,
        "evaluate",
        commands.evaluate,
        "accuracy of a network, clean and under the three perturbations",
        "minilwa evaluate --network lwa.npz\n  minilwa evaluate --network lwa.npz --radius 0.5 1 1.5 2 --json lwa.json",
    )
    command.add_argument("--network", type=Path, metavar="FILE.npz", required=True, help="as minilwa train wrote it")
    command.add_argument("--radius", type=float, nargs="+", default=[1.5], help="one or more (default: 1.5)")
    _attack_options(command)
    _data_options(command, dtype=None)
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")


def _data(subparsers) -> None:
    command = _command(
        subparsers,
        "data",
        commands.show_data,
        "load a data set, downloading it if need be, and say what it holds",
        "minilwa data\n  minilwa data --data mnist --data-dir ~/mnist",
    )
    _data_options(command)
    command.add_argument("--json", type=Path, metavar="FILE", help="write counts and shapes there")


def _course(subparsers) -> None:
    examples = "minilwa course release handout --seed 7\n  minilwa course grade submitted --csv grades.csv --seed 7"
    summary = "hand out and grade the coursework"
    group = _command(subparsers, "course", None, summary, examples)
    inner = group.add_subparsers(required=True, metavar="COMMAND")
    release = _command(
        inner,
        "release",
        course.release,
        "write the students' notebooks, without solutions and hidden tests",
        "minilwa course release handout --seed 7\n"
        "  minilwa course release release --source source    # the folders of a course under nbgrader",
    )
    release.add_argument("out", type=Path, metavar="DIR", help="folder for NAME/NAME.ipynb")
    release.add_argument("--source", type=Path, metavar="DIR", help="write the instructor's notebooks there")
    grade = _command(
        inner,
        "grade",
        course.grade,
        "grade a folder of submissions, each in a process of its own",
        "minilwa course grade submitted --csv grades.csv --seed 7\n"
        "  minilwa course grade submitted --csv grades.csv --jobs 4 --seconds 30",
    )
    grade.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help="folder with STUDENT/.../NAME.ipynb")
    grade.add_argument("--csv", type=Path, metavar="FILE", required=True, help="scores; feedback beside it")
    grade.add_argument("--jobs", type=int, default=2, help="submissions at a time (default: %(default)s)")
    grade.add_argument("--seconds", type=float, default=10, help="for one cell or call (default: %(default)s)")
    grade.add_argument("--megabytes", type=int, default=2048, help="memory of a submission (default: %(default)s)")
    for command in (release, grade):
        command.add_argument("--seed", type=int, default=0, help="of the numbers in it (default: %(default)s)")
        command.add_argument("--masters", type=Path, metavar="DIR", help="the assignments (default: the clone's)")


def _command(subparsers, name: str, function, summary: str, example: str) -> argparse.ArgumentParser:
    command = subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"Examples:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=function)
    return command


def _data_options(command: argparse.ArgumentParser, dtype: str | None = "float32") -> None:
    command.add_argument(
        "--data",
        default=EMBEDDED,
        metavar="NAME",
        help=f"{EMBEDDED} (embedded, the default), mnist, fashion-mnist, cifar10, or FILE.npz with x_train, y_train, "
        "x_test, y_test",
    )
    command.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the data (or MINILWA_DATA)")
    command.add_argument("--device", choices=DEVICES, default="cpu", help="default: %(default)s")
    command.add_argument("--dtype", choices=DTYPES, default=dtype, help=f"default: {dtype or 'the network'}")


def _recipe_options(command: argparse.ArgumentParser, standard: Recipe | None, rate: str) -> None:
    """The options of a recipe: ``standard`` gives the defaults, or the protocol if there is none."""
    command.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")
    for name, kind, meaning in (("epochs", int, ""), ("batch", int, "images a step "), ("momentum", float, "")):
        default = getattr(standard, name, None)
        shown = "the protocol's" if default is None else default
        command.add_argument(f"--{name}", type=kind, default=default, help=f"{meaning}(default: {shown})".strip())
    command.add_argument("--rate", type=float, help=f"learning rate (default: {rate})")


def _attack_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--norm", type=_norm, default="l2", help="norm of the radius (default: %(default)s)")
    command.add_argument("--direction-norm", type=_norm, help="norm in which the direction is steepest")
    command.add_argument("--clip", action="store_true", help="set perturbed pixels back into [0, 1]")
    _form_option(command)


def _form_option(command: argparse.ArgumentParser, default: str | None = "stable", shown: str = "stable") -> None:
    command.add_argument(
        "--form", choices=FORMS, default=default, help=f"formulas as printed in the paper, or stable (default: {shown})"
    )


def _norm(text: str) -> str | float:
    try:
        p = float(text)
    except ValueError:
        return text
    return "linf" if p == math.inf else p  # JSON has no infinity
