"""What the benchmarks share: options, where networks are kept, the contenders, agreement, errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cases
import numpy as np
from machine import available_cores
from worker import Failed, Worker

from minilwa.backend import DEVICES, device_namespace
from minilwa.cli import INTERRUPTED, Parser
from minilwa.errors import InputError
from minilwa.files import write_json

USUAL = {"cpu": ("torch", "jax", "autograd"), "gpu": ("torch", "torch_compile", "jax")}  # peers, on each device


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def options(summary: str, examples: str, peers: Sequence[str]) -> Parser:
    """The options that all benchmarks have."""
    parser = Parser(
        description=summary,
        epilog=f"Examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="fewer cases and rounds: in under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument(
        "--networks",
        type=Path,
        metavar="DIR",
        help="where trained networks are kept (default: the user's cache folder)",
    )
    parser.add_argument("--kind", nargs="+", choices=cases.NETWORKS, default=cases.NETWORKS, help="default: all")
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="of every contender (default: %(default)s); on gpu the engines' events are the clock (JAX has none), "
        "memory is the GPU's, and TF32 is off for all",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=peers,
        help="default: all that are installed, torch_compile on a GPU alone, autograd never there",
    )
    parser.add_argument("--batch", type=positive, default=100, help="images (default: %(default)s)")
    parser.add_argument("--epochs", type=positive, help="of the training before (default: 5, 2 if quick)")
    parser.add_argument(
        "--threads",
        type=positive,
        default=len(available_cores()),
        help="of every contender (default: all cores, %(default)s)",
    )
    parser.add_argument("--rounds", type=positive, help="turns of every contender (default: 15, 3 if quick)")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="after which the turns of a case end, but not before the third (default: %(default)s)",
    )
    return parser


def parse(parser: Parser, peers: Sequence[str]) -> Any:
    """What the command line chose; InputError if its device cannot be used."""
    chosen = parser.parse_args()
    device_namespace(chosen.device)
    if chosen.peers is None:
        chosen.peers = [peer for peer in peers if peer in USUAL[chosen.device]]
    return chosen


def positive(text: str) -> int:
    """A whole number >= 1, from the command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number >= 1")
    return number


def run(main: Callable[[], None]) -> int:
    """The exit status of ``main``: 1 if contenders disagree or fail, 2 on bad input, 130 on Ctrl-C."""
    try:
        main()
    except Failed as error:
        say(f"error: {error}")
        return 1
    except InputError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("\ninterrupted")
        return INTERRUPTED
    return 0


def epochs(chosen: Any) -> int:
    """How long networks are trained."""
    return chosen.epochs or (2 if chosen.quick else 5)


def networks_folder(chosen: Path | None) -> Path:
    """Where trained networks are kept."""
    if chosen is not None:
        return chosen
    import pooch

    return Path(pooch.os_cache("minilwa")) / "benchmarks"


@contextmanager
def contenders(chosen: Any) -> Iterator[tuple[dict[str, Worker], dict[str, str | None]]]:
    """The processes of minilwa and of the peers that are installed, and versions; a line says which are not."""
    with ExitStack() as stack:
        names = ("minilwa", *chosen.peers)
        workers = {name: stack.enter_context(Worker(name, chosen.threads, chosen.device)) for name in names}
        versions = {}
        for name, worker in list(workers.items()):
            versions[name], missing = worker.greet()
            if missing:
                print(f"{name} is left out: {missing}")
                del workers[name]
        yield workers, versions


def publish(path: Path | None, machine: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """Write what was found so far, if there is a file to write to."""
    if path is not None:
        write_json(path, {"machine": machine, "cases": found})


def agree(what: str, distances: np.ndarray, tolerance: float, exempt: float = 0) -> None:
    """`Failed` unless ``distances`` are within ``tolerance``, all but a fraction ``exempt`` of them."""
    off = ~(distances <= tolerance)
    note = f", but for {off.sum()} of {off.size}" if off.any() else ""
    if off.mean() > exempt:
        raise Failed(f"{what}: off by {distances.max():.2g}, more than {tolerance:.0e}{note}. Nothing was timed.")
    say(f"  {what}: within {distances[~off].max():.1e} (tolerance {tolerance:.0e}){note}")
