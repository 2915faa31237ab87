"""What one training step costs, by four methods, beside PyTorch and JAX doing the same mathematics.

One step is a batch of 100 digits (or --batch) and stochastic gradient descent with momentum, in single precision. Every
contender works in a process of its own, with the same number of threads, and starts from the same briefly trained
network. First each goes ten steps in double and ten in single precision (if quick, three in single), and the parameters
are compared. Then they take turns, A B C, A B C, going on over the same batches, and medians are reported. PyTorch runs
eagerly, JAX under jax.jit, compiled before it is timed; for lwa_alpha both compute all rows of the Jacobian and take
Algorithm 1 in its stable form. They do it a pass a row, which is as fast as vmap(jacrev) for the MLP and twice as fast
for LeNet. With --device gpu all work there (meters.py), PyTorch also with its network under torch.compile.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import cases
import numpy as np
from harness import agree, contenders, epochs, networks_folder, options, parse, publish, run, say
from machine import describe, in_words
from tables import ratio, table
from timing import summary, take_turns
from worker import Worker

import minilwa

PEERS = ("torch", "torch_compile", "jax")
ENGINES = ("minilwa", *PEERS)
Source = tuple[str, str, int]  # the arguments of `Case.read`
STEPS, QUICK_STEPS = 10, 3  # in a turn, and before the parameters are compared
# ||difference of the parameters|| / ||what the steps changed in them||. In double precision this is 1e-14. In single
# precision a ReLU or a tie in max-pooling that rounding turns the other way in one image of a batch makes it 5e-3.
DOUBLE, SINGLE = 1e-9, 3e-2
EXAMPLES = """  python benchmarks/training_step.py --quick
  python benchmarks/training_step.py --json step.json --networks networks
  python benchmarks/training_step.py --kind lenet --method normal lwa_alpha --peers torch
  python benchmarks/training_step.py --device gpu --batch 1000 --json step.json"""


def main() -> None:
    """Measure the cases that the command line asks for; print and write."""
    parser = options(__doc__, EXAMPLES, PEERS)
    parser.add_argument("--method", nargs="+", choices=cases.METHODS, default=list(cases.METHODS), help="default: all")
    chosen = parse(parser, PEERS)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, contenders(chosen) as (workers, versions):
        machine = describe(chosen.threads, versions, chosen.device)
        print(in_words(machine))
        publish(chosen.json, machine, found)  # a path that cannot be written to ends the run here
        data = cases.digits(10)
        single = cases.write_images(Path(scratch) / "single.npz", data.x_train, data.y_train)
        noise = np.random.default_rng(0).uniform(0, 1 / 256, data.x_train[: STEPS * chosen.batch].shape)
        x, y = data.x_train[: len(noise)] + noise, data.y_train[: len(noise)]  # no two patches tie in max-pooling
        double = cases.write_images(Path(scratch) / "double.npz", x, y)
        for kind in chosen.kind:
            network, path = cases.trained(kind, 10, data, epochs(chosen), networks_folder(chosen.networks))
            accuracy = minilwa.clean_score(network, data.x_test, data.y_test).accuracy
            for method in chosen.method:
                say(f"{kind}, {method}")
                floats, doubles = ((str(path), str(images), chosen.batch) for images in (single, double))
                about = {"network": kind, "method": method, "batch": chosen.batch, "accuracy": accuracy}
                found.append(about | measure(workers, method, floats, doubles, chosen))
                publish(chosen.json, machine, found)
    print(report(found))


def measure(workers: dict[str, Worker], method: str, single: Source, double: Source, chosen: Any) -> dict[str, Any]:
    """Go some steps in either precision and compare the parameters; then go on from there, and time."""
    steps = QUICK_STEPS if chosen.quick else STEPS
    if not chosen.quick:  # JAX compiles longer than the steps take
        compare(workers, method, steps, double, DOUBLE)
    first = compare(workers, method, steps, single, SINGLE)
    turns = take_turns(workers, first, chosen, calls=1 if chosen.device == "cpu" else None)  # there too short alone
    return summary({name: [turn / steps for turn in found] for name, found in turns.items()}, ENGINES)


def compare(workers: dict[str, Worker], method: str, steps: int, case: Source, tolerance: float) -> dict[str, float]:
    """The seconds of the first ``steps`` of every contender; `Failed` unless they lead to the same parameters."""
    network = cases.Case.read(*case).network
    start = {f"{i} {name}": part[name] for i, part in enumerate(network.parameters) for name in part}
    first, found = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        answers = {name: Path(scratch) / f"{name}.npz" for name in workers}
        for name, worker in workers.items():  # side by side, since nothing is timed yet: compiling takes long
            worker.tell("prepare_training", name, method, steps, *case)
            worker.tell("answer", name, str(answers[name]))
        for name, worker in workers.items():
            worker.hear()
            first[name] = worker.hear()
            with np.load(answers[name]) as arrays:
                found[name] = dict(arrays)
    moved = apart(found["minilwa"], start)
    for name in (name for name in workers if name != "minilwa"):
        distance = np.array(apart(found[name], found["minilwa"]) / moved)
        agree(f"{name}, {network.dtype}, parameters after {steps} steps", distance, tolerance)
    return first


def apart(parameters: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> float:
    """The L2 distance of two networks' parameters."""
    return float(np.sqrt(sum(np.square(parameters[name] - others[name]).sum() for name in others)))


def report(found: list[dict[str, Any]]) -> str:
    """All cases: milliseconds a step, and the ratios."""
    names = [*(f"{name}, ms" for name in ENGINES), *(f"minilwa/{peer}" for peer in PEERS)]
    rows: list[list[Any]] = [["", "method", *names]]
    for case in found:
        seconds = case["seconds"]
        times = [None if seconds[name] is None else 1e3 * seconds[name] for name in ENGINES]
        ratios = [ratio(seconds, "minilwa", peer) for peer in PEERS]
        rows.append([case["network"], case["method"], *times, *ratios])
    return table(rows)


if __name__ == "__main__":
    sys.exit(run(main))
